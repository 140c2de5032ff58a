//! Small pictures for the page: read, scaled down and written as PNG in a data URL.
//!
//! Not for scoring: what a model sees is made by `prompt`, at its own size.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use prompt::ImageSource;
use prompt::picture::{DEFAULT_MAX_DECODED_PIXELS, Resized, Rgb, read, resize};

/// Longest side that a picture keeps: the width of its card on the page.
const MAX_SIDE: usize = 280;
/// Pictures whose longest side is at most this are shown enlarged, with their pixels visible.
const TINY_SIDE: usize = 140;
/// How much larger a tiny picture is shown.
const ENLARGEMENT: usize = 2;

/// Picture that a page can hold.
#[derive(Debug)]
pub struct Thumbnail {
    /// `data:` URL of a PNG file.
    pub url: String,
    /// Columns that it is shown with.
    pub width: usize,
    /// Rows that it is shown with.
    pub height: usize,
    /// Whether it is shown larger than it is.
    pub is_tiny: bool,
}

/// Makes a small picture of a source.
///
/// # Errors
/// Why it cannot be read, in words. A report does without a picture rather than not being written.
pub fn data_url(source: &ImageSource) -> Result<Thumbnail, String> {
    let picture = read(source, DEFAULT_MAX_DECODED_PIXELS).map_err(|error| error.to_string())?;
    let longest = picture.width.max(picture.height);
    let small = if longest > MAX_SIDE {
        // At least one pixel, however narrow the picture is.
        let scaled = |side: usize| (side * MAX_SIDE / longest).max(1);
        interleaved(&resize(&picture, scaled(picture.width), scaled(picture.height)))
    } else {
        picture
    };
    let mut png = Cursor::new(Vec::new());
    PngEncoder::new(&mut png)
        .write_image(
            &small.pixels,
            small.width as u32,
            small.height as u32,
            ExtendedColorType::Rgb8,
        )
        .map_err(|error| error.to_string())?;
    let is_tiny = longest <= TINY_SIDE;
    let scale = if is_tiny { ENLARGEMENT } else { 1 };
    Ok(Thumbnail {
        url: format!("data:image/png;base64,{}", STANDARD.encode(png.into_inner())),
        width: small.width * scale,
        height: small.height * scale,
        is_tiny,
    })
}

/// From rows of channels to rows of pixels.
fn interleaved(resized: &Resized) -> Rgb {
    let Resized { width, height, pixels } = resized;
    let rows = pixels.chunks_exact(3 * width);
    let pixels = rows
        .flat_map(|row| (0..*width).flat_map(|x| [row[x], row[width + x], row[2 * width + x]]))
        .collect();
    Rgb { width: *width, height: *height, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32, color: [u8; 3]) -> ImageSource {
        let mut bytes = Cursor::new(Vec::new());
        let pixels = color.repeat((width * height) as usize);
        PngEncoder::new(&mut bytes)
            .write_image(&pixels, width, height, ExtendedColorType::Rgb8)
            .unwrap();
        ImageSource::Bytes { label: "test".into(), bytes: bytes.into_inner() }
    }

    fn decoded(thumbnail: &Thumbnail) -> Rgb {
        let text = thumbnail.url.strip_prefix("data:image/png;base64,").unwrap();
        let bytes = STANDARD.decode(text).unwrap();
        read(&ImageSource::Bytes { label: "test".into(), bytes }, 1 << 20).unwrap()
    }

    #[test]
    fn a_large_picture_is_scaled_down_with_its_colors_and_its_shape() {
        let thumbnail = data_url(&png(1120, 560, [200, 100, 50])).unwrap();
        let picture = decoded(&thumbnail);
        assert_eq!((picture.width, picture.height), (280, 140));
        assert_eq!(picture.pixels, [200, 100, 50].repeat(280 * 140));
        assert!(!thumbnail.is_tiny);
    }

    #[test]
    fn a_tiny_picture_keeps_its_pixels_and_is_shown_enlarged() {
        let thumbnail = data_url(&png(56, 28, [1, 2, 3])).unwrap();
        let picture = decoded(&thumbnail);
        assert_eq!((picture.width, picture.height), (56, 28));
        assert_eq!((thumbnail.width, thumbnail.height), (112, 56));
    }

    #[test]
    fn a_narrow_picture_keeps_a_pixel() {
        let picture = decoded(&data_url(&png(900, 1, [9, 9, 9])).unwrap());
        assert_eq!((picture.width, picture.height), (280, 1));
    }

    #[test]
    fn a_picture_that_cannot_be_read_says_why() {
        let source = ImageSource::Bytes { label: "broken.png".into(), bytes: vec![1, 2, 3] };
        let reason = data_url(&source).unwrap_err();
        assert!(reason.contains("broken.png"), "{reason}");
    }
}
