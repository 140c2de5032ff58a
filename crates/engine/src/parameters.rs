//! What training changes: which matrices are trainable, how each layer reaches them, and their gradients.
//!
//! Values and optimizer state live with the caller; a layer only knows the ids of its parameters.

use crate::matrix::{DType, Matrix};
use std::ops::Range;

/// Number of a trainable matrix or vector, from 0 without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParameterId(pub usize);

/// How a weight is trained.
#[derive(Clone, Debug)]
pub enum Trainable {
    /// Every element.
    Full(ParameterId),
    /// Only a low-rank addition.
    LowRank(LowRank),
}

/// A low-rank addition to a weight `[out, in]`: `scale · b · a`. The layer's packed weight holds the sum.
///
/// # Source
/// Hu et al. 2021, *LoRA: Low-Rank Adaptation of Large Language Models*; `scale` is alpha / rank.
#[derive(Clone, Debug)]
pub struct LowRank {
    /// `[rank, in]`.
    pub a: ParameterId,
    /// `[out, rank]`.
    pub b: ParameterId,
    /// Current values of `a`, f32.
    pub a_value: Matrix,
    /// Current values of `b`, f32.
    pub b_value: Matrix,
    /// alpha / rank.
    pub scale: f32,
}

/// How some neighboring outputs of a linear layer are trained: those of one of its stacked weights.
#[derive(Clone, Debug)]
pub struct Link {
    /// Outputs of the layer, in its own unstacked order.
    pub outputs: Range<usize>,
    /// The weight `[outputs.len(), in]`; none where it is frozen.
    pub weight: Option<Trainable>,
    /// The bias `[1, outputs.len()]`; none where it is frozen or absent.
    pub bias: Option<ParameterId>,
}

/// f32 gradients of all trainable parameters, summed over everything that was run backward since [`Gradients::clear`].
#[derive(Debug)]
pub struct Gradients {
    values: Vec<Matrix>,
}

impl Gradients {
    /// Zeros for parameters of these shapes, `(rows, cols)` by id.
    pub fn new(shapes: &[(usize, usize)]) -> Self {
        let zeros = |&(rows, cols): &(usize, usize)| Matrix::zeros(rows, cols, DType::F32);
        Self { values: shapes.iter().map(zeros).collect() }
    }

    /// Sets every gradient to zero.
    pub fn clear(&mut self) {
        for value in &mut self.values {
            value.as_mut_slice::<f32>().fill(0.0);
        }
    }

    /// The gradient of one parameter, f32.
    pub fn get(&self, id: ParameterId) -> &Matrix {
        &self.values[id.0]
    }

    /// The gradient of one parameter, f32, mutable.
    pub fn get_mut(&mut self, id: ParameterId) -> &mut Matrix {
        &mut self.values[id.0]
    }

    /// Gradients by id.
    pub fn iter(&self) -> impl Iterator<Item = &Matrix> {
        self.values.iter()
    }

    /// Gradients by id, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Matrix> {
        self.values.iter_mut()
    }
}
