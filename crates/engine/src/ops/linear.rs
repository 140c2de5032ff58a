//! Linear layers: `y = x · Wᵀ + b`, with what follows them folded into the store.

use crate::device::{Cpu, Device};
use crate::math;
use crate::matrix::{DType, Element, Matrix};
use crate::parallel::SharedRows;
use crate::product::Kernel;
use crate::product::driver::{PackedWeight, multiply};
use half::bf16;

/// Rows of a weight as a loader has them, in whatever type the file stores.
pub trait RowSource: Sync {
    /// `(rows, cols)`.
    fn dims(&self) -> (usize, usize);
    /// Writes one row as f32.
    fn read_f32(&self, row: usize, out: &mut [f32]);
    /// Writes one row as bf16.
    fn read_bf16(&self, row: usize, out: &mut [bf16]);
}

impl RowSource for Matrix {
    fn dims(&self) -> (usize, usize) {
        Matrix::dims(self)
    }

    fn read_f32(&self, row: usize, out: &mut [f32]) {
        read_matrix_row(self, row, out);
    }

    fn read_bf16(&self, row: usize, out: &mut [bf16]) {
        read_matrix_row(self, row, out);
    }
}

fn read_matrix_row<T: Element>(matrix: &Matrix, row: usize, out: &mut [T]) {
    let range = row * matrix.cols()..(row + 1) * matrix.cols();
    match matrix.dtype() {
        DType::F32 => convert(&matrix.as_slice::<f32>()[range], out),
        DType::Bf16 => convert(&matrix.as_slice::<bf16>()[range], out),
    }
}

fn convert<A: Element, B: Element>(from: &[A], to: &mut [B]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = B::from_f32(from.to_f32());
    }
}

/// An element type with its kernels and its way to read a [`RowSource`].
trait Operand: Element {
    fn kernel(cpu: &Cpu) -> &'static Kernel<Self>;
    fn read(source: &dyn RowSource, row: usize, out: &mut [Self]);
}

impl Operand for f32 {
    fn kernel(cpu: &Cpu) -> &'static Kernel<f32> {
        cpu.f32_kernel()
    }

    fn read(source: &dyn RowSource, row: usize, out: &mut [f32]) {
        source.read_f32(row, out);
    }
}

impl Operand for bf16 {
    fn kernel(cpu: &Cpu) -> &'static Kernel<bf16> {
        cpu.bf16_kernel()
    }

    fn read(source: &dyn RowSource, row: usize, out: &mut [bf16]) {
        source.read_bf16(row, out);
    }
}

#[derive(Debug)]
enum Weight {
    F32(PackedWeight<f32>),
    Bf16(PackedWeight<bf16>),
}

impl Weight {
    /// Packs `n` columns; `place(i)` says which source and which of its rows column `i` is, if any.
    fn pack(
        device: &Device,
        dtype: DType,
        sources: &[&dyn RowSource],
        n: usize,
        place: impl Fn(usize) -> Option<(usize, usize)> + Sync,
    ) -> Self {
        match dtype {
            DType::F32 => Self::F32(Self::pack_as(device, sources, n, place)),
            DType::Bf16 => Self::Bf16(Self::pack_as(device, sources, n, place)),
        }
    }

    fn pack_as<T: Operand>(
        device: &Device,
        sources: &[&dyn RowSource],
        n: usize,
        place: impl Fn(usize) -> Option<(usize, usize)> + Sync,
    ) -> PackedWeight<T> {
        let k = sources[0].dims().1;
        assert!(sources.iter().all(|source| source.dims().1 == k), "sources of different width");
        let kernel = T::kernel(device.as_cpu());
        device.run(|| {
            PackedWeight::pack(kernel, n, k, |i, out| match place(i) {
                Some((source, row)) => T::read(sources[source], row, out),
                None => out.fill(T::default()),
            })
        })
    }

    fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::Bf16(_) => DType::Bf16,
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::F32(weight) => weight.size_bytes(),
            Self::Bf16(weight) => weight.size_bytes(),
        }
    }
}

/// What happens to the sums of a product before they are stored.
#[derive(Clone, Copy)]
enum Finish {
    /// `y`
    Store,
    /// `gelu(y)`
    Gelu,
}

/// A linear layer with its weight packed for the device's kernels.
#[derive(Debug)]
pub struct Linear {
    weight: Weight,
    bias: Option<Vec<f32>>,
    out_features: usize,
}

