//! Matrix products on packed operands: one driver, one kernel for each tier and type.
//!
//! A product is `C[m, n] = Σ_k A[m, k] · B[n, k]`: both operands have their rows along `k`, as activations
//! and the weights of a linear layer do. Both are brought to panels first (`pack`), so that a kernel reads
//! memory in one straight line. Weights are packed once, when they are loaded.
//!
//! NUMERICS: each element of `C` is summed in f32 in an order that depends on `k` and the kernel alone: ascending in the
//! kernel's own steps (AMX adds 32 products in two chains, even and odd, at each step). Which other rows stand in `A`,
//! where the row stands and how many threads run changes nothing: that is what makes a score independent of its
//! batch.

pub(crate) mod aligned;
pub(crate) mod amx;
pub(crate) mod avx512;
pub(crate) mod driver;
pub(crate) mod operand;
pub(crate) mod pack;
pub(crate) mod packed_weight;
pub(crate) mod pages;
pub(crate) mod portable;
mod transpose;

use crate::matrix::Element;

/// The code and the panel shapes of one tier for one operand type.
#[derive(Debug)]
pub(crate) struct Kernel<T> {
    /// Rows of `A` in a panel.
    pub(crate) rows: usize,
    /// Rows of `B` (columns of the result) in a panel.
    pub(crate) cols: usize,
    /// How many neighbors along `k` stand together in a panel of `A`.
    pub(crate) row_group: usize,
    /// How many neighbors along `k` stand together in a panel of `B`.
    pub(crate) col_group: usize,
    /// `k` is padded with zeros to a multiple of this.
    pub(crate) k_multiple: usize,
    /// Longest run along `k` that one call of `tile` takes; a multiple of `k_multiple`.
    pub(crate) k_block: usize,
    /// Called on a thread before its first `tile`; `leave` after its last.
    pub(crate) enter: fn(),
    pub(crate) leave: fn(),
    /// The product of two panels.
    pub(crate) tile: TileFn<T>,
}

/// `tile(a, b, k, c, rows, accumulate)`: the product of panel `a` and panel `b` over `k` values, written to
/// (or added to) `c`, which is `[kernel.rows, kernel.cols]` row-major. Only the first `rows` rows must be right;
/// the others may be left as they are or overwritten.
///
/// # Safety
/// The panels hold `k` values for each of their rows, `k` being positive and a multiple of `k_multiple`; `c` is a whole
/// tile, the tier is available, and `enter` was called on this thread.
pub(crate) type TileFn<T> =
    unsafe fn(a: *const T, b: *const T, k: usize, c: *mut f32, rows: usize, accumulate: bool);

impl<T: Element> Kernel<T> {
    /// `k` with its padding.
    pub(crate) fn padded_k(&self, k: usize) -> usize {
        k.next_multiple_of(self.k_multiple)
    }

    /// Runs `work` between `enter` and `leave`. It must not wait for other tasks: one that ran on this thread in the
    /// meantime would leave it without its state.
    pub(crate) fn session<R>(&self, work: impl FnOnce() -> R) -> R {
        (self.enter)();
        let result = work();
        (self.leave)();
        result
    }

    /// Multiplies packed rows with `b.count` packed column panels. Panel `i` of the result, `[rows padded to the panel,
    /// kernel.cols]`, stands behind panel `i − 1` in `c`.
    ///
    /// Runs along `k` are the outermost loop: a block of the rows and of the columns stays in cache while they meet.
    ///
    /// # Panics
    /// If a slice is too short for the shapes.
    #[expect(unsafe_code, reason = "the kernels work on raw panels; the lengths are checked here")]
    pub(crate) fn product(
        &self,
        a: PackedRows<'_, T>,
        b: ColumnPanels<'_, T>,
        padded_k: usize,
        c: &mut [f32],
        accumulate: bool,
    ) {
        let row_panels = a.rows.div_ceil(self.rows);
        let c_stride = row_panels * self.rows * self.cols;
        assert!(b.count > 0 && b.stride >= self.cols * padded_k, "column panels overlap");
        assert!(a.panels.len() >= row_panels * self.rows * padded_k, "packed rows are too short");
        assert!(
            b.panels.len() >= (b.count - 1) * b.stride + self.cols * padded_k,
            "packed columns are too short"
        );
        assert!(c.len() >= b.count * c_stride, "the result is too short");
        for k_start in (0..padded_k).step_by(self.k_block) {
            let k = self.k_block.min(padded_k - k_start);
            for col_panel in 0..b.count {
                for row_panel in 0..row_panels {
                    let rows = self.rows.min(a.rows - row_panel * self.rows);
                    let a_start = row_panel * self.rows * padded_k + k_start * self.rows;
                    let b_start = col_panel * b.stride + k_start * self.cols;
                    let c_start = col_panel * c_stride + row_panel * self.rows * self.cols;
                    // SAFETY: the asserts above cover every offset; `session` has called `enter`.
                    unsafe {
                        (self.tile)(
                            a.panels.as_ptr().add(a_start),
                            b.panels.as_ptr().add(b_start),
                            k,
                            c.as_mut_ptr().add(c_start),
                            rows,
                            accumulate || k_start > 0,
                        );
                    }
                }
            }
        }
    }
}

