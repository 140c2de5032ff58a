//! Rewards of the held-out comparisons, as judged pairs and their mean loss.
//!
//! Figures and charts are made from the pairs elsewhere.

use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Instant;

use data::Dataset;
use eval::judged::{Judged, Shown};
use model::RewardModel;

use crate::batches::{conversations, divide, packed_rows};
use crate::error::TrainError;
use crate::loss::{LossOptions, of_comparison};
use crate::prepare::{Affected, Prepared, Preparer, Ready};
use crate::step::ids;

/// Comparisons that are read ahead, and among which micro-batches are formed.
const CHUNK: usize = 32;

/// What the model gets to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The pictures.
    Pictures,
    /// Gray pictures of the same size: the image-blind baseline.
    Gray,
}

/// What is judged, and how much at a time.
#[derive(Clone, Copy)]
pub struct HeldOutRows<'a> {
    /// The data.
    pub dataset: &'a Dataset,
    /// Its rows.
    pub rows: &'a [usize],
    /// Encodes them.
    pub preparer: &'a Preparer,
    /// Packed rows in a micro-batch.
    pub tokens_per_batch: usize,
}

/// Rewards of held-out comparisons.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeldOut {
    /// Every pair, comparison by comparison.
    pub pairs: Vec<Judged>,
    /// Mean loss of the comparisons.
    pub loss: f64,
    /// Comparisons judged.
    pub comparisons: usize,
    /// Whether any of them has a picture.
    pub has_pictures: bool,
    /// Rows that were left out or changed.
    pub affected: Vec<Affected>,
    /// Seconds that it took.
    pub secs: f64,
}

/// Judges comparisons.
///
/// # Errors
/// A row that the recipe does not allow to leave out, and whatever the model refuses.
pub fn judge(
    model: &RewardModel,
    rows: HeldOutRows<'_>,
    loss: &LossOptions,
    sight: Sight,
) -> Result<HeldOut, TrainError> {
    let start = Instant::now();
    let mut found = HeldOut::default();
    thread::scope(|scope| -> Result<(), TrainError> {
        let (send, receive) = sync_channel(CHUNK);
        scope.spawn(move || {
            for &row in rows.rows {
                let ready = rows.preparer.prepare(rows.dataset, row);
                if send.send(ready).is_err() {
                    return;
                }
            }
        });
        loop {
            let chunk = next_chunk(&receive, sight, &mut found)?;
            if chunk.is_empty() {
                return Ok(());
            }
            score_chunk(model, rows, loss, &chunk, &mut found)?;
        }
    })?;
    found.loss /= found.comparisons.max(1) as f64;
    found.secs = start.elapsed().as_secs_f64();
    Ok(found)
}

fn next_chunk(
    receive: &Receiver<Result<Ready, TrainError>>,
    sight: Sight,
    found: &mut HeldOut,
) -> Result<Vec<Prepared>, TrainError> {
    let mut chunk = Vec::new();
    while chunk.len() < CHUNK {
        let Ok(ready) = receive.recv() else { break };
        match ready? {
            Ready::Used(prepared, note) => {
                found.affected.extend(note);
                chunk.push(match sight {
                    Sight::Pictures => *prepared,
                    Sight::Gray => prepared.without_sight(),
                });
            }
            Ready::LeftOut(note) => found.affected.push(note),
        }
    }
    Ok(chunk)
}

fn score_chunk(
    model: &RewardModel,
    rows: HeldOutRows<'_>,
    loss: &LossOptions,
    chunk: &[Prepared],
    found: &mut HeldOut,
) -> Result<(), TrainError> {
    let is_visual = |id| rows.preparer.is_visual(id);
    let packed = |range: Range<usize>| packed_rows(&chunk[range], is_visual);
    for range in divide(chunk.len(), rows.tokens_per_batch, packed) {
        let share = &chunk[range];
        let rewards = model
            .score(&conversations(share))
            .map_err(|source| TrainError::Score { ids: ids(share), source })?;
        let mut rest = rewards.as_slice();
        for prepared in share {
            let (own, others) = rest.split_at(prepared.encoded.len());
            rest = others;
            found.loss += f64::from(of_comparison(own, &prepared.judgment(), loss).loss);
            found.comparisons += 1;
            found.has_pictures |= prepared.encoded.iter().any(|one| !one.visuals.is_empty());
            found.pairs.extend(judged_pairs(prepared, own));
        }
    }
    Ok(())
}

/// The pairs of a comparison with the rewards of its responses.
pub fn judged_pairs<'a>(
    prepared: &'a Prepared,
    rewards: &'a [f32],
) -> impl Iterator<Item = Judged> + 'a {
    let comparison = &prepared.comparison;
    prepared.pairs.iter().map(move |&(better, worse)| Judged {
        row: prepared.row,
        id: comparison.id.clone(),
        kind: Some(comparison.source.clone()),
        better,
        worse,
        chosen_reward: rewards[better],
        rejected_reward: rewards[worse],
        chosen_len: prepared.response_tokens[better],
        rejected_len: prepared.response_tokens[worse],
    })
}

/// Reads the rows of a few pairs again, for their texts and pictures. A row that cannot be read any more is shown with the reason.
pub fn shown<'a>(dataset: &Dataset, pairs: impl IntoIterator<Item = &'a Judged>) -> Vec<Shown> {
    let of_pair = |pair: &Judged| match dataset.read(pair.row) {
        Ok(comparison) => Shown::new(&comparison, pair.clone()),
        Err(error) => Shown::without_row(pair.clone(), &error.to_string()),
    };
    pairs.into_iter().map(of_pair).collect()
}
