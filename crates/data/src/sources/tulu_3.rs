//! Tulu 3: the mixture of preferences that the 8B model was tuned on; its siblings have the same schema.
//!
//! # Source
//! The data card of `allenai/llama-3.1-tulu-3-8b-preference-mixture`: `id, source, prompt, chosen [{role, content}], rejected, chosen_model,
//! rejected_model`. `prompt` repeats the first message and is not read.

use std::path::Path;

use super::{Reading, Source, chosen_and_rejected, has_conversations, plain_files};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::formats::Parsed;
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "tulu-3",
    title: "Tulu 3 preference mixture",
    home: "allenai/llama-3.1-tulu-3-8b-preference-mixture",
    license: "ODC-BY-1.0, parts for non-commercial use only",
    about: "Pairs of whole conversations from several sources, which the key `source` names.",
    id_key: Some("id"),
    recognizes: |row| has_conversations(row, &["id", "source", "chosen_model"]),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    chosen_and_rejected(row, image_dir, Preference::first_of_two())
}
