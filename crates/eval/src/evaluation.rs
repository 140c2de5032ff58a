//! The result of a benchmark: everything that its reports show, and what `evaluation.json` holds.
//!
//! No times, and of the machine only paths as they were given and the CPU tier: there the same command writes the same bytes.

use serde::{Deserialize, Serialize};

use crate::contamination::Contamination;
use crate::figure::Figure;
use crate::probes::Probes;

/// Result of one benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Which benchmark.
    pub benchmark: BenchmarkFacts,
    /// What was evaluated: the model's name as it was given, or that of the file of rewards.
    pub model: String,
    /// How many rows there were, and what became of them.
    pub rows: RowCounts,
    /// The official figures, the headline first.
    pub figures: Vec<Figure>,
    /// What tells whether to trust them; absent without any pair.
    pub probes: Option<Probes>,
    /// Whether the model was trained on these rows, as far as is known.
    #[serde(default)]
    pub contamination: Contamination,
    /// What a reader has to know besides, most important first.
    pub notes: Vec<Note>,
    /// Rows that have no rewards, in the order of the files.
    pub failed: Vec<FailedRow>,
    /// Settings, versions and hashes, as names and values.
    pub provenance: Vec<(String, String)>,
}

/// A benchmark, as its reports name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchmarkFacts {
    /// Name on the command line.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Paper and repository.
    pub source: String,
    /// What the figures can be compared with, and what not.
    pub caveats: Vec<String>,
}

/// What became of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// Rows of the files.
    pub found: u64,
    /// Rows that the figures are over.
    pub scored: u64,
    /// Rows of the published revision that is nearest; absent where there is none.
    pub published: Option<u64>,
    /// Rows of which the responses were scored in reversed order, too, and got the same bits.
    pub checked_reversed: u64,
}

/// A sentence about the data or the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Whether the figures are not what the benchmark's name promises: rows are missing, or more than published.
    pub is_warning: bool,
    /// The sentence.
    pub text: String,
}

/// A row that has no rewards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRow {
    /// Number of the row in the files, from 0.
    pub row: usize,
    /// Its name, or its file and number.
    pub id: String,
    /// Why.
    pub error: String,
}
