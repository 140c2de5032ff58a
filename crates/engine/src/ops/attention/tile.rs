//! One task of attention: a tile of queries of one head meets its blocks of keys one after the other.

use super::layout::{KEY_BLOCK, PlannedSegment, SeenBlock};
use super::packing::Packing;
use super::{QUERY_TILE, Task};
use crate::math::{exp, fold_lanes};
use crate::matrix::Element;
use crate::parallel::{LANES, Vectorized, vectorized};
use crate::product::aligned::Aligned;
use crate::product::pack::pack_rows;
use crate::product::{ColumnPanels, Kernel, PackedRows};

/// A thread's working memory.
pub(super) struct Scratch<'a, T: Element> {
    kernel: &'a Kernel<T>,
    head_dim: usize,
    /// Row panels.
    queries: Aligned<T>,
    /// Column panels of `[padded rows, kernel.cols]`.
    scores: Aligned<f32>,
    /// `[rows, KEY_BLOCK]`, then as row panels.
    weights: Aligned<T>,
    packed_weights: Aligned<T>,
    /// Column panels of `[padded rows, kernel.cols]`.
    outputs: Aligned<f32>,
    maxima: Vec<f32>,
    sums: Vec<f32>,
    padded_rows: usize,
}

impl<'a, T: Element> Scratch<'a, T> {
    pub(super) fn new(kernel: &'a Kernel<T>, head_dim: usize) -> Self {
        let value_cols = head_dim.next_multiple_of(kernel.cols);
        Self {
            kernel,
            head_dim,
            queries: Aligned::unspecified(QUERY_TILE * kernel.padded_k(head_dim)),
            scores: Aligned::unspecified(QUERY_TILE * KEY_BLOCK),
            weights: Aligned::unspecified(QUERY_TILE * KEY_BLOCK),
            packed_weights: Aligned::unspecified(QUERY_TILE * KEY_BLOCK),
            outputs: Aligned::unspecified(QUERY_TILE * value_cols),
            maxima: vec![0.0; QUERY_TILE],
            sums: vec![0.0; QUERY_TILE],
            padded_rows: 0,
        }
    }

    /// Begins a task: its queries are packed, and nothing is gathered yet.
    pub(super) fn load_queries(&mut self, q: &[T], stride: usize, col: usize, task: &Task<'_>) {
        let (kernel, dim) = (self.kernel, self.head_dim);
        let panel_len = kernel.rows * kernel.padded_k(dim);
        for (start, panel) in
            task.queries.clone().step_by(kernel.rows).zip(self.queries.chunks_mut(panel_len))
        {
            let count = kernel.rows.min(task.queries.end - start);
            let source = &q[start * stride + col..][..(count - 1) * stride + dim];
            pack_rows(source, stride, dim, kernel.rows, kernel.row_group, panel);
        }
        self.padded_rows = task.queries.len().next_multiple_of(kernel.rows);
        self.maxima.fill(f32::NEG_INFINITY);
        self.sums.fill(0.0);
        let value_cols = dim.next_multiple_of(kernel.cols);
        self.outputs[..self.padded_rows * value_cols].fill(0.0);
    }

    /// Scores a block's keys and folds its values into what the queries have gathered.
    pub(super) fn add_block(
        &mut self,
        keys: &[T],
        values: &[T],
        packing: &Packing<'_, T>,
        task: &Task<'_>,
        block: &SeenBlock,
    ) {
        let kernel = self.kernel;
        let rows = task.queries.len();
        let num_panels = block.len.div_ceil(kernel.cols);
        let queries = PackedRows { panels: &self.queries, rows };
        let stride = kernel.cols * packing.padded_dim;
        let keys = ColumnPanels { panels: keys, stride, count: num_panels };
        kernel.product(queries, keys, packing.padded_dim, &mut self.scores, false);

        let padded_len = num_panels * kernel.cols;
        vectorized(Softmax { task, block, padded_len, scratch: self });

        let padded_keys = kernel.padded_k(block.len);
        for (start, panel) in (0..rows)
            .step_by(kernel.rows)
            .zip(self.packed_weights.chunks_mut(kernel.rows * padded_keys))
        {
            let count = kernel.rows.min(rows - start);
            let source = &self.weights[start * KEY_BLOCK..][..(count - 1) * KEY_BLOCK + block.len];
            pack_rows(source, KEY_BLOCK, block.len, kernel.rows, kernel.row_group, panel);
        }
        let weights = PackedRows { panels: &self.packed_weights, rows };
        let stride = kernel.cols * packing.block_keys;
        let values = ColumnPanels { panels: values, stride, count: packing.value_panels() };
        kernel.product(weights, values, padded_keys, &mut self.outputs, true);
    }

