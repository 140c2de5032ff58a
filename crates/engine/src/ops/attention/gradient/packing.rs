//! Keys and values of one component and head as column panels, in the three ways in which the gradient multiplies them.

use super::plan::Component;
use crate::matrix::Element;
use crate::ops::attention::Heads;
use crate::product::aligned::Aligned;
use crate::product::pack::{pack_rows, pack_transposed};
use crate::product::{ColumnPanels, Kernel};
use rayon::prelude::*;
use std::ops::Range;

/// A row-major matrix as its elements and the distance of its rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T> {
    pub(super) values: &'a [T],
    pub(super) stride: usize,
}

impl<'a, T> Rows<'a, T> {
    /// `width` columns of some rows, from the first of them to the last.
    pub(super) fn window(&self, rows: Range<usize>, col: usize, width: usize) -> &'a [T] {
        &self.values[rows.start * self.stride + col..][..(rows.len() - 1) * self.stride + width]
    }

    /// `width` columns of one row.
    pub(super) fn row(&self, row: usize, col: usize, width: usize) -> &'a [T] {
        self.window(row..row + 1, col, width)
    }
}

/// The packed keys and values of a component for one key/value head.
pub(super) struct PackedTiles<'a, T: Element> {
    kernel: &'a Kernel<T>,
    head_dim: usize,
    /// How many panels of keys come before each tile; then how many there are.
    first_panels: Vec<usize>,
    panels: Aligned<T>,
}

/// One packed tile of keys.
pub(super) struct PackedTile<'a, T: Element> {
    kernel: &'a Kernel<T>,
    padded_dim: usize,
    /// A column for each key, along the head.
    keys: &'a [T],
    values: &'a [T],
    /// A column for each place in the head, along the keys.
    keys_across: &'a [T],
    num_panels: usize,
}

impl<'a, T: Element> PackedTiles<'a, T> {
    pub(super) fn new(
        kernel: &'a Kernel<T>,
        kv: Rows<'_, T>,
        heads: &Heads,
        component: &Component,
        kv_head: usize,
    ) -> Self {
        let head_dim = heads.head_dim;
        let mut first_panels = vec![0];
        let mut num_panels = 0;
        for tile in &component.key_tiles {
            num_panels += tile.len().div_ceil(kernel.cols);
            first_panels.push(num_panels);
        }
        let panels = Aligned::unspecified(num_panels * Self::len_per_panel(kernel, head_dim));
        let mut packed = Self { kernel, head_dim, first_panels, panels };
        let (key_col, value_col) =
            (heads.key_col + kv_head * head_dim, heads.value_col + kv_head * head_dim);
        packed.targets().into_par_iter().zip(&component.key_tiles).for_each(|(panels, tile)| {
            let along = tile.len().div_ceil(kernel.cols) * kernel.cols * kernel.padded_k(head_dim);
            let (keys, rest) = panels.split_at_mut(along);
            let (values, across) = rest.split_at_mut(along);
            pack_along_head(kernel, kv, tile, (key_col, head_dim), keys);
            pack_along_head(kernel, kv, tile, (value_col, head_dim), values);
            pack_along_keys(kernel, kv, tile, (key_col, head_dim), across);
        });
        packed
    }

    /// Elements that each panel of keys takes: twice along the head, and its share of the panels along the keys.
    fn len_per_panel(kernel: &Kernel<T>, head_dim: usize) -> usize {
        kernel.cols * (2 * kernel.padded_k(head_dim) + head_dim.next_multiple_of(kernel.cols))
    }

    /// The memory of each tile.
    fn targets(&mut self) -> Vec<&mut [T]> {
        let len_per_panel = Self::len_per_panel(self.kernel, self.head_dim);
        let mut rest = &mut *self.panels;
        let mut targets = Vec::with_capacity(self.first_panels.len() - 1);
        for pair in self.first_panels.windows(2) {
            let (target, behind) = rest.split_at_mut((pair[1] - pair[0]) * len_per_panel);
            targets.push(target);
            rest = behind;
        }
        targets
    }

    /// How many panels of keys come before a tile.
    pub(super) fn first_panel(&self, tile: usize) -> usize {
        self.first_panels[tile]
    }

    /// How many panels of keys there are.
    pub(super) fn num_panels(&self) -> usize {
        self.first_panels[self.first_panels.len() - 1]
    }

    pub(super) fn tile(&self, tile: usize) -> PackedTile<'_, T> {
        let (kernel, padded_dim) = (self.kernel, self.kernel.padded_k(self.head_dim));
        let len_per_panel = Self::len_per_panel(kernel, self.head_dim);
        let (first, end) = (self.first_panels[tile], self.first_panels[tile + 1]);
        let panels = &self.panels[first * len_per_panel..end * len_per_panel];
        let num_panels = end - first;
        let (keys, rest) = panels.split_at(num_panels * kernel.cols * padded_dim);
        let (values, keys_across) = rest.split_at(num_panels * kernel.cols * padded_dim);
        PackedTile { kernel, padded_dim, keys, values, keys_across, num_panels }
    }
}

impl<'a, T: Element> PackedTile<'a, T> {
    /// One panel of keys, along the head.
    pub(super) fn keys(&self, panel: usize) -> ColumnPanels<'a, T> {
        self.along_head(self.keys, panel)
    }

    /// One panel of values, along the head.
    pub(super) fn values(&self, panel: usize) -> ColumnPanels<'a, T> {
        self.along_head(self.values, panel)
    }

    fn along_head(&self, panels: &'a [T], panel: usize) -> ColumnPanels<'a, T> {
        let stride = self.kernel.cols * self.padded_dim;
        ColumnPanels { panels: &panels[panel * stride..][..stride], stride, count: 1 }
    }

    /// All panels of the head, along the keys.
    pub(super) fn keys_across(&self) -> ColumnPanels<'a, T> {
        let stride = self.kernel.cols * self.num_panels * self.kernel.cols;
        let count = self.keys_across.len() / stride;
        ColumnPanels { panels: self.keys_across, stride, count }
    }
}

fn pack_along_head<T: Element>(
    kernel: &Kernel<T>,
    kv: Rows<'_, T>,
    tile: &Range<usize>,
    (col, dim): (usize, usize),
    panels: &mut [T],
) {
    let panel_len = kernel.cols * kernel.padded_k(dim);
    for (start, panel) in tile.clone().step_by(kernel.cols).zip(panels.chunks_mut(panel_len)) {
        let rows = start..tile.end.min(start + kernel.cols);
        let source = kv.window(rows, col, dim);
        pack_rows(source, kv.stride, dim, kernel.cols, kernel.col_group, panel);
    }
}

fn pack_along_keys<T: Element>(
    kernel: &Kernel<T>,
    kv: Rows<'_, T>,
    tile: &Range<usize>,
    (col, dim): (usize, usize),
    panels: &mut [T],
) {
    let panel_len = kernel.cols * tile.len().next_multiple_of(kernel.cols);
    for (i, panel) in panels.chunks_mut(panel_len).enumerate() {
        let first = i * kernel.cols;
        let width = kernel.cols.min(dim - first);
        let rows = tile.clone().map(|row| kv.row(row, col + first, width));
        pack_transposed(rows, kernel.cols, kernel.col_group, panel);
    }
}
