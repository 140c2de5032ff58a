//! VLFeedback: four answers about a picture, rated by GPT-4V in three aspects.
//!
//! # Source
//! The data card of `MMInstruction/VLFeedback`: `id, prompt, models, completions, img_path`; a completion is `{annotations {aspect: {Rating,
//! Rationale}}, model, response}`, and the `datasets` library turns the list of them into lists of their fields. Silkie (`run_dpo.py`) compares
//! the means over the aspects, and skips pairs with a rating that is no number.

use std::path::Path;

use super::pictured::pictured;
use super::{Reading, Source, plain_files};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{list, mistyped, required, text};
use crate::formats::Parsed;
use crate::pictures::{listed, pictures};
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "vlfeedback",
    title: "VLFeedback",
    home: "MMInstruction/VLFeedback",
    license: "not stated",
    about: "Four answers with scores: the mean of their aspect ratings. An answer with a rating that is no number is left out, the others are kept.",
    id_key: Some("id"),
    recognizes: |row| {
        row.has(&["prompt", "completions"]) && (row.has(&["img_path"]) || row.has(&["image"]))
    },
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    let images = match row.get("img_path") {
        Some(path) => pictures(path, "img_path", image_dir)?,
        None => listed(row, image_dir)?,
    };
    let prompt = text(required(row, "prompt")?, "prompt")?.to_owned();
    let completions = completions(required(row, "completions")?)?;
    let given = completions.len();
    let mut responses = Vec::with_capacity(given);
    let mut scores = Vec::with_capacity(given);
    for Completion { key, response, annotations } in completions {
        if let Some(score) = annotations.and_then(mean_rating) {
            let response = text(response.unwrap_or(&Value::Null), &key)?.to_owned();
            responses.push((key, response));
            scores.push(score);
        }
    }
    if scores.len() < 2 {
        let (key, rated) = ("completions", scores.len());
        return Err(RowFault::TooFewRated { key, given, rated });
    }
    pictured("prompt", prompt, responses, images, Preference::by_scores(&scores))
}

/// A response with its ratings.
struct Completion<'a> {
    key: String,
    response: Option<&'a Value>,
    annotations: Option<&'a Value>,
}

/// A list of completions, or the lists of their fields.
fn completions<'a>(value: &'a Value) -> Result<Vec<Completion<'a>>, RowFault> {
    match value {
        Value::List(values) => {
            let of = |(index, value): (usize, &'a Value)| Completion {
                key: format!("completions[{index}].response"),
                response: value.get("response"),
                annotations: value.get("annotations"),
            };
            Ok(values.iter().enumerate().map(of).collect())
        }
        Value::Object(_) => {
            let of = |name: &str| {
                let key = format!("completions.{name}");
                list(value.get(name).unwrap_or(&Value::Null), &key)
            };
            let (responses, annotations) = (of("response")?, of("annotations")?);
            if responses.len() != annotations.len() {
                let (key, found) = ("completions.annotations".to_owned(), annotations.len());
                return Err(RowFault::Length { key, found, responses: responses.len() });
            }
            let read = |(index, (response, annotations))| Completion {
                key: format!("completions.response[{index}]"),
                response: Some(response),
                annotations: Some(annotations),
            };
            Ok(responses.iter().zip(annotations).enumerate().map(read).collect())
        }
        other => Err(mistyped(other, "completions", "a list or an object of lists")),
    }
}

/// The mean over all aspects, if every rating is a number.
fn mean_rating(annotations: &Value) -> Option<f64> {
    let Value::Object(aspects) = annotations else { return None };
    let mut sum = 0.0;
    for (_, aspect) in aspects {
        let rating = match aspect.get("Rating")? {
            Value::Text(rating) => rating.trim().parse().ok()?,
            Value::Whole(rating) => *rating as f64,
            Value::Number(rating) => *rating,
            _ => return None,
        };
        sum += rating;
    }
    let mean = sum / aspects.len() as f64;
    mean.is_finite().then_some(mean)
}
