//! MM-RLHF: answers about pictures and videos, ranked by people with their reasons.
//!
//! # Source
//! The data card of `yifanzhang114/MM-RLHF` and the scripts of its repository (`convert_to_swift.py`, `train_dpo.py`): `dpo_pairs.jsonl` has one
//! row for each two responses of different rank, `id, prompt, chosen, rejected, image` or `video`, `chosen_reason, rejected_reason`. Rankings of
//! several responses are read as MR²-RM writes them: `prompt, responses, rankings` (1 the best, ties allowed) and `image` or `video`. The reasons
//! are for models that write critiques, and are not read.

use std::path::Path;

use super::pictured::pictured;
use super::{Reading, Source, SourceFile, plain_files};
use crate::comparison::Preference;
use crate::error::{DataError, RowFault};
use crate::fields::{list, numbers, required, text};
use crate::formats::{Format, Parsed, ranks_from_best, refuse_other_media};
use crate::pictures::listed;
use crate::value::Value;

/// The pairs of a folder, beside the annotations that they were made of.
const PAIRS: &str = "dpo_pairs.jsonl";

pub(super) static SOURCE: Source = Source {
    name: "mm-rlhf",
    title: "MM-RLHF",
    home: "yifanzhang114/MM-RLHF",
    license: "not stated",
    about: "Pairs, or rankings of 3 to 5 responses; of a folder, `dpo_pairs.jsonl`. Pairs of one question have the same id. Rows about videos are refused.",
    id_key: Some("id"),
    recognizes: |row| {
        row.has(&["prompt", "chosen", "rejected", "chosen_reason"])
            || row.has(&["prompt", "responses", "rankings"])
    },
    files,
    reading: Reading::Row(read),
};

fn files(path: &Path) -> Result<Vec<SourceFile>, DataError> {
    let pairs = path.join(PAIRS);
    plain_files(if pairs.is_file() { &pairs } else { path })
}

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    if row.get("responses").is_none() {
        return Format::Pair.parse(row, image_dir);
    }
    refuse_other_media(row)?;
    let values = list(required(row, "responses")?, "responses")?;
    if values.len() < 2 {
        return Err(RowFault::TooFewResponses { key: "responses", found: values.len() });
    }
    let read = |(index, value)| {
        let key = format!("responses[{index}]");
        let response = text(value, &key)?.to_owned();
        Ok((key, response))
    };
    let responses = values.iter().enumerate().map(read).collect::<Result<Vec<_>, RowFault>>()?;
    let rankings = numbers(required(row, "rankings")?, "rankings", responses.len())?;
    let prompt = text(required(row, "prompt")?, "prompt")?.to_owned();
    let preference = Preference::by_ranks(ranks_from_best(&rankings));
    pictured("prompt", prompt, responses, listed(row, image_dir)?, preference)
}
