//! What tells whether to trust a benchmark's figures: what length alone gives, what the pictures add, how margins and errors go
//! together.
//!
//! These are statistics over all pairs of responses with different ranks, whatever the official metric is. Nothing is scored,
//! printed or drawn here.

use serde::{Deserialize, Serialize};

use crate::item::Scored;
pub use crate::judged::{
    Calibration, CalibrationBin, Histogram, LengthBin, LengthRelation, MarginBin, Temperature,
    calibration,
};
use crate::judged::{
    Judged, Proportion, fitted_temperature, histogram, length_baseline, length_relation,
    margin_bins, pairwise_accuracy,
};

/// Bins of [`Probes::margin_bins`].
const MARGIN_BINS: usize = 6;
/// Bins of [`Probes::length_relation`].
const LENGTH_BINS: usize = 8;
/// Bins of [`RewardHistograms`].
const REWARD_BINS: usize = 32;

/// Statistics over the pairs of a benchmark's rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probes {
    /// Rows.
    pub num_rows: u64,
    /// Pairs of responses with different ranks: one a row in most benchmarks.
    pub num_pairs: u64,
    /// What the lengths count, such as `tokens` or `characters`.
    pub length_unit: String,
    /// Pairs in which the better response has the strictly higher reward.
    pub accuracy: Share,
    /// Pairs in which the better response is strictly longer.
    pub length_baseline: Share,
    /// The length baseline when a coin decides between responses of one length, from 0 to 1; absent without any pair.
    pub length_baseline_with_coin: Option<f64>,
    /// The model without the pictures; absent where no row was scored so.
    pub blind: Option<Withheld>,
    /// The model with the pictures of another row; absent likewise.
    pub swapped: Option<Withheld>,
    /// Accuracy by |margin|, in bins with about equally many pairs, from the least sure to the surest.
    pub margin_bins: Vec<MarginBin>,
    /// Accuracy by difference in length, and how far margins follow it.
    pub length_relation: LengthRelation,
    /// How well the margins say how often the model is right; absent without any pair of finite rewards.
    pub confidence: Option<Confidence>,
    /// Rewards of the better and of the worse responses; absent without any pair of finite rewards.
    pub rewards: Option<RewardHistograms>,
}

impl Probes {
    /// Statistics of rows whose responses' lengths count `length_unit`.
    pub fn of(rows: &[Scored], length_unit: &str) -> Self {
        let pairs = judged_pairs(rows);
        let length_baseline = length_baseline(&pairs);
        Self {
            num_rows: rows.len() as u64,
            num_pairs: pairs.len() as u64,
            length_unit: length_unit.to_owned(),
            accuracy: pairwise_accuracy(&pairs).into(),
            length_baseline: length_baseline.into(),
            length_baseline_with_coin: length_baseline.fraction_with_coin(),
            blind: withheld(rows, |row| row.blind_scores.as_ref()),
            swapped: withheld(rows, |row| row.swapped_scores.as_ref()),
            margin_bins: margin_bins(&pairs, MARGIN_BINS),
            length_relation: length_relation(&pairs, LENGTH_BINS),
            confidence: confidence(&pairs),
            rewards: reward_histograms(&pairs),
        }
    }
}

/// A count of pairs that are right, of all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Pairs that are right.
    pub num_right: u64,
    /// All pairs.
    pub num_total: u64,
    /// Pairs in which neither side won; they count as wrong.
    pub num_ties: u64,
    /// 95 % interval, which takes the pairs of a group as dependent: [`Proportion::interval`]. Absent without any pair.
    pub interval: Option<(f64, f64)>,
}

impl From<Proportion> for Share {
    fn from(proportion: Proportion) -> Self {
        let Proportion { num_right, num_total, num_ties, .. } = proportion;
        let interval = proportion.interval().map(|interval| (interval.low, interval.high));
        Self { num_right, num_total, num_ties, interval }
    }
}

impl Share {
    /// Right of all, from 0 to 1; `None` without any pair.
    pub fn value(&self) -> Option<f64> {
        (self.num_total > 0).then(|| self.num_right as f64 / self.num_total as f64)
    }
}

/// Accuracy when the pictures are withheld or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Withheld {
    /// Over all rows; rows without pictures count with the rewards that they have.
    pub all: Share,
    /// Rows that have pictures and were scored so.
    pub num_rows: u64,
    /// Over those rows alone.
    pub with_pictures: Share,
    /// Over the same rows, with their own pictures.
    pub sighted: Share,
}

