//! The language of a conversation, told from what the person says in it.

use prompt::{Message, Part};

/// Characters that a language is told from: more make it no surer, only slower.
const MAX_CHARS: usize = 400;

/// Confidence from 0 to 1 below which the wrong language is named too often: short English questions pass for Romance ones up to 0.3.
const MIN_CONFIDENCE: f64 = 0.5;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Language {
    /// As in ISO 639-3, such as `eng`.
    pub code: &'static str,
    /// Its English name.
    pub name: &'static str,
}

/// The language that the user writes. None when there is too little text to be certain.
pub fn language(messages: &[Message]) -> Option<Language> {
    let mut text = String::new();
    let mut num_chars = 0;
    let asked = messages.iter().filter(|message| message.role == "user");
    for part in asked.flat_map(|message| &message.content) {
        let Part::Text(said) = part else { continue };
        text.extend(said.chars().take(MAX_CHARS - num_chars));
        text.push(' ');
        num_chars = (num_chars + said.chars().take(MAX_CHARS).count()).min(MAX_CHARS);
    }
    let found = whatlang::detect(&text)?;
    let language = found.lang();
    (found.confidence() >= MIN_CONFIDENCE)
        .then(|| Language { code: language.code(), name: language.eng_name() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(role: &str, text: &str) -> Message {
        Message { role: role.to_owned(), content: vec![Part::Text(text.to_owned())] }
    }

    fn named(messages: &[Message]) -> Option<&'static str> {
        language(messages).map(|language| language.name)
    }

    #[test]
    fn a_language_is_named_only_when_it_is_certain() {
        let english = "What is the animal in this picture doing, and why would it do that?";
        assert_eq!(named(&[said("user", english)]), Some("English"));
        assert_eq!(named(&[said("user", "これは何の写真ですか。")]), Some("Japanese"));
        assert_eq!(named(&[said("user", "loser")]), None);
        assert_eq!(named(&[said("user", "42")]), None);
        assert_eq!(language(&[]), None);
    }

    #[test]
    fn all_that_the_user_says_counts_and_nothing_else() {
        let german = "Der Hund liegt auf dem Teppich und schläft, weil er müde ist.";
        let talk = [said("user", german), said("assistant", "Yes, it does."), said("user", "ok")];
        assert_eq!(named(&talk), Some("German"));
    }

    #[test]
    fn a_long_text_is_read_in_part() {
        let english = "The quick answer is that nobody knows what it means. ".repeat(20);
        let talk = [said("user", &english), said("user", "これは何の写真ですか。")];
        assert_eq!(named(&talk), Some("English"));
    }
}
