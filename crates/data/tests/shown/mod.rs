//! Comparisons as short texts, for the tests to compare with.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use data::{Comparison, Dataset, DatasetOptions, RowError};
use prompt::{Message, Part};

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new("tests/fixtures").join(name)
}

pub(crate) fn open(path: impl AsRef<Path>) -> Dataset {
    Dataset::open(&[path], &DatasetOptions::default()).unwrap()
}

/// Every row of a fixture.
pub(crate) fn rows(name: &str) -> Vec<Comparison> {
    open(fixture(name)).rows().collect::<Result<_, RowError>>().unwrap()
}

/// A prompt and its responses, messages as `role: text`, pictures as `[name]`.
pub(crate) fn shown(comparison: &Comparison) -> (Vec<String>, Vec<Vec<String>>) {
    let responses = comparison.responses.iter().map(|response| messages(response)).collect();
    (messages(&comparison.prompt), responses)
}

pub(crate) fn messages(messages: &[Message]) -> Vec<String> {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Image(image) => format!("[{}]", image.name().replace("tests/fixtures/images/", "")),
        Part::Video(_) => panic!("no fixture has a video"),
    };
    let message = |message: &Message| {
        format!("{}: {}", message.role, message.content.iter().map(part).collect::<String>())
    };
    messages.iter().map(message).collect()
}

/// Compares prompt and responses with what they should be; each response is one message.
pub(crate) fn assert_shown(comparison: &Comparison, prompt: &[&str], responses: &[&str]) {
    let responses: Vec<Vec<String>> =
        responses.iter().map(|response| vec![(*response).to_owned()]).collect();
    let prompt = prompt.iter().map(|message| (*message).to_owned()).collect();
    assert_eq!(shown(comparison), (prompt, responses));
}