impl Linear {
    /// Packs the rows of one or several weights, stacked, with their stacked bias.
    ///
    /// # Shapes
    /// `sources`: `[out_i, in]`; `bias`: `[Σ out_i]`.
    ///
    /// # Panics
    /// If the sources differ in width or the bias in length.
    pub fn new(
        device: &Device,
        dtype: DType,
        sources: &[&dyn RowSource],
        bias: Option<Vec<f32>>,
    ) -> Self {
        let places: Vec<(usize, usize)> = sources
            .iter()
            .enumerate()
            .flat_map(|(source, rows)| (0..rows.dims().0).map(move |row| (source, row)))
            .collect();
        let out_features = places.len();
        if let Some(bias) = &bias {
            assert_eq!(bias.len(), out_features, "the bias has another length than the weight");
        }
        let weight = Weight::pack(device, dtype, sources, out_features, |i| Some(places[i]));
        Self { weight, bias, out_features }
    }

    /// Storage type of the weight, which is the type of the inputs it takes.
    pub fn dtype(&self) -> DType {
        self.weight.dtype()
    }

    /// Width of the result.
    pub fn out_features(&self) -> usize {
        self.out_features
    }

    /// Size of the packed weight in memory.
    pub fn size_bytes(&self) -> usize {
        self.weight.size_bytes()
    }

    /// `y = x · Wᵀ + b`, rounded once to the weight's type.
    ///
    /// # Shapes
    /// `x`: `[rows, in]` in the weight's type; result: `[rows, out]`.
    ///
    /// # Panics
    /// If `x` has another type or width.
    pub fn forward(&self, device: &Device, x: &Matrix) -> Matrix {
        self.dispatch(device, x, Finish::Store)
    }

    /// `gelu(x · Wᵀ + b)` with the exact error function; otherwise as [`Self::forward`].
    pub fn forward_gelu(&self, device: &Device, x: &Matrix) -> Matrix {
        self.dispatch(device, x, Finish::Gelu)
    }

    /// `residual += x · Wᵀ + b`, the residual staying f32.
    ///
    /// # Shapes
    /// `x`: `[rows, in]` in the weight's type; `residual`: f32 `[rows, out]`.
    ///
    /// # Panics
    /// If types or shapes differ.
    pub fn forward_add(&self, device: &Device, x: &Matrix, residual: &mut Matrix) {
        assert_eq!(residual.dims(), (x.rows(), self.out_features), "the residual's shape");
        let cols = self.out_features;
        let target = SharedRows::new(residual.as_mut_slice::<f32>(), cols);
        self.product(device, x, |row, col, sums| {
            #[expect(unsafe_code, reason = "blocks of the driver are disjoint")]
            // SAFETY: the driver gives every (row, panel) once; `residual` is borrowed for the whole call.
            let out = unsafe { target.segment(row, col, sums.len()) };
            match &self.bias {
                Some(bias) => {
                    let bias = &bias[col..][..sums.len()];
                    for ((out, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
                        *out += sum + bias;
                    }
                }
                None => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
            }
        });
    }

    fn dispatch(&self, device: &Device, x: &Matrix, finish: Finish) -> Matrix {
        match self.dtype() {
            DType::F32 => self.store::<f32>(device, x, finish),
            DType::Bf16 => self.store::<bf16>(device, x, finish),
        }
    }

    fn store<T: Operand>(&self, device: &Device, x: &Matrix, finish: Finish) -> Matrix {
        let cols = self.out_features;
        let mut out = vec![T::default(); x.rows() * cols];
        let target = SharedRows::new(&mut out, cols);
        self.product(device, x, |row, col, sums| {
            #[expect(unsafe_code, reason = "blocks of the driver are disjoint")]
            // SAFETY: the driver gives every (row, panel) once; `out` is borrowed for the whole call.
            let out = unsafe { target.segment(row, col, sums.len()) };
            let bias = self.bias.as_ref().map(|bias| &bias[col..][..sums.len()]);
            match finish {
                Finish::Store => store_row(sums, bias, out, |y| y),
                Finish::Gelu => store_row(sums, bias, out, math::gelu),
            }
        });
        Matrix::from_vec(x.rows(), cols, out)
    }

    /// Calls `row(row_idx, first_col, sums)` for every row of every panel, the panel cut to the real columns.
    fn product(&self, device: &Device, x: &Matrix, row: impl Fn(usize, usize, &[f32]) + Sync) {
        product(device, &self.weight, x, |row_idx, col, sums| {
            row(row_idx, col, &sums[..sums.len().min(self.out_features - col)]);
        });
    }
}

#[inline(always)]
fn store_row<T: Element>(
    sums: &[f32],
    bias: Option<&[f32]>,
    out: &mut [T],
    function: impl Fn(f32) -> f32,
) {
    match bias {
        Some(bias) => {
            for ((out, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
                *out = T::from_f32(function(sum + bias));
            }
        }
        None => {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = T::from_f32(function(*sum));
            }
        }
    }
}

/// Runs the product on the device's threads and hands out whole panel rows.
fn product(
    device: &Device,
    weight: &Weight,
    x: &Matrix,
    row: impl Fn(usize, usize, &[f32]) + Sync,
) {
    match weight {
        Weight::F32(weight) => product_as(device, weight, x, row),
        Weight::Bf16(weight) => product_as(device, weight, x, row),
    }
}

fn product_as<T: Operand>(
    device: &Device,
    weight: &PackedWeight<T>,
    x: &Matrix,
    row: impl Fn(usize, usize, &[f32]) + Sync,
) {
    let kernel = T::kernel(device.as_cpu());
    device.run(|| {
        multiply(kernel, x.as_slice::<T>(), weight, |rows, col, sums| {
            pulp::Arch::new().dispatch(|| {
                for (row_idx, sums) in rows.clone().zip(sums.chunks_exact(kernel.cols)) {
                    row(row_idx, col, sums);
                }
            });
        });
    });
}

/// Columns of gate and of up that alternate inside a panel; divides the panel width of every kernel by two.
const GATE_GROUP: usize = 16;

/// The two linear layers of a SwiGLU block, packed together so that the product is stored already gated.
#[derive(Debug)]
pub struct GatedLinear {
    weight: Weight,
    /// In packed order.
    bias: Option<Vec<f32>>,
    out_features: usize,
}

impl GatedLinear {
    /// Packs `gate` and `up`, groups of their columns alternating.
    ///
    /// # Shapes
    /// `gate`, `up`: `[out, in]`; biases: `[out]`, both or none.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn new(
        device: &Device,
        dtype: DType,
        gate: &dyn RowSource,
        up: &dyn RowSource,
        biases: Option<(&[f32], &[f32])>,
    ) -> Self {
        assert_eq!(gate.dims(), up.dims(), "gate and up differ in shape");
        let out_features = gate.dims().0;
        let n = out_features.next_multiple_of(GATE_GROUP) * 2;
        let place = |i: usize| {
            let row = i / (2 * GATE_GROUP) * GATE_GROUP + i % GATE_GROUP;
            (row < out_features).then_some((i / GATE_GROUP % 2, row))
        };
        let bias = biases.map(|(gate, up)| {
            let value = |i| {
                place(i).map_or(0.0, |(which, row)| if which == 0 { gate[row] } else { up[row] })
            };
            (0..n).map(value).collect()
        });
        let weight = Weight::pack(device, dtype, &[gate, up], n, place);
        Self { weight, bias, out_features }
    }

