//! Rendered texts with their pictures to questions: what protocols send that know no messages.
//!
//! Whether the model's template would have rendered them is decided by `prompt`.

use std::fmt;

use prompt::{
    Processor, ReadBack, TemplateMismatch, WrittenContent, WrittenMessage, WrittenResponse,
    WrittenRow,
};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::admission::Place;
use crate::error::ApiError;
use crate::request::{Ask, Asked, Names};
use crate::server::{Scored, Server};

/// Texts of whole conversations, as a template has rendered them.
pub(crate) struct Texts {
    pub(crate) written: OneOrMany,
    pub(crate) pictures: Pictures,
    /// Keys of the texts and of the pictures in the body.
    pub(crate) keys: [&'static str; 2],
}

/// A text, or a list of texts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Pictures beside texts: those of the only text, one for each text, or a list for each text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Pictures {
    #[default]
    None,
    One(String),
    List(Vec<String>),
    Lists(Vec<Vec<String>>),
}

/// Pictures of a text, and how they are called.
type Named = (Vec<String>, (&'static str, String));

/// Rewards of texts.
pub(crate) struct ScoredTexts {
    pub(crate) scored: Scored,
    /// Whether the answer of each lacked its end, and was closed here.
    pub(crate) cut: Vec<bool>,
}

impl Texts {
    /// Rewards of the conversations, one for each text.
    ///
    /// # Errors
    /// A text that the model's template does not render, and as [`Server::score`].
    pub(crate) async fn score(
        self,
        server: &Server,
        place: &Place,
        model: Option<String>,
    ) -> Result<ScoredTexts, ApiError> {
        server.check_model(model.as_deref())?;
        let key = self.keys[0];
        Ask::check_count(self.written.len(), key, server.limits())?;
        let read = server.with_processor(move |processor| self.questions(processor)).await?;
        let (questions, cut): (_, Vec<bool>) = read.into_iter().unzip();
        let ask = Ask::new(questions, model, key, server.limits())?;
        let scored = server.score(ask, place).await?;
        server.metrics().closed_answers.add(cut.iter().filter(|cut| **cut).count() as u64);
        Ok(ScoredTexts { scored, cut })
    }

    fn questions(self, processor: &Processor) -> Result<Vec<(Asked, bool)>, ApiError> {
        let Self { written, pictures, keys: [key, pictures_key] } = self;
        let pictures = pictures.of_texts(written.len(), pictures_key)?;
        let named = written.named(key);
        named
            .into_iter()
            .zip(pictures)
            .map(|((place, text), (images, image_names))| {
                let names = Names::new([image_names, ("", place)]);
                question(processor, &text, images, names)
            })
            .collect()
    }
}

/// The conversation of a rendered text, its last message the answer, and whether that lacked its end.
///
/// # Errors
/// A text that the template does not render, or other pictures than it has places for. Without any place, pictures would be put where
/// the text has none.
fn question(
    processor: &Processor,
    text: &str,
    images: Vec<String>,
    names: Names,
) -> Result<(Asked, bool), ApiError> {
    let mismatch = |error: TemplateMismatch| {
        ApiError::invalid("template_mismatch", error.to_string()).at(names.rename("messages"))
    };
    let ReadBack { mut messages, is_cut } = processor.read_rendered(text).map_err(mismatch)?;
    let (places, given) = (messages.iter().map(image_places).sum::<usize>(), images.len());
    if places != given {
        let message = format!(
            "the text has {places} places for pictures, but {given} are given; make them equal"
        );
        return Err(ApiError::invalid("picture_count", message).at(names.rename("images")));
    }
    let answer = messages.pop().expect("rendered text has an answer");
    let responses = vec![WrittenResponse::Message(answer)];
    let videos = Vec::new();
    let written =
        WrittenRow { id: None, images, videos, prompt: None, messages: Some(messages), responses };
    Ok((Asked::new(written, names), is_cut))
}

fn image_places(message: &WrittenMessage) -> usize {
    match &message.content {
        WrittenContent::Text(_) => 0,
        WrittenContent::Parts(parts) => parts.iter().filter(|part| part.kind == "image").count(),
    }
}

impl OneOrMany {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(texts) => texts.len(),
        }
    }

    /// Texts with their places in the body.
    fn named(self, key: &str) -> Vec<(String, String)> {
        match self {
            Self::One(text) => vec![(key.to_owned(), text)],
            Self::Many(texts) => {
                let named = |(index, text)| (format!("{key}[{index}]"), text);
                texts.into_iter().enumerate().map(named).collect()
            }
        }
    }
}

