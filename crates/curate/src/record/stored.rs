//! Records as bytes of the work folder.

use std::path::PathBuf;
use std::sync::Arc;

use data::{Comparison, Preference};
use prompt::{ImageSource, Message, Part, VideoSource};
use serde::{Deserialize, Serialize};

use super::{ImageId, Origin, Record};

#[derive(Serialize, Deserialize)]
struct StoredRecord {
    id: String,
    source: String,
    prompt: Vec<StoredMessage>,
    responses: Vec<Vec<StoredMessage>>,
    ranks: Vec<u32>,
    scores: Option<Vec<f32>>,
    margin: Option<f32>,
    soft_label: Option<f32>,
    origin: Origin,
    images: Vec<ImageId>,
}

#[derive(Serialize, Deserialize)]
struct StoredMessage {
    role: String,
    content: Vec<StoredPart>,
}

#[derive(Serialize, Deserialize)]
enum StoredPart {
    Text(String),
    Image(PathBuf),
    Video(Vec<PathBuf>, f64),
}

impl Record {
    /// The record as bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        let Comparison { id, source, prompt, responses, preference } = self.comparison;
        let Preference { ranks, scores, margin, soft_label } = preference;
        let responses = responses.into_iter().map(stored).collect();
        let (prompt, origin, images) = (stored(prompt), self.origin, self.images);
        let record = StoredRecord {
            id,
            source,
            prompt,
            responses,
            ranks,
            scores,
            margin,
            soft_label,
            origin,
            images,
        };
        postcard::to_stdvec(&record).expect("a record has only values that can be stored")
    }

    /// Reads what [`Record::into_bytes`] wrote; none when it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let stored: StoredRecord = postcard::from_bytes(bytes).ok()?;
        let preference = Preference {
            ranks: stored.ranks,
            scores: stored.scores,
            margin: stored.margin,
            soft_label: stored.soft_label,
        };
        let comparison = Comparison {
            id: stored.id,
            source: stored.source,
            prompt: messages(stored.prompt),
            responses: stored.responses.into_iter().map(messages).collect(),
            preference,
        };
        Some(Self { comparison, origin: stored.origin, images: stored.images })
    }
}

fn stored(messages: Vec<Message>) -> Vec<StoredMessage> {
    let part = |part: Part| match part {
        Part::Text(text) => StoredPart::Text(text),
        Part::Image(image) => StoredPart::Image(path_of(&image)),
        Part::Video(video) => {
            StoredPart::Video(video.frames.iter().map(path_of).collect(), video.fps)
        }
    };
    let message = |message: Message| StoredMessage {
        role: message.role,
        content: message.content.into_iter().map(part).collect(),
    };
    messages.into_iter().map(message).collect()
}

fn path_of(image: &ImageSource) -> PathBuf {
    match image {
        ImageSource::Path(path) => path.clone(),
        ImageSource::Bytes { .. } => panic!("pictures of a record are files"),
    }
}

fn messages(messages: Vec<StoredMessage>) -> Vec<Message> {
    let part = |part: StoredPart| match part {
        StoredPart::Text(text) => Part::Text(text),
        StoredPart::Image(path) => Part::Image(Arc::new(ImageSource::Path(path))),
        StoredPart::Video(frames, fps) => {
            let frames = frames.into_iter().map(ImageSource::Path).collect();
            Part::Video(Arc::new(VideoSource { frames, fps }))
        }
    };
    let message = |message: StoredMessage| Message {
        role: message.role,
        content: message.content.into_iter().map(part).collect(),
    };
    messages.into_iter().map(message).collect()
}
