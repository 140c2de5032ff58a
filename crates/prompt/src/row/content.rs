//! What the content of a row means: texts and parts to drafts, names of files to sources.
//!
//! Where the pictures then stand is decided in `places`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::RowError;
use super::json::{RawFrames, RawPart, RawVideo};
use super::places::{Draft, DraftContent, Piece, place};
use crate::conversation::{ImageSource, Message, VideoSource};

/// Content of a message as written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RawContent {
    Text(String),
    Parts(Vec<RawPart>),
}

/// Pictures and videos listed beside the messages.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pictures {
    images: Vec<Listed>,
    videos: Vec<RawVideo>,
    base_dir: PathBuf,
}

/// A picture as written, or ready for use.
#[derive(Debug, Clone, PartialEq)]
enum Listed {
    Written(String),
    Ready(ImageSource),
}

impl Pictures {
    pub(super) fn unresolved(images: Vec<String>, videos: Vec<RawVideo>, base_dir: &Path) -> Self {
        let images = images.into_iter().map(Listed::Written).collect();
        Self { images, videos, base_dir: base_dir.to_owned() }
    }

    pub(super) fn resolved(images: Vec<ImageSource>) -> Self {
        let images = images.into_iter().map(Listed::Ready).collect();
        Self { images, videos: Vec::new(), base_dir: PathBuf::new() }
    }

    /// Messages with every picture and video in its place.
    pub(super) fn place(&self, raw: &[(String, RawContent)]) -> Result<Vec<Message>, RowError> {
        let draft = |(message, (role, content)): (usize, &(String, RawContent))| {
            let content = match content {
                RawContent::Text(text) => DraftContent::Text(text.clone()),
                RawContent::Parts(parts) => DraftContent::Pieces(self.pieces(parts, message)?),
            };
            Ok(Draft { role: role.clone(), content })
        };
        let drafts: Vec<Draft> = raw.iter().enumerate().map(draft).collect::<Result<_, _>>()?;
        place(&drafts, &self.images()?, &self.videos()?)
    }

    fn pieces(&self, parts: &[RawPart], message: usize) -> Result<Vec<Piece>, RowError> {
        let convert = |(part, raw): (usize, &RawPart)| {
            let label = format!("the picture in message {message}, part {part}");
            let fault = |reason: &str| RowError::Part { message, part, reason: reason.to_owned() };
            check_fields(raw).map_err(|reason| RowError::Part { message, part, reason })?;
            match raw.kind.as_str() {
                "text" => {
                    raw.text.clone().map(Piece::Text).ok_or_else(|| fault("`text` is missing"))
                }
                "image" => match &raw.image {
                    None => Ok(Piece::ImagePlace),
                    Some(written) => {
                        self.image(written, label).map(|image| Piece::Image(Arc::new(image)))
                    }
                },
                "image_url" => {
                    let url =
                        raw.image_url.as_ref().ok_or_else(|| fault("`image_url` is missing"))?;
                    self.image(&url.url, label).map(|image| Piece::Image(Arc::new(image)))
                }
                "video" => match (&raw.video, raw.fps) {
                    (None, None) => Ok(Piece::VideoPlace),
                    (Some(RawFrames::Video(video)), None) => {
                        self.video(video, &label).map(|video| Piece::Video(Arc::new(video)))
                    }
                    (Some(RawFrames::List(frames)), Some(fps)) => {
                        let video = RawVideo { frames: frames.clone(), fps };
                        self.video(&video, &label).map(|video| Piece::Video(Arc::new(video)))
                    }
                    _ => Err(fault("a video needs `fps` exactly once, beside its frames")),
                },
                other => Err(fault(&format!(
                    "the type `{other}` is unknown; use `text`, `image`, `image_url` or `video`"
                ))),
            }
        };
        parts.iter().enumerate().map(convert).collect()
    }

    fn images(&self) -> Result<Vec<Arc<ImageSource>>, RowError> {
        let resolve = |(index, listed): (usize, &Listed)| match listed {
            Listed::Ready(source) => Ok(Arc::new(source.clone())),
            Listed::Written(written) => self.image(written, format!("image {index}")).map(Arc::new),
        };
        self.images.iter().enumerate().map(resolve).collect()
    }

    fn videos(&self) -> Result<Vec<Arc<VideoSource>>, RowError> {
        let resolve = |(index, video)| self.video(video, &format!("video {index}")).map(Arc::new);
        self.videos.iter().enumerate().map(resolve).collect()
    }

    fn video(&self, video: &RawVideo, label: &str) -> Result<VideoSource, RowError> {
        let resolve = |(index, frame): (usize, &String)| {
            self.image(frame, format!("frame {index} of {label}"))
        };
        let frames = video.frames.iter().enumerate().map(resolve).collect::<Result<_, _>>()?;
        Ok(VideoSource { frames, fps: video.fps })
    }

    fn image(&self, written: &str, label: String) -> Result<ImageSource, RowError> {
        ImageSource::parse(written, label, &self.base_dir)
    }
}

/// A field that belongs to another type of part is a mistake, not a decoration.
fn check_fields(part: &RawPart) -> Result<(), String> {
    let fields = [
        ("text", "text", part.text.is_some()),
        ("image", "image", part.image.is_some()),
        ("image_url", "image_url", part.image_url.is_some()),
        ("video", "video", part.video.is_some()),
        ("fps", "video", part.fps.is_some()),
    ];
    for (field, kind, present) in fields {
        if present && kind != part.kind {
            return Err(format!("`{field}` does not belong to a part of type `{}`", part.kind));
        }
    }
    Ok(())
}
