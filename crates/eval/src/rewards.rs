//! The file of rewards: one line of JSON for each row of a benchmark, written while scoring and read back without a model.
//!
//! `{"row": 0, "id": "a", "scores": [1.5, -0.25]}`, with `blind_scores` and `swapped_scores` where they were asked for, or with
//! `error` instead of scores. A score that is no finite number is null.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Rewards of one row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardLine {
    /// Number of the row in the benchmark's files, from 0.
    pub row: usize,
    /// Name of the row, checked against the benchmark's.
    pub id: String,
    /// `[responses]` in the order of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Vec<Option<f32>>>,
    /// The same without pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind_scores: Option<Vec<Option<f32>>>,
    /// The same with the pictures of another row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swapped_scores: Option<Vec<Option<f32>>>,
    /// Why there are no scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A file of rewards that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RewardsError {
    /// The file cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A line that is no line of rewards.
    #[error(
        "`{}`, line {line}: {reason}; a line is like {{\"row\": 0, \"id\": \"a\", \"scores\": [1.5, -0.25]}}",
        path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Scores as a line holds them.
pub fn to_line(scores: &[f32]) -> Vec<Option<f32>> {
    scores.iter().map(|score| score.is_finite().then_some(*score)).collect()
}

/// Scores of a line; null is not a number.
pub fn from_line(scores: &[Option<f32>]) -> Vec<f32> {
    scores.iter().map(|score| score.unwrap_or(f32::NAN)).collect()
}

/// Reads a file of rewards.
///
/// # Errors
/// A file that cannot be read, and a line that is no line of rewards.
pub fn read(path: &Path) -> Result<Vec<RewardLine>, RewardsError> {
    let io_error = |source| RewardsError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io_error)?;
    let mut lines = Vec::new();
    for (index, text) in BufReader::new(file).lines().enumerate() {
        let text = text.map_err(io_error)?;
        if !text.trim().is_empty() {
            lines.push(parse(path, index + 1, &text)?);
        }
    }
    Ok(lines)
}

fn parse(path: &Path, line: usize, text: &str) -> Result<RewardLine, RewardsError> {
    let fault = |reason: String| RewardsError::Line { path: path.to_owned(), line, reason };
    let found: RewardLine = serde_json::from_str(text).map_err(|error| fault(error.to_string()))?;
    match (&found.scores, &found.error) {
        (None, None) => Err(fault("neither `scores` nor `error`".to_owned())),
        (Some(_), Some(_)) => Err(fault("both `scores` and `error`".to_owned())),
        _ => Ok(found),
    }
}

/// A file of rewards that grows line by line; what was written survives the end of the process.
#[derive(Debug)]
pub struct RewardsWriter {
    path: PathBuf,
    file: File,
}

impl RewardsWriter {
    /// Begins a file anew.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn create(path: &Path) -> Result<Self, RewardsError> {
        let file = File::create(path)
            .map_err(|source| RewardsError::Io { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Opens an interrupted file behind its last whole line; gives its lines, too.
    ///
    /// # Errors
    /// Whatever the operating system says, and a whole line that is none of rewards.
    pub fn resume(path: &Path) -> Result<(Self, Vec<RewardLine>), RewardsError> {
        let io_error = |source| RewardsError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(io_error)?;
        let (mut lines, mut end, mut text) = (Vec::new(), 0, Vec::new());
        let mut reader = BufReader::new(&mut file);
        // Bytes, not text: the cut may be inside of a character.
        while reader.read_until(b'\n', &mut text).map_err(io_error)? > 0 && text.ends_with(b"\n") {
            let whole = String::from_utf8_lossy(&text);
            lines.push(parse(path, lines.len() + 1, &whole)?);
            end += text.len() as u64;
            text.clear();
        }
        file.set_len(end).map_err(io_error)?;
        file.seek(SeekFrom::End(0)).map_err(io_error)?;
        Ok((Self { path: path.to_owned(), file }, lines))
    }

    /// Adds lines.
    ///
    /// # Errors
    /// Whatever the operating system says, such as a full disk.
    pub fn write(&mut self, lines: &[RewardLine]) -> Result<(), RewardsError> {
        let mut text = String::new();
        for line in lines {
            text += &serde_json::to_string(line).expect("rewards are plain JSON");
            text.push('\n');
        }
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush());
        written.map_err(|source| RewardsError::Io { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(row: usize) -> RewardLine {
        let scores = Some(to_line(&[0.1, f32::NAN, -3e-7]));
        RewardLine { row, id: format!("é{row}"), scores, ..RewardLine::default() }
    }

    #[test]
    fn rewards_come_back_with_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rewards.jsonl");
        RewardsWriter::create(&path).unwrap().write(&[line(0), line(1)]).unwrap();
        let lines = read(&path).unwrap();
        assert_eq!(lines, [line(0), line(1)]);
        let scores = from_line(lines[0].scores.as_ref().unwrap());
        assert_eq!(scores[0].to_bits(), 0.1f32.to_bits());
        assert!(scores[1].is_nan());
    }

    #[test]
    fn an_interrupted_file_goes_on_behind_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rewards.jsonl");
        RewardsWriter::create(&path).unwrap().write(&[line(0), line(1), line(2)]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut writer, done) = RewardsWriter::resume(&path).unwrap();
            let rest: Vec<RewardLine> = (done.len()..3).map(line).collect();
            writer.write(&rest).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole, "cut after byte {cut}");
        }
    }

    #[test]
    fn a_line_without_scores_names_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rewards.jsonl");
        std::fs::write(&path, "\n{\"row\":0,\"id\":\"a\"}\n").unwrap();
        let said = read(&path).unwrap_err().to_string();
        assert!(said.contains("rewards.jsonl`, line 2: neither `scores` nor `error`"), "{said}");
    }
}
