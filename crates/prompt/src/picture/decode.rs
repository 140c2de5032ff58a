//! From an image source to upright RGB pixels.
//!
//! The format is recognized by content. Dimensions are read and checked before a pixel is decoded. No resizing, no color profiles.
//!
//! # Source
//! `transformers` 5.23, `image_utils.py`, `load_image`: Pillow's `exif_transpose`, then `convert("RGB")`.

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, Cursor};
use std::{fs, mem};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::error::ImageError;
use super::jpeg;
use crate::conversation::ImageSource;

/// Most pixels that are decoded unless told otherwise: twice Pillow's `MAX_IMAGE_PIXELS`, where Pillow itself refuses.
pub const DEFAULT_MAX_DECODED_PIXELS: u64 = 178_956_970;

/// Pixels of a picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width, 3]` bytes: red, green, blue.
    pub pixels: Vec<u8>,
}

impl std::fmt::Debug for Rgb {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Rgb({} x {})", self.width, self.height)
    }
}

/// Reads a picture and turns it upright, refusing more than `max_pixels` pixels before any is decoded.
///
/// # Errors
/// When the file is missing, too large, damaged or no picture.
pub fn read(source: &ImageSource, max_pixels: u64) -> Result<Rgb, ImageError> {
    Probe::new(source, max_pixels)?.decode()
}

/// What is wrong inside a file, before its name is known.
pub(super) enum Fault {
    Truncated(String),
    Damaged(String),
}

/// Picture whose header has been read and whose pixels have not.
pub struct Probe<'a> {
    name: String,
    bytes: Cow<'a, [u8]>,
    format: ImageFormat,
    orientation: Orientation,
    /// Width after the orientation is applied.
    pub width: u32,
    /// Height after the orientation is applied.
    pub height: u32,
    max_pixels: u64,
}

impl<'a> Probe<'a> {
    /// Reads the file and its header, and refuses more than `max_pixels` pixels.
    ///
    /// # Errors
    /// When the file is missing, too large, damaged or no picture.
    pub fn new(source: &'a ImageSource, max_pixels: u64) -> Result<Self, ImageError> {
        let name = source.name();
        let bytes = match source {
            ImageSource::Bytes { bytes, .. } => Cow::Borrowed(bytes.as_slice()),
            ImageSource::Path(path) => Cow::Owned(fs::read(path).map_err(|source| {
                if source.kind() == io::ErrorKind::NotFound {
                    ImageError::Missing { name: name.clone() }
                } else {
                    ImageError::Unreadable { name: name.clone(), source }
                }
            })?),
        };
        let format = recognize(&bytes, &name)?;
        let mut probe = Self {
            name,
            bytes,
            format,
            orientation: Orientation::NoTransforms,
            width: 0,
            height: 0,
            max_pixels,
        };
        let (width, height, orientation) =
            probe.header().map_err(|fault| probe.name_fault(fault))?;
        if u64::from(width) * u64::from(height) > max_pixels {
            let name = mem::take(&mut probe.name);
            return Err(ImageError::TooManyPixels { name, width, height, limit: max_pixels });
        }
        let turned = matches!(
            orientation,
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        );
        (probe.width, probe.height) = if turned { (height, width) } else { (width, height) };
        probe.orientation = orientation;
        Ok(probe)
    }

