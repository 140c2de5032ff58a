//! Messages as data sets write them, and the places where their listed pictures stand.
//!
//! A place is a mark (`<image>`, `<video>`) in a plain text, or a part that names no picture of its own. Without any place, videos and then
//! images precede the first user text. Files are named here and not opened.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::RowError;
use crate::conversation::{ImageSource, Message, Part, VideoSource};

const IMAGE_MARK: &str = "<image>";
const VIDEO_MARK: &str = "<video>";

/// Message whose listed pictures are not in their places yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What the message says.
    pub content: DraftContent,
}

/// Content of a [`Draft`].
#[derive(Debug, Clone, PartialEq)]
pub enum DraftContent {
    /// Text in which marks are places.
    Text(String),
    /// Pieces in order; a mark in one of their texts is plain text.
    Pieces(Vec<Piece>),
}

/// Piece of a [`Draft`].
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// Text without places.
    Text(String),
    /// Picture that the piece itself names.
    Image(Arc<ImageSource>),
    /// Video that the piece itself names.
    Video(Arc<VideoSource>),
    /// Place of the next listed image.
    ImagePlace,
    /// Place of the next listed video.
    VideoPlace,
}

/// Puts the listed pictures into their places, in order.
///
/// # Errors
/// When places and pictures differ in number, or no message from `user` could hold pictures without a place.
pub fn place(
    drafts: &[Draft],
    images: &[Arc<ImageSource>],
    videos: &[Arc<VideoSource>],
) -> Result<Vec<Message>, RowError> {
    let (image_places, video_places) = count_places(drafts);
    let unmarked = image_places + video_places == 0;
    if !unmarked {
        check_count("image", image_places, images.len())?;
        check_count("video", video_places, videos.len())?;
    }
    let mut waiting = Waiting {
        images: images.iter().cloned().map(Part::Image).collect(),
        videos: videos.iter().cloned().map(Part::Video).collect(),
    };
    let mut messages = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let mut content = match &draft.content {
            DraftContent::Text(text) => split_marks(text, &mut waiting),
            DraftContent::Pieces(pieces) => {
                pieces.iter().map(|piece| waiting.serve(piece)).collect()
            }
        };
        if unmarked && draft.role == "user" {
            content.splice(0..0, waiting.take());
        }
        messages.push(Message { role: draft.role.clone(), content });
    }
    if waiting.take().next().is_some() {
        return Err(RowError::NoUserMessage);
    }
    Ok(messages)
}

/// Places for listed images and for listed videos.
pub fn count_places(drafts: &[Draft]) -> (usize, usize) {
    let mut places = (0, 0);
    for draft in drafts {
        match &draft.content {
            DraftContent::Text(text) => {
                places.0 += text.matches(IMAGE_MARK).count();
                places.1 += text.matches(VIDEO_MARK).count();
            }
            DraftContent::Pieces(pieces) => {
                places.0 += pieces.iter().filter(|piece| **piece == Piece::ImagePlace).count();
                places.1 += pieces.iter().filter(|piece| **piece == Piece::VideoPlace).count();
            }
        }
    }
    places
}

impl ImageSource {
    /// Reads a path, a file: URL or a data: URL; a relative path starts at `base_dir`, and `label` names the picture in messages.
    ///
    /// # Errors
    /// When the picture is on the network, or the data: URL does not hold base64.
    pub fn parse(written: &str, label: String, base_dir: &Path) -> Result<Self, RowError> {
        if written.starts_with("http://") || written.starts_with("https://") {
            return Err(RowError::RemoteImage { url: written.to_owned() });
        }
        if let Some(rest) = written.strip_prefix("data:") {
            return data_url(rest, label);
        }
        let path = written.strip_prefix("file://").unwrap_or(written);
        Ok(Self::Path(base_dir.join(path)))
    }
}

/// Pictures and videos that have not found their place.
struct Waiting {
    images: VecDeque<Part>,
    videos: VecDeque<Part>,
}

impl Waiting {
    fn serve(&mut self, piece: &Piece) -> Part {
        match piece {
            Piece::Text(text) => Part::Text(text.clone()),
            Piece::Image(image) => Part::Image(Arc::clone(image)),
            Piece::Video(video) => Part::Video(Arc::clone(video)),
            Piece::ImagePlace => self.next_image(),
            Piece::VideoPlace => self.next_video(),
        }
    }

    fn next_image(&mut self) -> Part {
        self.images.pop_front().expect("places have been counted")
    }

    fn next_video(&mut self) -> Part {
        self.videos.pop_front().expect("places have been counted")
    }

    /// Everything that is left, videos first.
    fn take(&mut self) -> impl Iterator<Item = Part> {
        std::mem::take(&mut self.videos).into_iter().chain(std::mem::take(&mut self.images))
    }
}

fn check_count(kind: &'static str, placeholders: usize, given: usize) -> Result<(), RowError> {
    if placeholders == given {
        Ok(())
    } else {
        Err(RowError::PictureCount { kind, placeholders, given })
    }
}

/// Text between the marks, and the pictures at the marks.
fn split_marks(text: &str, waiting: &mut Waiting) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let found = [IMAGE_MARK, VIDEO_MARK]
            .into_iter()
            .filter_map(|mark| Some((rest.find(mark)?, mark)))
            .min();
        let Some((at, mark)) = found else { break };
        push_text(&mut parts, &rest[..at]);
        parts.push(if mark == IMAGE_MARK { waiting.next_image() } else { waiting.next_video() });
        rest = &rest[at + mark.len()..];
    }
    push_text(&mut parts, rest);
    parts
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

/// Content of `data:[type];base64,CONTENT`, without the scheme.
fn data_url(rest: &str, label: String) -> Result<ImageSource, RowError> {
    let fault = |reason: String| RowError::DataUrl { label: label.clone(), reason };
    let (kind, content) = rest
        .split_once(',')
        .ok_or_else(|| fault("it has no comma before its content".to_owned()))?;
    if !kind.ends_with(";base64") {
        return Err(fault("its type does not end in `;base64`".to_owned()));
    }
    let bytes = STANDARD.decode(content.trim()).map_err(|error| {
        let reason = error.to_string();
        fault(format!("{}; encode the file again", reason.trim_end_matches('.')))
    })?;
    Ok(ImageSource::Bytes { label, bytes })
}
