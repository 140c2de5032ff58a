//! The one thread that runs the model: takes a batch, scores it, replies to each request.
//!
//! The only place from which the model is called.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{RewardModel, ScoreError};
use prompt::Encoded;

use crate::batcher::{Batcher, Job};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;

/// What came of one request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Computed {
    pub(crate) rewarded: Rewarded,
    /// Time from the queue to the batch.
    pub(crate) queue_time: Duration,
    /// Time of the whole batch.
    pub(crate) compute_time: Duration,
}

/// What the model made of one request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rewarded {
    pub(crate) rewards: Vec<f32>,
    /// Tokens that were not computed because other responses of the request have them, too.
    pub(crate) shared_tokens: usize,
    /// Tokens that were not computed because an earlier call had them.
    pub(crate) cached_tokens: usize,
}

/// Says that the model is lost when its thread ends in any way.
struct Guard(Arc<Lifecycle>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.lose_model();
    }
}

/// Scores batches until no more can come.
pub(crate) fn run(
    model: &RewardModel,
    mut batcher: Batcher,
    lifecycle: Arc<Lifecycle>,
    metrics: &Metrics,
) {
    let _guard = Guard(lifecycle);
    while let Some(batch) = batcher.next() {
        let began = Instant::now();
        let groups: Vec<Vec<&Encoded>> =
            batch.iter().map(|job| job.conversations.iter().collect()).collect();
        let scored = score(model, &groups);
        let compute_time = began.elapsed();
        drop(groups);
        metrics.batch(&batch_sizes(&batch), compute_time);
        for (job, scored) in batch.into_iter().zip(scored) {
            let queue_time = began.saturating_duration_since(job.queued);
            let reply = scored.map(|rewarded| Computed { rewarded, queue_time, compute_time });
            // A caller that has gone meanwhile needs no reply.
            let _ = job.reply.send(reply);
        }
    }
}

/// The one call into the model.
fn score(model: &RewardModel, groups: &[Vec<&Encoded>]) -> Vec<Result<Rewarded, ScoreError>> {
    let shared = |group: &[&Encoded]| {
        let tokens: usize = group.iter().map(|one| one.len()).sum();
        tokens - model.pack(group).num_rows()
    };
    let scored = model.score_groups(groups);
    scored
        .into_iter()
        .zip(groups)
        .map(|(rewards, group)| {
            Ok(Rewarded { rewards: rewards?, shared_tokens: shared(group), cached_tokens: 0 })
        })
        .collect()
}

/// Requests, conversations and tokens of a batch.
fn batch_sizes(batch: &[Job]) -> [usize; 3] {
    let conversations = || batch.iter().flat_map(|job| &job.conversations);
    [batch.len(), conversations().count(), conversations().map(Encoded::len).sum()]
}