impl Pictures {
    fn of_texts(self, count: usize, key: &str) -> Result<Vec<Named>, ApiError> {
        let each = |pictures: Vec<String>, name: String| (pictures, ("images", name));
        let given = match self {
            Self::None => return Ok(vec![each(Vec::new(), key.to_owned()); count]),
            Self::One(picture) if count == 1 => {
                return Ok(vec![(vec![picture], ("images[0]", key.to_owned()))]);
            }
            Self::List(pictures) if count == 1 => return Ok(vec![each(pictures, key.to_owned())]),
            Self::One(_) => 1,
            Self::List(pictures) if pictures.len() == count => {
                let named =
                    |(index, picture)| (vec![picture], ("images[0]", format!("{key}[{index}]")));
                return Ok(pictures.into_iter().enumerate().map(named).collect());
            }
            Self::Lists(lists) if lists.len() == count => {
                let named = |(index, list)| each(list, format!("{key}[{index}]"));
                return Ok(lists.into_iter().enumerate().map(named).collect());
            }
            Self::List(pictures) => pictures.len(),
            Self::Lists(lists) => lists.len(),
        };
        let message =
            format!("`{key}` has {given} entries for {count} texts; give one for each text");
        Err(ApiError::invalid("picture_count", message).at(key))
    }
}

/// A text of a list, where other servers take token ids as well.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text; token ids are not taken, send what they stand for")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;
        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = OneOrMany;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text or a list of texts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(Text(text)) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany::Many(texts))
            }
        }
        deserializer.deserialize_any(TextsVisitor)
    }
}

impl<'de> Deserialize<'de> for Pictures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PicturesVisitor;
        impl<'de> Visitor<'de> for PicturesVisitor {
            type Value = Pictures;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a picture, a list of pictures, or a list of such lists")
            }

            fn visit_unit<E: Error>(self) -> Result<Pictures, E> {
                Ok(Pictures::None)
            }

            fn visit_str<E: Error>(self, picture: &str) -> Result<Pictures, E> {
                Ok(Pictures::One(picture.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Pictures, A::Error> {
                let (mut pictures, mut lists) = (Vec::new(), Vec::new());
                while let Some(entry) = list.next_element::<OneOrMany>()? {
                    match entry {
                        OneOrMany::One(picture) => pictures.push(picture),
                        OneOrMany::Many(list) => lists.push(list),
                    }
                }
                match (pictures.is_empty(), lists.is_empty()) {
                    (true, true) => Ok(Pictures::None),
                    (false, true) => Ok(Pictures::List(pictures)),
                    (true, false) => Ok(Pictures::Lists(lists)),
                    (false, false) => {
                        Err(A::Error::custom("pictures and lists of pictures are mixed"))
                    }
                }
            }
        }
        deserializer.deserialize_any(PicturesVisitor)
    }
}

/// How the types of this file look in the `OpenAPI` document.
#[expect(dead_code, reason = "only their shapes are used")]
pub(crate) mod schema {
    use utoipa::ToSchema;

    /// A text that the model's chat template has rendered, or a list of such texts.
    #[derive(ToSchema)]
    #[serde(untagged)]
    pub(crate) enum Texts {
        /// One conversation.
        One(String),
        /// Several conversations.
        Many(Vec<String>),
    }

    /// Pictures for the places in the texts: of one text, one for each text, or a list for each text.
    #[derive(ToSchema)]
    #[serde(untagged)]
    pub(crate) enum Pictures {
        /// One picture of one text.
        One(String),
        /// The pictures of one text, or one for each text.
        List(Vec<String>),
        /// The pictures of each text.
        Lists(Vec<Vec<String>>),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(pictures: &str, count: usize) -> Vec<String> {
        let pictures: Pictures = serde_json::from_str(pictures).unwrap();
        let named = pictures.of_texts(count, "images").unwrap();
        let place = |(images, name): Named| {
            let names = Names::new([name]);
            (0..images.len()).map(|i| names.rename(&format!("images[{i}]"))).collect::<Vec<_>>()
        };
        named.into_iter().flat_map(place).collect()
    }

    #[test]
    fn pictures_are_called_as_the_body_has_them() {
        assert_eq!(places("null", 2), Vec::<String>::new());
        assert_eq!(places("[]", 1), Vec::<String>::new());
        assert_eq!(places(r#""p""#, 1), ["images"]);
        assert_eq!(places(r#"["p","q"]"#, 1), ["images[0]", "images[1]"]);
        assert_eq!(places(r#"["p","q"]"#, 2), ["images[0]", "images[1]"]);
        assert_eq!(
            places(r#"[["p"],["q","r"]]"#, 2),
            ["images[0][0]", "images[1][0]", "images[1][1]"]
        );
    }

    #[test]
    fn pictures_that_do_not_fit_the_texts_are_told() {
        for (pictures, count) in [(r#""p""#, 2), (r#"["p"]"#, 2), (r#"[["p"]]"#, 2)] {
            let pictures: Pictures = serde_json::from_str(pictures).unwrap();
            assert_eq!(pictures.of_texts(count, "images").unwrap_err().code, "picture_count");
        }
        assert!(serde_json::from_str::<Pictures>(r#"["p",["q"]]"#).is_err());
        assert!(serde_json::from_str::<OneOrMany>("[1,2]").is_err());
    }
}
