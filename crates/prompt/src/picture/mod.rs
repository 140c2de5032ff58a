//! From the bytes of a picture to patches of resized pixels.
//!
//! `decode` reads files, `smart_resize` chooses the size, `resample` changes it, `patches` puts the pixels into the order of the
//! vision tower. Nothing here knows a conversation or a token.

#![expect(
    clippy::inline_always,
    reason = "inner loops must become part of the function that `pulp` compiles for the machine's vectors"
)]
#![expect(
    clippy::needless_range_loop,
    reason = "loops over fixed sizes by index are the form that becomes vector code"
)]

mod decode;
mod error;
mod jpeg;
mod patches;
mod resample;
mod smart_resize;

pub use decode::{DEFAULT_MAX_DECODED_PIXELS, Probe, Rgb, read};
pub use error::ImageError;
pub(crate) use patches::{Normalization, PatchShape, file_key};
pub use patches::{Visual, patchify};
pub use resample::{Resized, resize};
pub use smart_resize::{MAX_ASPECT_RATIO, PixelRange, SmartResizeError, smart_resize};
