//! Questions of benchmarks by their n-grams, and which of them another question contains.
//!
//! Equal questions of several rows are one. Knows nothing of rows and pictures.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::shingles::mixed;

/// Different questions from which on an n-gram of all of them is boilerplate.
const MAX_QUESTIONS_OF_AN_NGRAM: usize = 16;

/// Hashes of the words of a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Words(pub(super) Vec<u64>);

/// The different questions of all benchmarks.
#[derive(Debug)]
pub(super) struct Questions {
    ngram_words: usize,
    min_coverage: f64,
    numbers: HashMap<Words, u32>,
    /// `[questions, places]`: n-grams in their order.
    ngrams: Vec<Vec<u64>>,
    /// Questions that have an n-gram; more than the most that count are left out.
    by_ngram: HashMap<u64, Vec<u32>, BuildHasherDefault<AsItIs>>,
}

/// A question of the benchmarks that is found in another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Same {
    /// Its number.
    pub(super) question: u32,
    /// Share of its own words that the other one has.
    pub(super) coverage: f64,
    /// Words in n-grams of its own.
    pub(super) num_own_words: usize,
    /// Words in n-grams that no other question has, when the other one has all of these.
    pub(super) num_unique_words: usize,
}

impl Same {
    /// By what it was found.
    pub(super) fn evidence(&self) -> String {
        if self.num_own_words == 0 {
            return "the same words".to_owned();
        }
        format!("{:.0} % of {} words", self.coverage * 100.0, self.num_own_words)
    }
}

impl Questions {
    /// No questions yet.
    pub(super) fn new(ngram_words: usize, min_coverage: f64) -> Self {
        Self {
            ngram_words,
            min_coverage,
            numbers: HashMap::new(),
            ngrams: Vec::new(),
            by_ngram: HashMap::default(),
        }
    }

    /// Adds a question and returns its number, the old one when its words are known. Numbers start at 0.
    pub(super) fn add(&mut self, words: &Words) -> u32 {
        if let Some(number) = self.numbers.get(words) {
            return *number;
        }
        let number = self.ngrams.len() as u32;
        self.numbers.insert(words.clone(), number);
        let ngrams = self.ngrams_of(words);
        for ngram in &ngrams {
            let questions = self.by_ngram.entry(*ngram).or_default();
            if questions.last() != Some(&number) && questions.len() <= MAX_QUESTIONS_OF_AN_NGRAM {
                questions.push(number);
            }
        }
        self.ngrams.push(ngrams);
        number
    }

    /// Questions that are the same as one that is asked, in the order of their numbers.
    pub(super) fn same_as(&self, words: &Words) -> Vec<Same> {
        let mut ngrams = self.ngrams_of(words);
        let mut candidates: Vec<u32> =
            ngrams.iter().filter_map(|ngram| self.owners(*ngram)).flatten().copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        if !candidates.is_empty() {
            ngrams.sort_unstable();
        }
        let mut same: Vec<Same> = candidates
            .into_iter()
            .map(|question| self.coverage(question, &ngrams))
            .filter(|same| same.coverage >= self.min_coverage)
            .collect();
        if let Some(&question) = self.numbers.get(words)
            && !words.0.is_empty()
            && !same.iter().any(|same| same.question == question)
        {
            same.push(Same { question, coverage: 1.0, num_own_words: 0, num_unique_words: 0 });
        }
        same
    }

    /// The questions that have an n-gram, when they are few.
    fn owners(&self, ngram: u64) -> Option<&[u32]> {
        let questions = self.by_ngram.get(&ngram)?;
        (questions.len() <= MAX_QUESTIONS_OF_AN_NGRAM).then_some(questions)
    }

    fn coverage(&self, question: u32, asked: &[u64]) -> Same {
        let mut own = Covered::default();
        let (mut shared, mut unique) = (Covered::default(), Covered::default());
        let mut has_all_unique = true;
        for (start, ngram) in self.ngrams[question as usize].iter().enumerate() {
            let Some(owners) = self.owners(*ngram) else { continue };
            let end = start + self.ngram_words;
            let is_asked = asked.binary_search(ngram).is_ok();
            own.add(start, end);
            if is_asked {
                shared.add(start, end);
            }
            if owners.len() == 1 {
                unique.add(start, end);
                has_all_unique &= is_asked;
            }
        }
        Same {
            question,
            coverage: shared.num_words as f64 / own.num_words.max(1) as f64,
            num_own_words: own.num_words,
            num_unique_words: if has_all_unique { unique.num_words } else { 0 },
        }
    }

    fn ngrams_of(&self, words: &Words) -> Vec<u64> {
        let ngram = |words: &[u64]| words.iter().copied().fold(0, mixed);
        words.0.windows(self.ngram_words).map(ngram).collect()
    }
}

/// Words that n-grams cover, which come in the order of their places.
#[derive(Default)]
struct Covered {
    num_words: usize,
    end: usize,
}

impl Covered {
    fn add(&mut self, start: usize, end: usize) {
        self.num_words += end - self.end.max(start);
        self.end = end;
    }
}

/// Takes a key that is a hash for its hash.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = mixed(self.0, u64::from(*byte));
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
