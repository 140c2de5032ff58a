//! One head of the gradient: a tile of queries meets the panels of keys that it sees, one after the other.
//!
//! A panel of scores, at most `QUERY_TILE` rows of a kernel's columns, stays in the first-level cache while it becomes
//! weights and is multiplied on. As it lies, it is a column panel along the queries, which is why the gradients of keys
//! and values are gathered with a row for each place in the head and a column for each key.

use super::QUERY_TILE;
use super::packing::{PackedTile, PackedTiles, Rows};
use super::plan::{QueryTile, SeenTile};
use crate::math::{exp, fold_lanes};
use crate::matrix::Element;
use crate::ops::attention::layout::{KEY_BLOCK, PlannedSegment};
use crate::parallel::{LANES, Vectorized, vectorized};
use crate::product::aligned::Aligned;
use crate::product::pack::{pack_rows, pack_transposed};
use crate::product::{ColumnPanels, Kernel, PackedRows};

/// What one query head has gathered for all keys of a component: `[head_dim, keys]` as a kernel leaves it, panel by panel.
pub(super) struct KeySums {
    sums: Aligned<f32>,
    panel_len: usize,
    num_panels: usize,
}

impl KeySums {
    pub(super) fn zeros<T: Element>(
        kernel: &Kernel<T>,
        head_dim: usize,
        num_panels: usize,
    ) -> Self {
        let panel_len = head_dim.next_multiple_of(kernel.rows) * kernel.cols;
        let mut sums = Aligned::unspecified(2 * num_panels * panel_len);
        sums.fill(0.0);
        Self { sums, panel_len, num_panels }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, other) in self.sums.iter_mut().zip(&*other.sums) {
            *sum += other;
        }
    }

    /// The gradient of the keys of a panel.
    pub(super) fn keys(&self, panel: usize) -> &[f32] {
        &self.sums[panel * self.panel_len..][..self.panel_len]
    }

    /// The gradient of the values of a panel.
    pub(super) fn values(&self, panel: usize) -> &[f32] {
        self.keys(self.num_panels + panel)
    }

    fn keys_mut(&mut self, panel: usize) -> &mut [f32] {
        &mut self.sums[panel * self.panel_len..][..self.panel_len]
    }

    fn values_mut(&mut self, panel: usize) -> &mut [f32] {
        self.keys_mut(self.num_panels + panel)
    }
}

/// A thread's working memory.
pub(super) struct Scratch<'a, T: Element> {
    kernel: &'a Kernel<T>,
    head_dim: usize,
    /// Row panels with a row for each query, along the head.
    queries: Aligned<T>,
    d_outputs: Aligned<T>,
    /// Row panels with a row for each place in the head, along the queries.
    queries_across: Aligned<T>,
    d_outputs_across: Aligned<T>,
    /// One column panel of sums, `[padded rows, kernel.cols]`.
    scores: Aligned<f32>,
    d_weights: Aligned<f32>,
    /// The same panel rounded to operands, then as a column panel along the queries.
    weights: Aligned<T>,
    d_scores: Aligned<T>,
    column_panel: Aligned<T>,
    /// Row panels with a row for each query, along a tile of keys.
    packed_d_scores: Aligned<T>,
    /// Column panels of `[padded rows, kernel.cols]`.
    d_queries: Aligned<f32>,
    /// For each query: ln Σ exp of its scaled scores, and Σ of its output times the gradient of that.
    log_sums: Vec<f32>,
    dots: Vec<f32>,
    rows: usize,
    padded_rows: usize,
}

/// What the queries of a task are made of.
pub(super) struct QuerySource<'a, T> {
    pub(super) q: Rows<'a, T>,
    pub(super) out: Rows<'a, T>,
    pub(super) d_out: Rows<'a, T>,
    pub(super) log_sums: Rows<'a, f32>,
}

impl<'a, T: Element> Scratch<'a, T> {
    pub(super) fn new(kernel: &'a Kernel<T>, head_dim: usize) -> Self {
        let rows = QUERY_TILE.next_multiple_of(kernel.rows);
        let along = rows * kernel.padded_k(head_dim);
        let across = head_dim.next_multiple_of(kernel.rows) * kernel.padded_k(QUERY_TILE);
        let panel = rows * kernel.cols;
        Self {
            kernel,
            head_dim,
            queries: Aligned::unspecified(along),
            d_outputs: Aligned::unspecified(along),
            queries_across: Aligned::unspecified(across),
            d_outputs_across: Aligned::unspecified(across),
            scores: Aligned::unspecified(panel),
            d_weights: Aligned::unspecified(panel),
            weights: Aligned::unspecified(panel),
            d_scores: Aligned::unspecified(panel),
            column_panel: Aligned::unspecified(kernel.cols * kernel.padded_k(QUERY_TILE)),
            packed_d_scores: Aligned::unspecified(rows * kernel.padded_k(KEY_BLOCK)),
            d_queries: Aligned::unspecified(rows * head_dim.next_multiple_of(kernel.cols)),
            log_sums: vec![0.0; QUERY_TILE],
            dots: vec![0.0; QUERY_TILE],
            rows: 0,
            padded_rows: 0,
        }
    }

