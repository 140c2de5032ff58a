//! What is counted in a text: characters, its language, whether it has HTML in it.

use prompt::Message;

use super::texts_of;

/// Instead of a language, where a text is too short or of too many.
pub(super) const UNCERTAIN: &str = "not certain";

/// Characters of a question that its language is told from: more make it no surer, only slower.
const LANGUAGE_CHARS: usize = 400;

/// Names of HTML elements that people and models write into answers.
const ELEMENTS: [&str; 40] = [
    "a",
    "b",
    "blockquote",
    "body",
    "br",
    "button",
    "center",
    "code",
    "div",
    "em",
    "font",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "hr",
    "html",
    "i",
    "img",
    "input",
    "li",
    "ol",
    "p",
    "pre",
    "script",
    "span",
    "strong",
    "style",
    "sub",
    "sup",
    "svg",
    "table",
    "td",
    "th",
    "tr",
    "ul",
];

pub(super) fn num_chars(messages: &[Message]) -> usize {
    texts_of(messages).map(|text| text.chars().count()).sum()
}

/// The language of a message, in English.
pub(super) fn language(message: &Message) -> &'static str {
    let text: String =
        texts_of(std::slice::from_ref(message)).flat_map(str::chars).take(LANGUAGE_CHARS).collect();
    match whatlang::detect(&text) {
        Some(found) if found.is_reliable() => found.lang().eng_name(),
        _ => UNCERTAIN,
    }
}

/// Whether a text has a tag of a common HTML element. Other words in angle brackets, such as types in code, are none.
pub(super) fn has_html(text: &str) -> bool {
    text.match_indices('<').any(|(place, _)| begins_with_element(&text[place + 1..]))
}

fn begins_with_element(inside: &str) -> bool {
    let inside = inside.strip_prefix('/').unwrap_or(inside);
    let end = inside.find(|character: char| !character.is_ascii_alphanumeric());
    let Some(end) = end else { return false };
    let name = inside[..end].to_ascii_lowercase();
    let ends_well = inside[end..].starts_with([' ', '\n', '\t', '/', '>']);
    ends_well && inside[end..].contains('>') && ELEMENTS.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use prompt::Part;

    use super::*;

    fn message(text: &str) -> Message {
        Message { role: "user".to_owned(), content: vec![Part::Text(text.to_owned())] }
    }

    #[test]
    fn tags_are_html_and_other_angle_brackets_are_not() {
        let tags = ["<p>Hello", "a<br/>b", "<a href=\"x\">y", "so </DIV> ends", "x < y <b>z</b>"];
        for text in tags {
            assert!(has_html(text), "{text}");
        }
        let others = ["x < y", "Vec<u8>", "a<b, but c", "<image>", "<think>hm</think>", "<", "<p"];
        for text in others {
            assert!(!has_html(text), "{text}");
        }
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        assert_eq!(num_chars(&[message("größer"), message("圖")]), 7);
    }

    #[test]
    fn a_language_is_named_only_when_it_is_certain() {
        let english = "What is the animal in this picture doing, and why would it do that?";
        assert_eq!(language(&message(english)), "English");
        assert_eq!(language(&message("これは何の写真ですか。")), "Japanese");
        assert_eq!(language(&message("42")), UNCERTAIN);
    }
}
