//! What is counted in a text: characters, and whether it has HTML in it.

use prompt::Message;

use super::texts_of;

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
}
