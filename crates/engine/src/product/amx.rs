//! AMX kernel for bf16: 2 × 2 tiles of 16 × 16 sums, `k` in steps of 32, by inline assembly.
//!
//! Stable Rust has no AMX intrinsics; the assembler knows the instructions. Both operands lie in panels whose
//! steps are 2 KiB apart, so that every tile load reads whole cache lines.
//!
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18 (tile
//! configuration, palette 1); Linux `Documentation/arch/x86/xstate.rst` (permission for the tile state).
#![cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "x86-64 only"))]

use super::Kernel;
use half::bf16;

/// bf16 operands, f32 sums.
pub(crate) static BF16: Kernel<bf16> = Kernel {
    rows: 32,
    cols: 32,
    row_group: 32,
    col_group: 2,
    k_multiple: 32,
    k_block: 512,
    enter: x86::load_tile_configuration,
    leave: x86::release_tiles,
    tile: x86::tile,
};

/// Whether the processor has AMX for bf16 and the operating system lets this process use it.
pub(crate) fn is_available() -> bool {
    x86::is_available()
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod x86 {
    #![expect(unsafe_code, reason = "AMX has no intrinsics on stable Rust")]

    use half::bf16;
    use std::arch::asm;
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    use std::sync::OnceLock;

    /// CPUID leaf 7, EDX: AMX-BF16 is bit 22, AMX-TILE bit 24.
    const AMX_BF16_AND_TILE: u32 = 1 << 22 | 1 << 24;
    /// `arch_prctl` system call, its request for an optional state, and that state's number.
    const SYS_ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;

    pub(super) fn is_available() -> bool {
        static AVAILABLE: OnceLock<bool> = OnceLock::new();
        *AVAILABLE.get_or_init(|| {
            let has_instructions = __cpuid(0).eax >= 7
                && __cpuid_count(7, 0).edx & AMX_BF16_AND_TILE == AMX_BF16_AND_TILE;
            has_instructions && request_tile_permission()
        })
    }

    /// Asks Linux for the tile state. Granted to the whole process: threads that run already have it, too.
    ///
    /// CPUID alone is not enough: success also means that the kernel has switched the state on (XCR0 bits 17
    /// and 18). It refuses where it is older than 5.16, or where a thread's signal stack is too small for the
    /// state.
    fn request_tile_permission() -> bool {
        let result: i64;
        // SAFETY: a system call that reads two integers and touches no memory of ours.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") SYS_ARCH_PRCTL => result,
                in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") XFEATURE_XTILEDATA,
                out("rcx") _,
                out("r11") _,
                options(nostack),
            );
        }
        result == 0
    }

    #[repr(C, align(64))]
    struct TileConfiguration {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        bytes_per_row: [u16; 16],
        rows: [u8; 16],
    }

    /// Eight tiles of 16 rows of 64 bytes.
    static CONFIGURATION: TileConfiguration = TileConfiguration {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        bytes_per_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
        rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
    };

    pub(super) fn load_tile_configuration() {
        // SAFETY: the tier was found available; the configuration is 64 valid bytes. The compiler uses no tiles
        // itself, so the configuration outlives this block; the tiles that it zeroes are declared.
        unsafe {
            asm!(
                "ldtilecfg [{}]",
                in(reg) &raw const CONFIGURATION,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, readonly, preserves_flags),
            );
        }
    }

    pub(super) fn release_tiles() {
        // SAFETY: the tier was found available; the tiles that it zeroes are declared.
        unsafe {
            asm!(
                "tilerelease",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, nomem, preserves_flags),
            );
        }
    }

    pub(super) unsafe fn tile(
        a: *const bf16,
        b: *const bf16,
        k: usize,
        c: *mut f32,
        rows: usize,
        accumulate: bool,
    ) {
        debug_assert!(k > 0 && k.is_multiple_of(32), "the loops run at least once");
        // SAFETY: the contract of `TileFn`: whole panels, a whole tile, the tiles configured.
        unsafe {
            if rows > 16 {
                two_by_two(a, b, k / 32, c, accumulate);
            } else {
                one_by_two(a, b, k / 32, c, accumulate);
            }
        }
    }

    /// `tmm0..tmm3` = the sums (0 and 1 the upper 16 rows), `tmm4`, `tmm5` = `A`, `tmm6`, `tmm7` = `B`.
    ///
    /// One block of assembly, because nothing promises that tiles keep their values between two. `*1` says
    /// which register is the distance of the rows; without it, the order of the two would decide.
    unsafe fn two_by_two(
        a: *const bf16,
        b: *const bf16,
        steps: usize,
        c: *mut f32,
        accumulate: bool,
    ) {
        // SAFETY: reads `steps` × 2 KiB from each panel, reads and writes the 4 KiB of `c`.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "test {accumulate}, {accumulate}",
                "jz 2f",
                "tileloadd tmm0, [{c} + {two_lines}*1]",
                "tileloadd tmm1, [{c} + {two_lines}*1 + 64]",
                "tileloadd tmm2, [{c} + {two_lines}*1 + 2048]",
                "tileloadd tmm3, [{c} + {two_lines}*1 + 2112]",
                "2:",
                "tileloadd tmm4, [{a} + {line}*1]",
                "tileloadd tmm6, [{b} + {two_lines}*1]",
                "tileloadd tmm7, [{b} + {two_lines}*1 + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{a} + {line}*1 + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, 2048",
                "add {b}, 2048",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{c} + {two_lines}*1], tmm0",
                "tilestored [{c} + {two_lines}*1 + 64], tmm1",
                "tilestored [{c} + {two_lines}*1 + 2048], tmm2",
                "tilestored [{c} + {two_lines}*1 + 2112], tmm3",
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                steps = inout(reg) steps => _,
                c = in(reg) c,
                line = in(reg) 64_usize,
                two_lines = in(reg) 128_usize,
                accumulate = in(reg_byte) u8::from(accumulate),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }

    /// The upper 16 rows alone.
    unsafe fn one_by_two(
        a: *const bf16,
        b: *const bf16,
        steps: usize,
        c: *mut f32,
        accumulate: bool,
    ) {
        // SAFETY: as `two_by_two`, with the upper half of `a` and `c`.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "test {accumulate}, {accumulate}",
                "jz 2f",
                "tileloadd tmm0, [{c} + {two_lines}*1]",
                "tileloadd tmm1, [{c} + {two_lines}*1 + 64]",
                "2:",
                "tileloadd tmm4, [{a} + {line}*1]",
                "tileloadd tmm6, [{b} + {two_lines}*1]",
                "tileloadd tmm7, [{b} + {two_lines}*1 + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "add {a}, 2048",
                "add {b}, 2048",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{c} + {two_lines}*1], tmm0",
                "tilestored [{c} + {two_lines}*1 + 64], tmm1",
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                steps = inout(reg) steps => _,
                c = in(reg) c,
                line = in(reg) 64_usize,
                two_lines = in(reg) 128_usize,
                accumulate = in(reg_byte) u8::from(accumulate),
                out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod x86 {
    pub(super) use super::super::no_state as load_tile_configuration;
    pub(super) use super::super::no_state as release_tiles;
    pub(super) use super::super::unavailable_tile as tile;

    pub(super) fn is_available() -> bool {
        false
    }
}

