//! Development only: goldens from the reference implementation, and how results are compared with them; checks of pages.
//!
//! The goldens are written by `reference/goldens.py`; `cases.json` records the script, the seed and the versions.

mod compare;
mod goldens;
pub mod page;

pub use compare::{Difference, compare};
pub use goldens::{Case, Expected, Goldens, Positions, Rewards, Stage};

use std::path::PathBuf;

/// The committed goldens of the tiny model: `cases.json`, `stages.safetensors`, `heads.safetensors`, `images/`, `model/`.
pub fn tiny_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("goldens/tiny")
}
