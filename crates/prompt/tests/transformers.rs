//! Equality with transformers, by the goldens of `reference/prompt_goldens.py`.
//!
//! Everything is compared bit for bit: ids, positions, grids, resized sizes, and checksums of pixels.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

use std::fs;
use std::path::{Path, PathBuf};

use prompt::picture::{DEFAULT_MAX_DECODED_PIXELS, PixelRange, Rgb, read, resize, smart_resize};
use prompt::{Encoded, ImageSource, Processor, ProcessorOptions, Row, VisionTokens};
use serde_json::Value;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

fn golden(name: &str) -> Value {
    let text = fs::read_to_string(goldens().join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn processor(golden: &Value, options: ProcessorOptions) -> Processor {
    let id = |token: &str| golden["token_ids"][token].as_u64().unwrap() as u32;
    let vision = VisionTokens {
        image_token_id: id("<|image_pad|>"),
        video_token_id: id("<|video_pad|>"),
        vision_start_token_id: id("<|vision_start|>"),
        vision_end_token_id: id("<|vision_end|>"),
        spatial_merge_size: 2,
        patch_size: 14,
        temporal_patch_size: 2,
        tokens_per_second: 2.0,
    };
    Processor::load(&goldens().join("processor"), vision, options).unwrap()
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

/// The checksum of zlib, which Python has at hand.
fn crc32(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1));
        }
    }
    u64::from(!crc)
}

fn compare(case: &str, encoded: &Encoded, expected: &Value) {
    let ids: Vec<u64> = encoded.token_ids.iter().map(|id| u64::from(*id)).collect();
    assert_eq!(ids, numbers(&expected["token_ids"]), "token ids of {case}");
    let positions: Vec<u64> =
        encoded.position_ids.iter().flatten().map(|position| u64::from(*position)).collect();
    assert_eq!(positions, numbers(&expected["position_ids"]), "positions of {case}");
    assert_eq!(encoded.end_of_turn as u64, expected["end_of_turn"], "end of turn of {case}");
    for (kind, is_video) in [("image", false), ("video", true)] {
        let grids = expected[format!("{kind}_grids")].as_array().unwrap();
        let sums = numbers(&expected[format!("{kind}_crc32")]);
        let visuals: Vec<_> =
            encoded.visuals.iter().filter(|visual| visual.is_video == is_video).collect();
        assert_eq!(visuals.len(), grids.len(), "{kind}s of {case}");
        for ((visual, grid), sum) in visuals.iter().zip(grids).zip(sums) {
            assert_eq!(visual.grid.map(|side| side as u64).to_vec(), numbers(grid), "{case}");
            let mut rows = vec![0.0f32; visual.num_patches() * visual.row_len()];
            visual.write_rows(0..visual.num_patches(), &mut rows);
            let bytes = rows.iter().flat_map(|value| value.to_le_bytes());
            assert_eq!(crc32(bytes), sum, "pixel values of a {kind} of {case}");
        }
    }
}

#[test]
fn conversations_equal_those_of_transformers() {
    let golden = golden("conversations.json");
    let processor = processor(&golden, ProcessorOptions::default());
    for (name, case) in golden["cases"].as_object().unwrap() {
        let row = Row::parse(&case["row"].to_string(), 1, &goldens()).unwrap();
        let conversations = row.conversations().unwrap();
        let encoded = processor.encode_all(&conversations).unwrap();
        let expected = case["expected"].as_array().unwrap();
        assert_eq!(encoded.len(), expected.len());
        for ((encoded, expected), conversation) in encoded.iter().zip(expected).zip(&conversations)
        {
            assert_eq!(processor.render(conversation).unwrap(), expected["text"], "text of {name}");
            compare(name, encoded, expected);
            compare(name, &processor.encode(conversation).unwrap(), expected);
        }
    }
}

#[test]
fn sizes_equal_those_of_transformers() {
    for case in golden("sizes.json")["cases"].as_array().unwrap() {
        let case = numbers(case);
        let range = PixelRange { min_pixels: case[2], max_pixels: case[3] };
        let size = smart_resize(case[0] as u32, case[1] as u32, 28, range).unwrap();
        assert_eq!(size, (case[4] as usize, case[5] as usize), "{case:?}");
    }
}

#[test]
fn resized_pixels_equal_those_of_torchvision() {
    for case in golden("resize.json")["cases"].as_array().unwrap() {
        let case = numbers(case);
        let [width, height, new_width, new_height] = [1, 2, 3, 4].map(|at| case[at] as usize);
        let mut state = case[0] as u32;
        let pixels = (0..width * height * 3)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let resized = resize(&Rgb { width, height, pixels }, new_width, new_height);
        let interleaved = resized
            .pixels
            .chunks_exact(new_width * 3)
            .flat_map(|row| (0..new_width * 3).map(move |at| row[at % 3 * new_width + at / 3]));
        assert_eq!(crc32(interleaved), case[5], "{case:?}");
    }
}

#[test]
fn decoded_files_equal_those_of_pillow() {
    for (name, expected) in golden("files.json")["cases"].as_object().unwrap() {
        let path = goldens().join("files").join(name);
        let picture = read(&ImageSource::Path(path), DEFAULT_MAX_DECODED_PIXELS).unwrap();
        assert_eq!(picture.width as u64, expected["width"], "{name}");
        assert_eq!(picture.height as u64, expected["height"], "{name}");
        assert_eq!(crc32(picture.pixels), expected["crc32"], "{name}");
    }
}
