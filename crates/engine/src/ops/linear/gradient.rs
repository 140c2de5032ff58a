//! Gradients of linear layers by the input, the weights and the biases.
//!
//! NUMERICS: operands have the weight's type, sums are f32. Rows of the input are summed upwards, whatever the number of
//! threads, in runs of fixed length that are then added to the gradient.

use super::Store;
use super::gated::GATE_GROUP;
use crate::device::Device;
use crate::matrix::{DType, Element, Matrix};
use crate::ops::weight::{Computed, Weight};
use crate::parallel::{SharedRows, Vectorized, vectorized};
use crate::parameters::{Gradients, Link, LowRank, ParameterId, Trainable};
use crate::product::driver::{Sink, multiply};
use crate::product::operand::{Columns, Operand};
use half::bf16;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of the input that one product sums over, so that the packed copies of a long input stay bounded.
const SUMMED_ROWS: usize = 2048;
/// Rows of a gradient that are summed before they are added to the gradient of a bias.
const BIAS_ROWS: usize = 128;
/// Columns of a gradient whose sums one task keeps.
const BIAS_COLS: usize = 256;

/// Where the outputs of a layer stand among the columns of its product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Output `i` is column `i`.
    Plain,
    /// Two layers of this width, groups of their columns alternating.
    Alternating { out_features: usize },
}

impl Order {
    fn column(self, output: usize) -> usize {
        match self {
            Self::Plain => output,
            Self::Alternating { out_features } => {
                let (layer, row) = (output / out_features, output % out_features);
                row / GATE_GROUP * 2 * GATE_GROUP + layer * GATE_GROUP + row % GATE_GROUP
            }
        }
    }
}

/// Panics where links do not fit a layer `[out, in]`.
pub(super) fn assert_links(links: &[Link], out_features: usize, in_features: usize) {
    let mut end = 0;
    for link in links {
        let outputs = &link.outputs;
        assert!(end <= outputs.start && outputs.start <= outputs.end, "links out of order");
        end = outputs.end;
        if let Some(Trainable::LowRank(low_rank)) = &link.weight {
            let rank = low_rank.a_value.rows();
            assert_eq!(low_rank.a_value.cols(), in_features, "the width of `a`");
            assert_eq!(low_rank.b_value.dims(), (outputs.len(), rank), "the shape of `b`");
        }
    }
    assert!(end <= out_features, "links to outputs that the layer does not have");
}

pub(super) fn is_trainable(links: &[Link]) -> bool {
    links.iter().any(|link| link.weight.is_some() || link.bias.is_some())
}

/// `dy · W`.
pub(super) fn input_gradient(device: &Device, weight: &Weight, dy: &Matrix) -> Matrix {
    fn store<T: Element>(device: &Device, weight: &Weight, dy: &Matrix) -> Matrix {
        let (packed, cols) = weight.dims();
        let mut out = Matrix::unspecified::<T>(dy.rows(), cols);
        let target = SharedRows::new(out.as_mut_slice::<T>(), cols);
        let sink = Store::<T, false> { target, cols, bias: None };
        weight.transposed_product(device, dy, 0..packed, &sink);
        out
    }
    match weight.dtype() {
        DType::F32 => store::<f32>(device, weight, dy),
        DType::Bf16 => store::<bf16>(device, weight, dy),
    }
}

/// Adds the gradients of everything that is linked.
///
/// # Shapes
/// `x`: `[rows, in]`; `dy`: `[rows, columns of the product]`, of the same type.
pub(super) fn add_parameter_gradients(
    device: &Device,
    order: Order,
    links: &[Link],
    x: &Matrix,
    dy: &Matrix,
    gradients: &mut Gradients,
) {
    if x.rows() == 0 || !is_trainable(links) {
        return;
    }
    match dy.dtype() {
        DType::F32 => of_links::<f32>(device, order, links, x, dy, gradients),
        DType::Bf16 => of_links::<bf16>(device, order, links, x, dy, gradients),
    }
}

