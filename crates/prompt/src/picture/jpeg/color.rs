//! From planes to pixels: upsampling of coarser channels, and color conversion.
//!
//! # Source
//! libjpeg-turbo, `jdsample.c` (the "fancy" triangle filters) and `jdcolor.c`; for inks Pillow, which takes every file of four channels
//! to be stored inverted, as Adobe does, and converts them in `Convert.c`.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::super::decode::{Fault, Rgb};
use super::samples::Plane;
use super::{ColorHints, Frame, damaged};

const CHANNELS: usize = 3;
/// Narrowest channel that the horizontal filters smooth; narrower ones are repeated.
const MIN_SMOOTH_WIDTH: usize = 3;
/// Fractional bits of the color constants.
const COLOR_BITS: u32 = 16;
/// Rows of one task.
const ROWS_PER_TASK: usize = 16;

/// How the channels make a color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colors {
    Gray,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
}

impl Colors {
    /// Files do not say it in one place.
    fn of(frame: &Frame, hints: ColorHints) -> Self {
        let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        match (ids.as_slice(), hints.adobe) {
            ([_], _) => Self::Gray,
            ([_, _, _], _) if hints.jfif => Self::YCbCr,
            ([_, _, _], Some(0)) | (b"RGB", None) => Self::Rgb,
            ([_, _, _], _) => Self::YCbCr,
            (_, Some(0) | None) => Self::Cmyk,
            (_, Some(_)) => Self::Ycck,
        }
    }
}

/// How a channel is brought to the picture's size.
#[derive(Debug, Clone, Copy)]
enum Upsampling {
    None,
    /// Twice as wide, smoothed across.
    Wide,
    /// Twice as high, smoothed down.
    High,
    /// Twice as wide and high, smoothed both ways.
    Both,
    /// Every sample repeated this often, across and down.
    Repeat([usize; 2]),
}

impl Upsampling {
    fn of(plane: &Plane, sampling: [usize; 2], max_sampling: [usize; 2]) -> Result<Self, Fault> {
        if (0..2).any(|axis| !max_sampling[axis].is_multiple_of(sampling[axis])) {
            return Err(damaged("a fractional sampling of colors is not supported"));
        }
        let smooth = plane.size[0] >= MIN_SMOOTH_WIDTH;
        Ok(match [max_sampling[0] / sampling[0], max_sampling[1] / sampling[1]] {
            [1, 1] => Self::None,
            [2, 1] if smooth => Self::Wide,
            [1, 2] => Self::High,
            [2, 2] if smooth => Self::Both,
            times => Self::Repeat(times),
        })
    }
}

/// Pixels of the picture.
pub(super) fn to_rgb(frame: &Frame, planes: &[Plane], hints: ColorHints) -> Result<Rgb, Fault> {
    let mut upsampling = Vec::with_capacity(planes.len());
    for (plane, component) in planes.iter().zip(&frame.components) {
        upsampling.push(Upsampling::of(plane, component.sampling, frame.max_sampling)?);
    }
    let colors = Colors::of(frame, hints);
    let (width, height) = (frame.width, frame.height);
    let mut pixels = vec![0u8; width * height * CHANNELS];
    let arch = Arch::new();
    pixels.par_chunks_mut(width * CHANNELS * ROWS_PER_TASK).enumerate().for_each_init(
        || vec![Scratch::default(); planes.len()],
        |scratch, (task, pixels)| {
            let first_row = task * ROWS_PER_TASK;
            let (upsampling, planes) = (&upsampling[..], planes);
            arch.dispatch(Rows { planes, upsampling, colors, first_row, width, scratch, pixels });
        },
    );
    Ok(Rgb { width, height, pixels })
}

/// Buffers for one channel of one row.
#[derive(Debug, Clone, Default)]
struct Scratch {
    /// The upsampled row; may be longer than the picture is wide.
    row: Vec<u8>,
    /// Sums of two rows, before they are smoothed across.
    sums: Vec<u16>,
}

