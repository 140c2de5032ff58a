//! Pairs in the form that IXC-2.5-Reward is trained on.
//!
//! # Source
//! The repository of InternLM-XComposer: a list of `id, conversations_a` (chosen), `conversations_b` (rejected) `[{from: human or bot, value}]`
//! and `image` (a text or a list). Pictures stand at `<ImageHere>`, or before the first question.

use std::path::Path;

use prompt::{Draft, DraftContent};

use super::pictured::{MARK, pictured_conversations};
use super::{Reading, Source, plain_files};
use crate::error::RowFault;
use crate::fields::required;
use crate::formats::{Parsed, refuse_other_media};
use crate::messages::messages;
use crate::pictures::listed;
use crate::value::Value;

const KEYS: [&str; 2] = ["conversations_a", "conversations_b"];

/// Where a picture stands in these sets.
const OWN_MARK: &str = "<ImageHere>";

pub(super) static SOURCE: Source = Source {
    name: "ixc-reward",
    title: "IXC-2.5-Reward",
    home: "InternLM/InternLM-XComposer",
    license: "Apache-2.0",
    about: "Two whole conversations; what both begin with is the prompt. No rows are published, only their form.",
    id_key: Some("id"),
    recognizes: |row| row.has(&KEYS),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    refuse_other_media(row)?;
    let conversation = |key| {
        let drafts = messages(required(row, key)?, key, image_dir)?;
        Ok::<_, RowFault>(drafts.into_iter().map(marked).collect())
    };
    let conversations = [conversation(KEYS[0])?, conversation(KEYS[1])?];
    pictured_conversations(KEYS, conversations, listed(row, image_dir)?)
}

/// A question with the usual mark for the set's own; answers are left as they are.
fn marked(draft: Draft) -> Draft {
    match draft {
        Draft { role, content: DraftContent::Text(text) } if role == "user" => {
            Draft { role, content: DraftContent::Text(text.replace(OWN_MARK, MARK)) }
        }
        other => other,
    }
}
