//! The order of an epoch: a permutation that depends on a seed and the number of the epoch only.
//!
//! Own arithmetic, so that an order is the same on every machine and with every version of every library.

/// Row numbers from 0 to `len - 1` in the order of an epoch.
///
/// # Source
/// Durstenfeld's form of the Fisher–Yates shuffle (1964) over the generator `SplitMix64` (Steele, Lea and Flood, 2014), whose state begins as
/// the mixed seed, mixed again with the epoch. Each draw is reduced to its range by multiplication, and drawn again where that would not be
/// even (Lemire, 2019).
pub fn shuffled(len: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut generator = Generator { state: mix(mix(seed).wrapping_add(epoch)) };
    let mut order: Vec<usize> = (0..len).collect();
    for last in (1..len).rev() {
        order.swap(last, generator.below(last as u64 + 1) as usize);
    }
    order
}

/// `SplitMix64`.
struct Generator {
    state: u64,
}

/// Step of `SplitMix64`: 2 to the 64th, divided by the golden ratio, made odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Generator {
    fn next(&mut self) -> u64 {
        let number = mix(self.state);
        self.state = self.state.wrapping_add(STEP);
        number
    }

    /// An even draw from 0 to `limit - 1`.
    fn below(&mut self, limit: u64) -> u64 {
        let uneven = limit.wrapping_neg() % limit;
        loop {
            let product = u128::from(self.next()) * u128::from(limit);
            if product as u64 >= uneven {
                return (product >> 64) as u64;
            }
        }
    }
}

/// Output of `SplitMix64` for a state.
fn mix(state: u64) -> u64 {
    let mut bits = state.wrapping_add(STEP);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_generator_gives_the_published_numbers() {
        let mut generator = Generator { state: 1_234_567 };
        let numbers: Vec<u64> = (0..3).map(|_| generator.next()).collect();
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn an_order_is_the_same_on_every_machine() {
        assert_eq!(shuffled(10, 0, 0), [4, 7, 0, 5, 9, 3, 6, 2, 8, 1]);
        assert_ne!(shuffled(10, 0, 1), shuffled(10, 0, 0));
        assert_ne!(shuffled(10, 1, 0), shuffled(10, 0, 0));
        assert_ne!(shuffled(10, 1, 0), shuffled(10, 0, 1));
    }

    #[test]
    fn every_order_of_three_comes_equally_often() {
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            *counts.entry(shuffled(3, seed, 0)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        // Six standard deviations of a binomial count around 1000.
        assert!(counts.values().all(|count| (830..=1170).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn a_shuffle_is_a_permutation(len in 0_usize..200, seed: u64, epoch: u64) {
            let mut order = shuffled(len, seed, epoch);
            order.sort_unstable();
            prop_assert_eq!(order, (0..len).collect::<Vec<_>>());
        }
    }
}
