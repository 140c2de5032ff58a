//! What a run tells while it goes on.

use std::path::Path;

use model::training::TrainableModel;

use crate::metrics::StepMetrics;
use crate::run_data::RunData;

/// Hears how a run goes on.
pub trait Progress {
    /// Everything is loaded.
    fn begun(&mut self, _begun: &Begun) {}

    /// A step is done; its figures are in `metrics.jsonl`.
    fn step(&mut self, _metrics: &StepMetrics, _total_steps: u64) {}

    /// A checkpoint is whole.
    fn saved(&mut self, _step: u64, _folder: &Path) {}

    /// Something was not as it should be, and the run goes on.
    fn warning(&mut self, _sentence: &str) {}
}

/// Hears and says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}

/// What is known once everything is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Steps done before, in a resumed run.
    pub steps_done: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Rows to train on.
    pub train_rows: usize,
    /// Rows held out.
    pub held_out_rows: usize,
    /// Formats of the training files, in words.
    pub format: String,
    /// Trained matrices and vectors.
    pub trained_tensors: usize,
    /// Their elements.
    pub trained_elements: usize,
}

impl Begun {
    pub(super) fn new(
        model: &TrainableModel,
        data: &RunData,
        steps_done: u64,
        total_steps: u64,
    ) -> Self {
        Self {
            steps_done,
            total_steps,
            train_rows: data.train().1.len(),
            held_out_rows: data.held_out().1.len(),
            format: data.format(),
            trained_tensors: model.parameters().len(),
            trained_elements: model.parameters().iter().map(|info| info.rows * info.cols).sum(),
        }
    }
}
