//! A linear layer onto a vocabulary and the log-probability of one token of it for each row, chunk by chunk.
//!
//! The logits `[rows, vocab]` never exist: a chunk of the vocabulary at a time is multiplied, used and forgotten, and the
//! gradient multiplies again. It does not sample and knows no text.

use super::linear::{Store, add_rows};
use super::weight::{RowSource, Weight};
use crate::device::Device;
use crate::math;
use crate::matrix::{DType, Element, Matrix};
use crate::parallel::{LANES, RowWork, SharedRows, Vectorized, for_each_row, vectorized};
use crate::parameters::{Gradients, ParameterId};
use crate::product::driver::Sink;
use half::bf16;
use rayon::prelude::*;
use std::ops::Range;

/// Tokens of the vocabulary whose logits exist at the same time; a multiple of every kernel's panel.
const CHUNK: usize = 2048;
/// Rows of logits that a thread takes at a time.
const STATES: usize = 8;

/// The weight `[vocab, hidden]` of a language model's last layer.
#[derive(Debug)]
pub struct LogProb {
    weight: Weight,
    parameter: Option<ParameterId>,
}

impl LogProb {
    /// Packs the weight, which is frozen at first.
    ///
    /// # Shapes
    /// `weight`: `[vocab, hidden]`.
    pub fn new(device: &Device, dtype: DType, weight: &dyn RowSource) -> Self {
        let weight = Weight::pack(device, dtype, &[weight], weight.dims().0, |i| Some((0, i)));
        Self { weight, parameter: None }
    }

    /// Packs other values of the same shape into the same memory.
    ///
    /// # Panics
    /// If the shape is another one.
    pub fn repack(&mut self, device: &Device, weight: &dyn RowSource) {
        assert_eq!(weight.dims(), self.weight.dims(), "the weight's shape");
        self.weight.repack(device, &[weight], |i| Some((0, i)));
    }

    /// Says which parameter the weight is; none freezes it.
    pub fn set_parameter(&mut self, parameter: Option<ParameterId>) {
        self.parameter = parameter;
    }

    /// Whether the weight is trained.
    pub fn is_trainable(&self) -> bool {
        self.parameter.is_some()
    }

    /// Size of the packed weight in memory.
    pub fn size_bytes(&self) -> usize {
        self.weight.size_bytes()
    }

    /// `log softmax(x · Wᵀ)` of one token for each row, in f32.
    ///
    /// # Shapes
    /// `x`: `[rows, hidden]` in the weight's type; `targets`: a token for each row.
    ///
    /// # Panics
    /// If types or shapes differ, or a target is not in the vocabulary.
    pub fn forward(&self, device: &Device, x: &Matrix, targets: &[u32]) -> Vec<f32> {
        let states = self.states(device, x, targets);
        states.iter().map(|state| state.target - state.log_normalizer()).collect()
    }

    /// The gradient of `x`, given those of the log-probabilities; that of the weight is added to `gradients` where the
    /// weight is trained.
    ///
    /// # Shapes
    /// As [`Self::forward`]; `d`: a value for each row; result: `[rows, hidden]` in the weight's type.
    ///
    /// # Panics
    /// As [`Self::forward`], or if `gradients` has another shape than the weight.
    pub fn gradient(
        &self,
        device: &Device,
        x: &Matrix,
        targets: &[u32],
        d: &[f32],
        gradients: &mut Gradients,
    ) -> Matrix {
        assert_eq!(d.len(), x.rows(), "a gradient for each row");
        let normalizers: Vec<f32> =
            self.states(device, x, targets).iter().map(State::log_normalizer).collect();
        let mut dx = Matrix::zeros(x.rows(), x.cols(), DType::F32);
        for chunk in self.chunks() {
            let logits = self.logits(device, x, chunk.clone());
            let work = LogitGradient { first: chunk.start, targets, d, normalizers: &normalizers };
            match self.weight.dtype() {
                DType::F32 => {
                    self.add_chunk::<f32>(device, chunk, x, (logits, &work), &mut dx, gradients);
                }
                DType::Bf16 => {
                    self.add_chunk::<bf16>(device, chunk, x, (logits, &work), &mut dx, gradients);
                }
            }
        }
        dx.cast(self.weight.dtype())
    }

    /// Adds what a chunk of the vocabulary gives to both gradients.
    fn add_chunk<T: Element>(
        &self,
        device: &Device,
        chunk: Range<usize>,
        x: &Matrix,
        (mut logits, work): (Matrix, &LogitGradient<'_>),
        dx: &mut Matrix,
        gradients: &mut Gradients,
    ) {
        let cols = logits.cols();
        device.run(|| for_each_row(logits.as_mut_slice::<f32>(), cols, work));
        let d_logits = logits.cast(T::DTYPE);
        let width = x.cols();
        let sink = Add { target: SharedRows::new(dx.as_mut_slice::<f32>(), width), cols: width };
        self.weight.transposed_product(device, &d_logits, chunk.clone(), &sink);
        if let Some(parameter) = self.parameter {
            add_rows(device, &d_logits, x, gradients.dense_mut(parameter), chunk.start);
        }
    }

    fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let vocab = self.weight.dims().0;
        (0..vocab).step_by(CHUNK).map(move |start| start..vocab.min(start + CHUNK))
    }

