//! Preference rows of ms-swift: a good conversation, and what is different in the bad one.
//!
//! # Source
//! ms-swift, "Custom Dataset", RLHF: `rejected_response` replaces the last answer; `rejected_messages` is a conversation of its own;
//! `rejected_images` are the pictures of the bad conversation. Without them it has the pictures of the good one.

use std::path::Path;

use super::placing::Layout;
use super::{Written, pair_preference};
use crate::error::RowFault;
use crate::fields::required;
use crate::messages::{messages, response};
use crate::pictures::{listed, pictures};
use crate::value::Value;

pub(super) const KEYS: &[&str] =
    &["messages", "rejected_response", "rejected_messages", "rejected_images"];

/// Keys of which a row has at least one.
pub(super) const REJECTED_KEYS: [&str; 3] =
    ["rejected_response", "rejected_messages", "rejected_images"];

pub(super) fn read(row: &Value, base_dir: &Path) -> Result<Written, RowFault> {
    let good = messages(required(row, "messages")?, "messages", base_dir)?;
    let (bad_key, bad) = if let Some(value) = row.get("rejected_messages") {
        ("rejected_messages", messages(value, "rejected_messages", base_dir)?)
    } else if let Some(value) = row.get("rejected_response") {
        let mut bad = good.clone();
        bad.pop();
        bad.extend(response(value, "rejected_response", base_dir)?);
        ("rejected_response", bad)
    } else if row.get("rejected_images").is_some() {
        ("messages", good.clone())
    } else {
        return Err(RowFault::Missing { key: "rejected_response".to_owned() });
    };
    let good_images = listed(row, base_dir)?;
    let bad_images = match row.get("rejected_images") {
        Some(value) => pictures(value, "rejected_images", base_dir)?,
        None => good_images.clone(),
    };
    let layout = Layout::Whole {
        keys: ["messages", bad_key],
        conversations: [good, bad],
        images: [good_images, bad_images],
    };
    Ok(Written { layout, preference: pair_preference(row)? })
}