    /// The encoded file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How names of files of its format end, without the dot.
    pub fn extension(&self) -> &'static str {
        self.format.extensions_str()[0]
    }

    /// Path or label.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Decodes the pixels and turns them upright.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn decode(&self) -> Result<Rgb, ImageError> {
        let picture = self.pixels().map_err(|fault| self.name_fault(fault))?;
        if self.orientation == Orientation::NoTransforms {
            return Ok(picture);
        }
        let Rgb { width, height, pixels } = picture;
        let buffer = RgbImage::from_raw(width as u32, height as u32, pixels)
            .expect("three bytes for each pixel");
        let mut upright = DynamicImage::ImageRgb8(buffer);
        upright.apply_orientation(self.orientation);
        Ok(to_rgb(upright))
    }

    fn header(&self) -> Result<(u32, u32, Orientation), Fault> {
        if self.format == ImageFormat::Jpeg {
            return jpeg::header(&self.bytes);
        }
        let mut decoder = self.reader().into_decoder().map_err(|error| fault(&error))?;
        let (width, height) = decoder.dimensions();
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        Ok((width, height, orientation))
    }

    fn pixels(&self) -> Result<Rgb, Fault> {
        if self.format == ImageFormat::Jpeg {
            return jpeg::decode(&self.bytes);
        }
        let decoded = self.reader().decode().map_err(|error| fault(&error))?;
        Ok(to_rgb(decoded))
    }

    fn reader(&self) -> ImageReader<Cursor<&[u8]>> {
        /// Bytes of the largest pixel (four channels of 16 bits), twice over for the decoder's own buffers.
        const MAX_PIXEL_BYTES: u64 = 16;
        /// Room for palettes, metadata and other small things.
        const SLACK_BYTES: u64 = 1 << 26;
        let mut limits = Limits::no_limits();
        limits.max_alloc =
            Some(self.max_pixels.saturating_mul(MAX_PIXEL_BYTES).saturating_add(SLACK_BYTES));
        let mut reader = ImageReader::with_format(Cursor::new(&*self.bytes), self.format);
        reader.limits(limits);
        reader
    }

    fn name_fault(&self, fault: Fault) -> ImageError {
        let name = self.name.clone();
        match fault {
            Fault::Truncated(reason) => ImageError::Truncated { name, reason },
            Fault::Damaged(reason) => ImageError::Damaged { name, reason },
        }
    }
}

fn recognize(bytes: &[u8], name: &str) -> Result<ImageFormat, ImageError> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Bmp | Gif | Jpeg | Png | WebP)) => Ok(format),
        Ok(other) => Err(ImageError::UnsupportedFormat {
            name: name.to_owned(),
            format: format!("{other:?}").to_uppercase(),
        }),
        Err(_) => Err(ImageError::NotAnImage { name: name.to_owned() }),
    }
}

fn fault(error: &image::ImageError) -> Fault {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::UnexpectedEof
        {
            return Fault::Truncated("its data ends too early".to_owned());
        }
        cause = current.source();
    }
    Fault::Damaged(error.to_string())
}

/// Drops alpha and depth as Pillow's `convert("RGB")` does.
fn to_rgb(image: DynamicImage) -> Rgb {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let pixels = match image {
        DynamicImage::ImageRgb8(buffer) => buffer.into_raw(),
        DynamicImage::ImageRgba8(buffer) => drop_alpha(buffer.as_raw()),
        DynamicImage::ImageLuma8(buffer) => repeat(buffer.as_raw().iter().copied()),
        DynamicImage::ImageLumaA8(buffer) => repeat(buffer.as_raw().iter().step_by(2).copied()),
        // PARITY: Pillow opens 16-bit gray without alpha as `I;16`, and its conversion to RGB clips at 255 instead of scaling.
        DynamicImage::ImageLuma16(buffer) => {
            repeat(buffer.as_raw().iter().map(|value| (*value).min(255) as u8))
        }
        // PARITY: every other 16-bit PNG loses its low byte, without rounding.
        DynamicImage::ImageLumaA16(buffer) => {
            repeat(buffer.as_raw().iter().step_by(2).map(|value| (value >> 8) as u8))
        }
        DynamicImage::ImageRgb16(buffer) => {
            buffer.as_raw().iter().map(|value| (value >> 8) as u8).collect()
        }
        DynamicImage::ImageRgba16(buffer) => {
            let (values, _) = buffer.as_raw().as_chunks::<4>();
            values
                .iter()
                .flat_map(|[r, g, b, _]| [r, g, b].map(|value| (value >> 8) as u8))
                .collect()
        }
        other => other.into_rgb8().into_raw(),
    };
    Rgb { width, height, pixels }
}

/// PARITY: `load_image` drops alpha and keeps the color below it; the image processor's own conversion, which sees only pictures that
/// did not come through `load_image`, would put them on white.
fn drop_alpha(rgba: &[u8]) -> Vec<u8> {
    rgba.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect()
}

fn repeat(luma: impl Iterator<Item = u8>) -> Vec<u8> {
    luma.flat_map(|value| [value; 3]).collect()
}
