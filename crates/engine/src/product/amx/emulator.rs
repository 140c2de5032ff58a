//! Executes the kernel's AMX instructions in software, so that its machine code is tested on every x86-64 machine.
//!
//! A processor without AMX answers each of them with an illegal-instruction signal. The handler decodes the
//! instruction, does its work on the tiles that it keeps for the thread, and goes on behind it. What the
//! manual answers with a fault (a bad configuration, tiles that do not fit each other) ends the process with a
//! message. Anything else illegal ends it as it would without the handler.
//!
//! It knows only the instructions and the forms of addresses that the kernel uses, no start rows, and says
//! nothing about speed.
//!
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18 (tiles), and
//! volume 2: LDTILECFG, TDPBF16PS, TILELOADD, TILERELEASE, TILESTORED, TILEZERO.
#![expect(unsafe_code, reason = "works on the registers and the memory of the interrupted code")]

use libc::{
    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RBP,
    REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RIP, REG_RSI, REG_RSP, c_int, c_void, siginfo_t,
    ucontext_t,
};
use std::cell::UnsafeCell;
use std::sync::Once;

const NUM_TILES: usize = 8;
const NUM_ROWS: usize = 16;
const ROW_BYTES: usize = 64;

type Row = [u8; ROW_BYTES];
type Tile = [Row; NUM_ROWS];

/// What the processor would answer with a fault, in words.
type Fault = &'static str;

/// From the first call on, the illegal instructions of every thread of this process come here.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: `sigaction` is plain data for which zero is valid; the handler has the type that
        // `SA_SIGINFO` asks for.
        let failed = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_illegal_instruction as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGILL, &raw const action, std::ptr::null_mut())
        };
        assert_eq!(failed, 0, "the handler could not be installed");
    });
}

/// Whether this thread has left its tiles configured.
pub(super) fn is_configured() -> bool {
    // SAFETY: the only other reference lives inside the handler, which does not run now.
    TILES.with(|tiles| unsafe { (*tiles.get()).shapes.is_some() })
}

thread_local! {
    // Constant and without a destructor, so that the handler reaches it without allocating.
    static TILES: UnsafeCell<Tiles> = const { UnsafeCell::new(Tiles::RELEASED) };
}

extern "C" fn on_illegal_instruction(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes the interrupted thread's context, which is ours until the handler returns.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    let instruction_pointer = registers[REG_RIP as usize];
    // SAFETY: `decode` reads on only while the bytes so far are the start of an instruction that the processor
    // has fetched.
    let code = |offset: usize| unsafe { *(instruction_pointer as *const u8).add(offset) };
    let Some((instruction, len)) =
        decode(code, |number| registers[GENERAL[number] as usize] as u64)
    else {
        // SAFETY: takes no memory of ours. The instruction is then repeated and ends the process.
        unsafe { libc::signal(libc::SIGILL, libc::SIG_DFL) };
        return;
    };
    // SAFETY: the signal is blocked while its handler runs, so this is the thread's only reference; the
    // addresses are the interrupted code's own.
    match TILES.with(|tiles| unsafe { (*tiles.get()).execute(&instruction) }) {
        Ok(()) => registers[REG_RIP as usize] += len as i64,
        Err(fault) => end_process(fault),
    }
}

/// Says why and aborts, with nothing but what a signal handler may call.
fn end_process(fault: Fault) -> ! {
    for part in ["amx emulator: ", fault, "\n"] {
        // SAFETY: writes a string from its own memory.
        unsafe { libc::write(libc::STDERR_FILENO, part.as_ptr().cast(), part.len()) };
    }
    // SAFETY: has no precondition.
    unsafe { libc::abort() }
}

