//! Groups of rows drawn again with replacement, and the 95 % interval that such draws give.
//!
//! It knows nothing of what is measured on a draw.
//!
//! # Source
//! Percentile bootstrap: B. Efron, R. Tibshirani, *An Introduction to the Bootstrap* (1993), chapter 13; whole clusters are drawn
//! as in A. Davison, D. Hinkley, *Bootstrap Methods and their Application* (1997), section 3.8. Generator: `SplitMix64` (Steele,
//! Lea, Flood 2014); numbers below a bound by multiplication (Lemire 2019), without its rejection: the bias is below 2⁻³² for
//! any number of groups that fits into memory.

use std::collections::HashMap;

use crate::interval::NUM_DRAWS;

/// The step of `SplitMix64`, 2^64 divided by the golden ratio.
const GOLDEN_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Tails outside a 95 % interval.
const TAILS: [f64; 2] = [0.025, 0.975];

/// Random numbers that are the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_STEP);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Draws as many groups as `times` has entries, with replacement, and writes how often each was drawn.
    pub(crate) fn draw_groups(&mut self, times: &mut [u32]) {
        times.fill(0);
        for _ in 0..times.len() {
            times[self.below(times.len())] += 1;
        }
    }
}

/// Places of the rows of each group, groups in order of their first row. A row without a group is one of its own.
pub(crate) fn groups<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Vec<usize>> {
    let mut of_name: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, name) in names.into_iter().enumerate() {
        let next = groups.len();
        let group = if name.is_empty() { next } else { *of_name.entry(name).or_insert(next) };
        if group == next {
            groups.push(Vec::new());
        }
        groups[group].push(place);
    }
    groups
}

/// 95 % percentile interval of the values of draws, which it sorts. Absent when fewer than half of [`NUM_DRAWS`] have a value, and
/// when all values are equal: draws that cannot differ say nothing about how far the truth may be.
pub(crate) fn percentile_interval(values: &mut [f64]) -> Option<(f64, f64)> {
    if values.len() * 2 < NUM_DRAWS {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let (first, last) = (*values.first()?, *values.last()?);
    let [low, high] = TAILS.map(|tail| quantile(values, tail));
    (first < last).then_some((low, high))
}

/// Quantile of sorted numbers, on the line between the two that are next to it.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_name_are_one_group_and_rows_without_one_are_each_their_own() {
        assert_eq!(groups(["a", "", "b", "a", ""]), [vec![0, 3], vec![1], vec![2], vec![4]]);
    }

    #[test]
    fn a_draw_has_as_many_groups_as_there_are() {
        let (mut random, mut times) = (Random::new(3), [9u32; 40]);
        random.draw_groups(&mut times);
        assert_eq!(times.iter().sum::<u32>(), 40);
        assert!(times.contains(&0), "forty draws of forty miss one almost surely");
    }

    #[test]
    fn every_group_is_drawn_about_as_often() {
        let (mut random, mut times, mut sums) = (Random::new(0), [0u32; 7], [0u32; 7]);
        for _ in 0..10_000 {
            random.draw_groups(&mut times);
            for (sum, time) in sums.iter_mut().zip(times) {
                *sum += time;
            }
        }
        assert!(sums.iter().all(|sum| (9_600..10_400).contains(sum)), "{sums:?}");
    }

    #[test]
    fn an_interval_leaves_out_a_fortieth_at_each_end() {
        let mut values: Vec<f64> = (0..=1000).rev().map(f64::from).collect();
        assert_eq!(percentile_interval(&mut values), Some((25.0, 975.0)));
        let mut few: Vec<f64> = (0..499).map(f64::from).collect();
        assert_eq!(percentile_interval(&mut few), None);
        assert_eq!(percentile_interval(&mut [0.5; 1000]), None);
    }
}
