//! Where the pictures of finished records stand: in the folder `images` by their content, in the shards, or where they were.
//!
//! Each distinct picture is read and written once. Nothing is decoded.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use prompt::{ImageSource, Message, Part};
use serde::{Deserialize, Serialize};

use super::{ImageId, Record};
use crate::pictures::keep;
use crate::recipe::ImageOutput;

/// Folder of the pictures in the result.
pub(crate) const FOLDER: &str = "images";

/// Puts pictures where a recipe wants them.
#[derive(Debug)]
pub(crate) struct PictureStore {
    folder: PathBuf,
    output: ImageOutput,
    extracted: Option<PathBuf>,
    written: BTreeMap<ImageId, Kind>,
    bytes: u64,
}

/// A picture as a row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlacedPicture {
    /// Its path, or its name when its bytes are in the row.
    pub(super) path: String,
    /// Its file.
    pub(super) bytes: Option<Vec<u8>>,
}

/// Distinct pictures of the result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PicturesWritten {
    /// Their number.
    pub distinct: u64,
    /// Their length; those that stayed where they were are not counted.
    pub bytes: u64,
}

/// Picture that cannot be put where the recipe wants it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// Its file cannot be read.
    #[error("the picture `{}` cannot be read: {source}", path.display())]
    Read {
        /// The picture.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Its copy cannot be written.
    #[error("the picture `{}` cannot be written: {source}", path.display())]
    Write {
        /// The copy.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file has other bytes than before.
    #[error(
        "the picture `{}` has changed since it was read: its hash was `{id}`; curate again, from the beginning",
        path.display()
    )]
    Changed {
        /// The picture.
        path: PathBuf,
        /// Its content before.
        id: ImageId,
    },
    /// A name that Parquet cannot hold.
    #[error("the picture `{}` has a name that is not UTF-8; rename it, or let pictures be copied with `images = \"files\"`", path.display())]
    Name {
        /// The picture.
        path: PathBuf,
    },
    /// Contents are known of more or fewer pictures than there are.
    #[error(
        "the row has {pictures} pictures, frames of videos among them, but the content of {ids} is known; curate again, from the beginning"
    )]
    Count {
        /// Pictures in its messages.
        pictures: usize,
        /// Known contents.
        ids: usize,
    },
}

/// Kind of a picture's file, which is the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Png,
    Jpeg,
    Gif,
    Webp,
    Bmp,
    Unknown,
}

impl PictureStore {
    /// A store for the result in `folder`.
    pub(crate) fn new(folder: &Path, output: ImageOutput, extracted: Option<&Path>) -> Self {
        Self {
            folder: folder.to_owned(),
            output,
            extracted: extracted.map(Path::to_owned),
            written: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Copies a picture, wherever it is, into the folder of the result, and returns its path there.
    pub(crate) fn add(&mut self, image: &ImageSource) -> Result<String, PictureError> {
        let bytes = match image {
            ImageSource::Path(path) => &fs::read(path)
                .map_err(|source| PictureError::Read { path: path.clone(), source })?,
            ImageSource::Bytes { bytes, .. } => bytes,
        };
        let id = ImageId::of(bytes);
        let kind = match self.written.get(&id) {
            Some(kind) => *kind,
            None => self.write(id, bytes)?,
        };
        Ok(name_of(id, kind))
    }

    /// What has been written.
    pub(super) fn written(&self) -> PicturesWritten {
        PicturesWritten { distinct: self.written.len() as u64, bytes: self.bytes }
    }

    /// The pictures of a record in order, frames of videos among them.
    pub(super) fn place(&mut self, record: &Record) -> Result<Vec<PlacedPicture>, PictureError> {
        let paths = paths_of(record);
        if paths.len() != record.images.len() {
            let (pictures, ids) = (paths.len(), record.images.len());
            return Err(PictureError::Count { pictures, ids });
        }
        paths.into_iter().zip(&record.images).map(|(path, id)| self.place_one(path, *id)).collect()
    }

    fn place_one(&mut self, path: &Path, id: ImageId) -> Result<PlacedPicture, PictureError> {
        let is_extracted = self.extracted.as_ref().is_some_and(|folder| path.starts_with(folder));
        match self.output {
            ImageOutput::References if !is_extracted => {
                self.written.entry(id).or_insert(Kind::Unknown);
                let absolute = std::path::absolute(path)
                    .map_err(|source| PictureError::Read { path: path.to_owned(), source })?;
                let name = absolute.to_str();
                let name = name.ok_or_else(|| PictureError::Name { path: path.to_owned() })?;
                Ok(PlacedPicture { path: name.to_owned(), bytes: None })
            }
            ImageOutput::Embedded => {
                let bytes = read(path, id)?;
                let kind = Kind::of(&bytes);
                if self.written.insert(id, kind).is_none() {
                    self.bytes += bytes.len() as u64;
                }
                let path = format!("{id}.{}", kind.ending());
                Ok(PlacedPicture { path, bytes: Some(bytes) })
            }
            ImageOutput::Files | ImageOutput::References => {
                let kind = match self.written.get(&id) {
                    Some(kind) => *kind,
                    None => self.write(id, &read(path, id)?)?,
                };
                Ok(PlacedPicture { path: format!("../{}", name_of(id, kind)), bytes: None })
            }
        }
    }

    fn write(&mut self, id: ImageId, bytes: &[u8]) -> Result<Kind, PictureError> {
        let kind = Kind::of(bytes);
        let target = self.folder.join(name_of(id, kind));
        keep(&target, bytes).map_err(|source| PictureError::Write { path: target, source })?;
        self.written.insert(id, kind);
        self.bytes += bytes.len() as u64;
        Ok(kind)
    }
}

/// Name of a picture in the result.
fn name_of(id: ImageId, kind: Kind) -> String {
    let id = id.to_string();
    format!("{FOLDER}/{}/{id}.{}", &id[..2], kind.ending())
}

fn read(path: &Path, id: ImageId) -> Result<Vec<u8>, PictureError> {
    let bytes =
        fs::read(path).map_err(|source| PictureError::Read { path: path.to_owned(), source })?;
    if ImageId::of(&bytes) == id {
        Ok(bytes)
    } else {
        Err(PictureError::Changed { path: path.to_owned(), id })
    }
}

fn paths_of(record: &Record) -> Vec<&Path> {
    let comparison = &record.comparison;
    let messages = comparison.prompt.iter().chain(comparison.responses.iter().flatten());
    messages.flat_map(pictures_of).map(path_of).collect()
}

fn pictures_of(message: &Message) -> impl Iterator<Item = &ImageSource> {
    message.content.iter().flat_map(|part| match part {
        Part::Text(_) => &[],
        Part::Image(image) => std::slice::from_ref(image.as_ref()),
        Part::Video(video) => video.frames.as_slice(),
    })
}

fn path_of(image: &ImageSource) -> &Path {
    match image {
        ImageSource::Path(path) => path,
        ImageSource::Bytes { .. } => panic!("pictures of a record are files"),
    }
}

impl Kind {
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => Self::Png,
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [b'G', b'I', b'F', b'8', ..] => Self::Gif,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::Webp,
            [b'B', b'M', ..] => Self::Bmp,
            _ => Self::Unknown,
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Bmp => "bmp",
            Self::Unknown => "image",
        }
    }
}
