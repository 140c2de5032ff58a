//! The gradient of segment attention: from that of its output to those of queries, keys and values.
//!
//! Weights are not kept by the forward pass: they are computed again from the scores and the sums that
//! [`super::attention_keeping`] leaves, tile by tile, so that no full score matrix exists here either.
//!
//! NUMERICS: gradients of keys and values are gathered for each query head on its own, in the order of its queries,
//! and then added in the order of the heads: the same bits for any number of threads. Unlike the forward pass, the order
//! depends on the layout.
//!
//! Source: Dao et al. 2022, the backward pass of the appendix.

mod packing;
pub(super) mod plan;
#[cfg(test)]
mod tests;
mod tile;

use super::{AttentionLayout, Heads};
use crate::device::Device;
use crate::matrix::{DType, Element, Matrix};
use crate::parallel::SharedRows;
use crate::product::Kernel;
use half::bf16;
use packing::{PackedTiles, Rows};
use plan::{Component, Plan};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tile::{KeySums, QuerySource, Scratch};

/// Most queries of a tile. Fewer than in the forward pass: a tile computes the whole square around the diagonal of a
/// causal segment, and takes more memory here.
const QUERY_TILE: usize = 128;

/// What attention returned, and the gradient of it.
#[derive(Clone, Copy)]
pub(crate) struct OutputGradient<'a> {
    /// `[query rows, num_heads · head_dim]`.
    pub(crate) out: &'a Matrix,
    /// `[query rows, num_heads]`, from [`super::attention_keeping`].
    pub(crate) log_sums: &'a [f32],
    /// Shape and type of `out`.
    pub(crate) d_out: &'a Matrix,
}

/// Gradients `(dq, dkv)` of attention where queries stand apart from keys and values.
///
/// # Shapes
/// `dq` and `dkv` have the shapes and the type of `q` and `kv`; zero where no head and no segment reads.
///
/// # Panics
/// If types or shapes do not fit each other, or heads overlap.
pub(crate) fn attention_gradient(
    device: &Device,
    q: &Matrix,
    kv: &Matrix,
    given: &OutputGradient<'_>,
    heads: &Heads,
    layout: &AttentionLayout,
) -> (Matrix, Matrix) {
    let cpu = device.as_cpu();
    device.run(|| match q.dtype() {
        DType::F32 => apart::<f32>(cpu.f32_kernel(), q, kv, given, heads, layout),
        DType::Bf16 => apart::<bf16>(cpu.bf16_kernel(), q, kv, given, heads, layout),
    })
}

/// The gradient of attention where queries, keys and values stand in one matrix, as in the vision tower.
///
/// # Shapes
/// That of `qkv`; zero where no head and no segment reads.
///
/// # Panics
/// If types or shapes do not fit each other, or heads overlap.
pub(crate) fn joint_attention_gradient(
    device: &Device,
    qkv: &Matrix,
    given: &OutputGradient<'_>,
    heads: &Heads,
    layout: &AttentionLayout,
) -> Matrix {
    let cpu = device.as_cpu();
    device.run(|| match qkv.dtype() {
        DType::F32 => joint::<f32>(cpu.f32_kernel(), qkv, given, heads, layout),
        DType::Bf16 => joint::<bf16>(cpu.bf16_kernel(), qkv, given, heads, layout),
    })
}

fn apart<T: Element>(
    kernel: &Kernel<T>,
    q: &Matrix,
    kv: &Matrix,
    given: &OutputGradient<'_>,
    heads: &Heads,
    layout: &AttentionLayout,
) -> (Matrix, Matrix) {
    let plan = layout.gradient_plan();
    let mut d_q = target::<T>(q, q.rows(), &[heads.queries()]);
    let mut d_kv = target::<T>(kv, plan.num_keys, &[heads.keys(), heads.values()]);
    let (q_cols, kv_cols) = (q.cols(), kv.cols());
    let backward = Backward {
        kernel,
        heads,
        layout,
        plan,
        source: source(q, given, heads, layout),
        kv: Rows { values: kv.as_slice::<T>(), stride: kv_cols },
        d_q: &SharedRows::new(d_q.as_mut_slice::<T>(), q_cols),
        d_kv: &SharedRows::new(d_kv.as_mut_slice::<T>(), kv_cols),
        scratches: Mutex::default(),
    };
    backward.run();
    (d_q, d_kv)
}

