//! The JSON shape of a row, field by field.
//!
//! Types and names only; what the values mean is decided elsewhere.

use std::fmt;

use serde::Deserialize as DeriveDeserialize;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor, value};

use super::content::RawContent;

/// Place and reason of a parse failure.
pub(super) struct Fault {
    pub(super) column: usize,
    pub(super) reason: String,
}

/// Parses one line.
pub(super) fn parse(line: &str) -> Result<RawRow, Fault> {
    serde_json::from_str(line).map_err(|error| {
        let full = error.to_string();
        let reason = full.split(" at line ").next().unwrap_or(&full).to_owned();
        // The parser counts bytes, people count characters.
        let before = &line[..line.floor_char_boundary(error.column())];
        Fault { column: before.chars().count(), reason }
    })
}

/// A row as written.
#[derive(Debug, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRow {
    #[serde(default, deserialize_with = "name")]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) images: Vec<String>,
    #[serde(default)]
    pub(super) videos: Vec<RawVideo>,
    pub(super) prompt: Option<String>,
    pub(super) messages: Option<Vec<RawMessage>>,
    pub(super) responses: Vec<String>,
}

/// A message as written.
#[derive(Debug, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMessage {
    pub(super) role: String,
    pub(super) content: RawContent,
}

/// A list of frame files with its frame rate.
#[derive(Debug, Clone, PartialEq, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVideo {
    pub(super) frames: Vec<String>,
    pub(super) fps: f64,
}

/// A part of a message as written.
#[derive(Debug, Clone, PartialEq, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPart {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    pub(super) image: Option<String>,
    pub(super) video: Option<RawFrames>,
    pub(super) fps: Option<f64>,
    pub(super) image_url: Option<RawUrl>,
}

/// The address in an `image_url` part.
#[derive(Debug, Clone, PartialEq, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUrl {
    pub(super) url: String,
}

/// A video inside a part: an object with its rate, or a bare list whose rate stands beside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RawFrames {
    Video(RawVideo),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for RawFrames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Frames;
        impl<'de> Visitor<'de> for Frames {
            type Value = RawFrames;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object with `frames` and `fps`, or a list of frame files")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawFrames, A::Error> {
                Deserialize::deserialize(value::SeqAccessDeserializer::new(list))
                    .map(RawFrames::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawFrames, A::Error> {
                Deserialize::deserialize(value::MapAccessDeserializer::new(map))
                    .map(RawFrames::Video)
            }
        }
        deserializer.deserialize_any(Frames)
    }
}

impl<'de> Deserialize<'de> for RawContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Content;
        impl<'de> Visitor<'de> for Content {
            type Value = RawContent;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text or a list of parts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RawContent, E> {
                Ok(RawContent::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawContent, A::Error> {
                Deserialize::deserialize(value::SeqAccessDeserializer::new(list))
                    .map(RawContent::Parts)
            }
        }
        deserializer.deserialize_any(Content)
    }
}

/// An id is a string; datasets also number their rows.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Name;
    impl Visitor<'_> for Name {
        type Value = Option<String>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a string or a whole number")
        }

        fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
            Ok(Some(name.to_owned()))
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }
    }
    deserializer.deserialize_any(Name)
}
