//! Root-mean-square normalization of each row.

use crate::math::sum_of_squares;
use crate::matrix::{DType, Element, Matrix};
use crate::parallel::{RowWork, for_each_row};
use half::bf16;

/// `y = x / sqrt(mean(x²) + epsilon) · weight`, row by row, in f32, rounded once to `dtype`.
///
/// # Shapes
/// `x`: f32 `[rows, cols]`; `weight`: `[cols]`; result: `[rows, cols]`.
///
/// # Source
/// Zhang and Sennrich 2019, *Root Mean Square Layer Normalization*. transformers rounds to the storage type before
/// the weight as well; one rounding is closer to f32.
///
/// # Panics
/// If the widths differ or `x` is not f32.
pub fn rms_norm(x: &Matrix, weight: &[f32], epsilon: f32, dtype: DType) -> Matrix {
    match dtype {
        DType::F32 => normalized::<f32>(x, weight, epsilon),
        DType::Bf16 => normalized::<bf16>(x, weight, epsilon),
    }
}

fn normalized<T: Element>(x: &Matrix, weight: &[f32], epsilon: f32) -> Matrix {
    let (rows, cols) = x.dims();
    assert_eq!(cols, weight.len(), "the norm's weight has another width");
    let mut out = Matrix::unspecified::<T>(rows, cols);
    let work = Normalize { source: x.as_slice::<f32>(), weight, epsilon };
    for_each_row(out.as_mut_slice::<T>(), cols, &work);
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_unit_mean_square() {
        let x = Matrix::from_vec(2, 3, vec![3.0_f32, 4.0, 0.0, -1.0, 1.0, 1.0]);
        let y = rms_norm(&x, &[1.0, 2.0, 1.0], 0.0, DType::F32).to_f32();
        let scale = (25.0_f32 / 3.0).sqrt();
        let expected = [3.0 / scale, 8.0 / scale, 0.0, -1.0, 2.0, 1.0];
        for (got, expected) in y.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6);
        }
    }
}
