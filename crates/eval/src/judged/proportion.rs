//! A proportion with its exact counts and an interval for the value behind it.
//!
//! It does not know what was compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Outcome;

/// 97.5 % quantile of the normal distribution: two sides of a 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// Right answers of all, with what else happened.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Proportion {
    /// Pairs that are right.
    pub num_right: u64,
    /// All pairs.
    pub num_total: u64,
    /// Pairs in which neither side won; they count as wrong.
    pub num_ties: u64,
    /// Pairs that could not be compared; they count as wrong.
    pub num_not_finite: u64,
    /// Comparisons that the pairs come from.
    pub num_comparisons: u64,
    /// How many pairs carry as much information as one independent pair; 1 when every comparison has one pair.
    pub design_effect: f64,
}

/// Range of a value, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Proportion {
    /// Counts outcomes; each comes with the comparison that it belongs to.
    pub(crate) fn of_outcomes<'a>(outcomes: impl IntoIterator<Item = (&'a str, Outcome)>) -> Self {
        let mut counts = Self::default();
        let mut comparisons: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for (comparison, outcome) in outcomes {
            let (right, total) = comparisons.entry(comparison).or_default();
            *total += 1.0;
            counts.num_total += 1;
            match outcome {
                Outcome::Right => {
                    counts.num_right += 1;
                    *right += 1.0;
                }
                Outcome::Wrong => {}
                Outcome::Tie => counts.num_ties += 1,
                Outcome::NotFinite => counts.num_not_finite += 1,
            }
        }
        counts.num_comparisons = comparisons.len() as u64;
        counts.design_effect = design_effect(&comparisons.into_values().collect::<Vec<_>>());
        counts
    }

    /// Right of all, from 0 to 1; `None` without any pair.
    pub fn fraction(&self) -> Option<f64> {
        (self.num_total > 0).then(|| self.num_right as f64 / self.num_total as f64)
    }

    /// Right of all when a coin decides ties: the expected accuracy of a baseline that has no opinion on them.
    pub fn fraction_with_coin(&self) -> Option<f64> {
        let right = self.num_right as f64 + self.num_ties as f64 / 2.0;
        (self.num_total > 0).then(|| right / self.num_total as f64)
    }

    /// 95 % interval: Wilson's, with the number of pairs divided by the design effect; `None` without any pair.
    ///
    /// With p = k/n, N = n / design effect and z = 1.96 its center is (p + z²/2N) / (1 + z²/N) and its half width
    /// z / (1 + z²/N) · √(p(1−p)/N + z²/4N²).
    ///
    /// # Source
    /// E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927). The effective number:
    /// C. Franco, R. Little, T. Louis, E. Slud, "Comparative Study of Confidence Intervals for Proportions in Complex Sample
    /// Surveys", Journal of Survey Statistics and Methodology 7 (2019).
    pub fn interval(&self) -> Option<Interval> {
        let fraction = self.fraction()?;
        let effective = self.num_total as f64 / self.design_effect;
        let z2 = Z * Z;
        let scale = 1.0 + z2 / effective;
        let center = (fraction + z2 / (2.0 * effective)) / scale;
        let variance = fraction * (1.0 - fraction) / effective + z2 / (4.0 * effective * effective);
        let half_width = Z / scale * variance.sqrt();
        // Rounding must not put an end beyond what a proportion can be.
        Some(Interval { low: (center - half_width).max(0.0), high: (center + half_width).min(1.0) })
    }
}

