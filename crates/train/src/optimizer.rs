//! `AdamW` in f32 and the global gradient norm, on plain values.
//!
//! Parameters come by number, with the group that says how each is treated; models and files are unknown here. All sums
//! are over fixed chunks in a fixed order, so the number of threads changes no bit.
//!
//! # Source
//! Loshchilov and Hutter 2019, in the order of operations of `torch.optim.AdamW` (`PyTorch` 2, the single-tensor form).

use engine::{Gradient, RowGradient};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Elements that are summed or updated in one piece. NUMERICS: part of the result of `squared_norm`; do not tune lightly.
const CHUNK: usize = 16 * 1024;

/// Settings that all groups share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOptions {
    /// Decay of the running mean of gradients.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second mean.
    pub epsilon: f64,
}

/// Running means of one parameter: of gradients, and of squared gradients.
#[derive(Debug, Clone, PartialEq)]
pub enum Moments {
    /// Of every element.
    Dense(Means),
    /// Of a table: of the rows that ever had a gradient. The means of all others are zero and take no memory.
    Rows {
        /// Elements of a row.
        cols: usize,
        /// By row of the table.
        present: BTreeMap<usize, Means>,
    },
}

/// Running means of neighboring elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Means {
    /// Of gradients.
    pub first: Vec<f32>,
    /// Of squared gradients.
    pub second: Vec<f32>,
}

impl Moments {
    /// Fresh ones for a parameter with gradients such as this one.
    pub fn zeros_for(gradient: &Gradient) -> Self {
        match gradient {
            Gradient::Dense(values) => Self::Dense(Means::zeros(values.rows() * values.cols())),
            Gradient::Rows(rows) => Self::Rows { cols: rows.dims().1, present: BTreeMap::new() },
        }
    }
}

impl Means {
    fn zeros(len: usize) -> Self {
        Self { first: vec![0.0; len], second: vec![0.0; len] }
    }
}

/// What differs between parameters in one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepRate {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decoupled weight decay, already 0 where none is wanted.
    pub weight_decay: f64,
    /// Factor on the gradient, from clipping.
    pub gradient_factor: f32,
}

/// `AdamW` with its state.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    options: AdamWOptions,
    moments: Vec<Moments>,
    steps_done: u64,
}

impl AdamW {
    /// Fresh state for parameters with such gradients.
    pub fn new<'a>(
        options: AdamWOptions,
        gradients: impl IntoIterator<Item = &'a Gradient>,
    ) -> Self {
        let moments = gradients.into_iter().map(Moments::zeros_for).collect();
        Self { options, moments, steps_done: 0 }
    }

    /// State as it was saved.
    pub fn restore(options: AdamWOptions, moments: Vec<Moments>, steps_done: u64) -> Self {
        Self { options, moments, steps_done }
    }

    /// State of each parameter.
    pub fn moments(&self) -> &[Moments] {
        &self.moments
    }

    /// Steps taken.
    pub fn steps_done(&self) -> u64 {
        self.steps_done
    }

    /// Counts one more step; the parameters are then updated with [`AdamW::update`], each once.
    pub fn begin_step(&mut self) {
        self.steps_done += 1;
    }

    /// Updates one parameter in the step that [`AdamW::begin_step`] began.
    ///
    /// # Panics
    /// If values and gradient are not as long as the parameter, the parameter is a table and its gradient has every element or the
    /// other way round, or no step has begun.
    pub fn update(&mut self, id: usize, values: &mut [f32], gradient: &Gradient, rate: StepRate) {
        assert!(self.steps_done > 0, "a step has begun");
        let rule = Rule::new(&self.options, self.steps_done, rate);
        match (&mut self.moments[id], gradient) {
            (Moments::Dense(means), Gradient::Dense(gradient)) => {
                let gradient = gradient.as_slice::<f32>();
                assert_eq!(gradient.len(), values.len(), "gradient of the parameter");
                rule.apply_to_all(values, means, gradient);
            }
            (Moments::Rows { cols, present }, Gradient::Rows(gradient)) => {
                assert_eq!(gradient.dims(), (values.len() / *cols, *cols), "gradient of the table");
                rule.apply_to_table(values, present, gradient);
            }
            _ => panic!("the state of a table and the gradient of another parameter"),
        }
    }
}

