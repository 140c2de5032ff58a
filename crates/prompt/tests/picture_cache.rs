//! Pictures that are kept across calls: the same bits, never another's, never more bytes than allowed.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use std::sync::Arc;

use prompt::{
    Conversation, Encoded, ImageSource, Message, Part, PictureCache, Processor, ProcessorOptions,
    VideoSource,
};
use support::{goldens, vision};

const SIDE: u32 = 56;

fn processor(options: ProcessorOptions) -> Processor {
    Processor::load(&goldens().join("processor"), vision(), options).unwrap()
}

/// A BMP file of one gray.
fn gray(label: &str, gray: u8) -> ImageSource {
    const HEADER_BYTES: u32 = 54;
    let mut bytes = b"BM".to_vec();
    for field in [HEADER_BYTES + 3 * SIDE * SIDE, 0, HEADER_BYTES, 40, SIDE, SIDE] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    bytes.resize(HEADER_BYTES as usize, 0);
    bytes.resize((HEADER_BYTES + 3 * SIDE * SIDE) as usize, gray);
    ImageSource::Bytes { label: label.to_owned(), bytes }
}

fn asked(parts: Vec<Part>) -> Conversation {
    let text = |text: &str| Part::Text(text.to_owned());
    let mut content = parts;
    content.push(text("What is it?"));
    let message = |role: &str, content| Message { role: role.to_owned(), content };
    let answer = message("assistant", vec![text("Gray.")]);
    Conversation { messages: vec![message("user", content), answer] }
}

fn image(shade: u8) -> Part {
    Part::Image(Arc::new(gray("a picture", shade)))
}

fn kept(processor: &Processor, cache: &PictureCache, part: Part) -> Encoded {
    let conversations = [asked(vec![part])];
    processor.measure(&conversations).unwrap().decode(Some(cache)).unwrap().remove(0)
}

/// Everything that a reward depends on.
#[derive(Debug, Clone, PartialEq)]
struct Bits {
    token_ids: Vec<u32>,
    position_ids: Vec<[u32; 3]>,
    /// Hash and pixels of each picture.
    visuals: Vec<([u8; 32], Vec<u8>)>,
}

fn bits(encoded: &Encoded) -> Bits {
    let visuals = encoded.visuals.iter().map(|visual| (visual.hash, visual.pixels.clone()));
    Bits {
        token_ids: encoded.token_ids.clone(),
        position_ids: encoded.position_ids.clone(),
        visuals: visuals.collect(),
    }
}

#[test]
fn a_picture_has_the_same_bits_whether_it_was_kept_or_not() {
    let processor = processor(ProcessorOptions::default());
    let cache = PictureCache::new(1 << 20);
    let alone = bits(&processor.encode(&asked(vec![image(7)])).unwrap());
    let first = kept(&processor, &cache, image(7));
    let second = kept(&processor, &cache, image(7));
    assert_eq!((bits(&first), bits(&second)), (alone.clone(), alone));
    assert!(Arc::ptr_eq(&first.visuals[0], &second.visuals[0]));
    let counts = cache.counts();
    assert_eq!((counts.hits, counts.misses, counts.evictions), (1, 1, 0));
}

#[test]
fn pictures_of_one_size_with_other_bytes_are_never_mixed_up() {
    let processor = processor(ProcessorOptions::default());
    let cache = PictureCache::new(1 << 20);
    for _ in 0..2 {
        for shade in [0, 1, 254, 255] {
            let expected = bits(&processor.encode(&asked(vec![image(shade)])).unwrap());
            assert_eq!(bits(&kept(&processor, &cache, image(shade))), expected);
        }
    }
    assert_eq!((cache.counts().hits, cache.counts().misses), (4, 4));
}

#[test]
fn a_picture_is_not_taken_for_a_video_of_it_nor_for_the_same_under_other_rules() {
    let plain = processor(ProcessorOptions::default());
    let shrinking = processor(ProcessorOptions { max_pixels: Some(784), ..Default::default() });
    let cache = PictureCache::new(1 << 20);
    let video = VideoSource { frames: vec![gray("a frame", 9)], fps: 1.0 };
    for (processor, part) in
        [(&plain, image(9)), (&plain, Part::Video(Arc::new(video))), (&shrinking, image(9))]
    {
        let expected = bits(&processor.encode(&asked(vec![part.clone()])).unwrap());
        assert_eq!(bits(&kept(processor, &cache, part)), expected);
    }
    assert_eq!((cache.counts().hits, cache.counts().misses), (0, 3));
}

#[test]
fn no_more_bytes_are_held_than_allowed_and_the_least_recently_used_goes() {
    let processor = processor(ProcessorOptions::default());
    let one = PictureCache::new(1 << 20);
    kept(&processor, &one, image(0));
    let room = 2 * one.counts().bytes + one.counts().bytes / 2;
    let cache = PictureCache::new(room);
    for shade in [1, 2, 1, 3, 1, 2] {
        kept(&processor, &cache, image(shade));
        assert!(cache.counts().bytes <= room);
    }
    // 3 took the place of 2, which had not been used since 1 was; then 2 took that of 3.
    let counts = cache.counts();
    assert_eq!((counts.hits, counts.misses, counts.evictions), (2, 4, 2));
    assert_eq!(counts.bytes, 2 * one.counts().bytes);
    let none = PictureCache::new(one.counts().bytes - 1);
    kept(&processor, &none, image(1));
    kept(&processor, &none, image(1));
    assert_eq!((none.counts().bytes, none.counts().hits, none.counts().misses), (0, 0, 2));
}

#[test]
fn equal_files_at_two_places_are_measured_and_decoded_once() {
    let processor = processor(ProcessorOptions::default());
    let named = |label: &str| Part::Image(Arc::new(gray(label, 5)));
    let conversations = [asked(vec![named("first"), named("second"), image(6)])];
    let measured = processor.measure(&conversations).unwrap();
    let names: Vec<&str> = measured.visuals().map(|visual| visual.name).collect();
    assert_eq!(names, ["first", "a picture"]);
    assert!(measured.visuals().all(|visual| visual.tokens == 4));
    let encoded = measured.decode(None).unwrap();
    let visuals = &encoded[0].visuals;
    assert!(Arc::ptr_eq(&visuals[0], &visuals[1]) && !Arc::ptr_eq(&visuals[0], &visuals[2]));
}
