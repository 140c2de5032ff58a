//! One product over all threads: rows are packed, then tasks of (block of rows × some panels of columns) run,
//! each ending in a sink, which adds the bias, applies the activation and stores.

use super::aligned::Aligned;
use super::operand::{Columns, Operand};
use super::{ColumnPanels, Kernel, PackedRows};
use crate::matrix::Element;
use crate::parallel::{Vectorized, vectorized};
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a task. With a kernel's `k_block`, its rows take 384 KiB of the second-level cache.
const TASK_ROWS: usize = 384;
/// Columns of a task, of all its panels: 128 KiB of weights and 192 KiB of sums beside the rows.
const TASK_COLS: usize = 128;
/// Rows packed at a time, so that the packed copy of a long input stays bounded.
const PACKED_ROWS: usize = 16 * TASK_ROWS;
/// Bytes of columns packed at a time, where they are not resident: they are read again while in the last cache.
const PACKED_COLS_BYTES: usize = 8 << 20;

/// What is done with the sums of a product. Implementations mark `row`, and all that it calls, `inline(always)`.
pub(crate) trait Sink: Sync {
    /// Takes the sums of row `row` from column `col`, a whole panel wide: there may be more of them than real columns.
    /// Called once for every row and panel, from any thread.
    fn row(&self, row: usize, col: usize, sums: &[f32]);
}

/// Multiplies `a` `[m, k]` by `b` `[n, k]`.
///
/// # Panics
/// If they differ in `k`.
pub(crate) fn multiply<T: Element>(
    kernel: &Kernel<T>,
    a: Operand<'_, T>,
    b: &Columns<'_, T>,
    sink: &impl Sink,
) {
    let (m, k) = (a.count(), b.k());
    assert_eq!(a.k(), k, "the input's width is not the weight's");
    let padded_k = kernel.padded_k(k);
    let col_panel_len = kernel.cols * padded_k;
    let num_col_panels = b.count().div_ceil(kernel.cols);
    let panels_together = panels_together(kernel, col_panel_len).min(num_col_panels.max(1));
    let mut packed_cols = None;
    for first in (0..m).step_by(PACKED_ROWS) {
        let count = PACKED_ROWS.min(m - first);
        let mut packed = Aligned::unspecified(count.next_multiple_of(kernel.rows) * padded_k);
        a.pack(first, kernel.rows, kernel.row_group, padded_k, &mut packed);
        let rows = Rows { packed: &packed, first, count };
        if let Some(panels) = b.resident(kernel) {
            tasks(kernel, rows, panels, 0..num_col_panels, padded_k, sink);
            continue;
        }
        for first_panel in (0..num_col_panels).step_by(panels_together) {
            let range = first_panel..num_col_panels.min(first_panel + panels_together);
            let buffer = packed_cols
                .get_or_insert_with(|| Aligned::unspecified(panels_together * col_panel_len));
            let panels = &mut buffer[..range.len() * col_panel_len];
            b.pack(kernel, first_panel, panels);
            tasks(kernel, rows, panels, range, padded_k, sink);
        }
    }
}

/// How many panels are packed at a time: whole tasks, at least one for each thread.
fn panels_together<T>(kernel: &Kernel<T>, panel_len: usize) -> usize {
    let panels_per_task = TASK_COLS / kernel.cols;
    let fitting = PACKED_COLS_BYTES / (panels_per_task * panel_len * size_of::<T>()).max(1);
    fitting.max(rayon::current_num_threads()) * panels_per_task
}

/// Rows of the product that are packed.
#[derive(Clone, Copy)]
struct Rows<'a, T> {
    packed: &'a [T],
    first: usize,
    count: usize,
}

/// Multiplies packed rows by the column panels number `range`, which `panels` begins with.
fn tasks<T: Element>(
    kernel: &Kernel<T>,
    rows: Rows<'_, T>,
    panels: &[T],
    range: Range<usize>,
    padded_k: usize,
    sink: &impl Sink,
) {
    let panel_len = kernel.cols * padded_k;
    let panels_per_task = TASK_COLS / kernel.cols;
    let num_blocks = rows.count.div_ceil(TASK_ROWS);
    let num_tasks = range.len().div_ceil(panels_per_task) * num_blocks;
    (0..num_tasks).into_par_iter().for_each_init(
        || Aligned::unspecified(TASK_ROWS.next_multiple_of(kernel.rows) * TASK_COLS),
        |sums, task| {
            let first_panel = task / num_blocks * panels_per_task;
            let count = panels_per_task.min(range.len() - first_panel);
            let first = task % num_blocks * TASK_ROWS;
            let task_rows = TASK_ROWS.min(rows.count - first);
            let a = PackedRows { panels: &rows.packed[first * padded_k..], rows: task_rows };
            let panels = &panels[first_panel * panel_len..];
            let b = ColumnPanels { panels, stride: panel_len, count };
            kernel.session(|| kernel.product(a, b, padded_k, sums, false));
            let drain = Drain {
                sums,
                panel_sums: task_rows.next_multiple_of(kernel.rows) * kernel.cols,
                rows: rows.first + first..rows.first + first + task_rows,
                first_col: (range.start + first_panel) * kernel.cols,
                cols: kernel.cols,
                count,
                sink,
            };
            vectorized(drain);
        },
    );
}

