//! Preferences made up of words, and pictures of colored patches: as many as wanted, the same for the same seed.
//!
//! A small, known part repeats what stands before: word for word, or with some words changed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};

use crate::random::Random;

/// Words of the vocabulary; few are frequent, as in a language.
const VOCABULARY: usize = 30_000;
const PROMPT_WORDS: usize = 40;
const ANSWER_WORDS: usize = 70;
/// One row of this many repeats an earlier one.
const REPEATED: u64 = 50;
/// Rows over one picture.
const ROWS_PER_PICTURE: usize = 4;
const PICTURE_SIZE: (u32, u32) = (320, 240);
const PATCHES: usize = 12;
const TEXT_SEED: u64 = 1;
const PICTURE_SEED: u64 = 2;

/// Words of five or so letters.
fn words(random: &mut Random, count: usize) -> String {
    let mut text = String::new();
    for at in 0..count {
        if at > 0 {
            text.push(' ');
        }
        // The smaller of two draws is small more often.
        let mut word = random.below(VOCABULARY).min(random.below(VOCABULARY)) + 26;
        while word > 0 {
            text.push(char::from(b'a' + (word % 26) as u8));
            word /= 26;
        }
    }
    text
}

/// One row of text.
fn row(number: u64) -> [String; 3] {
    let mut random = Random::for_item(TEXT_SEED, number);
    [PROMPT_WORDS, ANSWER_WORDS, ANSWER_WORDS].map(|mean| {
        let count = mean / 2 + random.below(mean);
        words(&mut random, count)
    })
}

/// The row that stands at a place: its own, or an earlier one as it was or with a word more.
fn row_at(number: u64) -> [String; 3] {
    match number % REPEATED {
        7 if number > REPEATED => row(number - REPEATED / 2),
        9 if number > REPEATED => {
            let [prompt, chosen, rejected] = row(number - REPEATED / 2);
            [prompt, format!("{chosen} indeed"), rejected]
        }
        _ => row(number),
    }
}

/// Writes rows of text alone.
pub(super) fn write_texts(path: &Path, rows: usize) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for number in 0..rows as u64 {
        let [prompt, chosen, rejected] = row_at(number);
        // The words have no character that JSON escapes.
        writeln!(
            out,
            "{{\"id\":\"t{number}\",\"prompt\":\"{prompt}\",\"chosen\":\"{chosen}\",\"rejected\":\"{rejected}\"}}"
        )?;
    }
    out.flush()
}

/// Writes rows over pictures, and the pictures into `folder`.
pub(super) fn write_pictures(path: &Path, folder: &Path, rows: usize) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for number in 0..rows {
        let picture = number / ROWS_PER_PICTURE;
        if number % ROWS_PER_PICTURE == 0 {
            draw(picture as u64)
                .save_with_format(folder.join(format!("{picture}.png")), ImageFormat::Png)
                .map_err(io::Error::other)?;
        }
        let [prompt, chosen, rejected] = row_at(number as u64 + (1 << 40));
        writeln!(
            out,
            "{{\"id\":\"p{number}\",\"images\":[\"{name}/{picture}.png\"],\"prompt\":\"{prompt}\",\"chosen\":\"{chosen}\",\"rejected\":\"{rejected}\"}}"
        )?;
    }
    out.flush()
}

/// Patches of color over each other.
fn draw(number: u64) -> RgbImage {
    let mut random = Random::for_item(PICTURE_SEED, number);
    let color = |random: &mut Random| Rgb([0_u8; 3].map(|_| random.below(256) as u8));
    let (width, height) = PICTURE_SIZE;
    let background = color(&mut random);
    let mut picture = RgbImage::from_pixel(width, height, background);
    for _ in 0..PATCHES {
        let patch = color(&mut random);
        let [left, top] = [width, height].map(|side| random.below(side as usize) as u32);
        let right = (left + 20 + random.below(120) as u32).min(width);
        let bottom = (top + 20 + random.below(90) as u32).min(height);
        for (x, y) in (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y))) {
            picture.put_pixel(x, y, patch);
        }
    }
    picture
}
