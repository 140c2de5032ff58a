//! Comparisons of a step into micro-batches: by packed rows, without padding, the same way every time.
//!
//! A comparison is never divided: its loss needs all its rewards at once. Gradients of micro-batches are added up, so the way
//! a step is divided changes rounding only.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use model::PrefixTree;
use prompt::{Encoded, Visual};

use crate::prepare::Prepared;

/// Puts comparisons over the same first picture next to each other, each picture at the place where it first came.
pub fn arrange(comparisons: Vec<Prepared>) -> Vec<Prepared> {
    let mut first_place: HashMap<[u8; 32], usize> = HashMap::new();
    let mut placed: Vec<(usize, Prepared)> = Vec::with_capacity(comparisons.len());
    for (place, comparison) in comparisons.into_iter().enumerate() {
        let picture = first_picture(&comparison);
        let place =
            picture.map_or(place, |picture| *first_place.entry(picture.hash).or_insert(place));
        placed.push((place, comparison));
    }
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, comparison)| comparison).collect()
}

/// Packed rows of some comparisons: what conversations share counts once.
pub fn packed_rows(comparisons: &[Prepared], is_visual: impl Fn(u32) -> bool) -> usize {
    PrefixTree::new(&conversations(comparisons), is_visual).num_rows()
}

/// All conversations, comparison by comparison.
pub fn conversations(comparisons: &[Prepared]) -> Vec<&Encoded> {
    comparisons.iter().flat_map(|comparison| &comparison.encoded).collect()
}

/// Divides a micro-batch into parts that are run side by side, about equally long and of `tokens` or more if there are several,
/// conversations being counted whole.
///
/// Comparisons over one picture, which stand together, stay in one part.
pub fn parts(comparisons: &[Prepared], tokens: usize) -> Vec<Range<usize>> {
    let lens: Vec<usize> =
        comparisons.iter().map(|one| one.encoded.iter().map(Encoded::len).sum()).collect();
    let total: usize = lens.iter().sum();
    let count = (total / tokens).max(1);
    let picture = |place: usize| first_picture(&comparisons[place]).map(|picture| picture.hash);
    let mut parts = Vec::with_capacity(count);
    let mut start = 0;
    let mut sum = 0;
    for (place, len) in lens.into_iter().enumerate() {
        let is_same =
            place > 0 && picture(place).is_some_and(|own| Some(own) == picture(place - 1));
        if sum * count >= total * (parts.len() + 1) && !is_same {
            parts.push(start..place);
            start = place;
        }
        sum += len;
    }
    if start < comparisons.len() {
        parts.push(start..comparisons.len());
    }
    parts
}

fn first_picture(comparison: &Prepared) -> Option<&Arc<Visual>> {
    comparison.encoded.iter().find_map(|one| one.visuals.first())
}

/// Divides `count` items into runs of at most `budget` rows each, as long as possible from the first on. A single item over
/// the budget is a run of its own.
pub fn divide(
    count: usize,
    budget: usize,
    rows: impl Fn(Range<usize>) -> usize,
) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut sum = 0;
    for item in 0..count {
        let alone = rows(item..item + 1);
        let fits = item == start
            || sum + alone <= budget
            // Only where the sum is too much can sharing between items matter.
            || rows(start..item + 1) <= budget;
        if fits {
            sum += alone;
        } else {
            runs.push(start..item);
            start = item;
            sum = alone;
        }
    }
    if start < count {
        runs.push(start..count);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_keep_to_the_budget_and_cover_every_item_once() {
        let rows = [3, 3, 3, 20, 1, 9, 1];
        let runs = divide(rows.len(), 10, |range| rows[range].iter().sum());
        assert_eq!(runs, [0..3, 3..4, 4..6, 6..7]);
        assert!(divide(0, 10, |_| 1).is_empty());
    }

    #[test]
    fn what_items_share_counts_once() {
        // Every item has 6 rows, of which 5 are those of all others.
        let runs = divide(8, 8, |range| 5 + range.len());
        assert_eq!(runs, [0..3, 3..6, 6..8]);
    }
}
