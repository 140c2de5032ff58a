//! What `datasets` reads from the metadata of a shard, to show the pictures in it as pictures.
//!
//! Shards that only name their pictures need none: their columns are what they seem.
//!
//! # Source
//! `datasets`, `Features.from_arrow_schema`: the key `huggingface` holds features as JSON for some of the columns. A list around a feature is
//! read by all its versions.

use super::columns::Stand;

/// Key in the metadata of the file.
pub(super) const KEY: &str = "huggingface";

/// The features of shards that hold pictures.
pub(super) fn of(stand: Stand) -> Option<&'static str> {
    let held = r#"{"info": {"features": {"images": [{"_type": "Image"}]}}}"#;
    (stand == Stand::Inside).then_some(held)
}
