//! Rows of tables of values separated by tabs or commas, found by their bytes.
//!
//! Opening goes over the file once, a row at a time, and keeps where each begins. Every cell is a text, and an empty one is nothing: what a
//! text means, such as a list or a picture, is decided elsewhere.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder};

use super::unreadable;
use crate::error::{DataError, RowFault};
use crate::value::Value;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Places of the rows of a file.
#[derive(Debug)]
pub(crate) struct SeparatedRows {
    path: PathBuf,
    /// What stands between two cells.
    delimiter: u8,
    columns: Vec<String>,
    /// First byte of each row, and the end of the file.
    starts: Vec<u64>,
}

impl SeparatedRows {
    pub(super) fn open(path: &Path, delimiter: u8) -> Result<Self, DataError> {
        let (columns, starts) = index(path, delimiter).map_err(|fault| match fault {
            IndexFault::Io(source) => unreadable(path, source),
            IndexFault::Form(reason) => DataError::Separated { path: path.to_owned(), reason },
        })?;
        if starts.len() < 2 {
            return Err(DataError::NoRows { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), delimiter, columns, starts })
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn read(&self, row: usize) -> Result<Value, RowFault> {
        let fault = |reason: String| RowFault::Unreadable { reason };
        let bytes = self.bytes(row).map_err(|error| fault(error.to_string()))?;
        let mut record = ByteRecord::new();
        let is_there = rules(self.delimiter)
            .from_reader(bytes.as_slice())
            .read_byte_record(&mut record)
            .map_err(|error| fault(error.to_string()))?;
        if !is_there {
            return Err(fault("the file has changed since it was opened".to_owned()));
        }
        if record.len() != self.columns.len() {
            let (cells, columns) = (record.len(), self.columns.len());
            return Err(fault(format!("it has {cells} cells for {columns} columns")));
        }
        let entry = |(column, cell): (&String, &[u8])| {
            let text = std::str::from_utf8(cell)
                .map_err(|_| fault(format!("the cell of `{column}` is not UTF-8")))?;
            let value = if text.is_empty() { Value::Null } else { Value::Text(text.to_owned()) };
            Ok((column.clone(), value))
        };
        let entries = self.columns.iter().zip(&record).map(entry);
        Ok(Value::Object(entries.collect::<Result<_, RowFault>>()?))
    }

    // A handle for each row lets any number of threads read at once.
    fn bytes(&self, row: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.starts[row]))?;
        let mut bytes = vec![0; (self.starts[row + 1] - self.starts[row]) as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

enum IndexFault {
    Io(io::Error),
    Form(String),
}

impl From<csv::Error> for IndexFault {
    fn from(error: csv::Error) -> Self {
        let said = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(source) => Self::Io(source),
            _ => Self::Form(said),
        }
    }
}

/// How such files are written: by pandas, which puts quotes around a cell with a delimiter, a line end or a quote in it, and doubles its quotes.
fn rules(delimiter: u8) -> ReaderBuilder {
    let mut rules = ReaderBuilder::new();
    rules.delimiter(delimiter).has_headers(false).flexible(true);
    rules
}

/// The names of the columns, and where the rows begin and end.
fn index(path: &Path, delimiter: u8) -> Result<(Vec<String>, Vec<u64>), IndexFault> {
    let mut file = File::open(path).map_err(IndexFault::Io)?;
    let begin = mark_length(&mut file).map_err(IndexFault::Io)?;
    file.seek(SeekFrom::Start(begin)).map_err(IndexFault::Io)?;
    let mut reader = rules(delimiter).from_reader(BufReader::with_capacity(1 << 20, file));
    let mut record = ByteRecord::new();
    if !reader.read_byte_record(&mut record)? {
        return Ok((Vec::new(), Vec::new()));
    }
    let columns = names(&record)?;
    let mut starts = Vec::new();
    while reader.read_byte_record(&mut record)? {
        let place = record.position().expect("a record that was read has a position");
        starts.push(begin + place.byte());
    }
    starts.push(begin + reader.position().byte());
    Ok((columns, starts))
}

fn mark_length(file: &mut File) -> io::Result<u64> {
    let mut beginning = Vec::new();
    file.take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut beginning)?;
    Ok(if beginning == BYTE_ORDER_MARK { BYTE_ORDER_MARK.len() as u64 } else { 0 })
}

