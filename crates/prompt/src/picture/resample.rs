//! Antialiased bicubic resizing of 8-bit pictures, in the fixed-point arithmetic of `PyTorch`.
//!
//! One filter, one pixel type; no cropping, no color management.
//!
//! # Source
//! `PyTorch`, `aten/src/ATen/native/cpu/UpSampleKernel.cpp`: weights in double precision, rounded to 16-bit integers whose common
//! precision depends on the largest weight; a horizontal pass, 8-bit results, a vertical pass.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::decode::Rgb;

const CHANNELS: usize = 3;
/// Rows that the horizontal pass treats together: one vector lane for each.
const BAND: usize = 16;
/// Side of the squares of bytes in which rows and lanes are exchanged: the bytes of a machine word.
const SQUARE: usize = 8;
/// Bytes of a row that the vertical pass accumulates in registers.
const BLOCK: usize = 64;
/// Rows of one task of the vertical pass.
const ROWS_PER_TASK: usize = 16;
/// Sharpness of the cubic filter; Pillow and `PyTorch` with antialias use -0.5.
const CUBIC_A: f64 = -0.5;
/// Half the filter's width at scale 1.
const CUBIC_RADIUS: f64 = 2.0;

/// Resized picture with its channels apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resized {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, 3, width]` bytes.
    pub pixels: Vec<u8>,
}

/// Brings a picture to `width` x `height` pixels with the antialiased bicubic filter.
///
/// # Panics
/// When either size has a side of zero.
pub fn resize(picture: &Rgb, width: usize, height: usize) -> Resized {
    let (old_width, old_height) = (picture.width, picture.height);
    assert!(width > 0 && height > 0 && old_width > 0 && old_height > 0, "empty picture");
    let mut pixels = if width == old_width {
        split_channels(&picture.pixels, width)
    } else {
        horizontal(&picture.pixels, old_width, old_height, width)
    };
    if height != old_height {
        pixels = vertical(&pixels, width * CHANNELS, old_height, height);
    }
    Resized { width, height, pixels }
}

/// Which inputs make each output of one axis, and how much of each.
struct Taps {
    /// First input of each output.
    starts: Vec<usize>,
    /// Number of inputs of each output.
    lengths: Vec<usize>,
    /// `[outputs, stride]` weights, scaled by two to the power of `precision`.
    weights: Vec<i16>,
    stride: usize,
    precision: u32,
}

impl Taps {
    fn new(input: usize, output: usize) -> Self {
        let scale = input as f64 / output as f64;
        let widen = scale.max(1.0);
        let support = CUBIC_RADIUS * widen;
        let stride = support.ceil() as usize * 2 + 1;
        let mut starts = Vec::with_capacity(output);
        let mut lengths = Vec::with_capacity(output);
        let mut exact = vec![0.0f64; output * stride];
        let mut largest = 0.0f64;
        for (index, row) in exact.chunks_exact_mut(stride).enumerate() {
            let center = scale * (index as f64 + 0.5);
            let start = ((center - support + 0.5) as i64).max(0);
            let end = ((center + support + 0.5) as i64).min(input as i64);
            let length = (end - start).clamp(0, stride as i64) as usize;
            let mut total = 0.0;
            for (tap, weight) in row[..length].iter_mut().enumerate() {
                let distance = ((tap as i64 + start) as f64 - center + 0.5) * (1.0 / widen);
                *weight = cubic(distance);
                total += *weight;
            }
            for weight in &mut row[..length] {
                *weight /= total;
                largest = largest.max(*weight);
            }
            starts.push(start as usize);
            lengths.push(length);
        }
        let precision = fixed_precision(largest);
        let one = f64::from(1u32 << precision);
        let weights = exact.iter().map(|weight| to_fixed(weight * one)).collect();
        Self { starts, lengths, weights, stride, precision }
    }

    fn get(&self, output: usize) -> (usize, &[i16]) {
        let from = output * self.stride;
        (self.starts[output], &self.weights[from..from + self.lengths[output]])
    }
}

