//! The one activation container: a contiguous row-major matrix of packed rows, f32 or bf16.
//!
//! There is no batch dimension, no stride, no view and no broadcasting; which rows belong to which
//! sequence is said by a layout beside the matrix (see [`crate::AttentionLayout`]).

use crate::buffers::{Buffer, FreeList, Recycled};
use crate::parallel::{RowWork, for_each_row};
use half::bf16;
use std::ops::Range;

/// Storage type of a matrix or of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE single precision.
    F32,
    /// The upper half of an f32: 8 bits of exponent, 7 of fraction.
    Bf16,
}

impl DType {
    /// Size of one element in bytes.
    pub fn size_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// Name as in safetensors and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// An element type that products take as operands. Sealed: f32 and bf16.
pub trait Element: Recycled + Sync + bytemuck::Pod + private::Sealed {
    /// The run-time name of the type.
    const DTYPE: DType;

    /// Widens to f32, exactly.
    fn to_f32(self) -> f32;

    /// Rounds from f32 to the nearest, ties to even.
    fn from_f32(value: f32) -> Self;

    /// The matrix's elements, if it stores this type.
    fn slice(matrix: &Matrix) -> Option<&[Self]>;

    /// The matrix's elements, mutable, if it stores this type.
    fn slice_mut(matrix: &mut Matrix) -> Option<&mut [Self]>;

    /// A matrix around row-major elements.
    fn matrix(rows: usize, cols: usize, data: Buffer<Self>) -> Matrix;
}

mod private {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::bf16 {}
}

impl Recycled for f32 {
    fn free_list() -> &'static FreeList<f32> {
        static LIST: FreeList<f32> = FreeList::new();
        &LIST
    }
}

impl Recycled for bf16 {
    fn free_list() -> &'static FreeList<bf16> {
        static LIST: FreeList<bf16> = FreeList::new();
        &LIST
    }
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }

    fn slice(matrix: &Matrix) -> Option<&[f32]> {
        match &matrix.data {
            Data::F32(data) => Some(data),
            Data::Bf16(_) => None,
        }
    }

    fn slice_mut(matrix: &mut Matrix) -> Option<&mut [f32]> {
        match &mut matrix.data {
            Data::F32(data) => Some(data),
            Data::Bf16(_) => None,
        }
    }

    fn matrix(rows: usize, cols: usize, data: Buffer<f32>) -> Matrix {
        Matrix::checked(rows, cols, data.len(), Data::F32(data))
    }
}

impl Element for bf16 {
    const DTYPE: DType = DType::Bf16;

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    // NUMERICS: written without a branch, so that loops over it vectorize; `half`'s own is scalar.
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        let quiet = (bits >> 16) | 0x40;
        bf16::from_bits(if value.is_nan() { quiet as u16 } else { rounded as u16 })
    }

    fn slice(matrix: &Matrix) -> Option<&[bf16]> {
        match &matrix.data {
            Data::Bf16(data) => Some(data),
            Data::F32(_) => None,
        }
    }

    fn slice_mut(matrix: &mut Matrix) -> Option<&mut [bf16]> {
        match &mut matrix.data {
            Data::Bf16(data) => Some(data),
            Data::F32(_) => None,
        }
    }

    fn matrix(rows: usize, cols: usize, data: Buffer<bf16>) -> Matrix {
        Matrix::checked(rows, cols, data.len(), Data::Bf16(data))
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Data {
    F32(Buffer<f32>),
    Bf16(Buffer<bf16>),
}

/// A contiguous row-major matrix `[rows, cols]` in host memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    data: Data,
}

