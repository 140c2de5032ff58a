//! `doctor --data`: can a model learn these preferences at all, and from what?
//!
//! Four small experiments on the data of a recipe: it must be able to learn a few comparisons by heart; with flipped labels it
//! must learn the opposite; and two baselines show how far length alone, and text without pictures, go. Findings are plain
//! sentences. Nothing is written.

use std::path::Path;

use engine::Device;
use eval::judged::{Judged, length_baseline, margin_mean, pairwise_accuracy};
use model::training::TrainableModel;

use crate::batches::conversations;
use crate::error::TrainError;
use crate::held_out::judged_pairs;
use crate::plan::sample;
use crate::prepare::{Prepared, Preparer};
use crate::recipe::{Recipe, ScheduleRecipe, WarmupRecipe};
use crate::run::training_options;
use crate::run_data::RunData;
use crate::step::Trainer;
use crate::stream::StepBatch;

/// Comparisons that are learned by heart.
pub const LEARNED_COMPARISONS: usize = 32;
/// Comparisons that the length baseline looks at.
const BASELINE_COMPARISONS: usize = 512;
/// Accuracy that learning by heart must reach.
const LEARNED_ACCURACY: f64 = 0.9;
/// Accuracy of a length rule from which it is worth a warning.
const LENGTH_ACCURACY: f64 = 0.65;
/// Share of the learned accuracy without pictures from which pictures do not seem to matter.
const BLIND_ACCURACY: f64 = 0.9;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiagnoseOptions {
    /// Steps of each experiment.
    pub steps: u64,
    /// Learning rate of each experiment; learning by heart takes more than a recipe's.
    pub learning_rate: f64,
}

impl Default for DiagnoseOptions {
    fn default() -> Self {
        Self { steps: 60, learning_rate: 1e-3 }
    }
}

/// Figures of one experiment, on the comparisons that were learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learned {
    /// Loss of the first step.
    pub first_loss: f64,
    /// Loss of the last step.
    pub last_loss: f64,
    /// Accuracy after the last step, by the labels of the data.
    pub pairwise_accuracy: f64,
    /// Mean margin after the last step, by the labels of the data.
    pub margin_mean: f64,
    /// Gradient norm of the first step.
    pub first_gradient_norm: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// Comparisons that were learned.
    pub comparisons: usize,
    /// Learning them as they are.
    pub learned: Learned,
    /// Learning them with better and worse exchanged.
    pub flipped: Learned,
    /// Learning them with gray pictures; none without pictures.
    pub blind: Option<Learned>,
    /// Part of the pairs of a larger sample whose longer response is the better one; none if all lengths are equal.
    pub longer_is_better: Option<f64>,
    /// Whether nothing is wrong.
    pub is_fine: bool,
    /// What it means, one sentence each.
    pub findings: Vec<String>,
}

/// Runs the experiments.
///
/// # Errors
/// Data or a model that cannot be loaded, and whatever a step refuses.
pub fn diagnose(
    recipe: &Recipe,
    model: &Path,
    device: &Device,
    options: DiagnoseOptions,
) -> Result<Diagnosis, TrainError> {
    let recipe = adapted(recipe, options);
    let data = RunData::open(&recipe.data, recipe.run.seed)?;
    let preparer = Preparer::load(model, &recipe.data)?;
    let (_, mut comparisons) = sample(&recipe, &data, &preparer, BASELINE_COMPARISONS)?;
    let lengths = longer_is_better(&comparisons);
    comparisons.truncate(LEARNED_COMPARISONS);
    let bench = Bench { recipe: &recipe, model, device, preparer: &preparer, steps: options.steps };
    let learned = bench.learn(&comparisons, false)?;
    let flipped = bench.learn(&comparisons, true)?;
    let sees = comparisons.iter().any(|one| one.encoded.iter().any(|one| !one.visuals.is_empty()));
    let blind = if sees {
        let gray: Vec<Prepared> =
            comparisons.iter().cloned().map(Prepared::without_sight).collect();
        Some(bench.learn(&gray, false)?)
    } else {
        None
    };
    let mut diagnosis = Diagnosis {
        comparisons: comparisons.len(),
        learned,
        flipped,
        blind,
        longer_is_better: lengths,
        is_fine: true,
        findings: Vec::new(),
    };
    interpret(&mut diagnosis);
    Ok(diagnosis)
}

