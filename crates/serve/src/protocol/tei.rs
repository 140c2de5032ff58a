//! Optional fields that several routes of text-embeddings-inference have.
//!
//! # Source
//! text-embeddings-inference, July 2026.

use crate::protocol::options::{Optional, neutral, only};

/// Fields about texts that are too long.
pub(crate) const CUTTING: &[Optional] = &[
    only("truncate", &["false"], "a reward is that of the whole conversation, which is never cut"),
    neutral("truncation_direction"),
];
