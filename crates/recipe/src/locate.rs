//! From a dotted key to its place in the text of a recipe.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::error::Place;

/// Place of a key in a text that parses: of the key itself, else of the innermost table around it that is there.
pub(crate) fn of_key(file: &Path, text: &str, key: &[String]) -> Place {
    let Ok(document) = DeTable::parse(text) else { return of_span(file, text, 0..0) };
    let mut span = 0..0;
    let mut table = Some(document.get_ref());
    let mut list: Option<&[toml::Spanned<DeValue<'_>>]> = None;
    for name in key {
        let value = if let Some(inside) = table {
            let Some((found, value)) = inside.iter().find(|(found, _)| found.get_ref() == name)
            else {
                break;
            };
            span = found.span();
            value
        } else if let Some(inside) = list {
            let Some(value) = name.parse::<usize>().ok().and_then(|i| inside.get(i)) else { break };
            span = value.span();
            value
        } else {
            break;
        };
        table = value.get_ref().as_table();
        list = match value.get_ref() {
            DeValue::Array(values) => Some(values),
            _ => None,
        };
    }
    of_span(file, text, span)
}

/// Place of some bytes.
pub(crate) fn of_span(file: &Path, text: &str, span: Range<usize>) -> Place {
    let start = floor_char_boundary(text, span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    let before = text[line_start..start].chars().count();
    let marked = text[start..floor_char_boundary(text, span.end.max(start))].lines().next();
    Place {
        file: file.to_owned(),
        line: text[..line_start].matches('\n').count() + 1,
        column: before + 1,
        width: marked.map_or(0, |marked| marked.chars().count()).max(1),
        text: line.to_owned(),
    }
}

fn floor_char_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}
