//! Statistics of judged pairs: how often, how surely and for which pairs a reward model is right.
//!
//! Pure arithmetic on rewards that are given; nothing is scored, printed or drawn here. A pair is right when the chosen answer
//! has the strictly higher reward: a tie is wrong, and so is a pair with a reward that is not finite. Both are counted.

mod bins;
mod proportion;
mod shown;
mod temperature;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::bins::{
    Calibration, CalibrationBin, Histogram, LengthBin, LengthRelation, MarginBin, calibration,
    histogram, length_relation, margin_bins,
};
pub use self::proportion::{Interval, Proportion};
pub use self::shown::{Shown, text_of};
pub use self::temperature::{Temperature, fitted_temperature};

/// Name of the kind of pairs that have none, in [`accuracy_by_kind`].
pub const WITHOUT_KIND: &str = "other";

/// A pair of answers and the rewards that a model gave them, without texts and pictures, so that many can be kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Judged {
    /// Number of the row in the data that the pair came from, from 0.
    pub row: usize,
    /// Comparison that the pair belongs to. Pairs of one comparison share it, because they are not independent of each other.
    pub id: String,
    /// Kind of question, for accuracy by kind.
    pub kind: Option<String>,
    /// Index of the better answer among those of the row.
    pub better: usize,
    /// Index of the worse answer among those of the row.
    pub worse: usize,
    /// Reward of the better answer.
    pub chosen_reward: f32,
    /// Reward of the worse answer.
    pub rejected_reward: f32,
    /// Length of the better answer, in the unit of whoever measured it; tokens in training.
    pub chosen_len: usize,
    /// Length of the worse answer, in the same unit.
    pub rejected_len: usize,
}

impl Judged {
    /// Reward of the chosen answer minus reward of the rejected one, in double precision: the difference of two f32 is exact in
    /// it unless they are very far apart, so that no tie comes from rounding.
    pub fn margin(&self) -> f64 {
        f64::from(self.chosen_reward) - f64::from(self.rejected_reward)
    }

    /// Whether both rewards are finite.
    pub fn is_finite(&self) -> bool {
        self.margin().is_finite()
    }

    /// Whether the chosen answer has the strictly higher reward.
    pub fn is_right(&self) -> bool {
        self.is_finite() && self.margin() > 0.0
    }

    /// Length of the chosen answer minus that of the rejected one.
    pub fn len_difference(&self) -> i64 {
        self.chosen_len as i64 - self.rejected_len as i64
    }
}

/// Part of the pairs that are right.
pub fn pairwise_accuracy(pairs: &[Judged]) -> Proportion {
    Proportion::of_outcomes(pairs.iter().map(|pair| (pair.id.as_str(), outcome(pair.margin()))))
}

/// Accuracy of a model that always prefers the longer answer. Answers of one length are ties.
pub fn length_baseline(pairs: &[Judged]) -> Proportion {
    Proportion::of_outcomes(
        pairs.iter().map(|pair| (pair.id.as_str(), outcome(pair.len_difference() as f64))),
    )
}

/// Accuracy for each kind of question, sorted by the kind's name.
pub fn accuracy_by_kind(pairs: &[Judged]) -> Vec<(String, Proportion)> {
    let mut kinds: BTreeMap<&str, Vec<(&str, Outcome)>> = BTreeMap::new();
    for pair in pairs {
        let kind = pair.kind.as_deref().unwrap_or(WITHOUT_KIND);
        kinds.entry(kind).or_default().push((&pair.id, outcome(pair.margin())));
    }
    kinds
        .into_iter()
        .map(|(kind, outcomes)| (kind.to_owned(), Proportion::of_outcomes(outcomes)))
        .collect()
}

/// Mean of the finite margins; `None` without any.
pub fn margin_mean(pairs: &[Judged]) -> Option<f64> {
    mean(finite(pairs).map(Judged::margin))
}

/// Pairs that the model has the wrong way round, the surest mistake first. Ties are no mistakes that it is sure of, and are left out.
/// Equal margins keep the order of the pairs.
pub fn surest_mistakes(pairs: &[Judged], limit: usize) -> Vec<&Judged> {
    let mut wrong: Vec<&Judged> = finite(pairs).filter(|pair| pair.margin() < 0.0).collect();
    wrong.sort_by(|a, b| a.margin().total_cmp(&b.margin()));
    wrong.truncate(limit);
    wrong
}