/// The scalars of one step, computed in f64 and rounded once as `PyTorch` does.
struct Rule {
    keep: f32,
    first_weight: f32,
    beta2: f32,
    second_weight: f32,
    root_of_correction: f32,
    epsilon: f32,
    step_size: f32,
    gradient_factor: f32,
}

impl Rule {
    fn new(options: &AdamWOptions, steps_done: u64, rate: StepRate) -> Self {
        let steps = i32::try_from(steps_done).unwrap_or(i32::MAX);
        let first_correction = 1.0 - options.beta1.powi(steps);
        let second_correction = 1.0 - options.beta2.powi(steps);
        Self {
            keep: (1.0 - rate.learning_rate * rate.weight_decay) as f32,
            first_weight: (1.0 - options.beta1) as f32,
            beta2: options.beta2 as f32,
            second_weight: (1.0 - options.beta2) as f32,
            root_of_correction: second_correction.sqrt() as f32,
            epsilon: options.epsilon as f32,
            step_size: (rate.learning_rate / first_correction) as f32,
            gradient_factor: rate.gradient_factor,
        }
    }

    fn apply_to_all(&self, values: &mut [f32], means: &mut Means, gradient: &[f32]) {
        let Means { first, second } = means;
        assert_eq!(values.len(), first.len(), "values of the parameter");
        values
            .par_chunks_mut(CHUNK)
            .zip(first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK)))
            .zip(gradient.par_chunks(CHUNK))
            .for_each(|((values, (first, second)), gradient)| {
                self.apply_to_some(values, first, second, gradient);
            });
    }

    /// Rows that have no gradient now go on by their momentum and decay, as all others do. Those that never had one only decay:
    /// their means are zero, and so is what would be subtracted.
    fn apply_to_table(
        &self,
        values: &mut [f32],
        present: &mut BTreeMap<usize, Means>,
        gradient: &RowGradient,
    ) {
        let (rows, cols) = gradient.dims();
        for (row, _) in gradient.present() {
            present.entry(row).or_insert_with(|| Means::zeros(cols));
        }
        let zeros = vec![0.0; cols];
        let mut means: Vec<Option<&mut Means>> = (0..rows).map(|_| None).collect();
        for (row, own) in present {
            means[*row] = Some(own);
        }
        values.par_chunks_mut(cols).zip(means).enumerate().for_each(|(row, (values, means))| {
            if let Some(Means { first, second }) = means {
                let gradient = gradient.row(row).unwrap_or(&zeros);
                self.apply_to_some(values, first, second, gradient);
            } else {
                for value in values {
                    *value *= self.keep;
                }
            }
        });
    }

    fn apply_to_some(
        &self,
        values: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
        gradient: &[f32],
    ) {
        let moments = first.iter_mut().zip(second);
        for ((value, gradient), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
            self.apply(value, *gradient, first, second);
        }
    }

    #[inline]
    fn apply(&self, value: &mut f32, gradient: f32, first: &mut f32, second: &mut f32) {
        let gradient = gradient * self.gradient_factor;
        *value *= self.keep;
        *first += (gradient - *first) * self.first_weight;
        *second = *second * self.beta2 + gradient * gradient * self.second_weight;
        let root = second.sqrt() / self.root_of_correction + self.epsilon;
        *value -= self.step_size * (*first / root);
    }
}

/// Sum of squares of a gradient, in f64; of a table, row by row.
pub fn squared_norm(gradient: &Gradient) -> f64 {
    match gradient {
        Gradient::Dense(values) => squared_norm_of(values.as_slice::<f32>()),
        Gradient::Rows(gradient) => {
            gradient.present().map(|(_, row)| squared_norm_of_chunk(row)).sum()
        }
    }
}

/// Sum of squares, in f64, of fixed chunks that are added in order.
fn squared_norm_of(values: &[f32]) -> f64 {
    let partial: Vec<f64> = values.par_chunks(CHUNK).map(squared_norm_of_chunk).collect();
    partial.iter().sum()
}

fn squared_norm_of_chunk(values: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0_f64; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: f64 =
        chunks.remainder().iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(value) * f64::from(value);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// Factor that brings gradients of norm `norm` to at most `max_norm`, as `torch.nn.utils.clip_grad_norm_`.
pub fn clip_factor(norm: f64, max_norm: Option<f64>) -> f32 {
    max_norm.map_or(1.0, |max_norm| (max_norm / (norm + 1e-6)).min(1.0) as f32)
}

#[cfg(test)]
mod tests;
