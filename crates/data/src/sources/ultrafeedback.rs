//! UltraFeedback: four completions of each instruction, rated by GPT-4 in four aspects.
//!
//! # Source
//! The data card of `openbmb/UltraFeedback`: `source, instruction, models, completions [{model, response, annotations {aspect: {Rating,
//! Rationale}}, overall_score, …}]`. The score of a completion is the mean of its ratings, as in the sets that Argilla and AI2 made of it:
//! they found `overall_score` to be 10 for completions that the critique calls bad. A rating is a text, and `N/A` where the aspect does not
//! apply. The system prompts under which completions were written differ and are not part of the prompt.

use std::path::Path;

use super::{Reading, Source, plain_files, texts};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{list, required, text};
use crate::formats::Parsed;
use crate::value::Value;

const ASPECTS: [&str; 4] = ["helpfulness", "honesty", "instruction_following", "truthfulness"];

pub(super) static SOURCE: Source = Source {
    name: "ultrafeedback",
    title: "UltraFeedback",
    home: "openbmb/UltraFeedback",
    license: "MIT",
    about: "Four completions with scores: the mean of the aspect ratings that are numbers. `overall_score` is not read, because it is wrong in hundreds of rows.",
    id_key: None,
    recognizes: |row| row.has(&["instruction", "completions"]),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, _image_dir: &Path) -> Result<Parsed, RowFault> {
    let prompt = text(required(row, "instruction")?, "instruction")?;
    let completions = list(required(row, "completions")?, "completions")?;
    if completions.len() < 2 {
        let (key, found) = ("completions", completions.len());
        return Err(RowFault::TooFewResponses { key, found });
    }
    let mut responses = Vec::with_capacity(completions.len());
    let mut scores = Vec::with_capacity(completions.len());
    for (index, completion) in completions.iter().enumerate() {
        let key = format!("completions[{index}]");
        let response_key = format!("{key}.response");
        let response = completion
            .get("response")
            .ok_or_else(|| RowFault::Missing { key: response_key.clone() })?;
        let response = text(response, &response_key)?.to_owned();
        responses.push((response_key, response));
        scores.push(mean_rating(completion).ok_or(RowFault::Unrated { key })?);
    }
    texts("instruction", prompt, responses, Preference::by_scores(&scores))
}

fn mean_rating(completion: &Value) -> Option<f64> {
    let annotations = completion.get("annotations")?;
    let ratings: Vec<f64> = ASPECTS
        .iter()
        .filter_map(|aspect| match annotations.get(aspect)?.get("Rating")? {
            Value::Text(rating) => rating.trim().parse().ok(),
            Value::Whole(rating) => Some(*rating as f64),
            Value::Number(rating) => Some(*rating),
            _ => None,
        })
        .filter(|rating| rating.is_finite())
        .collect();
    if ratings.is_empty() { None } else { Some(ratings.iter().sum::<f64>() / ratings.len() as f64) }
}