impl Matrix {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, cols: usize, dtype: DType) -> Self {
        let data = match dtype {
            DType::F32 => Data::F32(Buffer::zeroed(rows * cols)),
            DType::Bf16 => Data::Bf16(Buffer::zeroed(rows * cols)),
        };
        Self { rows, cols, data }
    }

    /// A matrix around row-major elements.
    ///
    /// # Panics
    /// If `data.len() != rows * cols`.
    pub fn from_vec<T: Element>(rows: usize, cols: usize, data: Vec<T>) -> Self {
        T::matrix(rows, cols, Buffer::from(data))
    }

    /// A matrix of unspecified values, for an operation that writes every element.
    pub(crate) fn unspecified<T: Element>(rows: usize, cols: usize) -> Self {
        T::matrix(rows, cols, Buffer::unspecified(rows * cols))
    }

    fn checked(rows: usize, cols: usize, len: usize, data: Data) -> Self {
        assert_eq!(len, rows * cols, "{len} elements are not a [{rows}, {cols}] matrix");
        Self { rows, cols, data }
    }

    /// `(rows, cols)`.
    pub fn dims(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Storage type.
    pub fn dtype(&self) -> DType {
        match self.data {
            Data::F32(_) => DType::F32,
            Data::Bf16(_) => DType::Bf16,
        }
    }

    /// Size of the elements in bytes.
    pub fn size_bytes(&self) -> usize {
        self.rows * self.cols * self.dtype().size_bytes()
    }

    /// A copy of neighboring rows that takes no more memory than their elements need.
    ///
    /// # Panics
    /// If the range leaves the matrix.
    #[must_use]
    pub fn copy_of_rows(&self, rows: Range<usize>) -> Self {
        let elements = rows.start * self.cols..rows.end * self.cols;
        match &self.data {
            Data::F32(data) => Self::from_vec(rows.len(), self.cols, data[elements].to_vec()),
            Data::Bf16(data) => Self::from_vec(rows.len(), self.cols, data[elements].to_vec()),
        }
    }

    /// The elements, row-major.
    ///
    /// # Panics
    /// If the matrix does not store `T`: the caller chose the types, so this is a broken assumption.
    pub fn as_slice<T: Element>(&self) -> &[T] {
        let dtype = self.dtype();
        T::slice(self).unwrap_or_else(|| panic!("a {dtype} matrix was read as {}", T::DTYPE))
    }

    /// The elements, row-major, mutable.
    ///
    /// # Panics
    /// If the matrix does not store `T`.
    pub fn as_mut_slice<T: Element>(&mut self) -> &mut [T] {
        let dtype = self.dtype();
        T::slice_mut(self).unwrap_or_else(|| panic!("a {dtype} matrix was read as {}", T::DTYPE))
    }

    /// The same elements, row-major, in rows of another width.
    ///
    /// # Panics
    /// If the number of elements differs.
    #[must_use]
    pub fn reshape(self, rows: usize, cols: usize) -> Self {
        assert_eq!(self.rows * self.cols, rows * cols, "a reshape keeps every element");
        Self { rows, cols, data: self.data }
    }

    /// All elements as f32, row-major (a copy).
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            Data::F32(data) => data.to_vec(),
            Data::Bf16(data) => data.iter().map(|&value| Element::to_f32(value)).collect(),
        }
    }

    /// A copy in another storage type.
    #[must_use]
    pub fn cast(&self, dtype: DType) -> Self {
        match (&self.data, dtype) {
            (Data::F32(data), DType::Bf16) => self.converted::<f32, bf16>(data),
            (Data::Bf16(data), DType::F32) => self.converted::<bf16, f32>(data),
            _ => self.clone(),
        }
    }

    fn converted<A: Element, B: Element>(&self, source: &[A]) -> Self {
        let mut out = Self::unspecified::<B>(self.rows, self.cols);
        for_each_row(out.as_mut_slice::<B>(), self.cols, &Convert { source, cols: self.cols });
        out
    }
}

/// Rounds or widens each element.
struct Convert<'a, A> {
    source: &'a [A],
    cols: usize,
}

impl<A: Element, B: Element> RowWork<B> for Convert<'_, A> {
    #[inline(always)]
    fn row(&self, row_idx: usize, row: &mut [B]) {
        let source = &self.source[row_idx * self.cols..][..self.cols];
        for (to, from) in row.iter_mut().zip(source) {
            *to = B::from_f32(from.to_f32());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounding_equals_the_half_crates() {
        let mut bits = 0x1234_5678_u32;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = f32::from_bits(bits);
            assert_eq!(
                <bf16 as Element>::from_f32(value).to_bits(),
                bf16::from_f32(value).to_bits(),
                "{value:e}"
            );
        }
        for value in [f32::NAN, f32::INFINITY, -0.0, f32::MAX, f32::MIN_POSITIVE, 1.0] {
            let ours = <bf16 as Element>::from_f32(value);
            assert_eq!(ours.to_bits(), bf16::from_f32(value).to_bits(), "{value}");
        }
    }
}
