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
    k_block: 2048,
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

    /// Asks Linux for the tile state; granted to the whole process, threads started later included.
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
        // SAFETY: the tier was found available; the configuration is 64 valid bytes.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, readonly));
        }
    }

    pub(super) fn release_tiles() {
        // SAFETY: the tier was found available.
        unsafe { asm!("tilerelease", options(nostack, nomem)) }
    }

    pub(super) unsafe fn tile(
        a: *const bf16,
        b: *const bf16,
        k: usize,
        c: *mut f32,
        rows: usize,
        accumulate: bool,
    ) {
        // SAFETY: the contract of `TileFn`: whole panels, a whole tile, the tiles configured.
        unsafe {
            match (rows > 16, accumulate) {
                (true, true) => two_by_two::<true>(a, b, k / 32, c),
                (true, false) => two_by_two::<false>(a, b, k / 32, c),
                (false, true) => one_by_two::<true>(a, b, k / 32, c),
                (false, false) => one_by_two::<false>(a, b, k / 32, c),
            }
        }
    }

    /// `tmm0..tmm3` = the sums (0 and 1 the upper 16 rows), `tmm4`, `tmm5` = `A`, `tmm6`, `tmm7` = `B`.
    unsafe fn two_by_two<const ACCUMULATE: bool>(
        a: *const bf16,
        b: *const bf16,
        steps: usize,
        c: *mut f32,
    ) {
        // SAFETY: reads `steps` × 2 KiB from each panel, reads and writes the 4 KiB of `c`.
        unsafe {
            if ACCUMULATE {
                asm!(
                    "tileloadd tmm0, [{c} + {two_lines}]",
                    "tileloadd tmm1, [{c} + {two_lines} + 64]",
                    "tileloadd tmm2, [{c} + {two_lines} + 2048]",
                    "tileloadd tmm3, [{c} + {two_lines} + 2112]",
                    c = in(reg) c, two_lines = in(reg) 128_usize, options(nostack),
                );
            } else {
                asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nostack, nomem));
            }
            asm!(
                "2:",
                "tileloadd tmm4, [{a} + {line}]",
                "tileloadd tmm6, [{b} + {two_lines}]",
                "tileloadd tmm7, [{b} + {two_lines} + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{a} + {line} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, 2048",
                "add {b}, 2048",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{c} + {two_lines}], tmm0",
                "tilestored [{c} + {two_lines} + 64], tmm1",
                "tilestored [{c} + {two_lines} + 2048], tmm2",
                "tilestored [{c} + {two_lines} + 2112], tmm3",
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                steps = inout(reg) steps => _,
                c = in(reg) c,
                line = in(reg) 64_usize,
                two_lines = in(reg) 128_usize,
                options(nostack),
            );
        }
    }

    /// The upper 16 rows alone.
    unsafe fn one_by_two<const ACCUMULATE: bool>(
        a: *const bf16,
        b: *const bf16,
        steps: usize,
        c: *mut f32,
    ) {
        // SAFETY: as `two_by_two`, with the upper half of `a` and `c`.
        unsafe {
            if ACCUMULATE {
                asm!(
                    "tileloadd tmm0, [{c} + {two_lines}]",
                    "tileloadd tmm1, [{c} + {two_lines} + 64]",
                    c = in(reg) c, two_lines = in(reg) 128_usize, options(nostack),
                );
            } else {
                asm!("tilezero tmm0", "tilezero tmm1", options(nostack, nomem));
            }
            asm!(
                "2:",
                "tileloadd tmm4, [{a} + {line}]",
                "tileloadd tmm6, [{b} + {two_lines}]",
                "tileloadd tmm7, [{b} + {two_lines} + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "add {a}, 2048",
                "add {b}, 2048",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{c} + {two_lines}], tmm0",
                "tilestored [{c} + {two_lines} + 64], tmm1",
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                steps = inout(reg) steps => _,
                c = in(reg) c,
                line = in(reg) 64_usize,
                two_lines = in(reg) 128_usize,
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
