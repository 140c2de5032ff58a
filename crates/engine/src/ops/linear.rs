//! Linear layers: `y = x · Wᵀ + b`, with what follows them folded into the store.

use super::weight::{RowSource, Weight};
use crate::device::Device;
use crate::math;
use crate::matrix::{DType, Element, Matrix};
use crate::parallel::SharedRows;
use crate::product::driver::Sink;
use half::bf16;

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
        match self.dtype() {
            DType::F32 => self.store::<f32, false>(device, x),
            DType::Bf16 => self.store::<bf16, false>(device, x),
        }
    }

    /// `gelu(x · Wᵀ + b)` with the exact error function; otherwise as [`Self::forward`].
    pub fn forward_gelu(&self, device: &Device, x: &Matrix) -> Matrix {
        match self.dtype() {
            DType::F32 => self.store::<f32, true>(device, x),
            DType::Bf16 => self.store::<bf16, true>(device, x),
        }
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
        self.weight.product(device, x, &Add { target, cols, bias: self.bias.as_deref() });
    }

    fn store<T: Element, const GELU: bool>(&self, device: &Device, x: &Matrix) -> Matrix {
        let cols = self.out_features;
        let mut out = Matrix::unspecified::<T>(x.rows(), cols);
        let target = SharedRows::new(out.as_mut_slice::<T>(), cols);
        let bias = self.bias.as_deref();
        self.weight.product(device, x, &Store::<T, GELU> { target, cols, bias });
        out
    }
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
            let value = |(source, row)| if source == 0 { gate[row] } else { up[row] };
            (0..n).map(|i| place(i).map_or(0.0, value)).collect()
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

    fn store<T: Element>(&self, device: &Device, x: &Matrix) -> Matrix {
        let cols = self.out_features;
        let mut out = Matrix::unspecified::<T>(x.rows(), cols);
        let target = SharedRows::new(out.as_mut_slice::<T>(), cols);
        self.weight.product(device, x, &Gate { target, cols, bias: self.bias.as_deref() });
        out
    }
}

/// Stores `y`, or `gelu(y)`.
struct Store<'a, T, const GELU: bool> {
    target: SharedRows<T>,
    cols: usize,
    bias: Option<&'a [f32]>,
}

impl<T: Element, const GELU: bool> Sink for Store<'_, T, GELU> {
    #[inline(always)]
    fn row(&self, row: usize, col: usize, sums: &[f32]) {
        let sums = &sums[..sums.len().min(self.cols - col)];
        #[expect(unsafe_code, reason = "blocks of the driver are disjoint")]
        // SAFETY: the driver gives every (row, panel) once; the matrix is borrowed for the whole product.
        let out = unsafe { self.target.segment(row, col, sums.len()) };
        let finish = |y: f32| T::from_f32(if GELU { math::gelu(y) } else { y });
        if let Some(bias) = self.bias {
            for ((out, sum), bias) in out.iter_mut().zip(sums).zip(&bias[col..]) {
                *out = finish(sum + bias);
            }
        } else {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = finish(*sum);
            }
        }
    }
}

/// Adds `y` to what is there.
struct Add<'a> {
    target: SharedRows<f32>,
    cols: usize,
    bias: Option<&'a [f32]>,
}

impl Sink for Add<'_> {
    #[inline(always)]
    fn row(&self, row: usize, col: usize, sums: &[f32]) {
        let sums = &sums[..sums.len().min(self.cols - col)];
        #[expect(unsafe_code, reason = "blocks of the driver are disjoint")]
        // SAFETY: the driver gives every (row, panel) once; the matrix is borrowed for the whole product.
        let out = unsafe { self.target.segment(row, col, sums.len()) };
        if let Some(bias) = self.bias {
            for ((out, sum), bias) in out.iter_mut().zip(sums).zip(&bias[col..]) {
                *out += sum + bias;
            }
        } else {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out += sum;
            }
        }
    }
}

/// Stores `silu(gate) · up` of columns that alternate in groups.
struct Gate<'a, T> {
    target: SharedRows<T>,
    cols: usize,
    bias: Option<&'a [f32]>,
}

impl<T: Element> Sink for Gate<'_, T> {
    #[inline(always)]
    fn row(&self, row: usize, col: usize, sums: &[f32]) {
        for (i, sums) in sums.as_chunks::<{ 2 * GATE_GROUP }>().0.iter().enumerate() {
            let packed = col + i * 2 * GATE_GROUP;
            let first = packed / 2;
            if first >= self.cols {
                return;
            }
            let mut values = *sums;
            if let Some(bias) = self.bias {
                for (value, bias) in values.iter_mut().zip(&bias[packed..]) {
                    *value += bias;
                }
            }
            let mut gated = [T::default(); GATE_GROUP];
            for (i, gated) in gated.iter_mut().enumerate() {
                *gated = T::from_f32(math::silu(values[i]) * values[GATE_GROUP + i]);
            }
            let len = GATE_GROUP.min(self.cols - first);
            #[expect(unsafe_code, reason = "blocks of the driver are disjoint")]
            // SAFETY: the driver gives every (row, panel) once; the matrix is borrowed for the whole product.
            let out = unsafe { self.target.segment(row, first, len) };
            out.copy_from_slice(&gated[..len]);
        }
    }
}
