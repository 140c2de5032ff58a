//! Segment attention: softmax(q·kᵀ·scale)·v for whole images, windows and causal prefix trees, one code.
//!
//! Never holds a full score matrix: keys come in blocks of [`KEY_BLOCK`], and each query keeps a running maximum,
//! sum and output (Milakov and Gimelshein 2018; Dao et al. 2022).
//!
//! NUMERICS: blocks are cut at multiples of `KEY_BLOCK` along a query's own path, from its first key. A row's
//! result depends on its path alone, not on how the path is split into shared segments.

use crate::device::{Cpu, Device};
use crate::math::{exp, fold_lanes};
use crate::matrix::{DType, Element, Matrix};
use crate::parallel::{LANES, SharedRows};
use crate::product::aligned::Aligned;
use crate::product::pack::{pack_rows, pack_transposed};
use crate::product::{ColumnPanels, Kernel, PackedRows};
use half::bf16;
use rayon::prelude::*;
use std::collections::HashMap;
use std::ops::Range;

/// Keys that are scored at a time: a multiple of every kernel's panel width and step.
const KEY_BLOCK: usize = 384;
/// Queries of a task: a multiple of every kernel's panel height.
const QUERY_TILE: usize = 192;
/// Packed keys and values held at a time; heads are done in groups that fit.
const PACKED_BYTES: usize = 256 << 20;

/// Which of its segment's keys a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// Every key.
    All,
    /// The query at place `j` of its segment sees the first `before + j + 1` keys.
    Causal {
        /// Keys that come before the segment's first query.
        before: usize,
    },
}

/// Queries that stand side by side and the keys of their path, in path order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Rows of the query matrix.
    pub queries: Range<usize>,
    /// Rows of the key/value matrix: ancestors first, then the segment's own.
    pub keys: Vec<Range<usize>>,
    /// What each query sees.
    pub visible: Visible,
}

/// Which rows attend to which, prepared once and used by every layer.
#[derive(Clone, Debug)]
pub struct AttentionLayout {
    segments: Vec<PlannedSegment>,
    /// Distinct key blocks; segments that share a prefix share its whole blocks.
    blocks: Vec<Vec<Range<usize>>>,
    num_queries: usize,
}

#[derive(Clone, Debug)]
struct PlannedSegment {
    queries: Range<usize>,
    num_keys: usize,
    /// Indices into `AttentionLayout::blocks`, along the path.
    blocks: Vec<usize>,
    visible: Visible,
}

impl PlannedSegment {
    fn visible_keys(&self, query: usize) -> usize {
        match self.visible {
            Visible::All => self.num_keys,
            Visible::Causal { before } => before + query - self.queries.start + 1,
        }
    }
}

impl AttentionLayout {
    /// Plans the blocks of all segments.
    ///
    /// # Panics
    /// If a causal segment's queries see more keys than it has.
    pub fn new(segments: &[Segment]) -> Self {
        let mut blocks: Vec<Vec<Range<usize>>> = Vec::new();
        let mut known: HashMap<Vec<Range<usize>>, usize> = HashMap::new();
        let mut planned = Vec::with_capacity(segments.len());
        for segment in segments {
            let num_keys = segment.keys.iter().map(Range::len).sum();
            if let Visible::Causal { before } = segment.visible {
                assert!(before + segment.queries.len() <= num_keys, "queries see missing keys");
            }
            let indices = cut_blocks(&segment.keys)
                .into_iter()
                .map(|block| {
                    *known.entry(block).or_insert_with_key(|block| {
                        blocks.push(block.clone());
                        blocks.len() - 1
                    })
                })
                .collect();
            planned.push(PlannedSegment {
                queries: segment.queries.clone(),
                num_keys,
                blocks: indices,
                visible: segment.visible,
            });
        }
        let num_queries = planned.iter().map(|segment| segment.queries.len()).sum();
        Self { segments: planned, blocks, num_queries }
    }