/// Kernel of the cubic convolution at a distance in pixels.
fn cubic(distance: f64) -> f64 {
    let x = distance.abs();
    if x < 1.0 {
        ((CUBIC_A + 2.0) * x - (CUBIC_A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((CUBIC_A * x - 5.0 * CUBIC_A) * x + 8.0 * CUBIC_A) * x - 4.0 * CUBIC_A
    } else {
        0.0
    }
}

/// Largest number of fractional bits with which the largest weight still fits into 16 bits.
fn fixed_precision(largest: f64) -> u32 {
    const MAX_PRECISION: u32 = 22;
    (0..MAX_PRECISION)
        .find(|bits| (0.5 + largest * f64::from(1u32 << (bits + 1))) as i64 >= 1 << 15)
        .unwrap_or(MAX_PRECISION)
}

/// Rounds half away from zero.
fn to_fixed(scaled: f64) -> i16 {
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i16
}

/// First pass: `[height, width, 3]` to `[height, 3, new_width]`.
fn horizontal(pixels: &[u8], width: usize, height: usize, new_width: usize) -> Vec<u8> {
    let taps = Taps::new(width, new_width);
    let (row_bytes, new_row_bytes) = (width * CHANNELS, new_width * CHANNELS);
    let mut out = vec![0u8; new_row_bytes * height];
    let arch = Arch::new();
    out.par_chunks_mut(new_row_bytes * BAND)
        .zip(pixels.par_chunks(row_bytes * BAND))
        .for_each_init(
            || (vec![0u8; row_bytes * BAND], vec![0u8; new_row_bytes * BAND]),
            |(band, new_band), (out, rows)| {
                let taps = &taps;
                arch.dispatch(HorizontalTask { rows, row_bytes, band, new_band, out, taps });
            },
        );
    out
}

/// One band of the horizontal pass, compiled for the widest vectors of the machine.
struct HorizontalTask<'a> {
    rows: &'a [u8],
    row_bytes: usize,
    band: &'a mut [u8],
    new_band: &'a mut [u8],
    out: &'a mut [u8],
    taps: &'a Taps,
}

impl WithSimd for HorizontalTask<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        into_lanes(self.rows, self.row_bytes, self.band);
        horizontal_band(self.band, self.new_band, self.taps);
        out_of_lanes(self.new_band, self.out);
    }
}

/// Rows `[rows, width, 3]` to lanes `[width, 3, BAND]`, so that neighbors in memory are the same byte of neighboring rows.
#[inline(always)]
fn into_lanes(rows: &[u8], row_bytes: usize, band: &mut [u8]) {
    let num_rows = rows.len() / row_bytes;
    for first in (0..BAND).step_by(SQUARE) {
        // The lanes of missing rows repeat the last one; nobody reads them.
        let lines: [&[u8]; SQUARE] = std::array::from_fn(|row_idx| {
            &rows[(first + row_idx).min(num_rows - 1) * row_bytes..][..row_bytes]
        });
        let mut blocks = band.chunks_exact_mut(SQUARE * BAND);
        let mut column = 0;
        for block in &mut blocks {
            let mut square = [0; SQUARE];
            for (bytes, line) in square.iter_mut().zip(&lines) {
                *bytes = word(&line[column..]);
            }
            let square = transpose(square);
            for (lanes, bytes) in block.chunks_exact_mut(BAND).zip(square) {
                lanes[first..first + SQUARE].copy_from_slice(&bytes.to_le_bytes());
            }
            column += SQUARE;
        }
        for lanes in blocks.into_remainder().chunks_exact_mut(BAND) {
            for (lane, line) in lanes[first..].iter_mut().zip(&lines) {
                *lane = line[column];
            }
            column += 1;
        }
    }
}

/// Lanes `[width, 3, BAND]` to rows `[rows, 3, width]`.
#[inline(always)]
fn out_of_lanes(band: &[u8], rows: &mut [u8]) {
    let row_bytes = band.len() / BAND;
    let width = row_bytes / CHANNELS;
    let whole = width / SQUARE * SQUARE;
    for (part, rows) in rows.chunks_mut(row_bytes * SQUARE).enumerate() {
        for channel in 0..CHANNELS {
            let lanes_of = |column: usize| {
                &band[(column * CHANNELS + channel) * BAND + part * SQUARE..][..SQUARE]
            };
            for start in (0..whole).step_by(SQUARE) {
                let mut square = [0; SQUARE];
                for (column, lanes) in square.iter_mut().enumerate() {
                    *lanes = word(lanes_of(start + column));
                }
                let square = transpose(square);
                let from = channel * width + start;
                for (row, bytes) in rows.chunks_exact_mut(row_bytes).zip(square) {
                    row[from..from + SQUARE].copy_from_slice(&bytes.to_le_bytes());
                }
            }
            for column in whole..width {
                for (row, byte) in rows.chunks_exact_mut(row_bytes).zip(lanes_of(column)) {
                    row[channel * width + column] = *byte;
                }
            }
        }
    }
}

#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().expect("a square lies within the row"))
}

/// Mirrors a square of 8 x 8 bytes at its diagonal by swapping ever smaller blocks off it.
#[inline(always)]
fn transpose(mut rows: [u64; SQUARE]) -> [u64; SQUARE] {
    const STEPS: [(usize, u64); 3] =
        [(4, 0x0000_0000_ffff_ffff), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)];
    for (distance, mask) in STEPS {
        for upper in 0..SQUARE {
            if upper & distance == 0 {
                let lower = upper + distance;
                let shift = distance * 8;
                let difference = ((rows[upper] >> shift) ^ rows[lower]) & mask;
                rows[lower] ^= difference;
                rows[upper] ^= difference << shift;
            }
        }
    }
    rows
}

