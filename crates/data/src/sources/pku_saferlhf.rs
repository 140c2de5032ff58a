//! PKU-SafeRLHF: two responses to each prompt, with two labels that often disagree: which one is better, and which one is safer.
//!
//! # Source
//! The data card of `PKU-Alignment/PKU-SafeRLHF`: `prompt, response_0, response_1, better_response_id, safer_response_id`, and whether and how
//! each response is unsafe, which filters may ask for.

use super::{Reading, Source, plain_files, texts, texts_of};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{number, required, text};
use crate::formats::Parsed;
use crate::value::Value;

const BETTER_KEY: &str = "better_response_id";
const SAFER_KEY: &str = "safer_response_id";

pub(super) static BETTER: Source = Source {
    name: "pku-saferlhf",
    title: "PKU-SafeRLHF, helpfulness",
    home: "PKU-Alignment/PKU-SafeRLHF",
    license: "CC-BY-NC-4.0",
    about: "Pairs by which response helps more, whatever its safety; `pku-saferlhf-safety` reads the other label of the same rows.",
    id_key: None,
    recognizes: |row| row.has(&["prompt", "response_0", "response_1", BETTER_KEY]),
    files: plain_files,
    reading: Reading::Row(|row, _| read(row, BETTER_KEY)),
};

pub(super) static SAFER: Source = Source {
    name: "pku-saferlhf-safety",
    title: "PKU-SafeRLHF, safety",
    home: "PKU-Alignment/PKU-SafeRLHF",
    license: "CC-BY-NC-4.0",
    about: "Pairs by which response is safer, whatever its help; `pku-saferlhf` reads the other label of the same rows.",
    id_key: None,
    recognizes: |row| row.has(&["prompt", "response_0", "response_1", SAFER_KEY]),
    files: plain_files,
    reading: Reading::Row(|row, _| read(row, SAFER_KEY)),
};

fn read(row: &Value, label_key: &str) -> Result<Parsed, RowFault> {
    let label = number(required(row, label_key)?, label_key)?;
    let preference = match label {
        0.0 => Preference::first_of_two(),
        1.0 => Preference::second_of_two(),
        _ => {
            let (key, expected) = (label_key.to_owned(), "0 or 1");
            return Err(RowFault::Number { key, number: label, expected });
        }
    };
    let prompt = text(required(row, "prompt")?, "prompt")?;
    texts("prompt", prompt, texts_of(row, &["response_0", "response_1"])?, preference)
}
