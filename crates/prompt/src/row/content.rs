//! What the content of a row means: texts and parts to drafts, names of files to sources.
//!
//! Where the pictures then stand is decided in `places`; what a name stands for is decided by whoever asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::places::{Draft, DraftContent, Piece, place};
use super::written::{WrittenContent, WrittenFrames, WrittenMessage, WrittenPart, WrittenVideo};
use super::{Picture, Place, RowError};
use crate::conversation::{ImageSource, Message, VideoSource};

/// What becomes of a picture that a row names.
pub type Open<'a> = dyn Fn(&Picture<'_>) -> Result<ImageSource, RowError> + 'a;

/// Pictures and videos listed beside the messages.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pictures {
    images: Vec<Listed>,
    videos: Vec<WrittenVideo>,
    pub(super) base_dir: PathBuf,
}

/// A picture as written, or ready for use.
#[derive(Debug, Clone, PartialEq)]
enum Listed {
    Written(String),
    Ready(ImageSource),
}

impl Pictures {
    pub(super) fn unresolved(
        images: Vec<String>,
        videos: Vec<WrittenVideo>,
        base_dir: &Path,
    ) -> Self {
        let images = images.into_iter().map(Listed::Written).collect();
        Self { images, videos, base_dir: base_dir.to_owned() }
    }

    pub(super) fn resolved(images: Vec<ImageSource>) -> Self {
        let images = images.into_iter().map(Listed::Ready).collect();
        Self { images, videos: Vec::new(), base_dir: PathBuf::new() }
    }

    /// Messages with every picture and video in its place.
    pub(super) fn place(
        &self,
        written: &[WrittenMessage],
        open: &Open<'_>,
    ) -> Result<Vec<Message>, RowError> {
        let draft = |(index, message): (usize, &WrittenMessage)| {
            let content = match &message.content {
                WrittenContent::Text(text) => DraftContent::Text(text.clone()),
                WrittenContent::Parts(parts) => {
                    DraftContent::Pieces(Place::of_prompt(index).pieces(parts, open)?)
                }
            };
            Ok(Draft { role: message.role.clone(), content })
        };
        let drafts: Vec<Draft> = written.iter().enumerate().map(draft).collect::<Result<_, _>>()?;
        place(&drafts, &self.images(open)?, &self.videos(open)?)
    }

    fn images(&self, open: &Open<'_>) -> Result<Vec<Arc<ImageSource>>, RowError> {
        let resolve = |(index, listed): (usize, &Listed)| match listed {
            Listed::Ready(source) => Ok(Arc::new(source.clone())),
            Listed::Written(written) => {
                let (label, path) = (format!("image {index}"), format!("images[{index}]"));
                open(&Picture { written, label, path }).map(Arc::new)
            }
        };
        self.images.iter().enumerate().map(resolve).collect()
    }

    fn videos(&self, open: &Open<'_>) -> Result<Vec<Arc<VideoSource>>, RowError> {
        let resolve = |(index, video)| {
            let place = (format!("video {index}"), format!("videos[{index}]"));
            frames(video, &place, open).map(Arc::new)
        };
        self.videos.iter().enumerate().map(resolve).collect()
    }
}

/// Messages of an answer. Nothing that is listed beside the question stands in them, so a mark in their texts is plain text.
pub(super) fn answer(
    response: usize,
    written: &[WrittenMessage],
    open: &Open<'_>,
) -> Result<Vec<Message>, RowError> {
    let draft = |(index, message): (usize, &WrittenMessage)| {
        let pieces = match &message.content {
            WrittenContent::Text(text) => vec![Piece::Text(text.clone())],
            WrittenContent::Parts(parts) => {
                Place::of_response(response, index, written.len()).pieces(parts, open)?
            }
        };
        Ok(Draft { role: message.role.clone(), content: DraftContent::Pieces(pieces) })
    };
    let drafts: Vec<Draft> = written.iter().enumerate().map(draft).collect::<Result<_, _>>()?;
    place(&drafts, &[], &[])
}

impl Place {
    fn of_prompt(message: usize) -> Self {
        Self { words: format!("message {message}"), path: format!("messages[{message}]") }
    }

    fn of_response(response: usize, message: usize, num_messages: usize) -> Self {
        let words = format!("response {response}, message {message}");
        let path = match num_messages {
            1 => format!("responses[{response}]"),
            _ => format!("responses[{response}][{message}]"),
        };
        Self { words, path }
    }

    fn pieces(&self, parts: &[WrittenPart], open: &Open<'_>) -> Result<Vec<Piece>, RowError> {
        parts.iter().enumerate().map(|(part, written)| self.piece(part, written, open)).collect()
    }

    fn piece(&self, part: usize, raw: &WrittenPart, open: &Open<'_>) -> Result<Piece, RowError> {
        let path = format!("{}.content[{part}]", self.path);
        let words = format!("{}, part {part}", self.words);
        let label = format!("the picture in {words}");
        let fault = |reason: &str| RowError::Part {
            place: Box::new(Place { words: words.clone(), path: path.clone() }),
            reason: reason.to_owned(),
        };
        let image = |written: &str| {
            let picture = Picture { written, label: label.clone(), path: path.clone() };
            open(&picture).map(|image| Piece::Image(Arc::new(image)))
        };
        let video = |video: &WrittenVideo| {
            frames(video, &(label.clone(), path.clone()), open)
                .map(|video| Piece::Video(Arc::new(video)))
        };
        check_fields(raw).map_err(|reason| fault(&reason))?;
        match raw.kind.as_str() {
            "text" => raw.text.clone().map(Piece::Text).ok_or_else(|| fault("`text` is missing")),
            "image" => raw.image.as_ref().map_or(Ok(Piece::ImagePlace), |written| image(written)),
            "image_url" => match &raw.image_url {
                None => Err(fault("`image_url` is missing")),
                Some(address) => image(&address.url),
            },
            "video" => match (&raw.video, raw.fps) {
                (None, None) => Ok(Piece::VideoPlace),
                (Some(WrittenFrames::Video(written)), None) => video(written),
                (Some(WrittenFrames::List(frames)), Some(fps)) => {
                    video(&WrittenVideo { frames: frames.clone(), fps })
                }
                _ => Err(fault("a video needs `fps` exactly once, beside its frames")),
            },
            other => Err(fault(&format!(
                "the type `{other}` is unknown; use `text`, `image`, `image_url` or `video`"
            ))),
        }
    }
}

/// The frames of a video that stands at a place, given in words and as a path.
fn frames(
    video: &WrittenVideo,
    (words, path): &(String, String),
    open: &Open<'_>,
) -> Result<VideoSource, RowError> {
    let resolve = |(index, written): (usize, &String)| {
        let label = format!("frame {index} of {words}");
        open(&Picture { written, label, path: format!("{path}.frames[{index}]") })
    };
    let frames = video.frames.iter().enumerate().map(resolve).collect::<Result<_, _>>()?;
    Ok(VideoSource { frames, fps: video.fps })
}

/// A field that belongs to another type of part is a mistake, not a decoration.
fn check_fields(part: &WrittenPart) -> Result<(), String> {
    let fields = [
        ("text", "text", part.text.is_some()),
        ("image", "image", part.image.is_some()),
        ("image_url", "image_url", part.image_url.is_some()),
        ("uuid", "image_url", part.uuid.is_some()),
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