    fn logits(&self, device: &Device, x: &Matrix, chunk: Range<usize>) -> Matrix {
        let cols = chunk.len();
        let mut logits = Matrix::unspecified::<f32>(x.rows(), cols);
        let target = SharedRows::new(logits.as_mut_slice::<f32>(), cols);
        let sink = Store::<f32, false> { target, cols, bias: None };
        self.weight.product_with(device, x, chunk, &sink);
        logits
    }

    /// Runs over the vocabulary once.
    fn states(&self, device: &Device, x: &Matrix, targets: &[u32]) -> Vec<State> {
        let (vocab, width) = self.weight.dims();
        assert_eq!((x.rows(), x.cols()), (targets.len(), width), "a row of states for each target");
        for target in targets {
            assert!((*target as usize) < vocab, "token {target} of a vocabulary of {vocab}");
        }
        let mut states = vec![State::EMPTY; x.rows()];
        for chunk in self.chunks() {
            let logits = self.logits(device, x, chunk.clone());
            let (logits, cols) = (logits.as_slice::<f32>(), chunk.len());
            device.run(|| {
                states.par_chunks_mut(STATES).enumerate().for_each(|(i, states)| {
                    let rows = i * STATES..i * STATES + states.len();
                    let logits = &logits[rows.start * cols..rows.end * cols];
                    let targets = &targets[rows];
                    vectorized(AddLogits { states, logits, cols, first: chunk.start, targets });
                });
            });
        }
        states
    }
}

/// What is known of a row's logits after some chunks.
#[derive(Clone, Copy, Debug)]
struct State {
    largest: f32,
    /// Of `exp(logit − largest)`.
    sum: f32,
    /// The logit of the target, once seen.
    target: f32,
}

impl State {
    const EMPTY: Self = Self { largest: f32::NEG_INFINITY, sum: 0.0, target: 0.0 };

    fn log_normalizer(&self) -> f32 {
        self.largest + self.sum.ln()
    }
}

/// Adds a chunk of logits to the state of each row.
///
/// # Source
/// Milakov and Gimelshein 2018, *Online normalizer calculation for softmax*.
struct AddLogits<'a> {
    states: &'a mut [State],
    logits: &'a [f32],
    cols: usize,
    first: usize,
    targets: &'a [u32],
}

impl Vectorized for AddLogits<'_> {
    #[inline(always)]
    fn run(self) {
        let rows = self.states.iter_mut().zip(self.logits.chunks_exact(self.cols));
        for ((state, logits), target) in rows.zip(self.targets) {
            let largest = logits.iter().fold(state.largest, |a, b| if *b > a { *b } else { a });
            let mut lanes = [0.0_f32; LANES];
            for chunk in logits.chunks(LANES) {
                for (lane, logit) in lanes.iter_mut().zip(chunk) {
                    *lane += math::exp(logit - largest);
                }
            }
            let sum = math::fold_lanes(lanes, |a, b| a + b);
            state.sum = state.sum * math::exp(state.largest - largest) + sum;
            state.largest = largest;
            if let Some(col) = (*target as usize).checked_sub(self.first)
                && let Some(logit) = logits.get(col)
            {
                state.target = *logit;
            }
        }
    }
}

/// Turns logits into their gradients: `d · (1 at the target − softmax)`.
struct LogitGradient<'a> {
    first: usize,
    targets: &'a [u32],
    d: &'a [f32],
    normalizers: &'a [f32],
}

impl RowWork<f32> for LogitGradient<'_> {
    #[inline(always)]
    fn row(&self, row_idx: usize, row: &mut [f32]) {
        let (d, normalizer) = (self.d[row_idx], self.normalizers[row_idx]);
        for logit in row.iter_mut() {
            *logit = -d * math::exp(*logit - normalizer);
        }
        if let Some(col) = (self.targets[row_idx] as usize).checked_sub(self.first)
            && let Some(gradient) = row.get_mut(col)
        {
            *gradient += d;
        }
    }
}

/// Adds sums to what is there.
struct Add {
    target: SharedRows<f32>,
    cols: usize,
}

impl Sink for Add {
    #[inline(always)]
    fn row(&self, row: usize, col: usize, sums: &[f32]) {
        let sums = &sums[..sums.len().min(self.cols - col)];
        #[expect(unsafe_code, reason = "blocks of the driver are disjoint")]
        // SAFETY: the driver gives every (row, panel) once; the matrix is borrowed for the whole product.
        let out = unsafe { self.target.segment(row, col, sums.len()) };
        for (out, sum) in out.iter_mut().zip(sums) {
            *out += sum;
        }
    }
}

#[cfg(test)]
mod tests;