fn of_links<T: Computed>(
    device: &Device,
    order: Order,
    links: &[Link],
    x: &Matrix,
    dy: &Matrix,
    gradients: &mut Gradients,
) {
    add_bias_gradients::<T>(device, order, links, dy, gradients);
    let runs = match order {
        Order::Plain => neighboring_runs(links),
        Order::Alternating { out_features } => {
            let covered = links.iter().all(|link| full_id(link).is_some())
                && links.iter().map(|link| link.outputs.len()).sum::<usize>() == 2 * out_features;
            let runs = neighboring_runs(links);
            if !covered || runs.len() > 1 {
                return of_gathered_links::<T>(device, order, links, x, dy, gradients);
            }
            runs
        }
    };
    for run in runs {
        let cols = match order {
            Order::Plain => run[0].outputs.start..run[run.len() - 1].outputs.end,
            Order::Alternating { .. } => 0..dy.cols(),
        };
        add_full::<T>(device, order, run, x, (dy, cols), gradients);
    }
    for link in links {
        if let Some(Trainable::LowRank(low_rank)) = &link.weight {
            add_low_rank::<T>(device, low_rank, x, (dy, link.outputs.clone()), gradients);
        }
    }
}

/// Brings the columns of each trained weight together first.
fn of_gathered_links<T: Computed>(
    device: &Device,
    order: Order,
    links: &[Link],
    x: &Matrix,
    dy: &Matrix,
    gradients: &mut Gradients,
) {
    for link in links.iter().filter(|link| link.weight.is_some()) {
        let gathered = gather_columns::<T>(device, order, link.outputs.clone(), dy);
        let outputs = 0..link.outputs.len();
        let link = Link { outputs, weight: link.weight.clone(), bias: None };
        of_links::<T>(device, Order::Plain, &[link], x, &gathered, gradients);
    }
}

/// The parameter of a weight whose every element is trained.
fn full_id(link: &Link) -> Option<ParameterId> {
    match link.weight {
        Some(Trainable::Full(id)) => Some(id),
        _ => None,
    }
}

/// Runs of links whose every element is trained and whose outputs are neighbors, of different parameters.
fn neighboring_runs(links: &[Link]) -> Vec<&[Link]> {
    let mut runs = Vec::new();
    let mut start = 0;
    for end in 1..=links.len() {
        let run = &links[start..end];
        let goes_on = links.get(end).is_some_and(|next| {
            next.outputs.start == run[run.len() - 1].outputs.end
                && full_id(next).is_some()
                && run.iter().all(|link| full_id(link).is_some() && full_id(link) != full_id(next))
        });
        if !goes_on {
            if full_id(&run[0]).is_some() {
                runs.push(run);
            }
            start = end;
        }
    }
    runs
}

/// `G[o, :] += Σ dy[row, o] · x[row, :]` for a run of links, in one product over `cols` of `dy`.
fn add_full<T: Computed>(
    device: &Device,
    order: Order,
    run: &[Link],
    x: &Matrix,
    (dy, cols): (&Matrix, Range<usize>),
    gradients: &mut Gradients,
) {
    let width = x.cols();
    let mut values: Vec<Option<&mut Matrix>> = gradients.all_dense_mut().collect();
    let mut targets = Vec::with_capacity(run.len());
    let mut places = vec![None; cols.len()];
    for (target, link) in run.iter().enumerate() {
        let id = full_id(link).expect("runs are of such links");
        let value = values[id.0].take().expect("the parameters of a run differ");
        assert_eq!(value.dims(), (link.outputs.len(), width), "the gradient's shape");
        targets.push(SharedRows::new(value.as_mut_slice::<f32>(), width));
        for output in link.outputs.clone() {
            let place = Place { target, row: output - link.outputs.start };
            places[order.column(output) - cols.start] = Some(place);
        }
    }
    let sink = AddScaled { targets, places, cols: width, scale: 1.0 };
    sum_over_rows::<T>(device, (dy, cols), (x, 0..width), &sink);
}

