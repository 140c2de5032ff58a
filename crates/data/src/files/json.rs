//! Rows of JSONL files and of JSON lists, found by their bytes. A list may be the only value of an object.
//!
//! Opening reads the file once and keeps where each row begins and ends; no row is parsed before it is asked for.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::unreadable;
use crate::error::{DataError, RowFault, RowPlace};
use crate::value::{Value, parse_json};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Places of the rows of a file.
#[derive(Debug)]
pub(crate) struct JsonRows {
    path: PathBuf,
    spans: Vec<Span>,
    is_list: bool,
}

/// Place of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u64,
    length: u64,
    /// Line or element, counted from 1.
    number: usize,
}

impl JsonRows {
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let (spans, is_list) = index(path)?;
        if spans.is_empty() {
            return Err(DataError::NoRows { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), spans, is_list })
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn place(&self, row: usize) -> RowPlace {
        let number = self.spans[row].number;
        if self.is_list { RowPlace::Row(number) } else { RowPlace::Line(number) }
    }

    pub(super) fn read(&self, row: usize) -> Result<Value, RowFault> {
        let bytes = self.bytes(self.spans[row]).map_err(|error| unread(&error))?;
        parse_bytes(&bytes)
    }

    /// Rows that follow each other, through one handle and one buffer.
    pub(super) fn scan(
        &self,
        range: Range<usize>,
    ) -> impl Iterator<Item = Result<Value, RowFault>> + '_ {
        let mut file = None;
        let mut position = 0;
        let mut bytes = Vec::new();
        range.map(move |row| {
            let span = self.spans[row];
            let opened = if let Some(opened) = file.take() {
                Ok(opened)
            } else {
                position = 0;
                open(&self.path)
            };
            let mut reader = opened.map_err(|error| unread(&error))?;
            bytes.resize(span.length as usize, 0);
            reader
                .seek_relative(span.start as i64 - position as i64)
                .and_then(|()| reader.read_exact(&mut bytes))
                .map_err(|error| unread(&error))?;
            position = span.start + span.length;
            file = Some(reader);
            parse_bytes(&bytes)
        })
    }

    // A handle for each row lets any number of threads read at once.
    fn bytes(&self, span: Span) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(span.start))?;
        let mut bytes = vec![0; span.length as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn unread(error: &io::Error) -> RowFault {
    RowFault::Unreadable { reason: error.to_string() }
}

fn parse_bytes(bytes: &[u8]) -> Result<Value, RowFault> {
    let text = std::str::from_utf8(bytes).map_err(|error| RowFault::Unreadable {
        reason: format!("it is not UTF-8 after byte {}", error.valid_up_to()),
    })?;
    parse_json(text)
}

/// The rows of a file, and whether it is one list.
fn index(path: &Path) -> Result<(Vec<Span>, bool), DataError> {
    let unreadable = |source| unreadable(path, source);
    let begin = first_character(&mut open(path).map_err(unreadable)?).map_err(unreadable)?;
    let Some((begin, character)) = begin else { return Ok((Vec::new(), false)) };
    let file = open(path).map_err(unreadable)?;
    if character != b'[' {
        if let Some(spans) = only_list(path, begin.position).map_err(unreadable)? {
            return Ok((spans, true));
        }
        return Ok((lines(file, begin.mark_length).map_err(unreadable)?, false));
    }
    let spans = elements(file, begin.position, false).map_err(|fault| match fault {
        ListFault::Io(source) => unreadable(source),
        ListFault::Form { reason, byte } => {
            DataError::JsonList { path: path.to_owned(), reason: reason.to_owned(), byte }
        }
    })?;
    Ok((spans, true))
}

fn open(path: &Path) -> io::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(1 << 20, File::open(path)?))
}

/// Where the content of a file begins.
struct Begin {
    mark_length: usize,
    position: u64,
}

