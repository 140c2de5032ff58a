//! Texts of records, and plain figures about them.

use data::Comparison;
use prompt::{Message, Part};
use rapidfuzz::distance::levenshtein;

/// Texts of all messages, with a line break between them.
pub(crate) fn of_prompt(messages: &[Message]) -> String {
    messages.iter().map(of_message).collect::<Vec<_>>().join("\n")
}

/// Text of the last message of a response.
pub(crate) fn of_response(messages: &[Message]) -> String {
    messages.last().map(of_message).unwrap_or_default()
}

fn of_message(message: &Message) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) => Some(text.clone()),
        Part::Image(_) | Part::Video(_) => None,
    };
    message.content.iter().filter_map(text).collect()
}

/// Messages of the user before the responses.
pub(crate) fn num_turns(comparison: &Comparison) -> usize {
    comparison.prompt.iter().filter(|message| message.role == "user").count()
}

/// Pictures of the prompt and all responses, without frames of videos.
pub(crate) fn num_images(comparison: &Comparison) -> usize {
    parts(comparison).filter(|part| matches!(part, Part::Image(_))).count()
}

/// Videos of the prompt and all responses.
pub(crate) fn num_videos(comparison: &Comparison) -> usize {
    parts(comparison).filter(|part| matches!(part, Part::Video(_))).count()
}

fn parts(comparison: &Comparison) -> impl Iterator<Item = &Part> {
    let messages = comparison.prompt.iter().chain(comparison.responses.iter().flatten());
    messages.flat_map(|message| &message.content)
}

/// One minus the edits between two texts over the characters of the longer one; 1 for equal texts.
pub(crate) fn similarity(first: &str, second: &str) -> f64 {
    if first.is_ascii() && second.is_ascii() {
        levenshtein::normalized_similarity(first.bytes(), second.bytes())
    } else {
        levenshtein::normalized_similarity(first.chars(), second.chars())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted_in_characters() {
        assert!((similarity("kitten", "sitting") - 4.0 / 7.0).abs() < 1e-12);
        assert!((similarity("aé", "ae") - 0.5).abs() < 1e-12);
        assert!((similarity("", "") - 1.0).abs() < 1e-12);
        assert!(similarity("", "abc").abs() < 1e-12);
    }
}
