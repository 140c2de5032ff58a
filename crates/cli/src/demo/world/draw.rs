//! Draws a scene: one cell of 28 pixels for each object, which is one token of the vision tower.
//!
//! Integer arithmetic only, so the pixels are the same on every machine. Lengths inside of a cell are in half pixels,
//! because the middle of an even number of pixels lies between two of them.

use image::{Rgb, RgbImage};

use super::digits;
use super::scene::{Cell, Color, GRID, Object, Scene, Shape, Size};
use crate::random::Random;

/// Pixels along the side of a cell: two patches of 14 pixels, merged into one token.
const CELL_PIXELS: i32 = 28;
/// Pixels along the side of a picture.
pub(crate) const SIDE_PIXELS: u32 = GRID as u32 * CELL_PIXELS as u32;
/// The background at the upper left. Darker than every color, so that a shape has the same sign of contrast whatever its
/// color.
const BACKGROUND: [i32; 3] = [20, 30, 20];
/// How much red the background gains from left to right, and blue from top to bottom: as in a photograph of a room, the light tells
/// where in the picture one is.
const BACKGROUND_RISE: i32 = 72;
/// How far each channel of a background may lie from its middle.
const BACKGROUND_SPREAD: i32 = 2;
/// How far each channel of an object may lie from its color.
const COLOR_SPREAD: i32 = 16;
const INK: i32 = 240;
/// Radii in pixels.
const LARGE: i32 = 11;
const SMALL: i32 = 7;
/// How far a thing may lie from the middle of its cell, in pixels.
const JITTER: i32 = 1;

/// Draws a scene. Shades and places inside of the cells are random.
pub(super) fn picture(scene: &Scene, random: &mut Random) -> RgbImage {
    let Rgb(shade) = near(BACKGROUND, BACKGROUND_SPREAD, random);
    let rise = |place: u32| (BACKGROUND_RISE * place as i32 / SIDE_PIXELS as i32) as u8;
    let mut picture = RgbImage::from_fn(SIDE_PIXELS, SIDE_PIXELS, |x, y| {
        Rgb([shade[0] + rise(x), shade[1], shade[2] + rise(y)])
    });
    for object in scene.objects() {
        draw_object(&mut picture, object, random);
    }
    if let Some((digit, cell)) = scene.digit {
        draw_digit(&mut picture, digit, cell, random);
    }
    picture
}

fn draw_object(picture: &mut RgbImage, object: &Object, random: &mut Random) {
    let radius = match object.size {
        Size::Large => LARGE,
        Size::Small => SMALL,
    };
    let color = near(rgb(object.color), COLOR_SPREAD, random);
    // The middle of the cell lies between two pixels, hence the one less.
    let middle_x = CELL_PIXELS - 1 + 2 * random.within(-JITTER..=JITTER);
    let middle_y = CELL_PIXELS - 1 + 2 * random.within(-JITTER..=JITTER);
    for y in 0..CELL_PIXELS {
        for x in 0..CELL_PIXELS {
            if covers(object.shape, 2 * radius, 2 * x - middle_x, 2 * y - middle_y) {
                put(picture, object.cell, x, y, color);
            }
        }
    }
}

fn draw_digit(picture: &mut RgbImage, digit: usize, cell: Cell, random: &mut Random) {
    let color = near([INK; 3], COLOR_SPREAD, random);
    let left = (CELL_PIXELS - digits::WIDTH_PIXELS) / 2 + random.within(-JITTER..=JITTER);
    let top = (CELL_PIXELS - digits::HEIGHT_PIXELS) / 2 + random.within(-JITTER..=JITTER);
    for y in 0..digits::HEIGHT_PIXELS {
        for x in 0..digits::WIDTH_PIXELS {
            if digits::has_ink(digit, x, y) {
                put(picture, cell, left + x, top + y, color);
            }
        }
    }
}

/// Whether a shape around the origin covers a point; all lengths in half pixels.
fn covers(shape: Shape, radius: i32, x: i32, y: i32) -> bool {
    match shape {
        Shape::Ring => {
            // The hole is wide enough to be seen in the patches that meet in the middle.
            let (outer, inner) = (radius * radius, radius * radius / 3);
            (inner..=outer).contains(&(x * x + y * y))
        }
        Shape::Square => 8 * x.abs().max(y.abs()) <= 7 * radius,
        Shape::Triangle => -radius <= y && 8 * y <= 7 * radius && 15 * x.abs() <= 8 * (y + radius),
        Shape::Cross => {
            let (short, long) = (x.abs().min(y.abs()), x.abs().max(y.abs()));
            long <= radius && 3 * short <= radius
        }
    }
}

fn put(picture: &mut RgbImage, cell: Cell, x: i32, y: i32, color: Rgb<u8>) {
    let left = cell.column as i32 * CELL_PIXELS;
    let top = cell.row as i32 * CELL_PIXELS;
    picture.put_pixel((left + x) as u32, (top + y) as u32, color);
}

fn rgb(color: Color) -> [i32; 3] {
    match color {
        Color::Red => [235, 70, 60],
        Color::Green => [60, 200, 90],
        Color::Blue => [80, 120, 250],
        Color::Yellow => [240, 215, 60],
    }
}

fn near(color: [i32; 3], spread: i32, random: &mut Random) -> Rgb<u8> {
    Rgb(color.map(|channel| (channel + random.within(-spread..=spread)).clamp(0, 255) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(shape: Shape, size: Size) -> Object {
        Object { shape, color: Color::Red, size, cell: Cell { row: 1, column: 2 } }
    }

    fn is_red(pixel: Rgb<u8>) -> bool {
        pixel[0] > 190
    }

    #[test]
    fn an_object_stays_inside_of_its_cell() {
        for (shape, size) in
            Shape::ALL.iter().flat_map(|shape| Size::ALL.map(|size| (*shape, size)))
        {
            for item in 0..50 {
                let scene = Scene { subjects: vec![object(shape, size)], ..Scene::default() };
                let picture = picture(&scene, &mut Random::for_item(4, item));
                let mut inside = 0;
                for (x, y, pixel) in picture.enumerate_pixels() {
                    if is_red(*pixel) {
                        assert!(
                            (56..84).contains(&x) && (28..56).contains(&y),
                            "{shape:?} {size:?}"
                        );
                        inside += 1;
                    }
                }
                let expected = if size == Size::Large { 200..700 } else { 60..200 };
                assert!(expected.contains(&inside), "{shape:?} {size:?} covers {inside} pixels");
            }
        }
    }

    #[test]
    fn a_digit_stays_inside_of_its_cell() {
        for item in 0..500 {
            let digit = Some((item as usize % 10, Cell { row: 0, column: 1 }));
            let scene = Scene { digit, ..Scene::default() };
            let picture = picture(&scene, &mut Random::for_item(5, item));
            let mut ink = 0;
            for (x, y, pixel) in picture.enumerate_pixels() {
                if pixel[0] > 190 {
                    assert!((28..56).contains(&x) && y < 28);
                    ink += 1;
                }
            }
            assert!(ink >= 50, "{ink} pixels of ink");
        }
    }
}