/// The recipe for learning by heart: one step is all comparisons, and the rate does not fall.
fn adapted(recipe: &Recipe, options: DiagnoseOptions) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.schedule = ScheduleRecipe::Constant(WarmupRecipe::default());
    recipe.run.comparisons_per_step = LEARNED_COMPARISONS;
    recipe.run.steps = Some(options.steps);
    recipe.run.epochs = None;
    let crate::recipe::OptimizerRecipe::Adamw(adamw) = &mut recipe.optimizer;
    adamw.learning_rate = options.learning_rate;
    adamw.weight_decay = 0.0;
    let parts = &mut recipe.trainable;
    for part in [&mut parts.vision, &mut parts.merger, &mut parts.language, &mut parts.head] {
        part.learning_rate = None;
    }
    recipe
}

struct Bench<'a> {
    recipe: &'a Recipe,
    model: &'a Path,
    device: &'a Device,
    preparer: &'a Preparer,
    steps: u64,
}

impl Bench<'_> {
    fn learn(&self, comparisons: &[Prepared], is_flipped: bool) -> Result<Learned, TrainError> {
        let options = training_options(self.recipe);
        let dtype = self.recipe.run.compute_type.into();
        let model = TrainableModel::load(self.model, self.device, dtype, &options)?;
        let mut trainer = Trainer::new(model, self.device, self.recipe, self.steps);
        let taught =
            comparisons.iter().cloned().map(|one| if is_flipped { flip(one) } else { one });
        let is_visual = |id| self.preparer.is_visual(id);
        let tokens = self.recipe.run.tokens_per_batch;
        let batch = StepBatch::new(taught.collect(), tokens, is_visual);
        let mut losses = Vec::new();
        let mut first_gradient_norm = 0.0;
        for step in 0..self.steps {
            let figures = trainer.step(step, &batch)?;
            if step == 0 {
                first_gradient_norm = figures.gradient_norm;
            }
            losses.push(figures.loss);
        }
        let mut judged: Vec<Judged> = Vec::new();
        for one in comparisons {
            let rewards =
                trainer.model.model().score(&conversations(std::slice::from_ref(one))).map_err(
                    |source| TrainError::Score {
                        ids: crate::step::ids(std::slice::from_ref(one)),
                        source,
                    },
                )?;
            judged.extend(judged_pairs(one, &rewards));
        }
        Ok(Learned {
            first_loss: losses.first().copied().unwrap_or(f64::NAN),
            last_loss: losses.last().copied().unwrap_or(f64::NAN),
            pairwise_accuracy: pairwise_accuracy(&judged).fraction().unwrap_or(0.0),
            margin_mean: margin_mean(&judged).unwrap_or(0.0),
            first_gradient_norm,
        })
    }
}

/// Better and worse exchanged.
fn flip(mut prepared: Prepared) -> Prepared {
    for pair in &mut prepared.pairs {
        *pair = (pair.1, pair.0);
    }
    if let Some(label) = &mut prepared.comparison.preference.soft_label {
        *label = 1.0 - *label;
    }
    prepared
}

/// Share of the pairs of unequal length whose longer response is the better one.
fn longer_is_better(comparisons: &[Prepared]) -> Option<f64> {
    let judged: Vec<Judged> = comparisons
        .iter()
        .flat_map(|one| {
            let nothing = vec![0.0; one.encoded.len()];
            judged_pairs(one, &nothing).collect::<Vec<_>>()
        })
        .filter(|pair| pair.len_difference() != 0)
        .collect();
    length_baseline(&judged).fraction()
}