    /// Floating-point operations of one layer: two products over every visible pair.
    pub fn flops(&self, heads: &Heads) -> f64 {
        let pairs: usize = self
            .segments
            .iter()
            .flat_map(|segment| segment.queries.clone().map(|query| segment.visible_keys(query)))
            .sum();
        4.0 * pairs as f64 * (heads.num_heads * heads.head_dim) as f64
    }
}

/// Cuts a path into blocks of `KEY_BLOCK` keys; neighbors in memory are merged.
fn cut_blocks(keys: &[Range<usize>]) -> Vec<Vec<Range<usize>>> {
    let mut blocks: Vec<Vec<Range<usize>>> = Vec::new();
    let mut room = 0;
    for range in keys {
        let mut start = range.start;
        while start < range.end {
            if room == 0 {
                blocks.push(Vec::new());
                room = KEY_BLOCK;
            }
            let end = range.end.min(start + room);
            let block = blocks.last_mut().expect("a block was pushed when there was no room");
            match block.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => block.push(start..end),
            }
            room -= end - start;
            start = end;
        }
    }
    blocks
}

/// Head counts and where heads stand in the rows of queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads; each serves `num_heads / num_key_value_heads` query heads.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// First column of the queries in their matrix.
    pub query_col: usize,
    /// First column of the keys in theirs.
    pub key_col: usize,
    /// First column of the values, in the same matrix as the keys.
    pub value_col: usize,
}

/// Attention of every query of the layout, scaled by `head_dim^-0.5`.
///
/// # Shapes
/// `q`: `[query rows, ·]`, `kv`: `[key rows, ·]`, same type, heads side by side from the columns in `heads`;
/// result: `[query rows, num_heads · head_dim]` in that type; rows of no segment stay zero.
///
/// # Panics
/// If the types differ or a segment leaves the matrices.
pub fn attention(
    device: &Device,
    q: &Matrix,
    kv: &Matrix,
    heads: &Heads,
    layout: &AttentionLayout,
) -> Matrix {
    let cpu = device.as_cpu();
    device.run(|| match q.dtype() {
        DType::F32 => attend::<f32>(cpu.f32_kernel(), cpu, q, kv, heads, layout),
        DType::Bf16 => attend::<bf16>(cpu.bf16_kernel(), cpu, q, kv, heads, layout),
    })
}

/// One task: some queries of a segment, one head.
struct Task<'a> {
    segment: &'a PlannedSegment,
    queries: Range<usize>,
    head: usize,
}

fn attend<T: Element>(
    kernel: &Kernel<T>,
    cpu: &Cpu,
    q: &Matrix,
    kv: &Matrix,
    heads: &Heads,
    layout: &AttentionLayout,
) -> Matrix {
    let (q_values, kv_values) = (q.as_slice::<T>(), kv.as_slice::<T>());
    let width = heads.num_heads * heads.head_dim;
    let mut out = vec![T::default(); q.rows() * width];
    let target = SharedRows::new(&mut out, width);
    let packing = Packing::new(kernel, heads.head_dim, layout);
    let group = heads.num_heads / heads.num_key_value_heads;
    let bytes_per_head = layout.blocks.len() * packing.block_len() * size_of::<T>();
    let heads_at_a_time =
        (PACKED_BYTES / bytes_per_head.max(1)).clamp(1, heads.num_key_value_heads);
    // Small tiles keep every thread busy when there are few queries.
    let tile_rows = QUERY_TILE
        .min((layout.num_queries * heads.num_heads).div_ceil(4 * cpu.num_threads()))
        .next_multiple_of(kernel.rows)
        .min(QUERY_TILE);

    for first_head in (0..heads.num_key_value_heads).step_by(heads_at_a_time) {
        let kv_heads = first_head..heads.num_key_value_heads.min(first_head + heads_at_a_time);
        let packed =
            packing.pack(kernel, kv_values, kv.cols(), heads, &layout.blocks, kv_heads.clone());
        let tasks: Vec<Task<'_>> = layout
            .segments
            .iter()
            .flat_map(|segment| {
                let heads = kv_heads.start * group..kv_heads.end * group;
                heads.flat_map(move |head| {
                    segment.queries.clone().step_by(tile_rows).map(move |start| {
                        let queries = start..segment.queries.end.min(start + tile_rows);
                        Task { segment, queries, head }
                    })
                })
            })
            .collect();
        tasks.par_iter().for_each_init(
            || Scratch::<T>::new(kernel, heads.head_dim),
            |scratch, task| {
                let kv_head = task.head / group - kv_heads.start;
                let panels = |block: usize| packed.block(block, kv_head);
                kernel.session(|| {
                    scratch.run(kernel, q_values, q.cols(), heads, task, &packing, panels);
                });
                let columns = task.head * heads.head_dim;
                for (i, row) in task.queries.clone().enumerate() {
                    #[expect(unsafe_code, reason = "tasks write disjoint rows and heads")]
                    // SAFETY: each (query, head) is in one task; `out` is borrowed until all have ended.
                    let out = unsafe { target.segment(row, columns, heads.head_dim) };
                    scratch.write_row(kernel, i, out);
                }
            },
        );
    }
    Matrix::from_vec(q.rows(), width, out)
}