    /// Size of the packed weight in memory.
    pub fn size_bytes(&self) -> usize {
        self.weight.size_bytes()
    }

    /// `silu(x · Gᵀ + g) ⊙ (x · Uᵀ + u)`, rounded once to the weight's type.
    ///
    /// # Shapes
    /// `x`: `[rows, in]` in the weight's type; result: `[rows, out]`.
    ///
    /// # Source
    /// Shazeer 2020, *GLU Variants Improve Transformer*.
    ///
    /// # Panics
    /// If `x` has another type or width.
    pub fn forward(&self, device: &Device, x: &Matrix) -> Matrix {
        match self.weight.dtype() {
            DType::F32 => self.store::<f32>(device, x),
            DType::Bf16 => self.store::<bf16>(device, x),
        }
    }

    fn store<T: Operand>(&self, device: &Device, x: &Matrix) -> Matrix {
        let cols = self.out_features;
        let mut out = vec![T::default(); x.rows() * cols];
        let target = SharedRows::new(&mut out, cols);
        product(device, &self.weight, x, |row, col, sums| {
            for (i, pair) in sums.chunks_exact(2 * GATE_GROUP).enumerate() {
                let packed = col + i * 2 * GATE_GROUP;
                let first = packed / 2;
                if first >= cols {
                    break;
                }
                #[expect(unsafe_code, reason = "blocks of the driver are disjoint")]
                // SAFETY: the driver gives every (row, panel) once; `out` is borrowed for the whole call.
                let out = unsafe { target.segment(row, first, GATE_GROUP.min(cols - first)) };
                let bias = self.bias.as_ref().map(|bias| &bias[packed..][..2 * GATE_GROUP]);
                gate_group(pair, bias, out);
            }
        });
        Matrix::from_vec(x.rows(), cols, out)
    }
}

#[inline(always)]
fn gate_group<T: Element>(sums: &[f32], bias: Option<&[f32]>, out: &mut [T]) {
    let mut values = [0.0_f32; 2 * GATE_GROUP];
    values.copy_from_slice(sums);
    if let Some(bias) = bias {
        values.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
    }
    let mut gated = [0.0_f32; GATE_GROUP];
    for (i, gated) in gated.iter_mut().enumerate() {
        *gated = math::silu(values[i]) * values[GATE_GROUP + i];
    }
    for (out, gated) in out.iter_mut().zip(gated) {
        *out = T::from_f32(gated);
    }
}
