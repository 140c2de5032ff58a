//! Random weights as a function of (seed, tensor name, position).
//!
//! There is no generator state: the number at a position is computed from a hash of the position,
//! so any part of a tensor can be made alone, in any order, on any number of threads, always with
//! the same bits. Not meant for anything where unpredictability matters.
//!
//! # Source
//! Hash: the finalizer of `SplitMix64` (Steele, Lea, Flood 2014). Quantiles of the normal
//! distribution: algorithm AS 241 (Wichura 1988), routine PPND16.

use std::sync::LazyLock;

/// Normal numbers that one 64-bit hash gives.
const LANES: usize = 4;
/// The step of `SplitMix64`, 2^64 divided by the golden ratio.
const GOLDEN_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Quantiles that stand in the table.
const UPPER_HALF: usize = 1 << 13;

/// Quantiles of the standard normal distribution in the middles of equal steps above one half.
///
/// NUMERICS: 16,384 equally likely values, up to 4.0 deviations, are normal far beyond the eight bits
/// of a bf16. A look-up costs a tenth of a logarithm and a sine, and the table fits the first cache.
static UPPER_QUANTILES: LazyLock<[f32; UPPER_HALF]> = LazyLock::new(|| {
    std::array::from_fn(|step| {
        let fraction = (step as f64 + 0.5) / UPPER_HALF as f64;
        normal_quantile(0.5 + 0.5 * fraction) as f32
    })
});

/// Makes the numbers of one tensor.
#[derive(Debug, Clone, Copy)]
pub(super) enum Generator {
    /// The same number everywhere.
    Constant(f32),
    /// Normal numbers around zero.
    Normal { key: u64, deviation: f32 },
}

impl Generator {
    /// Matrices normal, norms one, biases zero.
    pub(super) fn for_backbone(seed: u64, name: &str, shape: &[usize], deviation: f32) -> Self {
        match shape {
            [_] if name.rsplit('.').next() == Some("bias") => Self::Constant(0.0),
            [_] => Self::Constant(1.0),
            _ => Self::Normal { key: tensor_key(seed, name), deviation },
        }
    }

    /// Matrices normal by their number of inputs, biases zero.
    pub(super) fn for_head(seed: u64, name: &str, shape: &[usize]) -> Self {
        match shape {
            [_, inputs] => {
                let deviation = 1.0 / ((*inputs + 1) as f32).sqrt();
                Self::Normal { key: tensor_key(seed, name), deviation }
            }
            _ => Self::Constant(0.0),
        }
    }

    /// Makes the numbers from position `first` on.
    pub(super) fn fill(&self, first: usize, out: &mut [f32]) {
        match *self {
            Self::Constant(number) => out.fill(number),
            Self::Normal { key, deviation } => fill_normal(key, deviation, first, out),
        }
    }
}

fn fill_normal(key: u64, deviation: f32, first: usize, out: &mut [f32]) {
    let quantiles: &[f32; UPPER_HALF] = &UPPER_QUANTILES;
    let lead = (LANES - first % LANES) % LANES;
    let (head, body) = out.split_at_mut(lead.min(out.len()));
    for (offset, number) in head.iter_mut().enumerate() {
        let position = first + offset;
        let hash = hash_at(key, position / LANES);
        *number = deviation * normal_lane(quantiles, hash, position % LANES);
    }
    let first_group = (first + lead) / LANES;
    let (groups, tail) = body.as_chunks_mut::<LANES>();
    let after_groups = first_group + groups.len();
    for (group, numbers) in groups.iter_mut().enumerate() {
        let hash = hash_at(key, first_group + group);
        *numbers = std::array::from_fn(|lane| deviation * normal_lane(quantiles, hash, lane));
    }
    let hash = hash_at(key, after_groups);
    for (lane, number) in tail.iter_mut().enumerate() {
        *number = deviation * normal_lane(quantiles, hash, lane);
    }
}

/// One of the four normal numbers in a hash: 13 bits choose the size, one the sign.
fn normal_lane(quantiles: &[f32; UPPER_HALF], hash: u64, lane: usize) -> f32 {
    let bits = (hash >> (16 * lane)) as u16;
    let size = quantiles[usize::from(bits) % UPPER_HALF];
    f32::from_bits(size.to_bits() | (u32::from(bits & 0x8000) << 16))
}