/// Sizes of packed key and value panels.
struct Packing {
    padded_dim: usize,
    /// Keys that a block has room for: the layout's longest block.
    block_keys: usize,
    key_len: usize,
    value_len: usize,
}

impl Packing {
    fn new<T: Element>(kernel: &Kernel<T>, head_dim: usize, layout: &AttentionLayout) -> Self {
        let padded_dim = kernel.padded_k(head_dim);
        let value_cols = head_dim.next_multiple_of(kernel.cols);
        let longest = layout.blocks.iter().map(|block| block.iter().map(Range::len).sum()).max();
        let block_keys = longest.unwrap_or(0_usize).next_multiple_of(kernel.cols);
        let (key_len, value_len) = (block_keys * padded_dim, value_cols * block_keys);
        Self { padded_dim, block_keys, key_len, value_len }
    }

    fn block_len(&self) -> usize {
        self.key_len + self.value_len
    }

    /// Keys as column panels `[keys, head_dim]`, values as column panels `[head_dim, keys]`.
    fn pack<T: Element>(
        &self,
        kernel: &Kernel<T>,
        kv: &[T],
        stride: usize,
        heads: &Heads,
        blocks: &[Vec<Range<usize>>],
        kv_heads: Range<usize>,
    ) -> PackedKeys<T> {
        let num_heads = kv_heads.len();
        let mut panels = Aligned::zeroed(blocks.len() * num_heads * self.block_len());
        panels.par_chunks_mut(self.block_len()).enumerate().for_each_init(
            Vec::new,
            |rows, (i, panels)| {
                let (block, head) = (&blocks[i / num_heads], kv_heads.start + i % num_heads);
                let (keys, values) = panels.split_at_mut(self.key_len);
                let dim = heads.head_dim;
                rows.clear();
                for row in block.iter().cloned().flatten() {
                    rows.extend_from_slice(&kv[row * stride + heads.key_col + head * dim..][..dim]);
                }
                let panel_len = kernel.cols * self.padded_dim;
                for (rows, panel) in rows.chunks(kernel.cols * dim).zip(keys.chunks_mut(panel_len))
                {
                    pack_rows(rows, dim, dim, kernel.cols, kernel.col_group, panel);
                }
                for (i, panel) in values.chunks_mut(kernel.cols * self.block_keys).enumerate() {
                    let first = i * kernel.cols;
                    let cols = kernel.cols.min(dim - first);
                    let col = heads.value_col + head * dim + first;
                    let rows = block
                        .iter()
                        .cloned()
                        .flatten()
                        .map(|row| &kv[row * stride + col..][..cols]);
                    pack_transposed(rows, kernel.cols, kernel.col_group, panel);
                }
            },
        );
        PackedKeys { panels, key_len: self.key_len, block_len: self.block_len(), num_heads }
    }
}

