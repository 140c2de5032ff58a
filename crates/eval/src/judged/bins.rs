//! Pairs in bins: histograms of rewards, accuracy by margin, calibration, margin against length difference.
//!
//! Pairs with a reward that is not finite are in no bin. Nothing here chooses how a bin is drawn.

use serde::{Deserialize, Serialize};

use super::{Judged, finite, mean};

/// Bins of [`calibration`].
const CALIBRATION_BINS: usize = 10;

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

/// Pairs whose answers differ about equally in length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LengthBin {
    /// Least difference of the bin's pairs, chosen minus rejected.
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
    /// Bins with about equally many pairs, from the shortest chosen answers to the longest.
    pub bins: Vec<LengthBin>,
    /// Pearson correlation of margin and difference; `None` when one of them does not vary.
    pub correlation: Option<f64>,
}

/// Counts numbers in bins between given edges, which rise. Numbers outside are not counted.
///
/// # Panics
/// With fewer than two edges.
pub fn histogram(numbers: impl IntoIterator<Item = f64>, edges: Vec<f64>) -> Histogram {
    assert!(edges.len() >= 2, "a histogram has at least one bin");
    let num_bins = edges.len() - 1;
    let mut counts = vec![0; num_bins];
    for number in numbers {
        if number >= edges[0] && number <= edges[num_bins] {
            let edges_at_most = edges.partition_point(|&edge| edge <= number);
            counts[(edges_at_most - 1).min(num_bins - 1)] += 1;
        }
    }
    Histogram { edges, counts }
}

/// Accuracy of pairs grouped by absolute margin, in at most `num_bins` bins with about equally many pairs.
pub fn margin_bins(pairs: &[Judged], num_bins: usize) -> Vec<MarginBin> {
    let mut sorted: Vec<&Judged> = finite(pairs).collect();
    sorted.sort_by(|a, b| a.margin().abs().total_cmp(&b.margin().abs()));
    equal_shares(&sorted, num_bins, |pair| pair.margin().abs())
        .into_iter()
        .map(|share| MarginBin {
            low: share[0].margin().abs(),
            high: share[share.len() - 1].margin().abs(),
            num_right: num_right(share),
            num_total: share.len() as u64,
        })
        .collect()
}

/// Calibration of the Bradley–Terry probability: the model prefers the answer with the higher reward with confidence
/// σ(|margin|), from 0.5 to 1, and is right or not. A tie has confidence 0.5 and is half right.
///
/// # Source
/// C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks" (2017), equations 2 and 3.
pub fn calibration(pairs: &[Judged]) -> Calibration {
    calibration_of(finite(pairs).map(Judged::margin))
}

/// Calibration of finite margins.
pub(super) fn calibration_of(margins: impl Iterator<Item = f64>) -> Calibration {
    let mut sums = [(0.0, 0.0, 0u64); CALIBRATION_BINS];
    for margin in margins {
        let confidence = 1.0 / (1.0 + (-margin.abs()).exp());
        let place = (confidence - 0.5) * 2.0 * CALIBRATION_BINS as f64;
        let (confidences, right, total) = &mut sums[(place as usize).min(CALIBRATION_BINS - 1)];
        *confidences += confidence;
        *right += if margin > 0.0 {
            1.0
        } else if margin < 0.0 {
            0.0
        } else {
            0.5
        };
        *total += 1;
    }
    let num_pairs = sums.iter().map(|(_, _, total)| *total).sum::<u64>().max(1);
    let edge = |bin: usize| 0.5 + 0.5 * bin as f64 / CALIBRATION_BINS as f64;
    let bins: Vec<CalibrationBin> = sums
        .into_iter()
        .enumerate()
        .map(|(bin, (confidences, right, total))| {
            let divisor = total.max(1) as f64;
            let (confidence, accuracy) = (confidences / divisor, right / divisor);
            CalibrationBin {
                low: edge(bin),
                high: edge(bin + 1),
                confidence,
                accuracy,
                num_total: total,
            }
        })
        .collect();
    let off = |bin: &CalibrationBin| (bin.accuracy - bin.confidence).abs() * bin.num_total as f64;
    let expected_error = bins.iter().map(off).sum::<f64>() / num_pairs as f64;
    Calibration { bins, expected_error }
}

/// Margin against difference in length, in at most `num_bins` bins. Pairs of one difference are never parted.
pub fn length_relation(pairs: &[Judged], num_bins: usize) -> LengthRelation {
    let mut sorted: Vec<&Judged> = finite(pairs).collect();
    sorted.sort_by_key(|pair| pair.len_difference());
    let bins = equal_shares(&sorted, num_bins, |pair| pair.len_difference() as f64)
        .into_iter()
        .map(|share| LengthBin {
            low: share[0].len_difference(),
            high: share[share.len() - 1].len_difference(),
            difference_mean: mean(share.iter().map(|pair| pair.len_difference() as f64))
                .expect("a share has a pair"),
            margin_mean: mean(share.iter().map(|pair| pair.margin())).expect("a share has a pair"),
            num_right: num_right(share),
            num_total: share.len() as u64,
        })
        .collect();
    LengthRelation { bins, correlation: correlation(&sorted) }
}

