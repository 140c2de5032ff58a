//! Stanford Human Preferences: two comments on one Reddit post, of which the one written later has more votes.
//!
//! # Source
//! The data card of `stanfordnlp/SHP`: `post_id, domain, history, human_ref_A, human_ref_B, labels, score_A, score_B, score_ratio,
//! seconds_difference, …`. `labels` is 1 where A is preferred and 0 where B is.

use std::path::Path;

use super::{Reading, Source, plain_files, texts, texts_of};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{number, required, text};
use crate::formats::{Parsed, check_agreement};
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "shp",
    title: "Stanford Human Preferences",
    home: "stanfordnlp/SHP",
    license: "not stated",
    about: "Pairs of comments with their votes as scores; the usual filters are on `score_ratio` and on the number of pairs of one `post_id`.",
    id_key: None,
    recognizes: |row| row.has(&["history", "human_ref_A", "human_ref_B", "labels"]),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, _image_dir: &Path) -> Result<Parsed, RowFault> {
    let of = |key| number(required(row, key)?, key);
    let scores = [of("score_A")?, of("score_B")?];
    let label = of("labels")?;
    let order = match label {
        1.0 => Preference::first_of_two(),
        0.0 => Preference::second_of_two(),
        _ => {
            let (key, expected) = ("labels".to_owned(), "1 for A or 0 for B");
            return Err(RowFault::Number { key, number: label, expected });
        }
    };
    check_agreement(&[1.0 - label, label], &scores)?;
    let scores = Some(scores.map(|score| score as f32).to_vec());
    let prompt = text(required(row, "history")?, "history")?;
    let responses = texts_of(row, &["human_ref_A", "human_ref_B"])?;
    texts("history", prompt, responses, Preference { scores, ..order })
}
