//! Which waiting requests are scored together: the oldest, then those that begin as it does, then the others by age, up to a number of
//! rows.
//!
//! What is scored together changes no reward; it only decides what is computed once. A request whose caller has gone is dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use model::ScoreError;
use prompt::Encoded;
use tokio::sync::oneshot;

use crate::metrics::Metrics;
use crate::model_thread::Computed;

/// How long nothing may arrive before a batch begins that is smaller than those lately: longer than the time between two requests of one
/// caller that sends many at once, shorter than a call of the model.
const QUIET: Duration = Duration::from_micros(200);
/// How many batches back "lately" reaches.
const NUM_LATELY: usize = 4;

/// A request that waits for the model.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) conversations: Vec<Encoded>,
    /// Leading tokens that all of them have.
    pub(crate) prompt_tokens: usize,
    pub(crate) queued: Instant,
    pub(crate) reply: oneshot::Sender<Result<Computed, ScoreError>>,
}

impl Job {
    /// Rows that it takes in a batch whose rows begin as its own do for `shared` tokens.
    fn rows(&self, shared: usize) -> usize {
        let responses = self.conversations.iter().map(|one| one.len() - self.prompt_tokens);
        self.prompt_tokens.saturating_sub(shared) + responses.sum::<usize>()
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// The waiting requests.
pub(crate) struct Batcher {
    queue: Receiver<Job>,
    waiting: VecDeque<Job>,
    /// Requests that the server has admitted, those that wait here among them.
    inside: Arc<AtomicUsize>,
    window: Duration,
    quiet: Duration,
    max_rows: usize,
    /// Requests of each of the last batches: as many as may be about to come together again.
    lately: VecDeque<usize>,
    metrics: Arc<Metrics>,
}

impl Batcher {
    pub(crate) fn new(
        queue: Receiver<Job>,
        inside: Arc<AtomicUsize>,
        (window, max_rows): (Duration, usize),
        metrics: Arc<Metrics>,
    ) -> Self {
        let (waiting, lately) = (VecDeque::new(), VecDeque::from([0; NUM_LATELY]));
        Self { queue, waiting, inside, window, quiet: QUIET, max_rows, lately, metrics }
    }

    /// The next requests to score, or nothing when no more can come.
    pub(crate) fn next(&mut self) -> Option<Vec<Job>> {
        loop {
            if self.waiting.is_empty() {
                self.waiting.push_back(self.queue.recv().ok()?);
            }
            self.gather();
            let before = self.waiting.len();
            self.waiting.retain(|job| !job.is_abandoned());
            self.metrics.abandoned.add((before - self.waiting.len()) as u64);
            if !self.waiting.is_empty() {
                let batch = self.choose();
                self.lately.pop_front();
                self.lately.push_back(batch.len());
                self.metrics.queue_depth.set(self.waiting.len() as u64);
                return Some(batch);
            }
        }
    }

    /// Takes whatever has arrived, and waits a moment for requests that are on their way: those that have been read, and those that
    /// usually come, as long as some do. A caller who asks one thing at a time waits for nobody.
    fn gather(&mut self) {
        self.waiting.extend(self.queue.try_iter());
        let until = self.waiting.front().map_or_else(Instant::now, |job| job.queued + self.window);
        let usual = self.lately.iter().copied().max().unwrap_or_default();
        while !self.is_full() && (self.are_others_inside() || self.waiting.len() < usual) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let wait = if self.are_others_inside() { left } else { left.min(self.quiet) };
            match self.queue.recv_timeout(wait) {
                Ok(job) => self.waiting.push_back(job),
                Err(RecvTimeoutError::Timeout) if self.are_others_inside() => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Whether requests have been read that do not wait here yet.
    fn are_others_inside(&self) -> bool {
        self.inside.load(Ordering::Relaxed) > self.waiting.len()
    }

    fn is_full(&self) -> bool {
        self.waiting.iter().map(|job| job.rows(0)).sum::<usize>() >= self.max_rows
    }

    fn choose(&mut self) -> Vec<Job> {
        let Some(oldest) = self.waiting.pop_front() else { return Vec::new() };
        let beginning = &oldest.conversations[0];
        let mut others: Vec<(usize, Job)> = self
            .waiting
            .drain(..)
            .map(|job| (shared_tokens(beginning, &job.conversations[0]), job))
            .collect();
        others.sort_by_key(|(shared, _)| std::cmp::Reverse(*shared));
        let mut rows = oldest.rows(0);
        let mut batch = vec![oldest];
        let mut left = Vec::new();
        for (shared, job) in others {
            let added = job.rows(shared);
            if rows + added <= self.max_rows {
                rows += added;
                batch.push(job);
            } else {
                left.push(job);
            }
        }
        left.sort_by_key(|job| job.queued);
        self.waiting = left.into();
        batch
    }
}

/// Leading tokens that two conversations have in common, and whose pictures are the same.
pub(crate) fn shared_tokens(one: &Encoded, other: &Encoded) -> usize {
    let tokens = one.token_ids.iter().zip(&other.token_ids).take_while(|(a, b)| a == b).count();
    let mut visuals = one.visuals.iter().zip(&other.visuals);
    match visuals.position(|(a, b)| a.hash != b.hash) {
        // Where a picture stands is not looked up: what differs in a picture shares nothing worth waiting for.
        Some(0) => 0,
        Some(_) | None => tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn conversation(token_ids: &[u32]) -> Encoded {
        Encoded {
            token_ids: token_ids.to_vec(),
            position_ids: vec![[0; 3]; token_ids.len()],
            visuals: Vec::new(),
            end_of_turn: token_ids.len() - 1,
            prompt_tokens: 0,
        }
    }

    type Reply = oneshot::Receiver<Result<Computed, ScoreError>>;

    fn job(token_ids: &[u32]) -> (Job, Reply) {
        let (reply, receiver) = oneshot::channel();
        let conversations = vec![conversation(token_ids)];
        let prompt_tokens = token_ids.len() / 2;
        (Job { conversations, prompt_tokens, queued: Instant::now(), reply }, receiver)
    }

    /// A batcher with jobs of these tokens, and the ends to which the replies go.
    fn batcher(jobs: &[&[u32]], max_rows: usize) -> (Batcher, Vec<Reply>) {
        let (sender, queue) = sync_channel(jobs.len());
        let inside = Arc::new(AtomicUsize::new(jobs.len()));
        let mut replies = Vec::new();
        for token_ids in jobs {
            let (job, reply) = job(token_ids);
            sender.send(job).unwrap();
            replies.push(reply);
        }
        let limits = (Duration::ZERO, max_rows);
        (Batcher::new(queue, inside, limits, Arc::new(Metrics::default())), replies)
    }

    fn next(batcher: &mut Batcher) -> Vec<Vec<u32>> {
        let batch = batcher.next().unwrap_or_default();
        batch.into_iter().map(|mut job| job.conversations.remove(0).token_ids).collect()
    }

    #[test]
    fn requests_that_begin_as_the_oldest_come_with_it_and_the_others_by_age() {
        let (mut batcher, _replies) =
            batcher(&[&[1, 2, 3, 4], &[9, 9, 9, 9], &[8, 8, 8, 8], &[1, 2, 3, 5]], 10);
        assert_eq!(next(&mut batcher), [vec![1, 2, 3, 4], vec![1, 2, 3, 5], vec![9, 9, 9, 9]]);
        assert_eq!(next(&mut batcher), [vec![8, 8, 8, 8]]);
        assert!(batcher.next().is_none());
    }

    #[test]
    fn a_request_over_the_budget_is_scored_alone() {
        let (mut batcher, _replies) = batcher(&[&[1; 20], &[2; 2]], 9);
        assert_eq!(next(&mut batcher), [vec![1; 20]]);
        assert_eq!(next(&mut batcher), [vec![2; 2]]);
    }

    #[test]
    fn a_request_waits_for_as_many_as_came_together_lately_and_a_lone_one_for_nobody() {
        let (sender, queue) = sync_channel(4);
        let bounds = (Duration::from_mins(1), 100);
        let metrics = Arc::new(Metrics::default());
        let mut batcher = Batcher::new(queue, Arc::default(), bounds, metrics);
        batcher.quiet = Duration::from_mins(1);
        let mut replies = Vec::new();
        let mut send = |token_ids: &[u32]| {
            let (job, reply) = job(token_ids);
            replies.push(reply);
            sender.send(job).unwrap();
        };
        let began = Instant::now();
        send(&[1]);
        assert_eq!(next(&mut batcher), [vec![1]]);
        send(&[2]);
        send(&[3]);
        assert_eq!(next(&mut batcher), [vec![2], vec![3]]);
        std::thread::scope(|scope| {
            send(&[4]);
            scope.spawn(move || send(&[5]));
            assert_eq!(next(&mut batcher), [vec![4], vec![5]]);
        });
        assert!(began.elapsed() < Duration::from_secs(50), "nobody was waited for in vain");
    }

    #[test]
    fn a_request_whose_caller_has_gone_is_dropped_and_counted() {
        let (mut batcher, mut replies) = batcher(&[&[1], &[2], &[3]], 9);
        drop(replies.remove(1));
        assert_eq!(next(&mut batcher), [vec![1], vec![3]]);
        assert_eq!(batcher.metrics.abandoned.get(), 1);
    }
}
