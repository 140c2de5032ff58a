//! Pictures of records, known by the bytes of their files.
//!
//! Every file is read once and every content looked at once, whatever the number of rows that name it. Pictures that come inside rows are
//! written into the work folder, so that a record never carries bytes.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use data::RowFault;
use prompt::picture::{DEFAULT_MAX_DECODED_PIXELS, ImageError, Probe};
use prompt::{ImageSource, Message, Part, VideoSource};

use crate::error::CurateError;
use crate::look::Look;
use crate::record::ImageId;

/// What is known of pictures; shared by all threads.
pub(crate) struct Pictures {
    folder: PathBuf,
    /// Whether it matters how pictures look.
    perceptual: bool,
    files: Mutex<HashMap<PathBuf, ImageId>>,
    sizes: Mutex<HashMap<ImageId, (u32, u32)>>,
    looks: Mutex<HashMap<ImageId, Arc<Look>>>,
}

/// Why a picture cannot be known.
#[derive(Debug)]
pub(crate) enum PictureFault {
    /// The picture's fault: its row is dropped.
    Row(RowFault),
    /// The work folder's fault: nothing goes on.
    Stop(Box<CurateError>),
}

impl From<ImageError> for PictureFault {
    fn from(error: ImageError) -> Self {
        let is_missing = matches!(error, ImageError::Missing { .. });
        Self::Row(RowFault::BadPicture { is_missing, reason: error.to_string() })
    }
}

/// A picture as a record knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: ImageId,
    pub(crate) path: PathBuf,
    pub(crate) size: (u32, u32),
    /// Length of the file that was made of it, when it came inside a row.
    pub(crate) kept: Option<u64>,
}

impl Pictures {
    /// Pictures inside rows go to `folder`.
    pub(crate) fn new(folder: PathBuf, perceptual: bool) -> Self {
        Self {
            folder,
            perceptual,
            files: Mutex::default(),
            sizes: Mutex::default(),
            looks: Mutex::default(),
        }
    }

    /// Replaces the pictures of messages by files, and gives them in order.
    pub(crate) fn know_all(&self, messages: &mut [Message]) -> Result<Vec<Known>, PictureFault> {
        let mut known = Vec::new();
        for part in messages.iter_mut().flat_map(|message| &mut message.content) {
            match part {
                Part::Text(_) => {}
                Part::Image(image) => {
                    let picture = self.know(image)?;
                    *image = Arc::new(ImageSource::Path(picture.path.clone()));
                    known.push(picture);
                }
                Part::Video(video) => {
                    let frames: Vec<Known> = video
                        .frames
                        .iter()
                        .map(|frame| self.know(frame))
                        .collect::<Result<_, _>>()?;
                    let paths = frames.iter().map(|frame| ImageSource::Path(frame.path.clone()));
                    *video = Arc::new(VideoSource { frames: paths.collect(), fps: video.fps });
                    known.extend(frames);
                }
            }
        }
        Ok(known)
    }

    pub(crate) fn know(&self, source: &ImageSource) -> Result<Known, PictureFault> {
        if let ImageSource::Path(path) = source {
            let id = lock(&self.files).get(path).copied();
            if let Some(id) = id {
                let size = lock(&self.sizes)[&id];
                return Ok(Known { id, path: path.clone(), size, kept: None });
            }
        }
        let probe = Probe::new(source, DEFAULT_MAX_DECODED_PIXELS)?;
        let id = ImageId::of(probe.bytes());
        let size = (probe.width, probe.height);
        lock(&self.sizes).insert(id, size);
        let (path, kept) = match source {
            ImageSource::Path(path) => {
                lock(&self.files).insert(path.clone(), id);
                (path.clone(), None)
            }
            ImageSource::Bytes { bytes, .. } => {
                let path = file_of(&self.folder, id, probe.extension());
                keep(&path, bytes)
                    .map_err(CurateError::writing(&path))
                    .map_err(|error| PictureFault::Stop(Box::new(error)))?;
                (path, Some(bytes.len() as u64))
            }
        };
        Ok(Known { id, path, size, kept })
    }

    /// How a picture looks.
    pub(crate) fn look(&self, picture: &Known) -> Result<Arc<Look>, PictureFault> {
        let known = lock(&self.looks).get(&picture.id).cloned();
        if let Some(look) = known {
            return Ok(look);
        }
        let source = ImageSource::Path(picture.path.clone());
        let look = Probe::new(&source, DEFAULT_MAX_DECODED_PIXELS)
            .and_then(|probe| Look::of(&probe, self.perceptual))?;
        let look = Arc::new(look);
        lock(&self.looks).insert(picture.id, look.clone());
        Ok(look)
    }
}

/// Nothing that is done under these locks panics halfway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Where a picture is kept: `ab/ab12….jpg`.
pub(crate) fn file_of(folder: &Path, id: ImageId, extension: &str) -> PathBuf {
    let name = id.to_string();
    folder.join(&name[..2]).join(format!("{name}.{extension}"))
}

/// Writes a file that is there whole or not at all. What is there already is the same, since the name says the content.
///
/// It is not flushed to the disk, which would take most of the time; one that a crash of the machine cut short has another length and is written
/// again.
pub(crate) fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|known| known.len() == bytes.len() as u64) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().expect("it lies in a folder"))?;
    // Several threads may write the same content at once; each has a name of its own.
    let thread = rayon::current_thread_index().unwrap_or(0);
    let unfinished = path.with_extension(format!("{thread}.unfinished"));
    fs::write(&unfinished, bytes)?;
    fs::rename(&unfinished, path)
}
