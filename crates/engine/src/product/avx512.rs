//! AVX-512 kernels of 12 rows by 32 columns: f32 by fused multiply-add; bf16 pairs by `vdpbf16ps`, or widened to f32.
//!
//! 24 accumulators leave room for the vectors of `B` and the broadcasts of `A`, and hide the latency of the
//! instructions.
//!
//! A value of bf16 is the upper half of the f32 that it equals, so a vector of pairs is widened by one shift (the first of
//! each pair) and one mask (the second). `B` is widened in registers, `A` once for each tile: 1 instruction of widening for 9
//! of multiplying.
#![cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "x86-64 only"))]

use super::{Kernel, TileFn, no_state};
use half::bf16;

const ROWS: usize = 12;
const COLS: usize = 32;
/// Longest run of widened bf16 values, which stand on the stack.
const WIDENED_K: usize = 256;

/// bf16 operands, f32 sums, by the dot product of pairs.
pub(crate) static BF16_PAIRS: Kernel<bf16> = bf16_kernel(512, x86::tile_bf16_pairs);

/// bf16 operands, widened to f32.
pub(crate) static BF16_WIDENED: Kernel<bf16> = bf16_kernel(WIDENED_K, x86::tile_bf16_widened);

const fn bf16_kernel(k_block: usize, tile: TileFn<bf16>) -> Kernel<bf16> {
    Kernel {
        rows: ROWS,
        cols: COLS,
        row_group: 2,
        col_group: 2,
        k_multiple: 2,
        k_block,
        enter: no_state,
        leave: no_state,
        tile,
    }
}

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

/// Whether the processor has the instructions of [`F32`] and [`BF16_WIDENED`].
pub(crate) fn is_available() -> bool {
    x86::is_available()
}

/// Whether it has those of [`BF16_PAIRS`], too.
pub(crate) fn has_pairs() -> bool {
    x86::has_pairs()
}

