//! A whole run: steps, judgments of the held-out comparisons, checkpoints, and going on after a stop.
//!
//! The run folder holds `recipe.toml`, `run.json`, `metrics.jsonl`, `skipped.jsonl`, `TensorBoard` events and `checkpoints/`. Drawing
//! progress and writing the report is the command line's.

mod folder;
mod progress;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use engine::Device;
use eval::judged::{Shown, margin_mean, pairwise_accuracy, surest_mistakes};
use model::training::{LoraOptions, Part, TrainableModel, TrainingOptions};

pub use self::folder::{RECIPE_FILE, RUN_FILE, RunFile};
pub use self::progress::{Begun, NoProgress, Progress};
use crate::checkpoint::{Best, Checkpoints, FORM, RunState};
use crate::error::TrainError;
use crate::held_out::{HeldOut, HeldOutRows, Sight, judge, shown};
use crate::metrics::{EvaluationMetrics, EventFile, MetricsLog, StepMetrics, TrainMetrics};
use crate::prepare::Preparer;
use crate::recipe::Recipe;
use crate::run_data::RunData;
use crate::skipped::{SKIPPED_FILE, SkippedLog};
use crate::step::{StepFigures, Trainer};
use crate::stream::{Cursor, Feed, StepBatch};

/// Most mistakes that an outcome shows.
const SHOWN_MISTAKES: usize = 12;

/// What a run is given.
#[derive(Clone, Copy)]
pub struct RunRequest<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// Folder of the run.
    pub folder: &'a Path,
    /// How it begins.
    pub begin: Begin<'a>,
    /// Where it computes.
    pub device: &'a Device,
    /// Set from outside to save and stop after the step that is being done.
    pub stop: &'a AtomicBool,
    /// Measures the most memory that the process has had.
    pub peak_resident_bytes: fn() -> Option<u64>,
}

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin<'a> {
    /// From a reward-model folder, at step 0.
    New {
        /// The folder. A run with low-rank additions reads it again when it is resumed.
        model: &'a Path,
    },
    /// From the newest whole checkpoint of the run in the folder.
    Resume,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Steps done.
    pub steps_done: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Whether it was stopped before its end.
    pub was_stopped: bool,
    /// Model folder of the last checkpoint.
    pub model: PathBuf,
    /// The best checkpoint by the held-out pairs.
    pub best: Option<Best>,
    /// The held-out comparisons, judged by the last weights; none when the run was stopped or nothing is held out.
    pub held_out: Option<HeldOut>,
    /// The same with gray pictures; none without pictures.
    pub blind: Option<HeldOut>,
    /// Held-out pairs that the last weights have the wrong way round, the surest first, with their texts and pictures.
    pub mistakes: Vec<Shown>,
    /// Rows that were not used as they stand, by fate and reason.
    pub affected: BTreeMap<String, usize>,
    /// Seconds of this call.
    pub secs: f64,
}

/// Trains by a recipe, from the beginning or from the last checkpoint.
///
/// The weights after a step have the same bits whether or not the run was stopped and resumed before it, and with any number of
/// threads.
///
/// # Errors
/// See [`TrainError`]. Checkpoints written before an error stay.
pub fn run(request: RunRequest<'_>, progress: &mut dyn Progress) -> Result<Outcome, TrainError> {
    let start = Instant::now();
    let recipe = request.recipe;
    let data = RunData::open(&recipe.data, recipe.run.seed)?;
    let total_steps = recipe.total_steps(data.train().1.len());
    let mut checkpoints = Checkpoints::new(request.folder, recipe.run.keep_last_checkpoints);
    let (model_folder, saved) = begin(request, &data, &mut checkpoints, progress)?;
    let preparer = Preparer::load(&model_folder, &recipe.data)?;
    let options = training_options(recipe);
    let model = TrainableModel::load(
        &model_folder,
        request.device,
        recipe.run.compute_type.into(),
        &options,
    )?;
    let mut trainer = Trainer::new(model, request.device, recipe, total_steps);
    if let Some(saved) = &saved {
        let tensors = checkpoints.read_tensors(saved.step, &trainer)?;
        trainer.restore(tensors, saved.optimizer_steps);
    }
    let steps_done = saved.as_ref().map_or(0, |saved| saved.step);
    let resumed = saved.as_ref().map(|saved| saved.step);
    progress.begun(&Begun::new(&trainer.model, &data, steps_done, total_steps));
    let fault = |source| TrainError::write(request.folder, source);
    let mut course = Course {
        request,
        data: &data,
        preparer: &preparer,
        checkpoints,
        metrics: MetricsLog::open(request.folder, resumed).map_err(fault)?,
        events: EventFile::create(request.folder, resumed).map_err(fault)?,
        skipped: SkippedLog::open(request.folder, steps_done)?,
        trainer,
        total_steps,
        steps_done,
        cursor: saved.map(|saved| saved.cursor()).unwrap_or_default(),
        held_out: None,
    };
    let was_stopped = course.all_steps(progress)?;
    course.finish(was_stopped, start, progress)
}

