//! The lines of an input that hold rows, and a mark by which an input is known again.
//!
//! Blank lines are numbered but not given out. What a line says is not looked at.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Result};
use std::path::Path;

/// Bytes that are read at a time.
const BUFFER_BYTES: usize = 1 << 20;
/// What some editors write before the first character of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reader of lines that are not blank.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    number: usize,
}

/// A line without its end.
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) bytes: Vec<u8>,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER_BYTES, reader), number: 0 }
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            if self.reader.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.number == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
            }
            if !bytes.iter().all(u8::is_ascii_whitespace) {
                while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                    bytes.pop();
                }
                return Ok(Some(Line { number: self.number, bytes }));
            }
        }
    }

    /// Whether a whole line is there without waiting for it.
    pub(super) fn has_line_ready(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }
}

/// Number and content of the rows at the beginning of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputMark {
    pub(super) rows: u64,
    hash: String,
}

impl InputMark {
    /// Reads a file as far as its first `limit` rows, or all of it.
    pub(super) fn read(path: &Path, limit: Option<u64>) -> Result<Self> {
        let mut lines = Lines::new(File::open(path)?);
        let mut hasher = blake3::Hasher::new();
        let mut rows = 0;
        while limit.is_none_or(|limit| rows < limit) {
            let Some(line) = lines.next()? else { break };
            hasher.update(&line.bytes).update(b"\n");
            rows += 1;
        }
        Ok(Self { rows, hash: hasher.finalize().to_hex()[..32].to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(usize, String)> {
        let mut lines = Lines::new(text.as_bytes());
        let next = || {
            lines.next().unwrap().map(|line| (line.number, String::from_utf8(line.bytes).unwrap()))
        };
        std::iter::from_fn(next).collect()
    }

    fn mark(text: &str, limit: Option<u64>) -> InputMark {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        std::fs::write(&path, text).unwrap();
        InputMark::read(&path, limit).unwrap()
    }

    #[test]
    fn blank_lines_count_in_the_numbers_and_nowhere_else() {
        let expected = [(2, "a".to_owned()), (4, " b".to_owned()), (5, "c".to_owned())];
        assert_eq!(rows("\na\r\n \t\n b\nc"), expected);
        assert_eq!(rows(""), []);
        assert_eq!(
            rows("\u{feff}a\n\u{feff}b"),
            [(1, "a".to_owned()), (2, "\u{feff}b".to_owned())]
        );
    }

    #[test]
    fn a_mark_knows_the_rows_and_not_the_blank_lines_between_them() {
        assert_eq!(mark("a\nb\n", None), mark("\na\r\n\nb", None));
        assert_ne!(mark("a\nb\n", None), mark("ab\n", None));
        assert_ne!(mark("a\nb\n", None), mark("a\nc\n", None));
        assert_eq!(mark("a\nb\nc", Some(2)), mark("a\nb", None));
        assert_ne!(mark("a", Some(2)), mark("a\nb", None));
    }
}
