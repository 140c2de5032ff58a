//! Segment attention: softmax(q·kᵀ·scale)·v for whole images, windows and causal prefix trees, one code.
//!
//! Never holds a full score matrix: keys come in blocks of [`layout::KEY_BLOCK`], and each query keeps a running maximum,
//! sum and output (Milakov and Gimelshein 2018; Dao et al. 2022).
//!
//! NUMERICS: blocks are cut at multiples of `KEY_BLOCK` along a query's own path, from its first key. A row's
//! result depends on its path alone, not on how the path is split into shared segments.

mod gradient;
mod layout;
mod packing;
mod tile;

pub(crate) use gradient::{OutputGradient, attention_gradient, joint_attention_gradient};
pub use layout::{AttentionLayout, Segment, Visible};

use crate::device::{Cpu, Device};
use crate::matrix::{DType, Element, Matrix};
use crate::parallel::SharedRows;
use crate::product::Kernel;
use half::bf16;
use layout::PlannedSegment;
use packing::Packing;
use rayon::prelude::*;
use std::ops::Range;
use tile::Scratch;

/// Most queries of a task: a multiple of every kernel's panel height.
const QUERY_TILE: usize = 192;
/// Packed keys and values held at a time; heads are done in groups that fit.
const PACKED_BYTES: usize = 256 << 20;

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
/// result: `[query rows, num_heads · head_dim]` in that type.
///
/// # Panics
/// If the types differ, a segment leaves the matrices, or the segments do not cover every query.
pub fn attention(
    device: &Device,
    q: &Matrix,
    kv: &Matrix,
    heads: &Heads,
    layout: &AttentionLayout,
) -> Matrix {
    let inputs = Inputs { q, kv, heads, layout };
    let cpu = device.as_cpu();
    device.run(|| match q.dtype() {
        DType::F32 => attend::<f32>(cpu.f32_kernel(), cpu, &inputs, None),
        DType::Bf16 => attend::<bf16>(cpu.bf16_kernel(), cpu, &inputs, None),
    })
}

/// [`attention`], the same bits, and what its gradient needs besides: ln Σ exp of each query's scaled scores.
///
/// # Shapes
/// The logarithms: `[query rows, num_heads]`.
pub(crate) fn attention_keeping(
    device: &Device,
    q: &Matrix,
    kv: &Matrix,
    heads: &Heads,
    layout: &AttentionLayout,
) -> (Matrix, Vec<f32>) {
    let inputs = Inputs { q, kv, heads, layout };
    let mut log_sums = vec![0.0; q.rows() * heads.num_heads];
    let kept = SharedRows::new(&mut log_sums, heads.num_heads);
    let cpu = device.as_cpu();
    let out = device.run(|| match q.dtype() {
        DType::F32 => attend::<f32>(cpu.f32_kernel(), cpu, &inputs, Some(&kept)),
        DType::Bf16 => attend::<bf16>(cpu.bf16_kernel(), cpu, &inputs, Some(&kept)),
    });
    (out, log_sums)
}

/// What attention reads.
struct Inputs<'a> {
    q: &'a Matrix,
    kv: &'a Matrix,
    heads: &'a Heads,
    layout: &'a AttentionLayout,
}

/// Some queries of a segment, one head.
struct Task<'a> {
    segment: &'a PlannedSegment,
    queries: Range<usize>,
    head: usize,
}

fn attend<T: Element>(
    kernel: &Kernel<T>,
    cpu: &Cpu,
    inputs: &Inputs<'_>,
    log_sums: Option<&SharedRows<f32>>,
) -> Matrix {
    let &Inputs { q, kv, heads, layout } = inputs;
    assert_eq!(layout.num_queries, q.rows(), "the layout has another number of queries");
    let q_values = q.as_slice::<T>();
    let width = heads.num_heads * heads.head_dim;
    let mut out = Matrix::unspecified::<T>(q.rows(), width);
    let target = SharedRows::new(out.as_mut_slice::<T>(), width);
    let packing = Packing::new(kernel, heads, layout);
    let group = heads.num_heads / heads.num_key_value_heads;
    let heads_at_a_time =
        (PACKED_BYTES / packing.bytes_per_head(layout).max(1)).clamp(1, heads.num_key_value_heads);
    let tile_rows = tile_rows(kernel.rows, layout.num_queries * heads.num_heads, cpu.num_threads());

    for first_head in (0..heads.num_key_value_heads).step_by(heads_at_a_time) {
        let kv_heads = first_head..heads.num_key_value_heads.min(first_head + heads_at_a_time);
        let packed = packing.pack(kv, layout, kv_heads.clone());
        let q_heads = kv_heads.start * group..kv_heads.end * group;
        tasks(layout, q_heads, tile_rows).par_iter().for_each_init(
            || Scratch::<T>::new(kernel, heads.head_dim),
            |scratch, task| {
                let kv_head = task.head / group - kv_heads.start;
                let query_col = heads.query_col + task.head * heads.head_dim;
                kernel.session(|| {
                    scratch.load_queries(q_values, q.cols(), query_col, task);
                    for block in task.segment.blocks_seen(task.queries.end - 1) {
                        let (keys, values) = packed.block(block.index, kv_head);
                        scratch.add_block(keys, values, &packing, task, &block);
                    }
                });
                let out_col = task.head * heads.head_dim;
                for (i, row) in task.queries.clone().enumerate() {
                    #[expect(unsafe_code, reason = "tasks write disjoint rows and heads")]
                    // SAFETY: each (query, head) is in one task; `out` is borrowed until all have ended.
                    let out = unsafe { target.segment(row, out_col, heads.head_dim) };
                    scratch.write_row(i, out);
                    if let Some(log_sums) = log_sums {
                        #[expect(unsafe_code, reason = "tasks write disjoint rows and heads")]
                        // SAFETY: as above.
                        let kept = unsafe { log_sums.segment(row, task.head, 1) };
                        kept[0] = scratch.log_sum(i);
                    }
                }
            },
        );
    }
    out
}

/// Queries of a task: many for few repeated loads, fewer when there are not enough of them for every thread.
fn tile_rows(panel_rows: usize, num_query_heads: usize, num_threads: usize) -> usize {
    let fair_share = num_query_heads.div_ceil(4 * num_threads);
    QUERY_TILE.min(fair_share.next_multiple_of(panel_rows))
}

fn tasks(layout: &AttentionLayout, heads: Range<usize>, tile_rows: usize) -> Vec<Task<'_>> {
    let mut tasks = Vec::new();
    for segment in &layout.segments {
        for head in heads.clone() {
            for start in segment.queries.clone().step_by(tile_rows) {
                let queries = start..segment.queries.end.min(start + tile_rows);
                tasks.push(Task { segment, queries, head });
            }
        }
    }
    tasks
}