/// Hands the rows of a task to the sink, its panels one after the other: what the sink reads and writes are long runs.
struct Drain<'a, S> {
    sums: &'a [f32],
    /// Distance of the panels in `sums`.
    panel_sums: usize,
    rows: Range<usize>,
    first_col: usize,
    /// Width of a panel, and how many there are.
    cols: usize,
    count: usize,
    sink: &'a S,
}

impl<S: Sink> Vectorized for Drain<'_, S> {
    #[inline(always)]
    fn run(self) {
        for (i, row) in self.rows.enumerate() {
            for panel in 0..self.count {
                let sums = &self.sums[panel * self.panel_sums + i * self.cols..][..self.cols];
                self.sink.row(row, self.first_col + panel * self.cols, sums);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::device::{Device, Tier};
    use crate::parallel::SharedRows;
    use crate::product::packed_weight::PackedWeight;
    use crate::product::tests::values;
    use half::bf16;

    struct Store {
        target: SharedRows<f32>,
        cols: usize,
    }

    impl Sink for Store {
        #[inline(always)]
        fn row(&self, row: usize, col: usize, sums: &[f32]) {
            let sums = &sums[..sums.len().min(self.cols - col)];
            #[expect(unsafe_code, reason = "blocks of the driver are disjoint")]
            // SAFETY: the driver gives every (row, panel) once.
            let out = unsafe { self.target.segment(row, col, sums.len()) };
            out.copy_from_slice(sums);
        }
    }

    /// Compares a product with the same sums in f64; `a(row, i)` and `b(col, i)` are the operands' values.
    fn compare<T: Element>(
        kernel: &Kernel<T>,
        (left, right): (Operand<'_, T>, &Columns<'_, T>),
        a: impl Fn(usize, usize) -> T,
        b: impl Fn(usize, usize) -> T,
    ) {
        let (m, n, k) = (left.count(), right.count(), left.k());
        let mut out = vec![f32::NAN; m * n];
        multiply(kernel, left, right, &Store { target: SharedRows::new(&mut out, n), cols: n });
        for (place, got) in out.iter().enumerate() {
            let (row, col) = (place / n, place % n);
            let (mut expected, mut magnitude) = (0.0_f64, 0.0_f64);
            for i in 0..k {
                let term = f64::from(a(row, i).to_f32()) * f64::from(b(col, i).to_f32());
                expected += term;
                magnitude += term.abs();
            }
            let distance = (f64::from(*got) - expected).abs();
            assert!(distance <= 1e-6 * magnitude, "[{m}, {k}] · [{k}, {n}] {row} {col}: {got}");
        }
    }

    /// The three products of a layer `[n, k]`, of some of its rows, and of some columns of a gradient.
    pub(crate) fn check_products<T: Element>(kernel: &Kernel<T>) {
        for (m, k, n) in [(1, 1, 1), (5, 31, 129), (70, 33, 45), (33, 130, 64), (390, 20, 300)] {
            let (x, dy) = (values::<T>(m * k, 1), values::<T>(m * n, 2));
            let w = values::<T>(n * k, 3);
            let weight = PackedWeight::pack(kernel, n, k, |row, out| {
                out.copy_from_slice(&w[row * k..(row + 1) * k]);
            });
            let from = if n > 128 { 128 } else { 0 };
            for rows in [0..n, from..n] {
                let start = rows.start;
                let right = Columns::Packed(&weight, rows.clone());
                let left = Operand::new(&x, k, 0..k);
                let w_at = |row: usize, col: usize| w[(start + row) * k + col];
                compare(kernel, (left, &right), |row, i| x[row * k + i], w_at);

                let left = Operand::new(&dy, n, rows.clone());
                let right = Columns::Transposed(&weight, rows.clone());
                let dy_at = |row: usize, i: usize| dy[row * n + start + i];
                compare(kernel, (left, &right), dy_at, |col, i| w_at(i, col));

                let left = Operand::transposed(&dy, n, rows);
                let right = Columns::Matrix(Operand::transposed(&x, k, 0..k));
                let x_at = |col: usize, i: usize| x[i * k + col];
                compare(kernel, (left, &right), |row, i| dy_at(i, row), x_at);
            }
        }
    }

    #[test]
    fn every_tier_multiplies_by_a_weight_by_its_transpose_and_by_another_matrix() {
        for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
            let device = Device::cpu_with_tier(tier, Some(2)).expect("an available tier");
            device.run(|| {
                check_products::<f32>(device.as_cpu().f32_kernel());
                check_products::<bf16>(device.as_cpu().bf16_kernel());
            });
        }
    }
}
