//! Scans: from entropy-coded data to the coefficients of the blocks.
//!
//! Baseline scans hold whole blocks; progressive ones hold some coefficients, or one more bit of them.
//!
//! # Source
//! ITU-T T.81, annexes F and G.

use super::super::decode::Fault;
use super::entropy::{Bits, HuffmanTable};
use super::{BLOCK, BLOCK_SIDE, Component, Decoder, NUM_TABLES, ZIGZAG, damaged, no_frame};

/// What a scan header says.
struct ScanHeader {
    channels: Vec<Channel>,
    /// First and last coefficient.
    band: [usize; 2],
    /// Bit that the scan refines down from, or 0 for a first scan.
    high: u32,
    /// Lowest bit that the scan holds.
    low: u32,
}

/// One channel of a scan.
struct Channel {
    /// Index among the frame's channels.
    component: usize,
    /// Numbers of its Huffman tables.
    dc_table: usize,
    ac_table: usize,
}

/// Numbers that a scan carries from block to block.
#[derive(Default)]
struct Running {
    /// Last DC value of each channel of the scan.
    dc: [i32; NUM_TABLES],
    /// Blocks that are known to hold nothing more.
    empty_blocks: u32,
}

/// How the blocks of a scan are read.
#[derive(Clone, Copy)]
enum Kind {
    Sequential,
    DcFirst,
    DcRefine,
    AcFirst,
    AcRefine,
}

impl Decoder<'_> {
    /// Reads one scan, from its header to the next marker.
    pub(super) fn read_scan(&mut self) -> Result<(), Fault> {
        let body = self.segment()?;
        let header = self.scan_header(body)?;
        let end = self.at + data_len(&self.bytes[self.at..]);
        let bits = Bits::new(&self.bytes[self.at..end]);
        self.at = end;
        self.prepare(&header)?;
        self.read_blocks(&header, bits)
    }

    fn scan_header(&self, body: &[u8]) -> Result<ScanHeader, Fault> {
        let wrong = || damaged("a scan header is impossible");
        let frame = self.frame.as_ref().ok_or_else(no_frame)?;
        let count = usize::from(*body.first().ok_or_else(wrong)?);
        let (specs, tail) = body[1..].split_at_checked(count * 2).ok_or_else(wrong)?;
        let [first, last, bits] = *tail.first_chunk().ok_or_else(wrong)?;
        let mut channels = Vec::with_capacity(count);
        for spec in specs.as_chunks::<2>().0 {
            let component = frame.components.iter().position(|one| one.id == spec[0]);
            let channel = Channel {
                component: component.ok_or_else(wrong)?,
                dc_table: usize::from(spec[1] >> 4),
                ac_table: usize::from(spec[1] & 15),
            };
            if channel.dc_table >= NUM_TABLES || channel.ac_table >= NUM_TABLES {
                return Err(wrong());
            }
            channels.push(channel);
        }
        let (band, high, low) = if frame.progressive {
            ([usize::from(first), usize::from(last)], u32::from(bits >> 4), u32::from(bits & 15))
        } else {
            ([0, BLOCK - 1], 0, 0)
        };
        let mixed = frame.progressive && band[0] == 0 && band[1] != 0;
        let several_ac = band[0] > 0 && channels.len() > 1;
        let bad_band = band[0] > band[1] || band[1] >= BLOCK || low > 13;
        if !(1..=NUM_TABLES).contains(&count) || mixed || several_ac || bad_band {
            return Err(wrong());
        }
        Ok(ScanHeader { channels, band, high, low })
    }

    /// Gives each channel of a scan its quantization table and room for its coefficients.
    fn prepare(&mut self, header: &ScanHeader) -> Result<(), Fault> {
        let frame = self.frame.as_mut().ok_or_else(no_frame)?;
        for channel in &header.channels {
            let component = &mut frame.components[channel.component];
            if component.quantization.is_none() {
                let table = self.quantization.get(component.quantization_idx).copied().flatten();
                component.quantization =
                    Some(table.ok_or_else(|| damaged("a quantization table is missing"))?);
                component.coefficients = vec![0; component.blocks[0] * component.blocks[1] * BLOCK];
            }
        }
        Ok(())
    }

    fn read_blocks(&mut self, header: &ScanHeader, bits: Bits<'_>) -> Result<(), Fault> {
        let frame = self.frame.as_mut().ok_or_else(no_frame)?;
        let kind = match (frame.progressive, header.band[0], header.high) {
            (false, ..) => Kind::Sequential,
            (true, 0, 0) => Kind::DcFirst,
            (true, 0, _) => Kind::DcRefine,
            (true, _, 0) => Kind::AcFirst,
            (true, ..) => Kind::AcRefine,
        };
        let mut tables = Vec::with_capacity(header.channels.len());
        for channel in &header.channels {
            let missing = || damaged("a Huffman table is missing");
            let (dc, ac) = (&self.dc_tables[channel.dc_table], &self.ac_tables[channel.ac_table]);
            let needs_dc = matches!(kind, Kind::Sequential | Kind::DcFirst);
            let needs_ac = !matches!(kind, Kind::DcFirst | Kind::DcRefine);
            if needs_dc && dc.is_none() || needs_ac && ac.is_none() {
                return Err(missing());
            }
            tables.push((dc.as_ref(), ac.as_ref()));
        }
        let mut reader = BlockReader { header, kind, bits, running: Running::default() };
        let single = <&[Channel; 1]>::try_from(header.channels.as_slice()).ok();
        let units = match single {
            Some([channel]) => visible_blocks(&frame.components[channel.component]),
            None => frame.mcus,
        };
        for unit in 0..units[0] * units[1] {
            if self.restart_interval > 0 && unit > 0 && unit % self.restart_interval == 0 {
                reader.bits.restart()?;
                reader.running = Running::default();
            }
            let (x, y) = (unit % units[0], unit / units[0]);
            for (channel_idx, channel) in header.channels.iter().enumerate() {
                let component = &mut frame.components[channel.component];
                let [across, down] = if single.is_some() { [1, 1] } else { component.sampling };
                for block in 0..across * down {
                    let column = x * across + block % across;
                    let row = y * down + block / across;
                    let from = (row * component.blocks[0] + column) * BLOCK;
                    let block = component.coefficients[from..].first_chunk_mut();
                    let block = block.expect("blocks cover all coded units");
                    reader.read(block, channel_idx, tables[channel_idx])?;
                }
            }
            if x + 1 == units[0] {
                reader.bits.check()?;
            }
        }
        reader.bits.check()
    }
}