/// What a recipe says about what is trained.
pub fn training_options(recipe: &Recipe) -> TrainingOptions {
    let rates = recipe.part_rates();
    let trained = |part: &Part| match part {
        Part::Vision => rates.vision.is_some(),
        Part::Merger => rates.merger.is_some(),
        Part::Language => rates.language.is_some(),
        Part::Head => true,
    };
    TrainingOptions {
        parts: Part::ALL.into_iter().filter(trained).collect(),
        lora: recipe.lora.as_ref().map(|lora| LoraOptions {
            rank: lora.rank,
            alpha: lora.alpha.unwrap_or(2.0 * lora.rank as f64) as f32,
            targets: lora.targets.clone(),
        }),
        recompute: recipe.run.recompute.into(),
        seed: recipe.run.seed,
    }
}

/// Makes or checks the run folder; gives the model folder to load and the state to go on from.
fn begin(
    request: RunRequest<'_>,
    data: &RunData,
    checkpoints: &mut Checkpoints,
    progress: &mut dyn Progress,
) -> Result<(PathBuf, Option<RunState>), TrainError> {
    match request.begin {
        Begin::New { model } => {
            folder::create(request, model)?;
            Ok((model.to_owned(), None))
        }
        Begin::Resume => {
            let start_model = folder::check(request)?;
            let (state, refused) = checkpoints.newest()?;
            for reason in refused {
                progress.warning(&format!("{reason}; going on from step {}", state.step));
            }
            let (found_rows, found_bytes) = (data.num_rows(), data.num_bytes()?);
            if (state.data_rows, state.data_bytes) != (found_rows, found_bytes) {
                let (saved_rows, saved_bytes) = (state.data_rows, state.data_bytes);
                return Err(TrainError::DataChanged {
                    saved_rows,
                    saved_bytes,
                    found_rows,
                    found_bytes,
                });
            }
            checkpoints.clean(state.step)?;
            folder::save_recipe(request)?;
            // Additions are merged in a checkpoint's model folder, so they need the weights that they were added to.
            if request.recipe.lora.is_some() {
                return Ok((start_model, Some(state)));
            }
            checkpoints.hold(state.step);
            Ok((checkpoints.model_folder(state.step), Some(state)))
        }
    }
}

/// A run that is under way.
struct Course<'a> {
    request: RunRequest<'a>,
    data: &'a RunData,
    preparer: &'a Preparer,
    checkpoints: Checkpoints,
    metrics: MetricsLog,
    events: EventFile,
    skipped: SkippedLog,
    trainer: Trainer,
    total_steps: u64,
    steps_done: u64,
    cursor: Cursor,
    held_out: Option<HeldOut>,
}

