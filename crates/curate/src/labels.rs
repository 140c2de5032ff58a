//! What rewards of models and verdicts of people, or of stronger judges, say about the labels.
//!
//! [`Opinions`] are read from files, [`judge`] compares them with the labels of all records at once, and [`flip`] turns a label. Nothing here
//! scores: `basereward data judge` writes the rewards, one line for each record and model, and knows a record by its fingerprint, so that
//! files stay useful when the recipe changes.
//!
//! # Iterating
//!
//! A round is curate → train → judge → curate, with the same sources and a recipe that names what the round before has learned:
//!
//! 1. Judge with several published models. In `labels`, `doubtful = "flip"` with `share = 0.5` turns the half of the doubtful labels that the
//!    models are most against and leaves the rest. Train on the result.
//! 2. Judge with the model just trained, and let a stronger judge look at the doubtful records, in both orders, as lines of a file of
//!    verdicts. `rewards` names the new model's file alone, `verdicts` the judge's, and `doubtful = "drop"`. Where both verdicts agree they
//!    decide, where they do not the record is dropped, and records without verdicts stay when the model agrees with their label.
//! 3. Train again; repeat 2 as long as labels change.
//!
//! # Source
//! The rounds are those of DT2IT-MRM; the strength of a label is the mean over models of the difference of rewards.

mod judge;
mod opinions;
#[cfg(test)]
mod tests;

use data::Comparison;

pub use judge::{Decision, Judgment, Labeled, Reason, judge};
pub use opinions::{OpinionError, Opinions, reward_line};

/// Turns the label of a pair. Its scores, margin and soft label go, because they speak for the answer that was better before.
///
/// # Panics
/// When the comparison is not a pair.
pub fn flip(comparison: &mut Comparison) {
    assert_eq!(comparison.responses.len(), 2, "only pairs are turned");
    let preference = &mut comparison.preference;
    preference.ranks.swap(0, 1);
    preference.scores = None;
    preference.margin = None;
    preference.soft_label = None;
}
