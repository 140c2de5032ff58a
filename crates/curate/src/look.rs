//! How a picture looks: its size, and a thumbnail by which its resized and recompressed copies are recognized.
//!
//! Cropped, turned and recolored copies are other pictures here. Groups of many pictures are found by [`Looks`](crate::looks::Looks).

use prompt::picture::{ImageError, Probe, Rgb};
use serde::{Deserialize, Serialize};

use crate::shingles::mixed;

/// Rows and columns of a thumbnail.
const SIDE: usize = 16;

/// Mean gray of each part of a picture, cut into [`SIDE`] rows and columns.
type Thumbnail = [[u8; SIDE]; SIDE];

/// Number of keys of a picture.
pub(crate) const BANDS: usize = 12;

/// Bits of a key.
const BITS: usize = 18;

/// Parts of a thumbnail that make its keys.
const PARTS: usize = SIDE * SIDE / 4;

// The limits come from 1,232 pictures, most of them charts and line drawings, each scaled by 0.5 to 2 with smooth filters and encoded as JPEG of
// quality 50 or better: they hold for at least 97 of 100 copies of each kind, and for no two distinct pictures.

/// Largest difference of one part's gray in a copy.
const MAX_DIFFERENCE: u8 = 24;

/// Largest sum of squared differences in a copy: their root mean square is 6.
const MAX_SQUARES: u32 = 6 * 6 * (SIDE * SIDE) as u32;

/// Largest root mean square of the differences as a share of the contrast: line drawings on white differ by little from each other.
const MAX_SHARE_OF_CONTRAST: f32 = 0.2;

/// Standard deviation of gray below which a picture shows nothing to recognize it by.
const MIN_CONTRAST: f32 = 1.0;

/// Largest change of the ratio of the sides, apart from rounding.
const MAX_STRETCH: f64 = 0.02;

/// Size of a picture and what it looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    thumbnail: Option<Box<Thumbnail>>,
}

impl Look {
    /// The look of a picture; without `perceptual` only its size, and no pixel is decoded.
    ///
    /// # Errors
    /// When the picture is damaged.
    pub fn of(probe: &Probe<'_>, perceptual: bool) -> Result<Self, ImageError> {
        let thumbnail = if perceptual { Some(Box::new(shrunk(&probe.decode()?))) } else { None };
        Ok(Self { width: probe.width, height: probe.height, thumbnail })
    }

    /// The look of a picture of which only the size is known.
    pub fn of_size(width: u32, height: u32) -> Self {
        Self { width, height, thumbnail: None }
    }

    /// Whether two pictures are copies of each other, resized or recompressed. A picture without contrast looks like none, and so does one whose
    /// thumbnail was not made.
    pub fn looks_like(&self, other: &Self) -> bool {
        let (Some(first), Some(second)) = (&self.thumbnail, &other.thumbnail) else {
            return false;
        };
        if !self.has_shape_of(other) {
            return false;
        }
        let mut sum = 0;
        for (first, second) in first.iter().zip(second.iter()) {
            for (first, second) in first.iter().zip(second) {
                let difference = first.abs_diff(*second);
                if difference > MAX_DIFFERENCE {
                    return false;
                }
                sum += u32::from(difference) * u32::from(difference);
            }
            if sum > MAX_SQUARES {
                return false;
            }
        }
        let contrast = contrast(first).min(contrast(second));
        let cells = (SIDE * SIDE) as f32;
        contrast >= MIN_CONTRAST
            && (sum as f32) <= cells * (MAX_SHARE_OF_CONTRAST * contrast).powi(2)
    }

    /// Whether one size could come from the other by scaling and rounding.
    fn has_shape_of(&self, other: &Self) -> bool {
        let [width, height] = [self.width, self.height].map(f64::from);
        let [other_width, other_height] = [other.width, other.height].map(f64::from);
        let (first, second) = (width * other_height, other_width * height);
        // Half a pixel of rounding on the sides of the smaller picture.
        let rounding = width.max(height) + other_width.max(other_height);
        (first - second).abs() <= rounding + MAX_STRETCH * first.max(second)
    }

    /// Keys of which pictures that look alike have at least one in common; none for a picture without a thumbnail.
    ///
    /// Each bit says on which side of a plane through their mean the picture's parts lie. A difference of a tenth of the contrast turns about
    /// three bits in a hundred.
    pub(crate) fn keys(&self) -> Option<[u32; BANDS]> {
        let parts = centered(self.thumbnail.as_deref()?);
        Some(std::array::from_fn(|band| {
            (0..BITS).fold(0, |key, bit| {
                let signs = mixed((band * BITS + bit) as u64, 1);
                let side: i32 =
                    parts.iter().enumerate().map(|(at, part)| signed(*part, signs >> at)).sum();
                key << 1 | u32::from(side > 0)
            })
        }))
    }
}

fn signed(value: i32, sign: u64) -> i32 {
    if sign & 1 == 0 { value } else { -value }
}

/// Sums of two by two parts of a thumbnail, less their mean.
fn centered(thumbnail: &Thumbnail) -> [i32; PARTS] {
    const HALF: usize = SIDE / 2;
    let mut parts = [0; PARTS];
    for (row, cells) in thumbnail.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            parts[row / 2 * HALF + column / 2] += i32::from(*cell) * PARTS as i32;
        }
    }
    let mean = parts.iter().sum::<i32>() / PARTS as i32;
    parts.map(|part| part - mean)
}

/// Standard deviation of the gray values.
fn contrast(thumbnail: &Thumbnail) -> f32 {
    let cells = thumbnail.as_flattened();
    let count = cells.len() as f32;
    let mean = cells.iter().map(|cell| f32::from(*cell)).sum::<f32>() / count;
    let squares = cells.iter().map(|cell| (f32::from(*cell) - mean).powi(2)).sum::<f32>();
    (squares / count).sqrt()
}

/// The mean gray of each part, exact in its area whatever the size.
fn shrunk(picture: &Rgb) -> Thumbnail {
    let mut columns = vec![[0.0; SIDE]; picture.height];
    let mut gray = vec![[0.0; 1]; picture.width];
    for (row, pixels) in columns.iter_mut().zip(picture.pixels.chunks_exact(picture.width * 3)) {
        for (gray, pixel) in gray.iter_mut().zip(pixels.as_chunks::<3>().0) {
            gray[0] = luma(*pixel);
        }
        *row = means(&gray).map(|[mean]| mean);
    }
    means(&columns).map(|row| row.map(|mean| (mean + 0.5) as u8))
}

fn luma([red, green, blue]: [u8; 3]) -> f32 {
    const WEIGHTS: [f32; 3] = [0.299, 0.587, 0.114];
    WEIGHTS[0] * f32::from(red) + WEIGHTS[1] * f32::from(green) + WEIGHTS[2] * f32::from(blue)
}

/// Means of [`SIDE`] equal parts of a line; a value on a border belongs to both parts, in proportion.
fn means<const N: usize>(line: &[[f32; N]]) -> [[f32; N]; SIDE] {
    let part = line.len() as f32 / SIDE as f32;
    std::array::from_fn(|index| {
        let (start, end) = (index as f32 * part, (index + 1) as f32 * part);
        let mut sum = [0.0; N];
        let last = (end.ceil() as usize).min(line.len());
        for (at, values) in line.iter().enumerate().take(last).skip(start as usize) {
            let share = end.min((at + 1) as f32) - start.max(at as f32);
            for (sum, value) in sum.iter_mut().zip(values) {
                *sum += share * value;
            }
        }
        sum.map(|sum| sum / part)
    })
}
