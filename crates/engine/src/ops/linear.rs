//! Linear layers: `y = x · Wᵀ + b`, with what follows them folded into the store, and their gradients.
//!
//! A layer keeps nothing of a forward pass: what a gradient needs of it is handed in again.

mod gated;
mod gradient;

use super::weight::{RowSource, Weight};
use crate::device::Device;
use crate::math;
use crate::matrix::{DType, Element, Matrix};
use crate::parallel::{RowWork, SharedRows, for_each_row};
use crate::parameters::{Gradients, Link};
use crate::product::driver::Sink;
use half::bf16;

pub use gated::GatedLinear;
pub(super) use gradient::add_rows;
use gradient::{Order, add_parameter_gradients, assert_links, input_gradient, is_trainable};

/// A linear layer with its weight packed for the device's kernels.
#[derive(Debug)]
pub struct Linear {
    weight: Weight,
    bias: Option<Vec<f32>>,
    out_features: usize,
    links: Vec<Link>,
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
        let places = stacked_places(sources);
        let out_features = places.len();
        if let Some(bias) = &bias {
            assert_eq!(bias.len(), out_features, "the bias has another length than the weight");
        }
        let weight = Weight::pack(device, dtype, sources, out_features, |i| Some(places[i]));
        Self { weight, bias, out_features, links: Vec::new() }
    }

    /// Packs other values into the memory of the layer, as an optimizer's step asks for.
    ///
    /// # Shapes
    /// As [`Self::new`], and the same as there.
    ///
    /// # Panics
    /// If a shape is not that of the layer, or there is a bias now and was none, or the reverse.
    pub fn repack(&mut self, device: &Device, sources: &[&dyn RowSource], bias: Option<Vec<f32>>) {
        let places = stacked_places(sources);
        assert_eq!(places.len(), self.out_features, "the weight has another number of rows");
        let len = |bias: &Option<Vec<f32>>| bias.as_ref().map(Vec::len);
        assert_eq!(len(&bias), len(&self.bias), "the bias has another length");
        self.weight.repack(device, sources, |i| Some(places[i]));
        self.bias = bias;
    }

    /// Says which parameters the layer's outputs belong to; what no link names is frozen.
    ///
    /// # Panics
    /// If the links are not in the order of their outputs, or a shape is not that of the layer.
    pub fn set_links(&mut self, links: Vec<Link>) {
        assert_links(&links, self.out_features, self.weight.dims().1);
        self.links = links;
    }

    /// The links as they were set; none at first.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Whether any weight or bias of the layer is trained.
    pub fn is_trainable(&self) -> bool {
        is_trainable(&self.links)
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

    /// As [`Self::forward_gelu`], and the sums with their bias before the activation, for [`Self::gelu_gradient`].
    ///
    /// # Shapes
    /// Both results: `[rows, out]` in the weight's type.
    pub fn forward_gelu_keeping(&self, device: &Device, x: &Matrix) -> (Matrix, Matrix) {
        match self.dtype() {
            DType::F32 => self.store_gelu_keeping::<f32>(device, x),
            DType::Bf16 => self.store_gelu_keeping::<bf16>(device, x),
        }
    }

    fn store_gelu_keeping<T: Element>(&self, device: &Device, x: &Matrix) -> (Matrix, Matrix) {
        let cols = self.out_features;
        let mut out = Matrix::unspecified::<T>(x.rows(), cols);
        let mut before = Matrix::unspecified::<T>(x.rows(), cols);
        let sink = StoreGeluKeeping {
            target: SharedRows::new(out.as_mut_slice::<T>(), cols),
            before: SharedRows::new(before.as_mut_slice::<T>(), cols),
            cols,
            bias: self.bias.as_deref(),
        };
        self.weight.product(device, x, &sink);
        (out, before)
    }

    /// The gradient of the sums, given that of their `gelu`: `gelu'(before) ⊙ dy`.
    ///
    /// # Shapes
    /// All `[rows, out]` in the weight's type.
    ///
    /// # Panics
    /// If types or shapes differ.
    pub fn gelu_gradient(&self, device: &Device, before: &Matrix, dy: &Matrix) -> Matrix {
        assert_eq!(before.dims(), dy.dims(), "the gradient's shape");
        match self.dtype() {
            DType::F32 => gelu_gradient::<f32>(device, before, dy),
            DType::Bf16 => gelu_gradient::<bf16>(device, before, dy),
        }
    }

    /// The gradient of the input: `dy · W`, rounded once to the weight's type.
    ///
    /// # Shapes
    /// `dy`: `[rows, out]` in the weight's type; result: `[rows, in]`.
    ///
    /// # Panics
    /// If `dy` has another type or width.
    pub fn input_gradient(&self, device: &Device, dy: &Matrix) -> Matrix {
        input_gradient(device, &self.weight, dy)
    }

    /// Adds the gradients of the linked weights and biases, in f32. What is frozen costs nothing.
    ///
    /// # Shapes
    /// `x`: `[rows, in]`, `dy`: `[rows, out]`, both in the weight's type.
    ///
    /// # Panics
    /// If types or shapes differ, or `gradients` has other shapes than the links.
    pub fn parameter_gradients(
        &self,
        device: &Device,
        x: &Matrix,
        dy: &Matrix,
        gradients: &mut Gradients,
    ) {
        assert_eq!(x.cols(), self.weight.dims().1, "the input's width");
        assert_eq!(dy.dims(), (x.rows(), self.out_features), "the gradient's shape");
        add_parameter_gradients(device, Order::Plain, &self.links, x, dy, gradients);
    }
}

