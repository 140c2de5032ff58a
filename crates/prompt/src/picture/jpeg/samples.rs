//! From coefficients to planes of samples: dequantization and the inverse cosine transform.
//!
//! # Source
//! The accurate integer transform of libjpeg (`jidctint.c`), after C. Loeffler, A. Ligtenberg and G. Moschytz, "Practical fast 1-D DCT
//! algorithms with 11 multiplications", ICASSP 1989: 13 fractional bits, 2 of which survive the first pass.

use std::num::Wrapping;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::super::decode::Fault;
use super::{BLOCK, BLOCK_SIDE, Component, Frame, damaged};

/// Fractional bits of the constants.
const CONSTANT_BITS: usize = 13;
/// Fractional bits of the values between the passes.
const KEPT_BITS: usize = 2;
/// The two-dimensional transform is eight times too large.
const SCALE_BITS: usize = 3;
/// Middle of the range of samples.
const CENTER: i32 = 128;

/// Lanes of the transform: the eight values at one place of eight columns.
///
/// NUMERICS: valid files never wrap; corrupt ones may, without a panic.
type Lanes = [Wrapping<i32>; BLOCK_SIDE];

/// Samples of one channel.
pub(super) struct Plane {
    /// Samples in memory across: a whole number of blocks.
    pub(super) stride: usize,
    /// Samples that belong to the picture, across and down.
    pub(super) size: [usize; 2],
    /// `[blocks down x 8, stride]`.
    pub(super) samples: Vec<u8>,
}

impl Plane {
    /// Row of the samples that belong to the picture; rows beyond them repeat the last one.
    pub(super) fn row(&self, row: usize) -> &[u8] {
        let from = row.min(self.size[1] - 1) * self.stride;
        &self.samples[from..from + self.size[0]]
    }
}

/// Samples of every channel.
pub(super) fn planes(frame: &Frame) -> Result<Vec<Plane>, Fault> {
    frame.components.iter().map(plane).collect()
}

fn plane(component: &Component) -> Result<Plane, Fault> {
    let table = component.quantization.ok_or_else(|| damaged("a color channel is missing"))?;
    let table = table.map(|value| Wrapping(i32::from(value)));
    let stride = component.blocks[0] * BLOCK_SIDE;
    let mut samples = vec![0; stride * component.blocks[1] * BLOCK_SIDE];
    let arch = Arch::new();
    let rows = component.coefficients.par_chunks(component.blocks[0] * BLOCK);
    samples.par_chunks_mut(stride * BLOCK_SIDE).zip(rows).for_each(|(samples, coefficients)| {
        arch.dispatch(BlockRow { coefficients, table: &table, samples, stride });
    });
    Ok(Plane { stride, size: component.size, samples })
}

/// One row of blocks, compiled for the widest vectors of the machine.
struct BlockRow<'a> {
    coefficients: &'a [i16],
    table: &'a [Wrapping<i32>; BLOCK],
    samples: &'a mut [u8],
    stride: usize,
}

impl WithSimd for BlockRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (block_idx, block) in self.coefficients.as_chunks::<BLOCK>().0.iter().enumerate() {
            let block = transform(block, self.table);
            for (row, lanes) in block.iter().enumerate() {
                let from = row * self.stride + block_idx * BLOCK_SIDE;
                let samples = &mut self.samples[from..from + BLOCK_SIDE];
                for (sample, value) in samples.iter_mut().zip(lanes) {
                    *sample = (value.0.wrapping_add(CENTER)).clamp(0, 255) as u8;
                }
            }
        }
    }
}

