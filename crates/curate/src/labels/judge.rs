//! Opinions against labels.
//!
//! A record of more than two answers is judged pair by pair and never changed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::opinions::{OpinionError, Opinions, Vote};
use crate::recipe::{Doubtful, LabelsRecipe, MarginScale};

/// A record with its label.
#[derive(Debug, Clone, Copy)]
pub struct Labeled<'a> {
    /// Fingerprint of everything it says.
    pub key: u128,
    /// Place of each response, 0 for the best.
    pub ranks: &'a [u32],
}

/// What opinions say about a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgment {
    /// How much better each model finds the better answer, on average over pairs of different rank; none for a model that did not judge it, or
    /// when no two answers differ in rank. In the unit that the recipe's `scale` gives.
    pub margins: Vec<Option<f32>>,
    /// Mean of these: the strength of the label.
    pub mean_margin: Option<f32>,
    /// Share of pairs and models that are against the label.
    pub against: Option<f32>,
    /// Mean probability that the label is wrong, by the sigmoid of the margins: 0 is easy, 1 is hard.
    pub difficulty: Option<f32>,
    /// What becomes of it.
    pub decision: Decision,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It stays as it is.
    Keep,
    /// Its other answer becomes the better one.
    Flip,
    /// It leaves.
    Drop(Reason),
}

/// Why a record leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Models are against its label.
    Doubtful,
    /// Its verdicts do not agree, or say that no answer is better.
    Disputed,
    /// Nobody judged it.
    Unjudged,
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Doubtful => "models are against its label",
            Self::Disputed => "its verdicts do not agree on a better answer",
            Self::Unjudged => "nothing judged it",
        })
    }
}