/// Where the context keeps the general registers, by their number in machine code.
const GENERAL: [c_int; 16] = [
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9,
    REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instruction {
    Configure { address: u64 },
    Release,
    Zero { tile: usize },
    Load { tile: usize, address: u64, stride: u64 },
    Store { tile: usize, address: u64, stride: u64 },
    Multiply { sums: usize, a: usize, b: usize },
}

/// The instruction at `code` and its length in bytes; `None` for all that are not the kernel's.
///
/// Layout: `C4`, inverted register extensions and opcode map, `W vvvv L pp`, opcode, `ModRM`, address.
fn decode(
    code: impl Fn(usize) -> u8,
    register: impl Fn(usize) -> u64,
) -> Option<(Instruction, usize)> {
    const MAP_0F38: u8 = 2;
    const NO_THIRD_OPERAND: u8 = 0;
    if code(0) != 0xc4 || code(1) & 0x1f != MAP_0F38 || code(2) & 0x84 != 0 {
        return None;
    }
    let extensions = !code(1) >> 5;
    let (third, prefix) = (!code(2) >> 3 & 0xf, code(2) & 3);
    let opcode = code(3);
    if !matches!(opcode, 0x49 | 0x4b | 0x5c) {
        return None;
    }
    let modrm = code(4);
    let (in_memory, has_sib) = (modrm >> 6 != 3, modrm & 7 == 4);
    let tile = usize::from(modrm >> 3 & 7);
    let second = usize::from(modrm & 7);
    let decoded = match (opcode, prefix, in_memory) {
        (0x5c, 2, false) if third < 8 && extensions & 0b101 == 0 => {
            (Instruction::Multiply { sums: tile, a: second, b: usize::from(third) }, 5)
        }
        _ if third != NO_THIRD_OPERAND || extensions & 0b100 != 0 => return None,
        (0x49, 0, false) if modrm == 0xc0 => (Instruction::Release, 5),
        (0x49, 3, false) if second == 0 => (Instruction::Zero { tile }, 5),
        (0x49, 0, true) if tile == 0 => {
            let Operand { address, stride, len } = memory_operand(code, register, extensions)?;
            (Instruction::Configure { address: address.wrapping_add(stride) }, 4 + len)
        }
        (0x4b, 2 | 3, true) if has_sib => {
            let Operand { address, stride, len } = memory_operand(code, register, extensions)?;
            match prefix {
                2 => (Instruction::Store { tile, address, stride }, 4 + len),
                _ => (Instruction::Load { tile, address, stride }, 4 + len),
            }
        }
        _ => return None,
    };
    Some(decoded)
}

/// An address in memory, its scaled index apart: tiles take that as the distance of their rows.
struct Operand {
    address: u64,
    stride: u64,
    /// Bytes of machine code from `ModRM` on.
    len: usize,
}

/// Decodes `ModRM` and what follows; `None` for addresses without a base register.
fn memory_operand(
    code: impl Fn(usize) -> u8,
    register: impl Fn(usize) -> u64,
    extensions: u8,
) -> Option<Operand> {
    const NO_INDEX: u8 = 4;
    let modrm = code(4);
    let (mode, has_sib) = (modrm >> 6, modrm & 7 == 4);
    let (base, stride, mut len) = if has_sib {
        let sib = code(5);
        let index = (sib >> 3 & 7) | (extensions & 0b010) << 2;
        let stride = if index == NO_INDEX { 0 } else { register(index.into()) << (sib >> 6) };
        (sib & 7, stride, 2)
    } else {
        (modrm & 7, 0, 1)
    };
    if mode == 0 && base == 5 {
        return None;
    }
    let displacement = match mode {
        0 => 0,
        1 => i64::from(code(4 + len).cast_signed()),
        _ => i32::from_le_bytes(std::array::from_fn(|i| code(4 + len + i))).into(),
    };
    len += [0, 1, 4][usize::from(mode)];
    let base = register(usize::from(base | (extensions & 0b001) << 3));
    Some(Operand { address: base.wrapping_add_signed(displacement), stride, len })
}

/// The part of a tile that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    rows: usize,
    row_bytes: usize,
}

/// The tile state of a thread.
struct Tiles {
    /// `None` until a configuration is loaded.
    shapes: Option<[Shape; NUM_TILES]>,
    /// Zero outside of the shapes.
    data: [Tile; NUM_TILES],
}