/// The gradients of `a` and `b` in `W + scale · b · a`, without that of the sum: `scale · dyᵀ · (x · aᵀ)` for `b` and
/// `scale · (dy · b)ᵀ · x` for `a`.
fn add_low_rank<T: Computed>(
    device: &Device,
    low_rank: &LowRank,
    x: &Matrix,
    (dy, cols): (&Matrix, Range<usize>),
    gradients: &mut Gradients,
) {
    let kernel = T::kernel(device.as_cpu());
    let rank = low_rank.a_value.rows();
    let (a, b) = (low_rank.a_value.cast(T::DTYPE), low_rank.b_value.cast(T::DTYPE));
    let product = |left: Operand<'_, T>, right: Operand<'_, T>| {
        let mut out = Matrix::unspecified::<T>(x.rows(), rank);
        let target = SharedRows::new(out.as_mut_slice::<T>(), rank);
        let sink = Store::<T, false> { target, cols: rank, bias: None };
        device.run(|| multiply(kernel, left, &Columns::Matrix(right), &sink));
        out
    };
    let width = x.cols();
    let inner = product(
        Operand::new(x.as_slice::<T>(), width, 0..width),
        Operand::new(a.as_slice::<T>(), width, 0..width),
    );
    let scale = low_rank.scale;
    let b_gradient = gradients.dense_mut(low_rank.b);
    add_product::<T>(device, (dy, cols.clone()), (&inner, 0..rank), b_gradient, scale);
    let inner_gradient = product(
        Operand::new(dy.as_slice::<T>(), dy.cols(), cols),
        Operand::transposed(b.as_slice::<T>(), rank, 0..rank),
    );
    let a_gradient = gradients.dense_mut(low_rank.a);
    add_product::<T>(device, (&inner_gradient, 0..rank), (x, 0..width), a_gradient, scale);
}

/// `target += scale · aᵀ · b` for columns of `a` and of `b`, summed over their rows.
///
/// # Shapes
/// `a`: `[rows, …]`; `b`: `[rows, …]`; `target`: f32 `[columns of a, columns of b]`.
fn add_product<T: Computed>(
    device: &Device,
    a: (&Matrix, Range<usize>),
    b: (&Matrix, Range<usize>),
    target: &mut Matrix,
    scale: f32,
) {
    let (rows, cols) = (a.1.len(), b.1.len());
    assert_eq!(target.dims(), (rows, cols), "the gradient's shape");
    let targets = vec![SharedRows::new(target.as_mut_slice::<f32>(), cols)];
    let places = (0..rows).map(|row| Some(Place { target: 0, row })).collect();
    sum_over_rows::<T>(device, a, b, &AddScaled { targets, places, cols, scale });
}

/// Adds `dyᵀ · x` to the rows of `target` from `first` on.
///
/// # Shapes
/// `dy`: `[rows, out]`, `x`: `[rows, in]`, of one type; `target`: f32 `[at least first + out, in]`.
pub(in crate::ops) fn add_rows(
    device: &Device,
    dy: &Matrix,
    x: &Matrix,
    target: &mut Matrix,
    first: usize,
) {
    let (out, cols) = (dy.cols(), x.cols());
    assert_eq!(target.cols(), cols, "the gradient's width");
    let targets = vec![SharedRows::new(target.as_mut_slice::<f32>(), cols)];
    let places = (first..first + out).map(|row| Some(Place { target: 0, row })).collect();
    let sink = AddScaled { targets, places, cols, scale: 1.0 };
    match dy.dtype() {
        DType::F32 => sum_over_rows::<f32>(device, (dy, 0..out), (x, 0..cols), &sink),
        DType::Bf16 => sum_over_rows::<bf16>(device, (dy, 0..out), (x, 0..cols), &sink),
    }
}

/// Gives `aᵀ · b` to a sink that adds, in runs of rows.
fn sum_over_rows<T: Computed>(
    device: &Device,
    (a, a_cols): (&Matrix, Range<usize>),
    (b, b_cols): (&Matrix, Range<usize>),
    sink: &impl Sink,
) {
    let kernel = T::kernel(device.as_cpu());
    let a_runs = a.as_slice::<T>().chunks(SUMMED_ROWS * a.cols());
    let b_runs = b.as_slice::<T>().chunks(SUMMED_ROWS * b.cols());
    for (a_values, b_values) in a_runs.zip(b_runs) {
        let left = Operand::transposed(a_values, a.cols(), a_cols.clone());
        let right = Columns::Matrix(Operand::transposed(b_values, b.cols(), b_cols.clone()));
        device.run(|| multiply(kernel, left, &right, sink));
    }
}

