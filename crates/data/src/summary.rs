//! What a data set holds, counted over all its rows.
//!
//! Pictures are not opened; whether their files exist shows when they are needed.

use std::collections::BTreeMap;
use std::fmt;

use prompt::Part;
use serde::{Serialize, Serializer};

use crate::comparison::Comparison;
use crate::dataset::Dataset;
use crate::error::{RowError, RowFault};
use crate::value::Value;

/// Bad rows that are kept as examples.
const MAX_EXAMPLES: usize = 20;

/// Counts over a [`Dataset`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// All rows.
    pub rows: usize,
    /// Rows that prefer some response.
    pub comparisons: usize,
    /// Pairs of a better and a worse response.
    pub pairs: usize,
    /// Twos of different responses with one rank, in all rows that could be read.
    pub ties: usize,
    /// Twos of responses that say the same, in all rows that could be read.
    pub equal_responses: usize,
    /// Rows that could be read and prefer no response.
    pub without_preference: usize,
    /// Comparisons with at least one picture.
    pub with_images: usize,
    /// Comparisons without a picture.
    pub text_only: usize,
    /// Rows that could not be read, by reason.
    pub bad_rows: BTreeMap<String, usize>,
    /// The first rows that could not be read.
    #[serde(serialize_with = "as_sentences")]
    pub examples: Vec<RowError>,
    /// Keys that the formats do not know, with the number of rows that have them.
    pub unknown_keys: BTreeMap<String, usize>,
}

impl Dataset {
    /// Reads all rows and counts.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for file in self.files() {
            for (row, value) in file.scan() {
                if let Ok(Value::Object(entries)) = &value {
                    let unknown = entries
                        .iter()
                        .filter(|(key, value)| *value != Value::Null && !file.format().knows(key));
                    for (key, _) in unknown {
                        *summary.unknown_keys.entry(key.clone()).or_default() += 1;
                    }
                }
                summary.add(file.comparison(row, value));
            }
        }
        summary
    }
}

impl Summary {
    /// Number of rows that could not be read.
    pub fn num_bad_rows(&self) -> usize {
        self.bad_rows.values().sum()
    }

    /// Counts one row, for a caller that reads the rows anyway.
    pub fn add(&mut self, row: Result<Comparison, RowError>) {
        self.add_rows(1, row);
    }

    /// Counts rows that make one comparison together.
    pub fn add_rows(&mut self, num_rows: usize, comparison: Result<Comparison, RowError>) {
        self.rows += num_rows;
        match comparison {
            Ok(comparison) => {
                self.comparisons += 1;
                self.pairs += comparison.pairs().len();
                self.ties += comparison.num_ties();
                self.equal_responses += comparison.num_equal_responses();
                if has_pictures(&comparison) {
                    self.with_images += 1;
                } else {
                    self.text_only += 1;
                }
            }
            Err(RowError {
                fault: RowFault::NoPreference { ties, equal_responses, .. }, ..
            }) => {
                self.without_preference += 1;
                self.ties += ties;
                self.equal_responses += equal_responses;
            }
            Err(error) => {
                *self.bad_rows.entry(error.fault.reason()).or_default() += 1;
                if self.examples.len() < MAX_EXAMPLES {
                    self.examples.push(error);
                }
            }
        }
    }
}

fn as_sentences<S: Serializer>(errors: &[RowError], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(errors.iter().map(RowError::to_string))
}

fn has_pictures(comparison: &Comparison) -> bool {
    let messages = comparison.prompt.iter().chain(comparison.responses.iter().flatten());
    messages.flat_map(|message| &message.content).any(|part| !matches!(part, Part::Text(_)))
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, comparisons, pairs, with_images, text_only, .. } = self;
        writeln!(
            out,
            "rows {rows}: comparisons {comparisons} (with pictures {with_images}, text only {text_only}), pairs {pairs}"
        )?;
        writeln!(
            out,
            "left out: ties {}, equal responses {}, rows that prefer nothing {}, bad rows {}",
            self.ties,
            self.equal_responses,
            self.without_preference,
            self.num_bad_rows()
        )?;
        for (reason, count) in &self.bad_rows {
            writeln!(out, "  {count} x {reason}")?;
        }
        if !self.unknown_keys.is_empty() {
            let keys: Vec<String> =
                self.unknown_keys.iter().map(|(key, count)| format!("`{key}` ({count})")).collect();
            writeln!(out, "keys that are not read: {}", keys.join(", "))?;
        }
        Ok(())
    }
}
