//! Times the preprocessing of one picture: `cargo run --release -p prompt --example preprocess -- FILE [REPEATS]`.
//!
//! Prints the median milliseconds of each step, with the pixel limits of the published Qwen2.5-VL checkpoints.

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::time::Instant;

use prompt::ImageSource;
use prompt::picture::{
    DEFAULT_MAX_DECODED_PIXELS, PixelRange, patchify, read, resize, smart_resize,
};

const PUBLISHED: PixelRange = PixelRange { min_pixels: 3136, max_pixels: 12_845_056 };
const PATCH_SIZE: usize = 14;
const MERGE_SIZE: usize = 2;
const DEFAULT_REPEATS: usize = 15;
const STEPS: [&str; 4] = ["decode", "resize", "patches", "total"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let source = ImageSource::Path(arguments.next().ok_or("give the path of a picture")?.into());
    let repeats = arguments.next().map_or(Ok(DEFAULT_REPEATS), |text| text.parse())?;
    let mut times = vec![Vec::new(); STEPS.len()];
    for _ in 0..repeats {
        let start = Instant::now();
        let picture = read(&source, DEFAULT_MAX_DECODED_PIXELS)?;
        let decoded = Instant::now();
        let (width, height) = (picture.width as u32, picture.height as u32);
        let (width, height) = smart_resize(width, height, PATCH_SIZE * MERGE_SIZE, PUBLISHED)?;
        let resized = resize(&picture, width, height);
        let sized = Instant::now();
        let patches = patchify(&[resized], 1, PATCH_SIZE, MERGE_SIZE);
        let end = Instant::now();
        std::hint::black_box(patches);
        let steps = [decoded - start, sized - decoded, end - sized, end - start];
        for (times, step) in times.iter_mut().zip(steps) {
            times.push(step.as_secs_f64() * 1e3);
        }
    }
    for (step, mut times) in STEPS.into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        println!("{step:>8} {:8.1} ms", times[times.len() / 2]);
    }
    Ok(())
}
