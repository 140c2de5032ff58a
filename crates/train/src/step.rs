//! One step: rewards and gradients of its micro-batches, clipping, `AdamW`.
//!
//! Where comparisons come from, and what is written about a step, is decided elsewhere.

use engine::{Device, Gradient, Gradients, ParameterId};
use model::training::{GradientError, ParameterInfo, Part, TrainableModel};
use rayon::prelude::*;

use crate::batches::{conversations, parts};
use crate::checkpoint::StateTensors;
use crate::error::TrainError;
use crate::loss::{LossOptions, of_comparison};
use crate::optimizer::{AdamW, AdamWOptions, StepRate, clip_factor, squared_norm};
use crate::prepare::Prepared;
use crate::recipe::Recipe;
use crate::schedule::Schedule;
use crate::stream::StepBatch;

/// Most elements of a small model's trained parameters: with more, the gradients of each part would be a burden.
const SMALL_MODEL_ELEMENTS: usize = 4 << 20;
/// Tokens of a part of a small model's micro-batch, what conversations share counted for each of them.
const PART_TOKENS: usize = 2048;

/// A model in training with its optimizer.
pub struct Trainer {
    /// The model.
    pub model: TrainableModel,
    /// Its optimizer.
    pub optimizer: AdamW,
    gradients: Gradients,
    /// Gradients of the parts of a micro-batch that are run side by side; none where the model is large.
    part_gradients: Vec<Gradients>,
    device: Device,
    settings: Settings,
}

/// What a recipe says about steps.
#[derive(Debug, Clone)]
struct Settings {
    loss: LossOptions,
    optimizer: AdamWOptions,
    clip_norm: Option<f64>,
    weight_decay: f64,
    learning_rate: f64,
    /// Peak learning rate by [`Part::ALL`].
    part_rates: [f64; 4],
    schedule: Schedule,
}

/// Figures of a step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepFigures {
    /// Mean loss of the comparisons.
    pub loss: f64,
    /// Pairs of the comparisons.
    pub pairs: usize,
    /// Pairs whose better response has the strictly higher reward.
    pub right_pairs: usize,
    /// Sum of the margins of all pairs.
    pub margin_sum: f64,
    /// Learning rate of parts without one of their own.
    pub learning_rate: f64,
    /// Norm of the whole gradient before clipping.
    pub gradient_norm: f64,
    /// The same for each trained part.
    pub gradient_norm_by_part: Vec<(String, f64)>,
}

impl Trainer {
    /// A model at its first step.
    pub fn new(model: TrainableModel, device: &Device, recipe: &Recipe, total_steps: u64) -> Self {
        let rates = recipe.part_rates();
        let part_rates = Part::ALL.map(|part| {
            let rate = match part {
                Part::Vision => rates.vision,
                Part::Merger => rates.merger,
                Part::Language => rates.language,
                Part::Head => Some(rates.head),
            };
            rate.unwrap_or(0.0)
        });
        let adamw = recipe.adamw();
        let settings = Settings {
            loss: recipe.loss.options(),
            optimizer: adamw.options(),
            clip_norm: adamw.clip_norm(),
            weight_decay: adamw.weight_decay,
            learning_rate: adamw.learning_rate,
            part_rates,
            schedule: recipe.schedule(total_steps),
        };
        let gradients = model.gradients();
        let optimizer = AdamW::new(settings.optimizer, gradients.iter());
        let device = device.clone();
        Self { model, optimizer, gradients, part_gradients: Vec::new(), device, settings }
    }

    /// Puts the saved state in place of the fresh one.
    pub(crate) fn restore(&mut self, saved: StateTensors, optimizer_steps: u64) {
        let options = self.settings.optimizer;
        self.optimizer = AdamW::restore(options, saved.moments, optimizer_steps);
        if let Some(masters) = saved.masters {
            self.model.update(|values| {
                for (value, master) in values.iter_mut().zip(&masters) {
                    value.as_mut_slice::<f32>().copy_from_slice(master);
                }
            });
        }
    }

    /// Whether every weight that is trained is a finite number.
    pub(crate) fn has_finite_weights(&self) -> bool {
        (0..self.model.parameters().len())
            .all(|id| self.model.value(id).as_slice::<f32>().iter().all(|value| value.is_finite()))
    }

    /// Settings of the loss.
    pub fn loss_options(&self) -> &LossOptions {
        &self.settings.loss
    }

    /// Does step `step`, counted from 0.
    ///
    /// # Errors
    /// A conversation that the model cannot take, and a loss or gradient that is not finite. The weights are then those of the
    /// step before.
    pub fn step(&mut self, step: u64, batch: &StepBatch) -> Result<StepFigures, TrainError> {
        self.gradients.clear();
        let mut figures = StepFigures::default();
        for range in &batch.micro_batches {
            let share = &batch.comparisons[range.clone()];
            self.accumulate(step, share, batch.comparisons.len(), &mut figures)?;
        }
        figures.loss /= batch.comparisons.len() as f64;
        self.measure_gradients(&mut figures);
        if !figures.gradient_norm.is_finite() {
            return Err(not_finite("gradient", step, &batch.comparisons));
        }
        let factor = self.settings.schedule.factor(step);
        figures.learning_rate = self.settings.learning_rate * factor;
        self.apply(factor, clip_factor(figures.gradient_norm, self.settings.clip_norm));
        Ok(figures)
    }