/// Judges all records; which doubtful ones are changed depends on all of them.
///
/// # Errors
/// An opinion about another number of responses than its record has.
pub fn judge(
    records: &[Labeled<'_>],
    opinions: &Opinions,
    recipe: &LabelsRecipe,
) -> Result<Vec<Judgment>, OpinionError> {
    let units = units(records, opinions, recipe.scale)?;
    let mut judgments: Vec<Judgment> =
        records.iter().map(|record| measure(*record, opinions, &units)).collect();
    let mut doubtful = Vec::new();
    for (at, (record, judgment)) in records.iter().zip(&mut judgments).enumerate() {
        let decided = verdict(*record, opinions, recipe.verdict_agreement)?;
        judgment.decision = match decided {
            Some(decision) => decision,
            None if recipe.drop_unjudged && opinions.rewards(record.key).is_empty() => {
                Decision::Drop(Reason::Unjudged)
            }
            None => Decision::Keep,
        };
        if decided.is_none() && record.ranks.len() == 2 && is_doubtful(judgment, recipe) {
            doubtful.push((at, judgment.mean_margin.unwrap_or(0.0)));
        }
    }
    let action = match recipe.doubtful {
        Doubtful::Keep => return Ok(judgments),
        Doubtful::Flip => Decision::Flip,
        Doubtful::Drop => Decision::Drop(Reason::Doubtful),
    };
    doubtful.sort_by(|(first, first_margin), (second, second_margin)| {
        let by_margin = first_margin.total_cmp(second_margin);
        by_margin.then(records[*first].key.cmp(&records[*second].key)).then(first.cmp(second))
    });
    let changed = (doubtful.len() as f64 * recipe.share).round() as usize;
    for (at, _) in doubtful.into_iter().take(changed) {
        judgments[at].decision = action;
    }
    Ok(judgments)
}

/// Pairs `(better, worse)` of responses of different rank.
fn pairs(ranks: &[u32]) -> impl Iterator<Item = (usize, usize)> {
    let all = |better: usize| (0..ranks.len()).map(move |worse| (better, worse));
    (0..ranks.len()).flat_map(all).filter(|(better, worse)| ranks[*better] < ranks[*worse])
}

/// What margins of each model are divided by.
fn units(
    records: &[Labeled<'_>],
    opinions: &Opinions,
    scale: MarginScale,
) -> Result<Vec<f64>, OpinionError> {
    let mut sums = vec![(0.0, 0_usize); opinions.models().len()];
    for record in records {
        for given in opinions.rewards(record.key) {
            let (found, has) = (given.values.len(), record.ranks.len());
            if found != has {
                return Err(opinions.misfit(given.place, record.key, found, has));
            }
            let (sum, count) = &mut sums[given.model];
            for (better, worse) in pairs(record.ranks) {
                *sum += difference(&given.values, better, worse).powi(2);
                *count += 1;
            }
        }
    }
    let deviation = |(sum, count): (f64, usize)| match scale {
        MarginScale::Deviation if sum > 0.0 => (sum / count as f64).sqrt(),
        MarginScale::Deviation | MarginScale::Raw => 1.0,
    };
    Ok(sums.into_iter().map(deviation).collect())
}

fn difference(rewards: &[f32], better: usize, worse: usize) -> f64 {
    f64::from(rewards[better]) - f64::from(rewards[worse])
}

/// Figures of one record; its decision is made later.
fn measure(record: Labeled<'_>, opinions: &Opinions, units: &[f64]) -> Judgment {
    let mut margins = vec![None; units.len()];
    let (mut total, mut against, mut difficulty, mut count) = (0.0, 0_usize, 0.0, 0_usize);
    for given in opinions.rewards(record.key) {
        let (mut sum, mut pairs_seen) = (0.0, 0_usize);
        for (better, worse) in pairs(record.ranks) {
            let margin = difference(&given.values, better, worse) / units[given.model];
            sum += margin;
            pairs_seen += 1;
            against += usize::from(margin < 0.0);
            difficulty += 1.0 / (1.0 + margin.exp());
        }
        if pairs_seen > 0 {
            margins[given.model] = Some((sum / pairs_seen as f64) as f32);
        }
        total += sum;
        count += pairs_seen;
    }
    let mean = |sum: f64| (count > 0).then(|| (sum / count as f64) as f32);
    Judgment {
        margins,
        mean_margin: mean(total),
        against: mean(against as f64),
        difficulty: mean(difficulty),
        decision: Decision::Keep,
    }
}

fn is_doubtful(judgment: &Judgment, recipe: &LabelsRecipe) -> bool {
    let (Some(margin), Some(against)) = (judgment.mean_margin, judgment.against) else {
        return false;
    };
    // NUMERICS: a share such as 2/3 may be a little less as f32 than it is written in a recipe.
    let agrees = f64::from(against) + 1e-6 >= recipe.min_agreement;
    agrees && margin < 0.0 && -f64::from(margin) >= recipe.min_margin
}

/// What verdicts decide, where there are any and the record has a label.
fn verdict(
    record: Labeled<'_>,
    opinions: &Opinions,
    agreement: f64,
) -> Result<Option<Decision>, OpinionError> {
    let ballots = opinions.votes(record.key);
    let Some(first) = ballots.first() else { return Ok(None) };
    if record.ranks.len() != 2 {
        return Err(opinions.misfit(first.place, record.key, 2, record.ranks.len()));
    }
    let Some((better, _)) = pairs(record.ranks).next() else { return Ok(None) };
    let share = |wanted: bool| {
        let is_wanted = |vote: Vote| match vote {
            Vote::Chosen => wanted,
            Vote::Rejected => !wanted,
            Vote::Response(response) => (response == better) == wanted,
            Vote::Tie => false,
        };
        let votes = ballots.iter().filter(|ballot| is_wanted(ballot.vote)).count();
        votes as f64 / ballots.len() as f64
    };
    Ok(Some(if share(true) >= agreement {
        Decision::Keep
    } else if share(false) >= agreement {
        Decision::Flip
    } else {
        Decision::Drop(Reason::Disputed)
    }))
}
