//! Prompts and responses as data sets write them: texts, messages, typed parts.
//!
//! Speakers and keys of the known schemas become those of chat templates. Where listed pictures stand is decided in `formats::placing`.

use std::path::Path;
use std::sync::Arc;

use prompt::{Draft, DraftContent, Piece, VideoSource};

use crate::error::RowFault;
use crate::fields::{mistyped, number, required, text};
use crate::pictures::{picture, pictures};
use crate::value::Value;

/// What goes before the responses: a text from the user, messages, or the parts of one message.
///
/// # Errors
/// A value that is no text or message, with the key at fault.
pub fn prompt(value: &Value, key: &str, base_dir: &Path) -> Result<Vec<Draft>, RowFault> {
    spoken(value, key, "user", base_dir)
}

/// One response: a text from the assistant, a message, messages, or the parts of one message.
///
/// # Errors
/// A value that is no text or message, with the key at fault.
pub fn response(value: &Value, key: &str, base_dir: &Path) -> Result<Vec<Draft>, RowFault> {
    spoken(value, key, "assistant", base_dir)
}

/// Messages of a list.
///
/// # Errors
/// A value that is no text or message, with the key at fault.
pub(crate) fn messages(value: &Value, key: &str, base_dir: &Path) -> Result<Vec<Draft>, RowFault> {
    let Value::List(values) = value else {
        return Err(mistyped(value, key, "a list of messages"));
    };
    let read = |(index, value)| message(value, &format!("{key}[{index}]"), base_dir);
    values.iter().enumerate().map(read).collect()
}

/// A text as a message.
pub fn said(role: &str, text: impl Into<String>) -> Draft {
    Draft { role: role.to_owned(), content: DraftContent::Text(text.into()) }
}

/// Messages in whose texts a mark such as `<image>` is plain text and no place.
pub fn literal(drafts: Vec<Draft>) -> Vec<Draft> {
    drafts.into_iter().map(literal_draft).collect()
}

/// A message in whose text a mark is plain text.
pub(crate) fn literal_draft(draft: Draft) -> Draft {
    let content = match draft.content {
        DraftContent::Text(text) => DraftContent::Pieces(vec![Piece::Text(text)]),
        pieces @ DraftContent::Pieces(_) => pieces,
    };
    Draft { role: draft.role, content }
}

/// Whether a value is one message, or a list that begins with one.
pub(crate) fn is_messages(value: &Value) -> bool {
    match value {
        Value::Object(_) => value.get("role").or_else(|| value.get("from")).is_some(),
        Value::List(values) => values.first().is_some_and(is_messages),
        _ => false,
    }
}

fn spoken(value: &Value, key: &str, role: &str, base_dir: &Path) -> Result<Vec<Draft>, RowFault> {
    match value {
        Value::Text(text) => Ok(vec![said(role, text.clone())]),
        Value::Object(_) => Ok(vec![message(value, key, base_dir)?]),
        Value::List(values) if values.first().is_some_and(is_part) => {
            let content = DraftContent::Pieces(pieces(values, key, base_dir)?);
            Ok(vec![Draft { role: role.to_owned(), content }])
        }
        Value::List(_) => messages(value, key, base_dir),
        _ => Err(mistyped(value, key, "a text or a list of messages")),
    }
}

fn is_part(value: &Value) -> bool {
    value.get("type").is_some() && !is_messages(value)
}

fn message(value: &Value, key: &str, base_dir: &Path) -> Result<Draft, RowFault> {
    if !matches!(value, Value::Object(_)) {
        return Err(mistyped(value, key, "a message"));
    }
    let (role_key, content_key) =
        if value.get("from").is_some() { ("from", "value") } else { ("role", "content") };
    let at = |name: &str| format!("{key}.{name}");
    let inside = |name: &'static str| {
        value.get(name).ok_or_else(|| RowFault::Missing { key: format!("{key}.{name}") })
    };
    let role = role(text(inside(role_key)?, &at(role_key))?, &at(role_key))?;
    let content = match inside(content_key)? {
        Value::Text(text) => DraftContent::Text(text.clone()),
        Value::List(values) => DraftContent::Pieces(pieces(values, &at(content_key), base_dir)?),
        other => return Err(mistyped(other, &at(content_key), "a text or a list of parts")),
    };
    Ok(Draft { role: role.to_owned(), content })
}

/// The speakers of LLaMA-Factory (`human`, `gpt`) and IXC-2.5-Reward (`bot`) beside those of chat templates.
pub(crate) fn role(written: &str, key: &str) -> Result<&'static str, RowFault> {
    match written {
        "system" => Ok("system"),
        "user" | "human" => Ok("user"),
        "assistant" | "gpt" | "bot" => Ok("assistant"),
        _ => Err(RowFault::Role { key: key.to_owned(), role: written.to_owned() }),
    }
}

fn pieces(values: &[Value], key: &str, base_dir: &Path) -> Result<Vec<Piece>, RowFault> {
    let read = |(index, value)| piece(value, &format!("{key}[{index}]"), base_dir);
    values.iter().enumerate().map(read).collect()
}

/// A part of a message; a table gives every part the fields of all types, so the others' are left alone.
fn piece(value: &Value, key: &str, base_dir: &Path) -> Result<Piece, RowFault> {
    if !matches!(value, Value::Object(_)) {
        return Err(mistyped(value, key, "a part with a `type`"));
    }
    let at = |name: &str| format!("{key}.{name}");
    let named =
        |name: &'static str| required(value, name).map_err(|_| RowFault::Missing { key: at(name) });
    match text(named("type")?, &at("type"))? {
        "text" => Ok(Piece::Text(text(named("text")?, &at("text"))?.to_owned())),
        "image" => {
            let written = ["image", "path", "url", "base64"]
                .into_iter()
                .find_map(|name| Some((name, value.get(name)?)));
            match written {
                None => Ok(Piece::ImagePlace),
                Some((name, image)) => Ok(Piece::Image(picture(image, &at(name), base_dir)?)),
            }
        }
        "image_url" => {
            let address = named("image_url")?;
            let url = address.get("url").unwrap_or(address);
            Ok(Piece::Image(picture(url, &at("image_url"), base_dir)?))
        }
        "video" => {
            let frames = pictures(named("frames")?, &at("frames"), base_dir)?;
            let frames = frames.into_iter().map(Arc::unwrap_or_clone).collect();
            let fps = number(named("fps")?, &at("fps"))?;
            Ok(Piece::Video(Arc::new(VideoSource { frames, fps })))
        }
        other => Err(RowFault::PartType { key: at("type"), kind: other.to_owned() }),
    }
}
