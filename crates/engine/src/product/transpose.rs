//! Transposing blocks of memory by perfect shuffles, which compile to vector instructions.
//!
//! A tile of 16 × 16 values is seen as one run whose index has eight bits, four of the row and four of the column.
//! Interleaving the two halves of the run rotates the bits of every index by one, so four times make the transpose.

use crate::parallel::Vectorized;

/// Rows and columns of a tile.
const TILE: usize = 16;
const TILE_LEN: usize = TILE * TILE;

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

impl<T: Copy + Default> Vectorized for Transpose<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { source, source_stride, target, target_stride, rows, cols } = self;
        let mut tile = [T::default(); TILE_LEN];
        for row in (0..rows).step_by(TILE) {
            let tile_rows = TILE.min(rows - row);
            for col in (0..cols).step_by(TILE) {
                let tile_cols = TILE.min(cols - col);
                let from = &source[row * source_stride + col..];
                let to = &mut target[col * target_stride + row..];
                if tile_rows == TILE && tile_cols == TILE {
                    for (i, line) in tile.chunks_exact_mut(TILE).enumerate() {
                        line.copy_from_slice(&from[i * source_stride..][..TILE]);
                    }
                    tile = shuffle(&shuffle(&shuffle(&shuffle(&tile))));
                    for (i, line) in tile.chunks_exact(TILE).enumerate() {
                        to[i * target_stride..][..TILE].copy_from_slice(line);
                    }
                } else {
                    for i in 0..tile_rows {
                        for j in 0..tile_cols {
                            to[j * target_stride + i] = from[i * source_stride + j];
                        }
                    }
                }
            }
        }
    }
}

/// Interleaves the two halves of a tile.
#[inline(always)]
fn shuffle<T: Copy + Default>(from: &[T; TILE_LEN]) -> [T; TILE_LEN] {
    let mut to = [T::default(); TILE_LEN];
    let (first, second) = from.split_at(TILE_LEN / 2);
    for ((pair, first), second) in to.as_chunks_mut::<2>().0.iter_mut().zip(first).zip(second) {
        *pair = [*first, *second];
    }
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
        for (rows, cols) in [(1, 1), (16, 16), (17, 15), (32, 48), (5, 33), (40, 7)] {
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
