//! Records that say what another record says, exactly or nearly, and records that contradict each other.
//!
//! Decides from fingerprints; texts are read again only where two records resemble each other. Nothing is dropped here.

mod buckets;
mod near;

use crate::fingerprint::Fingerprint;
use crate::recipe::{Contradictions, DuplicatesRecipe, Keep};
use crate::record::Record;

use near::Judge;

/// What must be known of a record to find its duplicates.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The record in a few bytes; with bands where near duplicates are asked for.
    pub fingerprint: Fingerprint,
    /// How much better its better answer is.
    pub margin: Option<f32>,
    /// For each of its pictures a number that pictures that look alike have in common, as [`groups`](crate::looks::groups) gives it.
    pub image_groups: Box<[u32]>,
}

/// A record to be dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duplicate {
    /// Its index.
    pub record: usize,
    /// The record that it repeats, which stays; or one that it contradicts, which stays only where the recipe keeps one of them.
    pub of: usize,
    /// What they have in common.
    pub kind: DuplicateKind,
}

/// What a duplicate and another record have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DuplicateKind {
    /// Prompt, pictures, answers, and which are better.
    Exact,
    /// Prompt, pictures and answers, at least nearly; but other answers are better.
    Contradiction,
    /// Most words, pictures that look alike, and which answers are better.
    Near {
        /// Share of the word shingles of either record that both have.
        similarity: f32,
    },
}

/// Finds the records that are to be dropped, in the order of their indices.
///
/// `candidates` are all records in the order of reading; `text_of` reads one again. A near duplicate resembles the record that it names: of a
/// chain in which each record resembles the next, ends that do not resemble each other both stay.
///
/// # Errors
/// When a record cannot be read again.
pub fn find<E>(
    candidates: &[Candidate],
    recipe: &DuplicatesRecipe,
    text_of: &mut dyn FnMut(usize) -> Result<Record, E>,
) -> Result<Vec<Duplicate>, E> {
    let order = keep_order(candidates, recipe.keep);
    let mut fates: Vec<Option<Fate>> = vec![None; candidates.len()];
    find_exact(candidates, recipe, &order, &mut fates);
    if let Some(share) = recipe.near {
        let left: Vec<u32> =
            order.iter().copied().filter(|record| fates[*record as usize].is_none()).collect();
        let mut judge = Judge::new(share as f32, text_of);
        near::find(candidates, recipe.contradictions, &left, &mut judge, &mut fates)?;
    }
    Ok(resolved(&fates, recipe.contradictions))
}

/// Why a record is dropped: the other record, and what they have in common.
type Fate = (u32, DuplicateKind);

/// Records, the one to keep first.
fn keep_order(candidates: &[Candidate], keep: Keep) -> Vec<u32> {
    let mut order: Vec<u32> = (0..candidates.len() as u32).collect();
    if keep == Keep::LargestMargin {
        let margin = |record: &u32| {
            let margin = candidates[*record as usize].margin;
            margin.filter(|margin| !margin.is_nan()).unwrap_or(f32::NEG_INFINITY)
        };
        order.sort_by(|a, b| margin(b).total_cmp(&margin(a)));
    }
    order
}

/// Decides about records with equal prompts, pictures and answers.
fn find_exact(
    candidates: &[Candidate],
    recipe: &DuplicatesRecipe,
    order: &[u32],
    fates: &mut [Option<Fate>],
) {
    let fingerprint = |record: u32| &candidates[record as usize].fingerprint;
    let mut sorted = order.to_vec();
    // A stable sort: within a group, the record to keep stays first.
    sorted.sort_by_key(|record| fingerprint(*record).exact);
    for group in sorted.chunk_by(|a, b| fingerprint(*a).exact == fingerprint(*b).exact) {
        let preference = |record: u32| fingerprint(record).preference;
        let mut firsts: Vec<u32> = Vec::new();
        for &record in group {
            if !firsts.iter().any(|first| preference(*first) == preference(record)) {
                firsts.push(record);
            }
        }
        for &record in group {
            let is_same = |first: &u32| preference(*first) == preference(record);
            let same = firsts.iter().copied().find(is_same);
            let same = same.filter(|same| *same != record && recipe.exact);
            let exact = same.map(|same| (same, DuplicateKind::Exact));
            let contradicted = |other| Some((other, DuplicateKind::Contradiction));
            fates[record as usize] = match (recipe.contradictions, firsts.as_slice()) {
                (Contradictions::Drop, [first, second, ..]) => {
                    contradicted(if is_same(first) { *second } else { *first })
                }
                (Contradictions::KeepOne, [first, ..]) if !is_same(first) => contradicted(*first),
                _ => exact,
            };
        }
    }
}

/// Lets each dropped record name one that stays, where there is one.
fn resolved(fates: &[Option<Fate>], contradictions: Contradictions) -> Vec<Duplicate> {
    let duplicate = |(record, fate): (usize, &Option<Fate>)| {
        let (mut of, mut kind) = (*fate)?;
        while let Some((next, next_kind)) = fates[of as usize] {
            if kind != DuplicateKind::Contradiction {
                kind = next_kind;
            } else if contradictions == Contradictions::Drop {
                // Neither of the two stays.
                break;
            }
            of = next;
        }
        Some(Duplicate { record, of: of as usize, kind })
    };
    fates.iter().enumerate().filter_map(duplicate).collect()
}

#[cfg(test)]
mod tests;
