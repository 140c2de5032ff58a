//! The weight of a linear layer, resident once in a kernel's column panels, and its transpose for as long as one
//! product needs it.

use super::Kernel;
use super::pack::pack_rows;
use super::pages::Pages;
use super::transpose::Transpose;
use crate::matrix::Element;
use crate::parallel::{Vectorized, vectorized};
use rayon::prelude::*;
use std::ops::Range;

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
        let panels = Pages::zeroed(n.div_ceil(kernel.cols) * kernel.cols * kernel.padded_k(k));
        let mut weight = Self { n, k, panels };
        weight.repack(kernel, read_row);
        weight
    }

    /// Packs other values of the same shape into the same memory.
    pub(crate) fn repack(&mut self, kernel: &Kernel<T>, read_row: impl Fn(usize, &mut [T]) + Sync) {
        let (n, k) = (self.n, self.k);
        let panel_len = kernel.cols * kernel.padded_k(k);
        self.panels.par_chunks_mut(panel_len.max(1)).enumerate().for_each_init(
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
    }

    /// Size in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of_val(&*self.panels)
    }

    /// Rows: columns of the product with the weight.
    pub(crate) fn n(&self) -> usize {
        self.n
    }

    /// Columns: the summed dimension of the product with the weight.
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// All panels, each `[padded k, kernel.cols]`.
    pub(crate) fn panels(&self) -> &[T] {
        &self.panels
    }

    /// Packs some panels of the transpose of the weight's rows `rows`, as column panels again: straight from panel to
    /// panel, in blocks that are contiguous in both.
    ///
    /// # Shapes
    /// `target`: `[panels, padded rows.len(), kernel.cols]`, of which the first is panel `first_panel` of the transpose.
    ///
    /// # Panics
    /// If `rows` does not begin at a panel.
    pub(crate) fn pack_transpose(
        &self,
        kernel: &Kernel<T>,
        rows: &Range<usize>,
        first_panel: usize,
        target: &mut [T],
    ) {
        assert!(rows.start.is_multiple_of(kernel.cols), "rows that begin inside of a panel");
        let panel_len = kernel.cols * kernel.padded_k(self.k);
        let source = &self.panels[rows.start / kernel.cols * panel_len..];
        let padded_rows = kernel.padded_k(rows.len());
        target.par_chunks_mut(kernel.cols * padded_rows).enumerate().for_each(|(i, target)| {
            let first = (first_panel + i) * kernel.cols;
            let count = kernel.cols.min(kernel.padded_k(self.k) - first);
            vectorized(TransposedPanel {
                source,
                source_panel_len: panel_len,
                first,
                count,
                target,
                cols: kernel.cols,
                group: kernel.col_group,
            });
        });
    }
}

/// One panel of a transpose.
struct TransposedPanel<'a, T> {
    source: &'a [T],
    source_panel_len: usize,
    /// Where, along the source's `k`, the columns of the panel begin, and how many there are.
    first: usize,
    count: usize,
    /// `[padded k of the transpose, cols]`.
    target: &'a mut [T],
    cols: usize,
    group: usize,
}

impl<T: Element> Vectorized for TransposedPanel<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { source, source_panel_len, first, count, target, cols, group } = self;
        if count < cols {
            target.fill(T::default());
        }
        let blocks = target.chunks_mut(cols * cols).zip(source.chunks(source_panel_len));
        for (target, source) in blocks {
            let source = &source[first * cols..][..count * cols];
            match (group, size_of::<T>()) {
                (1, 4) => transpose_block::<T, u32>(source, target, cols),
                (1, 2) => transpose_block::<T, u16>(source, target, cols),
                (2, 2) => {
                    // A pair of rows and a pair of columns are four neighbors, which move together.
                    transpose_block::<T, u64>(source, target, cols / 2);
                    for four in bytemuck::cast_slice_mut::<T, [u16; 4]>(target) {
                        *four = [four[0], four[2], four[1], four[3]];
                    }
                }
                (group, size) => unreachable!("no kernel groups {group} columns of {size} bytes"),
            }
        }
    }
}

/// Transposes a block of lines of `line` units.
#[inline(always)]
fn transpose_block<T: Element, U: bytemuck::Pod + Default>(
    source: &[T],
    target: &mut [T],
    line: usize,
) {
    let source: &[U] = bytemuck::cast_slice(source);
    let target: &mut [U] = bytemuck::cast_slice_mut(target);
    let (rows, cols) = (source.len() / line, target.len() / line);
    Transpose { source, source_stride: line, target, target_stride: line, rows, cols }.run();
}
