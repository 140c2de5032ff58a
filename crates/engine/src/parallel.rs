//! Splitting rows among threads, and writing disjoint parts of one matrix from several.
//!
//! Element-wise loops are plain Rust, compiled for each instruction set that the machine may have (`pulp`
//! picks one at run time). NUMERICS: they contain no fused multiply-add and sum in lanes of fixed width, so
//! every instruction set gives the same bits.

use rayon::prelude::*;

/// Elements that a thread takes at a time.
const CHUNK: usize = 16 * 1024;

/// Width of the lanes of every reduction.
pub(crate) const LANES: usize = 16;

/// Calls `work(row_idx, row)` for every row of `data`, which is `[rows, cols]`.
pub(crate) fn for_each_row<T: Send>(
    data: &mut [T],
    cols: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    if cols == 0 {
        return;
    }
    let rows_per_chunk = (CHUNK / cols).max(1);
    data.par_chunks_mut(rows_per_chunk * cols).enumerate().for_each(|(chunk_idx, chunk)| {
        pulp::Arch::new().dispatch(|| {
            for (i, row) in chunk.chunks_exact_mut(cols).enumerate() {
                work(chunk_idx * rows_per_chunk + i, row);
            }
        });
    });
}

/// A row-major matrix that tasks on several threads write to, each its own rows and columns.
pub(crate) struct SharedRows<T> {
    data: *mut T,
    len: usize,
    cols: usize,
}

#[expect(unsafe_code, reason = "tasks write disjoint blocks of one matrix")]
// SAFETY: access goes through `segment`, whose callers promise disjoint segments.
unsafe impl<T: Send> Sync for SharedRows<T> {}

#[expect(unsafe_code, reason = "tasks write disjoint blocks of one matrix")]
impl<T> SharedRows<T> {
    /// Wraps `data`, `[rows, cols]`, for as long as the borrow lasts at the caller.
    pub(crate) fn new(data: &mut [T], cols: usize) -> Self {
        Self { data: data.as_mut_ptr(), len: data.len(), cols }
    }

    /// `len` elements of a row from column `col`.
    ///
    /// # Safety
    /// No other thread may hold an overlapping segment, and the matrix must still be borrowed.
    #[expect(clippy::mut_from_ref, reason = "disjointness is the caller's promise")]
    #[inline(always)]
    pub(crate) unsafe fn segment(&self, row: usize, col: usize, len: usize) -> &mut [T] {
        let start = row * self.cols + col;
        assert!(col + len <= self.cols && start + len <= self.len, "outside of the matrix");
        // SAFETY: inside the matrix by the assert, disjoint by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(start), len) }
    }
}