/// The first byte that is no white space, and where it stands.
fn first_character(file: &mut BufReader<File>) -> io::Result<Option<(Begin, u8)>> {
    let has_mark = file.fill_buf()?.starts_with(BYTE_ORDER_MARK);
    let mark_length = if has_mark { BYTE_ORDER_MARK.len() } else { 0 };
    file.consume(mark_length);
    for (index, byte) in file.bytes().enumerate() {
        let byte = byte?;
        if !byte.is_ascii_whitespace() {
            let position = (mark_length + index) as u64;
            return Ok(Some((Begin { mark_length, position }, byte)));
        }
    }
    Ok(None)
}

/// The lines that are not blank; a byte order mark of `mark_length` bytes is no part of the first.
fn lines(mut file: BufReader<File>, mark_length: usize) -> io::Result<Vec<Span>> {
    let mut spans = Vec::new();
    let mut line = Vec::new();
    let mut start = mark_length as u64;
    file.seek(SeekFrom::Start(start))?;
    let mut number = 0;
    loop {
        line.clear();
        let length = file.read_until(b'\n', &mut line)? as u64;
        if length == 0 {
            return Ok(spans);
        }
        number += 1;
        if !line.trim_ascii().is_empty() {
            let length = line.trim_ascii_end().len() as u64;
            spans.push(Span { start, length, number });
        }
        start += length;
    }
}

/// The elements of the list that is the only value of the object at byte `begin`, when the file is such an object.
///
/// Lines of JSONL begin in the same way, so only files called `.json` are looked at.
fn only_list(path: &Path, begin: u64) -> io::Result<Option<Vec<Span>>> {
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        return Ok(None);
    }
    let mut file = open(path)?;
    file.seek(SeekFrom::Start(begin))?;
    let Some(list) = list_after_key(file)? else { return Ok(None) };
    match elements(open(path)?, begin + list, true) {
        Ok(spans) => Ok(Some(spans)),
        Err(ListFault::Form { .. }) => Ok(None),
        Err(ListFault::Io(source)) => Err(source),
    }
}

/// Where the list begins in a text that begins as `{"key": [`.
fn list_after_key(file: BufReader<File>) -> io::Result<Option<u64>> {
    let mut expected = b"{\"".iter();
    let mut next = expected.next();
    let (mut in_key, mut escaped) = (false, false);
    for (index, byte) in file.bytes().enumerate() {
        let byte = byte?;
        if in_key {
            in_key = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            if !in_key {
                expected = b":[".iter();
                next = expected.next();
            }
        } else if !byte.is_ascii_whitespace() {
            if next != Some(&byte) {
                return Ok(None);
            }
            if byte == b'[' {
                return Ok(Some(index as u64));
            }
            next = expected.next();
            in_key = next.is_none();
        }
    }
    Ok(None)
}

