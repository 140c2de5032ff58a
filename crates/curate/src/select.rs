//! Which records are worth sending to people.
//!
//! People see a record on a sheet, a line of a file with both answers in a drawn order; [`crate::labels::Opinions`] reads it when it is filled in.

mod sheet;

use serde::{Deserialize, Serialize};

use crate::caps::{Capped, Caps, Counts};
use crate::chance;
use crate::labels::Judgment;

pub use sheet::{sheet_line, shown_first};

/// What makes a record informative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Informative {
    /// Models are least sure: the mean margin is nearest to 0.
    #[default]
    Uncertainty,
    /// Models differ most: the deviation of their margins is largest. At least two must have judged the record.
    Disagreement,
    /// Models are most against the label.
    Doubt,
    /// Nothing: records are drawn at random, as a measure for the others.
    Random,
}

/// A record to choose from.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its fingerprints and pictures.
    pub record: Capped<'a>,
    /// What models say about it.
    pub judgment: &'a Judgment,
}

/// Indices of the `count` most informative records, the most informative first, within limits over one prompt and one picture.
///
/// Equally informative ones come in a drawn order. Those that no model judged are chosen at random only.
pub fn most_informative(
    candidates: &[Candidate<'_>],
    count: usize,
    by: Informative,
    caps: Caps,
    seed: u64,
) -> Vec<usize> {
    let order = chance::order(seed, "select", candidates.iter().map(|one| one.record.exact));
    let value = |at: usize| Some((value(candidates[at].judgment, by)?, at));
    let mut order: Vec<(f64, usize)> = order.into_iter().filter_map(value).collect();
    order.sort_by(|(first, _), (second, _)| second.total_cmp(first));
    let mut counts = Counts::new(caps);
    let admitted = |at: &usize| counts.admit(&candidates[*at].record).is_ok();
    order.into_iter().map(|(_, at)| at).filter(admitted).take(count).collect()
}

/// How informative a record is; none when that is not known.
fn value(judgment: &Judgment, by: Informative) -> Option<f64> {
    match by {
        Informative::Uncertainty => Some(-f64::from(judgment.mean_margin?.abs())),
        Informative::Disagreement => deviation(&judgment.margins),
        Informative::Doubt => Some(-f64::from(judgment.mean_margin?)),
        Informative::Random => Some(0.0),
    }
}

/// Standard deviation of at least two margins.
fn deviation(margins: &[Option<f32>]) -> Option<f64> {
    let margins: Vec<f64> = margins.iter().flatten().map(|margin| f64::from(*margin)).collect();
    let count = margins.len() as f64;
    let mean = margins.iter().sum::<f64>() / count;
    let variance = margins.iter().map(|margin| (margin - mean).powi(2)).sum::<f64>() / count;
    (margins.len() > 1).then(|| variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Decision;

    fn judgment(margins: &[f32]) -> Judgment {
        let mean = margins.iter().sum::<f32>() / margins.len() as f32;
        Judgment {
            margins: margins.iter().map(|margin| Some(*margin)).collect(),
            mean_margin: (!margins.is_empty()).then_some(mean),
            against: None,
            difficulty: None,
            decision: Decision::Keep,
        }
    }

    fn chosen(margins: &[&[f32]], count: usize, by: Informative, caps: Caps) -> Vec<usize> {
        let judgments: Vec<Judgment> = margins.iter().map(|margins| judgment(margins)).collect();
        let candidate = |(at, judgment)| Candidate {
            record: Capped { exact: at as u128, prompt: at as u128 / 2, images: &[] },
            judgment,
        };
        let candidates: Vec<Candidate<'_>> = judgments.iter().enumerate().map(candidate).collect();
        most_informative(&candidates, count, by, caps, 0)
    }

    #[test]
    fn each_measure_finds_its_records() {
        let margins: [&[f32]; 5] = [&[3.0, 3.5], &[-2.0, -2.5], &[0.1, 0.2], &[4.0, -2.0], &[]];
        let first = |by| chosen(&margins, 2, by, Caps::default());
        assert_eq!(first(Informative::Uncertainty), [2, 3]);
        assert_eq!(first(Informative::Disagreement)[0], 3);
        assert_eq!(first(Informative::Doubt), [1, 2]);
        let all = |by| chosen(&margins, 9, by, Caps::default()).len();
        assert_eq!((all(Informative::Doubt), all(Informative::Random)), (4, 5));
    }

    #[test]
    fn one_prompt_does_not_take_all_places() {
        let margins: [&[f32]; 4] = [&[0.1], &[0.2], &[5.0], &[4.0]];
        let one = Caps { per_prompt: Some(1), per_image: None };
        assert_eq!(chosen(&margins, 2, Informative::Uncertainty, Caps::default()), [0, 1]);
        assert_eq!(chosen(&margins, 2, Informative::Uncertainty, one), [0, 3]);
    }
}