/// Adds the sums of `dy` over its rows to the gradients of biases.
fn add_bias_gradients<T: Element>(
    device: &Device,
    order: Order,
    links: &[Link],
    dy: &Matrix,
    gradients: &mut Gradients,
) {
    for link in links {
        let Some(id) = link.bias else { continue };
        let columns = link.outputs.clone().map(|output| order.column(output));
        let first = columns.clone().min().unwrap_or(0);
        let end = columns.clone().max().map_or(0, |last| last + 1);
        let sums = device.run(|| column_sums::<T>(dy, first..end));
        let gradient = gradients.dense_mut(id);
        assert_eq!(gradient.dims(), (1, link.outputs.len()), "the gradient's shape");
        for (gradient, column) in gradient.as_mut_slice::<f32>().iter_mut().zip(columns) {
            *gradient += sums[column - first];
        }
    }
}

fn column_sums<T: Element>(dy: &Matrix, cols: Range<usize>) -> Vec<f32> {
    let mut sums = vec![0.0; cols.len()];
    sums.par_chunks_mut(BIAS_COLS).enumerate().for_each(|(i, sums)| {
        let first = cols.start + i * BIAS_COLS;
        vectorized(ColumnSums { values: dy.as_slice::<T>(), stride: dy.cols(), first, sums });
    });
    sums
}

struct ColumnSums<'a, T> {
    values: &'a [T],
    stride: usize,
    first: usize,
    sums: &'a mut [f32],
}

impl<T: Element> Vectorized for ColumnSums<'_, T> {
    #[inline(always)]
    fn run(self) {
        for rows in self.values.chunks(BIAS_ROWS * self.stride) {
            let mut partial = [0.0_f32; BIAS_COLS];
            for row in rows.chunks_exact(self.stride) {
                let row = &row[self.first..][..self.sums.len()];
                for (partial, value) in partial.iter_mut().zip(row) {
                    *partial += value.to_f32();
                }
            }
            for (sum, partial) in self.sums.iter_mut().zip(&partial) {
                *sum += partial;
            }
        }
    }
}

/// The columns of some outputs side by side.
fn gather_columns<T: Element>(
    device: &Device,
    order: Order,
    outputs: Range<usize>,
    dy: &Matrix,
) -> Matrix {
    let columns: Vec<usize> = outputs.map(|output| order.column(output)).collect();
    let mut out = Matrix::unspecified::<T>(dy.rows(), columns.len());
    let rows = out.as_mut_slice::<T>().par_chunks_mut(columns.len());
    let rows = rows.zip(dy.as_slice::<T>().par_chunks(dy.cols()));
    device.run(|| {
        rows.for_each(|(out, row)| {
            for (out, column) in out.iter_mut().zip(&columns) {
                *out = row[*column];
            }
        });
    });
    out
}

/// Which gradient a row of the product belongs to, and its row there.
#[derive(Clone, Copy)]
struct Place {
    target: usize,
    row: usize,
}

/// Adds `scale ·` sums to the gradient that each row belongs to, if any.
struct AddScaled {
    targets: Vec<SharedRows<f32>>,
    places: Vec<Option<Place>>,
    cols: usize,
    scale: f32,
}

impl Sink for AddScaled {
    #[inline(always)]
    fn row(&self, row: usize, col: usize, sums: &[f32]) {
        let Some(Place { target, row }) = self.places[row] else { return };
        let sums = &sums[..sums.len().min(self.cols - col)];
        #[expect(unsafe_code, reason = "blocks of the driver are disjoint")]
        // SAFETY: the driver gives every (row, panel) once, places differ, and so do the targets, which are borrowed
        // for the whole product.
        let out = unsafe { self.targets[target].segment(row, col, sums.len()) };
        for (out, sum) in out.iter_mut().zip(sums) {
            *out += self.scale * sum;
        }
    }
}
