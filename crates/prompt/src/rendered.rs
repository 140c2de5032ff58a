//! Rendered text back to messages, and the check that the model's own template would have written it.
//!
//! The template's marks only propose the messages; what decides is to render them again and to compare. Pictures stay places: the
//! text does not say what they show.

use std::path::PathBuf;
use std::sync::Arc;

use crate::conversation::{Conversation, ImageSource, Message, Part, VideoSource};
use crate::error::EncodeError;
use crate::processor::Processor;
use crate::row::{WrittenContent, WrittenMessage, WrittenPart};
use crate::tokenizer::{END_OF_TURN, START_OF_TURN};

/// Characters around a difference that a message shows.
const SHOWN_CHARS: usize = 24;

/// Text that the model's chat template does not write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateMismatch {
    /// No turn at all.
    #[error(
        "the text has no turn that begins with `{START_OF_TURN}`; send what the model's own chat template renders, or use a route that \
         takes messages"
    )]
    NoTurn,
    /// A turn without a role.
    #[error(
        "turn {turn} (counted from 0) has no line with its role; send what the model's own chat template renders"
    )]
    NoRole {
        /// Index of the turn.
        turn: usize,
    },
    /// A turn without its end.
    #[error(
        "turn {turn} (counted from 0, from `{role}`) is not closed by `{END_OF_TURN}`, which only an answer at the end may lack; send the \
         whole conversation"
    )]
    Open {
        /// Index of the turn.
        turn: usize,
        /// Who speaks.
        role: String,
    },
    /// The template refuses the messages, or writes none of them so.
    #[error(transparent)]
    Refused(#[from] EncodeError),
    /// The template writes the same messages in another way.
    #[error(
        "the text differs from what the model's chat template renders of its messages at character {character} (counted from 0): \
         `{found}` where the template has `{expected}`; render with the template of this model"
    )]
    Differs {
        /// Characters before the difference.
        character: usize,
        /// What the text has there.
        found: String,
        /// What the template has there.
        expected: String,
    },
}

/// What a rendered text says.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadBack {
    /// The messages, the answer last.
    pub messages: Vec<WrittenMessage>,
    /// Whether the answer lacked the mark that closes its turn, as one does that was cut at its greatest length.
    pub is_cut: bool,
}

impl Processor {
    /// The messages of a text that the chat template has rendered, the answer last. A picture or video is a part that names none: it
    /// takes the next one that is listed beside the messages. A run of one placeholder, as a processor expands a picture, is one place.
    /// White space after the last turn is not compared, for nothing there is scored. An answer whose turn is not closed is closed here,
    /// and all of it is its content.
    ///
    /// # Errors
    /// When rendering the messages again does not give the text.
    pub fn read_rendered(&self, text: &str) -> Result<ReadBack, TemplateMismatch> {
        let marks = self.place_marks();
        let mut text = marks.iter().fold(text.to_owned(), |text, (mark, _)| mark.collapse(&text));
        let is_cut = ends_in_an_answer(&text);
        if is_cut {
            text.push_str(END_OF_TURN);
        }
        let turns = turns(&text)?;
        let messages: Vec<WrittenMessage> = turns
            .iter()
            .map(|(role, content)| WrittenMessage {
                role: (*role).to_owned(),
                content: WrittenContent::Parts(parts(content, &marks)),
            })
            .collect();
        let rendered = self.render(&Conversation {
            messages: messages.iter().map(placeholder_message).collect(),
        })?;
        match difference(text.trim_end(), rendered.trim_end()) {
            Some(mismatch) => Err(mismatch),
            None => Ok(ReadBack { messages, is_cut }),
        }
    }