    /// Writes the finished row `row` of the task.
    pub(super) fn write_row(&self, row: usize, out: &mut [T]) {
        let cols = self.kernel.cols;
        let normalize = self.sums[row].recip();
        for (panel_idx, out) in out.chunks_mut(cols).enumerate() {
            let outputs = &self.outputs[(panel_idx * self.padded_rows + row) * cols..];
            for (out, output) in out.iter_mut().zip(outputs) {
                *out = T::from_f32(output * normalize);
            }
        }
    }

    /// ln Σ exp of the scaled scores of row `row` of the task, which is finished.
    pub(super) fn log_sum(&self, row: usize) -> f32 {
        self.maxima[row] + self.sums[row].ln()
    }

    /// Turns one row of scores into weights, and rescales what the row has gathered so far.
    #[inline(always)]
    fn softmax_row(&mut self, row: usize, visible: usize, padded_len: usize, scale: f32) {
        let cols = self.kernel.cols;
        let tile_len = self.padded_rows * cols;
        let weights = &mut self.weights[row * KEY_BLOCK..][..padded_len];
        if visible == 0 {
            weights.fill(T::default());
            return;
        }
        let mut lanes = [f32::NEG_INFINITY; LANES];
        for (panel_idx, start) in (0..padded_len).step_by(cols).enumerate() {
            let scores = &mut self.scores[panel_idx * tile_len + row * cols..][..cols];
            scores[visible.saturating_sub(start).min(cols)..].fill(f32::NEG_INFINITY);
            for chunk in scores.as_chunks_mut::<LANES>().0 {
                for (lane, score) in lanes.iter_mut().zip(chunk) {
                    *score *= scale;
                    *lane = if *score > *lane { *score } else { *lane };
                }
            }
        }
        let old_max = self.maxima[row];
        let max = fold_lanes(lanes, f32::max).max(old_max);
        let mut lanes = [0.0_f32; LANES];
        for (panel_idx, weights) in weights.chunks_exact_mut(cols).enumerate() {
            let scores = &self.scores[panel_idx * tile_len + row * cols..][..cols];
            let chunks = scores.as_chunks::<LANES>().0.iter();
            for (chunk, weights) in chunks.zip(weights.as_chunks_mut::<LANES>().0) {
                for ((lane, score), weight) in lanes.iter_mut().zip(chunk).zip(weights) {
                    let value = exp(score - max);
                    *lane += value;
                    *weight = T::from_f32(value);
                }
            }
        }
        let rescale = exp(old_max - max);
        self.maxima[row] = max;
        self.sums[row] = self.sums[row] * rescale + fold_lanes(lanes, |a, b| a + b);
        if max > old_max {
            let value_cols = self.head_dim.next_multiple_of(cols);
            for outputs in self.outputs.chunks_exact_mut(tile_len).take(value_cols / cols) {
                for output in &mut outputs[row * cols..][..cols] {
                    *output *= rescale;
                }
            }
        }
    }
}

/// The softmax of all rows of a task over one block.
struct Softmax<'a, 'b, T: Element> {
    task: &'a Task<'a>,
    block: &'a SeenBlock,
    padded_len: usize,
    scratch: &'a mut Scratch<'b, T>,
}

impl<T: Element> Vectorized for Softmax<'_, '_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { task, block, padded_len, scratch } = self;
        let segment: &PlannedSegment = task.segment;
        let scale = (scratch.head_dim as f32).sqrt().recip();
        for (row, query) in task.queries.clone().enumerate() {
            let visible =
                segment.visible_keys(query).saturating_sub(block.first_key).min(block.len);
            scratch.softmax_row(row, visible, padded_len, scale);
        }
    }
}
