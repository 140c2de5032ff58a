//! A record for people who do not know its label.

use data::Comparison;
use prompt::{Message, Part};
use serde::Serialize;

use crate::chance;

/// A line of the file. Marks stand in the texts where pictures are; their names are listed in that order.
#[derive(Serialize)]
struct Sheet<'a> {
    key: String,
    source: &'a str,
    prompt: Vec<Said>,
    images: Vec<String>,
    a: Vec<Said>,
    images_a: Vec<String>,
    b: Vec<Said>,
    images_b: Vec<String>,
    /// To be filled in.
    verdict: &'static str,
}

#[derive(Serialize)]
struct Said {
    role: String,
    text: String,
}

/// Index of the response that people see as `a`. It depends on the record's fingerprint alone, so that a sheet can be read without its file
/// having to say it.
pub fn shown_first(key: u128) -> usize {
    usize::from(chance::number(0, "sheet", &[key]) & 1 == 1)
}

/// A pair as a line of JSON, without its end: prompt, both answers as `a` and `b`, and an empty `verdict` that takes `a`, `b`, `tie` or `skip`.
///
/// # Panics
/// When the comparison is not a pair.
pub fn sheet_line(key: u128, comparison: &Comparison) -> String {
    assert_eq!(comparison.responses.len(), 2, "people compare two answers");
    let first = shown_first(key);
    let [a, b] = [first, 1 - first].map(|at| comparison.responses[at].as_slice());
    let sheet = Sheet {
        key: format!("{key:032x}"),
        source: &comparison.source,
        prompt: said(&comparison.prompt),
        images: images(&comparison.prompt),
        a: said(a),
        images_a: images(a),
        b: said(b),
        images_b: images(b),
        verdict: "",
    };
    serde_json::to_string(&sheet).expect("texts can be written")
}

fn said(messages: &[Message]) -> Vec<Said> {
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Image(_) => "<image>".to_owned(),
        Part::Video(video) => "<image>".repeat(video.frames.len()),
    };
    let one = |message: &Message| Said {
        role: message.role.clone(),
        text: message.content.iter().map(text).collect(),
    };
    messages.iter().map(one).collect()
}

fn images(messages: &[Message]) -> Vec<String> {
    let mut names = Vec::new();
    for part in messages.iter().flat_map(|message| &message.content) {
        match part {
            Part::Text(_) => {}
            Part::Image(image) => names.push(image.name()),
            Part::Video(video) => names.extend(video.frames.iter().map(prompt::ImageSource::name)),
        }
    }
    names
}
