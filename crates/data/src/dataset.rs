//! A set of files as one list of comparisons.
//!
//! Reads one row at a time, from any thread. Orders and splits are elsewhere; nothing is kept of a row that has been read.

use std::path::{Path, PathBuf};

use crate::comparison::Comparison;
use crate::error::{DataError, RowError, RowFault, RowPlace, Undecided};
use crate::files::{self, find};
use crate::formats::Format;
use crate::value::Value;

/// Rows from the beginning of a file in which its format is looked for.
const RECOGNIZED_ROWS: usize = 100;

/// How files are read.
#[derive(Debug, Clone, Default)]
pub struct DatasetOptions {
    /// Folder at which relative paths of pictures start, instead of the folder of the file that names them.
    pub image_dir: Option<PathBuf>,
}

/// Comparisons in files.
#[derive(Debug)]
pub struct Dataset {
    files: Vec<DatasetFile>,
    /// First row of each file, and the number of all rows.
    starts: Vec<usize>,
}

/// One file of a [`Dataset`].
#[derive(Debug)]
pub struct DatasetFile {
    path: PathBuf,
    base_dir: PathBuf,
    format: Format,
    rows: files::RowFile,
}

impl DatasetFile {
    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The schema that its rows follow.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Number of its rows, unusable ones included.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a file without rows is refused when it is opened"
    )]
    pub fn len(&self) -> usize {
        self.rows.len()
    }
}

impl Dataset {
    /// Finds the rows of files and folders, and the format of each file. A folder stands for the data files directly in it and in its folder
    /// `data`.
    ///
    /// # Errors
    /// When a path does not exist or cannot be read, a file has no rows, or its rows follow no known format. A single bad row is no error here.
    pub fn open<P: AsRef<Path>>(paths: &[P], options: &DatasetOptions) -> Result<Self, DataError> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        let mut files = Vec::new();
        let mut starts = vec![0];
        for path in find(&paths)? {
            let rows = files::RowFile::open(&path)?;
            let format = recognize(&path, &rows)?;
            let own_dir = || path.parent().map(Path::to_owned).unwrap_or_default();
            let base_dir = options.image_dir.clone().unwrap_or_else(own_dir);
            starts.push(starts[starts.len() - 1] + rows.len());
            files.push(DatasetFile { path, base_dir, format, rows });
        }
        Ok(Self { files, starts })
    }

    /// Number of rows, unusable ones included.
    pub fn len(&self) -> usize {
        self.starts[self.files.len()]
    }

    /// Whether there is no row; never true of an opened data set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The files, in the order of their rows.
    pub fn files(&self) -> &[DatasetFile] {
        &self.files
    }

    /// The rules that the files matched, in words.
    pub fn format(&self) -> String {
        let mut formats: Vec<Format> = self.files.iter().map(|file| file.format).collect();
        formats.sort_unstable();
        formats.dedup();
        formats.iter().map(Format::to_string).collect::<Vec<_>>().join("; ")
    }

    /// Reads row `index`.
    ///
    /// # Errors
    /// When the row is malformed, lacks something, or prefers no response. The caller decides what becomes of it.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn read(&self, index: usize) -> Result<Comparison, RowError> {
        let (file, row) = self.locate(index);
        file.comparison(row, file.rows.read(row))
    }

    /// Reads all rows in order, which is faster than asking for one after the other when the files are tables.
    pub fn rows(&self) -> Rows<'_> {
        let rows = self
            .files
            .iter()
            .flat_map(|file| file.scan().map(move |(row, value)| file.comparison(row, value)));
        Rows { rows: Box::new(rows) }
    }

    /// The file and the place of row `index`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn place(&self, index: usize) -> (&Path, RowPlace) {
        let (file, row) = self.locate(index);
        (&file.path, file.rows.place(row))
    }

    /// The row as an error, for a fault that is found after it has been read.
    pub(crate) fn error(&self, index: usize, id: Option<String>, fault: RowFault) -> RowError {
        let (file, row) = self.locate(index);
        RowError { file: file.path.clone(), place: file.rows.place(row), id, fault }
    }

    fn locate(&self, index: usize) -> (&DatasetFile, usize) {
        assert!(index < self.len(), "row {index} of a data set with {} rows", self.len());
        let file = self.starts.partition_point(|start| *start <= index) - 1;
        (&self.files[file], index - self.starts[file])
    }
}

/// All rows of a [`Dataset`] in order.
pub struct Rows<'a> {
    rows: Box<dyn Iterator<Item = Result<Comparison, RowError>> + 'a>,
}

impl Iterator for Rows<'_> {
    type Item = Result<Comparison, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next()
    }
}

