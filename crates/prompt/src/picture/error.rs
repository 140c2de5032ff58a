//! What can be wrong with one picture.
//!
//! Every variant carries the picture's name: its path, or the label of bytes that came without one.

use std::io;

/// Picture that cannot be used, with the reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// No file at the path.
    #[error(
        "image file `{name}` does not exist; check the path (relative paths start at the folder of the input file)"
    )]
    Missing {
        /// Path as it was looked up.
        name: String,
    },
    /// The file is there but cannot be read.
    #[error("image file `{name}` cannot be read: {source}")]
    Unreadable {
        /// Path as it was looked up.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The bytes are no picture at all.
    #[error("`{name}` is not an image; give a JPEG, PNG, WebP, GIF or BMP file")]
    NotAnImage {
        /// Path or label.
        name: String,
    },
    /// A picture in a format that is not read.
    #[error(
        "`{name}` is in the format `{format}`, which is not supported; convert it to JPEG, PNG, WebP, GIF or BMP"
    )]
    UnsupportedFormat {
        /// Path or label.
        name: String,
        /// Format recognized by its first bytes.
        format: String,
    },
    /// The data ends before the picture does.
    #[error("image `{name}` is truncated: {reason}; fetch the file again")]
    Truncated {
        /// Path or label.
        name: String,
        /// What is missing.
        reason: String,
    },
    /// The data contradicts its format.
    #[error("image `{name}` is damaged: {reason}; fetch or save the file again")]
    Damaged {
        /// Path or label.
        name: String,
        /// What the decoder found.
        reason: String,
    },
    /// The header announces more pixels than may be decoded.
    #[error(
        "image `{name}` has {width} x {height} pixels, over the decoding limit of {limit}; \
         shrink the file"
    )]
    TooManyPixels {
        /// Path or label.
        name: String,
        /// Width in the header.
        width: u32,
        /// Height in the header.
        height: u32,
        /// Largest number of pixels that is decoded.
        limit: u64,
    },
    /// One side is more than 200 times the other.
    #[error(
        "image `{name}` has {width} x {height} pixels, an aspect ratio over {limit}; crop or pad it"
    )]
    AspectRatio {
        /// Path or label.
        name: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Largest aspect ratio that is accepted.
        limit: u32,
    },
    /// The resized picture would have no pixels.
    #[error(
        "image `{name}` has {width} x {height} pixels, which leaves nothing after resizing; \
         set `min_pixels` in the image processor's config above zero"
    )]
    VanishingSize {
        /// Path or label.
        name: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}
