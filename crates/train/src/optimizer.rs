//! `AdamW` in f32 and the global gradient norm, on plain values.
//!
//! Parameters come by number, with the group that says how each is treated; models and files are unknown here. All sums
//! are over fixed chunks in a fixed order, so the number of threads changes no bit.
//!
//! # Source
//! Loshchilov and Hutter 2019, in the order of operations of `torch.optim.AdamW` (`PyTorch` 2, the single-tensor form).

use engine::Gradient;
use rayon::prelude::*;

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

/// Running means of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Running mean of gradients.
    pub first: Vec<f32>,
    /// Running mean of squared gradients.
    pub second: Vec<f32>,
}

impl Moments {
    /// Zeros for `len` elements.
    pub fn zeros(len: usize) -> Self {
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
    /// Fresh state for parameters of these lengths.
    pub fn new(options: AdamWOptions, lens: impl IntoIterator<Item = usize>) -> Self {
        Self { options, moments: lens.into_iter().map(Moments::zeros).collect(), steps_done: 0 }
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
    /// If values and gradient are not as long as the parameter, or no step has begun.
    pub fn update(&mut self, id: usize, values: &mut [f32], gradient: &Gradient, rate: StepRate) {
        assert!(self.steps_done > 0, "a step has begun");
        let Moments { first, second } = &mut self.moments[id];
        assert_eq!(values.len(), first.len(), "values of the parameter");
        let rule = Rule::new(&self.options, self.steps_done, rate);
        match gradient {
            Gradient::Dense(gradient) => {
                let gradient = gradient.as_slice::<f32>();
                assert_eq!(gradient.len(), first.len(), "gradient of the parameter");
                pieces(CHUNK, values, first, second)
                    .zip(gradient.par_chunks(CHUNK))
                    .for_each(|(piece, gradient)| rule.apply_all(piece, gradient));
            }
            Gradient::Rows(gradient) => {
                let (rows, cols) = gradient.dims();
                assert_eq!(rows * cols, first.len(), "gradient of the parameter");
                // Rows without a gradient move on by their momentum and decay, as all others do.
                let zeros = vec![0.0; cols];
                pieces(cols, values, first, second).enumerate().for_each(|(row, piece)| {
                    rule.apply_all(piece, gradient.row(row).unwrap_or(&zeros));
                });
            }
        }
    }
}

/// Equal stretches of values and both moments.
fn pieces<'a>(
    len: usize,
    values: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
) -> impl IndexedParallelIterator<Item = [&'a mut [f32]; 3]> {
    values
        .par_chunks_mut(len)
        .zip(first.par_chunks_mut(len).zip(second.par_chunks_mut(len)))
        .map(|(values, (first, second))| [values, first, second])
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

    fn apply_all(&self, [values, first, second]: [&mut [f32]; 3], gradient: &[f32]) {
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