impl Tiles {
    const RELEASED: Self = Self { shapes: None, data: [[[0; ROW_BYTES]; NUM_ROWS]; NUM_TILES] };

    /// # Safety
    /// The instruction's addresses may be read or written as the instruction does.
    unsafe fn execute(&mut self, instruction: &Instruction) -> Result<(), Fault> {
        match *instruction {
            Instruction::Configure { address } => {
                // SAFETY: the caller's promise; the instruction reads 64 bytes.
                let shapes = read_configuration(unsafe { &*(address as *const Row) })?;
                *self = Self { shapes, ..Self::RELEASED };
            }
            Instruction::Release => *self = Self::RELEASED,
            Instruction::Zero { tile } => {
                self.shape(tile)?;
                self.data[tile] = Self::RELEASED.data[tile];
            }
            Instruction::Load { tile, address, stride } => {
                let shape = self.shape(tile)?;
                self.data[tile] = Self::RELEASED.data[tile];
                for (row, address) in
                    self.data[tile].iter_mut().zip(rows_at(shape, address, stride))
                {
                    // SAFETY: the caller's promise.
                    unsafe {
                        std::ptr::copy(address as *const u8, row.as_mut_ptr(), shape.row_bytes);
                    }
                }
            }
            Instruction::Store { tile, address, stride } => {
                let shape = self.shape(tile)?;
                for (row, address) in self.data[tile].iter().zip(rows_at(shape, address, stride)) {
                    // SAFETY: the caller's promise.
                    unsafe { std::ptr::copy(row.as_ptr(), address as *mut u8, shape.row_bytes) }
                }
            }
            Instruction::Multiply { sums, a, b } => self.multiply(sums, a, b)?,
        }
        Ok(())
    }

    fn shape(&self, tile: usize) -> Result<Shape, Fault> {
        let shape = self.shapes.ok_or("a tile is used before a configuration is loaded")?[tile];
        if shape.rows == 0 {
            return Err("a tile is used that the configuration leaves out");
        }
        if !shape.row_bytes.is_multiple_of(4) {
            return Err("the rows of a tile are not whole groups of 4 bytes");
        }
        Ok(shape)
    }

    /// `sums += a · b`; `a` is `[rows, pairs]`, `b` `[pairs, cols]`, the pairs being two bf16.
    fn multiply(&mut self, sums: usize, a: usize, b: usize) -> Result<(), Fault> {
        if sums == a || sums == b || a == b {
            return Err("a product needs three different tiles");
        }
        let (sums_shape, a_shape, b_shape) = (self.shape(sums)?, self.shape(a)?, self.shape(b)?);
        if sums_shape.rows != a_shape.rows
            || sums_shape.row_bytes != b_shape.row_bytes
            || a_shape.row_bytes != b_shape.rows * 4
        {
            return Err("the shapes of the tiles of a product do not fit");
        }
        let (pairs, cols) = (b_shape.rows, sums_shape.row_bytes / 4);
        let (a, b) = (self.data[a], self.data[b]);
        for (sums, a) in self.data[sums].iter_mut().zip(&a).take(sums_shape.rows) {
            multiply_row(sums, a, &b, pairs, cols);
        }
        Ok(())
    }
}

/// Addresses of the rows in use.
fn rows_at(shape: Shape, address: u64, stride: u64) -> impl Iterator<Item = u64> {
    (0..shape.rows as u64).map(move |row| address.wrapping_add(row.wrapping_mul(stride)))
}

