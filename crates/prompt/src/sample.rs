//! The built-in question with its picture, which needs no files: what a model is examined and recognized with.
//!
//! Rewards of these conversations are stored with models, so they never change.

use crate::conversation::ImageSource;
use crate::error::EncodeError;
use crate::processor::{Encoded, Processor};
use crate::row::Row;

/// Sides of the picture in pixels: more than one attention window, and not a multiple of a patch.
const WIDTH: usize = 230;
const HEIGHT: usize = 150;
/// Bytes before the pixels of a BMP file with the oldest common header.
const HEADER_BYTES: usize = 54;

/// Answers to one question about a picture, and a conversation that shares nothing with them.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Three answers to one question about a picture.
    pub related: Vec<Encoded>,
    /// A greeting without a picture.
    pub other: Encoded,
}

impl Sample {
    /// Encodes the built-in conversations as a model's own processor does.
    ///
    /// # Errors
    /// Whatever the processor refuses; the conversations are valid, so the fault is the folder's.
    pub fn encode(processor: &Processor) -> Result<Self, EncodeError> {
        let image =
            ImageSource::Bytes { label: "the built-in picture".to_owned(), bytes: picture() };
        let question = Row::new(
            "question",
            vec![image],
            "What is in the picture?",
            ["A disk.", "A bright disk before a dark ground, and stripes.", "Two cats!"]
                .map(str::to_owned)
                .to_vec(),
        );
        let other = Row::new("other", Vec::new(), "Say hello.", vec!["Hello.".to_owned()]);
        let valid = "the built-in rows are valid";
        let related = processor.encode_all(&question.conversations().expect(valid))?;
        let other = processor.encode_all(&other.conversations().expect(valid))?;
        let other = other.into_iter().next().expect("one result for one conversation");
        Ok(Self { related, other })
    }
}

/// A BMP file of a bright disk before stripes.
fn picture() -> Vec<u8> {
    let row_bytes = (3 * WIDTH).next_multiple_of(4);
    let size = HEADER_BYTES + row_bytes * HEIGHT;
    let mut file = b"BM".to_vec();
    for field in [size, 0, HEADER_BYTES, 40, WIDTH, HEIGHT] {
        file.extend((field as u32).to_le_bytes());
    }
    // One plane, 24 bits.
    file.extend([1, 0, 24, 0]);
    file.resize(HEADER_BYTES, 0);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            file.extend(pixel(x, y));
        }
        file.resize(HEADER_BYTES + row_bytes * (y + 1), 0);
    }
    file
}

/// Blue, green and red at a place.
fn pixel(x: usize, y: usize) -> [u8; 3] {
    let (across, down) = (x.abs_diff(WIDTH / 2), y.abs_diff(HEIGHT / 2));
    if across * across + down * down < 50 * 50 {
        [40, (120 + x / 2) as u8, 230]
    } else {
        [if (x / 12).is_multiple_of(2) { 150 } else { 60 }, (y / 2) as u8, (x / 4) as u8]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{DEFAULT_MAX_DECODED_PIXELS, read};

    #[test]
    fn the_picture_is_a_valid_file_of_its_size() {
        let source = ImageSource::Bytes { label: "picture".to_owned(), bytes: picture() };
        let decoded = read(&source, DEFAULT_MAX_DECODED_PIXELS).unwrap();
        assert_eq!((decoded.width, decoded.height), (WIDTH, HEIGHT));
    }
}
