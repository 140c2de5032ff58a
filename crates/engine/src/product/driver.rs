//! One product over all threads: rows are packed, then tasks of (block of rows × some panels of columns) run,
//! each ending in a sink, which adds the bias, applies the activation and stores.

use super::aligned::Aligned;
use super::pack::pack_rows;
use super::pages::Pages;
use super::{ColumnPanels, Kernel, PackedRows};
use crate::matrix::Element;
use crate::parallel::{Vectorized, vectorized};
use rayon::prelude::*;

/// Rows of a task. With a kernel's `k_block`, its rows take 384 KiB of the second-level cache.
const TASK_ROWS: usize = 384;
/// Columns of a task, of all its panels: 128 KiB of weights and 192 KiB of sums beside the rows.
const TASK_COLS: usize = 128;
/// Rows packed at a time, so that the packed copy of a long input stays bounded.
const PACKED_ROWS: usize = 16 * TASK_ROWS;

/// A weight `[n, k]` in column panels of a kernel.
#[derive(Debug)]
pub(crate) struct PackedWeight<T: Element> {
    n: usize,
    k: usize,
    panels: Pages<T>,
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
        let mut panels = Pages::zeroed(n.div_ceil(kernel.cols) * panel_len);
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
        size_of_val(&*self.panels)
    }
}

/// What is done with the sums of a product. Implementations mark `row`, and all that it calls, `inline(always)`.
pub(crate) trait Sink: Sync {
    /// Takes the sums of row `row` from column `col`, a whole panel wide: there may be more of them than real columns.
    /// Called once for every row and panel, from any thread.
    fn row(&self, row: usize, col: usize, sums: &[f32]);
}

/// Multiplies `x` `[m, k]` by the weight.
pub(crate) fn multiply<T: Element>(
    kernel: &Kernel<T>,
    x: &[T],
    weight: &PackedWeight<T>,
    sink: &impl Sink,
) {
    let k = weight.k;
    let m = x.len() / k;
    assert_eq!(m * k, x.len(), "the input's width is not the weight's");
    let padded_k = kernel.padded_k(k);
    let row_panel_len = kernel.rows * padded_k;
    let col_panel_len = kernel.cols * padded_k;
    let num_col_panels = weight.n.div_ceil(kernel.cols);
    let panels_per_task = TASK_COLS / kernel.cols;
    for packed_start in (0..m).step_by(PACKED_ROWS) {
        let packed_rows = PACKED_ROWS.min(m - packed_start);
        let mut packed = Aligned::unspecified(packed_rows.div_ceil(kernel.rows) * row_panel_len);
        let source = &x[packed_start * k..][..packed_rows * k];
        packed
            .par_chunks_mut(row_panel_len)
            .zip(source.par_chunks(kernel.rows * k))
            .for_each(|(panel, rows)| pack_rows(rows, k, k, kernel.rows, kernel.row_group, panel));

        let num_blocks = packed_rows.div_ceil(TASK_ROWS);
        let num_tasks = num_col_panels.div_ceil(panels_per_task) * num_blocks;
        (0..num_tasks).into_par_iter().for_each_init(
            || Aligned::unspecified(TASK_ROWS.next_multiple_of(kernel.rows) * TASK_COLS),
            |sums, task| {
                let first_panel = task / num_blocks * panels_per_task;
                let count = panels_per_task.min(num_col_panels - first_panel);
                let first = task % num_blocks * TASK_ROWS;
                let rows = TASK_ROWS.min(packed_rows - first);
                let a = PackedRows { panels: &packed[first * padded_k..], rows };
                let panels = &weight.panels[first_panel * col_panel_len..];
                let b = ColumnPanels { panels, stride: col_panel_len, count };
                kernel.session(|| kernel.product(a, b, padded_k, sums, false));
                let panel_sums = rows.next_multiple_of(kernel.rows) * kernel.cols;
                for (i, sums) in sums.chunks(panel_sums).take(count).enumerate() {
                    let col = (first_panel + i) * kernel.cols;
                    let sums = &sums[..rows * kernel.cols];
                    vectorized(Drain {
                        sums,
                        row: packed_start + first,
                        col,
                        cols: kernel.cols,
                        sink,
                    });
                }
            },
        );
    }
}

/// Hands the rows of one panel to the sink.
struct Drain<'a, S> {
    sums: &'a [f32],
    row: usize,
    col: usize,
    cols: usize,
    sink: &'a S,
}

impl<S: Sink> Vectorized for Drain<'_, S> {
    #[inline(always)]
    fn run(self) {
        for (i, sums) in self.sums.chunks_exact(self.cols).enumerate() {
            self.sink.row(self.row + i, self.col, sums);
        }
    }
}
