//! Rotary position embedding in place, and back: 1-D, multimodal (M-RoPE) and 2-D vision differ only in their angles.

use crate::matrix::{DType, Element, Matrix};
use crate::parallel::{RowWork, for_each_row};
use half::bf16;
use rayon::prelude::*;

/// Cosines and sines of every row's angles.
#[derive(Clone, Debug)]
pub struct RotaryTable {
    half: usize,
    /// `[rows, half]` each.
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RotaryTable {
    /// Fills the table; `angles(row, out)` writes the `half = head_dim / 2` angles of a row, in radians.
    pub fn new(rows: usize, half: usize, angles: impl Fn(usize, &mut [f32]) + Sync) -> Self {
        let mut cos = vec![0.0; rows * half];
        let mut sin = vec![0.0; rows * half];
        cos.par_chunks_mut(half.max(1)).zip(sin.par_chunks_mut(half.max(1))).enumerate().for_each(
            |(row, (cos, sin))| {
                angles(row, cos);
                for (cos, sin) in cos.iter_mut().zip(sin) {
                    (*sin, *cos) = cos.sin_cos();
                }
            },
        );
        Self { half, cos, sin }
    }

    /// The table of some rows of this one.
    #[must_use]
    pub fn gather(&self, rows: &[usize]) -> Self {
        let take = |values: &[f32]| {
            rows.iter().flat_map(|&row| &values[row * self.half..][..self.half]).copied().collect()
        };
        Self { half: self.half, cos: take(&self.cos), sin: take(&self.sin) }
    }
}

/// Rotates `num_heads` heads of each row, which stand side by side from column `first_col`:
/// `(a, b) → (a·cos − b·sin, b·cos + a·sin)` for the first and second half of a head, in f32.
///
/// # Shapes
/// `x`: `[rows, ≥ first_col + num_heads · 2 · half]`; `table`: the same rows.
///
/// # Source
/// `apply_rotary_pos_emb_vision` and `apply_multimodal_rotary_pos_emb` of transformers 5.23
/// `modeling_qwen2_5_vl.py`. NUMERICS: the angles stay f32 where transformers rounds cosines to bf16.
///
/// # Panics
/// If the table has fewer rows or the heads do not fit.
pub fn rotate(x: &mut Matrix, first_col: usize, num_heads: usize, table: &RotaryTable) {
    turn(x, Rotate::<false> { first_col, num_heads, table });
}

/// The gradient of [`rotate`], in place: a rotation by the opposite angles.
pub(crate) fn rotate_back(
    gradient: &mut Matrix,
    first_col: usize,
    num_heads: usize,
    table: &RotaryTable,
) {
    turn(gradient, Rotate::<true> { first_col, num_heads, table });
}

#[expect(clippy::needless_pass_by_value, reason = "three references")]
fn turn<const BACK: bool>(x: &mut Matrix, work: Rotate<'_, BACK>) {
    let cols = x.cols();
    match x.dtype() {
        DType::F32 => for_each_row(x.as_mut_slice::<f32>(), cols, &work),
        DType::Bf16 => for_each_row(x.as_mut_slice::<bf16>(), cols, &work),
    }
}

struct Rotate<'a, const BACK: bool> {
    first_col: usize,
    num_heads: usize,
    table: &'a RotaryTable,
}

impl<T: Element, const BACK: bool> RowWork<T> for Rotate<'_, BACK> {
    #[inline(always)]
    fn row(&self, row_idx: usize, row: &mut [T]) {
        let half = self.table.half;
        let cos = &self.table.cos[row_idx * half..][..half];
        let sin = &self.table.sin[row_idx * half..][..half];
        let heads = &mut row[self.first_col..][..self.num_heads * 2 * half];
        for head in heads.chunks_exact_mut(2 * half) {
            rotate_head::<T, BACK>(head, cos, sin);
        }
    }
}

#[inline(always)]
fn rotate_head<T: Element, const BACK: bool>(head: &mut [T], cos: &[f32], sin: &[f32]) {
    let (first, second) = head.split_at_mut(cos.len());
    for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
        let (x, y) = (a.to_f32(), b.to_f32());
        let sin = if BACK { -*sin } else { *sin };
        *a = T::from_f32(x * cos - y * sin);
        *b = T::from_f32(y * cos + x * sin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_swaps_the_halves() {
        let mut x = Matrix::from_vec(1, 5, vec![9.0_f32, 1.0, 2.0, 3.0, 4.0]);
        let table = RotaryTable::new(1, 2, |_, out| out.fill(std::f32::consts::FRAC_PI_2));
        rotate(&mut x, 1, 1, &table);
        for (got, expected) in x.to_f32().iter().zip([9.0, -3.0, -4.0, 1.0, 2.0]) {
            assert!((got - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn turning_back_undoes_a_turn() {
        let values: Vec<f32> = (0..24).map(|i| i as f32 * 0.37 - 4.0).collect();
        let mut x = Matrix::from_vec(3, 8, values.clone());
        let table = RotaryTable::new(3, 2, |row, out| {
            out.copy_from_slice(&[row as f32 + 0.3, 2.0 - row as f32]);
        });
        rotate(&mut x, 4, 1, &table);
        assert!((x.to_f32()[4] - values[4]).abs() > 0.1);
        rotate_back(&mut x, 4, 1, &table);
        for (got, expected) in x.to_f32().iter().zip(values) {
            assert!((got - expected).abs() < 1e-5);
        }
    }
}
