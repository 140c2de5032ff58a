//! Files of preferences to comparisons: one prompt, several responses, and which of them is better.
//!
//! [`Dataset`] is the way in: it finds the rows of JSONL, JSON, Parquet and TSV files, recognizes the published schema that they follow, and
//! reads one row at a time as a [`Comparison`]. [`sources`] reads the public sets in the schemas that they are published in. A row that cannot be used is a [`RowError`] that says where and why; it is never left out
//! silently. [`shuffled`] orders the rows of an epoch, [`Dataset::split`] holds rows back by their pictures, [`Dataset::summary`] counts, and
//! [`inspect::inspect`] says what a path holds that nobody has described.
//!
//! Pictures are named here and not decoded. Nothing here knows tokens or tensors, and nothing touches the network.

mod comparison;
mod dataset;
mod error;
mod fields;
mod files;
mod formats;
pub mod inspect;
mod language;
mod messages;
mod pictures;
mod shuffle;
pub mod sources;
mod split;
mod summary;
mod value;

/// Rows of files as they stand there, for readers of other schemas than those of preferences.
pub mod raw {
    pub use crate::dataset::{Names, comparison_of};
    pub use crate::fields::{
        list, mistyped, numbers, optional_number, optional_text, required, text,
    };
    pub use crate::files::{RowFile, find};
    pub use crate::formats::{apart, check_ranking, ranks_from_best};
    pub use crate::messages::{literal, prompt, response, said};
    pub use crate::pictures::{listed, picture, pictures};
    pub use crate::value::{Value, parse_json};
}

pub use comparison::{Comparison, Preference};
pub use dataset::{Dataset, DatasetFile, DatasetOptions, Rows};
pub use error::{DataError, RowError, RowFault, RowPlace, Undecided};
pub use formats::{Format, Parsed};
pub use language::{Language, language};
pub use shuffle::shuffled;
pub use split::{Sides, Split};
pub use summary::Summary;
