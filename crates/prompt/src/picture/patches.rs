//! Resized pixels in the order in which the vision tower reads them, and their normalization.
//!
//! Patches are listed frame by frame, within a frame in blocks of `merge_size` x `merge_size`, so that the patches that become one token
//! are neighbors. Pixels stay 8-bit until [`Visual::write_rows`].
//!
//! # Source
//! `transformers` 5.23, `models/qwen2_vl/image_processing_qwen2_vl.py` and `video_processing_qwen2_vl.py`, `patchify`;
//! `image_processing_backends.py`, `rescale_and_normalize`.

use std::fmt;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::resample::Resized;

const CHANNELS: usize = 3;

/// Sizes of a patch and of the block of patches that becomes one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the names of the image processor's settings")]
pub(crate) struct PatchShape {
    pub(crate) patch_size: usize,
    pub(crate) merge_size: usize,
    pub(crate) temporal_patch_size: usize,
}

/// Mean and standard deviation of each channel, on the scale of the bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Normalization {
    pub(crate) mean: [f32; CHANNELS],
    pub(crate) std: [f32; CHANNELS],
}

/// One picture or video, resized and cut into patches.
#[derive(Clone)]
pub struct Visual {
    /// Number of patches along time, height and width; the Hugging Face `grid_thw`.
    pub grid: [usize; 3],
    /// `[patches, channels, frames, patch, patch]` bytes. An image has one frame, which stands for `temporal_patch_size` equal ones; a
    /// video has `temporal_patch_size`.
    pub pixels: Vec<u8>,
    /// BLAKE3 hash of what the vision tower sees: kind, grid, pixels and normalization.
    pub hash: [u8; 32],
    /// Whether this is a video.
    pub is_video: bool,
    shape: PatchShape,
    normalization: Normalization,
}

impl fmt::Debug for Visual {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Visual(grid {:?}, video {})", self.grid, self.is_video)
    }
}

impl Visual {
    /// Cuts resized frames (all of one size, a multiple of the patch and merge sizes) into patches.
    ///
    /// An image is a single frame; the last frame of a video is repeated until `temporal_patch_size` divides their number.
    pub(crate) fn new(
        frames: &[Resized],
        is_video: bool,
        shape: PatchShape,
        normalization: Normalization,
    ) -> Self {
        let first = frames.first().expect("a picture has a frame");
        let depth = if is_video { shape.temporal_patch_size } else { 1 };
        let grid = [
            frames.len().div_ceil(depth),
            first.height / shape.patch_size,
            first.width / shape.patch_size,
        ];
        let pixels = patchify(frames, depth, shape.patch_size, shape.merge_size);
        let hash = hash(&grid, &pixels, is_video, shape, normalization);
        Self { grid, pixels, hash, is_video, shape, normalization }
    }

    /// Number of patches: rows of `pixel_values`.
    pub fn num_patches(&self) -> usize {
        self.grid.iter().product()
    }

    /// Number of tokens that stand for this visual in a conversation.
    pub fn num_tokens(&self) -> usize {
        self.num_patches() / (self.shape.merge_size * self.shape.merge_size)
    }

    /// Length of a row of `pixel_values`: channels x `temporal_patch_size` x patch x patch.
    pub fn row_len(&self) -> usize {
        CHANNELS * self.shape.temporal_patch_size * self.shape.patch_size * self.shape.patch_size
    }

    /// Writes normalized rows of the Hugging Face `pixel_values`.
    ///
    /// # Shapes
    /// `out`: `[patches.len(), row_len]`.
    ///
    /// # Panics
    /// When the range leaves the patches, or `out` has another length.
    pub fn write_rows(&self, patches: Range<usize>, out: &mut [f32]) {
        assert_eq!(out.len(), patches.len() * self.row_len(), "rows of pixel values");
        let area = self.shape.patch_size * self.shape.patch_size;
        let depth = if self.is_video { self.shape.temporal_patch_size } else { 1 };
        let patch_bytes = CHANNELS * depth * area;
        let bytes = &self.pixels[patches.start * patch_bytes..patches.end * patch_bytes];
        let (written_len, normalization) = (depth * area, self.normalization);
        let channel_len = self.shape.temporal_patch_size * area;
        Arch::new().dispatch(RowsTask {
            bytes,
            written_len,
            frame_len: area,
            channel_len,
            normalization,
            out,
        });
    }
}

