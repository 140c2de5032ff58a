//! The JSON shape of a row, field by field.
//!
//! Types and names only; what the values mean is decided elsewhere. Bodies of requests are made of the same types, so that a server and
//! a file of rows cannot disagree about them.

use std::fmt;

use serde::Deserialize as DeriveDeserialize;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor, value};

/// Place and reason of a parse failure.
pub(super) struct Fault {
    pub(super) column: usize,
    pub(super) reason: String,
}

/// Parses one line.
pub(super) fn parse(line: &str) -> Result<WrittenRow, Fault> {
    serde_json::from_str(line).map_err(|error| {
        let full = error.to_string();
        let reason = full.split(" at line ").next().unwrap_or(&full).to_owned();
        // The parser counts bytes, people count characters.
        let before = &line[..line.floor_char_boundary(error.column())];
        Fault { column: before.chars().count(), reason }
    })
}

/// A row as written.
#[derive(Debug, Clone, PartialEq, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenRow {
    /// Name of the row.
    #[serde(default, deserialize_with = "name")]
    pub id: Option<String>,
    /// Paths or data: URLs of pictures beside the texts.
    #[serde(default)]
    pub images: Vec<String>,
    /// Videos beside the texts.
    #[serde(default)]
    pub videos: Vec<WrittenVideo>,
    /// The question as one text.
    pub prompt: Option<String>,
    /// The question as messages.
    pub messages: Option<Vec<WrittenMessage>>,
    /// The answers to score.
    pub responses: Vec<WrittenResponse>,
}

/// Content of a message as written.
#[derive(Debug, Clone, PartialEq)]
pub enum WrittenContent {
    /// Plain text.
    Text(String),
    /// Texts, pictures and videos in order.
    Parts(Vec<WrittenPart>),
}

/// An answer as written.
#[derive(Debug, Clone, PartialEq)]
pub enum WrittenResponse {
    /// Its text.
    Text(String),
    /// One message from `assistant`.
    Message(WrittenMessage),
    /// Messages that begin and end with `assistant`.
    Messages(Vec<WrittenMessage>),
}

/// A message as written.
#[derive(Debug, Clone, PartialEq, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenMessage {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What it says.
    pub content: WrittenContent,
}

/// A list of frame files with its frame rate.
#[derive(Debug, Clone, PartialEq, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenVideo {
    /// Paths or data: URLs of the frames.
    pub frames: Vec<String>,
    /// Frames per second.
    pub fps: f64,
}

/// A part of a message as written.
#[derive(Debug, Clone, PartialEq, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenPart {
    /// `text`, `image`, `image_url` or `video`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Text of a part of type `text`.
    pub text: Option<String>,
    /// Path or data: URL of a part of type `image`; without it, the next listed image.
    pub image: Option<String>,
    /// Frames of a part of type `video`; without them, the next listed video.
    pub video: Option<WrittenFrames>,
    /// Frame rate of a bare list of frames.
    pub fps: Option<f64>,
    /// Address of a part of type `image_url`.
    pub image_url: Option<WrittenUrl>,
    /// A caller's own name for the picture of a part of type `image_url`; nothing depends on it.
    pub uuid: Option<String>,
}

impl WrittenPart {
    /// A part of type `text`.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::place("text") }
    }

    /// A part of a type that names no picture of its own.
    pub(crate) fn place(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            text: None,
            image: None,
            video: None,
            fps: None,
            image_url: None,
            uuid: None,
        }
    }
}

impl WrittenContent {
    /// Text without places: a mark such as `<image>` is what it says. No text is no part.
    pub fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::Parts(if text.is_empty() { Vec::new() } else { vec![WrittenPart::text(text)] })
    }

    /// The same content without places in its texts.
    #[must_use]
    pub fn without_marks(self) -> Self {
        match self {
            Self::Text(text) => Self::plain(text),
            Self::Parts(parts) => Self::Parts(parts),
        }
    }
}

/// The address in an `image_url` part.
#[derive(Debug, Clone, PartialEq, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenUrl {
    /// A data: URL, or a path.
    pub url: String,
    /// How closely to look; nothing depends on it.
    pub detail: Option<WrittenDetail>,
}

/// How closely a picture should be looked at, for models that know such levels. Here the checkpoint says how large pictures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DeriveDeserialize)]
#[serde(rename_all = "lowercase")]
pub enum WrittenDetail {
    /// As the model likes.
    Auto,
    /// Coarsely.
    Low,
    /// Finely.
    High,
}

/// A video inside a part: an object with its rate, or a bare list whose rate stands beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum WrittenFrames {
    /// Frames with their rate.
    Video(WrittenVideo),
    /// Frames alone.
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for WrittenFrames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Frames;
        impl<'de> Visitor<'de> for Frames {
            type Value = WrittenFrames;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object with `frames` and `fps`, or a list of frame files")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<WrittenFrames, A::Error> {
                Deserialize::deserialize(value::SeqAccessDeserializer::new(list))
                    .map(WrittenFrames::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenFrames, A::Error> {
                Deserialize::deserialize(value::MapAccessDeserializer::new(map))
                    .map(WrittenFrames::Video)
            }
        }
        deserializer.deserialize_any(Frames)
    }
}

impl<'de> Deserialize<'de> for WrittenContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Content;
        impl<'de> Visitor<'de> for Content {
            type Value = WrittenContent;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text or a list of parts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<WrittenContent, E> {
                Ok(WrittenContent::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<WrittenContent, A::Error> {
                Deserialize::deserialize(value::SeqAccessDeserializer::new(list))
                    .map(WrittenContent::Parts)
            }
        }
        deserializer.deserialize_any(Content)
    }
}

impl<'de> Deserialize<'de> for WrittenResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Response;
        impl<'de> Visitor<'de> for Response {
            type Value = WrittenResponse;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text, a message or a list of messages")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<WrittenResponse, E> {
                Ok(WrittenResponse::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<WrittenResponse, A::Error> {
                Deserialize::deserialize(value::SeqAccessDeserializer::new(list))
                    .map(WrittenResponse::Messages)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenResponse, A::Error> {
                Deserialize::deserialize(value::MapAccessDeserializer::new(map))
                    .map(WrittenResponse::Message)
            }
        }
        deserializer.deserialize_any(Response)
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
