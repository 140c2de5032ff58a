//! What tells whether to trust a benchmark's figures: what length alone gives, what the pictures add, how margins and errors go
//! together.
//!
//! These are statistics over all pairs of responses with different ranks, whatever the official metric is. Data only: nothing
//! is scored, printed or drawn here.

use serde::{Deserialize, Serialize};

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

/// A count of pairs that are right, of all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Pairs that are right.
    pub num_right: u64,
    /// All pairs.
    pub num_total: u64,
    /// Pairs in which neither side won; they count as wrong.
    pub num_ties: u64,
    /// 95 % interval; absent without any pair.
    pub interval: Option<(f64, f64)>,
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

/// The temperature T that minimizes the mean of −log σ(margin / T) over the pairs with finite rewards.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// T. Above 1 the margins are too large for how often the model is right.
    pub value: f64,
    /// Expected calibration error of σ(margin / T).
    pub expected_error: f64,
    /// Mean of −log σ(margin / T).
    pub negative_log_likelihood: f64,
    /// The same with T = 1.
    pub negative_log_likelihood_before: f64,
}

/// Rewards over the same edges: each response once for every pair that it is in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardHistograms {
    /// Rewards of the better responses.
    pub better: Histogram,
    /// Rewards of the worse responses.
    pub worse: Histogram,
}

/// Counts of numbers in bins of equal width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Ends of the bins, one more than there are bins.
    pub edges: Vec<f64>,
    /// Numbers in each bin; a number on an edge is in the bin above it, one on the last edge in the last bin.
    pub counts: Vec<u64>,
}

/// Pairs whose rewards are about equally far apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarginBin {
    /// Least absolute margin of the bin's pairs.
    pub low: f64,
    /// Largest absolute margin of the bin's pairs.
    pub high: f64,
    /// Pairs that are right.
    pub num_right: u64,
    /// All pairs of the bin.
    pub num_total: u64,
}

/// Pairs of which the model is about equally sure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Lower end of the confidence.
    pub low: f64,
    /// Upper end of the confidence.
    pub high: f64,
    /// Mean confidence of the bin's pairs; 0 without any.
    pub confidence: f64,
    /// Part of the bin's pairs that are right, a tie as half; 0 without any.
    pub accuracy: f64,
    /// Pairs in the bin.
    pub num_total: u64,
}

/// How well the model's confidence says how often it is right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Bins of equal width from 0.5 to 1.
    pub bins: Vec<CalibrationBin>,
    /// Expected calibration error: mean over the pairs of |accuracy − confidence| of their bin.
    pub expected_error: f64,
}

/// Pairs whose responses differ about equally in length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LengthBin {
    /// Least difference of the bin's pairs, better minus worse.
    pub low: i64,
    /// Largest difference of the bin's pairs.
    pub high: i64,
    /// Mean difference.
    pub difference_mean: f64,
    /// Mean margin.
    pub margin_mean: f64,
    /// Pairs that are right.
    pub num_right: u64,
    /// All pairs of the bin.
    pub num_total: u64,
}

/// How the margin goes with the difference in length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LengthRelation {
    /// Bins with about equally many pairs, from the shortest better responses to the longest.
    pub bins: Vec<LengthBin>,
    /// Pearson correlation of margin and difference; `None` when one of them does not vary.
    pub correlation: Option<f64>,
}