struct PackedKeys<T> {
    panels: Aligned<T>,
    key_len: usize,
    block_len: usize,
    num_heads: usize,
}

impl<T> PackedKeys<T> {
    /// `(keys, values)` of a block for one head.
    fn block(&self, block: usize, head: usize) -> (&[T], &[T]) {
        self.panels[(block * self.num_heads + head) * self.block_len..][..self.block_len]
            .split_at(self.key_len)
    }
}

/// A thread's working memory for one task.
struct Scratch<T> {
    queries: Aligned<T>,
    /// Column panels of `[tile rows, kernel.cols]`.
    scores: Aligned<f32>,
    /// `[tile rows, KEY_BLOCK]`, then as row panels.
    weights: Aligned<T>,
    packed_weights: Aligned<T>,
    /// Column panels of `[tile rows, kernel.cols]`.
    outputs: Aligned<f32>,
    maxima: Vec<f32>,
    sums: Vec<f32>,
    padded_rows: usize,
}

impl<T: Element> Scratch<T> {
    fn new(kernel: &Kernel<T>, head_dim: usize) -> Self {
        Self {
            queries: Aligned::zeroed(QUERY_TILE * kernel.padded_k(head_dim)),
            scores: Aligned::zeroed(QUERY_TILE * KEY_BLOCK),
            weights: Aligned::zeroed(QUERY_TILE * KEY_BLOCK),
            packed_weights: Aligned::zeroed(QUERY_TILE * KEY_BLOCK),
            outputs: Aligned::zeroed(QUERY_TILE * head_dim.next_multiple_of(kernel.cols)),
            maxima: vec![0.0; QUERY_TILE],
            sums: vec![0.0; QUERY_TILE],
            padded_rows: 0,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the one inner call of the loop above")]
    fn run<'a>(
        &mut self,
        kernel: &Kernel<T>,
        q: &[T],
        stride: usize,
        heads: &Heads,
        task: &Task<'_>,
        packing: &Packing,
        panels: impl Fn(usize) -> (&'a [T], &'a [T]),
    ) {
        let (rows, dim) = (task.queries.len(), heads.head_dim);
        self.padded_rows = rows.next_multiple_of(kernel.rows);
        let col = heads.query_col + task.head * dim;
        let panel_len = kernel.rows * packing.padded_dim;
        for (start, panel) in
            task.queries.clone().step_by(kernel.rows).zip(self.queries.chunks_mut(panel_len))
        {
            let count = kernel.rows.min(task.queries.end - start);
            let source = &q[start * stride + col..][..(count - 1) * stride + dim];
            pack_rows(source, stride, dim, kernel.rows, kernel.row_group, panel);
        }
        self.maxima[..rows].fill(f32::NEG_INFINITY);
        self.sums[..rows].fill(0.0);
        self.outputs.fill(0.0);
        let scale = (dim as f32).sqrt().recip();
        let most_visible = task.segment.visible_keys(task.queries.end - 1);
        for (i, &block) in task.segment.blocks.iter().enumerate() {
            let first_key = i * KEY_BLOCK;
            if first_key >= most_visible {
                break;
            }
            let len = KEY_BLOCK.min(most_visible - first_key);
            let visible = |row: usize| {
                task.segment
                    .visible_keys(task.queries.start + row)
                    .saturating_sub(first_key)
                    .min(len)
            };
            let (keys, values) = panels(block);
            self.add_block(kernel, rows, len, scale, packing, visible, keys, values);
        }
    }

    /// Scores the first `len` keys of a block and folds them into the running results.
    #[expect(clippy::too_many_arguments, reason = "a step of `run`, split for reading")]
    fn add_block(
        &mut self,
        kernel: &Kernel<T>,
        rows: usize,
        len: usize,
        scale: f32,
        packing: &Packing,
        visible: impl Fn(usize) -> usize,
        keys: &[T],
        values: &[T],
    ) {
        let num_panels = len.div_ceil(kernel.cols);
        let queries = PackedRows { panels: &self.queries, rows };
        let stride = kernel.cols * packing.padded_dim;
        let keys = ColumnPanels { panels: keys, stride, count: num_panels };
        kernel.product(queries, keys, packing.padded_dim, &mut self.scores, false);
        let padded_len = num_panels * kernel.cols;
        pulp::Arch::new().dispatch(|| {
            for row in 0..rows {
                self.softmax_row(kernel.cols, row, visible(row), padded_len, scale);
            }
        });
        let padded_keys = kernel.padded_k(len);
        for (start, panel) in (0..rows)
            .step_by(kernel.rows)
            .zip(self.packed_weights.chunks_mut(kernel.rows * padded_keys))
        {
            let count = kernel.rows.min(rows - start);
            let source = &self.weights[start * KEY_BLOCK..][..(count - 1) * KEY_BLOCK + len];
            pack_rows(source, KEY_BLOCK, len, kernel.rows, kernel.row_group, panel);
        }
        let weights = PackedRows { panels: &self.packed_weights, rows };
        let stride = kernel.cols * packing.block_keys;
        let values = ColumnPanels { panels: values, stride, count: packing.value_len / stride };
        kernel.product(weights, values, padded_keys, &mut self.outputs, true);
    }

    /// Turns one row of scores into weights, and rescales what the row has gathered so far.
    #[inline(always)]
    fn softmax_row(
        &mut self,
        cols: usize,
        row: usize,
        visible: usize,
        padded_len: usize,
        scale: f32,
    ) {
        let weights = &mut self.weights[row * KEY_BLOCK..][..padded_len];
        if visible == 0 {
            weights.fill(T::default());
            return;
        }
        let tile_len = self.padded_rows * cols;
        let mut lanes = [f32::NEG_INFINITY; LANES];
        for (panel_idx, start) in (0..padded_len).step_by(cols).enumerate() {
            let scores = &mut self.scores[panel_idx * tile_len + row * cols..][..cols];
            let seen = visible.saturating_sub(start).min(cols);
            scores[seen..].fill(f32::NEG_INFINITY);
            for chunk in scores.chunks_exact_mut(LANES) {
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
            for (chunk, weights) in scores.chunks_exact(LANES).zip(weights.chunks_exact_mut(LANES))
            {
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
            for outputs in self.outputs.chunks_exact_mut(tile_len) {
                outputs[row * cols..][..cols].iter_mut().for_each(|output| *output *= rescale);
            }
        }
    }

    /// Writes the finished row `row` of the task.
    fn write_row(&self, kernel: &Kernel<T>, row: usize, out: &mut [T]) {
        let tile_len = self.padded_rows * kernel.cols;
        let normalize = self.sums[row].recip();
        for (panel_idx, out) in out.chunks_mut(kernel.cols).enumerate() {
            let outputs = &self.outputs[panel_idx * tile_len + row * kernel.cols..];
            for (out, output) in out.iter_mut().zip(outputs) {
                *out = T::from_f32(output * normalize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_along_the_path_and_whole_prefix_blocks_are_shared() {
        let segment = |queries: Range<usize>, keys: Vec<Range<usize>>| {
            let before = keys.iter().map(Range::len).sum::<usize>() - queries.len();
            Segment { queries, keys, visible: Visible::Causal { before } }
        };
        let one = |range: Range<usize>| std::iter::once(range).collect::<Vec<_>>();
        let layout = AttentionLayout::new(&[
            segment(0..500, one(0..500)),
            segment(500..600, vec![0..500, 500..600]),
            segment(600..700, vec![0..500, 600..700]),
        ]);
        assert_eq!(layout.blocks[0], one(0..384));
        assert_eq!(layout.blocks[1], one(384..500));
        assert_eq!(layout.segments[1].blocks, [0, 2]);
        assert_eq!(layout.blocks[2], one(384..600));
        assert_eq!(layout.blocks[3], [384..500, 600..700]);
    }
}
