//! A benchmark through the model: rows are read and encoded ahead on a thread, scored together, and given out in order.
//!
//! Memory is bounded by the rows that wait, whatever the benchmark's size. A row that cannot be scored is given out with the
//! reason, and costs no other row its rewards.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use data::RowError;
use engine::Device;
use model::{RewardModel, ScoreError};
use prompt::{Encoded, Part, Processor};
use rayon::prelude::*;

use crate::item::Item;
use crate::rewards::{RewardLine, RewardsError, to_line};
use crate::rows::{BenchmarkRows, show_the_same};

/// Rows that are encoded at a time; bounds the memory of decoded pictures.
const ROWS_AT_A_TIME: usize = 8;
/// Encoded rows that wait for the model.
const ROWS_AHEAD: usize = 16;
/// Rows are scored together until they have this many tokens.
const BATCH_TOKENS: usize = 4096;
/// Leading rows of which the responses are scored in reversed order, too.
const REVERSED_ROWS: usize = 8;

/// What is scored besides the rows as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoringOptions {
    /// Score every row with pictures without them.
    pub blind: bool,
    /// Score every row with pictures with those of the last row before it that has others.
    pub swapped: bool,
}

/// Why scoring came to an end before its time.
#[derive(Debug, thiserror::Error)]
pub enum ScoringError {
    /// The rewards cannot be kept.
    #[error(transparent)]
    Rewards(#[from] RewardsError),
    /// The model contradicts itself.
    #[error(
        "row `{id}`: response {response} has another reward when the responses stand in reversed order; \
         this must not be, please report it"
    )]
    Order {
        /// Name of the row.
        id: String,
        /// Index of the response.
        response: usize,
    },
    /// The model refuses in reversed order what it has scored.
    #[error(
        "row `{id}`: the responses have rewards, but none in reversed order: {source}; this must not be, please report it"
    )]
    Reversed {
        /// Name of the row.
        id: String,
        /// What the model refused.
        source: ScoreError,
    },
}

/// A model with what it needs to read rows.
#[derive(Clone, Copy)]
pub struct Scorer<'a> {
    /// The model.
    pub model: &'a RewardModel,
    /// Its processor.
    pub processor: &'a Processor,
    /// Where rows are encoded.
    pub device: &'a Device,
}

/// A row on its way to the model.
struct Ready {
    row: usize,
    id: String,
    encoded: Result<Sets, String>,
}

/// Conversations of a row; every set has one for each response, or none.
#[derive(Default)]
struct Sets {
    plain: Vec<Encoded>,
    blind: Vec<Encoded>,
    swapped: Vec<Encoded>,
}

impl Sets {
    /// The sets, each scored as a group: what is wrong with one costs the others nothing.
    fn all(&self) -> [&[Encoded]; 3] {
        [&self.plain, &self.blind, &self.swapped]
    }

    fn num_tokens(&self) -> usize {
        self.all().into_iter().flatten().map(Encoded::len).sum()
    }
}

/// Scores the rows from `first` on and gives their rewards to `sink`, in order.
///
/// # Errors
/// What `sink` refuses, and a reward that depends on the order of the responses.
pub fn score(
    scorer: Scorer<'_>,
    rows: &BenchmarkRows,
    first: usize,
    options: ScoringOptions,
    sink: &mut dyn FnMut(Vec<RewardLine>) -> Result<(), RewardsError>,
) -> Result<(), ScoringError> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(ROWS_AHEAD);
        scope.spawn(move || send_all(scorer, rows, first, options, &sender));
        score_all(scorer.model, &receiver, sink)
    })
}

fn send_all(
    scorer: Scorer<'_>,
    rows: &BenchmarkRows,
    first: usize,
    options: ScoringOptions,
    sender: &SyncSender<Ready>,
) {
    let mut others = Others::default();
    let mut scan = rows.scan().enumerate().map(|(row, item)| {
        let other = item.as_ref().ok().and_then(|item| others.next(item));
        Waiting { row, item, other }
    });
    // Rows that are done are read all the same: their pictures may be those of the next one.
    let mut waiting = scan.by_ref().skip(first).peekable();
    while waiting.peek().is_some() {
        let chunk: Vec<Waiting> = waiting.by_ref().take(ROWS_AT_A_TIME).collect();
        let encode = |waiting| ready(scorer.processor, rows, waiting, options);
        let chunk: Vec<Ready> = scorer.device.run(|| chunk.into_par_iter().map(encode).collect());
        for ready in chunk {
            // Nobody listens any more when the rewards cannot be kept, which is reported there.
            if sender.send(ready).is_err() {
                return;
            }
        }
    }
}

/// A row that has been read.
struct Waiting {
    row: usize,
    item: Result<Item, RowError>,
    /// Pictures of another row.
    other: Option<Vec<Part>>,
}

/// Pictures of the last row that had some, and of the last one before it that had others.
#[derive(Default)]
struct Others {
    last: Option<Vec<Part>>,
    before: Option<Vec<Part>>,
}

impl Others {
    /// Pictures of another row for this one, which is then itself the last.
    fn next(&mut self, item: &Item) -> Option<Vec<Part>> {
        let own = item.visuals();
        if own.is_empty() {
            return None;
        }
        if self.last.as_ref().is_none_or(|last| !show_the_same(last, &own)) {
            self.before = self.last.replace(own);
        }
        self.before.clone()
    }
}

