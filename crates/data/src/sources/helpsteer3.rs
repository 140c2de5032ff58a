//! HelpSteer3: two responses to a conversation, and how strongly people prefer one of them.
//!
//! # Source
//! The data card of `nvidia/HelpSteer3` (subset `preference`): `domain, language, context [{role, content}], response1, response2,
//! overall_preference` from −3 (`response1` is much better) to 3 (`response2` is), 0 for a tie, and `individual_preference`, which is not read.

use std::path::Path;

use super::{Reading, Source, answers, plain_files, texts_of};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{number, required};
use crate::formats::Parsed;
use crate::messages::messages;
use crate::value::Value;

/// The strongest preference, in either direction.
const STRONGEST: f64 = 3.0;

pub(super) static SOURCE: Source = Source {
    name: "helpsteer3",
    title: "HelpSteer3-Preference",
    home: "nvidia/HelpSteer3",
    license: "CC-BY-4.0",
    about: "Pairs with a signed strength: negative prefers `response1`, 0 is a tie. The better response comes first, and the strength is its margin.",
    id_key: None,
    recognizes: |row| row.has(&["context", "response1", "response2", "overall_preference"]),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    let key = "overall_preference";
    let strength = number(required(row, key)?, key)?;
    if strength.abs() > STRONGEST {
        let expected = "a strength from -3 to 3";
        return Err(RowFault::Number { key: key.to_owned(), number: strength, expected });
    }
    let mut responses = texts_of(row, &["response1", "response2"])?;
    if strength > 0.0 {
        responses.reverse();
    }
    let margin = Some(strength.abs() as f32);
    let order = if strength == 0.0 { Preference::tie_of_two() } else { Preference::first_of_two() };
    let prompt = messages(required(row, "context")?, "context", image_dir)?;
    answers("context", prompt, responses, Preference { margin, ..order })
}
