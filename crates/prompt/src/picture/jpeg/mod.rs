//! JPEG files, decoded to the same bytes as libjpeg-turbo, which Pillow and torchvision use.
//!
//! Crates for this round differently in the cosine transform and in the upsampling of color, by up to four levels. Baseline, extended and
//! progressive files with 8 bits and Huffman codes are read, in gray, YCbCr, RGB, CMYK and YCCK. A decoder for browsers shows half a
//! picture rather than none; here half a picture is an error, because it must never be scored.
//!
//! `mod` reads the markers, `scan` the coefficients with the codes of `entropy`, `samples` turns them into planes, `color` into pixels.
//!
//! # Source
//! ITU-T T.81 for the format, JFIF and Adobe's note 5116 for the colors.

mod color;
mod entropy;
mod samples;
mod scan;

use image::metadata::Orientation;

use super::decode::{Fault, Rgb};
use entropy::HuffmanTable;

const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
/// Samples along each side of a block.
const BLOCK_SIDE: usize = 8;
/// Coefficients of a block.
const BLOCK: usize = BLOCK_SIDE * BLOCK_SIDE;
/// Tables of each kind that a file may define.
const NUM_TABLES: usize = 4;
/// Largest sampling factor.
const MAX_SAMPLING: usize = 4;

/// Position in a block of each coefficient, in the order in which files list them.
#[rustfmt::skip]
const ZIGZAG: [u8; BLOCK] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Width, height and orientation from the header.
pub(super) fn header(bytes: &[u8]) -> Result<(u32, u32, Orientation), Fault> {
    let mut decoder = Decoder::new(bytes);
    decoder.read_until(|marker| marker == START_OF_SCAN)?;
    let frame = decoder.frame.as_ref().ok_or_else(no_frame)?;
    let orientation = decoder.exif.and_then(Orientation::from_exif_chunk);
    Ok((frame.width as u32, frame.height as u32, orientation.unwrap_or(Orientation::NoTransforms)))
}

/// Pixels as stored, before the orientation is applied.
pub(super) fn decode(bytes: &[u8]) -> Result<Rgb, Fault> {
    let mut decoder = Decoder::new(bytes);
    while decoder.read_until(|marker| marker == START_OF_SCAN || marker == END_OF_IMAGE)?
        == START_OF_SCAN
    {
        decoder.read_scan()?;
    }
    let colors = decoder.colors;
    let frame = decoder.frame.ok_or_else(no_frame)?;
    let planes = samples::planes(&frame)?;
    color::to_rgb(&frame, &planes, colors)
}

fn damaged(reason: &str) -> Fault {
    Fault::Damaged(reason.to_owned())
}

fn truncated() -> Fault {
    Fault::Truncated("its end marker is missing".to_owned())
}

fn no_frame() -> Fault {
    damaged("it has no frame header")
}

/// What the application segments say about colors.
#[derive(Debug, Clone, Copy, Default)]
struct ColorHints {
    jfif: bool,
    /// The transform byte of Adobe's segment.
    adobe: Option<u8>,
}

/// The picture as the frame header describes it.
struct Frame {
    width: usize,
    height: usize,
    progressive: bool,
    /// Minimum coded units along each axis.
    mcus: [usize; 2],
    max_sampling: [usize; 2],
    components: Vec<Component>,
}

/// One color channel.
struct Component {
    id: u8,
    /// Sampling factors, across and down.
    sampling: [usize; 2],
    quantization_idx: usize,
    /// Table in force when the channel's first scan began.
    quantization: Option<[u16; BLOCK]>,
    /// Samples that belong to the picture, across and down.
    size: [usize; 2],
    /// Blocks in memory, across and down: a whole number of coded units.
    blocks: [usize; 2],
    /// `[blocks down, blocks across, 64]` in row order.
    coefficients: Vec<i16>,
}