    /// How the template writes an image and a video, with the type of the part that it stands for.
    fn place_marks(&self) -> [(PlaceMark, &'static str); 2] {
        let [start, image, video, end] = self.vision_texts();
        [(image, "image"), (video, "video")].map(|(placeholder, kind)| {
            let text = format!("{start}{placeholder}{end}");
            (PlaceMark { placeholder, text }, kind)
        })
    }
}

/// What stands in rendered text for a picture.
struct PlaceMark {
    /// The token that is repeated for every piece of the picture.
    placeholder: String,
    /// The token once, with those around it.
    text: String,
}

impl PlaceMark {
    /// The text with every run of the placeholder made one.
    fn collapse(&self, text: &str) -> String {
        let mut pieces = text.split(&self.placeholder);
        let mut collapsed = pieces.next().unwrap_or_default().to_owned();
        let mut in_run = false;
        for piece in pieces {
            if !in_run {
                collapsed.push_str(&self.placeholder);
            }
            collapsed.push_str(piece);
            in_run = piece.is_empty();
        }
        collapsed
    }
}

/// Whether a text ends inside of an answer.
fn ends_in_an_answer(text: &str) -> bool {
    let last = text.rsplit_once(START_OF_TURN).map_or("", |(_, last)| last);
    last.strip_prefix("assistant\n").is_some_and(|answer| !answer.contains(END_OF_TURN))
}

/// Role and content of each turn.
fn turns(text: &str) -> Result<Vec<(&str, &str)>, TemplateMismatch> {
    let turns: Vec<(&str, &str)> = text
        .split(START_OF_TURN)
        .skip(1)
        .enumerate()
        .map(|(turn, written)| {
            let (role, rest) = written.split_once('\n').ok_or(TemplateMismatch::NoRole { turn })?;
            let (content, _) = rest
                .split_once(END_OF_TURN)
                .ok_or_else(|| TemplateMismatch::Open { turn, role: role.to_owned() })?;
            Ok((role, content))
        })
        .collect::<Result<_, TemplateMismatch>>()?;
    if turns.is_empty() { Err(TemplateMismatch::NoTurn) } else { Ok(turns) }
}

/// Texts and places of a turn's content.
fn parts(content: &str, marks: &[(PlaceMark, &'static str)]) -> Vec<WrittenPart> {
    let mut parts = Vec::new();
    let mut rest = content;
    loop {
        let found = marks
            .iter()
            .filter_map(|(mark, kind)| Some((rest.find(&mark.text)?, mark.text.len(), *kind)))
            .min();
        let Some((at, len, kind)) = found else { break };
        parts.extend(text_part(&rest[..at]));
        parts.push(WrittenPart::place(kind));
        rest = &rest[at + len..];
    }
    parts.extend(text_part(rest));
    parts
}

fn text_part(text: &str) -> Option<WrittenPart> {
    (!text.is_empty()).then(|| WrittenPart::text(text))
}

/// The message with pictures that are never opened: a template only sees that there are some.
fn placeholder_message(written: &WrittenMessage) -> Message {
    let place = |part: &WrittenPart| match (part.kind.as_str(), &part.text) {
        (_, Some(text)) => Part::Text(text.clone()),
        ("video", None) => Part::Video(Arc::new(VideoSource { frames: Vec::new(), fps: 1.0 })),
        (_, None) => Part::Image(Arc::new(ImageSource::Path(PathBuf::new()))),
    };
    let content = match &written.content {
        WrittenContent::Text(text) => vec![Part::Text(text.clone())],
        WrittenContent::Parts(parts) => parts.iter().map(place).collect(),
    };
    Message { role: written.role.clone(), content }
}

fn difference(found: &str, expected: &str) -> Option<TemplateMismatch> {
    if found == expected {
        return None;
    }
    let character = found.chars().zip(expected.chars()).take_while(|(a, b)| a == b).count();
    let shown = |text: &str| match text.chars().skip(character).take(SHOWN_CHARS).collect() {
        rest if String::is_empty(&rest) => "(the end)".to_owned(),
        rest => rest.replace('\n', "\\n"),
    };
    Some(TemplateMismatch::Differs { character, found: shown(found), expected: shown(expected) })
}
