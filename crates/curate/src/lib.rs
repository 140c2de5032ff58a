//! Published preference sets to one clean, mixed, decontaminated training set.
//!
//! ```text
//! sources ─ read ─▶ comparisons ─ expand, filter ─▶ records ─ fingerprints, overlaps ─▶ work folder        (chunk by chunk, resumable)
//!   fingerprints of all records ─ duplicates, overlaps, labels, caps ─▶ what is kept ─ mix, split ─▶ order
//!     work folder, in that order ─▶ shards, manifest, report
//! ```
//!
//! A record that leaves the way is a [`Dropped`](ledger::Dropped) with its reason; none leaves it otherwise. Everything is decided by the
//! [`CurationRecipe`](recipe::CurationRecipe) and the files: not by time, threads or interruptions.

pub mod caps;
pub mod decontaminate;
pub mod describe;
pub mod duplicates;
pub mod expand;
pub mod export;
pub mod filter;
pub mod fingerprint;
pub mod labels;
pub mod ledger;
pub mod look;
pub mod looks;
pub mod manifest;
pub mod mix;
pub mod order;
pub mod recipe;
pub mod record;
pub mod report;
pub mod run;
pub mod select;
pub mod shard;
pub mod split;
pub mod stats;
pub mod text;
pub mod view;

mod buckets;
mod chance;
mod content;
mod decide;
mod error;
mod facts;
mod inputs;
mod loaded;
mod pictures;
mod read;
mod sheet;
mod shingles;
#[cfg(test)]
mod testing;
mod unfinished;
mod union;
mod work;
mod write;

pub use error::CurateError;