/// Some rows of pixels, compiled for the widest vectors of the machine.
struct Rows<'a> {
    planes: &'a [Plane],
    upsampling: &'a [Upsampling],
    colors: Colors,
    first_row: usize,
    width: usize,
    scratch: &'a mut [Scratch],
    pixels: &'a mut [u8],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (row, pixels) in self.pixels.chunks_exact_mut(self.width * CHANNELS).enumerate() {
            for ((plane, how), scratch) in
                self.planes.iter().zip(self.upsampling).zip(self.scratch.iter_mut())
            {
                upsample(plane, *how, self.first_row + row, scratch);
            }
            let channel = |index: usize| &self.scratch[index].row[..self.width];
            let (pixels, _) = pixels.as_chunks_mut::<CHANNELS>();
            match self.colors {
                Colors::Gray => {
                    for (pixel, gray) in pixels.iter_mut().zip(channel(0)) {
                        *pixel = [*gray; CHANNELS];
                    }
                }
                Colors::Rgb => {
                    convert(pixels, channel(0), channel(1), channel(2), |r, g, b| [r, g, b]);
                }
                Colors::YCbCr => convert(pixels, channel(0), channel(1), channel(2), ycbcr_to_rgb),
                Colors::Cmyk | Colors::Ycck => {
                    let inks = if self.colors == Colors::Cmyk {
                        |c, m, y| [c, m, y]
                    } else {
                        // What is stored is the light that the inks leave, inverted; inverting it again gives stored inks.
                        |y, cb, cr| ycbcr_to_rgb(y, cb, cr).map(|light| 255 - light)
                    };
                    convert(pixels, channel(0), channel(1), channel(2), inks);
                    for (pixel, black) in pixels.iter_mut().zip(channel(3)) {
                        *pixel = pixel.map(|stored| leave_light(stored, *black));
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn convert(
    pixels: &mut [[u8; CHANNELS]],
    first: &[u8],
    second: &[u8],
    third: &[u8],
    color: impl Fn(u8, u8, u8) -> [u8; CHANNELS],
) {
    for (((pixel, a), b), c) in pixels.iter_mut().zip(first).zip(second).zip(third) {
        *pixel = color(*a, *b, *c);
    }
}

/// A constant of the color conversion with 16 fractional bits.
const fn fixed(constant: f64) -> i32 {
    (constant * (1 << COLOR_BITS) as f64 + 0.5) as i32
}

#[inline(always)]
fn ycbcr_to_rgb(luma: u8, blue: u8, red: u8) -> [u8; CHANNELS] {
    const HALF: i32 = 1 << (COLOR_BITS - 1);
    let (luma, blue, red) = (i32::from(luma), i32::from(blue) - 128, i32::from(red) - 128);
    let add = |scaled: i32| (luma + ((scaled + HALF) >> COLOR_BITS)).clamp(0, 255) as u8;
    [
        add(fixed(1.402) * red),
        add(-fixed(0.344_14) * blue - fixed(0.714_14) * red),
        add(fixed(1.772) * blue),
    ]
}

/// Light that an ink leaves, both it and black stored inverted.
#[inline(always)]
fn leave_light(stored: u8, stored_black: u8) -> u8 {
    let black = i32::from(stored_black);
    let product = i32::from(255 - stored) * black + 128;
    (black - ((product + (product >> 8)) >> 8)).clamp(0, 255) as u8
}

/// Writes one row of a channel at the picture's size.
#[inline(always)]
fn upsample(plane: &Plane, how: Upsampling, row: usize, scratch: &mut Scratch) {
    let width = plane.size[0];
    // The nearer row of a channel of half the height, and the one on the other side.
    let near = plane.row(row / 2);
    let far = if row.is_multiple_of(2) {
        plane.row((row / 2).saturating_sub(1))
    } else {
        plane.row(row / 2 + 1)
    };
    let Scratch { row: out, sums } = scratch;
    match how {
        Upsampling::None => {
            out.resize(width, 0);
            out.copy_from_slice(plane.row(row));
        }
        Upsampling::Wide => {
            out.resize(width * 2, 0);
            sums.resize(width, 0);
            for (sum, sample) in sums.iter_mut().zip(plane.row(row)) {
                *sum = u16::from(*sample);
            }
            smooth_across::<2>(sums, [1, 2], out);
        }
        Upsampling::High => {
            out.resize(width, 0);
            let bias = if row.is_multiple_of(2) { 1 } else { 2 };
            for ((out, near), far) in out.iter_mut().zip(near).zip(far) {
                *out = ((u16::from(*near) * 3 + u16::from(*far) + bias) >> 2) as u8;
            }
        }
        Upsampling::Both => {
            out.resize(width * 2, 0);
            sums.resize(width, 0);
            for ((sum, near), far) in sums.iter_mut().zip(near).zip(far) {
                *sum = u16::from(*near) * 3 + u16::from(*far);
            }
            smooth_across::<4>(sums, [8, 7], out);
        }
        Upsampling::Repeat([across, down]) => {
            out.resize(width * across, 0);
            for (run, sample) in out.chunks_exact_mut(across).zip(plane.row(row / down)) {
                run.fill(*sample);
            }
        }
    }
}

/// Doubles a row: each output is three quarters of the nearer and one quarter of the farther neighbor.
///
/// `biases` are added before the division by two to the power of `BITS`, to the left and to the right output of each input.
#[inline(always)]
fn smooth_across<const BITS: u32>(sums: &[u16], biases: [u16; 2], out: &mut [u8]) {
    let last = sums.len() - 1;
    let [left, right] = biases;
    let (pairs, _) = out.as_chunks_mut::<2>();
    for (pair, around) in pairs[1..last].iter_mut().zip(sums.windows(3)) {
        let near = around[1].wrapping_mul(3);
        let before = near.wrapping_add(around[0]).wrapping_add(left) >> BITS;
        let after = near.wrapping_add(around[2]).wrapping_add(right) >> BITS;
        *pair = [before as u8, after as u8];
    }
    let blend = |near: u16, far: u16, bias: u16| ((near * 3 + far + bias) >> BITS) as u8;
    pairs[0] = [blend(sums[0], sums[0], left), blend(sums[0], sums[1], right)];
    pairs[last] = [blend(sums[last], sums[last - 1], left), blend(sums[last], sums[last], right)];
}
