//! Skywork-Reward-Preference: pairs of whole conversations, chosen from public sets for a reward model.
//!
//! # Source
//! The data card of `Skywork/Skywork-Reward-Preference-80K-v0.2`: `chosen [{role, content}], rejected, source`. Nothing else says what is asked.

use std::path::Path;

use super::{Reading, Source, chosen_and_rejected, has_conversations, plain_files};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::formats::Parsed;
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "skywork-reward",
    title: "Skywork-Reward-Preference",
    home: "Skywork/Skywork-Reward-Preference-80K-v0.2",
    license: "not stated",
    about: "Pairs of whole conversations; what both begin with is the prompt.",
    id_key: None,
    recognizes: |row| {
        let has_own_prompt =
            ["prompt", "question", "images", "image"].iter().any(|key| row.has(&[key]));
        has_conversations(row, &["source"]) && !has_own_prompt
    },
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    chosen_and_rejected(row, image_dir, Preference::first_of_two())
}
