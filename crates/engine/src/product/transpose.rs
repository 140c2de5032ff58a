//! Transposing blocks of memory by perfect shuffles, which compile to vector instructions.
//!
//! A tile of `R` × 16 values, `R` a power of two, is seen as one run whose index has the bits of the row before the four of
//! the column. Interleaving the two halves of the run rotates the bits of every index by one, so once for each bit of the
//! row makes the transpose.

use crate::parallel::Vectorized;
use std::ops::Range;

/// Columns of a tile, and its rows at most.
const TILE: usize = 16;

/// Writes the transpose of `source`, rows `source_stride` apart, to `target`, rows `target_stride` apart.
///
/// # Shapes
/// `source`: `[rows, cols]`; `target`: `[cols, rows]`.
pub(crate) struct Transpose<'a, T> {
    pub(crate) source: &'a [T],
    pub(crate) source_stride: usize,
    pub(crate) target: &'a mut [T],
    pub(crate) target_stride: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl<T: Copy> Vectorized for Transpose<'_, T> {
    #[inline(always)]
    fn run(mut self) {
        let mut row = 0;
        while self.rows - row >= TILE {
            self.strip::<TILE>(row);
            row += TILE;
        }
        if self.rows - row >= 8 {
            self.strip::<8>(row);
            row += 8;
        }
        if self.rows - row >= 4 {
            self.strip::<4>(row);
            row += 4;
        }
        self.one_by_one(row..self.rows, 0..self.cols);
    }
}

impl<T: Copy> Transpose<'_, T> {
    /// `R` rows from `row`.
    #[inline(always)]
    fn strip<const R: usize>(&mut self, row: usize) {
        let whole = self.cols - self.cols % TILE;
        for col in (0..whole).step_by(TILE) {
            let from = &self.source[row * self.source_stride + col..];
            let to = &mut self.target[col * self.target_stride + row..];
            let mut tile = [[from[0]; TILE]; R];
            for (i, line) in tile.iter_mut().enumerate() {
                line.copy_from_slice(&from[i * self.source_stride..][..TILE]);
            }
            for _ in 0..R.ilog2() {
                tile = shuffle(&tile);
            }
            for (i, line) in tile.as_flattened().chunks_exact(R).enumerate() {
                to[i * self.target_stride..][..R].copy_from_slice(line);
            }
        }
        self.one_by_one(row..row + R, whole..self.cols);
    }

    #[inline(always)]
    fn one_by_one(&mut self, rows: Range<usize>, cols: Range<usize>) {
        for row in rows {
            for col in cols.clone() {
                self.target[col * self.target_stride + row] =
                    self.source[row * self.source_stride + col];
            }
        }
    }
}

/// Interleaves the two halves of a tile.
#[inline(always)]
fn shuffle<T: Copy, const R: usize>(from: &[[T; TILE]; R]) -> [[T; TILE]; R] {
    let mut to = *from;
    let (first, second) = from.as_flattened().split_at(R * TILE / 2);
    interleave(first, second, to.as_flattened_mut());
    to
}

/// Interleaves two rows, values of `first` at the even places.
///
/// # Shapes
/// `first`, `second`: `[cols]`; `target`: `[2 · cols]`.
#[inline(always)]
pub(crate) fn interleave<T: Copy>(first: &[T], second: &[T], target: &mut [T]) {
    for ((pair, first), second) in target.as_chunks_mut::<2>().0.iter_mut().zip(first).zip(second) {
        *pair = [*first, *second];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::vectorized;

    #[test]
    fn blocks_of_every_shape_are_transposed_and_nothing_else_is_written() {
        for (rows, cols) in
            [(1, 1), (16, 16), (17, 15), (32, 48), (5, 33), (40, 7), (12, 32), (30, 20)]
        {
            let (source_stride, target_stride) = (cols + 3, rows + 2);
            let source: Vec<u32> = (1..).take(rows * source_stride).collect();
            let mut target = vec![0; cols * target_stride];
            let whole = &mut target;
            vectorized(Transpose {
                source: &source,
                source_stride,
                target: whole,
                target_stride,
                rows,
                cols,
            });
            for (i, value) in target.iter().enumerate() {
                let (col, row) = (i / target_stride, i % target_stride);
                let expected = if row < rows { source[row * source_stride + col] } else { 0 };
                assert_eq!(*value, expected, "{rows} × {cols}: row {row} column {col}");
            }
        }
    }
}
