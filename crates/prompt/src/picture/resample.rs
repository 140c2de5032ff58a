//! Antialiased bicubic resizing of 8-bit pictures, in the fixed-point arithmetic of PyTorch.
//!
//! One filter, one pixel type; no cropping, no color management.
//!
//! # Source
//! PyTorch, `aten/src/ATen/native/cpu/UpSampleKernel.cpp`: weights in double precision, rounded to 16-bit integers whose common
//! precision depends on the largest weight; a horizontal pass, 8-bit results, a vertical pass.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::decode::Rgb;

const CHANNELS: usize = 3;
/// Rows that the horizontal pass treats together: one vector lane for each.
const BAND: usize = 16;
/// Bytes of a row that the vertical pass accumulates in registers.
const BLOCK: usize = 64;
/// Rows of one task of the vertical pass.
const ROWS_PER_TASK: usize = 16;
/// Sharpness of the cubic filter; Pillow and PyTorch with antialias use -0.5.
const CUBIC_A: f64 = -0.5;
/// Half the filter's width at scale 1.
const CUBIC_RADIUS: f64 = 2.0;

/// Brings a picture to `width` x `height` pixels with the antialiased bicubic filter.
///
/// # Panics
/// When either size has a side of zero.
pub fn resize(picture: Rgb, width: usize, height: usize) -> Rgb {
    let Rgb { width: old_width, height: old_height, mut pixels } = picture;
    assert!(width > 0 && height > 0 && old_width > 0 && old_height > 0, "empty picture");
    if width != old_width {
        pixels = horizontal(&pixels, old_width, old_height, width);
    }
    if height != old_height {
        pixels = vertical(&pixels, width, old_height, height);
    }
    Rgb { width, height, pixels }
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

fn horizontal(pixels: &[u8], width: usize, height: usize, new_width: usize) -> Vec<u8> {
    let taps = Taps::new(width, new_width);
    let (row_bytes, new_row_bytes) = (width * CHANNELS, new_width * CHANNELS);
    let mut out = vec![0u8; new_row_bytes * height];
    let arch = Arch::new();
    out.par_chunks_mut(new_row_bytes * BAND).zip(pixels.par_chunks(row_bytes * BAND)).for_each_init(
        || (vec![0u8; row_bytes * BAND], vec![0u8; new_row_bytes * BAND]),
        |(band, new_band), (out, rows)| {
            let taps = &taps;
            arch.dispatch(HorizontalTask { rows, row_bytes, band, new_band, new_row_bytes, out, taps });
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
    new_row_bytes: usize,
    out: &'a mut [u8],
    taps: &'a Taps,
}

impl WithSimd for HorizontalTask<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        interleave(self.rows, self.row_bytes, self.band);
        horizontal_band(self.band, self.new_band, self.taps);
        deinterleave(self.new_band, self.new_row_bytes, self.out);
    }
}

/// Rows `[rows, bytes]` to `[bytes, BAND]`, so that neighbors in memory are the same column of neighboring rows.
#[inline(always)]
fn interleave(rows: &[u8], row_bytes: usize, band: &mut [u8]) {
    let num_rows = rows.len() / row_bytes;
    if num_rows < BAND {
        for (row_idx, row) in rows.chunks_exact(row_bytes).enumerate() {
            for (lane, byte) in band.chunks_exact_mut(BAND).zip(row) {
                lane[row_idx] = *byte;
            }
        }
        return;
    }
    let lines: [&[u8]; BAND] =
        std::array::from_fn(|row_idx| &rows[row_idx * row_bytes..][..row_bytes]);
    for (column, lane) in band.chunks_exact_mut(BAND).enumerate() {
        for (out, line) in lane.iter_mut().zip(&lines) {
            *out = line[column];
        }
    }
}

/// Undoes [`interleave`].
#[inline(always)]
fn deinterleave(band: &[u8], row_bytes: usize, rows: &mut [u8]) {
    for (row_idx, row) in rows.chunks_exact_mut(row_bytes).enumerate() {
        for (byte, lane) in row.iter_mut().zip(band.chunks_exact(BAND)) {
            *byte = lane[row_idx];
        }
    }
}

#[inline(always)]
fn horizontal_band(band: &[u8], out: &mut [u8], taps: &Taps) {
    const PIXEL: usize = CHANNELS * BAND;
    let half = 1i32 << (taps.precision - 1);
    for (index, out) in out.chunks_exact_mut(PIXEL).enumerate() {
        let (start, weights) = taps.get(index);
        let mut sums = [half; PIXEL];
        let inputs = band[start * PIXEL..].chunks_exact(PIXEL);
        for (weight, input) in weights.iter().zip(inputs) {
            accumulate(&mut sums, input, *weight);
        }
        store(&sums, out, taps.precision);
    }
}

fn vertical(pixels: &[u8], width: usize, height: usize, new_height: usize) -> Vec<u8> {
    let taps = Taps::new(height, new_height);
    let row_bytes = width * CHANNELS;
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
            accumulate(&mut sums, &row[column..column + BLOCK], *weight);
        }
        store(&sums, block, precision);
        column += BLOCK;
    }
    for byte in blocks.into_remainder() {
        let rows = inputs.chunks_exact(row_bytes);
        let sum: i32 =
            weights.iter().zip(rows).map(|(w, row)| i32::from(*w) * i32::from(row[column])).sum();
        *byte = ((sum + half) >> precision).clamp(0, 255) as u8;
        column += 1;
    }
}

#[inline(always)]
fn accumulate<const N: usize>(sums: &mut [i32; N], input: &[u8], weight: i16) {
    for (sum, byte) in sums.iter_mut().zip(&input[..N]) {
        // Never wraps (the weights sum to less than 2^16 in size), but an overflow check would keep the loop from being vectorized.
        *sum = sum.wrapping_add(i32::from(weight).wrapping_mul(i32::from(*byte)));
    }
}

#[inline(always)]
fn store<const N: usize>(sums: &[i32; N], out: &mut [u8], precision: u32) {
    for (byte, sum) in out[..N].iter_mut().zip(sums) {
        *byte = sum.wrapping_shr(precision).clamp(0, 255) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_to_the_same_size_changes_nothing() {
        let pixels: Vec<u8> = (0..5 * 7 * 3).map(|i| (i * 37 % 256) as u8).collect();
        let picture = Rgb { width: 5, height: 7, pixels };
        assert_eq!(resize(picture.clone(), 5, 7), picture);
    }

    #[test]
    fn a_flat_picture_stays_flat_at_every_scale() {
        let picture = Rgb { width: 37, height: 53, pixels: vec![201; 37 * 53 * 3] };
        for (width, height) in [(1, 1), (10, 100), (300, 20), (37, 11), (90, 53)] {
            let resized = resize(picture.clone(), width, height);
            assert!(resized.pixels.iter().all(|byte| *byte == 201), "{width} x {height}");
        }
    }
}
