//! The ten digits as bitmaps of 5 by 7 squares.
//!
//! Drawn for this program; no font is read.

/// Pixels along the side of a square.
const SQUARE_PIXELS: i32 = 3;
const COLUMNS: i32 = 5;
const ROWS: i32 = 7;
/// Pixels from the left to the right of a digit.
pub(super) const WIDTH_PIXELS: i32 = COLUMNS * SQUARE_PIXELS;
/// Pixels from the top to the bottom of a digit.
pub(super) const HEIGHT_PIXELS: i32 = ROWS * SQUARE_PIXELS;
/// Digits that differ in at most this many squares look alike.
const ALIKE_SQUARES: u32 = 9;

/// One digit each; one byte a row from the top, the leftmost square in bit 4.
const SQUARES: [[u8; ROWS as usize]; 10] = [
    [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
    [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
    [0b11110, 0b00001, 0b00001, 0b01110, 0b10000, 0b10000, 0b11111],
    [0b11111, 0b00001, 0b00010, 0b00110, 0b00001, 0b10001, 0b01110],
    [0b10010, 0b10010, 0b10010, 0b11111, 0b00010, 0b00010, 0b00010],
    [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b00001, 0b11110],
    [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
    [0b11111, 0b00001, 0b00010, 0b00010, 0b00100, 0b00100, 0b00100],
    [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
    [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
];

/// Whether a digit has ink at a pixel of its rectangle.
pub(super) fn has_ink(digit: usize, x: i32, y: i32) -> bool {
    let row = SQUARES[digit][(y / SQUARE_PIXELS) as usize];
    let column = COLUMNS - 1 - x / SQUARE_PIXELS;
    row >> column & 1 == 1
}

/// Whether two different digits are easily taken for each other.
pub(super) fn look_alike(first: usize, second: usize) -> bool {
    let rows = SQUARES[first].iter().zip(&SQUARES[second]);
    rows.map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() <= ALIKE_SQUARES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_looks_like_the_zero_and_not_like_the_one() {
        assert!(look_alike(8, 0) && look_alike(8, 9));
        assert!(!look_alike(8, 1) && !look_alike(7, 6));
    }

    #[test]
    fn a_one_has_its_ink_in_the_middle() {
        assert!(has_ink(1, 7, 10));
        assert!(!has_ink(1, 0, 10) && !has_ink(1, 14, 10));
    }
}
