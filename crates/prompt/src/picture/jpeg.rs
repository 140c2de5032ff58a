//! JPEG files: what the header says, whether the file is whole, and its pixels.
//!
//! The entropy decoding is `zune-jpeg`'s. What is added is strictness: a decoder for browsers shows half a picture rather than none,
//! and half a picture must never be scored.

use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::decode::{Fault, Rgb};

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
/// Segment in which Adobe's software says how colors are stored.
const APP14: u8 = 0xee;

/// Width, height and orientation from the header.
pub(super) fn header(bytes: &[u8]) -> Result<(u32, u32, Orientation), Fault> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options());
    decoder.decode_headers().map_err(fault)?;
    let (width, height) = decoder.dimensions().ok_or_else(no_frame)?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    Ok((width as u32, height as u32, orientation.unwrap_or(Orientation::NoTransforms)))
}

/// Pixels as stored, before the orientation is applied.
pub(super) fn decode(bytes: &[u8]) -> Result<Rgb, Fault> {
    let structure = Structure::read(bytes);
    if !structure.complete {
        return Err(Fault::Truncated("its end marker is missing".to_owned()));
    }
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options());
    decoder.decode_headers().map_err(fault)?;
    let (width, height) = decoder.dimensions().ok_or_else(no_frame)?;
    let stored = decoder.input_colorspace().ok_or_else(no_frame)?;
    let plain_cmyk = stored == ColorSpace::CMYK && !structure.has_adobe_segment;
    let wanted = match stored {
        ColorSpace::Luma => ColorSpace::Luma,
        ColorSpace::CMYK if plain_cmyk => ColorSpace::CMYK,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options().jpeg_set_out_colorspace(wanted));
    let decoded = decoder.decode().map_err(fault)?;
    let pixels = match wanted {
        ColorSpace::Luma => decoded.iter().flat_map(|luma| [*luma; 3]).collect(),
        ColorSpace::CMYK => decoded.as_chunks().0.iter().flat_map(|ink| cmyk_to_rgb(*ink)).collect(),
        _ => decoded,
    };
    Ok(Rgb { width, height, pixels })
}

fn options() -> DecoderOptions {
    DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
}

/// Inks stored as they are (Adobe stores them inverted) to light, rounded as Pillow does.
fn cmyk_to_rgb(ink: [u8; 4]) -> [u8; 3] {
    let black = 255 - i32::from(ink[3]);
    std::array::from_fn(|channel| {
        let product = i32::from(ink[channel]) * black + 128;
        (black - ((product + (product >> 8)) >> 8)).max(0) as u8
    })
}

fn no_frame() -> Fault {
    Fault::Damaged("it has no frame header".to_owned())
}

fn fault(error: DecodeErrors) -> Fault {
    match error {
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => {
            Fault::Truncated("its data ends too early".to_owned())
        }
        DecodeErrors::Unsupported(scheme) => {
            Fault::Damaged(format!("its JPEG process is not supported ({scheme:?})"))
        }
        other => Fault::Damaged(one_line(&format!("{other:?}"))),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the markers of a file say.
struct Structure {
    /// Whether the last scan is followed by the end marker.
    complete: bool,
    has_adobe_segment: bool,
}

impl Structure {
    /// Walks from marker to marker without decoding anything.
    fn read(bytes: &[u8]) -> Self {
        let mut structure = Self { complete: false, has_adobe_segment: false };
        let mut at = 0;
        while let Some((marker, after)) = next_marker(bytes, at) {
            at = after;
            match marker {
                END_OF_IMAGE => {
                    structure.complete = true;
                    break;
                }
                START_OF_IMAGE | 0x01 | 0xd0..=0xd7 => {}
                _ => {
                    let Some(length) = bytes.get(at..at + 2) else { break };
                    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                    let body = bytes.get(at + 2..at + length).unwrap_or(&[]);
                    structure.has_adobe_segment |= marker == APP14 && body.starts_with(b"Adobe");
                    at += length;
                    if marker == START_OF_SCAN {
                        at = scan_end(bytes, at);
                    }
                }
            }
        }
        structure
    }
}

/// Next marker at or after a position, and the position behind it.
fn next_marker(bytes: &[u8], from: usize) -> Option<(u8, usize)> {
    let mut at = from + bytes.get(from..)?.iter().position(|byte| *byte == 0xff)?;
    while *bytes.get(at)? == 0xff {
        at += 1;
    }
    Some((bytes[at], at + 1))
}

/// Position of the first marker that ends entropy-coded data: neither a stuffed byte nor a restart.
fn scan_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) =
        bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0xff))
    {
        at += found;
        match bytes.get(at + 1) {
            Some(0x00 | 0xd0..=0xd7) => at += 2,
            Some(0xff) => at += 1,
            _ => return at,
        }
    }
    bytes.len()
}