impl DatasetFile {
    /// All rows as they stand in the file.
    pub(crate) fn scan(&self) -> impl Iterator<Item = (usize, Result<Value, RowFault>)> + '_ {
        self.rows.scan().enumerate()
    }

    /// The comparison that a row holds.
    pub(crate) fn comparison(
        &self,
        row: usize,
        value: Result<Value, RowFault>,
    ) -> Result<Comparison, RowError> {
        let place = self.rows.place(row);
        let error = |id, fault| RowError { file: self.path.clone(), place, id, fault };
        let value = value.map_err(|fault| error(None, fault))?;
        let own_id = name(&value, "id");
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let (RowPlace::Line(number) | RowPlace::Row(number)) = place;
        let names = Names { id: format!("{stem}:{number}"), source: stem.into_owned() };
        let comparison = parse(self.format, &value, &self.base_dir, names)
            .map_err(|fault| error(own_id, fault))?;
        match undecided(&comparison) {
            Some(fault) => Err(error(Some(comparison.id), fault)),
            None => Ok(comparison),
        }
    }
}

/// What a row is called that does not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Instead of its `id`.
    pub id: String,
    /// Instead of its `source`.
    pub source: String,
}

/// The comparison in a row of any known format, which is recognized for this row alone.
///
/// # Errors
/// When the row follows no known format, lacks something, or prefers no response.
pub fn comparison_of(row: &Value, base_dir: &Path, names: Names) -> Result<Comparison, RowFault> {
    let comparison = parse(recognized(row)?, row, base_dir, names)?;
    undecided(&comparison).map_or(Ok(comparison), Err)
}

/// The format of a row.
pub(crate) fn recognized(row: &Value) -> Result<Format, RowFault> {
    match row {
        Value::Object(entries) => {
            Format::recognize(row).ok_or_else(|| RowFault::UnknownFormat { keys: quoted(entries) })
        }
        other => Err(RowFault::NotAnObject { found: other.kind() }),
    }
}

fn parse(
    format: Format,
    row: &Value,
    base_dir: &Path,
    names: Names,
) -> Result<Comparison, RowFault> {
    let parsed = match row {
        Value::Object(_) => format.parse(row, base_dir),
        other => Err(RowFault::NotAnObject { found: other.kind() }),
    }?;
    Ok(Comparison {
        id: name(row, "id").unwrap_or(names.id),
        source: name(row, "source").unwrap_or(names.source),
        prompt: parsed.prompt,
        responses: parsed.responses,
        preference: parsed.preference,
    })
}

/// The keys of a row, each in backticks.
fn quoted(entries: &[(String, Value)]) -> String {
    let keys: Vec<String> = entries.iter().map(|(key, _)| format!("`{key}`")).collect();
    if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
}

/// A text or a number that names something.
pub(crate) fn name(row: &Value, key: &str) -> Option<String> {
    match row.get(key)? {
        Value::Text(text) => Some(text.clone()),
        Value::Whole(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Why a comparison prefers nothing, if so.
pub(crate) fn undecided(comparison: &Comparison) -> Option<RowFault> {
    if !comparison.pairs().is_empty() {
        return None;
    }
    let (ties, equal_responses) = (comparison.num_ties(), comparison.num_equal_responses());
    let reason = match (ties, equal_responses) {
        (_, 0) => Undecided::Ties,
        (0, _) => Undecided::EqualResponses,
        _ => Undecided::TiesAndEqualResponses,
    };
    Some(RowFault::NoPreference { reason, ties, equal_responses })
}

/// The format of a file: that of the first row whose keys belong to one.
fn recognize(path: &Path, rows: &files::RowFile) -> Result<Format, DataError> {
    let mut first_object = None;
    let mut first_fault = None;
    for row in 0..rows.len().min(RECOGNIZED_ROWS) {
        match rows.read(row) {
            Ok(value @ Value::Object(_)) => {
                if let Some(format) = Format::recognize(&value) {
                    return Ok(format);
                }
                first_object.get_or_insert((row, value));
            }
            Ok(other) => {
                let found = other.kind();
                first_fault.get_or_insert((row, RowFault::NotAnObject { found }));
            }
            Err(fault) => {
                first_fault.get_or_insert((row, fault));
            }
        }
    }
    let path = path.to_owned();
    match (first_object, first_fault) {
        (Some((row, Value::Object(entries))), _) => {
            let keys = quoted(&entries);
            Err(DataError::UnknownFormat { path, place: rows.place(row), keys })
        }
        (_, Some((row, fault))) => {
            Err(DataError::NoReadableRow { path, place: rows.place(row), fault })
        }
        _ => Err(DataError::NoRows { path }),
    }
}