#[inline(always)]
fn horizontal_band(band: &[u8], out: &mut [u8], taps: &Taps) {
    const PIXEL: usize = CHANNELS * BAND;
    let half = 1i32 << (taps.precision - 1);
    let (pixels, _) = band.as_chunks::<PIXEL>();
    for (index, out) in out.as_chunks_mut::<PIXEL>().0.iter_mut().enumerate() {
        let (start, weights) = taps.get(index);
        let mut sums = [half; PIXEL];
        for (weight, pixel) in weights.iter().zip(&pixels[start..]) {
            sums = accumulate(sums, pixel, *weight);
        }
        *out = to_bytes(sums, taps.precision);
    }
}

/// Second pass: rows of `row_bytes` bytes, whatever they mean.
fn vertical(pixels: &[u8], row_bytes: usize, height: usize, new_height: usize) -> Vec<u8> {
    let taps = Taps::new(height, new_height);
    let mut out = vec![0u8; row_bytes * new_height];
    let arch = Arch::new();
    out.par_chunks_mut(row_bytes * ROWS_PER_TASK).enumerate().for_each(|(task, rows)| {
        for (row_idx, row) in rows.chunks_exact_mut(row_bytes).enumerate() {
            let (start, weights) = taps.get(task * ROWS_PER_TASK + row_idx);
            let inputs = &pixels[start * row_bytes..(start + weights.len()) * row_bytes];
            arch.dispatch(VerticalTask { inputs, weights, row, precision: taps.precision });
        }
    });
    out
}

/// One row of the vertical pass, compiled for the widest vectors of the machine.
struct VerticalTask<'a> {
    inputs: &'a [u8],
    weights: &'a [i16],
    row: &'a mut [u8],
    precision: u32,
}

impl WithSimd for VerticalTask<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        vertical_row(self.inputs, self.weights, self.row, self.precision);
    }
}

#[inline(always)]
fn vertical_row(inputs: &[u8], weights: &[i16], out: &mut [u8], precision: u32) {
    let row_bytes = out.len();
    let half = 1i32 << (precision - 1);
    let mut blocks = out.chunks_exact_mut(BLOCK);
    let mut column = 0;
    for block in &mut blocks {
        let mut sums = [half; BLOCK];
        for (weight, row) in weights.iter().zip(inputs.chunks_exact(row_bytes)) {
            let bytes = row[column..].first_chunk().expect("a block lies within the row");
            sums = accumulate(sums, bytes, *weight);
        }
        block.copy_from_slice(&to_bytes(sums, precision));
        column += BLOCK;
    }
    for byte in blocks.into_remainder() {
        let mut sum = [half];
        for (weight, row) in weights.iter().zip(inputs.chunks_exact(row_bytes)) {
            sum = accumulate(sum, &[row[column]], *weight);
        }
        [*byte] = to_bytes(sum, precision);
        column += 1;
    }
}

#[inline(always)]
fn accumulate<const N: usize>(sums: [i32; N], bytes: &[u8; N], weight: i16) -> [i32; N] {
    // Nothing wraps (the weights of one output are below 2^17 in sum), but a check of it would keep the loop from being vectorized.
    let mut out = [0; N];
    for at in 0..N {
        out[at] = sums[at].wrapping_add(i32::from(weight).wrapping_mul(i32::from(bytes[at])));
    }
    out
}

#[inline(always)]
fn to_bytes<const N: usize>(sums: [i32; N], precision: u32) -> [u8; N] {
    let mut out = [0; N];
    for at in 0..N {
        out[at] = sums[at].wrapping_shr(precision).clamp(0, 255) as u8;
    }
    out
}

/// Rows `[height, width, 3]` to `[height, 3, width]`.
fn split_channels(pixels: &[u8], width: usize) -> Vec<u8> {
    let mut out = vec![0u8; pixels.len()];
    let row_bytes = width * CHANNELS;
    out.par_chunks_mut(row_bytes).zip(pixels.par_chunks(row_bytes)).for_each(|(out, row)| {
        for (channel, plane) in out.chunks_exact_mut(width).enumerate() {
            for (byte, pixel) in plane.iter_mut().zip(row.as_chunks::<CHANNELS>().0) {
                *byte = pixel[channel];
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_to_the_same_size_changes_nothing() {
        let pixels: Vec<u8> = (0..5 * 7 * 3).map(|i| (i * 37 % 256) as u8).collect();
        let resized = resize(&Rgb { width: 5, height: 7, pixels: pixels.clone() }, 5, 7);
        for (row, line) in resized.pixels.chunks_exact(15).zip(pixels.chunks_exact(15)) {
            for (at, byte) in line.iter().enumerate() {
                assert_eq!(row[at % 3 * 5 + at / 3], *byte);
            }
        }
    }

    #[test]
    fn a_flat_picture_stays_flat_at_every_scale() {
        let picture = Rgb { width: 37, height: 53, pixels: vec![201; 37 * 53 * 3] };
        for (width, height) in [(1, 1), (10, 100), (300, 20), (37, 11), (90, 53)] {
            let resized = resize(&picture, width, height);
            assert!(resized.pixels.iter().all(|byte| *byte == 201), "{width} x {height}");
        }
    }
}
