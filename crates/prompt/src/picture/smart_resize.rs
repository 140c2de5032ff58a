//! The size to which a picture is brought before it is cut into patches.
//!
//! Pure arithmetic on widths and heights; no pixels.
//!
//! # Source
//! `transformers` 5.23, `models/qwen2_vl/image_processing_qwen2_vl.py`, `smart_resize`.

/// Largest ratio of the longer to the shorter side.
pub const MAX_ASPECT_RATIO: u32 = 200;

/// Bounds on the number of pixels of a resized picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelRange {
    /// A smaller picture is enlarged to at least this.
    pub min_pixels: u64,
    /// A larger picture is shrunk to at most this.
    pub max_pixels: u64,
}

/// Size that has no resized counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SmartResizeError {
    /// One side is more than [`MAX_ASPECT_RATIO`] times the other, or is zero.
    #[error("the aspect ratio is over {MAX_ASPECT_RATIO}")]
    AspectRatio,
    /// A side rounds to zero and the lower bound does not lift it.
    #[error("the resized picture has no pixels")]
    Vanishing,
}

/// Width and height after resizing: multiples of `factor`, their product within `range` where possible, the aspect ratio nearly kept.
///
/// # Errors
/// When the aspect ratio is over [`MAX_ASPECT_RATIO`], or the result would be empty.
pub fn smart_resize(
    width: u32,
    height: u32,
    factor: usize,
    range: PixelRange,
) -> Result<(usize, usize), SmartResizeError> {
    let (w, h) = (f64::from(width), f64::from(height));
    if width == 0 || height == 0 || w.max(h) / w.min(h) > f64::from(MAX_ASPECT_RATIO) {
        return Err(SmartResizeError::AspectRatio);
    }
    let side = factor as f64;
    // PARITY: Python's `round` takes halves to the even neighbor.
    let mut resized_w = (w / side).round_ties_even() * side;
    let mut resized_h = (h / side).round_ties_even() * side;
    let pixels = resized_w * resized_h;
    if pixels > range.max_pixels as f64 {
        let beta = (h * w / range.max_pixels as f64).sqrt();
        resized_h = ((h / beta / side).floor() * side).max(side);
        resized_w = ((w / beta / side).floor() * side).max(side);
    } else if pixels < range.min_pixels as f64 {
        let beta = (range.min_pixels as f64 / (h * w)).sqrt();
        resized_h = (h * beta / side).ceil() * side;
        resized_w = (w * beta / side).ceil() * side;
    }
    if resized_w == 0.0 || resized_h == 0.0 {
        return Err(SmartResizeError::Vanishing);
    }
    Ok((resized_w as usize, resized_h as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: PixelRange = PixelRange { min_pixels: 3136, max_pixels: 12_845_056 };

    #[test]
    fn halves_round_to_the_even_multiple() {
        assert_eq!(smart_resize(70, 98, 28, HUB), Ok((56, 112)));
        assert_eq!(smart_resize(42, 126, 28, HUB), Ok((56, 112)));
    }

    #[test]
    fn an_aspect_ratio_of_exactly_200_is_accepted() {
        let range = PixelRange { min_pixels: 3136, max_pixels: 12_845_056 };
        assert!(smart_resize(2000, 10, 28, range).is_ok());
        assert_eq!(smart_resize(2001, 10, 28, range), Err(SmartResizeError::AspectRatio));
    }

    #[test]
    fn a_side_that_rounds_to_zero_without_a_lower_bound_is_refused() {
        let range = PixelRange { min_pixels: 0, max_pixels: 12_845_056 };
        assert_eq!(smart_resize(10, 10, 28, range), Err(SmartResizeError::Vanishing));
    }
}
