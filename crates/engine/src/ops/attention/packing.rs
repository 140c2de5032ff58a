//! Keys and values of each block and head as column panels of the product kernels.

use super::Heads;
use super::layout::AttentionLayout;
use crate::matrix::{Element, Matrix};
use crate::product::Kernel;
use crate::product::aligned::Aligned;
use crate::product::pack::{pack_rows, pack_transposed};
use rayon::prelude::*;
use std::ops::Range;

/// Sizes of packed panels, and how they are made.
pub(super) struct Packing<'a, T: Element> {
    kernel: &'a Kernel<T>,
    heads: &'a Heads,
    /// `head_dim` padded to the kernel's step.
    pub(super) padded_dim: usize,
    /// Keys that a block has room for: the layout's longest block, whole panels.
    pub(super) block_keys: usize,
    key_len: usize,
    value_len: usize,
}

impl<'a, T: Element> Packing<'a, T> {
    pub(super) fn new(kernel: &'a Kernel<T>, heads: &'a Heads, layout: &AttentionLayout) -> Self {
        let padded_dim = kernel.padded_k(heads.head_dim);
        let value_cols = heads.head_dim.next_multiple_of(kernel.cols);
        let longest = layout.blocks.iter().map(|block| block.iter().map(Range::len).sum()).max();
        let block_keys = longest.unwrap_or(0_usize).next_multiple_of(kernel.cols);
        let (key_len, value_len) = (block_keys * padded_dim, value_cols * block_keys);
        Self { kernel, heads, padded_dim, block_keys, key_len, value_len }
    }

    pub(super) fn bytes_per_head(&self, layout: &AttentionLayout) -> usize {
        layout.blocks.len() * (self.key_len + self.value_len) * size_of::<T>()
    }

    /// Column panels of the values of one block.
    pub(super) fn value_panels(&self) -> usize {
        self.heads.head_dim.div_ceil(self.kernel.cols)
    }

    /// Packs every block of the layout for some heads: keys as `[keys, head_dim]`, values as `[head_dim, keys]`.
    pub(super) fn pack(
        &self,
        kv: &Matrix,
        layout: &AttentionLayout,
        kv_heads: Range<usize>,
    ) -> PackedKeys<T> {
        let num_heads = kv_heads.len();
        let block_len = self.key_len + self.value_len;
        let mut panels = Aligned::unspecified(layout.blocks.len() * num_heads * block_len);
        panels.par_chunks_mut(block_len.max(1)).enumerate().for_each_init(
            Vec::new,
            |rows, (i, panels)| {
                let block = &layout.blocks[i / num_heads];
                let head = kv_heads.start + i % num_heads;
                let (keys, values) = panels.split_at_mut(self.key_len);
                self.pack_keys(kv, block, head, rows, keys);
                self.pack_values(kv, block, head, values);
            },
        );
        PackedKeys { panels, key_len: self.key_len, block_len, num_heads }
    }

    fn pack_keys(
        &self,
        kv: &Matrix,
        block: &[Range<usize>],
        head: usize,
        rows: &mut Vec<T>,
        panels: &mut [T],
    ) {
        let (kernel, dim) = (self.kernel, self.heads.head_dim);
        let col = self.heads.key_col + head * dim;
        rows.clear();
        for row in block.iter().cloned().flatten() {
            rows.extend_from_slice(&kv.as_slice::<T>()[row * kv.cols() + col..][..dim]);
        }
        let panel_len = kernel.cols * self.padded_dim;
        for (rows, panel) in rows.chunks(kernel.cols * dim).zip(panels.chunks_mut(panel_len)) {
            pack_rows(rows, dim, dim, kernel.cols, kernel.col_group, panel);
        }
    }

    fn pack_values(&self, kv: &Matrix, block: &[Range<usize>], head: usize, panels: &mut [T]) {
        let (kernel, dim) = (self.kernel, self.heads.head_dim);
        for (i, panel) in panels.chunks_mut(kernel.cols * self.block_keys).enumerate() {
            let first = i * kernel.cols;
            let cols = kernel.cols.min(dim - first);
            let col = self.heads.value_col + head * dim + first;
            let rows = block.iter().cloned().flatten();
            let rows = rows.map(|row| &kv.as_slice::<T>()[row * kv.cols() + col..][..cols]);
            pack_transposed(rows, kernel.cols, kernel.col_group, panel);
        }
    }
}

/// Packed keys and values of all blocks for some heads.
pub(super) struct PackedKeys<T: Element> {
    panels: Aligned<T>,
    key_len: usize,
    block_len: usize,
    num_heads: usize,
}

impl<T: Element> PackedKeys<T> {
    /// `(keys, values)` of a block for one of the heads.
    pub(super) fn block(&self, block: usize, head: usize) -> (&[T], &[T]) {
        self.panels[(block * self.num_heads + head) * self.block_len..][..self.block_len]
            .split_at(self.key_len)
    }
}
