//! Root-mean-square normalization of each row, and its gradient.

use crate::math::{dot, sum_of_squares};
use crate::matrix::{DType, Element, Matrix};
use crate::parallel::{RowWork, Vectorized, for_each_row, vectorized};
use crate::parameters::ParameterId;
use half::bf16;
use rayon::prelude::*;

/// Rows whose share of the weight's gradient is summed on one thread, whatever the number of threads.
const GRADIENT_ROWS: usize = 32;

/// A normalization with its weight, which stays f32 whatever the compute type.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    weight: Vec<f32>,
    epsilon: f32,
    parameter: Option<ParameterId>,
}

impl RmsNorm {
    /// A frozen normalization with this weight, `[cols]`.
    pub fn new(weight: Vec<f32>, epsilon: f32) -> Self {
        Self { weight, epsilon, parameter: None }
    }

    /// Trains the weight under this id, or freezes it.
    pub fn set_parameter(&mut self, parameter: Option<ParameterId>) {
        self.parameter = parameter;
    }

    /// The id under which the weight is trained.
    pub fn parameter(&self) -> Option<ParameterId> {
        self.parameter
    }

    /// Replaces the weight.
    ///
    /// # Panics
    /// If the length differs.
    pub fn set_weight(&mut self, weight: &[f32]) {
        self.weight.copy_from_slice(weight);
    }

    /// `y = x / sqrt(mean(x²) + epsilon) · weight`, row by row, in f32, rounded once to `dtype`.
    ///
    /// # Shapes
    /// `x`: f32 `[rows, cols]`; result: `[rows, cols]`.
    ///
    /// # Source
    /// Zhang and Sennrich 2019, *Root Mean Square Layer Normalization*. transformers rounds to the storage type before
    /// the weight as well; one rounding is closer to f32.
    ///
    /// # Panics
    /// If the widths differ or `x` is not f32.
    pub fn forward(&self, x: &Matrix, dtype: DType) -> Matrix {
        match dtype {
            DType::F32 => self.normalized::<f32>(x),
            DType::Bf16 => self.normalized::<bf16>(x),
        }
    }

    fn normalized<T: Element>(&self, x: &Matrix) -> Matrix {
        let (rows, cols) = x.dims();
        assert_eq!(cols, self.weight.len(), "the norm's weight has another width");
        let mut out = Matrix::unspecified::<T>(rows, cols);
        let work =
            Normalize { source: x.as_slice::<f32>(), weight: &self.weight, epsilon: self.epsilon };
        for_each_row(out.as_mut_slice::<T>(), cols, &work);
        out
    }

    /// The gradient by `x`, f32, of a loss whose gradient by the result is `dy`; that by the weight is added to
    /// `weight_gradient`, `[cols]`, where there is one.
    ///
    /// With `s = 1 / sqrt(mean(x²) + epsilon)`: `dx = s·w·dy − x·s³·mean(w·dy·x)`, `dw = Σ_rows s·x·dy`.
    pub(crate) fn gradient(
        &self,
        x: &Matrix,
        dy: &Matrix,
        weight_gradient: Option<&mut [f32]>,
    ) -> Matrix {
        match dy.dtype() {
            DType::F32 => self.gradient_from::<f32>(x, dy, weight_gradient),
            DType::Bf16 => self.gradient_from::<bf16>(x, dy, weight_gradient),
        }
    }

    fn gradient_from<T: Element>(
        &self,
        x: &Matrix,
        dy: &Matrix,
        weight_gradient: Option<&mut [f32]>,
    ) -> Matrix {
        let (rows, cols) = x.dims();
        assert_eq!(dy.dims(), (rows, cols), "the gradient has another shape");
        let mut dx = Matrix::unspecified::<f32>(rows, cols);
        let mut partial_sums = vec![0.0_f32; rows.div_ceil(GRADIENT_ROWS) * cols];
        let block = GRADIENT_ROWS * cols;
        dx.as_mut_slice::<f32>()
            .par_chunks_mut(block)
            .zip(partial_sums.par_chunks_mut(cols))
            .zip(x.as_slice::<f32>().par_chunks(block).zip(dy.as_slice::<T>().par_chunks(block)))
            .for_each(|((dx, sums), (x, dy))| {
                vectorized(GradientBlock { norm: self, x, dy, dx, sums });
            });
        if let Some(weight_gradient) = weight_gradient {
            for sums in partial_sums.chunks_exact(cols) {
                for (total, sum) in weight_gradient.iter_mut().zip(sums) {
                    *total += sum;
                }
            }
        }
        dx
    }
}

