//! Records for tests.

pub(crate) mod curated;

use std::path::PathBuf;
use std::sync::Arc;

use data::{Comparison, Preference};
use prompt::{ImageSource, Message, Part};

use crate::record::{ImageId, Origin, Record};

/// A record with one picture for each of `images`, whose better answer is the first.
pub(crate) fn record(question: &str, answers: &[&str], images: &[u128]) -> Record {
    let image =
        |id: &u128| Part::Image(Arc::new(ImageSource::Path(PathBuf::from(format!("{id}.png")))));
    let mut content: Vec<Part> = images.iter().map(image).collect();
    content.push(Part::Text(question.to_owned()));
    let answer = |text: &&str| vec![message("assistant", vec![Part::Text((*text).to_owned())])];
    Record {
        comparison: Comparison {
            id: "rows.jsonl:1".to_owned(),
            source: "test".to_owned(),
            prompt: vec![message("user", content)],
            responses: answers.iter().map(answer).collect(),
            preference: Preference {
                ranks: (0..answers.len() as u32).collect(),
                scores: None,
                margin: None,
                soft_label: None,
            },
        },
        origin: Origin { source: 0, file: 0, row: 0, part: 0 },
        images: images.iter().map(|id| ImageId(*id)).collect(),
    }
}

pub(crate) fn message(role: &str, content: Vec<Part>) -> Message {
    Message { role: role.to_owned(), content }
}

/// Different words in an order that depends on the seed.
pub(crate) fn text(seed: u64, num_words: usize) -> String {
    let word = |at: usize| {
        let random = crate::shingles::mixed(seed, at as u64);
        format!("w{}", random % 5000)
    };
    (0..num_words).map(word).collect::<Vec<_>>().join(" ")
}