impl Course<'_> {
    /// Does the steps that are left; says whether it was stopped.
    fn all_steps(&mut self, progress: &mut dyn Progress) -> Result<bool, TrainError> {
        let run = &self.request.recipe.run;
        let feed = Feed {
            data: self.data,
            preparer: self.preparer,
            seed: run.seed,
            comparisons_per_step: run.comparisons_per_step,
            tokens_per_batch: run.tokens_per_batch,
            skipped_file: self.request.folder.join(SKIPPED_FILE),
        };
        let cursor = self.cursor;
        thread::scope(|scope| {
            let (send, receive) = sync_channel(run.prefetch_steps);
            if self.steps_done < self.total_steps {
                scope.spawn(move || feed.run(cursor, |batch| send.send(batch).is_ok()));
            }
            while self.steps_done < self.total_steps {
                if self.request.stop.load(Ordering::Relaxed) {
                    return Ok(true);
                }
                // Waiting for data is part of a step's time.
                let start = Instant::now();
                let batch = receive.recv().expect("batches end with an error only")?;
                self.one_step(&batch, start, progress)?;
            }
            Ok(false)
        })
    }

    fn one_step(
        &mut self,
        batch: &StepBatch,
        start: Instant,
        progress: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        self.skipped.add(self.steps_done + 1, "train", &batch.affected)?;
        let figures = match self.trainer.step(self.steps_done, batch) {
            Ok(figures) => figures,
            Err(error) => {
                // The weights are those of the step before: what was learned until then is kept.
                if self.steps_done > 0 && self.trainer.has_finite_weights() {
                    self.save(progress)?;
                }
                return Err(error);
            }
        };
        self.steps_done += 1;
        self.cursor = batch.cursor;
        let train = Some(self.train_metrics(&figures, batch, start.elapsed().as_secs_f64()));
        let run = &self.request.recipe.run;
        let is_last = self.steps_done == self.total_steps;
        let due = |every: u64| every > 0 && self.steps_done.is_multiple_of(every);
        let (evaluates, saves) =
            (is_last || due(run.evaluate_every_steps), is_last || due(run.save_every_steps));
        let evaluation = if evaluates { self.evaluate()? } else { None };
        let accuracy = evaluation.as_ref().map(|found| found.pairwise_accuracy);
        self.write_metrics(&StepMetrics { step: self.steps_done, train, evaluation }, progress)?;
        let best = self.checkpoints.best()?.map(|best| best.pairwise_accuracy);
        let is_best = accuracy.is_some_and(|accuracy| best.is_none_or(|best| accuracy > best));
        if saves || is_best {
            self.save(progress)?;
        }
        if let Some(pairwise_accuracy) = accuracy.filter(|_| is_best) {
            self.checkpoints.set_best(Best { step: self.steps_done, pairwise_accuracy })?;
        }
        if saves || is_best { self.checkpoints.prune() } else { Ok(()) }
    }

    fn train_metrics(&self, figures: &StepFigures, batch: &StepBatch, secs: f64) -> TrainMetrics {
        let pairs = figures.pairs.max(1) as f64;
        TrainMetrics {
            loss: figures.loss,
            pairwise_accuracy: figures.right_pairs as f64 / pairs,
            margin_mean: figures.margin_sum / pairs,
            learning_rate: figures.learning_rate,
            grad_norm: figures.gradient_norm,
            grad_norm_by_part: figures.gradient_norm_by_part.clone(),
            tokens_per_sec: batch.packed_rows as f64 / secs,
            pairs_per_sec: figures.pairs as f64 / secs,
            step_secs: secs,
            peak_resident_bytes: (self.request.peak_resident_bytes)().unwrap_or(0),
            skipped: self.skipped.num_skipped() as u64,
            image_tokens: batch.image_tokens() as u64,
        }
    }

    fn write_metrics(
        &mut self,
        metrics: &StepMetrics,
        progress: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        let folder = self.request.folder;
        self.metrics
            .append(metrics)
            .and_then(|()| self.events.append(metrics))
            .map_err(|source| TrainError::write(folder, source))?;
        progress.step(metrics, self.total_steps);
        Ok(())
    }

    /// Judges the held-out comparisons, if there are any.
    fn evaluate(&mut self) -> Result<Option<EvaluationMetrics>, TrainError> {
        if self.data.held_out().1.is_empty() {
            return Ok(None);
        }
        let found = self.judge(Sight::Pictures)?;
        self.skipped.add(self.steps_done, "held_out", &found.affected)?;
        let accuracy = pairwise_accuracy(&found.pairs);
        let metrics = EvaluationMetrics {
            loss: found.loss,
            pairwise_accuracy: accuracy.fraction().unwrap_or(0.0),
            margin_mean: margin_mean(&found.pairs).unwrap_or(0.0),
            pairs: found.pairs.len() as u64,
            secs: found.secs,
        };
        self.held_out = Some(found);
        Ok(Some(metrics))
    }

    fn judge(&self, sight: Sight) -> Result<HeldOut, TrainError> {
        let (dataset, rows) = self.data.held_out();
        let tokens_per_batch = self.request.recipe.run.tokens_per_batch;
        let rows = HeldOutRows { dataset, rows, preparer: self.preparer, tokens_per_batch };
        judge(self.trainer.model.model(), rows, self.trainer.loss_options(), sight)
    }

    fn save(&self, progress: &mut dyn Progress) -> Result<(), TrainError> {
        let recipe = self.request.recipe;
        let state = RunState {
            form: FORM,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            step: self.steps_done,
            total_steps: self.total_steps,
            epoch: self.cursor.epoch,
            position: self.cursor.position,
            optimizer_steps: self.trainer.optimizer.steps_done(),
            data_rows: self.data.num_rows(),
            data_bytes: self.data.num_bytes()?,
            recipe_blake3: recipe.hash(),
            files: Vec::new(),
        };
        // In f32 the model folder holds the masters themselves, unless additions were merged into them.
        let has_masters = self.trainer.model.dtype() != engine::DType::F32 || recipe.lora.is_some();
        self.checkpoints.save(&self.trainer, has_masters, &state)?;
        progress.saved(self.steps_done, &self.checkpoints.folder(self.steps_done));
        Ok(())
    }

    fn finish(
        mut self,
        was_stopped: bool,
        start: Instant,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, TrainError> {
        if was_stopped {
            self.save(progress)?;
        }
        self.checkpoints.release();
        self.checkpoints.prune()?;
        if !was_stopped && self.held_out.is_none() {
            // The run was already at its end when it was resumed.
            self.evaluate()?;
        }
        let held_out = self.held_out.take().filter(|_| !was_stopped);
        let sees = held_out.as_ref().is_some_and(|found| found.has_pictures);
        let blind = if sees { Some(self.judge(Sight::Gray)?) } else { None };
        let pairs = held_out.as_ref().map_or(&[][..], |found| &found.pairs);
        let mistakes = shown(self.data.held_out().0, surest_mistakes(pairs, SHOWN_MISTAKES));
        Ok(Outcome {
            steps_done: self.steps_done,
            total_steps: self.total_steps,
            was_stopped,
            model: self.checkpoints.model_folder(self.steps_done),
            best: self.checkpoints.best()?,
            held_out,
            blind,
            mistakes,
            affected: self.skipped.counts().clone(),
            secs: start.elapsed().as_secs_f64(),
        })
    }
}
