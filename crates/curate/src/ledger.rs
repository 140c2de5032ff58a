//! What became of every row: counts by source and stage, and each record that was dropped with its reason.
//!
//! Plain data that is added up; it is shown and written elsewhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Step of curation at which a record can leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The row cannot be used.
    Read,
    /// A picture of the record is missing or damaged.
    Pictures,
    /// A filter of the recipe.
    Filter,
    /// It says what another record says.
    Duplicates,
    /// It overlaps with a benchmark.
    Decontamination,
    /// Its label is doubtful.
    Labels,
    /// More than the recipe wants over one picture or prompt.
    Caps,
    /// More than the mixture wants of its source.
    Mix,
}

/// A record that left.
///
/// Every field is always written: the work folder's form has no names of fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// Name of its source in the recipe.
    pub source: String,
    /// Its file.
    pub file: String,
    /// Its place in the file, such as `line 3`.
    pub place: String,
    /// Its id, when it has one.
    pub id: Option<String>,
    /// Where it left.
    pub stage: Stage,
    /// Why, in words that are the same for all records that left for this reason.
    pub reason: String,
    /// What is particular to this record: the key at fault, the record that it repeats, the benchmark's row.
    pub detail: Option<String>,
}

/// Counts of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCounts {
    /// Rows in its files.
    pub rows: u64,
    /// Comparisons that could be read from them.
    pub comparisons: u64,
    /// Records that were made of those.
    pub records: u64,
    /// Records in the result; repeated ones once for each time.
    pub kept: u64,
    /// Of these, records held back for validation.
    pub validation: u64,
    /// Records in the result whose label was turned.
    pub flipped: u64,
    /// Records dropped, by stage and reason.
    pub dropped: BTreeMap<Stage, BTreeMap<String, u64>>,
}

impl SourceCounts {
    /// Counts a record that left.
    pub fn drop(&mut self, stage: Stage, reason: &str) {
        *self.dropped.entry(stage).or_default().entry(reason.to_owned()).or_default() += 1;
    }

    /// Adds counts of other rows of the same source.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.comparisons += other.comparisons;
        self.records += other.records;
        self.kept += other.kept;
        self.validation += other.validation;
        self.flipped += other.flipped;
        for (stage, reasons) in &other.dropped {
            for (reason, count) in reasons {
                *self.dropped.entry(*stage).or_default().entry(reason.clone()).or_default() +=
                    count;
            }
        }
    }

    /// Records and rows dropped at a stage.
    pub fn dropped_at(&self, stage: Stage) -> u64 {
        self.dropped.get(&stage).map_or(0, |reasons| reasons.values().sum())
    }
}