#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
mod emulator;

#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
mod tests {
    use super::*;
    use crate::product::driver::tests::check_products;
    use crate::product::pack::pack_rows;
    use crate::product::tests::{EDGE_KS, EDGE_MS, check, values};
    use crate::product::{ColumnPanels, PackedRows};

    /// Makes the instructions work here: natively where the processor has them, emulated elsewhere.
    fn prepare() {
        if !is_available() {
            emulator::install();
        }
    }

    /// Packs `rows` `[rows, k]` into panels of `width` rows.
    fn pack(rows: &[bf16], k: usize, width: usize, group: usize) -> Vec<bf16> {
        let panel_len = width * BF16.padded_k(k);
        let mut panels = vec![bf16::ZERO; rows.len().div_ceil(width * k) * panel_len];
        for (panel, rows) in panels.chunks_mut(panel_len).zip(rows.chunks(width * k)) {
            pack_rows(rows, k, k, width, group, panel);
        }
        panels
    }

    /// The bits of every row of the product of `a` `[m, k]` and `b` `[32, k]` by a kernel like [`BF16`].
    fn product_bits(kernel: &Kernel<bf16>, a: &[bf16], b: &[bf16], k: usize) -> Vec<Vec<u32>> {
        let m = a.len() / k;
        let packed_a = pack(a, k, BF16.rows, BF16.row_group);
        let packed_b = pack(b, k, BF16.cols, BF16.col_group);
        let mut c = vec![f32::NAN; m.next_multiple_of(BF16.rows) * BF16.cols];
        kernel.session(|| {
            let a = PackedRows { panels: &packed_a, rows: m };
            let b = ColumnPanels { panels: &packed_b, stride: packed_b.len(), count: 1 };
            kernel.product(a, b, BF16.padded_k(k), &mut c, false);
        });
        let bits = |row: &[f32]| row.iter().map(|value| value.to_bits()).collect();
        c.chunks_exact(BF16.cols).take(m).map(bits).collect()
    }

