//! Duplicates and overlaps that were planted are found, and nothing else is: thousands of made-up records and hundreds of drawn pictures, of which it
//! is known what repeats what.
//!
//! `cargo test -p curate --test planted -- --ignored --nocapture` prints how fast each step is.

#![expect(clippy::unwrap_used, reason = "what was made here can be read")]

mod benchmarks;
mod duplicates;
mod pictures;
mod rates;
mod world;
