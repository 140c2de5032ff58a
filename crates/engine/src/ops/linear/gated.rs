//! The gated pair of linear layers of a `SwiGLU` block, as one product.

use super::gradient::{Order, add_parameter_gradients, assert_links, input_gradient, is_trainable};
use crate::device::Device;
use crate::math;
use crate::matrix::{DType, Element, Matrix};
use crate::ops::weight::{RowSource, Weight};
use crate::parallel::{RowWork, SharedRows, for_each_row};
use crate::parameters::{Gradients, Link};
use crate::product::driver::Sink;
use half::bf16;

/// Columns of gate and of up that alternate inside a panel; divides the panel width of every kernel by two.
pub(super) const GATE_GROUP: usize = 16;

/// The two linear layers of a SwiGLU block, packed together so that the product is stored already gated.
#[derive(Debug)]
pub struct GatedLinear {
    weight: Weight,
    /// In packed order.
    bias: Option<Vec<f32>>,
    out_features: usize,
    links: Vec<Link>,
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
        let weight = Weight::pack(device, dtype, &[gate, up], n, |i| place(out_features, i));
        let bias = biases.map(|biases| packed_biases(out_features, biases));
        Self { weight, bias, out_features, links: Vec::new() }
    }

    /// Packs other values into the memory of the layers, as an optimizer's step asks for.
    ///
    /// # Shapes
    /// As [`Self::new`], and the same as there.
    ///
    /// # Panics
    /// If a shape is not that of the layers, or there are biases now and were none, or the reverse.
    pub fn repack(
        &mut self,
        device: &Device,
        gate: &dyn RowSource,
        up: &dyn RowSource,
        biases: Option<(&[f32], &[f32])>,
    ) {
        let out_features = self.out_features;
        assert_eq!(gate.dims(), up.dims(), "gate and up differ in shape");
        assert_eq!(gate.dims().0, out_features, "the weights have another number of rows");
        assert_eq!(biases.is_some(), self.bias.is_some(), "biases where there were none, or none");
        self.weight.repack(device, &[gate, up], |i| place(out_features, i));
        self.bias = biases.map(|biases| packed_biases(out_features, biases));
    }

    /// Says which parameters the outputs belong to: `0..out` are those of the gate, `out..2 · out` those of up. What
    /// no link names is frozen.
    ///
    /// # Panics
    /// If the links are not in the order of their outputs, or a shape is not that of the layers.
    pub fn set_links(&mut self, links: Vec<Link>) {
        assert_links(&links, 2 * self.out_features, self.weight.dims().1);
        self.links = links;
    }

    /// The links as they were set; none at first.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Whether any weight or bias of the layers is trained.
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
        let mut out = Matrix::unspecified::<T>(x.rows(), self.out_features);
        let target = SharedRows::new(out.as_mut_slice::<T>(), self.out_features);
        self.weight.product(device, x, &self.sink(target, None));
        out
    }

    fn sink<T>(&self, target: SharedRows<T>, before: Option<SharedRows<T>>) -> Gate<'_, T> {
        Gate { target, before, cols: self.out_features, bias: self.bias.as_deref() }
    }

    /// As [`Self::forward`], and the sums with their biases before gating, for [`Self::before_gradient`].
    ///
    /// # Shapes
    /// The gated: `[rows, out]`; the sums: `[rows, packed columns]`, gate and up alternating in groups; both in the
    /// weight's type.
    pub fn forward_keeping(&self, device: &Device, x: &Matrix) -> (Matrix, Matrix) {
        match self.weight.dtype() {
            DType::F32 => self.store_keeping::<f32>(device, x),
            DType::Bf16 => self.store_keeping::<bf16>(device, x),
        }
    }

    fn store_keeping<T: Element>(&self, device: &Device, x: &Matrix) -> (Matrix, Matrix) {
        let packed = self.weight.dims().0;
        let mut out = Matrix::unspecified::<T>(x.rows(), self.out_features);
        let mut before = Matrix::unspecified::<T>(x.rows(), packed);
        let target = SharedRows::new(out.as_mut_slice::<T>(), self.out_features);
        let kept = SharedRows::new(before.as_mut_slice::<T>(), packed);
        self.weight.product(device, x, &self.sink(target, Some(kept)));
        (out, before)
    }

    /// The gradient of the sums, given that of the gated: `silu'(gate) ⊙ up ⊙ d` and `silu(gate) ⊙ d`.
    ///
    /// # Shapes
    /// `before` and result: `[rows, packed columns]`; `d_gated`: `[rows, out]`; all in the weight's type.
    ///
    /// # Panics
    /// If types or shapes differ.
    pub fn before_gradient(&self, device: &Device, before: &Matrix, d_gated: &Matrix) -> Matrix {
        assert_eq!(before.dims(), (d_gated.rows(), self.weight.dims().0), "the sums' shape");
        assert_eq!(d_gated.cols(), self.out_features, "the gradient's width");
        match self.weight.dtype() {
            DType::F32 => before_gradient::<f32>(device, before, d_gated),
            DType::Bf16 => before_gradient::<bf16>(device, before, d_gated),
        }
    }

    /// The gradient of the input: `d_before · W`, rounded once to the weight's type.
    ///
    /// # Shapes
    /// `d_before`: `[rows, packed columns]` in the weight's type; result: `[rows, in]`.
    ///
    /// # Panics
    /// If `d_before` has another type or width.
    pub fn input_gradient(&self, device: &Device, d_before: &Matrix) -> Matrix {
        input_gradient(device, &self.weight, d_before)
    }

    /// Adds the gradients of the linked weights and biases, in f32. What is frozen costs nothing.
    ///
    /// # Shapes
    /// `x`: `[rows, in]`, `d_before`: `[rows, packed columns]`, both in the weight's type.
    ///
    /// # Panics
    /// If types or shapes differ, or `gradients` has other shapes than the links.
    pub fn parameter_gradients(
        &self,
        device: &Device,
        x: &Matrix,
        d_before: &Matrix,
        gradients: &mut Gradients,
    ) {
        let (packed, width) = self.weight.dims();
        assert_eq!(x.cols(), width, "the input's width");
        assert_eq!(d_before.dims(), (x.rows(), packed), "the gradient's shape");
        let order = Order::Alternating { out_features: self.out_features };
        add_parameter_gradients(device, order, &self.links, x, d_before, gradients);
    }
}

