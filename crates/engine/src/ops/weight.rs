//! Weights of linear layers: where their rows come from, how they are packed, and their products.

use crate::device::{Cpu, Device};
use crate::matrix::{DType, Element, Matrix};
use crate::product::Kernel;
use crate::product::driver::{Sink, multiply};
use crate::product::operand::{Columns, Operand};
use crate::product::packed_weight::PackedWeight;
use half::bf16;
use std::ops::Range;

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
pub(super) trait Computed: Element {
    fn kernel(cpu: &Cpu) -> &'static Kernel<Self>;
    fn read(source: &dyn RowSource, row: usize, out: &mut [Self]);
}

impl Computed for f32 {
    fn kernel(cpu: &Cpu) -> &'static Kernel<f32> {
        cpu.f32_kernel()
    }

    fn read(source: &dyn RowSource, row: usize, out: &mut [f32]) {
        source.read_f32(row, out);
    }
}

impl Computed for bf16 {
    fn kernel(cpu: &Cpu) -> &'static Kernel<bf16> {
        cpu.bf16_kernel()
    }

    fn read(source: &dyn RowSource, row: usize, out: &mut [bf16]) {
        source.read_bf16(row, out);
    }
}

/// A packed weight of either type.
#[derive(Debug)]
pub(super) enum Weight {
    F32(PackedWeight<f32>),
    Bf16(PackedWeight<bf16>),
}

impl Weight {
    /// Packs `n` columns; `place(i)` says which source and which of its rows column `i` is, if any.
    pub(super) fn pack(
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

    fn pack_as<T: Computed>(
        device: &Device,
        sources: &[&dyn RowSource],
        n: usize,
        place: impl Fn(usize) -> Option<(usize, usize)> + Sync,
    ) -> PackedWeight<T> {
        let k = sources[0].dims().1;
        let kernel = T::kernel(device.as_cpu());
        let read = row_reader(sources, k, place);
        device.run(|| PackedWeight::pack(kernel, n, k, &read))
    }

    /// Packs other values of the same shape into the same memory.
    pub(super) fn repack(
        &mut self,
        device: &Device,
        sources: &[&dyn RowSource],
        place: impl Fn(usize) -> Option<(usize, usize)> + Sync,
    ) {
        match self {
            Self::F32(weight) => Self::repack_as(device, weight, sources, place),
            Self::Bf16(weight) => Self::repack_as(device, weight, sources, place),
        }
    }

    fn repack_as<T: Computed>(
        device: &Device,
        weight: &mut PackedWeight<T>,
        sources: &[&dyn RowSource],
        place: impl Fn(usize) -> Option<(usize, usize)> + Sync,
    ) {
        let kernel = T::kernel(device.as_cpu());
        let k = weight.k();
        let read = row_reader(sources, k, place);
        device.run(|| weight.repack(kernel, &read));
    }

    pub(super) fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::Bf16(_) => DType::Bf16,
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::F32(weight) => weight.size_bytes(),
            Self::Bf16(weight) => weight.size_bytes(),
        }
    }

    /// `(packed columns of the product, width of the input)`.
    pub(super) fn dims(&self) -> (usize, usize) {
        match self {
            Self::F32(weight) => (weight.n(), weight.k()),
            Self::Bf16(weight) => (weight.n(), weight.k()),
        }
    }

    /// Multiplies on the device's threads; the sink gets every row of every panel once.
    pub(super) fn product(&self, device: &Device, x: &Matrix, sink: &impl Sink) {
        self.product_with(device, x, 0..self.dims().0, sink);
    }

    /// Multiplies by the rows `rows` of the weight alone, which begin at a panel; column 0 is the first of them.
    pub(super) fn product_with(
        &self,
        device: &Device,
        x: &Matrix,
        rows: Range<usize>,
        sink: &impl Sink,
    ) {
        match self {
            Self::F32(weight) => product(device, x, &Columns::Packed(weight, rows), sink),
            Self::Bf16(weight) => product(device, x, &Columns::Packed(weight, rows), sink),
        }
    }

    /// `dy · W` for the rows `rows` of the weight, which begin at a panel.
    ///
    /// # Shapes
    /// `dy`: `[tokens, rows.len()]`; the sink gets `[tokens, in]`.
    pub(super) fn transposed_product(
        &self,
        device: &Device,
        dy: &Matrix,
        rows: Range<usize>,
        sink: &impl Sink,
    ) {
        match self {
            Self::F32(weight) => product(device, dy, &Columns::Transposed(weight, rows), sink),
            Self::Bf16(weight) => product(device, dy, &Columns::Transposed(weight, rows), sink),
        }
    }
}

/// Reads the row of a packed column: that of its place, or zeros.
fn row_reader<T: Computed>(
    sources: &[&dyn RowSource],
    k: usize,
    place: impl Fn(usize) -> Option<(usize, usize)> + Sync,
) -> impl Fn(usize, &mut [T]) + Sync {
    assert!(sources.iter().all(|source| source.dims().1 == k), "sources of different width");
    move |i, out| match place(i) {
        Some((source, row)) => T::read(sources[source], row, out),
        None => out.fill(T::default()),
    }
}

fn product<T: Computed>(device: &Device, x: &Matrix, columns: &Columns<'_, T>, sink: &impl Sink) {
    let kernel = T::kernel(device.as_cpu());
    let x = Operand::new(x.as_slice::<T>(), x.cols(), 0..x.cols());
    device.run(|| multiply(kernel, x, columns, sink));
}