/// Normalized channels, compiled for the widest vectors of the machine.
struct RowsTask<'a> {
    bytes: &'a [u8],
    /// Bytes of a channel of one patch.
    written_len: usize,
    /// Values of a frame of one channel.
    frame_len: usize,
    /// Values of a channel of one patch.
    channel_len: usize,
    normalization: Normalization,
    out: &'a mut [f32],
}

impl WithSimd for RowsTask<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self { bytes, written_len, frame_len, channel_len, normalization, out } = self;
        let channels = bytes.chunks_exact(written_len);
        for (idx, (bytes, out)) in channels.zip(out.chunks_exact_mut(channel_len)).enumerate() {
            let channel = idx % CHANNELS;
            let (mean, std) = (normalization.mean[channel], normalization.std[channel]);
            let (written, repeated) = out.split_at_mut(written_len);
            normalize(bytes, mean, std, written);
            for copy in repeated.chunks_exact_mut(frame_len) {
                copy.copy_from_slice(&written[..frame_len]);
            }
        }
    }
}

#[inline(always)]
fn normalize(bytes: &[u8], mean: f32, std: f32, out: &mut [f32]) {
    for (value, byte) in out.iter_mut().zip(bytes) {
        // PARITY: a subtraction and a division in f32, not a multiplication by the reciprocal.
        *value = (f32::from(*byte) - mean) / std;
    }
}

/// Bytes `[patches, channels, depth, patch, patch]` of frames that are taken `depth` at a time.
pub fn patchify(frames: &[Resized], depth: usize, patch_size: usize, merge_size: usize) -> Vec<u8> {
    let (width, height) = (frames[0].width, frames[0].height);
    let area = patch_size * patch_size;
    let patch_bytes = CHANNELS * depth * area;
    let grid_w = width / patch_size;
    let strips_per_frame = height / patch_size / merge_size;
    let strip_bytes = merge_size * grid_w * patch_bytes;
    let mut out = vec![0u8; frames.len().div_ceil(depth) * strips_per_frame * strip_bytes];
    out.par_chunks_mut(strip_bytes).enumerate().for_each(|(strip_idx, strip)| {
        let (group, block_y) = (strip_idx / strips_per_frame, strip_idx % strips_per_frame);
        for (idx, patch) in strip.chunks_exact_mut(patch_bytes).enumerate() {
            let (block_x, within) =
                (idx / (merge_size * merge_size), idx % (merge_size * merge_size));
            let y = (block_y * merge_size + within / merge_size) * patch_size;
            let x = (block_x * merge_size + within % merge_size) * patch_size;
            for depth_idx in 0..depth {
                let frame = &frames[(group * depth + depth_idx).min(frames.len() - 1)];
                for line in 0..patch_size * CHANNELS {
                    let (row, channel) = (line / CHANNELS, line % CHANNELS);
                    let from = ((y + row) * CHANNELS + channel) * width + x;
                    let to = (channel * depth + depth_idx) * area + row * patch_size;
                    copy_line(&frame.pixels[from..][..patch_size], &mut patch[to..][..patch_size]);
                }
            }
        }
    });
    out
}

/// Copies one row of a patch; the usual length is known to the compiler.
#[inline(always)]
fn copy_line(from: &[u8], to: &mut [u8]) {
    const USUAL: usize = 14;
    match (from.as_array::<USUAL>(), to.as_mut_array::<USUAL>()) {
        (Some(from), Some(to)) => *to = *from,
        _ => to.copy_from_slice(from),
    }
}

