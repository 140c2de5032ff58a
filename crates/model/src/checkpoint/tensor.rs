//! One tensor of a checkpoint and its conversion to f32 or bf16.
//!
//! Rows are converted straight from the mapped file into the caller's buffer. Nothing is kept.

use std::{
    io::{self, Write},
    ops::Range,
};

use half::{bf16, f16, slice::HalfFloatSliceExt};

use super::{mapped::Span, random::Generator};

/// Numbers that are converted at a time; small enough for the stack and the first cache.
const CHUNK: usize = 1024;
/// Numbers that are made at a time when random weights are written.
const WRITE_CHUNK: usize = 1 << 16;

/// Number type of a weight file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageType {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point, IEEE 754.
    F16,
    /// The upper half of an f32.
    Bf16,
}

impl StorageType {
    pub(super) fn from_safetensors(stored_as: safetensors::Dtype) -> Option<Self> {
        match stored_as {
            safetensors::Dtype::F32 => Some(Self::F32),
            safetensors::Dtype::F16 => Some(Self::F16),
            safetensors::Dtype::BF16 => Some(Self::Bf16),
            _ => None,
        }
    }

    /// Name in a safetensors header.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// Name in config.json (`torch_dtype`).
    pub fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    /// Bytes of one number.
    pub fn size_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// A tensor that was asked for, with its shape already checked.
///
/// A row is everything under one index of the outermost size.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    name: &'a str,
    shape: &'a [usize],
    storage_type: StorageType,
    source: Source<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Mapped(Span<'a>),
    Random(&'a Generator),
}

impl<'a> Tensor<'a> {
    pub(super) fn mapped(
        name: &'a str,
        shape: &'a [usize],
        storage_type: StorageType,
        span: Span<'a>,
    ) -> Self {
        Self { name, shape, storage_type, source: Source::Mapped(span) }
    }

    pub(super) fn random(
        name: &'a str,
        shape: &'a [usize],
        storage_type: StorageType,
        generator: &'a Generator,
    ) -> Self {
        Self { name, shape, storage_type, source: Source::Random(generator) }
    }

    /// Canonical name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Sizes, outer to inner.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// Number type in the file.
    pub fn storage_type(&self) -> StorageType {
        self.storage_type
    }

    /// How many numbers there are.
    pub fn num_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many rows there are; 1 for a single number.
    pub fn num_rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Numbers in one row.
    pub fn row_len(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// All numbers as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.num_elements()];
        self.fill_f32(0, &mut out);
        out
    }

    /// All numbers as bf16, rounded to nearest, ties to even.
    pub fn to_bf16(&self) -> Vec<bf16> {
        let mut out = vec![bf16::ZERO; self.num_elements()];
        self.fill_bf16(0, &mut out);
        out
    }

    /// Some rows as f32.
    ///
    /// # Panics
    /// When the rows are not all there, or `out` has not exactly their length.
    pub fn rows_f32(&self, rows: Range<usize>, out: &mut [f32]) {
        let first = self.check_rows(&rows, out.len());
        self.fill_f32(first, out);
    }

    /// Some rows as bf16, rounded to nearest, ties to even.
    ///
    /// # Panics
    /// When the rows are not all there, or `out` has not exactly their length.
    pub fn rows_bf16(&self, rows: Range<usize>, out: &mut [bf16]) {
        let first = self.check_rows(&rows, out.len());
        self.fill_bf16(first, out);
    }

    /// Tells the kernel that the whole tensor will be read now.
    pub fn prefetch(&self) {
        if let Source::Mapped(span) = &self.source {
            span.prefetch();
        }
    }

    /// Tells the kernel that the tensor's mapped pages need not stay in memory.
    ///
    /// Call it when a tensor was packed elsewhere, so that a model is not resident twice. Reading the
    /// tensor again is allowed and costs reading the file again.
    pub fn release(&self) {
        if let Source::Mapped(span) = &self.source {
            span.release();
        }
    }

    /// Writes the numbers in their storage type, little endian, as safetensors holds them.
    ///
    /// # Errors
    /// Whatever the sink says.
    pub fn write_to(&self, sink: &mut dyn Write) -> io::Result<()> {
        match &self.source {
            Source::Mapped(span) => sink.write_all(span.bytes()),
            Source::Random(generator) => self.write_random(generator, sink),
        }
    }

    fn check_rows(&self, rows: &Range<usize>, out_len: usize) -> usize {
        let (name, row_len, num_rows) = (self.name, self.row_len(), self.num_rows());
        assert!(
            rows.start <= rows.end && rows.end <= num_rows,
            "rows {rows:?} of {num_rows} in `{name}`"
        );
        assert_eq!(out_len, rows.len() * row_len, "room for rows {rows:?} of `{name}`");
        rows.start * row_len
    }

    fn fill_f32(&self, first: usize, out: &mut [f32]) {
        match (&self.source, self.storage_type) {
            (Source::Mapped(span), storage_type) => {
                let size = storage_type.size_bytes();
                let bytes = &span.bytes()[first * size..(first + out.len()) * size];
                match storage_type {
                    StorageType::F32 => f32_from_bytes(bytes, out),
                    StorageType::F16 => f32_from_f16_bytes(bytes, out),
                    StorageType::Bf16 => f32_from_bf16_bytes(bytes, out),
                }
            }
            (Source::Random(generator), StorageType::F32) => generator.fill(first, out),
            (Source::Random(generator), storage_type) => {
                generator.fill(first, out);
                // The numbers must be those that a file of this type would hold.
                round_to(storage_type, out);
            }
        }
    }

    fn fill_bf16(&self, first: usize, out: &mut [bf16]) {
        if let (Source::Mapped(span), StorageType::Bf16) = (&self.source, self.storage_type) {
            let bytes = &span.bytes()[first * 2..(first + out.len()) * 2];
            for (number, pair) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *number = bf16::from_le_bytes(*pair);
            }
            return;
        }
        let mut buffer = [0.0; CHUNK];
        for (chunk_idx, chunk) in out.chunks_mut(CHUNK).enumerate() {
            let buffer = &mut buffer[..chunk.len()];
            self.fill_f32(first + chunk_idx * CHUNK, buffer);
            bf16_from_f32(buffer, chunk);
        }
    }

    fn write_random(&self, generator: &Generator, sink: &mut dyn Write) -> io::Result<()> {
        let mut numbers = vec![0.0; WRITE_CHUNK];
        let mut bytes = Vec::with_capacity(WRITE_CHUNK * self.storage_type.size_bytes());
        let mut first = 0;
        while first < self.num_elements() {
            let count = WRITE_CHUNK.min(self.num_elements() - first);
            let numbers = &mut numbers[..count];
            generator.fill(first, numbers);
            bytes.clear();
            for number in &*numbers {
                match self.storage_type {
                    StorageType::F32 => bytes.extend(number.to_le_bytes()),
                    StorageType::F16 => bytes.extend(f16::from_f32(*number).to_le_bytes()),
                    StorageType::Bf16 => bytes.extend(round_to_bf16(*number).to_le_bytes()),
                }
            }
            sink.write_all(&bytes)?;
            first += count;
        }
        Ok(())
    }
}

fn f32_from_bytes(bytes: &[u8], out: &mut [f32]) {
    for (number, quad) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *number = f32::from_le_bytes(*quad);
    }
}