/// Rows in row panels of a kernel.
#[derive(Clone, Copy)]
pub(crate) struct PackedRows<'a, T> {
    pub(crate) panels: &'a [T],
    pub(crate) rows: usize,
}

/// Columns in column panels of a kernel, `stride` elements from one to the next.
#[derive(Clone, Copy)]
pub(crate) struct ColumnPanels<'a, T> {
    pub(crate) panels: &'a [T],
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

/// `enter` and `leave` of kernels without a thread state.
pub(crate) fn no_state() {}

/// Stands where a processor does not have a tier's instructions.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
#[expect(unsafe_code, reason = "has the type of the kernels")]
pub(crate) unsafe fn unavailable_tile<T>(
    _a: *const T,
    _b: *const T,
    _k: usize,
    _c: *mut f32,
    _rows: usize,
    _accumulate: bool,
) {
    unreachable!("a tier that is not available is never chosen");
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::device::{Device, Tier};
    use half::bf16;

    /// Numbers of rows on both sides of every kernel's panels.
    pub(crate) const EDGE_MS: [usize; 15] =
        [1, 2, 5, 11, 12, 13, 16, 17, 31, 32, 33, 63, 64, 65, 100];
    /// Lengths on both sides of every kernel's steps and blocks.
    pub(crate) const EDGE_KS: [usize; 11] = [1, 2, 3, 20, 31, 32, 33, 80, 130, 1500, 2500];

    /// Reproducible values between -1 and 1.
    pub(crate) fn values<T: Element>(len: usize, seed: u32) -> Vec<T> {
        let mut state = seed;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                T::from_f32((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
            })
            .collect()
    }

    /// Compares a product of made-up values with the same sums in f64.
    pub(crate) fn check<T: Element>(kernel: &Kernel<T>, m: usize, k: usize, tolerance: f64) {
        let padded_k = kernel.padded_k(k);
        let a = values::<T>(m * k, 1);
        let b = values::<T>(kernel.cols * k, 2);
        let mut packed_a = vec![T::default(); m.next_multiple_of(kernel.rows) * padded_k];
        for (panel, rows) in
            packed_a.chunks_mut(kernel.rows * padded_k).zip(a.chunks(kernel.rows * k))
        {
            pack::pack_rows(rows, k, k, kernel.rows, kernel.row_group, panel);
        }
        let mut packed_b = vec![T::default(); kernel.cols * padded_k];
        pack::pack_rows(&b, k, k, kernel.cols, kernel.col_group, &mut packed_b);
        let mut c = vec![f32::NAN; m.next_multiple_of(kernel.rows) * kernel.cols];
        kernel.session(|| {
            let a = PackedRows { panels: &packed_a, rows: m };
            let b = ColumnPanels { panels: &packed_b, stride: packed_b.len(), count: 1 };
            kernel.product(a, b, padded_k, &mut c, false);
        });
        for row in 0..m {
            for col in 0..kernel.cols {
                let (mut expected, mut magnitude) = (0.0_f64, 0.0_f64);
                for i in 0..k {
                    let term =
                        f64::from(a[row * k + i].to_f32()) * f64::from(b[col * k + i].to_f32());
                    expected += term;
                    magnitude += term.abs();
                }
                let got = f64::from(c[row * kernel.cols + col]);
                assert!(
                    (got - expected).abs() <= tolerance * magnitude,
                    "m {m} k {k} row {row} col {col}: {got} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn every_tier_multiplies_every_edge_shape() {
        for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
            let device = Device::cpu_with_tier(tier, Some(1)).unwrap();
            for m in EDGE_MS {
                for k in EDGE_KS {
                    check::<bf16>(device.as_cpu().bf16_kernel(), m, k, 1e-6);
                    check::<f32>(device.as_cpu().f32_kernel(), m, k, 1e-6);
                }
            }
        }
    }
}