    /// Begins a tile of queries of a head, which is number `head` of the outputs and begins at `query_col` of the queries.
    pub(super) fn load(
        &mut self,
        source: &QuerySource<'_, T>,
        tile: &QueryTile,
        head: usize,
        query_col: usize,
    ) {
        let (kernel, dim) = (self.kernel, self.head_dim);
        self.rows = tile.queries.len();
        self.padded_rows = self.rows.next_multiple_of(kernel.rows);
        let out_col = head * dim;
        for (from, col, along, across) in [
            (source.q, query_col, &mut self.queries, &mut self.queries_across),
            (source.d_out, out_col, &mut self.d_outputs, &mut self.d_outputs_across),
        ] {
            let panel_len = kernel.rows * kernel.padded_k(dim);
            let starts = tile.queries.clone().step_by(kernel.rows);
            for (start, panel) in starts.zip(along.chunks_mut(panel_len)) {
                let rows = start..tile.queries.end.min(start + kernel.rows);
                let source = from.window(rows, col, dim);
                pack_rows(source, from.stride, dim, kernel.rows, kernel.row_group, panel);
            }
            let panel_len = kernel.rows * kernel.padded_k(self.rows);
            for (first, panel) in (0..dim).step_by(kernel.rows).zip(across.chunks_mut(panel_len)) {
                let width = kernel.rows.min(dim - first);
                let rows = tile.queries.clone().map(|row| from.row(row, col + first, width));
                pack_transposed(rows, kernel.rows, kernel.row_group, panel);
            }
        }
        vectorized(OutputDots { source, tile, out_col, dim, dots: &mut self.dots });
        for (log_sum, row) in self.log_sums.iter_mut().zip(tile.queries.clone()) {
            *log_sum = source.log_sums.row(row, head, 1)[0];
        }
        let value_cols = dim.next_multiple_of(kernel.cols);
        self.d_queries[..self.padded_rows * value_cols].fill(0.0);
    }

    /// Adds what the queries and the seen keys of a tile give each other.
    pub(super) fn add_tile(
        &mut self,
        keys: &PackedTiles<'_, T>,
        seen: &SeenTile,
        tile: &QueryTile,
        segment: &PlannedSegment,
        sums: &mut KeySums,
    ) {
        let kernel = self.kernel;
        let packed = keys.tile(seen.tile);
        let padded_keys = kernel.padded_k(seen.len);
        for (panel, start) in (0..seen.len).step_by(kernel.cols).enumerate() {
            let len = kernel.cols.min(seen.len - start);
            self.score(&packed, panel);
            let seen = SeenTile { first_key: seen.first_key + start, len, ..*seen };
            vectorized(Weigh { tile, seen: &seen, segment, scratch: self });
            self.pack_d_scores(start, len, padded_keys);
            self.gather_keys(keys.first_panel(seen.tile) + panel, sums);
        }
        let d_scores = PackedRows { panels: &self.packed_d_scores, rows: self.rows };
        kernel.product(d_scores, packed.keys_across(), padded_keys, &mut self.d_queries, true);
    }

    /// Scores of the queries and a panel of keys, and the gradients of their weights.
    fn score(&mut self, packed: &PackedTile<'_, T>, panel: usize) {
        let (kernel, rows) = (self.kernel, self.rows);
        let padded_dim = kernel.padded_k(self.head_dim);
        let queries = PackedRows { panels: &self.queries, rows };
        kernel.product(queries, packed.keys(panel), padded_dim, &mut self.scores, false);
        let d_outputs = PackedRows { panels: &self.d_outputs, rows };
        kernel.product(d_outputs, packed.values(panel), padded_dim, &mut self.d_weights, false);
    }

    /// Puts a panel of score gradients, whose keys begin at `start` of their tile, into the rows along the tile.
    fn pack_d_scores(&mut self, start: usize, len: usize, padded_keys: usize) {
        let kernel = self.kernel;
        let (rows, cols) = (kernel.rows, kernel.cols);
        let padded_len = cols.min(padded_keys - start);
        let targets = self.packed_d_scores.chunks_mut(rows * padded_keys);
        for (row, target) in (0..self.rows).step_by(rows).zip(targets) {
            let count = rows.min(self.rows - row);
            let source = &self.d_scores[row * cols..][..(count - 1) * cols + len];
            let target = &mut target[start * rows..][..padded_len * rows];
            pack_rows(source, cols, len, rows, kernel.row_group, target);
        }
    }