/// What a comparison of two numbers came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Right,
    Wrong,
    Tie,
    NotFinite,
}

fn outcome(difference: f64) -> Outcome {
    if !difference.is_finite() {
        Outcome::NotFinite
    } else if difference > 0.0 {
        Outcome::Right
    } else if difference < 0.0 {
        Outcome::Wrong
    } else {
        Outcome::Tie
    }
}

fn finite(pairs: &[Judged]) -> impl Iterator<Item = &Judged> {
    pairs.iter().filter(|pair| pair.is_finite())
}

fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = numbers.fold((0.0, 0u64), |(sum, count), number| (sum + number, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn pair(id: &str, chosen_reward: f32, rejected_reward: f32) -> Judged {
        Judged { id: id.to_owned(), chosen_reward, rejected_reward, ..Judged::default() }
    }

    #[test]
    fn ties_and_rewards_that_are_not_finite_are_wrong_and_counted() {
        let pairs = [
            pair("a", 1.0, 0.0),
            pair("b", 0.0, 1.0),
            pair("c", 0.5, 0.5),
            pair("d", f32::NAN, 0.0),
            pair("e", f32::INFINITY, 0.0),
        ];
        let accuracy = pairwise_accuracy(&pairs);
        assert_eq!((accuracy.num_right, accuracy.num_total), (1, 5));
        assert_eq!((accuracy.num_ties, accuracy.num_not_finite), (1, 2));
        assert_eq!(margin_mean(&pairs), Some(0.0));
    }

    #[test]
    fn swapping_chosen_and_rejected_flips_what_is_right() {
        let pairs: Vec<Judged> =
            (0..50u16).map(|i| pair("x", f32::from(i * 37 % 50), 20.5)).collect();
        let swapped: Vec<Judged> = pairs
            .iter()
            .map(|pair| Judged {
                chosen_reward: pair.rejected_reward,
                rejected_reward: pair.chosen_reward,
                ..pair.clone()
            })
            .collect();
        let (accuracy, flipped) = (pairwise_accuracy(&pairs), pairwise_accuracy(&swapped));
        assert_eq!(accuracy.num_right + flipped.num_right, 50);
        assert_eq!(margin_mean(&pairs), margin_mean(&swapped).map(|mean| -mean));
    }

    #[test]
    fn the_length_baseline_prefers_the_longer_answer() {
        let with_lengths =
            |chosen_len, rejected_len| Judged { chosen_len, rejected_len, ..pair("x", 0.0, 1.0) };
        let baseline =
            length_baseline(&[with_lengths(5, 3), with_lengths(3, 5), with_lengths(4, 4)]);
        assert_eq!((baseline.num_right, baseline.num_ties, baseline.num_total), (1, 1, 3));
    }

    #[test]
    fn kinds_are_counted_apart_and_add_up() {
        let of_kind =
            |kind: &str, margin| Judged { kind: Some(kind.to_owned()), ..pair("x", margin, 0.0) };
        let pairs = [
            of_kind("shape", 1.0),
            of_kind("color", -1.0),
            of_kind("shape", -1.0),
            pair("x", 1.0, 0.0),
        ];
        let kinds = accuracy_by_kind(&pairs);
        let counts: Vec<_> =
            kinds.iter().map(|(kind, p)| (kind.as_str(), p.num_right, p.num_total)).collect();
        assert_eq!(counts, [("color", 0, 1), ("other", 1, 1), ("shape", 1, 2)]);
    }

    #[test]
    fn the_surest_mistakes_come_first_and_ties_are_none() {
        let pairs = [
            pair("small", 0.0, 1.0),
            pair("right", 1.0, 0.0),
            pair("tie", 1.0, 1.0),
            pair("large", 0.0, 9.0),
            pair("broken", f32::NAN, 9.0),
        ];
        let ids: Vec<_> = surest_mistakes(&pairs, 9).iter().map(|pair| pair.id.as_str()).collect();
        assert_eq!(ids, ["large", "small"]);
        assert_eq!(surest_mistakes(&pairs, 1).len(), 1);
    }

    #[test]
    fn nothing_judged_gives_no_mean_and_an_empty_proportion() {
        assert_eq!(margin_mean(&[]), None);
        assert_eq!(pairwise_accuracy(&[]).num_total, 0);
        assert!(accuracy_by_kind(&[]).is_empty());
    }
}
