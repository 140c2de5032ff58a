//! A small deterministic random number generator.
//!
//! The same seed gives the same numbers on every machine. Not meant for anything where unpredictability matters.
//!
//! # Source
//! `SplitMix64` (Steele, Lea, Flood 2014); numbers below a bound by multiplication (Lemire 2019), without its
//! rejection step: bounds here are tiny, so the bias is below 2^-59.

use std::ops::RangeInclusive;

/// The step of `SplitMix64`, 2^64 divided by the golden ratio.
const GOLDEN_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The stream of one item: streams of different items have nothing to do with each other, so items can be made
    /// in any order and on any number of threads.
    pub(crate) fn for_item(seed: u64, item: u64) -> Self {
        Self { state: mix(mix(seed.wrapping_add(GOLDEN_STEP)) ^ item.wrapping_mul(GOLDEN_STEP)) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_STEP);
        mix(self.state)
    }

    /// A number from 0 to `bound - 1`, each equally likely.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A number of a range, each equally likely.
    pub(crate) fn within(&mut self, range: RangeInclusive<i32>) -> i32 {
        let (first, last) = range.into_inner();
        first + self.below((last - first + 1) as usize) as i32
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the items, each equally likely.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Puts the items into a random order, each order equally likely.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// The items in a random order.
    pub(crate) fn shuffled<T: Copy, const N: usize>(&mut self, mut items: [T; N]) -> [T; N] {
        self.shuffle(&mut items);
        items
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_numbers() {
        let mut random = Random { state: 1_234_567 };
        let numbers: [u64; 3] = std::array::from_fn(|_| random.next());
        let published =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(numbers, published);
    }

    #[test]
    fn numbers_below_a_bound_are_equally_likely() {
        let mut random = Random::for_item(7, 0);
        let mut counts = [0_usize; 5];
        for _ in 0..50_000 {
            counts[random.below(5)] += 1;
        }
        assert!(counts.iter().all(|count| (9_700..=10_300).contains(count)), "{counts:?}");
    }

    #[test]
    fn streams_of_items_differ() {
        let numbers: Vec<u64> = (0..100).map(|item| Random::for_item(3, item).next()).collect();
        let distinct: std::collections::BTreeSet<_> = numbers.iter().collect();
        assert_eq!(distinct.len(), numbers.len());
    }
}
