//! The order of the result: a key for each record, whose order is the records'.
//!
//! A key depends on the record and the seed alone, so it can be made anywhere and sorted outside of memory, and a record that comes or goes
//! does not move the others against each other.

use crate::chance;
use crate::recipe::Shuffle;

/// What decides the place of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Fingerprint of everything it says.
    pub exact: u128,
    /// Fingerprint of its prompt and pictures.
    pub prompt: u128,
    /// Which repetition of the record, from 0.
    pub copy: u32,
    /// Its number in the order of the sources.
    pub index: u64,
}

/// Place of a record. Two have the same one only when they are the same record and repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceKey(u64, u64, u64, u32);

/// The key of a record.
pub fn key(seed: u64, shuffle: Shuffle, record: Placed) -> PlaceKey {
    let Placed { exact, prompt, copy, index } = record;
    let draw = |key: u128| chance::number(seed, "order", &[key, u128::from(copy)]) as u64;
    match shuffle {
        Shuffle::Records => PlaceKey(draw(exact), 0, index, copy),
        Shuffle::Prompts => PlaceKey(draw(prompt), draw(exact), index, copy),
        Shuffle::None => PlaceKey(0, 0, index, copy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(index: u64) -> Placed {
        let exact = chance::of_text(&index.to_string());
        Placed { exact, prompt: u128::from(index % 10), copy: 0, index }
    }

    fn order(seed: u64, shuffle: Shuffle, records: impl Iterator<Item = Placed>) -> Vec<u64> {
        let mut records: Vec<Placed> = records.collect();
        records.sort_by_key(|record| key(seed, shuffle, *record));
        records.into_iter().map(|record| record.index).collect()
    }

    #[test]
    fn a_record_that_goes_does_not_move_the_others() {
        let mut all = order(1, Shuffle::Records, (0..100).map(placed));
        assert_ne!(all, (0..100).collect::<Vec<u64>>());
        assert_ne!(all, order(2, Shuffle::Records, (0..100).map(placed)));
        all.retain(|index| index % 7 != 0);
        let fewer =
            order(1, Shuffle::Records, (0..100).rev().filter(|index| index % 7 != 0).map(placed));
        assert_eq!(all, fewer);
    }

    #[test]
    fn records_over_one_prompt_stand_side_by_side_when_asked() {
        let together = order(1, Shuffle::Prompts, (0..100).map(placed));
        for run in together.chunks(10) {
            assert!(run.iter().all(|index| index % 10 == run[0] % 10), "{run:?}");
            assert!(
                run.windows(2).any(|two| two[0] > two[1]),
                "in a prompt records are shuffled, too"
            );
        }
    }

    #[test]
    fn repetitions_are_apart_and_the_order_of_the_sources_can_stay() {
        let copies = |copy| (0..50).map(move |index| Placed { copy, ..placed(index) });
        let twice = order(1, Shuffle::Records, copies(0).chain(copies(1)));
        let neighbors = twice.windows(2).filter(|two| two[0] == two[1]).count();
        assert!(neighbors < 10, "{neighbors}");
        let kept = order(1, Shuffle::None, copies(1).chain(copies(0)).rev());
        assert_eq!(kept, (0..50).flat_map(|index| [index, index]).collect::<Vec<u64>>());
    }
}