    /// Adds the gradients of one micro-batch, as its share of the mean over `num_comparisons`.
    ///
    /// The operations of a small model are too short to be divided among threads, so parts of the micro-batch are run side by side,
    /// each with gradients of its own. How it is divided does not depend on the number of threads, nor do the sums.
    fn accumulate(
        &mut self,
        step: u64,
        comparisons: &[Prepared],
        num_comparisons: usize,
        figures: &mut StepFigures,
    ) -> Result<(), TrainError> {
        let Self { model, gradients, part_gradients, device, settings, .. } = self;
        let share = Share { step, num_comparisons, loss: &settings.loss };
        let elements: usize = model.parameters().iter().map(|info| info.rows * info.cols).sum();
        let tokens = if elements <= SMALL_MODEL_ELEMENTS { PART_TOKENS } else { usize::MAX };
        let parts = parts(comparisons, tokens);
        if parts.len() < 2 {
            figures.add(&share.add_gradients(model, comparisons, gradients)?);
            return Ok(());
        }
        part_gradients.resize_with(parts.len().max(part_gradients.len()), || model.gradients());
        let model = &*model;
        let found: Vec<Result<StepFigures, TrainError>> = device.run(|| {
            let parts = parts.par_iter().zip(part_gradients.par_iter_mut()).with_max_len(1);
            parts
                .map(|(part, gradients)| {
                    gradients.clear();
                    share.add_gradients(model, &comparisons[part.clone()], gradients)
                })
                .collect()
        });
        for (found, part) in found.into_iter().zip(part_gradients) {
            figures.add(&found?);
            gradients.add(part);
        }
        Ok(())
    }

    fn measure_gradients(&self, figures: &mut StepFigures) {
        let gradients: Vec<&Gradient> = self.gradients.iter().collect();
        let squares: Vec<f64> =
            self.device.run(|| gradients.iter().map(|gradient| squared_norm(gradient)).collect());
        let of_part = |part: Part| {
            let own = self.model.parameters().iter().zip(&squares);
            let own: Vec<f64> =
                own.filter(|(info, _)| info.part == part).map(|(_, square)| *square).collect();
            (!own.is_empty()).then(|| (part.name().to_owned(), own.iter().sum::<f64>().sqrt()))
        };
        figures.gradient_norm_by_part = Part::ALL.into_iter().filter_map(of_part).collect();
        figures.gradient_norm = squares.iter().sum::<f64>().sqrt();
    }

    fn apply(&mut self, factor: f64, gradient_factor: f32) {
        let Self { model, optimizer, gradients, device, settings, .. } = self;
        let rates: Vec<StepRate> = model
            .parameters()
            .iter()
            .map(|info| StepRate {
                learning_rate: settings.part_rates[part_index(info.part)] * factor,
                weight_decay: if decays(info) { settings.weight_decay } else { 0.0 },
                gradient_factor,
            })
            .collect();
        optimizer.begin_step();
        model.update(|values| {
            device.run(|| {
                for (id, (value, rate)) in values.iter_mut().zip(rates).enumerate() {
                    let gradient = gradients.get(ParameterId(id));
                    optimizer.update(id, value.as_mut_slice::<f32>(), gradient, rate);
                }
            });
        });
    }
}

/// What the comparisons of a step have in common.
struct Share<'a> {
    step: u64,
    num_comparisons: usize,
    loss: &'a LossOptions,
}

impl Share<'_> {
    /// Adds the gradients of some comparisons, as their share of the mean over all.
    fn add_gradients(
        &self,
        model: &TrainableModel,
        comparisons: &[Prepared],
        gradients: &mut Gradients,
    ) -> Result<StepFigures, TrainError> {
        let mut figures = StepFigures::default();
        let weight = 1.0 / self.num_comparisons as f32;
        let loss = |rewards: &[f32]| {
            let mut gradients = Vec::with_capacity(rewards.len());
            let mut rest = rewards;
            for comparison in comparisons {
                let (own, others) = rest.split_at(comparison.encoded.len());
                rest = others;
                let found = of_comparison(own, &comparison.judgment(), self.loss);
                if !found.loss.is_finite() {
                    return Err(not_finite("loss", self.step, std::slice::from_ref(comparison)));
                }
                figures.count(comparison, own, found.loss);
                gradients.extend(found.reward_gradients.iter().map(|slope| slope * weight));
            }
            Ok(gradients)
        };
        let conversations = conversations(comparisons);
        model.rewards_and_gradients(&conversations, loss, gradients).map_err(
            |error| match error {
                GradientError::Loss(error) => error,
                GradientError::Score(source) => TrainError::Score { ids: ids(comparisons), source },
            },
        )?;
        Ok(figures)
    }
}

impl StepFigures {
    /// Adds those of other comparisons of the step, whose means are not yet taken.
    fn add(&mut self, others: &Self) {
        self.loss += others.loss;
        self.pairs += others.pairs;
        self.right_pairs += others.right_pairs;
        self.margin_sum += others.margin_sum;
    }

    fn count(&mut self, comparison: &Prepared, rewards: &[f32], loss: f32) {
        self.loss += f64::from(loss);
        for &(better, worse) in &comparison.pairs {
            self.pairs += 1;
            self.right_pairs += usize::from(rewards[better] > rewards[worse]);
            self.margin_sum += f64::from(rewards[better]) - f64::from(rewards[worse]);
        }
    }
}

fn part_index(part: Part) -> usize {
    Part::ALL.iter().position(|other| *other == part).expect("all parts are listed")
}

/// Matrices decay; biases and the weights of norms do not. The last layer of a head is a matrix of one row.
fn decays(info: &ParameterInfo) -> bool {
    info.rows > 1 || (info.part == Part::Head && info.name.ends_with(".weight"))
}

fn not_finite(what: &'static str, step: u64, comparisons: &[Prepared]) -> TrainError {
    TrainError::NotFinite { what, step: step + 1, ids: ids(comparisons) }
}

/// Ids of comparisons, each in backticks.
pub(crate) fn ids(comparisons: &[Prepared]) -> String {
    TrainError::list(comparisons.iter().map(|one| one.comparison.id.as_str()))
}