/// Whether the dot product of pairs is faster than widening. On Intel's processors it is not: there it starts every second
/// cycle, and two fused multiply-adds start every cycle.
pub(crate) fn pairs_are_faster() -> bool {
    x86::has_pairs() && !x86::is_intel()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![expect(unsafe_code, reason = "vector intrinsics on raw panels")]

    use super::{COLS, ROWS, WIDENED_K};
    use half::bf16;
    use std::arch::x86_64::{
        __cpuid, __m512, __m512bh, __m512i, __mmask32, _mm512_and_si512, _mm512_castsi512_ps,
        _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_epi32, _mm512_loadu_ps,
        _mm512_maskz_loadu_epi16, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
        _mm512_slli_epi32, _mm512_storeu_ps,
    };
    use std::mem::MaybeUninit;

    pub(super) fn is_available() -> bool {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
    }

    pub(super) fn has_pairs() -> bool {
        is_available() && is_x86_feature_detected!("avx512bf16")
    }

    pub(super) fn is_intel() -> bool {
        let vendor = __cpuid(0);
        [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"GenuineIntel"
    }

    /// How a kernel goes along `k`. Everything is `inline(always)` and has the instructions of the `tile_…` that calls it.
    trait Step {
        /// What the panel of `B` holds of a column at a step.
        type Unit;
        /// What is broadcast of a row, a part at a time.
        type RowUnit;
        /// Multiplications of a step.
        const PARTS: usize;

        /// Part `part` of 16 columns at a step.
        ///
        /// # Safety
        /// The processor has the kernel's instructions; the pointer holds 16 columns.
        unsafe fn load(b: *const Self::Unit, part: usize) -> __m512;
        /// # Safety
        /// As `load`, for one row.
        unsafe fn broadcast(a: *const Self::RowUnit) -> __m512;
        /// # Safety
        /// As `load`, for one row.
        unsafe fn multiply_add(sum: __m512, a: __m512, b: __m512) -> __m512;
    }

    /// f32 on both sides.
    struct Single;
    /// bf16 pairs on both sides.
    struct Pairs;
    /// bf16 pairs of `B`, widened values of `A`: the first of all pairs, then the second.
    struct Widened;

    impl Step for Single {
        type Unit = f32;
        type RowUnit = f32;
        const PARTS: usize = 1;

        #[inline(always)]
        unsafe fn load(b: *const f32, _part: usize) -> __m512 {
            // SAFETY: the caller's pointer holds 16 values.
            unsafe { _mm512_loadu_ps(b) }
        }

        #[inline(always)]
        unsafe fn broadcast(a: *const f32) -> __m512 {
            // SAFETY: the caller's pointer holds a value.
            unsafe { _mm512_set1_ps(a.read()) }
        }

        #[inline(always)]
        unsafe fn multiply_add(sum: __m512, a: __m512, b: __m512) -> __m512 {
            // SAFETY: the processor has the instruction.
            unsafe { _mm512_fmadd_ps(a, b, sum) }
        }
    }

    impl Step for Pairs {
        type Unit = i32;
        type RowUnit = i32;
        const PARTS: usize = 1;

        #[inline(always)]
        unsafe fn load(b: *const i32, _part: usize) -> __m512 {
            // SAFETY: the caller's pointer holds 16 pairs.
            unsafe { _mm512_castsi512_ps(_mm512_loadu_epi32(b)) }
        }

        #[inline(always)]
        unsafe fn broadcast(a: *const i32) -> __m512 {
            // SAFETY: the caller's pointer holds a pair, which may stand at any even address.
            unsafe { _mm512_castsi512_ps(_mm512_set1_epi32(a.read_unaligned())) }
        }

        #[inline(always)]
        unsafe fn multiply_add(sum: __m512, a: __m512, b: __m512) -> __m512 {
            // SAFETY: the processor has the instruction; the three types are 512 bits without invalid values.
            unsafe {
                let a = std::mem::transmute::<__m512, __m512bh>(a);
                let b = std::mem::transmute::<__m512, __m512bh>(b);
                _mm512_dpbf16_ps(sum, a, b)
            }
        }
    }

    impl Step for Widened {
        type Unit = i32;
        type RowUnit = f32;
        const PARTS: usize = 2;

        #[inline(always)]
        unsafe fn load(b: *const i32, part: usize) -> __m512 {
            // SAFETY: the caller's pointer holds 16 pairs.
            unsafe { widen(_mm512_loadu_epi32(b), part) }
        }

        #[inline(always)]
        unsafe fn broadcast(a: *const f32) -> __m512 {
            // SAFETY: as the caller's.
            unsafe { Single::broadcast(a) }
        }

        #[inline(always)]
        unsafe fn multiply_add(sum: __m512, a: __m512, b: __m512) -> __m512 {
            // SAFETY: as the caller's.
            unsafe { Single::multiply_add(sum, a, b) }
        }
    }

    /// The first or the second value of 16 pairs.
    ///
    /// # Safety
    /// AVX-512 is there.
    #[inline(always)]
    unsafe fn widen(pairs: __m512i, part: usize) -> __m512 {
        // SAFETY: as the caller's.
        unsafe {
            _mm512_castsi512_ps(match part {
                0 => _mm512_slli_epi32::<16>(pairs),
                _ => _mm512_and_si512(pairs, _mm512_set1_epi32(!0xffff)),
            })
        }
    }

    /// The tile of the first `R` rows of the panel. Part `p` of row `r` at a step is
    /// `a[p · part_stride + step · ROWS + r]`.
    ///
    /// # Safety
    /// As [`TileFn`](super::TileFn), with `steps` units for each row and column.
    #[inline(always)]
    unsafe fn tile<S: Step, const R: usize>(
        (a, part_stride): (*const S::RowUnit, usize),
        b: *const S::Unit,
        steps: usize,
        c: *mut f32,
        accumulate: bool,
    ) {
        // SAFETY: the panels hold `steps` units for each row and `c` a whole tile.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); 2]; R];
            if accumulate {
                for (row, sum) in sums.iter_mut().enumerate() {
                    sum[0] = _mm512_loadu_ps(c.add(row * COLS));
                    sum[1] = _mm512_loadu_ps(c.add(row * COLS + 16));
                }
            }
            for step in 0..steps {
                for part in 0..S::PARTS {
                    let b0 = S::load(b.add(step * COLS), part);
                    let b1 = S::load(b.add(step * COLS + 16), part);
                    let a = a.add(part * part_stride + step * ROWS);
                    for (row, sum) in sums.iter_mut().enumerate() {
                        let value = S::broadcast(a.add(row));
                        sum[0] = S::multiply_add(sum[0], value, b0);
                        sum[1] = S::multiply_add(sum[1], value, b1);
                    }
                }
            }
            for (row, sum) in sums.iter().enumerate() {
                _mm512_storeu_ps(c.add(row * COLS), sum[0]);
                _mm512_storeu_ps(c.add(row * COLS + 16), sum[1]);
            }
        }
    }

    /// # Safety
    /// As [`tile`].
    #[inline(always)]
    unsafe fn tile_of_rows<S: Step>(
        a: (*const S::RowUnit, usize),
        b: *const S::Unit,
        steps: usize,
        c: *mut f32,
        rows: usize,
        accumulate: bool,
    ) {
        // SAFETY: passed on unchanged; a larger `R` than `rows` writes rows that the tile has.
        unsafe {
            match rows {
                1 => tile::<S, 1>(a, b, steps, c, accumulate),
                2 => tile::<S, 2>(a, b, steps, c, accumulate),
                3 | 4 => tile::<S, 4>(a, b, steps, c, accumulate),
                5..=8 => tile::<S, 8>(a, b, steps, c, accumulate),
                _ => tile::<S, 12>(a, b, steps, c, accumulate),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) unsafe fn tile_f32(
        a: *const f32,
        b: *const f32,
        k: usize,
        c: *mut f32,
        rows: usize,
        accumulate: bool,
    ) {
        // SAFETY: by the contract of `TileFn`.
        unsafe { tile_of_rows::<Single>((a, 0), b, k, c, rows, accumulate) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn tile_bf16_pairs(
        a: *const bf16,
        b: *const bf16,
        k: usize,
        c: *mut f32,
        rows: usize,
        accumulate: bool,
    ) {
        // SAFETY: by the contract of `TileFn`; `k` is even.
        unsafe { tile_of_rows::<Pairs>((a.cast(), 0), b.cast(), k / 2, c, rows, accumulate) }
    }

    /// Pairs of a panel of rows, and a vector's worth so that the last may be stored whole.
    const WIDENED_PAIRS: usize = (ROWS * WIDENED_K / 2).next_multiple_of(16);

    /// `k` is at most `WIDENED_K`.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) unsafe fn tile_bf16_widened(
        a: *const bf16,
        b: *const bf16,
        k: usize,
        c: *mut f32,
        rows: usize,
        accumulate: bool,
    ) {
        let mut widened = [const { MaybeUninit::<f32>::uninit() }; 2 * WIDENED_PAIRS];
        let values = widened.as_mut_ptr().cast::<f32>();
        let num_pairs = ROWS * (k / 2);
        assert!(num_pairs <= WIDENED_PAIRS, "a run along k that is longer than the kernel's");
        // SAFETY: loads end with the panel; stores end with `widened`, whose length is a multiple of a vector's.
        unsafe {
            for first in (0..num_pairs).step_by(16) {
                let rest = num_pairs - first;
                let mask: __mmask32 = if rest < 16 { (1 << (2 * rest)) - 1 } else { !0 };
                let pairs = _mm512_maskz_loadu_epi16(mask, a.cast::<i16>().add(2 * first));
                for part in 0..2 {
                    _mm512_storeu_ps(values.add(part * WIDENED_PAIRS + first), widen(pairs, part));
                }
            }
        }
        // SAFETY: by the contract of `TileFn`; `k` is even, and the values of all its pairs are written.
        unsafe {
            let a = (values.cast_const(), WIDENED_PAIRS);
            tile_of_rows::<Widened>(a, b.cast(), k / 2, c, rows, accumulate);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod x86 {
    pub(super) fn is_available() -> bool {
        false
    }

    pub(super) fn has_pairs() -> bool {
        false
    }

    pub(super) fn is_intel() -> bool {
        false
    }

    pub(super) use super::super::unavailable_tile as tile_bf16_pairs;
    pub(super) use super::super::unavailable_tile as tile_bf16_widened;
    pub(super) use super::super::unavailable_tile as tile_f32;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Element;
    use crate::product::pack::pack_rows;
    use crate::product::tests::{EDGE_KS, EDGE_MS, values};
    use crate::product::{ColumnPanels, PackedRows};

    /// The sums of `[m, k]` by `[COLS, k]`, of which only the first `m` rows are returned.
    fn product<T: Element>(
        kernel: &Kernel<T>,
        a: &[T],
        b: &[T],
        (m, k): (usize, usize),
    ) -> Vec<f32> {
        let padded_k = kernel.padded_k(k);
        let mut rows = vec![T::default(); m.next_multiple_of(ROWS) * padded_k];
        for (panel, rows) in rows.chunks_mut(ROWS * padded_k).zip(a.chunks(ROWS * k)) {
            pack_rows(rows, k, k, ROWS, kernel.row_group, panel);
        }
        let mut panels = vec![T::default(); COLS * padded_k];
        pack_rows(b, k, k, COLS, kernel.col_group, &mut panels);
        let mut c = vec![f32::NAN; m.next_multiple_of(ROWS) * COLS];
        kernel.session(|| {
            let columns = ColumnPanels { panels: &panels, stride: panels.len(), count: 1 };
            kernel.product(PackedRows { panels: &rows, rows: m }, columns, padded_k, &mut c, false);
        });
        c.truncate(m * COLS);
        c
    }

    #[test]
    fn widened_values_have_the_bits_of_a_product_in_f32() {
        if !is_available() {
            return;
        }
        let widened = |values: &[bf16]| values.iter().map(|v| v.to_f32()).collect::<Vec<_>>();
        for m in EDGE_MS {
            for k in EDGE_KS {
                let (a, b) = (values::<bf16>(m * k, 1), values::<bf16>(COLS * k, 2));
                let in_f32 = product(&F32, &widened(&a), &widened(&b), (m, k));
                let bits = |sums: &[f32]| sums.iter().map(|sum| sum.to_bits()).collect::<Vec<_>>();
                let found = product(&BF16_WIDENED, &a, &b, (m, k));
                assert_eq!(bits(&found), bits(&in_f32), "{m} rows, {k} along k");
            }
        }
    }
}
