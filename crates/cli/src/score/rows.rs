//! Reading and encoding rows ahead of the model, on a thread of their own.

use anyhow::{Context, anyhow, bail};
use engine::Device;
use prompt::{Encoded, Processor, Row, RowError};
use rayon::prelude::*;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

use super::lines::{InputMark, Line, Lines};
use super::target::Done;

/// Rows that are encoded at a time; bounds the memory of decoded pictures.
const ROWS_AT_A_TIME: usize = 8;

/// An input row, ready for the model or refused.
pub(super) struct Prepared {
    pub(super) line: usize,
    pub(super) id: String,
    pub(super) conversations: Result<Vec<Encoded>, Refusal>,
}

/// Why a row does not reach the model.
pub(super) enum Refusal {
    /// The line cannot be read; the sentence names the place.
    Line(String),
    /// What the line asks for cannot be done.
    Row(String),
}

/// Where rows come from.
pub(super) struct Source {
    /// Path as given, for messages.
    pub(super) name: String,
    lines: Lines<Box<dyn Read + Send>>,
    /// Folder that relative picture paths start at.
    base: PathBuf,
    /// What the file holds; a stream is not known before its end.
    pub(super) mark: Option<InputMark>,
}

impl Source {
    /// Opens a file, a pipe, or `-` for standard input.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            let lines = Lines::new(Box::new(std::io::stdin()) as Box<dyn Read + Send>);
            let name = "standard input".to_owned();
            return Ok(Self { name, lines, base: PathBuf::new(), mark: None });
        }
        let name = path.display().to_string();
        let unreadable = || format!("cannot read `{name}`");
        let metadata = path.metadata().with_context(unreadable)?;
        if metadata.is_dir() {
            bail!("`{name}` is a folder; give a JSONL file of rows, or - for standard input");
        }
        // A pipe can be read once only, and the folder that it seems to lie in means nothing.
        let (mark, base) = if metadata.is_file() {
            let mark = InputMark::read(path, None).with_context(unreadable)?;
            (Some(mark), path.parent().map(Path::to_owned).unwrap_or_default())
        } else {
            (None, PathBuf::new())
        };
        let file: Box<dyn Read + Send> = Box::new(File::open(path).with_context(unreadable)?);
        Ok(Self { lines: Lines::new(file), name, base, mark })
    }

    /// Sends every row in order; `done` are the leading rows, which are skipped.
    ///
    /// # Errors
    /// If reading fails, or the skipped rows are not those of the input.
    pub(super) fn send_all(
        mut self,
        processor: &Processor,
        device: &Device,
        done: &[Done],
        sender: &SyncSender<Prepared>,
    ) -> anyhow::Result<()> {
        self.skip(done)?;
        loop {
            let lines = self.next_lines()?;
            if lines.is_empty() {
                return Ok(());
            }
            let prepared: Vec<Prepared> = device.run(|| {
                lines.into_par_iter().map(|line| prepare(&line, &self.base, processor)).collect()
            });
            for row in prepared {
                // Nobody listens any more when the scores cannot be written, which is reported there.
                if sender.send(row).is_err() {
                    return Ok(());
                }
            }
        }
    }

    fn skip(&mut self, done: &[Done]) -> anyhow::Result<()> {
        for (index, Done { id: expected, .. }) in done.iter().enumerate() {
            let number = index + 1;
            let line = self.next_line()?.ok_or_else(|| {
                anyhow!(
                    "cannot resume: row {number} of the output is `{expected}`, but {} has only {index} rows; \
                     the output belongs to another input",
                    self.name
                )
            })?;
            let found = match parse(&line, &self.base) {
                Ok(row) => row.id,
                Err(refused) => refused.id,
            };
            if found != *expected {
                bail!(
                    "cannot resume: row {number} of the output is `{expected}`, but {} has `{found}` there (line {}); \
                     the output belongs to another input",
                    self.name,
                    line.number
                );
            }
        }
        Ok(())
    }

    /// Some lines; of a stream, no more than have arrived, so that whoever waits for a score gets it.
    fn next_lines(&mut self) -> anyhow::Result<Vec<Line>> {
        let is_stream = self.mark.is_none();
        let mut lines = Vec::with_capacity(ROWS_AT_A_TIME);
        while lines.len() < ROWS_AT_A_TIME {
            if is_stream && !lines.is_empty() && !self.lines.has_line_ready() {
                break;
            }
            let Some(line) = self.next_line()? else { break };
            lines.push(line);
        }
        Ok(lines)
    }

    fn next_line(&mut self) -> anyhow::Result<Option<Line>> {
        self.lines.next().with_context(|| format!("cannot read {}", self.name))
    }
}

fn prepare(line: &Line, base: &Path, processor: &Processor) -> Prepared {
    let row = match parse(line, base) {
        Ok(row) => row,
        Err(refused) => return refused,
    };
    let conversations = row
        .conversations()
        .map_err(|error| error.to_string())
        .and_then(|all| processor.encode_all(&all).map_err(|error| error.to_string()))
        .map_err(Refusal::Row);
    Prepared { line: line.number, id: row.id, conversations }
}

fn parse(line: &Line, base: &Path) -> Result<Row, Prepared> {
    let refused = |id: Option<String>, refusal: Refusal| Prepared {
        line: line.number,
        id: id.unwrap_or_else(|| line.number.to_string()),
        conversations: Err(refusal),
    };
    let text = str::from_utf8(&line.bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&line.bytes[..error.valid_up_to()]);
        let column = before.chars().count() + 1;
        let number = line.number;
        refused(
            None,
            Refusal::Line(format!(
                "line {number}, column {column}: not UTF-8 text; save the file as UTF-8"
            )),
        )
    })?;
    Row::parse(text, line.number, base).map_err(|error| match error {
        RowError::Malformed { .. } => refused(stated_id(text), Refusal::Line(error.to_string())),
        _ => refused(stated_id(text), Refusal::Row(error.to_string())),
    })
}

/// The id of a line that is JSON but not a row, so that its output row can be matched with it.
fn stated_id(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    match value.get("id")? {
        serde_json::Value::String(id) => Some(id.clone()),
        serde_json::Value::Number(id) if !id.is_f64() => Some(id.to_string()),
        _ => None,
    }
}
