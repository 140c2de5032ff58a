//! Several responses to one prompt, with `ranks` (the lowest the best) or `scores` (the highest the best).
//!
//! Ranks may begin at any number and leave numbers out. With both, the ranks decide, and the scores must not say the opposite. Two
//! responses may have a `margin` and a `soft_label`, which speak of the first. Shards that curation writes are of this schema.

use std::path::Path;

use super::placing::{DraftResponse, Layout};
use super::{PAIR_KEYS, Written, pair_label};
use crate::comparison::{Comparison, Preference};
use crate::dataset::undecided;
use crate::error::RowFault;
use crate::fields::{list, numbers, required};
use crate::messages::{prompt, response};
use crate::pictures::listed;
use crate::value::Value;

/// The keys of the schema, and those that curation writes beside them.
pub(super) const KEYS: &[&str] = &[
    "prompt",
    "responses",
    "ranks",
    "scores",
    "key",
    "group",
    "strength",
    "agreement",
    "difficulty",
    "flipped",
    "copy",
    "file",
    "row",
    "license",
];

pub(super) fn read(row: &Value, base_dir: &Path) -> Result<Written, RowFault> {
    let values = list(required(row, "responses")?, "responses")?;
    if values.len() < 2 {
        return Err(RowFault::TooFewResponses { key: "responses", found: values.len() });
    }
    let read = |(index, value)| {
        let key = format!("responses[{index}]");
        Ok(DraftResponse { messages: response(value, &key, base_dir)?, key })
    };
    let responses = values.iter().enumerate().map(read).collect::<Result<_, RowFault>>()?;
    let preference = preference(row, values.len())?;
    let layout = Layout::Apart {
        prompt_key: "prompt",
        prompt: prompt(required(row, "prompt")?, "prompt", base_dir)?,
        responses,
        images: listed(row, base_dir)?,
    };
    Ok(Written { layout, preference })
}

/// Whether a comparison can be written in this schema and read back.
///
/// # Errors
/// What a reader of the row would find wrong.
pub fn check_ranking(comparison: &Comparison) -> Result<(), RowFault> {
    let Preference { ranks, scores, margin, soft_label } = &comparison.preference;
    let responses = comparison.responses.len();
    let length = |key: &str, found| {
        let key = key.to_owned();
        if found == responses { Ok(()) } else { Err(RowFault::Length { key, found, responses }) }
    };
    length("ranks", ranks.len())?;
    let ranks: Vec<f64> = ranks.iter().copied().map(f64::from).collect();
    if let Some(scores) = scores {
        length("scores", scores.len())?;
        check_agreement(&ranks, &scores.iter().copied().map(f64::from).collect::<Vec<_>>())?;
    }
    let given = PAIR_KEYS.into_iter().zip([margin, soft_label]);
    for (key, _) in given.filter(|(_, number)| number.is_some()) {
        if responses > 2 {
            return Err(RowFault::PairsOnly { key, responses });
        }
    }
    undecided(comparison).map_or(Ok(()), Err)
}

fn preference(row: &Value, responses: usize) -> Result<Preference, RowFault> {
    let read = |key| row.get(key).map(|value| numbers(value, key, responses)).transpose();
    let (ranks, scores) = (read("ranks")?, read("scores")?);
    let ranks = match (ranks, &scores) {
        (Some(ranks), Some(scores)) => {
            check_agreement(&ranks, scores)?;
            ranks_from_best(&ranks)
        }
        (Some(ranks), None) => ranks_from_best(&ranks),
        (None, Some(scores)) => {
            ranks_from_best(&scores.iter().map(|score| -score).collect::<Vec<_>>())
        }
        (None, None) => return Err(RowFault::Missing { key: "ranks".to_owned() }),
    };
    let scores = scores.map(|scores| scores.into_iter().map(|score| score as f32).collect());
    if responses > 2
        && let Some(key) = PAIR_KEYS.into_iter().find(|key| row.get(key).is_some())
    {
        return Err(RowFault::PairsOnly { key, responses });
    }
    let (margin, soft_label) = pair_label(row)?;
    Ok(Preference { ranks, scores, margin, soft_label })
}

/// Numbers whose order is the ranking as 0, 1, 2, …, equal ones alike.
pub fn ranks_from_best(numbers: &[f64]) -> Vec<u32> {
    let mut places = numbers.to_vec();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let place = |number: &f64| places.partition_point(|place| place < number) as u32;
    numbers.iter().map(place).collect()
}

/// That no response has a better rank than another, but a lower score.
pub(crate) fn check_agreement(ranks: &[f64], scores: &[f64]) -> Result<(), RowFault> {
    for better in 0..ranks.len() {
        for worse in 0..ranks.len() {
            if ranks[better] < ranks[worse] && scores[better] < scores[worse] {
                return Err(RowFault::RanksAgainstScores { better, worse });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_begin_at_zero_and_leave_no_number_out() {
        assert_eq!(ranks_from_best(&[1.0, 5.0, 1.0, 3.0]), [0, 2, 0, 1]);
        assert_eq!(ranks_from_best(&[-0.5, -0.9, 0.0]), [1, 0, 2]);
        assert_eq!(ranks_from_best(&[-0.0, 0.0]), [0, 0]);
    }
}
