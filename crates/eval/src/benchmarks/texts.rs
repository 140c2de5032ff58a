//! Prompts and responses of benchmarks without pictures: every text is taken as it stands, a written `<image>` too.

use data::RowFault;
use data::raw::{self, Value, list, literal, required};
use prompt::{Draft, DraftContent, Piece};

use crate::benchmark::SourceRow;

/// A response and the key that it stands under.
pub(super) type Response = (String, Vec<Draft>);

/// The prompt of a needed key: a text from the user, or messages.
pub(super) fn prompt(row: &SourceRow<'_>, key: &str) -> Result<Vec<Draft>, RowFault> {
    raw::prompt(required(row.value, key)?, key, row.image_dir).map(literal)
}

/// The response of a needed key: a text from the assistant, or messages.
pub(super) fn response(row: &SourceRow<'_>, key: &str) -> Result<Response, RowFault> {
    spoken(row, required(row.value, key)?, key.to_owned())
}

/// The responses of a needed key that holds a list.
pub(super) fn responses(row: &SourceRow<'_>, key: &str) -> Result<Vec<Response>, RowFault> {
    let values = list(required(row.value, key)?, key)?;
    let read = |(index, value)| spoken(row, value, format!("{key}[{index}]"));
    values.iter().enumerate().map(read).collect()
}

/// The response that a value holds under `name`.
pub(super) fn inside(
    row: &SourceRow<'_>,
    value: &Value,
    key: &str,
    name: &str,
) -> Result<Response, RowFault> {
    let key = format!("{key}.{name}");
    let Some(said) = value.get(name) else { return Err(RowFault::Missing { key }) };
    spoken(row, said, key)
}

/// What rows with this prompt have in common: its words.
pub(super) fn group(prompt: &[Draft]) -> String {
    let words = |draft: &Draft| match &draft.content {
        DraftContent::Text(text) => vec![text.clone()],
        DraftContent::Pieces(pieces) => pieces.iter().filter_map(text_of).collect(),
    };
    prompt.iter().flat_map(words).collect::<Vec<_>>().join("\n")
}

fn text_of(piece: &Piece) -> Option<String> {
    if let Piece::Text(text) = piece { Some(text.clone()) } else { None }
}

fn spoken(row: &SourceRow<'_>, value: &Value, key: String) -> Result<Response, RowFault> {
    let messages = literal(raw::response(value, &key, row.image_dir)?);
    Ok((key, messages))
}
