//! From the words of a recipe to the values that other parts take.

use engine::{DType, Recompute};
use model::config::{Activation, RewardHeadConfig, ScorePosition};

use super::{
    AdamWRecipe, ComputeType, HeadRecipe, LossRecipe, ObjectiveRecipe, OptimizerRecipe, Recipe,
    RecomputeRecipe, ScheduleRecipe,
};
use crate::loss::{LossOptions, Objective};
use crate::optimizer::AdamWOptions;
use crate::schedule::{Decay, Schedule};

/// Peak learning rates of the parts; none where a part is frozen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartRates {
    /// The vision tower without its merger.
    pub vision: Option<f64>,
    /// The merger.
    pub merger: Option<f64>,
    /// The language model.
    pub language: Option<f64>,
    /// The head.
    pub head: f64,
}

impl Recipe {
    /// The settings of the optimizer.
    pub fn adamw(&self) -> &AdamWRecipe {
        let OptimizerRecipe::Adamw(adamw) = &self.optimizer;
        adamw
    }

    /// Peak learning rates of the parts.
    pub fn part_rates(&self) -> PartRates {
        let common = self.adamw().learning_rate;
        let rate =
            |part: &super::PartRecipe| (!part.frozen).then(|| part.learning_rate.unwrap_or(common));
        PartRates {
            vision: rate(&self.trainable.vision),
            merger: rate(&self.trainable.merger),
            language: rate(&self.trainable.language),
            head: self.trainable.head.learning_rate.unwrap_or(common),
        }
    }

    /// Steps of the run for a number of training comparisons.
    pub fn total_steps(&self, num_comparisons: usize) -> u64 {
        let steps = || {
            let epochs = self.run.epochs.unwrap_or(1.0);
            (epochs * num_comparisons as f64 / self.run.comparisons_per_step as f64).ceil() as u64
        };
        self.run.steps.unwrap_or_else(steps).max(1)
    }

    /// The schedule of a run of `total_steps`.
    pub fn schedule(&self, total_steps: u64) -> Schedule {
        let (decay, warmup, floor) = match &self.schedule {
            ScheduleRecipe::Constant(one) => (Decay::Constant, one.warmup_fraction, 0.0),
            ScheduleRecipe::Linear(one) => (Decay::Linear, one.warmup_fraction, one.floor),
            ScheduleRecipe::Cosine(one) => (Decay::Cosine, one.warmup_fraction, one.floor),
        };
        let warmup_steps = (warmup * total_steps as f64).ceil() as u64;
        Schedule { decay, warmup_steps, total_steps, floor }
    }
}

impl LossRecipe {
    /// The loss.
    pub fn options(&self) -> LossOptions {
        LossOptions {
            objective: match self.objective {
                ObjectiveRecipe::AllPairs => Objective::AllPairs,
                ObjectiveRecipe::PlackettLuce => Objective::PlackettLuce,
            },
            margin_coefficient: self.margin_coefficient as f32,
            zero_coefficient: self.zero_coefficient as f32,
            length_normalization: self.length_normalization,
            label_smoothing: self.label_smoothing as f32,
        }
    }
}

impl AdamWRecipe {
    /// What all parameters share.
    pub fn options(&self) -> AdamWOptions {
        AdamWOptions { beta1: self.beta1, beta2: self.beta2, epsilon: self.epsilon }
    }

    /// The norm that gradients are clipped to.
    pub fn clip_norm(&self) -> Option<f64> {
        (self.max_gradient_norm > 0.0).then_some(self.max_gradient_norm)
    }
}

impl HeadRecipe {
    /// The head's configuration on a backbone of the given width.
    ///
    /// # Panics
    /// If the recipe has not been checked.
    pub fn config(&self, backbone_hidden_size: usize) -> RewardHeadConfig {
        RewardHeadConfig {
            num_layers: self.num_layers,
            activation: self.activation.parse::<Activation>().expect("the recipe was checked"),
            hidden_size: self.hidden_size.unwrap_or(backbone_hidden_size),
            bias: self.bias,
            position: self.position.parse::<ScorePosition>().expect("the recipe was checked"),
        }
    }
}

impl From<RecomputeRecipe> for Recompute {
    fn from(recompute: RecomputeRecipe) -> Self {
        match recompute {
            RecomputeRecipe::Nothing => Self::Nothing,
            RecomputeRecipe::Layers => Self::Layers,
            RecomputeRecipe::Groups => Self::Groups,
        }
    }
}

impl From<ComputeType> for DType {
    fn from(compute_type: ComputeType) -> Self {
        match compute_type {
            ComputeType::F32 => Self::F32,
            ComputeType::Bf16 => Self::Bf16,
        }
    }
}
