//! The comparisons of each step, read and encoded ahead on a thread of their own.
//!
//! The order is that of the data, the seed and the epoch alone; a [`Cursor`] says where a step ended, so that a resumed run
//! goes on with the very next row. Steps run over the end of an epoch into the next one.

use std::ops::Range;
use std::path::PathBuf;

use data::Dataset;

use crate::batches::{arrange, divide, packed_rows};
use crate::error::TrainError;
use crate::prepare::{Affected, Prepared, Preparer, Ready};

/// The next row of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Passes over the data that are done.
    pub epoch: u64,
    /// Rows of this pass that are done, in its order.
    pub position: usize,
}

/// What one step takes.
#[derive(Debug)]
pub struct StepBatch {
    /// The comparisons.
    pub comparisons: Vec<Prepared>,
    /// Which of them are computed together.
    pub micro_batches: Vec<Range<usize>>,
    /// Packed rows of all micro-batches.
    pub packed_rows: usize,
    /// Rows that were left out or changed on the way.
    pub affected: Vec<Affected>,
    /// Where the next step begins.
    pub cursor: Cursor,
}

impl StepBatch {
    /// Tokens that stand for pictures; those of one comparison's picture count once.
    pub fn image_tokens(&self) -> usize {
        let of_one = |one: &Prepared| {
            one.encoded.iter().map(prompt::Encoded::visual_tokens).max().unwrap_or(0)
        };
        self.comparisons.iter().map(of_one).sum()
    }
}

/// How the rows of a run are drawn.
pub struct Feed<'a> {
    /// The data.
    pub dataset: &'a Dataset,
    /// Rows to train on.
    pub rows: &'a [usize],
    /// Runs of `rows` that are shuffled as one; together they are all rows.
    pub groups: &'a [Range<usize>],
    /// Whether the runs come in a random order.
    pub shuffle: bool,
    /// Encodes them.
    pub preparer: &'a Preparer,
    /// Seed of the order.
    pub seed: u64,
    /// Comparisons in a step.
    pub comparisons_per_step: usize,
    /// Packed rows in a micro-batch.
    pub tokens_per_batch: usize,
    /// Where affected rows are listed, for the error when nothing is left.
    pub skipped_file: PathBuf,
}

impl Feed<'_> {
    /// Goes over the rows from `cursor` on, giving `send` the batch of each step until it returns false.
    ///
    /// A failure is given to `send` too, and is the last thing.
    pub fn run(&self, cursor: Cursor, mut send: impl FnMut(Result<StepBatch, TrainError>) -> bool) {
        let mut walk = Walk { feed: self, cursor, order: self.order(cursor.epoch) };
        loop {
            let batch = walk.next_step();
            let failed = batch.is_err();
            if !send(batch) || failed {
                return;
            }
        }
    }

    fn order(&self, epoch: u64) -> Vec<usize> {
        if !self.shuffle {
            return (0..self.rows.len()).collect();
        }
        let groups = data::shuffled(self.groups.len(), self.seed, epoch);
        groups.into_iter().flat_map(|group| self.groups[group].clone()).collect()
    }
}

struct Walk<'a> {
    feed: &'a Feed<'a>,
    cursor: Cursor,
    order: Vec<usize>,
}

impl Walk<'_> {
    fn next_step(&mut self) -> Result<StepBatch, TrainError> {
        let feed = self.feed;
        let mut comparisons = Vec::with_capacity(feed.comparisons_per_step);
        let mut affected = Vec::new();
        let mut in_vain = 0;
        while comparisons.len() < feed.comparisons_per_step {
            if in_vain >= feed.rows.len() {
                let skipped = feed.skipped_file.clone();
                return Err(TrainError::NothingUsable { rows: feed.rows.len(), skipped });
            }
            match feed.preparer.prepare(feed.dataset, self.next_row())? {
                Ready::Used(prepared, note) => {
                    in_vain = 0;
                    comparisons.push(*prepared);
                    affected.extend(note);
                }
                Ready::LeftOut(note) => {
                    in_vain += 1;
                    affected.push(note);
                }
            }
        }
        let comparisons = arrange(comparisons);
        let is_visual = |id| feed.preparer.is_visual(id);
        let rows = |range: Range<usize>| packed_rows(&comparisons[range], is_visual);
        let micro_batches = divide(comparisons.len(), feed.tokens_per_batch, rows);
        let packed_rows = micro_batches.iter().cloned().map(rows).sum();
        Ok(StepBatch { comparisons, micro_batches, packed_rows, affected, cursor: self.cursor })
    }

    fn next_row(&mut self) -> usize {
        if self.cursor.position == self.order.len() {
            self.cursor = Cursor { epoch: self.cursor.epoch + 1, position: 0 };
            self.order = self.feed.order(self.cursor.epoch);
        }
        let row = self.feed.rows[self.order[self.cursor.position]];
        self.cursor.position += 1;
        row
    }
}