/// Calibration before and after one temperature divides every margin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// Calibration of σ(margin).
    pub calibration: Calibration,
    /// The temperature that fits best. Absent where none does: without any mistake the best one is 0, and when the mean margin
    /// is not positive it is infinite.
    pub temperature: Option<Temperature>,
}

/// Rewards over the same edges: each response once for every pair that it is in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardHistograms {
    /// Rewards of the better responses.
    pub better: Histogram,
    /// Rewards of the worse responses.
    pub worse: Histogram,
}

/// All pairs of different ranks with the rewards that `scores` gives. They belong together as their rows' groups do.
fn judged<'a>(
    rows: impl IntoIterator<Item = &'a Scored>,
    scores: impl Fn(&'a Scored) -> &'a Vec<f32>,
) -> Vec<Judged> {
    let mut pairs = Vec::new();
    for row in rows {
        let group = &row.labels.group;
        let id = if group.is_empty() { format!("row {}", row.row) } else { group.clone() };
        let scores = scores(row);
        pairs.extend(row.pairs().into_iter().map(|(better, worse)| Judged {
            row: row.row,
            id: id.clone(),
            kind: None,
            better,
            worse,
            chosen_reward: scores[better],
            rejected_reward: scores[worse],
            chosen_len: row.lengths[better],
            rejected_len: row.lengths[worse],
        }));
    }
    pairs
}

/// Accuracy with the rewards that `scores` gives, where it gives any.
fn withheld(rows: &[Scored], scores: fn(&Scored) -> Option<&Vec<f32>>) -> Option<Withheld> {
    let of = |row| scores(row).unwrap_or(&row.scores);
    let with_pictures = || rows.iter().filter(|row| scores(row).is_some());
    let num_rows = with_pictures().count() as u64;
    let share = |pairs: Vec<Judged>| pairwise_accuracy(&pairs).into();
    (num_rows > 0).then(|| Withheld {
        all: share(judged(rows, of)),
        num_rows,
        with_pictures: share(judged(with_pictures(), of)),
        sighted: share(judged(with_pictures(), |row| &row.scores)),
    })
}

/// The pairs of rows, with their rewards.
pub fn judged_pairs(rows: &[Scored]) -> Vec<Judged> {
    judged(rows, |row| &row.scores)
}

fn confidence(pairs: &[Judged]) -> Option<Confidence> {
    pairs.iter().any(Judged::is_finite).then(|| Confidence {
        calibration: calibration(pairs),
        temperature: fitted_temperature(pairs),
    })
}