    /// Adds to the gradients of a panel of values and keys.
    fn gather_keys(&mut self, panel: usize, sums: &mut KeySums) {
        let Self { kernel, rows, head_dim, column_panel, .. } = self;
        let padded_k = kernel.padded_k(*rows);
        let mut gather = |panel: &[T], across: &[T], sums: &mut [f32]| {
            let column_panel = &mut column_panel[..kernel.cols * padded_k];
            let weights = panel.chunks_exact(kernel.cols).take(*rows);
            pack_transposed(weights, kernel.cols, kernel.col_group, column_panel);
            let across = PackedRows { panels: across, rows: *head_dim };
            let columns =
                ColumnPanels { panels: column_panel, stride: kernel.cols * padded_k, count: 1 };
            kernel.product(across, columns, padded_k, sums, true);
        };
        gather(&self.weights, &self.d_outputs_across, sums.values_mut(panel));
        gather(&self.d_scores, &self.queries_across, sums.keys_mut(panel));
    }

    /// Writes the finished gradient of query `row` of the tile.
    pub(super) fn write_row(&self, row: usize, out: &mut [T]) {
        let cols = self.kernel.cols;
        for (panel_idx, out) in out.chunks_mut(cols).enumerate() {
            let sums = &self.d_queries[(panel_idx * self.padded_rows + row) * cols..];
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = T::from_f32(*sum);
            }
        }
    }
}

/// Σ output · its gradient for every query of a tile: what the softmax takes back from each weight's gradient.
struct OutputDots<'a, T> {
    source: &'a QuerySource<'a, T>,
    tile: &'a QueryTile,
    out_col: usize,
    dim: usize,
    dots: &'a mut [f32],
}

impl<T: Element> Vectorized for OutputDots<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { source, tile, out_col, dim, dots } = self;
        for (dot, row) in dots.iter_mut().zip(tile.queries.clone()) {
            let (out, d_out) =
                (source.out.row(row, out_col, dim), source.d_out.row(row, out_col, dim));
            let mut lanes = [0.0_f32; LANES];
            for (out, d_out) in out.chunks(LANES).zip(d_out.chunks(LANES)) {
                for ((lane, out), d_out) in lanes.iter_mut().zip(out).zip(d_out) {
                    *lane += out.to_f32() * d_out.to_f32();
                }
            }
            *dot = fold_lanes(lanes, |a, b| a + b);
        }
    }
}

/// Turns a panel of scores and gradients of weights into weights and gradients of scores.
struct Weigh<'a, 'b, T: Element> {
    tile: &'a QueryTile,
    /// The panel's keys alone.
    seen: &'a SeenTile,
    segment: &'a PlannedSegment,
    scratch: &'a mut Scratch<'b, T>,
}

impl<T: Element> Vectorized for Weigh<'_, '_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { tile, seen, segment, scratch } = self;
        let scale = (scratch.head_dim as f32).sqrt().recip();
        for (row, query) in tile.queries.clone().enumerate() {
            let visible = segment.visible_keys(query).saturating_sub(seen.first_key).min(seen.len);
            scratch.weigh_row(row, visible, scale);
        }
    }
}

impl<T: Element> Scratch<'_, T> {
    #[inline(always)]
    fn weigh_row(&mut self, row: usize, visible: usize, scale: f32) {
        let places = row * self.kernel.cols..(row + 1) * self.kernel.cols;
        let weights = &mut self.weights[places.clone()];
        let d_scores = &mut self.d_scores[places.clone()];
        let (log_sum, dot) = (self.log_sums[row], self.dots[row]);
        let scores = self.scores[places.clone()].as_chunks::<LANES>().0.iter();
        let d_weights = self.d_weights[places].as_chunks::<LANES>().0;
        let targets = weights.as_chunks_mut::<LANES>().0.iter_mut();
        let targets = targets.zip(d_scores.as_chunks_mut::<LANES>().0);
        for ((scores, d_weights), (weights, d_scores)) in scores.zip(d_weights).zip(targets) {
            for lane in 0..LANES {
                let weight = exp(scores[lane] * scale - log_sum);
                weights[lane] = T::from_f32(weight);
                d_scores[lane] = T::from_f32(weight * (d_weights[lane] - dot) * scale);
            }
        }
        weights[visible..].fill(T::default());
        d_scores[visible..].fill(T::default());
    }
}
