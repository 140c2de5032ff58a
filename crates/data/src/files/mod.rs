//! From paths to rows: which files there are, and how a row of one is found again.
//!
//! An index of places is kept in memory, the rows stay in their files. What a row means is decided elsewhere.

mod json;
mod separated;
mod table;

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::{DataError, RowFault, RowPlace};
use crate::value::Value;
use json::JsonRows;
use separated::SeparatedRows;
use table::Table;

/// Files in data folders that describe other files and hold no rows: those of LLaMA-Factory, of `datasets` and of curated folders.
const DESCRIPTIONS: [&str; 4] =
    ["dataset_info.json", "dataset_infos.json", "state.json", "manifest.json"];

/// Rows of one file.
#[derive(Debug)]
pub struct RowFile {
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Json(JsonRows),
    Separated(SeparatedRows),
    Table(Table),
}

impl RowFile {
    /// Finds the rows of a file.
    ///
    /// # Errors
    /// A file of another kind, one that cannot be read, and one without rows.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let rows = match extension(path).as_deref() {
            Some("jsonl" | "ndjson" | "json") => Rows::Json(JsonRows::open(path)?),
            Some("tsv") => Rows::Separated(SeparatedRows::open(path)?),
            Some("parquet") => Rows::Table(Table::open(path)?),
            _ => return Err(DataError::UnknownExtension { path: path.to_owned() }),
        };
        Ok(Self { rows })
    }

    /// Number of rows.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a file without rows is refused when it is opened"
    )]
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Json(rows) => rows.len(),
            Rows::Separated(rows) => rows.len(),
            Rows::Table(table) => table.len(),
        }
    }

    /// Where a row stands, for people.
    pub fn place(&self, row: usize) -> RowPlace {
        match &self.rows {
            Rows::Json(rows) => rows.place(row),
            Rows::Separated(_) | Rows::Table(_) => RowPlace::Row(row + 1),
        }
    }

    /// Reads one row.
    ///
    /// # Errors
    /// A row that is malformed or cannot be read any more.
    pub fn read(&self, row: usize) -> Result<Value, RowFault> {
        match &self.rows {
            Rows::Json(rows) => rows.read(row),
            Rows::Separated(rows) => rows.read(row),
            Rows::Table(table) => table.read(row),
        }
    }

    /// Reads all rows in order, faster than one by one.
    pub fn scan(&self) -> Box<dyn Iterator<Item = Result<Value, RowFault>> + '_> {
        self.scan_from(0..self.len())
    }

    /// Reads rows that follow each other, faster than one by one.
    pub fn scan_from(
        &self,
        range: Range<usize>,
    ) -> Box<dyn Iterator<Item = Result<Value, RowFault>> + '_> {
        match &self.rows {
            Rows::Json(rows) => Box::new(rows.scan(range)),
            Rows::Separated(rows) => Box::new(range.map(|row| rows.read(row))),
            Rows::Table(table) => Box::new(table.scan(range)),
        }
    }
}

/// The data files that paths name; a folder stands for the files directly in it and in its folder `data`, in the order of their names.
/// A `.tsv` file in a folder counts only where no other data file does: published folders hold the same rows in both kinds.
///
/// # Errors
/// A path that does not exist or cannot be read, and a folder without data files.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, DataError> {
    if paths.is_empty() {
        return Err(DataError::NoPath);
    }
    let mut files = Vec::new();
    for path in paths {
        if !path.exists() {
            return Err(DataError::Missing { path: path.clone() });
        }
        if path.is_dir() {
            let mut found = data_files(path)?;
            // Repositories of `datasets` keep their tables there.
            let nested = path.join("data");
            if nested.is_dir() {
                found.extend(data_files(&nested)?);
            }
            if found.iter().any(|file| !is_separated(file)) {
                found.retain(|file| !is_separated(file));
            }
            if found.is_empty() {
                return Err(DataError::EmptyFolder { folder: path.clone() });
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn data_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source: io::Error| unreadable(folder, source);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_data = matches!(
            extension(&path).as_deref(),
            Some("jsonl" | "ndjson" | "json" | "parquet" | "tsv")
        );
        let is_description = DESCRIPTIONS.iter().any(|name| path.ends_with(name));
        if is_data && !is_description && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_separated(path: &Path) -> bool {
    extension(path).as_deref() == Some("tsv")
}

fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

fn unreadable(path: &Path, source: io::Error) -> DataError {
    DataError::Unreadable { path: path.to_owned(), source }
}
