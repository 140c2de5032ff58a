//! Helpful and harmless: pairs of transcripts between a person and an assistant.
//!
//! # Source
//! The repository `anthropics/hh-rlhf`: `chosen` and `rejected` are texts in which `\n\nHuman:` and `\n\nAssistant:` begin a turn. Some pairs
//! differ before their last turn; what they compare is not an answer, and they are faults.

use std::path::Path;

use super::{Reading, Source, plain_files};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{required, text};
use crate::formats::{Parsed, transcript, whole};
use crate::messages::literal;
use crate::value::Value;

/// How every transcript begins.
const BEGIN: &str = "\n\nHuman:";

pub(super) static SOURCE: Source = Source {
    name: "hh-rlhf",
    title: "Helpful and Harmless",
    home: "Anthropic/hh-rlhf",
    license: "MIT",
    about: "Pairs of transcripts that differ in their last turn; those that differ earlier are refused.",
    id_key: None,
    recognizes: |row| {
        let is_transcript =
            |key| matches!(row.get(key), Some(Value::Text(text)) if text.starts_with(BEGIN));
        is_transcript("chosen") && is_transcript("rejected")
    },
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, _image_dir: &Path) -> Result<Parsed, RowFault> {
    let read = |key: &'static str| {
        let value = required(row, key)?;
        let written = text(value, key)?;
        if !written.starts_with(BEGIN) {
            let expected = "a transcript that begins with `Human:`";
            let found = "another text";
            return Err(RowFault::Mistyped { key: key.to_owned(), expected, found });
        }
        Ok(literal(transcript(written)))
    };
    let conversations = [read("chosen")?, read("rejected")?];
    let (prompt, responses) = whole(["chosen", "rejected"], conversations, Vec::new())?;
    match responses.iter().map(Vec::len).max() {
        Some(num_messages) if num_messages > 1 => Err(RowFault::EarlyDivergence { num_messages }),
        _ => Ok(Parsed { prompt, responses, preference: Preference::first_of_two() }),
    }
}