/// Source and row of each output.
fn stacked_places(sources: &[&dyn RowSource]) -> Vec<(usize, usize)> {
    sources
        .iter()
        .enumerate()
        .flat_map(|(source, rows)| (0..rows.dims().0).map(move |row| (source, row)))
        .collect()
}

fn gelu_gradient<T: Element>(device: &Device, before: &Matrix, dy: &Matrix) -> Matrix {
    struct Work<'a, T> {
        before: &'a [T],
        dy: &'a [T],
    }

    impl<T: Element> RowWork<T> for Work<'_, T> {
        #[inline(always)]
        fn row(&self, row_idx: usize, row: &mut [T]) {
            let range = row_idx * row.len()..(row_idx + 1) * row.len();
            let (before, dy) = (&self.before[range.clone()], &self.dy[range]);
            for ((out, before), dy) in row.iter_mut().zip(before).zip(dy) {
                *out = T::from_f32(math::gelu_derivative(before.to_f32()) * dy.to_f32());
            }
        }
    }

    let (rows, cols) = dy.dims();
    let mut out = Matrix::unspecified::<T>(rows, cols);
    let work = Work { before: before.as_slice::<T>(), dy: dy.as_slice::<T>() };
    device.run(|| for_each_row(out.as_mut_slice::<T>(), cols, &work));
    out
}

/// Stores `y`, or `gelu(y)`.
pub(super) struct Store<'a, T, const GELU: bool> {
    pub(super) target: SharedRows<T>,
    pub(super) cols: usize,
    pub(super) bias: Option<&'a [f32]>,
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

/// Stores `gelu(y)` and `y`.
struct StoreGeluKeeping<'a, T> {
    target: SharedRows<T>,
    before: SharedRows<T>,
    cols: usize,
    bias: Option<&'a [f32]>,
}

impl<T: Element> Sink for StoreGeluKeeping<'_, T> {
    #[inline(always)]
    fn row(&self, row: usize, col: usize, sums: &[f32]) {
        let sums = &sums[..sums.len().min(self.cols - col)];
        #[expect(unsafe_code, reason = "blocks of the driver are disjoint")]
        // SAFETY: the driver gives every (row, panel) once; both matrices are borrowed for the whole product.
        let (out, before) = unsafe {
            (self.target.segment(row, col, sums.len()), self.before.segment(row, col, sums.len()))
        };
        for (i, ((out, before), sum)) in out.iter_mut().zip(before).zip(sums).enumerate() {
            let y = self.bias.map_or(*sum, |bias| sum + bias[col + i]);
            *out = T::from_f32(math::gelu(y));
            *before = T::from_f32(y);
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
