//! Moving rows: gather, scatter, append, and widening to f32; a gradient goes the way back.

use crate::matrix::{Element, Matrix};
use crate::parallel::{RowWork, for_each_row};
use half::bf16;
use std::ops::Range;

/// `y[i] = x[indices[i]]`.
///
/// # Shapes
/// `x`: `[rows, cols]`; result: `[indices.len(), cols]` in the same type.
///
/// # Panics
/// If an index is outside of `x`.
pub fn gather_rows(x: &Matrix, indices: &[usize]) -> Matrix {
    match x.dtype() {
        crate::DType::F32 => gather::<f32>(x, indices),
        crate::DType::Bf16 => gather::<bf16>(x, indices),
    }
}

fn gather<T: Element>(x: &Matrix, indices: &[usize]) -> Matrix {
    let cols = x.cols();
    let mut out = Matrix::unspecified::<T>(indices.len(), cols);
    let work = Gather { source: x.as_slice::<T>(), indices };
    for_each_row(out.as_mut_slice::<T>(), cols, &work);
    out
}

struct Gather<'a, T> {
    source: &'a [T],
    indices: &'a [usize],
}

impl<T: Element> RowWork<T> for Gather<'_, T> {
    #[inline(always)]
    fn row(&self, row_idx: usize, row: &mut [T]) {
        let cols = row.len();
        row.copy_from_slice(&self.source[self.indices[row_idx] * cols..][..cols]);
    }
}

/// `target[indices[i]] += source[i]`, one row after the other: the gradient of [`gather_rows`] and of an embedding.
///
/// # Shapes
/// `source`: `[indices.len(), cols]`, `target`: `[rows, cols]`, of the same type.
pub(crate) fn scatter_add_rows(source: &Matrix, indices: &[usize], target: &mut Matrix) {
    match source.dtype() {
        crate::DType::F32 => scatter_add::<f32>(source, indices, target),
        crate::DType::Bf16 => scatter_add::<bf16>(source, indices, target),
    }
}

fn scatter_add<T: Element>(source: &Matrix, indices: &[usize], target: &mut Matrix) {
    let cols = source.cols();
    assert_eq!(cols, target.cols(), "rows of another width");
    let target = target.as_mut_slice::<T>();
    for (row, &index) in source.as_slice::<T>().chunks_exact(cols).zip(indices) {
        for (to, from) in target[index * cols..][..cols].iter_mut().zip(row) {
            *to = T::from_f32(to.to_f32() + from.to_f32());
        }
    }
}

/// The rows of `x`, then those of each part of `more`, in order.
///
/// # Shapes
/// `x`: `[rows, cols]`, `more`: ranges of rows of matrices `[·, cols]` of the same type; result: all of these rows.
///
/// # Panics
/// If a range leaves its matrix, or the widths or types differ.
pub fn append_rows(x: &Matrix, more: &[(&Matrix, Range<usize>)]) -> Matrix {
    match x.dtype() {
        crate::DType::F32 => append::<f32>(x, more),
        crate::DType::Bf16 => append::<bf16>(x, more),
    }
}

fn append<T: Element>(x: &Matrix, more: &[(&Matrix, Range<usize>)]) -> Matrix {
    let cols = x.cols();
    let added: usize = more.iter().map(|(_, rows)| rows.len()).sum();
    let mut out = Matrix::unspecified::<T>(x.rows() + added, cols);
    let (own, mut rest) = out.as_mut_slice::<T>().split_at_mut(x.rows() * cols);
    own.copy_from_slice(x.as_slice::<T>());
    for (source, rows) in more {
        assert_eq!(cols, source.cols(), "rows of another width");
        let (part, after) = rest.split_at_mut(rows.len() * cols);
        part.copy_from_slice(&source.as_slice::<T>()[rows.start * cols..rows.end * cols]);
        rest = after;
    }
    out
}

/// `target[start + i] = source[i]`, widened or rounded to the target's f32.
///
/// # Shapes
/// `target`: f32 `[rows, cols]`; `source`: `[count, cols]`.
///
/// # Panics
/// If the rows do not fit or the widths differ.
pub fn copy_rows(
    source: &Matrix,
    source_start: usize,
    count: usize,
    target: &mut Matrix,
    start: usize,
) {
    let cols = source.cols();
    assert_eq!(cols, target.cols(), "rows of another width");
    let target = &mut target.as_mut_slice::<f32>()[start * cols..][..count * cols];
    match source.dtype() {
        crate::DType::F32 => {
            target
                .copy_from_slice(&source.as_slice::<f32>()[source_start * cols..][..count * cols]);
        }
        crate::DType::Bf16 => {
            let source = &source.as_slice::<bf16>()[source_start * cols..][..count * cols];
            for (to, from) in target.iter_mut().zip(source) {
                *to = Element::to_f32(*from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[test]
    fn rows_of_other_matrices_follow_those_of_the_first() {
        let numbers = |start: usize, rows: usize| -> Matrix {
            Matrix::from_vec(rows, 2, (start..start + 2 * rows).map(|i| i as f32).collect())
        };
        for dtype in [DType::F32, DType::Bf16] {
            let (x, y, z) = (numbers(0, 2), numbers(10, 4), numbers(20, 1));
            let [x, y, z] = [x, y, z].map(|matrix| matrix.cast(dtype));
            let all = append_rows(&x, &[(&y, 1..3), (&z, 0..1), (&y, 0..0), (&y, 3..4)]);
            let expected = [0.0, 1.0, 2.0, 3.0, 12.0, 13.0, 14.0, 15.0, 20.0, 21.0, 16.0, 17.0];
            assert_eq!((all.dims(), all.dtype()), ((6, 2), dtype));
            assert_eq!(all.to_f32(), expected);
            assert_eq!(all.copy_of_rows(1..3).to_f32(), expected[2..6]);
        }
    }
}
