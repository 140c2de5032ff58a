//! What training changes: which matrices are trainable, how each layer reaches them, and their gradients.
//!
//! Values and optimizer state live with the caller; a layer only knows the ids of its parameters.

use crate::matrix::{DType, Matrix};
use crate::ops::rows::scatter_add_rows;
use std::collections::BTreeMap;
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
    values: Vec<Gradient>,
}

/// Gradient of one parameter.
#[derive(Debug)]
pub enum Gradient {
    /// Every element, f32.
    Dense(Matrix),
    /// Of a table, of which few rows are looked up.
    Rows(RowGradient),
}

/// Gradient of a table: the rows that were looked up, all others being zero.
#[derive(Debug)]
pub struct RowGradient {
    rows: usize,
    cols: usize,
    /// Where in `values` a row of the table is.
    places: BTreeMap<usize, usize>,
    /// `[places.len(), cols]`.
    values: Vec<f32>,
}

impl RowGradient {
    fn new(rows: usize, cols: usize) -> Self {
        Self { rows, cols, places: BTreeMap::new(), values: Vec::new() }
    }

    /// `gradient[indices[i]] += source[i]`, one row after the other.
    ///
    /// # Shapes
    /// `source`: f32 `[indices.len(), cols]`.
    pub(crate) fn add_rows(&mut self, source: &Matrix, indices: &[u32]) {
        let cols = self.cols;
        assert_eq!(source.cols(), cols, "rows of another width");
        for (row, &index) in source.as_slice::<f32>().chunks_exact(cols).zip(indices) {
            self.add_row(index as usize, row);
        }
    }

    fn add_row(&mut self, index: usize, row: &[f32]) {
        let cols = self.cols;
        assert!(index < self.rows, "row {index} of a table with {} rows", self.rows);
        let place = *self.places.entry(index).or_insert(self.values.len() / cols);
        if place * cols == self.values.len() {
            self.values.resize(self.values.len() + cols, 0.0);
        }
        add_to(&mut self.values[place * cols..][..cols], row);
    }

    /// `(rows, cols)` of the table.
    pub fn dims(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// The gradient of a row of the table; none where it is zero.
    pub fn row(&self, row: usize) -> Option<&[f32]> {
        self.places.get(&row).map(|place| &self.values[place * self.cols..][..self.cols])
    }

    /// The rows that are there with their places in the table, from the first to the last.
    pub fn present(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let values = |place: &usize| &self.values[place * self.cols..][..self.cols];
        self.places.iter().map(move |(row, place)| (*row, values(place)))
    }
}

impl Gradient {
    /// All elements, row by row.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::Dense(values) => values.to_f32(),
            Self::Rows(gradient) => {
                let mut values = vec![0.0; gradient.rows * gradient.cols];
                for (row, found) in gradient.present() {
                    values[row * gradient.cols..][..gradient.cols].copy_from_slice(found);
                }
                values
            }
        }
    }
}

impl Gradients {
    /// Zeros for parameters of these shapes, `(rows, cols)` by id.
    pub fn new(shapes: &[(usize, usize)]) -> Self {
        let zeros =
            |&(rows, cols): &(usize, usize)| Gradient::Dense(Matrix::zeros(rows, cols, DType::F32));
        Self { values: shapes.iter().map(zeros).collect() }
    }

    /// Makes a parameter that is only looked up by rows take the memory of those rows alone.
    #[must_use]
    pub fn with_table(mut self, id: ParameterId) -> Self {
        if let Gradient::Dense(zeros) = &self.values[id.0] {
            let (rows, cols) = zeros.dims();
            self.values[id.0] = Gradient::Rows(RowGradient::new(rows, cols));
        }
        self
    }

    /// Sets every gradient to zero.
    pub fn clear(&mut self) {
        for value in &mut self.values {
            match value {
                Gradient::Dense(value) => value.as_mut_slice::<f32>().fill(0.0),
                Gradient::Rows(gradient) => {
                    gradient.places.clear();
                    gradient.values.clear();
                }
            }
        }
    }

    /// Adds the gradients of the same parameters, element by element.
    pub fn add(&mut self, others: &Self) {
        for (value, other) in self.values.iter_mut().zip(&others.values) {
            match (value, other) {
                (Gradient::Dense(value), Gradient::Dense(other)) => {
                    add_to(value.as_mut_slice::<f32>(), other.as_slice::<f32>());
                }
                (Gradient::Rows(value), Gradient::Rows(other)) => {
                    for (row, found) in other.present() {
                        value.add_row(row, found);
                    }
                }
                _ => panic!("gradients of other parameters"),
            }
        }
    }

    /// The gradient of one parameter.
    pub fn get(&self, id: ParameterId) -> &Gradient {
        &self.values[id.0]
    }

    /// The gradient of a parameter that is not looked up by rows.
    ///
    /// # Panics
    /// When it is.
    pub fn dense_mut(&mut self, id: ParameterId) -> &mut Matrix {
        dense_mut(&mut self.values[id.0])
    }

    /// Gradients by id.
    pub fn iter(&self) -> impl Iterator<Item = &Gradient> {
        self.values.iter()
    }

    /// Gradients by id, mutable; none for those that are looked up by rows.
    pub(crate) fn all_dense_mut(&mut self) -> impl Iterator<Item = Option<&mut Matrix>> {
        self.values.iter_mut().map(|value| match value {
            Gradient::Dense(value) => Some(value),
            Gradient::Rows(_) => None,
        })
    }

    /// Adds the gradients of looked-up rows of a table.
    pub(crate) fn add_rows(&mut self, id: ParameterId, source: &Matrix, indices: &[u32]) {
        match &mut self.values[id.0] {
            Gradient::Rows(gradient) => gradient.add_rows(source, indices),
            Gradient::Dense(values) => {
                let indices: Vec<usize> = indices.iter().map(|&index| index as usize).collect();
                scatter_add_rows(source, &indices, values);
            }
        }
    }
}

fn add_to(sums: &mut [f32], values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

fn dense_mut(gradient: &mut Gradient) -> &mut Matrix {
    match gradient {
        Gradient::Dense(values) => values,
        Gradient::Rows(_) => panic!("the gradient of a table has no matrix"),
    }
}
