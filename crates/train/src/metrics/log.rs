//! The file `metrics.jsonl`: one line for each step, appended and handed to the operating system at once.
//!
//! A run that was killed may leave half a line behind; opening the log for a resumed run takes it away. The file is not
//! fsynced: it is a record for people, and the state of a run does not depend on it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use super::{METRICS_FILE, StepMetrics};

/// Log that is open for appending.
#[derive(Debug)]
pub struct MetricsLog {
    file: File,
}

impl MetricsLog {
    /// Opens the log of a run folder and keeps only the lines of the steps up to `last_step`, the step of the checkpoint
    /// that the run goes on from. For a new run `last_step` is `None` and nothing is kept.
    ///
    /// # Errors
    /// Whatever the operating system says, and [`io::ErrorKind::InvalidData`] for a line in the middle of the file that cannot be
    /// read. A last line without its line feed is half a line and is dropped.
    pub fn open(run_folder: &Path, last_step: Option<u64>) -> io::Result<Self> {
        let path = run_folder.join(METRICS_FILE);
        let mut file =
            OpenOptions::new().create(true).read(true).append(true).truncate(false).open(&path)?;
        let kept_bytes = match last_step {
            Some(step) => bytes_up_to(step, &mut file, &path)?,
            None => 0,
        };
        file.set_len(kept_bytes)?;
        Ok(Self { file })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn append(&mut self, metrics: &StepMetrics) -> io::Result<()> {
        let mut line = metrics.to_json_line();
        line.push('\n');
        // One write for one line: a reader that follows the file sees whole lines.
        self.file.write_all(line.as_bytes())
    }
}

/// Reads a log for the report. A last line that is half written is passed over.
///
/// # Errors
/// Whatever the operating system says, and [`io::ErrorKind::InvalidData`] for a whole line that cannot be read.
pub fn read_metrics(run_folder: &Path) -> io::Result<Vec<StepMetrics>> {
    let path = run_folder.join(METRICS_FILE);
    let mut history = Vec::new();
    for_each_line(&mut File::open(&path)?, &path, |metrics, _| history.push(metrics))?;
    Ok(history)
}

/// Length of the file up to the last line whose step is at most `last_step`.
fn bytes_up_to(last_step: u64, file: &mut File, path: &Path) -> io::Result<u64> {
    let mut kept_bytes = 0;
    for_each_line(file, path, |metrics, end| {
        if metrics.step <= last_step {
            kept_bytes = end;
        }
    })?;
    Ok(kept_bytes)
}

/// Calls `visit` with each whole line and the place behind it.
fn for_each_line(
    file: &mut File,
    path: &Path,
    mut visit: impl FnMut(StepMetrics, u64),
) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut end = 0;
    for number in 1.. {
        line.clear();
        end += reader.read_until(b'\n', &mut line)? as u64;
        if line.pop() != Some(b'\n') {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        let metrics = StepMetrics::from_json_line(&text).ok_or_else(|| {
            let message = format!(
                "line {number} of `{}` is no line of metrics; mend or remove the file",
                path.display()
            );
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        visit(metrics, end);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::trained;
    use super::*;

    fn text_of(folder: &Path) -> String {
        fs::read_to_string(folder.join(METRICS_FILE)).unwrap()
    }

    fn write_steps(folder: &Path, steps: impl IntoIterator<Item = u64>) {
        let mut log = MetricsLog::open(folder, None).unwrap();
        for step in steps {
            log.append(&trained(step)).unwrap();
        }
    }

    #[test]
    fn every_line_is_in_the_file_as_soon_as_it_is_appended() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = MetricsLog::open(folder.path(), None).unwrap();
        for step in 1..=3 {
            log.append(&trained(step)).unwrap();
            assert_eq!(read_metrics(folder.path()).unwrap().len() as u64, step);
        }
    }

    #[test]
    fn a_resumed_log_has_the_bytes_of_an_uninterrupted_one() {
        let folder = tempfile::tempdir().unwrap();
        write_steps(folder.path(), 1..=6);
        let whole = text_of(folder.path());
        for last_step in 0..=6 {
            let mut log = MetricsLog::open(folder.path(), Some(last_step)).unwrap();
            for step in last_step + 1..=6 {
                log.append(&trained(step)).unwrap();
            }
            assert_eq!(text_of(folder.path()), whole, "resumed after {last_step}");
        }
    }

    #[test]
    fn a_log_that_was_cut_anywhere_is_taken_up_again() {
        let folder = tempfile::tempdir().unwrap();
        write_steps(folder.path(), 1..=3);
        let whole = text_of(folder.path());
        let first_two = whole.match_indices('\n').nth(1).unwrap().0 + 1;
        for cut in first_two..whole.len() {
            fs::write(folder.path().join(METRICS_FILE), &whole[..cut]).unwrap();
            assert_eq!(read_metrics(folder.path()).unwrap().len(), 2, "cut at {cut}");
            let mut log = MetricsLog::open(folder.path(), Some(2)).unwrap();
            log.append(&trained(3)).unwrap();
            assert_eq!(text_of(folder.path()), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_new_run_begins_an_empty_log() {
        let folder = tempfile::tempdir().unwrap();
        write_steps(folder.path(), 1..=3);
        drop(MetricsLog::open(folder.path(), None).unwrap());
        assert_eq!(text_of(folder.path()), "");
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        write_steps(folder.path(), 1..=2);
        let damaged = format!("{}oops\n", text_of(folder.path()));
        fs::write(folder.path().join(METRICS_FILE), &damaged).unwrap();
        let error = MetricsLog::open(folder.path(), Some(2)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().starts_with("line 3 of"), "{error}");
        assert_eq!(text_of(folder.path()), damaged);
    }
}
