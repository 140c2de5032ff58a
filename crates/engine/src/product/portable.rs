//! The portable kernels: blocks of fixed shape through the `gemm` crate, bf16 widened to f32 first.
//!
//! NUMERICS: every call has the same number of rows and columns, so that `gemm` cuts and sums each row the
//! same way whatever else is in the batch.

use super::{Kernel, no_state};
use crate::matrix::Element;
use crate::parallel::{Vectorized, vectorized};
use half::bf16;
use std::cell::RefCell;

const ROWS: usize = 64;
const COLS: usize = 128;
const K_BLOCK: usize = 512;

/// bf16 operands, f32 sums.
pub(crate) static BF16: Kernel<bf16> = kernel(tile_bf16);

/// f32 operands and sums.
pub(crate) static F32: Kernel<f32> = kernel(tile_f32);

const fn kernel<T>(tile: super::TileFn<T>) -> Kernel<T> {
    Kernel {
        rows: ROWS,
        cols: COLS,
        row_group: 1,
        col_group: 1,
        k_multiple: 1,
        k_block: K_BLOCK,
        enter: no_state,
        leave: no_state,
        tile,
    }
}

thread_local! {
    /// One tile's worth of each operand, widened.
    static WIDENED: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

#[expect(unsafe_code, reason = "`gemm` takes raw pointers")]
unsafe fn tile_f32(
    a: *const f32,
    b: *const f32,
    k: usize,
    c: *mut f32,
    _rows: usize,
    accumulate: bool,
) {
    // SAFETY: the panels are `[k, ROWS]` and `[k, COLS]`, `c` is `[ROWS, COLS]`; the strides say so.
    unsafe {
        gemm::gemm(
            ROWS,
            COLS,
            k,
            c,
            1,
            COLS as isize,
            accumulate,
            a,
            ROWS as isize,
            1,
            b,
            1,
            COLS as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[expect(unsafe_code, reason = "panels are raw")]
unsafe fn tile_bf16(
    a: *const bf16,
    b: *const bf16,
    k: usize,
    c: *mut f32,
    rows: usize,
    accumulate: bool,
) {
    WIDENED.with_borrow_mut(|(wide_a, wide_b)| {
        // SAFETY: the panels hold `k` values for each row.
        let (a, b) = unsafe {
            (std::slice::from_raw_parts(a, k * ROWS), std::slice::from_raw_parts(b, k * COLS))
        };
        vectorized(Widen { from: a, to: wide_a });
        vectorized(Widen { from: b, to: wide_b });
        // SAFETY: the same shapes, widened.
        unsafe { tile_f32(wide_a.as_ptr(), wide_b.as_ptr(), k, c, rows, accumulate) }
    });
}

struct Widen<'a> {
    from: &'a [bf16],
    to: &'a mut Vec<f32>,
}

impl Vectorized for Widen<'_> {
    #[inline(always)]
    fn run(self) {
        self.to.resize(self.from.len(), 0.0);
        for (to, from) in self.to.iter_mut().zip(self.from) {
            *to = Element::to_f32(*from);
        }
    }
}
