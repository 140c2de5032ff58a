//! What records have in common with the rows of benchmarks: ids, pictures, questions, answers.
//!
//! Overlaps are found and named here; whether a record is dropped for one is the recipe's choice.
//!
//! - **Id**: equal, and such that a collection gives it: not a number, a file's place or `train-12`.
//! - **Image**: equal bytes, or a look that equals.
//! - **Question**: of the benchmark's words that lie in n-grams of its own, the share that lies in n-grams of the record's question, too. An n-gram
//!   that many questions of the benchmarks have is boilerplate and nobody's own. A question without n-grams of its own is the same only when all
//!   words are.
//!   - A benchmark's question without pictures counts when it has n-grams of its own.
//!   - One over pictures counts when a picture is shared, too: *What is shown in the image?* is asked everywhere, and many collections fill in a
//!     template for each picture. Without a shared picture it counts only when the record has all of the n-grams that no other question has, these
//!     cover as many words as three n-grams, and it is asked over no other pictures.
//! - **Answers**: two different answers of the row, in any order. Answers of fewer words than three n-grams count only with the same question, and
//!   over pictures with a shared one.
//!
//! # Source
//! `allenai/open-instruct`, `decontamination/search.py`: the share of a benchmark text's tokens that shared n-grams cover.

mod ids;
mod questions;

use std::collections::HashMap;

use data::Comparison;
use serde::{Deserialize, Serialize};

use self::ids::is_of_a_collection;
use self::questions::{Questions, Words};
use crate::content::text;
use crate::look::Look;
use crate::looks::Looks;
use crate::recipe::{DecontaminationRecipe, OverlapKind};
use crate::record::{ImageId, Record};
use crate::shingles::{hash_of_word, mixed};
use crate::text::{normalized, words};

/// N-grams side by side that make an answer, or the words that a question alone has, long enough to be known by.
const NGRAMS_OF_A_LONG_TEXT: usize = 3;

/// Something that a record and a row of a benchmark have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Overlap {
    /// Name of the benchmark.
    pub benchmark: String,
    /// Its row.
    pub row: String,
    /// What they have in common.
    pub kind: OverlapKind,
    /// By what it was found.
    pub evidence: String,
}

/// Rows of benchmarks, ready to be looked up.
#[derive(Debug)]
pub struct BenchmarkIndex {
    ngram_words: usize,
    benchmarks: Vec<String>,
    rows: Vec<Row>,
    rows_by_id: HashMap<String, Vec<u32>>,
    pictures: Looks,
    rows_by_picture: Vec<Vec<u32>>,
    questions: Questions,
    rows_by_question: Vec<Vec<u32>>,
    /// Rows by answers that are not short.
    rows_by_answer: HashMap<u64, Vec<u32>>,
}

#[derive(Debug)]
struct Row {
    benchmark: u32,
    name: String,
    /// Sorted.
    pictures: Vec<u32>,
    answers: Vec<Answer>,
}

/// An answer without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    hash: u64,
    is_short: bool,
}

impl BenchmarkIndex {
    /// An index without rows.
    pub fn new(recipe: &DecontaminationRecipe) -> Self {
        Self {
            ngram_words: recipe.ngram_words,
            benchmarks: Vec::new(),
            rows: Vec::new(),
            rows_by_id: HashMap::new(),
            pictures: Looks::default(),
            rows_by_picture: Vec::new(),
            questions: Questions::new(recipe.ngram_words, recipe.min_coverage),
            rows_by_question: Vec::new(),
            rows_by_answer: HashMap::new(),
        }
    }

