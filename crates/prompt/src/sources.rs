//! The distinct pictures and videos of one call: headers first, pixels once each.
//!
//! Lives for one call; nothing is kept from one call to the next.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::conversation::{ImageSource, VideoSource};
use crate::error::EncodeError;
use crate::picture::{
    ImageError, MAX_ASPECT_RATIO, Probe, SmartResizeError, Visual, resize, smart_resize,
};
use crate::settings::PixelSettings;

/// Where a picture or video is among the sources, and what a conversation needs to know of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Located {
    pub(crate) source_idx: usize,
    /// Tokens along time, height and width.
    pub(crate) tokens: [usize; 3],
    /// Frame rate of a video; `None` for a picture.
    pub(crate) fps: Option<f64>,
}

/// Distinct pictures and videos.
pub(crate) struct Sources<'a> {
    image: PixelSettings,
    video: PixelSettings,
    max_decoded_pixels: u64,
    known: HashMap<(bool, &'a [ImageSource]), usize>,
    entries: Vec<Entry<'a>>,
}

/// One picture or video, its headers read.
struct Entry<'a> {
    frames: Vec<Probe<'a>>,
    is_video: bool,
    width: usize,
    height: usize,
    tokens: [usize; 3],
}

impl<'a> Sources<'a> {
    pub(crate) fn new(image: PixelSettings, video: PixelSettings, max_decoded_pixels: u64) -> Self {
        Self { image, video, max_decoded_pixels, known: HashMap::new(), entries: Vec::new() }
    }

    /// Adds a picture unless it is known.
    pub(crate) fn image(&mut self, image: &'a ImageSource) -> Result<Located, EncodeError> {
        self.locate(std::slice::from_ref(image), None)
    }

    /// Adds a video unless its frames are known.
    pub(crate) fn video(&mut self, video: &'a VideoSource) -> Result<Located, EncodeError> {
        let fps = video.fps;
        if !(fps.is_finite() && fps > 0.0) {
            return Err(EncodeError::FrameRate { fps });
        }
        self.locate(&video.frames, Some(fps))
    }

    fn locate(
        &mut self,
        frames: &'a [ImageSource],
        fps: Option<f64>,
    ) -> Result<Located, EncodeError> {
        let key = (fps.is_some(), frames);
        let source_idx = if let Some(known) = self.known.get(&key) {
            *known
        } else {
            self.entries.push(self.probe(frames, fps.is_some())?);
            self.known.insert(key, self.entries.len() - 1);
            self.entries.len() - 1
        };
        Ok(Located { source_idx, tokens: self.entries[source_idx].tokens, fps })
    }

    fn probe(&self, frames: &'a [ImageSource], is_video: bool) -> Result<Entry<'a>, EncodeError> {
        let settings = self.settings(is_video);
        let probe = |source| Probe::new(source, self.max_decoded_pixels);
        let frames: Vec<Probe<'a>> = frames.iter().map(probe).collect::<Result<_, _>>()?;
        let first = frames.first().ok_or(EncodeError::NoFrames)?;
        check_frame_sizes(&frames)?;
        let shape = settings.shape;
        let factor = shape.patch_size * shape.merge_size;
        let (width, height) = smart_resize(first.width, first.height, factor, settings.range)
            .map_err(|error| size_error(error, first))?;
        let depth = if is_video { shape.temporal_patch_size } else { 1 };
        let tokens = [frames.len().div_ceil(depth), height / factor, width / factor];
        Ok(Entry { frames, is_video, width, height, tokens })
    }

    fn settings(&self, is_video: bool) -> &PixelSettings {
        if is_video { &self.video } else { &self.image }
    }

    /// Decodes, resizes and cuts every source, in the order in which they were added.
    pub(crate) fn decode(&self) -> Result<Vec<Arc<Visual>>, EncodeError> {
        self.entries
            .par_iter()
            .map(|entry| {
                let resized = |frame: &Probe<'_>| {
                    Ok::<_, ImageError>(resize(&frame.decode()?, entry.width, entry.height))
                };
                let frames: Vec<_> =
                    entry.frames.par_iter().map(resized).collect::<Result<_, _>>()?;
                let settings = self.settings(entry.is_video);
                let (shape, normalization) = (settings.shape, settings.normalization);
                Ok(Arc::new(Visual::new(&frames, entry.is_video, shape, normalization)))
            })
            .collect()
    }
}

fn check_frame_sizes(frames: &[Probe<'_>]) -> Result<(), EncodeError> {
    let (first_width, first_height) = (frames[0].width, frames[0].height);
    for (frame, probe) in frames.iter().enumerate() {
        let (width, height) = (probe.width, probe.height);
        if (width, height) != (first_width, first_height) {
            let name = probe.name().to_owned();
            return Err(EncodeError::FrameSize {
                frame,
                name,
                width,
                height,
                first_width,
                first_height,
            });
        }
    }
    Ok(())
}

fn size_error(error: SmartResizeError, probe: &Probe<'_>) -> ImageError {
    let (name, width, height) = (probe.name().to_owned(), probe.width, probe.height);
    match error {
        SmartResizeError::AspectRatio => {
            ImageError::AspectRatio { name, width, height, limit: MAX_ASPECT_RATIO }
        }
        SmartResizeError::Vanishing => ImageError::VanishingSize { name, width, height },
    }
}