struct Normalize<'a> {
    source: &'a [f32],
    weight: &'a [f32],
    epsilon: f32,
}

impl<T: Element> RowWork<T> for Normalize<'_> {
    #[inline(always)]
    fn row(&self, row_idx: usize, out: &mut [T]) {
        let cols = self.weight.len();
        let values = &self.source[row_idx * cols..][..cols];
        let mean = sum_of_squares(values) / cols as f32;
        let scale = 1.0 / (mean + self.epsilon).sqrt();
        for ((out, value), weight) in out.iter_mut().zip(values).zip(self.weight) {
            *out = T::from_f32(value * scale * weight);
        }
    }
}

/// Some neighboring rows of the gradient, and what they give to that of the weight.
struct GradientBlock<'a, T> {
    norm: &'a RmsNorm,
    x: &'a [f32],
    dy: &'a [T],
    dx: &'a mut [f32],
    sums: &'a mut [f32],
}

impl<T: Element> Vectorized for GradientBlock<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { norm, x, dy, dx, sums } = self;
        let weight = &norm.weight;
        let cols = weight.len();
        let rows = x.chunks_exact(cols).zip(dy.chunks_exact(cols)).zip(dx.chunks_exact_mut(cols));
        for ((x, dy), dx) in rows {
            let scale = 1.0 / (sum_of_squares(x) / cols as f32 + norm.epsilon).sqrt();
            for (((dx, dy), weight), (sum, x)) in
                dx.iter_mut().zip(dy).zip(weight).zip(sums.iter_mut().zip(x))
            {
                let dy = dy.to_f32();
                *sum += dy * x * scale;
                *dx = dy * weight;
            }
            let pull = dot(dx, x) / cols as f32 * scale * scale * scale;
            for (dx, x) in dx.iter_mut().zip(x) {
                *dx = *dx * scale - x * pull;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::tests::values;

    #[test]
    fn a_row_has_unit_mean_square() {
        let x = Matrix::from_vec(2, 3, vec![3.0_f32, 4.0, 0.0, -1.0, 1.0, 1.0]);
        let y = RmsNorm::new(vec![1.0, 2.0, 1.0], 0.0).forward(&x, DType::F32).to_f32();
        let scale = (25.0_f32 / 3.0).sqrt();
        let expected = [3.0 / scale, 8.0 / scale, 0.0, -1.0, 2.0, 1.0];
        for (got, expected) in y.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn the_gradients_equal_finite_differences() {
        let (rows, cols) = (70, 19);
        let x = values::<f32>(rows * cols, 3);
        let dy = values::<f32>(rows * cols, 4);
        let weight = values::<f32>(cols, 5);
        let loss = |x: &[f32], weight: &[f32]| -> f64 {
            let (mut total, epsilon) = (0.0_f64, 1e-3_f64);
            for (x, dy) in x.chunks(cols).zip(dy.chunks(cols)) {
                let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / cols as f64;
                let scale = 1.0 / (mean + epsilon).sqrt();
                for ((x, dy), weight) in x.iter().zip(dy).zip(weight) {
                    total += f64::from(*x) * scale * f64::from(*weight) * f64::from(*dy);
                }
            }
            total
        };
        let norm = RmsNorm::new(weight.clone(), 1e-3);
        let mut dw = vec![0.0; cols];
        let matrix = |values: &[f32]| Matrix::from_vec(rows, cols, values.to_vec());
        let dx = norm.gradient(&matrix(&x), &matrix(&dy), Some(&mut dw)).to_f32();
        let step = 1e-3_f32;
        for i in (0..x.len()).step_by(37) {
            let (mut above, mut below) = (x.clone(), x.clone());
            above[i] += step;
            below[i] -= step;
            let width = f64::from(above[i]) - f64::from(below[i]);
            let expected = (loss(&above, &weight) - loss(&below, &weight)) / width;
            assert!((f64::from(dx[i]) - expected).abs() < 1e-4, "dx[{i}] {} {expected}", dx[i]);
        }
        for i in 0..cols {
            let (mut above, mut below) = (weight.clone(), weight.clone());
            above[i] += step;
            below[i] -= step;
            let width = f64::from(above[i]) - f64::from(below[i]);
            let expected = (loss(&x, &above) - loss(&x, &below)) / width;
            assert!((f64::from(dw[i]) - expected).abs() < 1e-4, "dw[{i}] {} {expected}", dw[i]);
        }
    }
}