/// Variance of the proportion when whole comparisons are drawn, over its variance when single pairs are.
///
/// With `k[c]` of `n[c]` pairs of comparison c right, C comparisons, N = Σ `n[c]` pairs and p = Σ `k[c]` / N, the first is the
/// ratio estimator's C/(C−1) · Σ (`k[c]` − p · `n[c]`)² / N², the second p(1−p) / N. It is held between 1 and the mean number
/// of pairs of a comparison. Where p is 0 or 1, or there is one comparison, nothing tells how alike the pairs of a comparison
/// are, so they count as one.
///
/// # Source
/// W. G. Cochran, "Sampling Techniques", third edition (1977), 9A.
fn design_effect(comparisons: &[(f64, f64)]) -> f64 {
    let num_comparisons = comparisons.len() as f64;
    let (right, total) = comparisons.iter().fold((0.0, 0.0), |sum, c| (sum.0 + c.0, sum.1 + c.1));
    if total <= num_comparisons {
        return 1.0;
    }
    let most = total / num_comparisons;
    let fraction = right / total;
    let simple = fraction * (1.0 - fraction) / total;
    if simple <= 0.0 || comparisons.len() < 2 {
        return most;
    }
    let squares: f64 = comparisons.iter().map(|c| (c.0 - fraction * c.1).powi(2)).sum();
    let clustered = num_comparisons / (num_comparisons - 1.0) * squares / (total * total);
    (clustered / simple).clamp(1.0, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn independent(num_right: usize, num_total: usize) -> Proportion {
        let ids: Vec<String> = (0..num_total).map(|i| i.to_string()).collect();
        let outcome = |i| if i < num_right { Outcome::Right } else { Outcome::Wrong };
        Proportion::of_outcomes(ids.iter().enumerate().map(|(i, id)| (id.as_str(), outcome(i))))
    }

    fn assert_interval(proportion: &Proportion, low: f64, high: f64) {
        let interval = proportion.interval().expect("there are pairs");
        assert!((interval.low - low).abs() < 5e-5, "{interval:?}");
        assert!((interval.high - high).abs() < 5e-5, "{interval:?}");
    }

    /// The four examples of R. G. Newcombe, "Two-sided Confidence Intervals for the Single Proportion", Statistics in
    /// Medicine 17 (1998), table I, method 3, and all right of ten.
    #[test]
    fn intervals_of_independent_pairs_are_those_of_wilson() {
        assert_interval(&independent(81, 263), 0.2553, 0.3662);
        assert_interval(&independent(15, 148), 0.0624, 0.1605);
        assert_interval(&independent(0, 20), 0.0, 0.1611);
        assert_interval(&independent(1, 29), 0.0061, 0.1718);
        assert_interval(&independent(10, 10), 0.7225, 1.0);
    }

    #[test]
    fn pairs_that_repeat_each_other_give_the_interval_of_one() {
        let repeated: Vec<(String, Outcome)> = (0..20)
            .flat_map(|i| {
                let outcome = if i < 12 { Outcome::Right } else { Outcome::Wrong };
                (0..3).map(move |_| (i.to_string(), outcome))
            })
            .collect();
        let repeated = Proportion::of_outcomes(repeated.iter().map(|(id, o)| (id.as_str(), *o)));
        let once = independent(12, 20);
        assert_eq!((repeated.num_total, repeated.num_comparisons), (60, 20));
        assert_eq!(repeated.interval(), once.interval());
    }

    #[test]
    fn pairs_of_a_comparison_that_balance_each_other_count_in_full() {
        let outcomes = [("a", Outcome::Right), ("a", Outcome::Wrong)];
        let more = [("b", Outcome::Right), ("b", Outcome::Wrong)];
        let balanced = Proportion::of_outcomes(outcomes.into_iter().chain(more));
        assert!((balanced.design_effect - 1.0).abs() < 1e-12);
    }

    #[test]
    fn without_spread_a_comparison_counts_once() {
        let outcomes = (0..12).map(|i| (["a", "b", "c"][i / 4], Outcome::Right));
        let proportion = Proportion::of_outcomes(outcomes);
        assert!((proportion.design_effect - 4.0).abs() < 1e-12);
        assert_eq!(proportion.interval(), independent(3, 3).interval());
    }

    #[test]
    fn a_coin_decides_ties_of_a_baseline() {
        let outcomes = [("a", Outcome::Right), ("b", Outcome::Tie), ("c", Outcome::Tie)];
        let proportion = Proportion::of_outcomes(outcomes);
        assert_eq!(proportion.fraction(), Some(1.0 / 3.0));
        assert_eq!(proportion.fraction_with_coin(), Some(2.0 / 3.0));
        assert_eq!(Proportion::default().fraction_with_coin(), None);
        assert_eq!(Proportion::default().interval(), None);
    }
}
