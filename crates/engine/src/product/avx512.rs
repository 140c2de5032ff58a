//! AVX-512 kernels: bf16 pairs by `vdpbf16ps`, f32 by fused multiply-add. 12 rows by 32 columns.
//!
//! 24 accumulators leave room for two vectors of `B` and the broadcasts of `A`, and hide the latency of the
//! dot product.
#![cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "x86-64 only"))]

use super::{Kernel, no_state};
use half::bf16;

const ROWS: usize = 12;
const COLS: usize = 32;

/// bf16 operands, f32 sums.
pub(crate) static BF16: Kernel<bf16> = Kernel {
    rows: ROWS,
    cols: COLS,
    row_group: 2,
    col_group: 2,
    k_multiple: 2,
    k_block: 512,
    enter: no_state,
    leave: no_state,
    tile: x86::tile_bf16,
};

/// f32 operands and sums.
pub(crate) static F32: Kernel<f32> = Kernel {
    rows: ROWS,
    cols: COLS,
    row_group: 1,
    col_group: 1,
    k_multiple: 1,
    k_block: 256,
    enter: no_state,
    leave: no_state,
    tile: x86::tile_f32,
};

/// Whether the processor has the instructions of both kernels.
pub(crate) fn is_available() -> bool {
    x86::is_available()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![expect(unsafe_code, reason = "vector intrinsics on raw panels")]

    use super::{COLS, ROWS};
    use half::bf16;
    use std::arch::x86_64::{
        __m512, __m512bh, _mm512_castsi512_ps, _mm512_dpbf16_ps, _mm512_fmadd_ps,
        _mm512_loadu_epi16, _mm512_loadu_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
        _mm512_storeu_ps,
    };

    pub(super) fn is_available() -> bool {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512bf16")
    }

    /// One step along `k`: how a broadcast of `A` meets two vectors of `B`.
    trait Step {
        type Value: Copy;
        /// Values of `k` consumed.
        const K: usize;
        /// # Safety
        /// AVX-512 (and its bf16 extension for bf16) is there; both pointers hold a step.
        unsafe fn load(b: *const Self::Value) -> __m512;
        /// # Safety
        /// As `load`.
        unsafe fn broadcast(a: *const Self::Value) -> __m512;
        /// # Safety
        /// As `load`.
        unsafe fn multiply_add(sum: __m512, a: __m512, b: __m512) -> __m512;
    }

    struct Bf16Step;
    struct F32Step;

    impl Step for Bf16Step {
        type Value = bf16;
        const K: usize = 2;

        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
        unsafe fn load(b: *const bf16) -> __m512 {
            // SAFETY: the caller's pointer holds 32 values.
            _mm512_castsi512_ps(unsafe { _mm512_loadu_epi16(b.cast::<i16>()) })
        }

        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
        unsafe fn broadcast(a: *const bf16) -> __m512 {
            // SAFETY: the caller's pointer holds a pair.
            _mm512_castsi512_ps(_mm512_set1_epi32(unsafe { a.cast::<i32>().read_unaligned() }))
        }

        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
        unsafe fn multiply_add(sum: __m512, a: __m512, b: __m512) -> __m512 {
            // SAFETY: the three types are 512 bits without invalid values.
            let (a, b) = unsafe {
                (
                    std::mem::transmute::<__m512, __m512bh>(a),
                    std::mem::transmute::<__m512, __m512bh>(b),
                )
            };
            _mm512_dpbf16_ps(sum, a, b)
        }
    }

    impl Step for F32Step {
        type Value = f32;
        const K: usize = 1;

        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
        unsafe fn load(b: *const f32) -> __m512 {
            // SAFETY: the caller's pointer holds 16 values.
            unsafe { _mm512_loadu_ps(b) }
        }

        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
        unsafe fn broadcast(a: *const f32) -> __m512 {
            // SAFETY: the caller's pointer holds a value.
            _mm512_set1_ps(unsafe { a.read() })
        }

        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
        unsafe fn multiply_add(sum: __m512, a: __m512, b: __m512) -> __m512 {
            _mm512_fmadd_ps(a, b, sum)
        }
    }

    /// The tile of the first `R` rows of the panel.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn tile<S: Step, const R: usize>(
        a: *const S::Value,
        b: *const S::Value,
        k: usize,
        c: *mut f32,
        accumulate: bool,
    ) {
        // SAFETY: the panels hold `k` values for each row and `c` a whole tile (see `TileFn`).
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); 2]; R];
            if accumulate {
                for (row, sum) in sums.iter_mut().enumerate() {
                    sum[0] = _mm512_loadu_ps(c.add(row * COLS));
                    sum[1] = _mm512_loadu_ps(c.add(row * COLS + 16));
                }
            }
            for step in 0..k / S::K {
                let b0 = S::load(b.add(step * COLS * S::K));
                let b1 = S::load(b.add(step * COLS * S::K + 16 * S::K));
                let a = a.add(step * ROWS * S::K);
                for (row, sum) in sums.iter_mut().enumerate() {
                    let value = S::broadcast(a.add(row * S::K));
                    sum[0] = S::multiply_add(sum[0], value, b0);
                    sum[1] = S::multiply_add(sum[1], value, b1);
                }
            }
            for (row, sum) in sums.iter().enumerate() {
                _mm512_storeu_ps(c.add(row * COLS), sum[0]);
                _mm512_storeu_ps(c.add(row * COLS + 16), sum[1]);
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn tile_of_rows<S: Step>(
        a: *const S::Value,
        b: *const S::Value,
        k: usize,
        c: *mut f32,
        rows: usize,
        accumulate: bool,
    ) {
        // SAFETY: passed on unchanged; a larger `R` than `rows` writes rows that the tile has.
        unsafe {
            match rows {
                1 => tile::<S, 1>(a, b, k, c, accumulate),
                2 => tile::<S, 2>(a, b, k, c, accumulate),
                3 | 4 => tile::<S, 4>(a, b, k, c, accumulate),
                5..=8 => tile::<S, 8>(a, b, k, c, accumulate),
                _ => tile::<S, 12>(a, b, k, c, accumulate),
            }
        }
    }

    pub(super) unsafe fn tile_bf16(
        a: *const bf16,
        b: *const bf16,
        k: usize,
        c: *mut f32,
        rows: usize,
        accumulate: bool,
    ) {
        // SAFETY: the tier is available, by the contract of `TileFn`.
        unsafe { tile_of_rows::<Bf16Step>(a, b, k, c, rows, accumulate) }
    }

    pub(super) unsafe fn tile_f32(
        a: *const f32,
        b: *const f32,
        k: usize,
        c: *mut f32,
        rows: usize,
        accumulate: bool,
    ) {
        // SAFETY: the tier is available, by the contract of `TileFn`.
        unsafe { tile_of_rows::<F32Step>(a, b, k, c, rows, accumulate) }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod x86 {
    use half::bf16;

    pub(super) fn is_available() -> bool {
        false
    }

    pub(super) use super::super::unavailable_tile as tile_bf16;
    pub(super) use super::super::unavailable_tile as tile_f32;
}
