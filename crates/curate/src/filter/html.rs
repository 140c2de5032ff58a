//! Whether a text has tags of HTML.
//!
//! Marks of pictures such as `<image>`, tags of other languages and comparisons such as `a < b` are none.

use std::sync::LazyLock;

use regex::Regex;

/// Elements that occur in texts copied from pages, in lower case.
const ELEMENTS: &str = "a|abbr|article|aside|b|big|blockquote|body|br|button|caption|center|cite|code|col|dd|del|details|div|dl|dt|em|\
    figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|link|main|mark|meta|nav|ol|option|p|pre|\
    q|s|samp|script|section|select|small|span|strike|strong|style|sub|summary|sup|table|tbody|td|textarea|tfoot|th|thead|title|tr|tt|u|ul";

static TAG: LazyLock<Regex> = LazyLock::new(|| {
    let tag = format!(r"(?i)<(?:/(?:{ELEMENTS})\s*|(?:{ELEMENTS})(?:\s+[a-z][^<>]*)?\s*/?)>");
    Regex::new(&tag).expect("the pattern is fixed and tested")
});

/// Whether a text has an opening or closing tag of an element of HTML.
pub fn has_html(text: &str) -> bool {
    text.contains('<') && TAG.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_in_every_form() {
        for text in
            ["<p>", "a<br/>b", "<BR />", "</div>", r#"see <a href="x">y</a>"#, "x<sub>2</sub>"]
        {
            assert!(has_html(text), "{text}");
        }
    }

    #[test]
    fn comparisons_marks_and_other_languages_are_no_html() {
        for text in
            ["a < b > c", "<image>", "<video>\nWhat?", "Vec<u8>", "<think>so</think>", "x <- 3"]
        {
            assert!(!has_html(text), "{text}");
        }
    }
}
