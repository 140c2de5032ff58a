//! What is scored: messages made of text, pictures and videos.
//!
//! Plain data. No templated text, no tokens, no pixels.

use std::path::PathBuf;
use std::sync::Arc;

/// Turns of one conversation, the scored response last.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Messages from first to last.
    pub messages: Vec<Message>,
}

/// One turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Pieces of the turn, in order.
    pub content: Vec<Part>,
}

/// Piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Plain text, without any special token.
    Text(String),
    /// Picture.
    Image(Arc<ImageSource>),
    /// Video as a list of frames.
    Video(Arc<VideoSource>),
}

impl Part {
    /// The picture, or the frames of the video; none of a text.
    pub fn pictures(&self) -> &[ImageSource] {
        match self {
            Self::Text(_) => &[],
            Self::Image(image) => std::slice::from_ref(image.as_ref()),
            Self::Video(video) => &video.frames,
        }
    }
}

/// All pictures of messages in order, frames of videos among them.
pub fn pictures<'a>(
    messages: impl IntoIterator<Item = &'a Message>,
) -> impl Iterator<Item = &'a ImageSource> {
    messages.into_iter().flat_map(|message| &message.content).flat_map(Part::pictures)
}

/// Where a picture comes from.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ImageSource {
    /// File.
    Path(PathBuf),
    /// Content of an image file.
    Bytes {
        /// Name of the picture in error messages.
        label: String,
        /// The encoded file.
        bytes: Vec<u8>,
    },
}

impl ImageSource {
    /// Path or label, for error messages.
    pub fn name(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Bytes { label, .. } => label.clone(),
        }
    }
}

impl std::fmt::Debug for ImageSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => write!(out, "Path({})", path.display()),
            Self::Bytes { label, bytes } => write!(out, "Bytes({label}, {} bytes)", bytes.len()),
        }
    }
}

/// Frames of a video and the rate at which they follow each other.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoSource {
    /// Frames from first to last, all of one size.
    pub frames: Vec<ImageSource>,
    /// Frames per second of this list (not of the film it was sampled from).
    pub fps: f64,
}