/// Blocks that hold a piece of the picture; a scan of one channel holds no others.
fn visible_blocks(component: &Component) -> [usize; 2] {
    component.size.map(|samples| samples.div_ceil(BLOCK_SIDE))
}

/// Length of entropy-coded data: up to a marker that is neither a stuffed zero nor a restart.
fn data_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == 0xff) {
        at += found;
        match bytes.get(at + 1) {
            Some(0x00 | 0xd0..=0xd7) => at += 2,
            Some(0xff) => at += 1,
            _ => return at,
        }
    }
    bytes.len()
}

type Tables<'a> = (Option<&'a HuffmanTable>, Option<&'a HuffmanTable>);

/// Reads the blocks of one scan.
struct BlockReader<'a> {
    header: &'a ScanHeader,
    kind: Kind,
    bits: Bits<'a>,
    running: Running,
}

impl BlockReader<'_> {
    #[inline(always)]
    fn read(
        &mut self,
        block: &mut [i16; BLOCK],
        channel_idx: usize,
        (dc, ac): Tables<'_>,
    ) -> Result<(), Fault> {
        let dc = || dc.expect("checked before the scan");
        let ac = || ac.expect("checked before the scan");
        match self.kind {
            Kind::Sequential => {
                block[0] = self.next_dc(channel_idx, dc())? as i16;
                self.sequential_ac(block, ac())
            }
            Kind::DcFirst => {
                block[0] = (self.next_dc(channel_idx, dc())? << self.header.low) as i16;
                Ok(())
            }
            Kind::DcRefine => {
                if self.bits.bit() {
                    block[0] |= 1 << self.header.low;
                }
                Ok(())
            }
            Kind::AcFirst => self.first_ac(block, ac()),
            Kind::AcRefine => self.refine_ac(block, ac()),
        }
    }

    #[inline(always)]
    fn next_dc(&mut self, channel_idx: usize, table: &HuffmanTable) -> Result<i32, Fault> {
        let num_bits = u32::from(table.symbol(&mut self.bits)?);
        if num_bits > 16 {
            return Err(damaged("a brightness is impossible"));
        }
        let difference = self.bits.take_signed(num_bits);
        let value = self.running.dc[channel_idx].wrapping_add(difference);
        self.running.dc[channel_idx] = value;
        Ok(value)
    }

    #[inline(always)]
    fn sequential_ac(
        &mut self,
        block: &mut [i16; BLOCK],
        table: &HuffmanTable,
    ) -> Result<(), Fault> {
        let mut index = 1;
        while index < BLOCK {
            let symbol = table.symbol(&mut self.bits)?;
            let (zeros, num_bits) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if num_bits == 0 {
                if zeros != 15 {
                    break;
                }
                index += 16;
                continue;
            }
            index += zeros;
            let place = *ZIGZAG.get(index).ok_or_else(overfull)?;
            block[usize::from(place)] = self.bits.take_signed(num_bits) as i16;
            index += 1;
        }
        Ok(())
    }

    fn first_ac(&mut self, block: &mut [i16; BLOCK], table: &HuffmanTable) -> Result<(), Fault> {
        if self.running.empty_blocks > 0 {
            self.running.empty_blocks -= 1;
            return Ok(());
        }
        let [mut index, last] = self.header.band;
        while index <= last {
            let symbol = table.symbol(&mut self.bits)?;
            let (zeros, num_bits) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if num_bits > 0 {
                index += zeros;
                let place = *ZIGZAG[..=last].get(index).ok_or_else(overfull)?;
                let value = self.bits.take_signed(num_bits) << self.header.low;
                block[usize::from(place)] = value as i16;
                index += 1;
            } else if zeros == 15 {
                index += 16;
            } else {
                self.running.empty_blocks = self.empty_run(zeros as u32) - 1;
                break;
            }
        }
        Ok(())
    }

    /// Number of blocks, this one included, in which nothing more follows.
    fn empty_run(&mut self, num_bits: u32) -> u32 {
        (1 << num_bits) + self.bits.take(num_bits) as u32
    }

    fn refine_ac(&mut self, block: &mut [i16; BLOCK], table: &HuffmanTable) -> Result<(), Fault> {
        let [mut index, last] = self.header.band;
        let step = 1i16 << self.header.low;
        if self.running.empty_blocks == 0 {
            while index <= last {
                let symbol = table.symbol(&mut self.bits)?;
                let (zeros, num_bits) = (usize::from(symbol >> 4), symbol & 15);
                let fresh = match num_bits {
                    0 if zeros < 15 => {
                        self.running.empty_blocks = self.empty_run(zeros as u32);
                        break;
                    }
                    0 => 0,
                    1 if self.bits.bit() => step,
                    1 => -step,
                    _ => return Err(damaged("a refinement is impossible")),
                };
                index = self.refine_until(block, index, zeros, step);
                if fresh != 0 {
                    let place = *ZIGZAG[..=last].get(index).ok_or_else(overfull)?;
                    block[usize::from(place)] = fresh;
                }
                index += 1;
            }
        }
        if self.running.empty_blocks > 0 {
            self.refine_until(block, index, BLOCK, step);
            self.running.empty_blocks -= 1;
        }
        Ok(())
    }

    /// Refines the coefficients that are known to be nonzero while passing `zeros` others; returns where the next other one is.
    fn refine_until(
        &mut self,
        block: &mut [i16; BLOCK],
        from: usize,
        mut zeros: usize,
        step: i16,
    ) -> usize {
        let last = self.header.band[1];
        for index in from..=last {
            let value = &mut block[usize::from(ZIGZAG[index])];
            if *value == 0 {
                if zeros == 0 {
                    return index;
                }
                zeros -= 1;
            } else if self.bits.bit() && *value & step == 0 {
                *value = value.wrapping_add(if *value > 0 { step } else { -step });
            }
        }
        last + 1
    }
}

fn overfull() -> Fault {
    damaged("a block has too many coefficients")
}
