//! The distinct pictures and videos of one call: headers first, pixels once each.
//!
//! Lives for one call. What is kept from one call to the next is the business of [`PictureCache`].

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::conversation::{ImageSource, VideoSource};
use crate::error::EncodeError;
use crate::picture::{
    ImageError, MAX_ASPECT_RATIO, Probe, SmartResizeError, Visual, file_key, resize, smart_resize,
};
use crate::picture_cache::{PictureCache, PictureKey};
use crate::processor::Measure;
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
    /// By kind and address: conversations of one row share their pictures, which need not be looked at again.
    seen: BTreeMap<(bool, usize, usize), usize>,
    known: BTreeMap<PictureKey, usize>,
    entries: Vec<Entry<'a>>,
}

/// One picture or video, its headers read.
struct Entry<'a> {
    key: PictureKey,
    frames: Vec<Probe<'a>>,
    is_video: bool,
    width: usize,
    height: usize,
    tokens: [usize; 3],
}

impl<'a> Sources<'a> {
    pub(crate) fn new(image: PixelSettings, video: PixelSettings, max_decoded_pixels: u64) -> Self {
        let (seen, known, entries) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { image, video, max_decoded_pixels, seen, known, entries }
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
        let address = (fps.is_some(), frames.as_ptr().addr(), frames.len());
        let source_idx = match self.seen.get(&address) {
            Some(seen) => *seen,
            None => self.add(self.probe(frames, fps.is_some())?),
        };
        self.seen.insert(address, source_idx);
        Ok(Located { source_idx, tokens: self.entries[source_idx].tokens, fps })
    }

    fn add(&mut self, entry: Entry<'a>) -> usize {
        let next = self.entries.len();
        let source_idx = *self.known.entry(entry.key).or_insert(next);
        if source_idx == next {
            self.entries.push(entry);
        }
        source_idx
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
        let files = frames.iter().map(Probe::bytes);
        let key = file_key(files, is_video, [width, height], shape, settings.normalization);
        Ok(Entry { key, frames, is_video, width, height, tokens })
    }

    fn settings(&self, is_video: bool) -> &PixelSettings {
        if is_video { &self.video } else { &self.image }
    }

    /// Every source in the order in which they were added.
    pub(crate) fn measures(&self) -> impl Iterator<Item = Measure<'_>> {
        self.entries.iter().map(|entry| Measure {
            name: entry.frames[0].name(),
            key: entry.key,
            tokens: entry.tokens.iter().product(),
        })
    }

    /// Patches of every source, in the order in which they were added; those that the cache has are not decoded.
    pub(crate) fn decode(
        &self,
        cache: Option<&PictureCache>,
    ) -> Result<Vec<Arc<Visual>>, EncodeError> {
        let found: Vec<Option<Arc<Visual>>> =
            self.entries.iter().map(|entry| cache?.find(&entry.key)).collect();
        if found.iter().all(Option::is_some) {
            // No thread is woken when there is nothing to do.
            return Ok(found.into_iter().flatten().collect());
        }
        let visual = |(entry, found): (&Entry<'_>, Option<Arc<Visual>>)| {
            if let Some(visual) = found {
                return Ok(visual);
            }
            let visual = Arc::new(entry.decode(self.settings(entry.is_video))?);
            if let Some(cache) = cache {
                cache.keep(entry.key, &visual);
            }
            Ok(visual)
        };
        self.entries.par_iter().zip(found).map(visual).collect()
    }
}

impl Entry<'_> {
    /// Decodes, resizes and cuts.
    fn decode(&self, settings: &PixelSettings) -> Result<Visual, ImageError> {
        let resized = |frame: &Probe<'_>| Ok(resize(&frame.decode()?, self.width, self.height));
        let frames: Vec<_> = self.frames.par_iter().map(resized).collect::<Result<_, _>>()?;
        Ok(Visual::new(&frames, self.is_video, settings.shape, settings.normalization))
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
