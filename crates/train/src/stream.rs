//! The comparisons of each step, read and encoded ahead on a thread of their own.
//!
//! The order is that of the data, the seed and the epoch alone; a [`Cursor`] says where a step ended, so that a resumed run
//! goes on with the very next row. Steps run over the end of an epoch into the next one.

use std::ops::Range;
use std::path::PathBuf;

use crate::batches::{arrange, divide, packed_rows};
use crate::error::TrainError;
use crate::prepare::{Affected, Prepared, Preparer, Ready};
use crate::run_data::RunData;

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
    /// A step over comparisons that are at hand, divided by packed rows.
    pub fn new(
        comparisons: Vec<Prepared>,
        tokens_per_batch: usize,
        is_visual: impl Fn(u32) -> bool + Copy,
    ) -> Self {
        let rows = |range: Range<usize>| packed_rows(&comparisons[range], is_visual);
        let micro_batches = divide(comparisons.len(), tokens_per_batch, rows);
        let packed_rows = micro_batches.iter().cloned().map(rows).sum();
        let (affected, cursor) = (Vec::new(), Cursor::default());
        Self { comparisons, micro_batches, packed_rows, affected, cursor }
    }

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
    pub data: &'a RunData,
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
        let order = self.data.train_order(self.seed, cursor.epoch);
        let mut walk = Walk { feed: self, cursor, order };
        loop {
            let batch = walk.next_step();
            let failed = batch.is_err();
            if !send(batch) || failed {
                return;
            }
        }
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
            if in_vain >= self.order.len() {
                let (rows, skipped) = (self.order.len(), feed.skipped_file.clone());
                return Err(TrainError::NothingUsable { rows, skipped });
            }
            match feed.preparer.prepare(feed.data.train().0, self.next_row())? {
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
        let batch = StepBatch::new(comparisons, feed.tokens_per_batch, is_visual);
        Ok(StepBatch { affected, cursor: self.cursor, ..batch })
    }

    fn next_row(&mut self) -> usize {
        if self.cursor.position == self.order.len() {
            self.cursor = Cursor { epoch: self.cursor.epoch + 1, position: 0 };
            self.order = self.feed.data.train_order(self.feed.seed, self.cursor.epoch);
        }
        let row = self.order[self.cursor.position];
        self.cursor.position += 1;
        row
    }
}