#[inline(always)]
fn transform(block: &[i16; BLOCK], table: &[Wrapping<i32>; BLOCK]) -> [Lanes; BLOCK_SIDE] {
    let mut values = [[Wrapping(0); BLOCK_SIDE]; BLOCK_SIDE];
    for row in 0..BLOCK_SIDE {
        for column in 0..BLOCK_SIDE {
            let at = row * BLOCK_SIDE + column;
            values[row][column] = Wrapping(i32::from(block[at])) * table[at];
        }
    }
    if block[1..].iter().all(|value| *value == 0) {
        let flat = descale::<SCALE_BITS>(values[0][0]);
        return [[flat; BLOCK_SIDE]; BLOCK_SIDE];
    }
    let columns = one_dimension::<{ CONSTANT_BITS - KEPT_BITS }>(&values);
    let rows = one_dimension::<{ CONSTANT_BITS + KEPT_BITS + SCALE_BITS }>(&mirror(&columns));
    mirror(&rows)
}

#[inline(always)]
fn mirror(values: &[Lanes; BLOCK_SIDE]) -> [Lanes; BLOCK_SIDE] {
    let mut out = [[Wrapping(0); BLOCK_SIDE]; BLOCK_SIDE];
    for row in 0..BLOCK_SIDE {
        for column in 0..BLOCK_SIDE {
            out[column][row] = values[row][column];
        }
    }
    out
}

/// Divides by a power of two, halves upward.
#[inline(always)]
fn descale<const BITS: usize>(value: Wrapping<i32>) -> Wrapping<i32> {
    (value + Wrapping(1 << (BITS - 1))) >> BITS
}

/// Transforms eight columns of eight values each.
#[inline(always)]
fn one_dimension<const BITS: usize>(input: &[Lanes; BLOCK_SIDE]) -> [Lanes; BLOCK_SIDE] {
    let mut out = [[Wrapping(0); BLOCK_SIDE]; BLOCK_SIDE];
    for lane in 0..BLOCK_SIDE {
        let at = |index: usize| input[index][lane];
        let even = even_part(at(0), at(2), at(4), at(6));
        let odd = odd_part(at(1), at(3), at(5), at(7));
        for index in 0..BLOCK_SIDE / 2 {
            out[index][lane] = descale::<BITS>(even[index] + odd[index]);
            out[BLOCK_SIDE - 1 - index][lane] = descale::<BITS>(even[index] - odd[index]);
        }
    }
    out
}

/// A constant of the transform with 13 fractional bits.
const fn fixed(constant: f64) -> Wrapping<i32> {
    Wrapping((constant * (1 << CONSTANT_BITS) as f64 + 0.5) as i32)
}

#[inline(always)]
fn even_part(
    x0: Wrapping<i32>,
    x2: Wrapping<i32>,
    x4: Wrapping<i32>,
    x6: Wrapping<i32>,
) -> [Wrapping<i32>; 4] {
    let shared = (x2 + x6) * fixed(0.541_196_100);
    let inner = shared - x6 * fixed(1.847_759_065);
    let outer = shared + x2 * fixed(0.765_366_865);
    let sum = (x0 + x4) << CONSTANT_BITS;
    let difference = (x0 - x4) << CONSTANT_BITS;
    [sum + outer, difference + inner, difference - inner, sum - outer]
}

#[inline(always)]
fn odd_part(
    x1: Wrapping<i32>,
    x3: Wrapping<i32>,
    x5: Wrapping<i32>,
    x7: Wrapping<i32>,
) -> [Wrapping<i32>; 4] {
    let shared = (x1 + x3 + x5 + x7) * fixed(1.175_875_602);
    let ends = (x1 + x7) * fixed(0.899_976_223);
    let middles = (x3 + x5) * fixed(2.562_915_447);
    let late = shared - (x3 + x7) * fixed(1.961_570_560);
    let early = shared - (x1 + x5) * fixed(0.390_180_644);
    [
        x1 * fixed(1.501_321_110) - ends + early,
        x3 * fixed(3.072_711_026) - middles + late,
        x5 * fixed(2.053_119_869) - middles + early,
        x7 * fixed(0.298_631_336) - ends + late,
    ]
}
