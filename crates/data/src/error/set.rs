//! What can be wrong with a data set as a whole: paths, files, formats.

use std::io;
use std::path::PathBuf;

use super::{RowFault, RowPlace};

/// Data set that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No path was given.
    #[error("no data file is given; name at least one file or folder")]
    NoPath,
    /// A path does not exist.
    #[error("`{}` does not exist; check the path", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A file or folder cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A folder without any data file.
    #[error(
        "`{}` holds no data file; name the folder that has `.jsonl`, `.json`, `.parquet`, `.tsv` or `.csv` files in it",
        folder.display()
    )]
    EmptyFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of another kind.
    #[error("`{}` is no data file; use `.jsonl`, `.ndjson`, `.json`, `.parquet`, `.tsv` or `.csv`", path.display())]
    UnknownExtension {
        /// The file.
        path: PathBuf,
    },
    /// A file without rows.
    #[error("`{}` has no rows; take it out of the data", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// A JSON list that does not end, or is not one.
    #[error("`{}` is not a JSON list: {reason}, at byte {byte}", path.display())]
    JsonList {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// Where, counted from 0.
        byte: u64,
    },
    /// A file that is not Parquet inside.
    #[error("`{}` cannot be read as Parquet: {reason}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the Parquet library said.
        reason: String,
    },
    /// A file that is no table with names of columns in its first line.
    #[error("`{}` cannot be read as a table of separated values: {reason}", path.display())]
    Separated {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file that lists the other files of its set, and cannot be read.
    #[error("`{}` does not list the files of its set: {fault}", path.display())]
    Listing {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: RowFault,
    },
    /// A file or folder that another file lists and that is not there.
    #[error(
        "`{}` lists `{}` as the `{key}` of `{name}`, which does not exist; unpack it there, or take `{name}` out of the list",
        listing.display(), path.display()
    )]
    ListedMissing {
        /// The file with the list.
        listing: PathBuf,
        /// The part of the set.
        name: String,
        /// What the path is for.
        key: &'static str,
        /// The path, where it should be.
        path: PathBuf,
    },
    /// Keys that belong to no known format.
    #[error(
        "`{}` follows no known format: the keys of its {place} are {keys}; use `prompt`, `chosen` and `rejected`, or one of the published schemas",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The first row that is an object.
        place: RowPlace,
        /// Its keys, each in backticks.
        keys: String,
    },
    /// Rows of which not one is an object.
    #[error("`{}` has no row that could be read; its {place}: {fault}", path.display())]
    NoReadableRow {
        /// The file.
        path: PathBuf,
        /// The first row.
        place: RowPlace,
        /// What is wrong with it.
        fault: RowFault,
    },
    /// A share that is not between 0 and 1.
    #[error("the validation fraction is `{fraction}`; give a number from 0 to 1")]
    Fraction {
        /// The number.
        fraction: f64,
    },
}