fn joint<T: Element>(
    kernel: &Kernel<T>,
    qkv: &Matrix,
    given: &OutputGradient<'_>,
    heads: &Heads,
    layout: &AttentionLayout,
) -> Matrix {
    let plan = layout.gradient_plan();
    let columns = [heads.queries(), heads.keys(), heads.values()];
    let mut d_qkv = target::<T>(qkv, plan.num_keys, &columns);
    let shared = SharedRows::new(d_qkv.as_mut_slice::<T>(), qkv.cols());
    let backward = Backward {
        kernel,
        heads,
        layout,
        plan,
        source: source(qkv, given, heads, layout),
        kv: Rows { values: qkv.as_slice::<T>(), stride: qkv.cols() },
        d_q: &shared,
        d_kv: &shared,
        scratches: Mutex::default(),
    };
    backward.run();
    d_qkv
}

impl Heads {
    fn queries(&self) -> Range<usize> {
        self.query_col..self.query_col + self.num_heads * self.head_dim
    }

    fn keys(&self) -> Range<usize> {
        self.key_col..self.key_col + self.num_key_value_heads * self.head_dim
    }

    fn values(&self) -> Range<usize> {
        self.value_col..self.value_col + self.num_key_value_heads * self.head_dim
    }
}

/// Memory for the gradient of `input`, `written_rows` of whose rows will be written in `columns`; zeros unless that is all.
///
/// # Panics
/// If columns overlap, or leave the matrix: several threads write to it.
fn target<T: Element>(input: &Matrix, written_rows: usize, columns: &[Range<usize>]) -> Matrix {
    let mut columns = columns.to_vec();
    columns.sort_unstable_by_key(|columns| columns.start);
    assert!(columns.windows(2).all(|pair| pair[0].end <= pair[1].start), "heads overlap");
    assert!(columns.iter().all(|columns| columns.end <= input.cols()), "heads leave the matrix");
    let written_cols: usize = columns.iter().map(Range::len).sum();
    if written_rows == input.rows() && written_cols == input.cols() {
        Matrix::unspecified::<T>(input.rows(), input.cols())
    } else {
        Matrix::zeros(input.rows(), input.cols(), T::DTYPE)
    }
}

fn source<'a, T: Element>(
    q: &'a Matrix,
    given: &OutputGradient<'a>,
    heads: &Heads,
    layout: &AttentionLayout,
) -> QuerySource<'a, T> {
    let width = heads.num_heads * heads.head_dim;
    assert_eq!(layout.num_queries, q.rows(), "the layout has another number of queries");
    assert_eq!(given.out.dims(), (q.rows(), width), "this is not the output of these queries");
    assert_eq!(given.d_out.dims(), given.out.dims(), "a gradient has the shape of its value");
    assert_eq!(given.log_sums.len(), q.rows() * heads.num_heads, "a sum for each query and head");
    QuerySource {
        q: Rows { values: q.as_slice::<T>(), stride: q.cols() },
        out: Rows { values: given.out.as_slice::<T>(), stride: width },
        d_out: Rows { values: given.d_out.as_slice::<T>(), stride: width },
        log_sums: Rows { values: given.log_sums, stride: heads.num_heads },
    }
}