/// Histograms from the lowest reward to the highest. One reward alone stands in the middle of a range of 1.
fn reward_histograms(pairs: &[Judged]) -> Option<RewardHistograms> {
    let finite = || pairs.iter().filter(|pair| pair.is_finite());
    let better = || finite().map(|pair| f64::from(pair.chosen_reward));
    let worse = || finite().map(|pair| f64::from(pair.rejected_reward));
    let low = better().chain(worse()).reduce(f64::min)?;
    let high = better().chain(worse()).reduce(f64::max)?;
    let (low, high) = if low < high { (low, high) } else { (low - 0.5, high + 0.5) };
    let edge = |bin: usize| {
        // The last edge is the highest reward itself: rounding must not leave it out.
        let part = bin as f64 / REWARD_BINS as f64;
        if bin == REWARD_BINS { high } else { low + (high - low) * part }
    };
    let edges: Vec<f64> = (0..=REWARD_BINS).map(edge).collect();
    Some(RewardHistograms {
        better: histogram(better(), edges.clone()),
        worse: histogram(worse(), edges),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Labels;

    fn row(row: usize, scores: [f32; 2], lengths: [usize; 2]) -> Scored {
        Scored {
            row,
            id: format!("row {row}"),
            ranks: vec![0, 1],
            lengths: lengths.into(),
            scores: scores.into(),
            ..Scored::default()
        }
    }

    fn counts(share: &Share) -> (u64, u64, u64) {
        (share.num_right, share.num_total, share.num_ties)
    }

    #[test]
    fn length_alone_is_judged_beside_the_model() {
        let rows = [
            row(0, [1.0, 0.0], [5, 3]),
            row(1, [0.0, 1.0], [3, 5]),
            row(2, [2.0, 1.0], [4, 4]),
            row(3, [2.0, 2.0], [9, 1]),
        ];
        let probes = Probes::of(&rows, "characters");
        assert_eq!((probes.num_rows, probes.num_pairs), (4, 4));
        assert_eq!(probes.length_unit, "characters");
        assert_eq!(counts(&probes.accuracy), (2, 4, 1));
        assert_eq!(counts(&probes.length_baseline), (2, 4, 1));
        assert_eq!(probes.length_baseline_with_coin, Some(0.625));
        assert_eq!((probes.blind, probes.swapped), (None, None));
    }

    #[test]
    fn withheld_pictures_are_judged_over_all_rows_and_over_those_with_pictures() {
        let mut rows =
            [row(0, [1.0, 0.0], [1, 1]), row(1, [1.0, 0.0], [1, 1]), row(2, [1.0, 0.0], [1, 1])];
        rows[0].blind_scores = Some(vec![0.0, 1.0]);
        rows[1].blind_scores = Some(vec![3.0, 1.0]);
        rows[1].swapped_scores = Some(vec![2.0, 2.0]);
        let probes = Probes::of(&rows, "tokens");
        let blind = probes.blind.expect("two rows were scored blind");
        assert_eq!((counts(&blind.all), blind.num_rows), ((2, 3, 0), 2));
        assert_eq!((counts(&blind.with_pictures), counts(&blind.sighted)), ((1, 2, 0), (2, 2, 0)));
        let swapped = probes.swapped.expect("a row was scored with other pictures");
        assert_eq!((counts(&swapped.all), swapped.num_rows), ((2, 3, 1), 1));
        assert_eq!(counts(&swapped.with_pictures), (0, 1, 1));
    }

    #[test]
    fn a_row_of_many_responses_gives_all_its_pairs_and_they_are_one_group() {
        let many = Scored {
            ranks: vec![0, 2, 0, 1],
            lengths: vec![4, 3, 2, 1],
            scores: vec![3.0, 0.0, 1.0, 2.0],
            labels: Labels { group: "g".to_owned(), ..Labels::default() },
            ..Scored::default()
        };
        let probes = Probes::of(&[many], "tokens");
        assert_eq!((probes.num_rows, probes.num_pairs), (1, 5));
        assert_eq!(counts(&probes.accuracy), (4, 5, 0));
        let alone =
            Proportion { num_right: 4, num_total: 5, design_effect: 5.0, ..Default::default() };
        let interval = alone.interval().expect("there are pairs");
        assert_eq!(probes.accuracy.interval, Some((interval.low, interval.high)));
    }

    #[test]
    fn every_reward_of_a_finite_pair_is_in_a_histogram_once() {
        let rows: Vec<Scored> = (0..70u16)
            .map(|i| row(i.into(), [f32::from(i % 13) * 0.1, f32::from(i % 7) * 0.3], [1, 2]))
            .chain([row(70, [f32::NAN, 99.0], [1, 2])])
            .collect();
        let rewards = Probes::of(&rows, "tokens").rewards.expect("there are rewards");
        assert_eq!(rewards.better.edges, rewards.worse.edges);
        assert_eq!(rewards.better.counts.iter().sum::<u64>(), 70);
        assert_eq!(rewards.worse.counts.iter().sum::<u64>(), 70);
        assert_eq!(rewards.better.edges[0].to_bits(), 0f64.to_bits());
        assert_eq!(rewards.worse.edges.last(), Some(&f64::from(6.0 * 0.3f32)));
        let one = Probes::of(&[row(0, [2.0, 2.0], [1, 1])], "tokens").rewards.expect("a reward");
        assert_eq!((one.better.edges[0], one.better.counts[REWARD_BINS / 2]), (1.5, 1));
    }

    #[test]
    fn without_finite_rewards_there_is_no_confidence_and_no_histogram() {
        let probes = Probes::of(&[row(0, [f32::NAN, 1.0], [1, 2])], "tokens");
        assert_eq!(counts(&probes.accuracy), (0, 1, 0));
        assert_eq!((&probes.confidence, &probes.rewards), (&None, &None));
        assert_eq!(Probes::of(&[], "tokens").accuracy.interval, None);
    }

    #[test]
    fn probes_are_the_same_after_they_were_stored() {
        let mut rows = [row(0, [1.0, 0.25], [5, 3]), row(1, [0.0, 1.5], [3, 5])];
        rows[0].blind_scores = Some(vec![0.0, 1.0]);
        let probes = Probes::of(&rows, "tokens");
        // Not by way of a text, which the reader may round in the last bit.
        let stored = serde_json::to_value(&probes).unwrap();
        assert_eq!(serde_json::from_value::<Probes>(stored).unwrap(), probes);
    }
}
