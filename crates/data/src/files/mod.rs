//! From paths to rows: which files there are, and how a row of one is found again.
//!
//! An index of places is kept in memory, the rows stay in their files. What a row means is decided elsewhere.

mod json;
mod table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{DataError, RowFault, RowPlace};
use crate::value::Value;
use json::JsonRows;
use table::Table;

/// Files in data folders that describe other files and hold no rows: those of LLaMA-Factory and of `datasets`.
const DESCRIPTIONS: [&str; 3] = ["dataset_info.json", "dataset_infos.json", "state.json"];

/// Rows of one file.
#[derive(Debug)]
pub(crate) enum Rows {
    Json(JsonRows),
    Table(Table),
}

impl Rows {
    /// Finds the rows of a file.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        match extension(path).as_deref() {
            Some("jsonl" | "ndjson" | "json") => JsonRows::open(path).map(Self::Json),
            Some("parquet") => Table::open(path).map(Self::Table),
            _ => Err(DataError::UnknownExtension { path: path.to_owned() }),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(rows) => rows.len(),
            Self::Table(table) => table.len(),
        }
    }

    /// Where a row stands, for people.
    pub(crate) fn place(&self, row: usize) -> RowPlace {
        match self {
            Self::Json(rows) => rows.place(row),
            Self::Table(_) => RowPlace::Row(row + 1),
        }
    }

    /// Reads one row.
    pub(crate) fn read(&self, row: usize) -> Result<Value, RowFault> {
        match self {
            Self::Json(rows) => rows.read(row),
            Self::Table(table) => table.read(row),
        }
    }

    /// Reads all rows in order, faster than one by one.
    pub(crate) fn scan(&self) -> Box<dyn Iterator<Item = Result<Value, RowFault>> + '_> {
        match self {
            Self::Json(rows) => Box::new((0..rows.len()).map(|row| rows.read(row))),
            Self::Table(table) => Box::new(table.scan()),
        }
    }
}

/// The data files that paths name; a folder stands for the files directly in it and in its folder `data`, in the order of their names.
pub(crate) fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, DataError> {
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
        let is_data =
            matches!(extension(&path).as_deref(), Some("jsonl" | "ndjson" | "json" | "parquet"));
        let is_description = DESCRIPTIONS.iter().any(|name| path.ends_with(name));
        if is_data && !is_description && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

fn unreadable(path: &Path, source: io::Error) -> DataError {
    DataError::Unreadable { path: path.to_owned(), source }
}
