//! What goes through curation: a comparison, where it came from, and its pictures by content.
//!
//! A record can be written into the work folder and read back. What is decided about it stands elsewhere.

mod stored;

use data::Comparison;
use serde::{Deserialize, Serialize};

/// A comparison on its way.
///
/// Its pictures are files: those that came inside a row have been written to the work folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What is compared. Its source is the name in the recipe.
    pub comparison: Comparison,
    /// Where it came from.
    pub origin: Origin,
    /// Content of each picture, in the order of prompt and responses.
    pub images: Vec<ImageId>,
}

/// Where a record came from. Their order is the order of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Index of the source in the recipe.
    pub source: u32,
    /// Index among all files of all sources.
    pub file: u32,
    /// Row in the file, counted from 0.
    pub row: u64,
    /// Which of the pairs that were made of the row.
    pub part: u32,
}

/// The first half of the BLAKE3 hash of a picture file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImageId(pub u128);

impl ImageId {
    /// The id of a file's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(half(blake3::hash(bytes)))
    }
}

impl std::fmt::Display for ImageId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

/// The first 128 bits of a hash.
pub(crate) fn half(hash: blake3::Hash) -> u128 {
    let (half, _) = hash.as_bytes().split_first_chunk::<16>().expect("a hash has 32 bytes");
    u128::from_be_bytes(*half)
}
