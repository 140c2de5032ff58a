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

pub mod describe;
pub mod export;
pub mod ledger;
pub mod manifest;
pub mod recipe;
pub mod record;
pub mod report;
pub mod shard;
mod sheet;
pub mod stats;
#[cfg(test)]
mod testing;
mod unfinished;
pub mod view;
