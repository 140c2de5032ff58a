//! Parts that several pages have: the heading, tiles with the figures to read first, tables of names and values, pictures.
//!
//! Their looks are the style sheet's.

use prompt::ImageSource;

use crate::markup::Markup;
use crate::thumbnail::data_url;

/// Writes title, labels with names, and remarks.
pub fn heading(page: &mut Markup, title: &str, names: &[(String, String)], remarks: &[String]) {
    page.element("header", &[], |page| {
        page.leaf("h1", &[], title);
        page.element("p", &[("class", &"names")], |page| {
            for (label, name) in names {
                page.element("span", &[], |page| {
                    page.text(format!("{label} "));
                    page.leaf("b", &[], name);
                });
                page.text(" ");
            }
        });
        for remark in remarks {
            page.leaf("p", &[("class", &"remark")], remark);
        }
    });
}

/// One figure with its name and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// What the figure is.
    pub name: String,
    /// The figure.
    pub figure: String,
    /// What it is over, and its interval.
    pub detail: String,
    /// Whether it is the one to look at first.
    pub is_main: bool,
}

impl Tile {
    /// A tile beside the main one.
    pub fn new(name: impl Into<String>, figure: String, detail: String) -> Self {
        Self { name: name.into(), figure, detail, is_main: false }
    }

    /// The tile to look at first.
    pub fn main(name: impl Into<String>, figure: String, detail: String) -> Self {
        Self { is_main: true, ..Self::new(name, figure, detail) }
    }
}

/// Writes a row of tiles.
pub fn tiles(page: &mut Markup, tiles: &[Tile]) {
    page.element("dl", &[("class", &"tiles")], |page| {
        for tile in tiles {
            let class = if tile.is_main { "main" } else { "" };
            page.element("div", &[("class", &class)], |page| {
                page.leaf("dt", &[], &tile.name);
                page.leaf("dd", &[("class", &"figure")], &tile.figure);
                page.leaf("dd", &[], &tile.detail);
            });
        }
    });
}

/// Writes a table of names and values.
pub fn facts(page: &mut Markup, facts: &[(String, String)]) {
    page.element("table", &[], |page| {
        for (name, value) in facts {
            page.element("tr", &[], |page| {
                page.leaf("th", &[], name);
                page.leaf("td", &[], value);
            });
        }
    });
}

/// Writes a small picture, or why it cannot be shown.
pub fn picture(page: &mut Markup, source: &ImageSource) {
    match data_url(source) {
        Ok(thumbnail) => {
            let class = if thumbnail.is_tiny { "tiny" } else { "" };
            page.void(
                "img",
                &[
                    ("src", &thumbnail.url),
                    ("alt", &source.name()),
                    ("width", &thumbnail.width),
                    ("height", &thumbnail.height),
                    ("class", &class),
                ],
            );
        }
        Err(reason) => {
            page.leaf("p", &[("class", &"note")], format!("Picture not shown: {reason}"));
        }
    }
}

/// The beginning of a text that is too long for its place.
pub fn clipped(text: &str, most_chars: usize) -> String {
    match text.char_indices().nth(most_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::document;

    #[test]
    fn a_long_text_ends_where_a_character_ends() {
        assert_eq!(clipped("äöü", 2), "äö…");
        assert_eq!(clipped("äöü", 3), "äöü");
    }

    #[test]
    fn a_picture_that_cannot_be_read_is_replaced_by_the_reason() {
        let source = ImageSource::Bytes { label: "<broken>".into(), bytes: vec![0] };
        let page = document("", |page| picture(page, &source));
        assert!(!page.contains("<img") && !page.contains("<broken>"));
        assert!(page.contains("Picture not shown: ") && page.contains("&lt;broken&gt;"), "{page}");
    }
}