/// Which of gate (0) and up (1) packed column `i` belongs to, and its row there; none in the padding.
fn place(out_features: usize, i: usize) -> Option<(usize, usize)> {
    let row = i / (2 * GATE_GROUP) * GATE_GROUP + i % GATE_GROUP;
    (row < out_features).then_some((i / GATE_GROUP % 2, row))
}

fn packed_biases(out_features: usize, (gate, up): (&[f32], &[f32])) -> Vec<f32> {
    assert_eq!((gate.len(), up.len()), (out_features, out_features), "the biases' lengths");
    let value = |(source, row)| if source == 0 { gate[row] } else { up[row] };
    (0..out_features.next_multiple_of(GATE_GROUP) * 2)
        .map(|i| place(out_features, i).map_or(0.0, value))
        .collect()
}

fn before_gradient<T: Element>(device: &Device, before: &Matrix, d_gated: &Matrix) -> Matrix {
    let (rows, cols) = before.dims();
    let mut out = Matrix::unspecified::<T>(rows, cols);
    let work = BeforeGradient {
        before: before.as_slice::<T>(),
        d_gated: d_gated.as_slice::<T>(),
        out_features: d_gated.cols(),
    };
    device.run(|| for_each_row(out.as_mut_slice::<T>(), cols, &work));
    out
}

struct BeforeGradient<'a, T> {
    before: &'a [T],
    d_gated: &'a [T],
    out_features: usize,
}

impl<T: Element> RowWork<T> for BeforeGradient<'_, T> {
    #[inline(always)]
    fn row(&self, row_idx: usize, row: &mut [T]) {
        let before = &self.before[row_idx * row.len()..][..row.len()];
        let gradients = &self.d_gated[row_idx * self.out_features..][..self.out_features];
        let groups = row.as_chunks_mut::<{ 2 * GATE_GROUP }>().0.iter_mut();
        let groups = groups.zip(before.as_chunks::<{ 2 * GATE_GROUP }>().0);
        for ((out, before), gradients) in groups.zip(gradients.chunks(GATE_GROUP)) {
            // The padding behind the last column has no gradient.
            let mut d = [0.0; GATE_GROUP];
            for (d, gradient) in d.iter_mut().zip(gradients) {
                *d = gradient.to_f32();
            }
            for i in 0..GATE_GROUP {
                let (gate, up) = (before[i].to_f32(), before[GATE_GROUP + i].to_f32());
                out[i] = T::from_f32(math::silu_derivative(gate) * up * d[i]);
                out[GATE_GROUP + i] = T::from_f32(math::silu(gate) * d[i]);
            }
        }
    }
}

/// Stores `silu(gate) · up` of columns that alternate in groups, and where asked the columns themselves.
struct Gate<'a, T> {
    target: SharedRows<T>,
    before: Option<SharedRows<T>>,
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
            if let Some(before) = &self.before {
                #[expect(unsafe_code, reason = "blocks of the driver are disjoint")]
                // SAFETY: as for `out` below.
                let before = unsafe { before.segment(row, packed, 2 * GATE_GROUP) };
                for (before, value) in before.iter_mut().zip(&values) {
                    *before = T::from_f32(*value);
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