fn hash_at(key: u64, group: usize) -> u64 {
    mix(key.wrapping_add((group as u64 + 1).wrapping_mul(GOLDEN_STEP)))
}

/// A key that differs from tensor to tensor and from seed to seed.
fn tensor_key(seed: u64, name: &str) -> u64 {
    name.bytes().fold(mix(seed), |key, byte| mix(key.wrapping_add(GOLDEN_STEP) ^ u64::from(byte)))
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The standard normal quantile of a probability, to 16 digits between 2e-11 and 1 - 2e-11.
///
/// The third range of AS 241, farther out, is left away: the table needs no more than 6e-5.
fn normal_quantile(probability: f64) -> f64 {
    /// Where the central approximation ends.
    const CENTRAL: f64 = 0.425;
    let distance = probability - 0.5;
    if distance.abs() <= CENTRAL {
        let square = CENTRAL * CENTRAL - distance * distance;
        return distance * ratio(&CENTRAL_ABOVE, &CENTRAL_BELOW, square);
    }
    let tail = (-probability.min(1.0 - probability).ln()).sqrt();
    ratio(&TAIL_ABOVE, &TAIL_BELOW, tail - 1.6).copysign(distance)
}

/// Quotient of two polynomials, coefficients from the constant term up.
fn ratio(above: &[f64; 8], below: &[f64; 8], x: f64) -> f64 {
    let polynomial =
        |terms: &[f64; 8]| terms.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient);
    polynomial(above) / polynomial(below)
}

const CENTRAL_ABOVE: [f64; 8] = [
    3.387_132_872_796_366_5,
    133.141_667_891_784_38,
    1_971.590_950_306_551_4,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const CENTRAL_BELOW: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_545,
];
const TAIL_ABOVE: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    0.000_774_545_014_278_341_4,
];
const TAIL_BELOW: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    0.000_547_593_808_499_534_5,
    1.050_750_071_644_416_9e-9,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::INITIALIZER_RANGE;

    fn matrix(seed: u64, name: &str, count: usize) -> Vec<f32> {
        let mut out = vec![0.0; count];
        Generator::for_backbone(seed, name, &[count, 1], INITIALIZER_RANGE).fill(0, &mut out);
        out
    }

    #[test]
    fn quantiles_agree_with_tabulated_values() {
        // Python: statistics.NormalDist().inv_cdf
        for (probability, expected) in [
            (0.5, 0.0),
            (0.6, 0.253_347_103_135_799_8),
            (0.975, 1.959_963_984_540_054),
            (0.999_992, 4.314_451_021_808_444),
            (1e-9, -5.997_807_015_007_686_5),
        ] {
            let found: f64 = normal_quantile(probability);
            assert!((found - expected).abs() < 1e-9, "{probability}: {found}");
        }
    }

    #[test]
    fn any_part_of_a_tensor_equals_that_part_of_the_whole() {
        let whole = matrix(7, "model.visual.blocks.0.attn.qkv.weight", 100);
        let generator = Generator::for_backbone(
            7,
            "model.visual.blocks.0.attn.qkv.weight",
            &[100, 1],
            INITIALIZER_RANGE,
        );
        for first in 0..20 {
            for count in 0..20 {
                let mut part = vec![0.0; count];
                generator.fill(first, &mut part);
                assert_eq!(part, whole[first..first + count], "{first}+{count}");
            }
        }
    }

    #[test]
    fn matrices_are_normal_with_the_usual_deviation() {
        let numbers = matrix(1, "a.weight", 1 << 20);
        let count = numbers.len() as f64;
        let moment = |power: i32| {
            numbers.iter().map(|number| (f64::from(*number) / 0.02).powi(power)).sum::<f64>()
                / count
        };
        assert!(moment(1).abs() < 0.005);
        assert!((moment(2) - 1.0).abs() < 0.01);
        assert!(moment(3).abs() < 0.02);
        assert!((moment(4) - 3.0).abs() < 0.05);
    }

    #[test]
    fn seeds_and_names_give_different_numbers() {
        let first = matrix(1, "a.weight", 64);
        assert_ne!(first, matrix(2, "a.weight", 64));
        assert_ne!(first, matrix(1, "b.weight", 64));
        assert_eq!(first, matrix(1, "a.weight", 64));
    }
}
