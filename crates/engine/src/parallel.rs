//! Splitting rows among threads, compiling loops for each instruction set, and writing disjoint parts of one
//! matrix from several threads.
//!
//! Element-wise loops are plain Rust, compiled for each instruction set that the machine may have (`pulp` picks one at
//! run time). They are methods of structs marked `inline(always)`: a closure would be compiled apart, for the oldest
//! processor. NUMERICS: they contain no fused multiply-add and sum in lanes of fixed width, so every instruction set
//! gives the same bits.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Elements that a thread takes at a time.
const CHUNK: usize = 16 * 1024;

/// Width of the lanes of every reduction.
pub(crate) const LANES: usize = 16;

/// A loop to be compiled for each instruction set. Implementations mark `run`, and all that it calls, `inline(always)`.
pub(crate) trait Vectorized {
    fn run(self);
}

/// Runs a loop with the best instructions that the machine has.
pub(crate) fn vectorized(work: impl Vectorized) {
    struct Adapter<W>(W);

    impl<W: Vectorized> WithSimd for Adapter<W> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, _simd: S) {
            self.0.run();
        }
    }

    Arch::new().dispatch(Adapter(work));
}

/// What is done to each row of a matrix. Implementations mark `row`, and all that it calls, `inline(always)`.
pub(crate) trait RowWork<T>: Sync {
    fn row(&self, row_idx: usize, row: &mut [T]);
}

/// Does `work` on every row of `data`, which is `[rows, cols]`, on all threads.
pub(crate) fn for_each_row<T: Send>(data: &mut [T], cols: usize, work: &impl RowWork<T>) {
    if cols == 0 {
        return;
    }
    let rows_per_chunk = (CHUNK / cols).max(1);
    data.par_chunks_mut(rows_per_chunk * cols).enumerate().for_each(|(chunk_idx, chunk)| {
        let first = chunk_idx * rows_per_chunk;
        vectorized(Chunk { first, rows: chunk, cols, work });
    });
}

struct Chunk<'a, T, W> {
    first: usize,
    rows: &'a mut [T],
    cols: usize,
    work: &'a W,
}

impl<T, W: RowWork<T>> Vectorized for Chunk<'_, T, W> {
    #[inline(always)]
    fn run(self) {
        for (i, row) in self.rows.chunks_exact_mut(self.cols).enumerate() {
            self.work.row(self.first + i, row);
        }
    }
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
