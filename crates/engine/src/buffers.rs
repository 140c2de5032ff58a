//! Recycled memory for activations: what one operation frees, the next takes, page faults and zeroing saved.
//!
//! A forward pass asks for the same few sizes over and over. Fresh pages from the operating system cost more than a tenth
//! of its time; buffers of a matrix or of packed panels go back to a list instead and are handed out again as they are.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Smaller buffers are left to the allocator, which recycles them itself.
const SMALLEST_BYTES: usize = 64 << 10;
/// Most bytes that wait in the list of one type: the activations of a few thousand tokens.
const LARGEST_LIST_BYTES: usize = 384 << 20;

/// Makes the C library's allocator give blocks of a MiB and more back to the system as soon as they are freed. For programs, once, at
/// their start.
///
/// glibc raises that size by itself, up to 32 MiB, whenever such a block is freed. Activations of changing sizes then leave holes
/// in its heap, and the memory of a run of training grows for many steps. With other libraries nothing is changed.
///
/// # Source
/// `mallopt(3)`, on `M_MMAP_THRESHOLD`.
pub fn give_back_large_blocks() {
    #[expect(unsafe_code, reason = "there is no safe way to set the allocator of C")]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: these calls only set numbers inside of the allocator, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 32 << 20);
    }
}

/// The waiting buffers of one element type, oldest first.
pub struct FreeList<T>(Mutex<Vec<Vec<T>>>);

impl<T> FreeList<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An element type with a list of its own.
pub trait Recycled: Copy + Default + Send + 'static {
    /// The list of this type.
    fn free_list() -> &'static FreeList<Self>;
}

/// A vector that goes back to its list when it is dropped.
#[derive(Debug, PartialEq)]
pub struct Buffer<T: Recycled>(Vec<T>);

impl<T: Recycled> Buffer<T> {
    /// `len` elements of unspecified value: zeros, or what an earlier owner left.
    pub(crate) fn unspecified(len: usize) -> Self {
        let mut list = T::free_list().lock();
        let fitting = list
            .iter()
            .enumerate()
            .filter(|(_, waiting)| (len..=2 * len).contains(&waiting.capacity()))
            .min_by_key(|(_, waiting)| waiting.capacity())
            .map(|(index, _)| index);
        let recycled = fitting.map(|index| list.swap_remove(index));
        drop(list);
        let mut data = recycled.unwrap_or_default();
        if data.is_empty() {
            return Self(vec![T::default(); len]);
        }
        data.resize(len, T::default());
        Self(data)
    }

    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        if len * size_of::<T>() < SMALLEST_BYTES {
            return Self(vec![T::default(); len]);
        }
        let mut buffer = Self::unspecified(len);
        buffer.fill(T::default());
        buffer
    }
}

impl<T: Recycled> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::unspecified(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: Recycled> From<Vec<T>> for Buffer<T> {
    fn from(data: Vec<T>) -> Self {
        Self(data)
    }
}

impl<T: Recycled> Drop for Buffer<T> {
    fn drop(&mut self) {
        let size_bytes = |data: &Vec<T>| data.capacity() * size_of::<T>();
        if !(SMALLEST_BYTES..=LARGEST_LIST_BYTES).contains(&size_bytes(&self.0)) {
            return;
        }
        let mut list = T::free_list().lock();
        list.push(std::mem::take(&mut self.0));
        while list.iter().map(size_bytes).sum::<usize>() > LARGEST_LIST_BYTES {
            list.remove(0);
        }
    }
}

impl<T: Recycled> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Recycled> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    struct Own(u64);

    impl Recycled for Own {
        fn free_list() -> &'static FreeList<Self> {
            static LIST: FreeList<Own> = FreeList::new();
            &LIST
        }
    }

    #[test]
    fn a_freed_buffer_is_handed_out_again_and_zeroed_when_asked() {
        let mut first = Buffer::<Own>::unspecified(20_000);
        first.fill(Own(7));
        let address = first.as_ptr();
        drop(first);
        let second = Buffer::<Own>::zeroed(15_000);
        assert_eq!(second.as_ptr(), address);
        assert_eq!(second.len(), 15_000);
        assert!(second.iter().all(|value| *value == Own(0)));
        drop(second);
        assert_ne!(Buffer::<Own>::unspecified(7_000).as_ptr(), address, "too large to waste");
    }
}