/// One run, of one layer.
struct Backward<'a, T: Element> {
    kernel: &'a Kernel<T>,
    heads: &'a Heads,
    layout: &'a AttentionLayout,
    plan: &'a Plan,
    source: QuerySource<'a, T>,
    kv: Rows<'a, T>,
    d_q: &'a SharedRows<T>,
    d_kv: &'a SharedRows<T>,
    /// Working memories that no thread uses at the moment.
    scratches: Mutex<Vec<Scratch<'a, T>>>,
}

impl<'a, T: Element> Backward<'a, T> {
    fn run(&self) {
        let num_heads = self.heads.num_key_value_heads;
        (0..self.plan.components.len() * num_heads).into_par_iter().for_each(|unit| {
            let component = &self.plan.components[unit / num_heads];
            self.run_keys(component, unit % num_heads);
        });
    }

    /// All that a key/value head of a component takes part in.
    fn run_keys(&self, component: &Component, kv_head: usize) {
        let keys = PackedTiles::new(self.kernel, self.kv, self.heads, component, kv_head);
        let group = self.heads.num_heads / self.heads.num_key_value_heads;
        let mut sums: Vec<KeySums> = (kv_head * group..(kv_head + 1) * group)
            .into_par_iter()
            .map(|head| self.run_queries(component, &keys, head))
            .collect();
        let (sum, others) = sums.split_first_mut().expect("a key head serves a query head");
        for other in others {
            sum.add(other);
        }
        self.write_keys(component, &keys, kv_head, sum);
    }

    /// Writes the gradient of a query head's queries, and returns what the head gives its keys.
    fn run_queries(
        &self,
        component: &Component,
        keys: &PackedTiles<'_, T>,
        head: usize,
    ) -> KeySums {
        let (kernel, dim) = (self.kernel, self.heads.head_dim);
        let query_col = self.heads.query_col + head * dim;
        let mut sums = KeySums::zeros(kernel, dim, keys.num_panels());
        let waiting = self.lock_scratches().pop();
        let mut scratch = waiting.unwrap_or_else(|| Scratch::new(kernel, dim));
        kernel.session(|| {
            for tile in &component.query_tiles {
                let segment = &self.layout.segments[tile.segment];
                scratch.load(&self.source, tile, head, query_col);
                for seen in &tile.seen {
                    scratch.add_tile(keys, seen, tile, segment, &mut sums);
                }
                for (i, row) in tile.queries.clone().enumerate() {
                    #[expect(unsafe_code, reason = "heads and components have their own places")]
                    // SAFETY: each (query, head) is written once; the columns of the heads are disjoint, also from
                    // those of keys and values (`target`), and the matrix is borrowed until all have ended.
                    let out = unsafe { self.d_q.segment(row, query_col, dim) };
                    scratch.write_row(i, out);
                }
            }
        });
        self.lock_scratches().push(scratch);
        sums
    }

    fn lock_scratches(&self) -> MutexGuard<'_, Vec<Scratch<'a, T>>> {
        self.scratches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_keys(
        &self,
        component: &Component,
        keys: &PackedTiles<'_, T>,
        kv_head: usize,
        sums: &KeySums,
    ) {
        let (cols, dim) = (self.kernel.cols, self.heads.head_dim);
        let key_col = self.heads.key_col + kv_head * dim;
        let value_col = self.heads.value_col + kv_head * dim;
        for (tile_idx, tile) in component.key_tiles.iter().enumerate() {
            for (place, row) in tile.clone().enumerate() {
                let (panel, col) = (keys.first_panel(tile_idx) + place / cols, place % cols);
                for (first_col, sums) in
                    [(key_col, sums.keys(panel)), (value_col, sums.values(panel))]
                {
                    #[expect(unsafe_code, reason = "heads and components have their own places")]
                    // SAFETY: as for the queries; components have no keys in common.
                    let out = unsafe { self.d_kv.segment(row, first_col, dim) };
                    for (out, sum) in out.iter_mut().zip(sums[col..].iter().step_by(cols)) {
                        *out = T::from_f32(*sum);
                    }
                }
            }
        }
    }
}