enum ListFault {
    Io(io::Error),
    Form { reason: &'static str, byte: u64 },
}

/// The elements of the list that begins at byte `begin`.
///
/// Only quotes, brackets and commas are looked at; what is wrong inside an element is that row's fault and found when it is read. After the
/// list of an object (`in_object`) comes the end of that object.
fn elements(file: BufReader<File>, begin: u64, in_object: bool) -> Result<Vec<Span>, ListFault> {
    let form = |reason, byte| Err(ListFault::Form { reason, byte });
    let mut spans = Vec::new();
    let (mut depth, mut in_text, mut escaped, mut closed) = (0_usize, false, false, false);
    let mut element: Option<(u64, u64)> = None;
    let mut position = begin;
    let mut waits_for_brace = in_object;
    for (index, byte) in file.bytes().skip(begin as usize).enumerate() {
        let byte = byte.map_err(ListFault::Io)?;
        position = begin + index as u64;
        if closed {
            if waits_for_brace && byte == b'}' {
                waits_for_brace = false;
            } else if !byte.is_ascii_whitespace() {
                return form("there is something after its end", position);
            }
            continue;
        }
        let is_inside = depth > 0;
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else {
            match byte {
                b'"' => in_text = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
        }
        let ends_element = !in_text && (depth == 0 || (depth == 1 && byte == b','));
        if ends_element {
            closed = depth == 0;
            match element.take() {
                Some((start, last)) => {
                    let number = spans.len() + 1;
                    spans.push(Span { start, length: last + 1 - start, number });
                }
                None if closed && spans.is_empty() => {}
                None => return form("an element is missing before this place", position),
            }
        } else if is_inside && !byte.is_ascii_whitespace() {
            let start = element.map_or(position, |(start, _)| start);
            element = Some((start, position));
        }
    }
    if closed && !waits_for_brace { Ok(spans) } else { form("it does not end", position) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn rows(content: &str) -> Result<Vec<String>, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let (spans, is_list) = index(file.path()).map_err(|error| {
            error.to_string().replace(&file.path().display().to_string(), "FILE")
        })?;
        let rows = JsonRows { path: file.path().to_owned(), spans, is_list };
        let text = |row: usize| {
            let bytes = rows.bytes(rows.spans[row]).unwrap();
            format!("{}: {}", rows.place(row), String::from_utf8(bytes).unwrap())
        };
        Ok((0..rows.len()).map(text).collect())
    }

    #[test]
    fn the_only_list_of_an_object_is_a_list_of_rows() {
        let folder = tempfile::tempdir().unwrap();
        let rows = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let rows = JsonRows::open(&path).unwrap();
            (rows.len(), rows.is_list, rows.read(0).is_ok())
        };
        assert_eq!(
            rows("a.json", "{\n \"pa\\\"irs\": [\n{\"a\": [1]},\n{\"a\": 2}] }\n"),
            (2, true, true)
        );
        assert_eq!(rows("a.jsonl", "{\"pairs\": [1, 2]}\n"), (1, false, true));
        assert_eq!(rows("b.json", "{\"prompt\": [1, 2], \"chosen\": 3}\n"), (1, false, true));
        assert_eq!(rows("c.json", "{\"prompt\": [1, 2]}\n{\"prompt\": [3]}\n"), (2, false, true));
    }

    #[test]
    fn blank_lines_are_counted_and_are_no_rows() {
        assert_eq!(
            rows("\n{\"a\":1}\r\n\n  {\"b\":2}").unwrap(),
            ["line 2: {\"a\":1}", "line 4:   {\"b\":2}"]
        );
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_row() {
        assert_eq!(rows("\u{feff}{}\n").unwrap(), ["line 1: {}"]);
        assert_eq!(rows("\u{feff} [{} ]").unwrap(), ["row 1: {}"]);
    }

    #[test]
    fn elements_are_found_whatever_their_texts_hold() {
        let list = "[ {\"a\": \"]},[\\\"\", \"b\": [1, [2]]},\n\n 7 , \"x,\\\\\"]\n";
        assert_eq!(
            rows(list).unwrap(),
            ["row 1: {\"a\": \"]},[\\\"\", \"b\": [1, [2]]}", "row 2: 7", "row 3: \"x,\\\\\""]
        );
        assert_eq!(rows("[]").unwrap(), [""; 0]);
        assert_eq!(rows(" \n").unwrap(), [""; 0]);
    }

    #[test]
    fn lists_of_another_form_are_refused_with_their_place() {
        assert_eq!(
            rows("[{}, {\"a\"").unwrap_err(),
            "`FILE` is not a JSON list: it does not end, at byte 8"
        );
        assert_eq!(
            rows("[{},,{}]").unwrap_err(),
            "`FILE` is not a JSON list: an element is missing before this place, at byte 4"
        );
        assert_eq!(
            rows("[{},]").unwrap_err(),
            "`FILE` is not a JSON list: an element is missing before this place, at byte 4"
        );
        assert_eq!(
            rows("[{}]{}").unwrap_err(),
            "`FILE` is not a JSON list: there is something after its end, at byte 4"
        );
    }
}