fn ready(
    processor: &Processor,
    rows: &BenchmarkRows,
    waiting: Waiting,
    options: ScoringOptions,
) -> Ready {
    let Waiting { row, item, other } = waiting;
    match item {
        Ok(item) => {
            let encoded = encode(processor, &item, other.as_deref(), options);
            Ready { row, id: item.comparison.id, encoded }
        }
        Err(error) => Ready { row, id: rows.fallback_id(row), encoded: Err(error.to_string()) },
    }
}

fn encode(
    processor: &Processor,
    item: &Item,
    other: Option<&[Part]>,
    options: ScoringOptions,
) -> Result<Sets, String> {
    let of = |item: &Item| {
        processor.encode_all(&item.comparison.conversations()).map_err(|error| error.to_string())
    };
    let mut sets = Sets { plain: of(item)?, ..Sets::default() };
    if options.blind
        && let Some(blind) = item.without_visuals()
    {
        // The row itself can be scored all the same.
        sets.blind = of(&blind).unwrap_or_default();
    }
    if options.swapped
        && let Some(swapped) = other.and_then(|other| item.with_visuals(other))
    {
        // The other row's pictures may be faulty or too large for this prompt; that is no fault of this row.
        sets.swapped = of(&swapped).unwrap_or_default();
    }
    Ok(sets)
}

fn score_all(
    model: &RewardModel,
    receiver: &Receiver<Ready>,
    sink: &mut dyn FnMut(Vec<RewardLine>) -> Result<(), RewardsError>,
) -> Result<(), ScoringError> {
    while let Ok(first) = receiver.recv() {
        let mut tokens = first.encoded.as_ref().map_or(0, Sets::num_tokens);
        let mut batch = vec![first];
        // Whoever is ready comes along; rewards do not depend on the company.
        while tokens < BATCH_TOKENS {
            let Ok(next) = receiver.try_recv() else { break };
            tokens += next.encoded.as_ref().map_or(0, Sets::num_tokens);
            batch.push(next);
        }
        sink(score_batch(model, batch)?)?;
    }
    Ok(())
}

fn score_batch(model: &RewardModel, batch: Vec<Ready>) -> Result<Vec<RewardLine>, ScoringError> {
    let groups: Vec<Vec<&Encoded>> = batch
        .iter()
        .filter_map(|ready| ready.encoded.as_ref().ok())
        .flat_map(|sets| sets.all().map(|set| set.iter().collect()))
        .collect();
    let mut scores = model.score_groups(&groups).into_iter();
    let mut lines = Vec::with_capacity(batch.len());
    for Ready { row, id, encoded } in batch {
        let failed =
            |error| RewardLine { row, id: id.clone(), error: Some(error), ..RewardLine::default() };
        let sets = match encoded {
            Ok(sets) => sets,
            Err(error) => {
                lines.push(failed(error));
                continue;
            }
        };
        let [plain, blind, swapped] =
            [(); 3].map(|()| scores.next().expect("every set of a row was scored as a group"));
        lines.push(match plain {
            Ok(plain) => {
                if row < REVERSED_ROWS {
                    check_reversed(model, &id, &sets.plain, &plain)?;
                }
                let given = |scores: Result<Vec<f32>, ScoreError>| {
                    scores.ok().filter(|scores| !scores.is_empty()).map(|scores| to_line(&scores))
                };
                RewardLine {
                    row,
                    scores: Some(to_line(&plain)),
                    blind_scores: given(blind),
                    swapped_scores: given(swapped),
                    id,
                    error: None,
                }
            }
            Err(error) => failed(error.to_string()),
        });
    }
    Ok(lines)
}

/// Rows among `lines` of which the responses have been scored in reversed order, too.
pub fn num_checked_reversed(lines: &[RewardLine]) -> u64 {
    lines.iter().filter(|line| line.row < REVERSED_ROWS && line.scores.is_some()).count() as u64
}

fn check_reversed(
    model: &RewardModel,
    id: &str,
    plain: &[Encoded],
    rewards: &[f32],
) -> Result<(), ScoringError> {
    let reversed: Vec<&Encoded> = plain.iter().rev().collect();
    let again = model
        .score(&reversed)
        .map_err(|source| ScoringError::Reversed { id: id.to_owned(), source })?;
    for (response, reward) in again.into_iter().rev().enumerate() {
        if reward.to_bits() != rewards[response].to_bits() {
            return Err(ScoringError::Order { id: id.to_owned(), response });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leading_rows_with_rewards_count_as_checked_in_reversed_order() {
        let line = |row: usize| RewardLine { row, ..RewardLine::default() };
        let scored = |row| RewardLine { scores: Some(vec![Some(1.0)]), ..line(row) };
        let failed = RewardLine { error: Some("no picture".to_owned()), ..line(1) };
        assert_eq!(num_checked_reversed(&[scored(0), failed, scored(2)]), 2);
        let many: Vec<RewardLine> = (0..20).map(scored).collect();
        assert_eq!(num_checked_reversed(&many), 8);
    }
}