/// Cuts sorted pairs into at most `num_shares` runs of about equal size. Pairs with one key stay together.
fn equal_shares<'a, 'p>(
    sorted: &'a [&'p Judged],
    num_shares: usize,
    key: impl Fn(&Judged) -> f64,
) -> Vec<&'a [&'p Judged]> {
    let mut shares = Vec::new();
    let mut begin = 0;
    for share in 1..=num_shares {
        let mut end = (sorted.len() * share / num_shares).max(begin);
        while end > begin && end < sorted.len() && key(sorted[end]) <= key(sorted[end - 1]) {
            end += 1;
        }
        if end > begin {
            shares.push(&sorted[begin..end]);
            begin = end;
        }
    }
    shares
}

fn num_right(pairs: &[&Judged]) -> u64 {
    pairs.iter().filter(|pair| pair.is_right()).count() as u64
}

fn correlation(pairs: &[&Judged]) -> Option<f64> {
    let difference_mean = mean(pairs.iter().map(|pair| pair.len_difference() as f64))?;
    let margin_mean = mean(pairs.iter().map(|pair| pair.margin()))?;
    let (mut both, mut differences, mut margins) = (0.0, 0.0, 0.0);
    for pair in pairs {
        let difference = pair.len_difference() as f64 - difference_mean;
        let margin = pair.margin() - margin_mean;
        both += difference * margin;
        differences += difference * difference;
        margins += margin * margin;
    }
    (differences > 0.0 && margins > 0.0).then(|| both / (differences * margins).sqrt())
}

#[cfg(test)]
mod tests {
    use super::super::tests::pair;
    use super::*;

    fn with_length(margin: f32, difference: usize) -> Judged {
        Judged { chosen_len: difference, ..pair("x", margin, 0.0) }
    }

    #[test]
    fn a_number_on_an_edge_is_in_the_bin_above_it() {
        let counted = histogram([0.0, 0.5, 1.0, 2.0, 2.1, -0.1, f64::NAN], vec![0.0, 1.0, 2.0]);
        assert_eq!(counted.counts, [2, 2]);
    }

    #[test]
    fn a_model_that_is_right_as_often_as_it_says_is_calibrated() {
        // Confidence 0.75 is margin ln 3: three of four are right.
        let sure = 3f32.ln();
        let pairs: Vec<Judged> =
            [sure, sure, sure, -sure].map(|margin| pair("x", margin, 0.0)).into();
        let result = calibration(&pairs);
        assert!(result.expected_error < 1e-6, "{}", result.expected_error);
        assert_eq!(result.bins.iter().map(|bin| bin.num_total).sum::<u64>(), 4);
    }

    #[test]
    fn a_model_that_is_sure_and_wrong_has_an_error_of_its_confidence() {
        let result = calibration(&[pair("x", -100.0, 0.0), pair("y", -100.0, 0.0)]);
        assert!((result.expected_error - 1.0).abs() < 1e-12);
        assert_eq!(result.bins[9].num_total, 2);
        assert_eq!(calibration(&[]).expected_error.to_bits(), 0f64.to_bits());
    }

    #[test]
    fn ties_are_half_right_at_half_confidence() {
        let result = calibration(&[pair("x", 1.0, 1.0)]);
        assert_eq!(result.bins[0].num_total, 1);
        assert!(result.expected_error.abs() < 1e-12);
    }

    #[test]
    fn shares_hold_every_pair_once_and_never_part_equal_keys() {
        let pairs: Vec<Judged> =
            (0..57).map(|i| with_length(i as f32 - 20.0, i * i % 11)).collect();
        for num_bins in 1..20 {
            let relation = length_relation(&pairs, num_bins);
            assert!(relation.bins.len() <= num_bins);
            assert_eq!(relation.bins.iter().map(|bin| bin.num_total).sum::<u64>(), 57);
            assert!(relation.bins.windows(2).all(|bins| bins[0].high < bins[1].low));
            let margins = margin_bins(&pairs, num_bins);
            assert_eq!(margins.iter().map(|bin| bin.num_total).sum::<u64>(), 57);
            assert!(margins.windows(2).all(|bins| bins[0].high < bins[1].low));
        }
    }

    #[test]
    fn a_margin_that_follows_the_length_has_correlation_one() {
        let pairs: Vec<Judged> = (0..9).map(|i| with_length(i as f32 * 2.0 - 3.0, i)).collect();
        let correlation = length_relation(&pairs, 3).correlation.expect("both vary");
        assert!((correlation - 1.0).abs() < 1e-12);
        let constant: Vec<Judged> = (0..9).map(|i| with_length(i as f32, 4)).collect();
        assert_eq!(length_relation(&constant, 3).correlation, None);
    }

    #[test]
    fn surer_pairs_that_are_more_often_right_show_in_the_margin_bins() {
        let margins = [0.1, -0.2, 0.3, -0.4, 2.0, 3.0, 4.0, 5.0];
        let bins = margin_bins(&margins.map(|margin| pair("x", margin, 0.0)), 2);
        let counts: Vec<_> = bins.iter().map(|bin| (bin.num_right, bin.num_total)).collect();
        assert_eq!(counts, [(2, 4), (4, 4)]);
    }
}
