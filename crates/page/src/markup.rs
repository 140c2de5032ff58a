//! HTML and SVG as nested calls: every element is closed and every text escaped, because nothing else can be written.
//!
//! It does not know which elements exist.

use std::fmt::{Display, Write};

/// Attributes of an element: names, which are the program's own, and values, which may be anybody's.
pub type Attributes<'a> = &'a [(&'a str, &'a dyn Display)];

/// Page, or a part of one, that is being written.
#[derive(Debug, Default)]
pub struct Markup {
    text: String,
}

impl Markup {
    /// An element with whatever `inside` writes.
    pub fn element(
        &mut self,
        tag: &str,
        attributes: Attributes<'_>,
        inside: impl FnOnce(&mut Self),
    ) {
        self.open(tag, attributes);
        self.text.push('>');
        inside(self);
        write!(self.text, "</{tag}>").expect("a String takes any text");
    }

    /// An element with text only.
    pub fn leaf(&mut self, tag: &str, attributes: Attributes<'_>, text: impl Display) {
        self.element(tag, attributes, |page| page.text(text));
    }

    /// An element without content.
    pub fn void(&mut self, tag: &str, attributes: Attributes<'_>) {
        self.open(tag, attributes);
        self.text.push_str("/>");
    }

    /// Text, escaped.
    pub fn text(&mut self, text: impl Display) {
        push_escaped(&mut self.text, &text.to_string());
    }

    /// A style sheet of the program's own, which must not be escaped.
    pub(crate) fn style(&mut self, sheet: &'static str) {
        write!(self.text, "<style>{sheet}</style>").expect("a String takes any text");
    }

    /// A script of the program's own, which must not be escaped.
    pub(crate) fn script(&mut self, script: &'static str) {
        write!(self.text, "<script>{script}</script>").expect("a String takes any text");
    }

    /// The page behind its document type.
    pub(crate) fn into_document(self) -> String {
        format!("<!DOCTYPE html>\n{}\n", self.text)
    }

    fn open(&mut self, tag: &str, attributes: Attributes<'_>) {
        // One element a line where line breaks do not show, so that a report can be compared with another.
        if matches!(tag, "section" | "figure" | "svg" | "article" | "tr" | "head" | "body") {
            self.text.push('\n');
        }
        write!(self.text, "<{tag}").expect("a String takes any text");
        for (name, value) in attributes {
            write!(self.text, " {name}=\"").expect("a String takes any text");
            push_escaped(&mut self.text, &value.to_string());
            self.text.push('"');
        }
    }
}

fn push_escaped(out: &mut String, text: &str) {
    for symbol in text.chars() {
        match symbol {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(symbol),
            // HTML has no other control characters.
            symbol if symbol.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            symbol => out.push(symbol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_attributes_are_escaped() {
        let mut page = Markup::default();
        let hostile = "</p><script>alert('1')</script>\"&\0";
        page.leaf("p", &[("title", &hostile)], hostile);
        let escaped =
            "&lt;/p&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;\u{fffd}";
        assert_eq!(page.text, format!("<p title=\"{escaped}\">{escaped}</p>"));
    }

    #[test]
    fn elements_are_closed_in_order() {
        let mut page = Markup::default();
        page.element("div", &[], |page| {
            page.void("img", &[("alt", &"")]);
            page.leaf("b", &[], 7);
        });
        assert_eq!(page.text, "<div><img alt=\"\"/><b>7</b></div>");
    }
}
