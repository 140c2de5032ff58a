//! The two sides of a product, and how each is brought to a kernel's panels.

use super::Kernel;
use super::pack::{pack_rows, pack_transposed_panels};
use super::packed_weight::PackedWeight;
use crate::matrix::Element;
use rayon::prelude::*;
use std::ops::Range;

/// Panels that are packed together from a transpose: enough for long runs of each row, few enough to write to at once.
const PANELS_TOGETHER: usize = 8;

/// Some neighboring columns of a row-major matrix, summed along its columns or, transposed, along its rows.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a, T> {
    /// From the first used element on.
    values: &'a [T],
    stride: usize,
    rows: usize,
    cols: usize,
    transposed: bool,
}

impl<'a, T: Element> Operand<'a, T> {
    /// `cols` of a matrix with rows of `stride` values; the product sums over `cols`.
    pub(crate) fn new(values: &'a [T], stride: usize, cols: Range<usize>) -> Self {
        let rows = values.len() / stride;
        assert_eq!(rows * stride, values.len(), "the matrix's width is not the product's");
        assert!(cols.end <= stride, "columns that the matrix does not have");
        let start = cols.start.min(values.len());
        Self { values: &values[start..], stride, rows, cols: cols.len(), transposed: false }
    }

    /// The transpose: `[cols.len(), rows]`; the product sums over the rows.
    pub(crate) fn transposed(values: &'a [T], stride: usize, cols: Range<usize>) -> Self {
        Self { transposed: true, ..Self::new(values, stride, cols) }
    }

    /// Rows, or columns, of the product.
    pub(crate) fn count(&self) -> usize {
        if self.transposed { self.cols } else { self.rows }
    }

    /// Length of the summed dimension.
    pub(crate) fn k(&self) -> usize {
        if self.transposed { self.rows } else { self.cols }
    }

    /// Packs from row `first` of the product on, as many panels as `panels` holds.
    ///
    /// # Shapes
    /// `panels`: `[panels, padded k, width]`.
    pub(crate) fn pack(
        &self,
        first: usize,
        width: usize,
        group: usize,
        padded_k: usize,
        panels: &mut [T],
    ) {
        let (panel_len, k) = (width * padded_k, self.k());
        let together = if self.transposed { PANELS_TOGETHER } else { 1 };
        panels.par_chunks_mut(together * panel_len).enumerate().for_each(|(i, panels)| {
            let first = first + i * together * width;
            let count = (panels.len() / padded_k).min(self.count() - first);
            if self.transposed {
                let rows = (0..k).map(|row| &self.values[row * self.stride + first..][..count]);
                pack_transposed_panels(rows, width, group, panel_len, panels);
            } else {
                let source = &self.values[first * self.stride..][..(count - 1) * self.stride + k];
                pack_rows(source, self.stride, k, width, group, panels);
            }
        });
    }
}

/// The side of a product that stands in column panels.
pub(crate) enum Columns<'a, T: Element> {
    /// These rows of a weight; they begin at a panel.
    Packed(&'a PackedWeight<T>, Range<usize>),
    /// The transpose of these rows of a weight; they begin at a panel.
    Transposed(&'a PackedWeight<T>, Range<usize>),
    /// A matrix that is packed for this product alone.
    Matrix(Operand<'a, T>),
}

impl<'a, T: Element> Columns<'a, T> {
    /// Columns of the product.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Packed(_, rows) => rows.len(),
            Self::Transposed(weight, _) => weight.k(),
            Self::Matrix(operand) => operand.count(),
        }
    }

    /// Length of the summed dimension.
    pub(crate) fn k(&self) -> usize {
        match self {
            Self::Packed(weight, _) => weight.k(),
            Self::Transposed(_, rows) => rows.len(),
            Self::Matrix(operand) => operand.k(),
        }
    }

    /// All panels, where they are resident.
    pub(crate) fn resident(&self, kernel: &Kernel<T>) -> Option<&'a [T]> {
        let Self::Packed(weight, rows) = self else { return None };
        assert!(rows.start.is_multiple_of(kernel.cols), "rows that begin inside of a panel");
        Some(&weight.panels()[rows.start * kernel.padded_k(weight.k())..])
    }

    /// Packs as many panels as `panels` holds, from panel `first_panel` on.
    ///
    /// # Panics
    /// If they are resident.
    pub(crate) fn pack(&self, kernel: &Kernel<T>, first_panel: usize, panels: &mut [T]) {
        match self {
            Self::Packed(..) => unreachable!("resident panels are not packed again"),
            Self::Transposed(weight, rows) => {
                weight.pack_transpose(kernel, rows, first_panel, panels);
            }
            Self::Matrix(operand) => {
                let padded_k = kernel.padded_k(operand.k());
                let first = first_panel * kernel.cols;
                operand.pack(first, kernel.cols, kernel.col_group, padded_k, panels);
            }
        }
    }
}