/// Says in words what the figures mean.
fn interpret(found: &mut Diagnosis) {
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let Diagnosis { learned, flipped, .. } = *found;
    let mut faults = Vec::new();
    let mut remarks = Vec::new();
    if learned.first_gradient_norm == 0.0 {
        faults.push("the gradient is zero: nothing that is trained reaches the reward; look at `[trainable]` and `[lora]`".to_owned());
    } else if learned.pairwise_accuracy < LEARNED_ACCURACY {
        faults.push(format!(
            "{} comparisons cannot be learned by heart: accuracy {} (loss {:.3} to {:.3}); either labels contradict each other, or the \
             responses do not differ for the model, or the learning rate does not fit",
            found.comparisons, percent(learned.pairwise_accuracy), learned.first_loss, learned.last_loss
        ));
    } else {
        remarks.push(format!(
            "{} comparisons are learned by heart: accuracy {}, loss {:.3} to {:.3}",
            found.comparisons,
            percent(learned.pairwise_accuracy),
            learned.first_loss,
            learned.last_loss
        ));
    }
    if flipped.pairwise_accuracy > 1.0 - LEARNED_ACCURACY {
        faults.push(format!(
            "with better and worse exchanged the model still agrees with {} of the pairs, so labels do not decide what it learns",
            percent(flipped.pairwise_accuracy)
        ));
    } else {
        remarks.push("flipped labels flip the result, as they must".to_owned());
    }
    match found.longer_is_better {
        Some(share) if share.max(1.0 - share) >= LENGTH_ACCURACY => faults.push(format!(
            "the {} response is the better one in {} of the pairs of unequal length; a model can learn length instead of quality: balance \
             the data, or try `loss.length_normalization`",
            if share > 0.5 { "longer" } else { "shorter" },
            percent(share.max(1.0 - share))
        )),
        Some(share) => remarks.push(format!(
            "the longer response is the better one in {} of the pairs of unequal length",
            percent(share)
        )),
        None => remarks.push("all responses that are compared have the same length".to_owned()),
    }
    match found.blind {
        Some(blind) if blind.pairwise_accuracy >= BLIND_ACCURACY => remarks.push(format!(
            "with gray pictures {} are learned too; so few can be learned from their text, so this alone proves nothing: compare the held-out \
             accuracy with and without pictures",
            percent(blind.pairwise_accuracy)
        )),
        Some(blind) => remarks.push(format!(
            "with gray pictures only {} are learned: the pictures matter",
            percent(blind.pairwise_accuracy)
        )),
        None => remarks.push("there are no pictures in the sample".to_owned()),
    }
    found.is_fine = faults.is_empty();
    found.findings = faults.into_iter().chain(remarks).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(pairwise_accuracy: f64) -> Learned {
        Learned {
            first_loss: 0.69,
            last_loss: 0.01,
            pairwise_accuracy,
            margin_mean: 1.0,
            first_gradient_norm: 1.0,
        }
    }

    fn interpreted(learned: Learned, flipped: Learned, longer: Option<f64>) -> Diagnosis {
        let mut found = Diagnosis {
            comparisons: 32,
            learned,
            flipped,
            blind: None,
            longer_is_better: longer,
            is_fine: true,
            findings: Vec::new(),
        };
        interpret(&mut found);
        found
    }

    #[test]
    fn sound_data_is_called_fine() {
        let found = interpreted(learned(1.0), learned(0.0), Some(0.52));
        assert!(found.is_fine, "{:?}", found.findings);
    }

    #[test]
    fn each_fault_is_said_first_and_in_words() {
        let cases = [
            (learned(0.6), learned(0.0), Some(0.5), "cannot be learned by heart"),
            (learned(1.0), learned(0.7), Some(0.5), "labels do not decide"),
            (
                learned(1.0),
                learned(0.0),
                Some(0.8),
                "the longer response is the better one in 80 %",
            ),
            (
                learned(1.0),
                learned(0.0),
                Some(0.1),
                "the shorter response is the better one in 90 %",
            ),
            (
                Learned { first_gradient_norm: 0.0, ..learned(0.5) },
                learned(0.0),
                None,
                "the gradient is zero",
            ),
        ];
        for (one, flipped, longer, words) in cases {
            let found = interpreted(one, flipped, longer);
            assert!(!found.is_fine);
            assert!(found.findings[0].contains(words), "{}", found.findings[0]);
        }
    }
}
