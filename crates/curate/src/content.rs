//! A record as it is compared with others: its texts normalized, its pictures by their content.
//!
//! Where in a message its pictures stand makes no difference, nor how its text is divided into parts.

use std::borrow::Cow;

use prompt::{Message, Part};

use crate::record::{ImageId, Record};
use crate::text::normalized;

/// Prompt and answers of a record.
pub(crate) struct Content<'a> {
    /// Messages that the answers have in common.
    pub(crate) prompt: Vec<Turn<'a>>,
    /// `[answers, messages]`.
    pub(crate) answers: Vec<Vec<Turn<'a>>>,
}

/// A message.
pub(crate) struct Turn<'a> {
    /// Who says it.
    pub(crate) role: &'a str,
    /// Its text, normalized.
    pub(crate) text: String,
    /// Its pictures and frames of videos.
    pub(crate) images: &'a [ImageId],
}

impl<'a> Content<'a> {
    /// What a record says and shows.
    pub(crate) fn of(record: &'a Record) -> Self {
        let mut images = record.images.as_slice();
        let mut turns = |messages: &'a [Message]| {
            messages.iter().map(|message| Turn::of(message, &mut images)).collect()
        };
        let prompt = turns(&record.comparison.prompt);
        let answers = record.comparison.responses.iter().map(|answer| turns(answer)).collect();
        Self { prompt, answers }
    }
}

impl<'a> Turn<'a> {
    /// Takes the message's pictures from those of the record that are left.
    fn of(message: &'a Message, images: &mut &'a [ImageId]) -> Self {
        let count = message.content.iter().map(num_images).sum::<usize>();
        let (own, rest) = images.split_at(count.min(images.len()));
        *images = rest;
        Self { role: &message.role, text: normalized(&text(message)), images: own }
    }
}

/// The text of a message, its parts apart from each other.
pub(crate) fn text(message: &Message) -> Cow<'_, str> {
    let mut texts = message.content.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::Image(_) | Part::Video(_) => None,
    });
    let first = texts.next().unwrap_or_default();
    texts.fold(Cow::Borrowed(first), |all, text| Cow::Owned(format!("{all} {text}")))
}

fn num_images(part: &Part) -> usize {
    match part {
        Part::Text(_) => 0,
        Part::Image(_) => 1,
        Part::Video(video) => video.frames.len(),
    }
}