fn hash(
    grid: &[usize; 3],
    pixels: &[u8],
    is_video: bool,
    shape: PatchShape,
    normalization: Normalization,
) -> [u8; 32] {
    let mut hasher = rules(is_video, grid, shape, normalization);
    hasher.update_rayon(pixels);
    *hasher.finalize().as_bytes()
}

/// Hash of files that are brought to a size and cut: equal ones give equal patches.
pub(crate) fn file_key<'a>(
    files: impl Iterator<Item = &'a [u8]>,
    is_video: bool,
    size: [usize; 2],
    shape: PatchShape,
    normalization: Normalization,
) -> [u8; 32] {
    let mut hasher = rules(is_video, &size, shape, normalization);
    for bytes in files {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    *hasher.finalize().as_bytes()
}

/// A hash that has begun with everything but the content.
fn rules(
    is_video: bool,
    sizes: &[usize],
    shape: PatchShape,
    normalization: Normalization,
) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[u8::from(is_video)]);
    let shape = [shape.patch_size, shape.merge_size, shape.temporal_patch_size];
    for size in sizes.iter().chain(&shape) {
        hasher.update(&(*size as u64).to_le_bytes());
    }
    for value in normalization.mean.iter().chain(&normalization.std) {
        hasher.update(&value.to_le_bytes());
    }
    hasher
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: PatchShape = PatchShape { patch_size: 2, merge_size: 2, temporal_patch_size: 2 };
    const PLAIN: Normalization = Normalization { mean: [0.0; 3], std: [1.0; 3] };

    /// Rows of 8 pixels; the byte of a channel is its index in a picture with interleaved channels, plus an offset.
    fn ramp(offset: u8) -> Resized {
        let byte = |at: u8| at / 24 * 24 + at % 8 * 3 + at % 24 / 8 + offset;
        let pixels = (0..8 * 4 * 3).map(byte).collect();
        Resized { width: 8, height: 4, pixels }
    }

    #[test]
    fn patches_of_one_token_are_neighbors() {
        let visual = Visual::new(&[ramp(0)], false, SHAPE, PLAIN);
        assert_eq!(visual.grid, [1, 2, 4]);
        let firsts: Vec<u8> = visual.pixels.chunks_exact(12).map(|patch| patch[0]).collect();
        assert_eq!(firsts, [0, 6, 48, 54, 12, 18, 60, 66]);
    }

    #[test]
    fn the_frame_of_an_image_is_written_twice() {
        let visual = Visual::new(&[ramp(0)], false, SHAPE, PLAIN);
        let mut row = vec![0.0; visual.row_len()];
        visual.write_rows(1..2, &mut row);
        assert_eq!(row[..8], [6.0, 9.0, 30.0, 33.0, 6.0, 9.0, 30.0, 33.0]);
    }

    #[test]
    fn the_last_frame_of_an_odd_video_is_repeated() {
        let visual = Visual::new(&[ramp(0), ramp(1), ramp(2)], true, SHAPE, PLAIN);
        assert_eq!(visual.grid, [2, 2, 4]);
        let mut rows = vec![0.0; 16 * visual.row_len()];
        visual.write_rows(0..16, &mut rows);
        let firsts = [0, 4, 8 * 24, 8 * 24 + 4].map(|at| rows[at] as u8);
        assert_eq!(firsts, [0, 1, 2, 2]);
    }

    #[test]
    fn the_hash_tells_an_image_from_a_video_of_the_same_frame() {
        let image = Visual::new(&[ramp(0)], false, SHAPE, PLAIN);
        let video = Visual::new(&[ramp(0)], true, SHAPE, PLAIN);
        assert_ne!(image.hash, video.hash);
        assert_eq!(image.hash, Visual::new(&[ramp(0)], false, SHAPE, PLAIN).hash);
    }
}
