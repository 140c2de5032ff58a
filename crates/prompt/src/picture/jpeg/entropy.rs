//! Huffman codes and the bits they are read from.
//!
//! # Source
//! ITU-T T.81, annexes C and F.

use super::super::decode::Fault;
use super::damaged;

/// Codes up to this length are found in one step.
const FAST_BITS: u32 = 10;
/// Longest code.
const MAX_BITS: usize = 16;
/// Mark of a code that is longer than [`FAST_BITS`] or does not exist.
const SLOW: u16 = 0;

/// Codes of one table.
pub(super) struct HuffmanTable {
    /// For every start of `FAST_BITS` bits: the code's length in the high byte, its symbol in the low one.
    fast: Vec<u16>,
    /// For every length: the first code that is too large for it, as if it had 16 bits.
    limits: [u32; MAX_BITS + 1],
    /// For every length: what to add to a code of that length to find its symbol.
    offsets: [i32; MAX_BITS + 1],
    symbols: Vec<u8>,
}

impl HuffmanTable {
    /// Builds the table at the start of `bytes` and says how many bytes it took.
    pub(super) fn new(bytes: &[u8]) -> Result<(Self, usize), Fault> {
        let short = || damaged("a Huffman table is too short");
        let counts: &[u8; MAX_BITS] = bytes.first_chunk().ok_or_else(short)?;
        let total: usize = counts.iter().map(|count| usize::from(*count)).sum();
        let symbols = bytes.get(MAX_BITS..MAX_BITS + total).ok_or_else(short)?.to_vec();
        let mut fast = vec![SLOW; 1 << FAST_BITS];
        let mut limits = [0; MAX_BITS + 1];
        let mut offsets = [0; MAX_BITS + 1];
        let (mut code, mut next) = (0u32, 0usize);
        for length in 1..=MAX_BITS {
            let count = u32::from(counts[length - 1]);
            offsets[length] = next as i32 - code as i32;
            if code + count > 1 << length {
                return Err(damaged("a Huffman table is impossible"));
            }
            for _ in 0..count {
                if length as u32 <= FAST_BITS {
                    let spread = FAST_BITS - length as u32;
                    let entry = (length as u16) << 8 | u16::from(symbols[next]);
                    fast[(code << spread) as usize..((code + 1) << spread) as usize].fill(entry);
                }
                code += 1;
                next += 1;
            }
            limits[length] = code << (MAX_BITS - length);
            code <<= 1;
        }
        Ok((Self { fast, limits, offsets, symbols }, MAX_BITS + total))
    }

    /// Reads one symbol.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8, Fault> {
        bits.fill();
        let entry = self.fast[bits.peek(FAST_BITS) as usize];
        if entry != SLOW {
            bits.skip(u32::from(entry >> 8));
            return Ok(entry as u8);
        }
        self.long_symbol(bits)
    }

    #[cold]
    fn long_symbol(&self, bits: &mut Bits<'_>) -> Result<u8, Fault> {
        let ahead = bits.peek(MAX_BITS as u32);
        let length = (1..=MAX_BITS)
            .find(|length| ahead < self.limits[*length])
            .ok_or_else(|| damaged("its data holds an unknown code"))?;
        bits.skip(length as u32);
        let code = ahead >> (MAX_BITS - length);
        let symbol = self.symbols.get((code as i32 + self.offsets[length]) as usize);
        symbol.copied().ok_or_else(|| damaged("its data holds an unknown code"))
    }
}

/// Entropy-coded data of one scan, read bit by bit.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, the very next one highest.
    buffer: u64,
    /// Bits in the buffer.
    count: u32,
    /// Zeros that were added because the data had ended.
    borrowed: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, buffer: 0, count: 0, borrowed: 0 }
    }

    /// Makes at least 32 bits available: a code and its value.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        const NEEDED: u32 = 32;
        if self.count >= NEEDED {
            return;
        }
        if let Some(ahead) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_be_bytes(*ahead);
            let inverse = !word;
            let has_ff = inverse.wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080;
            if has_ff == 0 {
                // Bits beyond the last whole byte are written again, unchanged, by the next fill.
                self.buffer |= word >> self.count;
                let num_bytes = (63 - self.count) / 8;
                self.at += num_bytes as usize;
                self.count += num_bytes * 8;
                return;
            }
        }
        self.fill_slowly();
    }

    /// Byte by byte: drops the zero after each 0xff, and stops at markers.
    fn fill_slowly(&mut self) {
        if self.count > 0 {
            self.buffer &= u64::MAX << (64 - self.count);
        } else {
            self.buffer = 0;
        }
        while self.count <= 56 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xff), Some(0x00)) => {
                    self.at += 2;
                    0xff
                }
                (Some(0xff) | None, _) => {
                    self.borrowed += 8;
                    0
                }
                (Some(byte), _) => {
                    self.at += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline(always)]
    fn peek(&self, num_bits: u32) -> u32 {
        (self.buffer >> (64 - num_bits)) as u32
    }

    #[inline(always)]
    fn skip(&mut self, num_bits: u32) {
        self.buffer <<= num_bits;
        self.count -= num_bits;
    }

    /// Reads up to 16 bits, after a symbol or a fill.
    #[inline(always)]
    pub(super) fn take(&mut self, num_bits: u32) -> i32 {
        if num_bits == 0 {
            return 0;
        }
        let value = self.peek(num_bits);
        self.skip(num_bits);
        value as i32
    }

    /// Reads a number of `num_bits` bits whose first bit is its sign.
    #[inline(always)]
    pub(super) fn take_signed(&mut self, num_bits: u32) -> i32 {
        let value = self.take(num_bits);
        let negative = num_bits > 0 && value < 1 << (num_bits - 1);
        if negative { value - (1 << num_bits) + 1 } else { value }
    }

    /// Reads one bit.
    #[inline(always)]
    pub(super) fn bit(&mut self) -> bool {
        self.fill();
        self.take(1) == 1
    }

    /// Fails when more was read than there was.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.borrowed > self.count {
            return Err(Fault::Truncated("its data ends too early".to_owned()));
        }
        Ok(())
    }

    /// Goes behind the restart marker that must come next.
    pub(super) fn restart(&mut self) -> Result<(), Fault> {
        self.check()?;
        while self.data.get(self.at) == Some(&0xff) && self.data.get(self.at + 1) == Some(&0xff) {
            self.at += 1;
        }
        let (Some(0xff), Some(0xd0..=0xd7)) = (self.data.get(self.at), self.data.get(self.at + 1))
        else {
            return Err(damaged("a restart marker is missing"));
        };
        *self = Self { at: self.at + 2, ..Self::new(self.data) };
        Ok(())
    }
}