    /// Adds a row, with the pictures of its prompt and responses.
    pub fn add(
        &mut self,
        benchmark: &str,
        row: &str,
        comparison: &Comparison,
        images: &[(ImageId, Look)],
    ) {
        let number = self.rows.len() as u32;
        let known = self.benchmarks.iter().position(|name| name == benchmark);
        let benchmark = known.unwrap_or_else(|| {
            self.benchmarks.push(benchmark.to_owned());
            self.benchmarks.len() - 1
        });
        if let Some(id) = id_of(comparison) {
            self.rows_by_id.entry(id).or_default().push(number);
        }
        let mut pictures: Vec<u32> =
            images.iter().map(|(id, look)| self.pictures.add(*id, look)).collect();
        pictures.sort_unstable();
        pictures.dedup();
        for picture in &pictures {
            rows_at(&mut self.rows_by_picture, *picture).push(number);
        }
        let question = self.questions.add(&question_of(comparison));
        rows_at(&mut self.rows_by_question, question).push(number);
        let answers = self.answers_of(comparison);
        for answer in answers.iter().filter(|answer| !answer.is_short) {
            self.rows_by_answer.entry(answer.hash).or_default().push(number);
        }
        self.rows.push(Row {
            benchmark: benchmark as u32,
            name: row.to_owned(),
            pictures,
            answers,
        });
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What a record has in common with the rows, in their order. `looks` are those of its pictures, as far as they are known.
    pub fn overlaps(&self, record: &Record, looks: &[Look]) -> Vec<Overlap> {
        let mut found = Found { index: self, overlaps: Vec::new() };
        if let Some(id) = id_of(&record.comparison) {
            for row in self.rows_by_id.get(&id).into_iter().flatten() {
                found.push(*row, OverlapKind::Id, format!("`{}`", record.comparison.id));
            }
        }
        let pictures = self.find_pictures(record, looks, &mut found);
        let answers = self.answers_of(&record.comparison);
        self.find_long_answers(&answers, &mut found);
        self.find_questions(&record.comparison, &answers, &pictures, &mut found);
        found.into_overlaps()
    }

    /// Numbers of the pictures that the record has, too.
    fn find_pictures(&self, record: &Record, looks: &[Look], found: &mut Found<'_>) -> Vec<u32> {
        let mut pictures = Vec::new();
        if self.rows_by_picture.is_empty() {
            return pictures;
        }
        for (at, id) in record.images.iter().enumerate() {
            let same = self.pictures.same(*id);
            let alike = looks.get(at).map(|look| self.pictures.alike(look)).unwrap_or_default();
            let others = alike.into_iter().filter(|picture| Some(*picture) != same);
            for (picture, how) in same
                .map(|picture| (picture, "has the bytes of"))
                .into_iter()
                .chain(others.map(|picture| (picture, "looks like")))
            {
                for row in &self.rows_by_picture[picture as usize] {
                    found.push(
                        *row,
                        OverlapKind::Image,
                        format!("picture {} {how} one of the row", at + 1),
                    );
                }
                pictures.push(picture);
            }
        }
        pictures.sort_unstable();
        pictures.dedup();
        pictures
    }

    fn find_long_answers(&self, answers: &[Answer], found: &mut Found<'_>) {
        let mut rows: Vec<u32> = answers
            .iter()
            .filter_map(|answer| self.rows_by_answer.get(&answer.hash))
            .flatten()
            .copied()
            .collect();
        rows.sort_unstable();
        for same in rows.chunk_by(|a, b| a == b).filter(|same| same.len() > 1) {
            found.push(same[0], OverlapKind::Answers, "long answers".to_owned());
        }
    }

    /// Finds equal questions, and short answers to them.
    fn find_questions(
        &self,
        comparison: &Comparison,
        answers: &[Answer],
        pictures: &[u32],
        found: &mut Found<'_>,
    ) {
        let long = NGRAMS_OF_A_LONG_TEXT * self.ngram_words;
        for same in self.questions.same_as(&question_of(comparison)) {
            let rows = &self.rows_by_question[same.question as usize];
            let first = &self.rows[rows[0] as usize];
            let stands_alone = same.num_unique_words >= long
                && rows.iter().all(|row| self.rows[*row as usize].pictures == first.pictures);
            for &row in rows {
                let of_row = &self.rows[row as usize];
                let has_own_words = same.num_own_words > 0;
                let is_shared = of_row.pictures.iter().any(|of_row| pictures.contains(of_row));
                let is_known =
                    if of_row.pictures.is_empty() { has_own_words } else { stands_alone };
                if is_shared || is_known {
                    found.push(row, OverlapKind::Question, same.evidence());
                }
                let num_answers =
                    of_row.answers.iter().filter(|answer| answers.contains(answer)).count();
                if num_answers > 1 && (is_shared || of_row.pictures.is_empty()) {
                    found.push(row, OverlapKind::Answers, "with the question".to_owned());
                }
            }
        }
    }

    /// Different answers, sorted.
    fn answers_of(&self, comparison: &Comparison) -> Vec<Answer> {
        let long = NGRAMS_OF_A_LONG_TEXT * self.ngram_words;
        let answer = |messages: &Vec<prompt::Message>| {
            let mut answer = Answer { hash: 0, is_short: false };
            let mut num_words = 0;
            for message in messages {
                let text = normalized(&text(message));
                num_words += words(&text).take(long).count();
                answer.hash = mixed(answer.hash, hash_of_word(&text));
            }
            answer.is_short = num_words < long;
            answer
        };
        let mut answers: Vec<Answer> = comparison.responses.iter().map(answer).collect();
        answers.sort_unstable();
        answers.dedup();
        answers
    }
}

/// The id in lower case, when it is one that a collection gives.
fn id_of(comparison: &Comparison) -> Option<String> {
    let id = comparison.id.trim();
    is_of_a_collection(id).then(|| id.to_lowercase())
}

/// Words of the user's messages.
fn question_of(comparison: &Comparison) -> Words {
    let of_prompt = comparison.prompt.iter();
    let of_response = comparison.responses.first().into_iter().flatten();
    let users = of_prompt.chain(of_response).filter(|message| message.role == "user");
    let mut hashes = Vec::new();
    for message in users {
        hashes.extend(words(&normalized(&text(message))).map(hash_of_word));
    }
    Words(hashes)
}

/// The rows of a thing that has just been numbered.
fn rows_at(rows: &mut Vec<Vec<u32>>, number: u32) -> &mut Vec<u32> {
    if rows.len() <= number as usize {
        rows.push(Vec::new());
    }
    &mut rows[number as usize]
}

/// Overlaps of one record, in the order in which they were found.
struct Found<'a> {
    index: &'a BenchmarkIndex,
    overlaps: Vec<(u32, OverlapKind, String)>,
}

impl Found<'_> {
    fn push(&mut self, row: u32, kind: OverlapKind, evidence: String) {
        self.overlaps.push((row, kind, evidence));
    }

    /// The first overlap of each kind with each row.
    fn into_overlaps(mut self) -> Vec<Overlap> {
        self.overlaps.sort_by_key(|(row, kind, _)| (*row, *kind));
        self.overlaps.dedup_by_key(|(row, kind, _)| (*row, *kind));
        let overlap = |(row, kind, evidence): (u32, OverlapKind, String)| {
            let row = &self.index.rows[row as usize];
            let benchmark = self.index.benchmarks[row.benchmark as usize].clone();
            Overlap { benchmark, row: row.name.clone(), kind, evidence }
        };
        self.overlaps.into_iter().map(overlap).collect()
    }
}

#[cfg(test)]
mod tests;