/// The shapes of a configuration; `None` for palette 0, which is the released state.
fn read_configuration(bytes: &Row) -> Result<Option<[Shape; NUM_TILES]>, Fault> {
    match bytes[0] {
        0 => return Ok(None),
        1 => {}
        _ => return Err("the configuration has an unknown palette"),
    }
    if bytes[1] != 0 {
        return Err("the configuration has a start row, which is not emulated");
    }
    if bytes[2..16].iter().chain(&bytes[32..48]).chain(&bytes[56..]).any(|byte| *byte != 0) {
        return Err("a reserved byte of the configuration is not zero");
    }
    let mut shapes = [Shape { rows: 0, row_bytes: 0 }; NUM_TILES];
    for (tile, shape) in shapes.iter_mut().enumerate() {
        let row_bytes = u16::from_le_bytes([bytes[16 + 2 * tile], bytes[17 + 2 * tile]]);
        *shape = Shape { rows: bytes[48 + tile].into(), row_bytes: row_bytes.into() };
        if shape.rows > NUM_ROWS || shape.row_bytes > ROW_BYTES {
            return Err("a tile of the configuration is too large");
        }
        if (shape.rows == 0) != (shape.row_bytes == 0) {
            return Err("a tile of the configuration has rows without bytes or bytes without rows");
        }
    }
    Ok(Some(shapes))
}

/// One row of a product.
///
/// NUMERICS: as the manual orders it, the first and the second values of the pairs are summed apart, each
/// from zero by fused multiply-adds; then the two sums are added, and that to the row.
fn multiply_row(sums: &mut Row, a: &Row, b: &Tile, pairs: usize, cols: usize) {
    let mut chains = [[0.0_f32; 2]; ROW_BYTES / 4];
    for (pair, b) in b.iter().enumerate().take(pairs) {
        for (col, chains) in chains.iter_mut().enumerate().take(cols) {
            for (half, chain) in chains.iter_mut().enumerate() {
                let (a, b) = (bf16_at(a, 2 * pair + half), bf16_at(b, 2 * col + half));
                *chain = without_denormal(a.mul_add(b, *chain));
            }
        }
    }
    for (sum, chains) in sums.chunks_exact_mut(4).zip(&chains).take(cols) {
        let old = f32::from_le_bytes(std::array::from_fn(|i| sum[i]));
        let new = without_denormal(chains[0] + chains[1]);
        sum.copy_from_slice(&without_denormal(without_denormal(old) + new).to_le_bytes());
    }
}

fn bf16_at(row: &Row, idx: usize) -> f32 {
    without_denormal(f32::from_le_bytes([0, 0, row[2 * idx], row[2 * idx + 1]]))
}

