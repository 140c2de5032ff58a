//! One product over all threads: rows are packed, then tasks of (block of rows × panel of columns) run,
//! each ending in `finish`, which adds the bias, applies the activation and stores.

use super::{Kernel, pack::pack_rows};
use crate::matrix::Element;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a task: its packed rows and one panel of weights fit the second-level cache together.
const TASK_ROWS: usize = 384;
/// Rows packed at a time, so that the packed copy of a long input stays bounded.
const PACKED_ROWS: usize = 16 * TASK_ROWS;

/// A weight `[n, k]` in column panels of a kernel.
#[derive(Debug)]
pub(crate) struct PackedWeight<T> {
    n: usize,
    k: usize,
    panels: Vec<T>,
}

impl<T: Element> PackedWeight<T> {
    /// Packs a weight whose row `i` is written by `read_row(i, out)`, `out` being `[k]`.
    pub(crate) fn pack(
        kernel: &Kernel<T>,
        n: usize,
        k: usize,
        read_row: impl Fn(usize, &mut [T]) + Sync,
    ) -> Self {
        let panel_len = kernel.cols * kernel.padded_k(k);
        let mut panels = vec![T::default(); n.div_ceil(kernel.cols) * panel_len];
        panels.par_chunks_mut(panel_len.max(1)).enumerate().for_each_init(
            || vec![T::default(); kernel.cols * k],
            |rows, (panel_idx, panel)| {
                let first = panel_idx * kernel.cols;
                let count = kernel.cols.min(n - first);
                for (i, row) in rows.chunks_exact_mut(k).take(count).enumerate() {
                    read_row(first + i, row);
                }
                pack_rows(&rows[..count * k], k, k, kernel.cols, kernel.col_group, panel);
            },
        );
        Self { n, k, panels }
    }

    /// Size in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        std::mem::size_of_val(self.panels.as_slice())
    }
}

/// Multiplies `x` `[m, k]` by the weight; `finish(rows, first_col, sums)` gets the sums of a block, `[rows, kernel.cols]`
/// row-major, once for every row and every column panel, from any thread.
pub(crate) fn multiply<T: Element>(
    kernel: &Kernel<T>,
    x: &[T],
    weight: &PackedWeight<T>,
    finish: impl Fn(Range<usize>, usize, &[f32]) + Sync,
) {
    let k = weight.k;
    let m = x.len() / k;
    assert_eq!(m * k, x.len(), "the input's width is not the weight's");
    let padded_k = kernel.padded_k(k);
    let row_panel_len = kernel.rows * padded_k;
    let num_col_panels = weight.n.div_ceil(kernel.cols);
    for packed_start in (0..m).step_by(PACKED_ROWS) {
        let packed_rows = PACKED_ROWS.min(m - packed_start);
        let mut packed = vec![T::default(); packed_rows.div_ceil(kernel.rows) * row_panel_len];
        let source = &x[packed_start * k..][..packed_rows * k];
        packed
            .par_chunks_mut(row_panel_len)
            .zip(source.par_chunks(kernel.rows * k))
            .for_each(|(panel, rows)| pack_rows(rows, k, k, kernel.rows, kernel.row_group, panel));

        let num_blocks = packed_rows.div_ceil(TASK_ROWS);
        (0..num_col_panels * num_blocks).into_par_iter().for_each_init(
            || vec![0.0_f32; TASK_ROWS.next_multiple_of(kernel.rows) * kernel.cols],
            |sums, task| {
                let (col_panel, block) = (task / num_blocks, task % num_blocks);
                let first = block * TASK_ROWS;
                let rows = TASK_ROWS.min(packed_rows - first);
                let a = &packed[first * padded_k..];
                let b = &weight.panels[col_panel * kernel.cols * padded_k..];
                kernel.session(|| kernel.panel_product(a, b, rows, padded_k, sums, false));
                let rows = packed_start + first..packed_start + first + rows;
                finish(rows, col_panel * kernel.cols, sums);
            },
        );
    }
}
