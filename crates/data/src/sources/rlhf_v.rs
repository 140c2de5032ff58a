//! RLHF-V: answers about pictures, corrected by people word for word.
//!
//! # Source
//! The data card of `openbmb/RLHF-V-Dataset`: `ds_name, image {bytes, path}, text, origin_dataset, origin_split, idx, image_path`; `text` is a
//! JSON object of `question`, `chosen` and `rejected`, written as a text.

use std::path::Path;

use super::pictured::{pictured, unpacked};
use super::{Reading, Source, plain_files, texts_of};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{required, text};
use crate::formats::Parsed;
use crate::pictures::listed;
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "rlhf-v",
    title: "RLHF-V",
    home: "openbmb/RLHF-V-Dataset",
    license: "CC-BY-NC-4.0",
    about: "Question, correction and original answer are JSON inside the column `text`; the picture is in the row itself.",
    id_key: Some("idx"),
    recognizes: |row| row.has(&["ds_name", "text", "origin_dataset"]),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    let pair = unpacked(required(row, "text")?, "text")?;
    let question = text(required(&pair, "question")?, "question")?.to_owned();
    let responses = texts_of(&pair, &["chosen", "rejected"])?;
    let images = listed(row, image_dir)?;
    pictured("question", question, responses, images, Preference::first_of_two())
}
