//! Reading and encoding rows ahead of the model, on a thread of their own.

use engine::Device;
use prompt::{Encoded, Processor, Row, RowError};
use rayon::prelude::*;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

/// Rows that are encoded at a time; bounds the memory of decoded pictures.
const ROWS_AT_A_TIME: usize = 8;

/// An input row, ready for the model or refused.
pub(super) struct Prepared {
    pub(super) line: usize,
    pub(super) id: String,
    pub(super) conversations: Result<Vec<Encoded>, String>,
}

/// Where rows come from.
pub(super) struct Source {
    reader: BufReader<Box<dyn Read + Send>>,
    /// Folder that relative picture paths start at.
    base: PathBuf,
    /// Rows in the file; not known of a stream.
    pub(super) num_rows: Option<u64>,
}

impl Source {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        if path == Path::new("-") {
            let reader: Box<dyn Read + Send> = Box::new(std::io::stdin());
            return Ok(Self { reader: BufReader::new(reader), base: PathBuf::new(), num_rows: None });
        }
        let num_rows = count_rows(path)?;
        let reader: Box<dyn Read + Send> = Box::new(std::fs::File::open(path)?);
        let base = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self { reader: BufReader::with_capacity(1 << 20, reader), base, num_rows: Some(num_rows) })
    }

    /// Sends every row in order; `done` are the ids of leading rows that are skipped.
    ///
    /// # Errors
    /// If reading fails, or the skipped rows are not those of the input.
    pub(super) fn send_all(
        mut self,
        processor: &Processor,
        device: &Device,
        done: &[String],
        sender: &SyncSender<Prepared>,
    ) -> anyhow::Result<()> {
        let mut line_number = 0;
        let mut done = done.iter().enumerate();
        loop {
            let mut rows: Vec<(usize, Result<Row, Prepared>)> = Vec::with_capacity(ROWS_AT_A_TIME);
            while rows.len() < ROWS_AT_A_TIME {
                let Some(bytes) = self.next_line(&mut line_number)? else { break };
                let row = parse(&bytes, line_number, &self.base);
                let id = match &row {
                    Ok(row) => &row.id,
                    Err(refused) => &refused.id,
                };
                match done.next() {
                    Some((index, expected)) => check_done(index, expected, id, line_number)?,
                    None => rows.push((line_number, row)),
                }
            }
            if rows.is_empty() {
                return match done.next() {
                    Some((index, id)) => Err(anyhow::anyhow!(
                        "cannot resume: row {} (`{id}`) of the output is not in the input, which ends before",
                        index + 1
                    )),
                    None => Ok(()),
                };
            }
            let prepared: Vec<Prepared> = device
                .run(|| rows.into_par_iter().map(|(line, row)| prepare(line, row, processor)).collect());
            for row in prepared {
                if sender.send(row).is_err() {
                    return Ok(());
                }
            }
        }
    }

    /// The next line that is not blank, without its end.
    fn next_line(&mut self, line_number: &mut usize) -> std::io::Result<Option<Vec<u8>>> {
        loop {
            let mut bytes = Vec::new();
            if self.reader.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            *line_number += 1;
            if !bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(bytes));
            }
        }
    }
}

fn parse(bytes: &[u8], line: usize, base: &Path) -> Result<Row, Prepared> {
    let refused = |reason: String| Prepared {
        line,
        id: line.to_string(),
        conversations: Err(reason),
    };
    let text = str::from_utf8(bytes).map_err(|error| {
        refused(format!("column {}: not UTF-8 text; save the file as UTF-8", error.valid_up_to() + 1))
    })?;
    Row::parse(text.trim_end_matches(['\n', '\r']), line, base).map_err(|error| match error {
        RowError::Malformed { column, reason, .. } => refused(format!("column {column}: {reason}")),
        other => refused(other.to_string()),
    })
}

fn prepare(line: usize, row: Result<Row, Prepared>, processor: &Processor) -> Prepared {
    let row = match row {
        Ok(row) => row,
        Err(refused) => return refused,
    };
    let conversations = row
        .conversations()
        .map_err(|error| error.to_string())
        .and_then(|all| processor.encode_all(&all).map_err(|error| error.to_string()));
    Prepared { line, id: row.id, conversations }
}

fn check_done(index: usize, expected: &str, id: &str, line: usize) -> anyhow::Result<()> {
    if expected == id {
        return Ok(());
    }
    anyhow::bail!(
        "cannot resume: row {} of the output is `{expected}`, but the input has `{id}` there (line {line}); \
         the output belongs to another input",
        index + 1
    )
}

fn count_rows(path: &Path) -> std::io::Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 20, std::fs::File::open(path)?);
    let (mut rows, mut blank) = (0, true);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(rows + u64::from(!blank));
        }
        for &byte in buffer {
            if byte == b'\n' {
                rows += u64::from(!blank);
                blank = true;
            } else if !byte.is_ascii_whitespace() {
                blank = false;
            }
        }
        let len = buffer.len();
        reader.consume(len);
    }
}