fn f32_from_bf16_bytes(bytes: &[u8], out: &mut [f32]) {
    for (number, pair) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *number = f32::from_bits(u32::from(u16::from_le_bytes(*pair)) << 16);
    }
}

fn f32_from_f16_bytes(bytes: &[u8], out: &mut [f32]) {
    // Mapped bytes need not be aligned for f16, so they pass through a small aligned buffer.
    let mut buffer = [f16::ZERO; CHUNK];
    for (chunk, bytes) in out.chunks_mut(CHUNK).zip(bytes.chunks(2 * CHUNK)) {
        let buffer = &mut buffer[..chunk.len()];
        for (number, pair) in buffer.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *number = f16::from_le_bytes(*pair);
        }
        buffer.convert_to_f32_slice(chunk);
    }
}

fn bf16_from_f32(numbers: &[f32], out: &mut [bf16]) {
    for (rounded, number) in out.iter_mut().zip(numbers) {
        *rounded = round_to_bf16(*number);
    }
}

/// Rounds to nearest, ties to even. Written without a branch so that a loop over it is vectorized.
fn round_to_bf16(number: f32) -> bf16 {
    let bits = number.to_bits();
    let ties_to_even = (bits >> 16) & 1;
    let rounded = bits.wrapping_add(0x7fff + ties_to_even) >> 16;
    // Rounding could carry a NaN into infinity; keeping its upper bits and one more keeps it a NaN.
    let not_a_number = (bits >> 16) | 0x40;
    bf16::from_bits(if number.is_nan() { not_a_number } else { rounded } as u16)
}

fn round_to(storage_type: StorageType, numbers: &mut [f32]) {
    for number in numbers {
        *number = match storage_type {
            StorageType::F32 => *number,
            StorageType::F16 => f16::from_f32(*number).to_f32(),
            StorageType::Bf16 => round_to_bf16(*number).to_f32(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_to_bf16_equals_the_half_crate_on_every_kind_of_number() {
        let special = [0.0, -0.0, 1.0, f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, 1e-45];
        let sweep = (0..1_u32 << 20).map(|step| f32::from_bits(step.wrapping_mul(4099)));
        for number in special.into_iter().chain(sweep).filter(|number| !number.is_nan()) {
            assert_eq!(
                round_to_bf16(number).to_bits(),
                bf16::from_f32(number).to_bits(),
                "{number:e}"
            );
        }
        assert!(round_to_bf16(f32::NAN).is_nan());
        assert!(round_to_bf16(f32::from_bits(0x7f80_0001)).is_nan());
    }

    #[test]
    fn ties_go_to_the_even_neighbor() {
        assert_eq!(round_to_bf16(f32::from_bits(0x3f80_8000)).to_bits(), 0x3f80);
        assert_eq!(round_to_bf16(f32::from_bits(0x3f81_8000)).to_bits(), 0x3f82);
    }

    #[test]
    fn unaligned_f16_bytes_are_read_across_chunks() {
        let numbers: Vec<f16> = (0..3000).map(|step| f16::from_f32(step as f32 * 0.25)).collect();
        let mut bytes = vec![7];
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let mut out = vec![0.0; numbers.len()];
        f32_from_f16_bytes(&bytes[1..], &mut out);
        let expected: Vec<f32> = numbers.iter().map(|number| number.to_f32()).collect();
        assert_eq!(out, expected);
    }
}