    #[test]
    fn every_edge_shape_is_multiplied() {
        prepare();
        for m in EDGE_MS {
            for k in EDGE_KS {
                check(&BF16, m, k, 1e-6);
            }
        }
    }

    #[test]
    fn the_products_of_a_layer_and_of_its_gradients_are_right() {
        prepare();
        check_products(&BF16);
    }

    #[test]
    fn a_session_leaves_no_tiles_configured() {
        prepare();
        BF16.session(|| assert!(is_available() || emulator::is_configured()));
        assert!(!emulator::is_configured());
    }

    #[test]
    fn a_row_has_the_same_bits_at_every_place_and_beside_every_other_row() {
        prepare();
        for k in [31, 64, 130] {
            let a = values::<bf16>(67 * k, 3);
            let b = values::<bf16>(BF16.cols * k, 4);
            let together = product_bits(&BF16, &a, &b, k);
            for (row_idx, row) in a.chunks_exact(k).enumerate() {
                let alone = product_bits(&BF16, row, &b, k);
                assert_eq!(alone[0], together[row_idx], "k {k} row {row_idx} alone");
            }
            for shift in [1, 15, 16, 31, 33] {
                let mut others = values::<bf16>(shift * k, 5);
                others.extend_from_slice(&a);
                let shifted = product_bits(&BF16, &others, &b, k);
                assert_eq!(shifted[shift..], together[..], "k {k} shifted by {shift}");
            }
        }
    }

    #[test]
    fn where_k_is_cut_changes_no_bit() {
        prepare();
        let k = 2 * BF16.k_block + 33;
        let b = values::<bf16>(BF16.cols * k, 7);
        for m in [5, 16, 17, 40] {
            let a = values::<bf16>(m * k, 6);
            let whole = product_bits(&Kernel { k_block: usize::MAX, ..BF16 }, &a, &b, k);
            for k_block in [32, 96, BF16.k_block] {
                let cut = product_bits(&Kernel { k_block, ..BF16 }, &a, &b, k);
                assert_eq!(cut, whole, "m {m} k_block {k_block}");
            }
        }
    }

    #[test]
    fn accumulation_continues_the_sums_that_are_there() {
        prepare();
        let k = 96;
        let b = values::<bf16>(BF16.cols * k, 9);
        let packed_b = pack(&b, k, BF16.cols, BF16.col_group);
        for m in [3, 16, 20, 32, 50] {
            let packed_a = pack(&values::<bf16>(m * k, 8), k, BF16.rows, BF16.row_group);
            let len = m.next_multiple_of(BF16.rows) * BF16.cols;
            let (mut sums, mut product) = (values::<f32>(len, 10), vec![f32::NAN; len]);
            let before = sums.clone();
            let a = PackedRows { panels: &packed_a, rows: m };
            let b = ColumnPanels { panels: &packed_b, stride: packed_b.len(), count: 1 };
            BF16.session(|| {
                BF16.product(a, b, k, &mut sums, true);
                BF16.product(a, b, k, &mut product, false);
            });
            for i in 0..m * BF16.cols {
                let expected = f64::from(before[i]) + f64::from(product[i]);
                let distance = (f64::from(sums[i]) - expected).abs();
                assert!(distance < 1e-5, "m {m} element {i}: {} is not {expected}", sums[i]);
            }
        }
    }
}
