//! POVID: true answers about pictures against answers into which hallucinations were written.
//!
//! # Source
//! The data card of POVID: a list in the form of LLaVA, `id, image, conversations, rejected_conversations`; the pictures are those of COCO.

use std::path::Path;

use super::pictured::pictured_conversations;
use super::{Reading, Source, plain_files};
use crate::error::RowFault;
use crate::fields::required;
use crate::formats::{Parsed, refuse_other_media};
use crate::messages::messages;
use crate::pictures::listed;
use crate::value::Value;

const KEYS: [&str; 2] = ["conversations", "rejected_conversations"];

pub(super) static SOURCE: Source = Source {
    name: "povid",
    title: "POVID",
    home: "YiyangAiLab/POVID_preference_data_for_VLLMs",
    license: "not stated",
    about: "Two whole conversations about one picture; what both begin with is the prompt. Put the list beside the pictures of COCO.",
    id_key: Some("id"),
    recognizes: |row| row.has(&KEYS),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    refuse_other_media(row)?;
    let conversation = |key| messages(required(row, key)?, key, image_dir);
    let conversations = [conversation(KEYS[0])?, conversation(KEYS[1])?];
    pictured_conversations(KEYS, conversations, listed(row, image_dir)?)
}