fn names(record: &ByteRecord) -> Result<Vec<String>, IndexFault> {
    let mut names: Vec<String> = Vec::new();
    for cell in record {
        let name = std::str::from_utf8(cell).map_err(|_| {
            IndexFault::Form("the name of a column is not UTF-8; save the file as UTF-8".to_owned())
        })?;
        if names.iter().any(|known| known == name) {
            return Err(IndexFault::Form(format!(
                "two columns are called `{name}`; rename one of them"
            )));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn open(content: &[u8]) -> (tempfile::NamedTempFile, Result<SeparatedRows, DataError>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let rows = SeparatedRows::open(file.path(), b'\t');
        (file, rows)
    }

    fn row(entries: &[(&str, Option<&str>)]) -> Value {
        let value = |text: Option<&str>| match text {
            Some(text) => Value::Text(text.to_owned()),
            None => Value::Null,
        };
        Value::Object(entries.iter().map(|(key, text)| ((*key).to_owned(), value(*text))).collect())
    }

    #[test]
    fn cells_with_tabs_line_ends_and_quotes_are_read_in_any_order_of_rows() {
        let content =
            "id\ttext\tmore\n1\t\"a\tb\n\"\"c\"\"\"\t\n\n2\tplain \"x\"\t['é\\n']\r\n3\t\t7";
        let (_file, rows) = open(content.as_bytes());
        let rows = rows.unwrap();
        assert_eq!(rows.len(), 3);
        let third = row(&[("id", Some("3")), ("text", None), ("more", Some("7"))]);
        assert_eq!(rows.read(2).unwrap(), third);
        let second =
            row(&[("id", Some("2")), ("text", Some("plain \"x\"")), ("more", Some("['é\\n']"))]);
        assert_eq!(rows.read(1).unwrap(), second);
        let first = row(&[("id", Some("1")), ("text", Some("a\tb\n\"c\"")), ("more", None)]);
        assert_eq!(rows.read(0).unwrap(), first);
    }

    #[test]
    fn commas_may_stand_between_cells() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"a,b\n\"1,\"\"2\"\"\",x\ty\n").unwrap();
        let rows = SeparatedRows::open(file.path(), b',').unwrap();
        assert_eq!(rows.read(0).unwrap(), row(&[("a", Some("1,\"2\"")), ("b", Some("x\ty"))]));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_name_and_shifts_no_row() {
        let (_file, rows) = open("\u{feff}a\tb\n1\t2\n3\t4\n".as_bytes());
        let rows = rows.unwrap();
        assert_eq!(rows.read(0).unwrap(), row(&[("a", Some("1")), ("b", Some("2"))]));
        assert_eq!(rows.read(1).unwrap(), row(&[("a", Some("3")), ("b", Some("4"))]));
    }

    #[test]
    fn a_row_of_another_width_or_encoding_is_the_fault_of_that_row() {
        let (_file, rows) = open(b"a\tb\n1\n\xff\t2\n3\t4\n");
        let rows = rows.unwrap();
        let fault = |index| rows.read(index).unwrap_err().to_string();
        assert_eq!(fault(0), "the row cannot be read: it has 1 cells for 2 columns");
        assert_eq!(fault(1), "the row cannot be read: the cell of `a` is not UTF-8");
        assert!(rows.read(2).is_ok());
    }

    #[test]
    fn a_table_without_rows_and_one_with_equal_names_are_refused() {
        assert!(matches!(open(b"a\tb\n").1.unwrap_err(), DataError::NoRows { .. }));
        assert!(matches!(open(b"").1.unwrap_err(), DataError::NoRows { .. }));
        let said = open(b"a\ta\n1\t2\n").1.unwrap_err().to_string();
        assert!(said.ends_with("two columns are called `a`; rename one of them"), "{said}");
    }
}