/// State while the markers of a file are read.
struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    frame: Option<Frame>,
    quantization: [Option<[u16; BLOCK]>; NUM_TABLES],
    dc_tables: [Option<HuffmanTable>; NUM_TABLES],
    ac_tables: [Option<HuffmanTable>; NUM_TABLES],
    restart_interval: usize,
    colors: ColorHints,
    exif: Option<&'a [u8]>,
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            frame: None,
            quantization: [None; NUM_TABLES],
            dc_tables: [const { None }; NUM_TABLES],
            ac_tables: [const { None }; NUM_TABLES],
            restart_interval: 0,
            colors: ColorHints::default(),
            exif: None,
        }
    }

    /// Reads segments up to a marker that `stop` accepts, which it returns, having read nothing behind it.
    fn read_until(&mut self, stop: impl Fn(u8) -> bool) -> Result<u8, Fault> {
        loop {
            let marker = self.next_marker().ok_or_else(truncated)?;
            if stop(marker) {
                return Ok(marker);
            }
            if matches!(marker, 0x01 | 0xd0..=0xd8) {
                continue;
            }
            let body = self.segment()?;
            match marker {
                0xc4 => self.define_huffman(body)?,
                0xc0..=0xc2 => self.define_frame(marker, body)?,
                0xc3 | 0xc5..=0xcf => {
                    return Err(Fault::Damaged(format!(
                        "its JPEG process {marker:#x} is not supported"
                    )));
                }
                0xdb => self.define_quantization(body)?,
                0xdd => {
                    let interval =
                        body.first_chunk().ok_or_else(|| damaged("a segment is too short"))?;
                    self.restart_interval = usize::from(u16::from_be_bytes(*interval));
                }
                0xe0 => self.colors.jfif |= body.starts_with(b"JFIF\0"),
                0xe1 if self.exif.is_none() => self.exif = body.strip_prefix(b"Exif\0\0"),
                0xee if body.starts_with(b"Adobe") => self.colors.adobe = body.get(11).copied(),
                _ => {}
            }
        }
    }

    /// Skips to the next marker and returns it.
    fn next_marker(&mut self) -> Option<u8> {
        self.at += self.bytes.get(self.at..)?.iter().position(|byte| *byte == 0xff)?;
        while *self.bytes.get(self.at)? == 0xff {
            self.at += 1;
        }
        self.at += 1;
        match self.bytes[self.at - 1] {
            0x00 => self.next_marker(),
            marker => Some(marker),
        }
    }

    /// Content of the segment that starts with its length.
    fn segment(&mut self) -> Result<&'a [u8], Fault> {
        let rest = self.bytes.get(self.at..).ok_or_else(truncated)?;
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk().ok_or_else(truncated)?));
        let body = rest.get(..length).ok_or_else(truncated)?.get(2..);
        self.at += length;
        body.ok_or_else(|| damaged("a segment has an impossible length"))
    }

    fn define_quantization(&mut self, mut body: &[u8]) -> Result<(), Fault> {
        let short = || damaged("a quantization table is too short");
        while let Some((head, rest)) = body.split_first() {
            let entry_bytes = if head >> 4 == 0 { 1 } else { 2 };
            let entries = rest.get(..BLOCK * entry_bytes).ok_or_else(short)?;
            let mut table = [0; BLOCK];
            for (place, entry) in ZIGZAG.iter().zip(entries.chunks_exact(entry_bytes)) {
                table[usize::from(*place)] =
                    entry.iter().fold(0, |value, byte| value << 8 | u16::from(*byte));
            }
            *table_slot(&mut self.quantization, head & 15)? = Some(table);
            body = &rest[BLOCK * entry_bytes..];
        }
        Ok(())
    }

    fn define_huffman(&mut self, mut body: &[u8]) -> Result<(), Fault> {
        while let Some((head, rest)) = body.split_first() {
            let (table, used) = HuffmanTable::new(rest)?;
            let tables = if head >> 4 == 0 { &mut self.dc_tables } else { &mut self.ac_tables };
            *table_slot(tables, head & 15)? = Some(table);
            body = &rest[used..];
        }
        Ok(())
    }

    fn define_frame(&mut self, marker: u8, body: &[u8]) -> Result<(), Fault> {
        if self.frame.is_some() {
            return Err(damaged("it has more than one frame header"));
        }
        let [precision, height_high, height_low, width_high, width_low, count] =
            *body.first_chunk().ok_or_else(|| damaged("its frame header is too short"))?;
        if precision != 8 {
            return Err(Fault::Damaged(format!("samples of {precision} bits are not supported")));
        }
        let height = usize::from(u16::from_be_bytes([height_high, height_low]));
        let width = usize::from(u16::from_be_bytes([width_high, width_low]));
        let specs = body[6..].as_chunks::<3>().0;
        if width == 0 || height == 0 || specs.len() != usize::from(count) {
            return Err(damaged("its frame header is impossible"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(Fault::Damaged(format!("{count} color channels are not supported")));
        }
        self.frame = Some(Frame::new(width, height, marker == 0xc2, specs)?);
        Ok(())
    }
}

impl Frame {
    fn new(
        width: usize,
        height: usize,
        progressive: bool,
        specs: &[[u8; 3]],
    ) -> Result<Self, Fault> {
        let factors = |spec: &[u8; 3]| [usize::from(spec[1] >> 4), usize::from(spec[1] & 15)];
        let valid = |factor: &usize| (1..=MAX_SAMPLING).contains(factor);
        if !specs.iter().all(|spec| factors(spec).iter().all(valid)) {
            return Err(damaged("a sampling factor is impossible"));
        }
        let largest = |axis: usize| specs.iter().map(|spec| factors(spec)[axis]).max().unwrap_or(1);
        let max_sampling = [largest(0), largest(1)];
        let picture = [width, height];
        let mcus = [0, 1].map(|axis| picture[axis].div_ceil(BLOCK_SIDE * max_sampling[axis]));
        let component = |spec: &[u8; 3]| {
            let sampling = factors(spec);
            let size = |axis: usize| (picture[axis] * sampling[axis]).div_ceil(max_sampling[axis]);
            Component {
                id: spec[0],
                sampling,
                quantization_idx: usize::from(spec[2]),
                quantization: None,
                size: [size(0), size(1)],
                blocks: [mcus[0] * sampling[0], mcus[1] * sampling[1]],
                coefficients: Vec::new(),
            }
        };
        let components = specs.iter().map(component).collect();
        Ok(Self { width, height, progressive, mcus, max_sampling, components })
    }
}

/// Place of a numbered table.
fn table_slot<T>(tables: &mut [T; NUM_TABLES], index: u8) -> Result<&mut T, Fault> {
    tables.get_mut(usize::from(index)).ok_or_else(|| damaged("a table has an impossible number"))
}
