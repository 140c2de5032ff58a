//! `skipped.jsonl`: every row that was not used as it stands in the data, once, with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::prepare::Affected;

/// Name of the file in a run folder.
pub const SKIPPED_FILE: &str = "skipped.jsonl";

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedLine {
    /// Steps that were done when the row came.
    pub step: u64,
    /// `train` or `held_out`.
    pub side: String,
    /// Number of the row in the data, counted from 0.
    pub row: usize,
    /// Its id.
    pub id: String,
    /// `skipped` or `shrunk`.
    pub fate: String,
    /// Why, without what differs from row to row.
    pub reason: String,
    /// Why, in full.
    pub detail: String,
}

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct SkippedLog {
    path: PathBuf,
    file: File,
    seen: BTreeSet<(String, usize)>,
    counts: BTreeMap<String, usize>,
    skipped: usize,
}

impl SkippedLog {
    /// Opens the file of a run; lines after step `last_step` go.
    pub(crate) fn open(run_folder: &Path, last_step: u64) -> Result<Self, TrainError> {
        let path = run_folder.join(SKIPPED_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(TrainError::read(&path, error)),
        };
        // A torn last line belongs to a step that is done again.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<SkippedLine>(line).ok());
        let kept: Vec<SkippedLine> = lines.filter(|line| line.step <= last_step).collect();
        let mut content = String::new();
        for line in &kept {
            content.push_str(&to_line(line));
        }
        let fault = |source| TrainError::write(&path, source);
        fs::write(&path, content).map_err(fault)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(fault)?;
        let mut log =
            Self { path, file, seen: BTreeSet::new(), counts: BTreeMap::new(), skipped: 0 };
        for line in &kept {
            log.count(line);
        }
        Ok(log)
    }

    /// Lists rows that are not listed yet.
    pub(crate) fn add(
        &mut self,
        step: u64,
        side: &str,
        affected: &[Affected],
    ) -> Result<(), TrainError> {
        for one in affected {
            let line = SkippedLine {
                step,
                side: side.to_owned(),
                row: one.row,
                id: one.id.clone(),
                fate: one.fate.name().to_owned(),
                reason: one.reason.clone(),
                detail: one.detail.clone(),
            };
            if self.count(&line) {
                self.file
                    .write_all(to_line(&line).as_bytes())
                    .map_err(|source| TrainError::write(&self.path, source))?;
            }
        }
        Ok(())
    }

    /// Counts a line; false when its row is known.
    fn count(&mut self, line: &SkippedLine) -> bool {
        let is_new = self.seen.insert((line.side.clone(), line.row));
        if is_new {
            *self.counts.entry(format!("{}: {}", line.fate, line.reason)).or_default() += 1;
            self.skipped += usize::from(line.fate == "skipped");
        }
        is_new
    }

    /// Rows left out.
    pub(crate) fn num_skipped(&self) -> usize {
        self.skipped
    }

    /// Rows by what became of them and why.
    pub(crate) fn counts(&self) -> &BTreeMap<String, usize> {
        &self.counts
    }
}

fn to_line(line: &SkippedLine) -> String {
    let mut text = serde_json::to_string(line).expect("a line is plain data");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::Fate;

    fn affected(row: usize) -> Affected {
        Affected {
            row,
            id: format!("r{row}"),
            fate: Fate::Skipped,
            reason: "not a picture".to_owned(),
            detail: "all of it".to_owned(),
        }
    }

    #[test]
    fn each_row_is_listed_once_and_lines_after_the_resumed_step_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = SkippedLog::open(folder.path(), 0).unwrap();
        log.add(1, "train", &[affected(3), affected(4)]).unwrap();
        log.add(2, "train", &[affected(3)]).unwrap();
        log.add(5, "train", &[affected(9)]).unwrap();
        log.add(5, "held_out", &[affected(3)]).unwrap();
        assert_eq!(log.num_skipped(), 4);
        drop(log);
        let path = folder.path().join(SKIPPED_FILE);
        let torn = format!("{}{{\"step\":1,", fs::read_to_string(&path).unwrap());
        fs::write(&path, torn).unwrap();
        let mut log = SkippedLog::open(folder.path(), 4).unwrap();
        assert_eq!(log.num_skipped(), 2);
        log.add(6, "train", &[affected(4), affected(9)]).unwrap();
        assert_eq!(log.counts()["skipped: not a picture"], 3);
        let text = fs::read_to_string(&path).unwrap();
        let rows: Vec<usize> = text
            .lines()
            .map(|line| serde_json::from_str::<SkippedLine>(line).unwrap().row)
            .collect();
        assert_eq!(rows, [3, 4, 9]);
    }
}