/// Denormal operands and results count as zero, whatever the thread's floating-point mode is.
fn without_denormal(value: f32) -> f32 {
    if value.is_subnormal() { 0.0_f32.copysign(value) } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;
    use std::arch::asm;

    /// Register `n` holds `1000 n`.
    fn decode_bytes(bytes: &[u8]) -> Option<(Instruction, usize)> {
        decode(|i| bytes[i], |number| 1000 * number as u64)
    }

    #[test]
    fn the_kernel_s_instructions_are_decoded_as_a_disassembler_does() {
        let load = |tile, address, stride| Instruction::Load { tile, address, stride };
        let store = |tile, address, stride| Instruction::Store { tile, address, stride };
        let multiply = |sums, a, b| Instruction::Multiply { sums, a, b };
        let known: &[(&[u8], Instruction)] = &[
            // ldtilecfg [rax], [r12], [rsp + 8]
            (&[0xc4, 0xe2, 0x78, 0x49, 0x00], Instruction::Configure { address: 0 }),
            (&[0xc4, 0xc2, 0x78, 0x49, 0x04, 0x24], Instruction::Configure { address: 12_000 }),
            (&[0xc4, 0xe2, 0x78, 0x49, 0x44, 0x24, 0x08], Instruction::Configure { address: 4008 }),
            // tilerelease; tilezero tmm5
            (&[0xc4, 0xe2, 0x78, 0x49, 0xc0], Instruction::Release),
            (&[0xc4, 0xe2, 0x7b, 0x49, 0xe8], Instruction::Zero { tile: 5 }),
            // tileloadd tmm4, [rax + rbx], [r13 + r12 * 2 + 64], [r13 + r12 * 8 + 4096], [rax]
            (&[0xc4, 0xe2, 0x7b, 0x4b, 0x24, 0x18], load(4, 0, 3000)),
            (&[0xc4, 0x82, 0x7b, 0x4b, 0x64, 0x65, 0x40], load(4, 13_064, 24_000)),
            (&[0xc4, 0x82, 0x7b, 0x4b, 0xa4, 0xe5, 0, 0x10, 0, 0], load(4, 17_096, 96_000)),
            (&[0xc4, 0xe2, 0x7b, 0x4b, 0x24, 0x20], load(4, 0, 0)),
            // tileloadd tmm7, [rsi + r8 - 64]
            (&[0xc4, 0xa2, 0x7b, 0x4b, 0x7c, 0x06, 0xc0], load(7, 5936, 8000)),
            // tilestored [rax + rbx], tmm3; tilestored [r8 + r9], tmm3
            (&[0xc4, 0xe2, 0x7a, 0x4b, 0x1c, 0x18], store(3, 0, 3000)),
            (&[0xc4, 0x82, 0x7a, 0x4b, 0x1c, 0x08], store(3, 8000, 9000)),
            // tdpbf16ps tmm0, tmm4, tmm6; tdpbf16ps tmm7, tmm1, tmm2
            (&[0xc4, 0xe2, 0x4a, 0x5c, 0xc4], multiply(0, 4, 6)),
            (&[0xc4, 0xe2, 0x6a, 0x5c, 0xf9], multiply(7, 1, 2)),
        ];
        for (bytes, instruction) in known {
            assert_eq!(decode_bytes(bytes), Some((*instruction, bytes.len())), "{bytes:02x?}");
        }
    }

    #[test]
    fn other_instructions_are_not_decoded() {
        let others: &[&[u8]] = &[
            // ud2; sttilecfg [rax]; tileloaddt1 tmm4, [rax + rbx]; tdpbssd tmm7, tmm1, tmm2
            &[0x0f, 0x0b],
            &[0xc4, 0xe2, 0x79, 0x49, 0x00],
            &[0xc4, 0xe2, 0x79, 0x4b, 0x24, 0x18],
            &[0xc4, 0xe2, 0x6b, 0x5e, 0xf9],
            // tmm8 and beyond; a tile load without an index byte; W set
            &[0xc4, 0xe2, 0x0a, 0x5c, 0xc4],
            &[0xc4, 0x62, 0x4a, 0x5c, 0xc4],
            &[0xc4, 0xe2, 0x7b, 0x4b, 0x20],
            &[0xc4, 0xe2, 0xca, 0x5c, 0xc4],
        ];
        for bytes in others {
            assert_eq!(decode_bytes(bytes), None, "{bytes:02x?}");
        }
    }

    /// All tiles 16 rows of 64 bytes.
    fn whole_tiles() -> Row {
        let mut bytes = [0; ROW_BYTES];
        bytes[0] = 1;
        bytes[16..32].copy_from_slice(&[64, 0].repeat(NUM_TILES));
        bytes[48..56].fill(16);
        bytes
    }

    fn configured(bytes: &Row) -> Tiles {
        Tiles { shapes: read_configuration(bytes).unwrap(), ..Tiles::RELEASED }
    }

    #[test]
    fn a_configuration_that_the_processor_refuses_is_refused() {
        assert!(read_configuration(&whole_tiles()).is_ok());
        // Palette; start row; reserved bytes; too many bytes or rows; rows without bytes and the reverse.
        let changes: [[u8; 2]; 13] = [
            [0, 2],
            [1, 1],
            [2, 1],
            [15, 1],
            [32, 64],
            [47, 1],
            [56, 16],
            [63, 1],
            [16, 68],
            [31, 1],
            [48, 17],
            [16, 0],
            [55, 0],
        ];
        for [idx, value] in changes {
            let mut bytes = whole_tiles();
            bytes[usize::from(idx)] = value;
            assert!(read_configuration(&bytes).is_err(), "byte {idx} = {value}");
        }
    }

    #[test]
    fn a_product_of_tiles_that_do_not_fit_is_refused() {
        assert!(Tiles::RELEASED.shape(0).is_err(), "without a configuration");
        assert!(configured(&whole_tiles()).multiply(0, 1, 2).is_ok());
        for (sums, a, b) in [(0, 0, 1), (0, 1, 0), (0, 1, 1)] {
            assert!(configured(&whole_tiles()).multiply(sums, a, b).is_err(), "{sums} {a} {b}");
        }
        // Rows of the sums, of `a`, of `b`; bytes of each.
        for (idx, value) in [(48, 8), (49, 8), (50, 8), (16, 32), (18, 32), (20, 32), (20, 62)] {
            let mut bytes = whole_tiles();
            bytes[idx] = value;
            assert!(configured(&bytes).multiply(0, 1, 2).is_err(), "byte {idx} = {value}");
        }
    }

    fn row_of(values: &[f32]) -> Row {
        let mut row = [0; ROW_BYTES];
        for (slot, value) in row.chunks_exact_mut(2).zip(values) {
            slot.copy_from_slice(&bf16::from_f32(*value).to_le_bytes());
        }
        row
    }

    /// The product of two rows along `k`, added to `sum`.
    fn product(sum: f32, a: &[f32], b: &[f32]) -> f32 {
        let mut sums = [0; ROW_BYTES];
        sums[..4].copy_from_slice(&sum.to_le_bytes());
        let mut pairs = [[0; ROW_BYTES]; NUM_ROWS];
        for (row, pair) in pairs.iter_mut().zip(b.chunks(2)) {
            *row = row_of(pair);
        }
        multiply_row(&mut sums, &row_of(a), &pairs, NUM_ROWS, 1);
        f32::from_le_bytes([sums[0], sums[1], sums[2], sums[3]])
    }

    #[test]
    fn first_and_second_values_of_pairs_are_summed_apart() {
        let large = 4096.0;
        let exact = large * large + 2.0;
        // One chain would lose both ones; here they are summed before they meet the large value.
        let got = product(0.0, &[large, 1.0, 0.0, 1.0], &[large, 1.0, 0.0, 1.0]);
        assert_eq!(got.to_bits(), exact.to_bits());
        // In the same chain each is lost, by rounding to even.
        let got = product(0.0, &[large, 0.0, 1.0, 0.0, 1.0], &[large, 0.0, 1.0, 0.0, 1.0]);
        assert_eq!(got.to_bits(), (large * large).to_bits());
        // The old sum comes last.
        let got = product(large * large, &[1.0, 0.0, 1.0], &[1.0, 0.0, 1.0]);
        assert_eq!(got.to_bits(), exact.to_bits());
    }

    #[test]
    fn denormals_count_as_zero() {
        let (denormal, least) = (f32::MIN_POSITIVE / 4.0, f32::MIN_POSITIVE);
        assert_eq!(product(0.0, &[denormal], &[1e30]).to_bits(), 0);
        assert_eq!(product(0.0, &[least], &[0.5]).to_bits(), 0);
        assert_eq!(product(denormal, &[least], &[1.0]).to_bits(), least.to_bits());
    }

    /// The signal that ends a child process which runs `work`.
    fn ending_signal(work: impl FnOnce()) -> c_int {
        install();
        // SAFETY: the child calls nothing but `close`, `work` and `_exit`, none of which takes a lock.
        unsafe {
            let child = libc::fork();
            assert!(child >= 0, "no process could be started");
            if child == 0 {
                libc::close(libc::STDERR_FILENO);
                work();
                libc::_exit(0);
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            if libc::WIFSIGNALED(status) { libc::WTERMSIG(status) } else { 0 }
        }
    }

    #[test]
    fn another_illegal_instruction_still_ends_the_process() {
        // SAFETY: ends the child, as it is meant to.
        assert_eq!(ending_signal(|| unsafe { asm!("ud2") }), libc::SIGILL);
        assert_eq!(ending_signal(|| {}), 0);
    }

    #[test]
    fn a_fault_of_a_tile_instruction_ends_the_process() {
        if super::super::is_available() {
            return;
        }
        // SAFETY: no tiles are configured: ends the child, as it is meant to.
        let signal = ending_signal(|| unsafe { asm!("tilezero tmm0", out("tmm0") _) });
        assert_eq!(signal, libc::SIGABRT);
    }
}
