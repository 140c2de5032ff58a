//! Where the pictures of a row stand in its messages.
//!
//! Three ways are read: marks (`<image>`, `<video>`) in plain texts, parts of a list, and no mark at all, in which case videos and then
//! images precede the first user text.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::RowError;
use super::json::{RawFrames, RawPart, RawVideo};
use crate::conversation::{ImageSource, Message, Part, VideoSource};

const IMAGE_MARK: &str = "<image>";
const VIDEO_MARK: &str = "<video>";

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
        let (image_places, video_places) = count_places(raw);
        let unmarked = image_places + video_places == 0;
        if !unmarked {
            check_count("image", image_places, self.images.len())?;
            check_count("video", video_places, self.videos.len())?;
        }
        let mut waiting = Waiting {
            images: self.images()?.into_iter().map(Part::Image).collect(),
            videos: self.videos()?.into_iter().map(Part::Video).collect(),
        };
        let mut messages = Vec::with_capacity(raw.len());
        for (message_idx, (role, content)) in raw.iter().enumerate() {
            let mut content = match content {
                RawContent::Text(text) => split_marks(text, &mut waiting),
                RawContent::Parts(parts) => self.parts(parts, message_idx, &mut waiting)?,
            };
            if unmarked && role == "user" {
                content.splice(0..0, waiting.take());
            }
            messages.push(Message { role: role.clone(), content });
        }
        if waiting.take().next().is_some() {
            return Err(RowError::NoUserMessage);
        }
        Ok(messages)
    }

    fn parts(
        &self,
        parts: &[RawPart],
        message: usize,
        waiting: &mut Waiting,
    ) -> Result<Vec<Part>, RowError> {
        let convert = |(part, raw): (usize, &RawPart)| {
            let label = format!("the picture in message {message}, part {part}");
            let fault = |reason: &str| RowError::Part { message, part, reason: reason.to_owned() };
            check_fields(raw).map_err(|reason| RowError::Part { message, part, reason })?;
            match raw.kind.as_str() {
                "text" => {
                    raw.text.clone().map(Part::Text).ok_or_else(|| fault("`text` is missing"))
                }
                "image" => match &raw.image {
                    None => Ok(waiting.next_image()),
                    Some(written) => {
                        self.image(written, label).map(|image| Part::Image(Arc::new(image)))
                    }
                },
                "image_url" => {
                    let url =
                        raw.image_url.as_ref().ok_or_else(|| fault("`image_url` is missing"))?;
                    self.image(&url.url, label).map(|image| Part::Image(Arc::new(image)))
                }
                "video" => match (&raw.video, raw.fps) {
                    (None, None) => Ok(waiting.next_video()),
                    (Some(RawFrames::Video(video)), None) => {
                        self.video(video, &label).map(|video| Part::Video(Arc::new(video)))
                    }
                    (Some(RawFrames::List(frames)), Some(fps)) => {
                        let video = RawVideo { frames: frames.clone(), fps };
                        self.video(&video, &label).map(|video| Part::Video(Arc::new(video)))
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

    /// A path, a file: URL or a data: URL.
    fn image(&self, written: &str, label: String) -> Result<ImageSource, RowError> {
        if written.starts_with("http://") || written.starts_with("https://") {
            return Err(RowError::RemoteImage { url: written.to_owned() });
        }
        if let Some(rest) = written.strip_prefix("data:") {
            return data_url(rest, label);
        }
        let path = written.strip_prefix("file://").unwrap_or(written);
        Ok(ImageSource::Path(self.base_dir.join(path)))
    }
}

/// Pictures and videos that have not found their place.
struct Waiting {
    images: VecDeque<Part>,
    videos: VecDeque<Part>,
}

impl Waiting {
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

/// Places for the listed images and videos, in texts and in parts without a picture of their own.
fn count_places(messages: &[(String, RawContent)]) -> (usize, usize) {
    let mut places = (0, 0);
    for (_, content) in messages {
        match content {
            RawContent::Text(text) => {
                places.0 += text.matches(IMAGE_MARK).count();
                places.1 += text.matches(VIDEO_MARK).count();
            }
            RawContent::Parts(parts) => {
                let open = |kind: &str, part: &&RawPart| part.kind == kind;
                places.0 +=
                    parts.iter().filter(|part| open("image", part) && part.image.is_none()).count();
                places.1 += parts
                    .iter()
                    .filter(|part| {
                        open("video", part) && part.video.is_none() && part.fps.is_none()
                    })
                    .count();
            }
        }
    }
    places
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
