//! Word shingles: three words in a row, by which texts are compared that are nearly the same.
//!
//! No shingle goes over the border of a message. The words of prompts and of answers make different shingles, so that an answer that repeats its
//! question is not taken for the question.

use crate::content::{Content, Turn};
use crate::record::Record;
use crate::text::words;

/// Words of a shingle: few, so that one changed word changes few shingles.
const WORDS: usize = 3;

/// Share of the required similarity that each answer must have with its counterpart: long prompts that are equal must not make records with other
/// answers the same.
const SHARE_OF_ANSWERS: f32 = 0.5;

const PROMPT: u64 = 1;
const ANSWER: u64 = 2;

/// Shingles of a record, sorted and each once.
pub(crate) struct Shingles {
    whole: Box<[u32]>,
    answers: Box<[Box<[u32]>]>,
    ranks: Box<[u32]>,
}

/// What two records have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Similarity {
    /// Share of the shingles of either that both have.
    pub(crate) share: f32,
    /// Whether two answers that resemble answers of the other record are in the other order there.
    pub(crate) contradicts: bool,
}

impl Shingles {
    /// The shingles of a record.
    pub(crate) fn of(record: &Record) -> Self {
        let content = Content::of(record);
        let set = |turns: &[Turn<'_>], kind| {
            let mut shingles = Vec::new();
            each(turns, kind, &mut |shingle| shingles.push(shingle));
            sorted(shingles)
        };
        let prompt = set(&content.prompt, PROMPT);
        let answers: Box<[_]> = content.answers.iter().map(|turns| set(turns, ANSWER)).collect();
        let whole = [&prompt].into_iter().chain(&answers).flat_map(|set| set.iter().copied());
        let ranks = record.comparison.preference.ranks.clone().into_boxed_slice();
        Self { whole: sorted(whole.collect()), answers, ranks }
    }

    /// Number of hashes that are held.
    pub(crate) fn size(&self) -> usize {
        self.whole.len() + self.answers.iter().map(|answer| answer.len()).sum::<usize>()
    }

    /// What the records have in common, when it is at least `near` of the shingles, and about the same in every answer.
    pub(crate) fn similarity(&self, other: &Self, near: f32) -> Option<Similarity> {
        let share = jaccard(&self.whole, &other.whole);
        if share < near || self.answers.len() != other.answers.len() {
            return None;
        }
        let counterparts = self.counterparts(other, near * SHARE_OF_ANSWERS)?;
        Some(Similarity { share, contradicts: self.contradicts(other, &counterparts) })
    }

    /// For each answer the one of the other record that resembles it; the most similar two are matched first.
    fn counterparts(&self, other: &Self, least: f32) -> Option<Vec<usize>> {
        let count = self.answers.len();
        let mut twos = Vec::with_capacity(count * count);
        for (own, answer) in self.answers.iter().enumerate() {
            for (theirs, counterpart) in other.answers.iter().enumerate() {
                twos.push((jaccard(answer, counterpart), own, theirs));
            }
        }
        twos.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut counterparts, mut taken) = (vec![None; count], vec![false; count]);
        for (share, own, theirs) in twos {
            if share >= least && counterparts[own].is_none() && !taken[theirs] {
                counterparts[own] = Some(theirs);
                taken[theirs] = true;
            }
        }
        counterparts.into_iter().collect()
    }

    fn contradicts(&self, other: &Self, counterparts: &[usize]) -> bool {
        let count = counterparts.len();
        (0..count).any(|first| {
            (0..count).any(|second| {
                self.ranks[first] < self.ranks[second]
                    && other.ranks[counterparts[first]] > other.ranks[counterparts[second]]
            })
        })
    }
}

/// Gives out the shingles of a record, some of them more than once.
pub(crate) fn each_of(content: &Content<'_>, visit: &mut impl FnMut(u32)) {
    each(&content.prompt, PROMPT, visit);
    for answer in &content.answers {
        each(answer, ANSWER, visit);
    }
}

fn each(turns: &[Turn<'_>], kind: u64, visit: &mut impl FnMut(u32)) {
    for turn in turns {
        let mut window = [0; WORDS];
        let mut count = 0;
        for word in words(&turn.text) {
            window.rotate_left(1);
            window[WORDS - 1] = hash_of_word(word);
            count += 1;
            if count >= WORDS {
                visit(shingle(window, kind));
            }
        }
        // A text shorter than a shingle is one.
        if count > 0 && count < WORDS {
            visit(shingle(window, kind));
        }
    }
}

fn shingle(words: [u64; WORDS], kind: u64) -> u32 {
    (words.into_iter().fold(kind, mixed) >> 32) as u32
}

/// A hash of a word, the same on all machines.
pub(crate) fn hash_of_word(word: &str) -> u64 {
    word.as_bytes().chunks(8).fold(word.len() as u64, |hash, chunk| {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        mixed(hash, u64::from_le_bytes(bytes))
    })
}

/// Two numbers as one that depends on every bit of both.
///
/// # Source
/// The multiplications and shifts of `splitmix64`'s output.
pub(crate) const fn mixed(hash: u64, value: u64) -> u64 {
    let mut mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ value;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn sorted(mut shingles: Vec<u32>) -> Box<[u32]> {
    shingles.sort_unstable();
    shingles.dedup();
    shingles.into_boxed_slice()
}

/// Share of the members of either set that both have; 1 for two empty ones.
fn jaccard(first: &[u32], second: &[u32]) -> f32 {
    let (mut at, mut other, mut common) = (0, 0, 0);
    while at < first.len() && other < second.len() {
        match first[at].cmp(&second[other]) {
            std::cmp::Ordering::Less => at += 1,
            std::cmp::Ordering::Greater => other += 1,
            std::cmp::Ordering::Equal => {
                common += 1;
                at += 1;
                other += 1;
            }
        }
    }
    let all = first.len() + second.len() - common;
    if all == 0 { 1.0 } else { common as f32 / all as f32 }
}
