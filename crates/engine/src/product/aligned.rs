//! Memory for panels that begins at a cache line, so that no load of a vector or tile row crosses two.

use crate::buffers::{Buffer, Recycled};
use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest load.
const LINE: usize = 64;

/// A buffer that begins at a multiple of 64 bytes; the memory behind it is a little longer than asked for.
#[derive(Debug)]
pub(crate) struct Aligned<T: Recycled> {
    data: Buffer<T>,
    start: usize,
    len: usize,
}

impl<T: Recycled> Aligned<T> {
    /// `len` elements of unspecified value.
    pub(crate) fn unspecified(len: usize) -> Self {
        let data = Buffer::<T>::unspecified(len + LINE / size_of::<T>());
        let start = data.as_ptr().align_offset(LINE);
        Self { data, start, len }
    }
}

impl<T: Recycled> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.data[self.start..self.start + self.len]
    }
}

impl<T: Recycled> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_begins_at_a_line_and_has_its_length() {
        for len in [1, 5, 64, 1000] {
            let buffer = Aligned::<f32>::unspecified(len);
            assert_eq!((buffer.len(), buffer.as_ptr().addr() % LINE), (len, 0));
        }
    }
}
