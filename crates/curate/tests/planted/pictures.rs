//! Resized and recompressed pictures are recognized, distinct ones are kept apart.

use curate::look::Look;
use curate::looks::groups;
use curate::record::ImageId;
use prompt::ImageSource;
use prompt::picture::{DEFAULT_MAX_DECODED_PIXELS, Probe};

use crate::world::{Random, Tally, copy, jpeg, known, picture, png};

#[test]
fn copies_of_pictures_are_grouped_with_them_and_no_others() {
    let mut random = Random::new(1);
    let num_originals = 150;
    let mut pictures: Vec<(ImageId, Look)> = Vec::new();
    let mut truth: Vec<usize> = Vec::new();
    for original in 0..num_originals {
        let drawn = picture(original as u64);
        pictures.push(known(png(&drawn)));
        truth.push(original);
        for _ in 0..random.below(3) {
            pictures.push(known(copy(&drawn, &mut random)));
            truth.push(original);
        }
    }
    let groups = groups(&pictures);
    let mut tally = Tally { planted: 0, found: 0, right: 0 };
    for first in 0..pictures.len() {
        for second in first + 1..pictures.len() {
            let (planted, found) = (truth[first] == truth[second], groups[first] == groups[second]);
            tally.planted += usize::from(planted);
            tally.found += usize::from(found);
            tally.right += usize::from(planted && found);
        }
    }
    tally.check("pictures", 0.95, 0.98);
}

#[test]
fn groups_do_not_depend_on_the_order_of_the_pictures() {
    let mut random = Random::new(2);
    let mut pictures = Vec::new();
    for seed in 0..30 {
        let drawn = picture(seed);
        pictures.extend([known(png(&drawn)), known(copy(&drawn, &mut random))]);
    }
    let forward = groups(&pictures);
    pictures.reverse();
    let backward = groups(&pictures);
    let last = pictures.len() - 1;
    for first in 0..=last {
        for second in 0..first {
            let together = forward[first] == forward[second];
            assert_eq!(backward[last - first] == backward[last - second], together);
        }
    }
}

#[test]
fn charts_of_one_style_with_one_bar_changed_are_distinct() {
    let chart = picture(0);
    let mut other = chart.clone();
    for y in 200..270 {
        for x in 55..79 {
            other.put_pixel(x, y, image::Rgb([255; 3]));
        }
    }
    let [first, second] = [&chart, &other].map(|picture| known(png(picture)).1);
    assert!(!first.looks_like(&second));
    assert!(first.looks_like(&known(jpeg(&chart, 50)).1));
}

#[test]
fn pictures_without_contrast_or_of_another_shape_look_like_none() {
    let gray = image::RgbImage::from_pixel(64, 64, image::Rgb([128; 3]));
    let [first, second] = [known(png(&gray)).1, known(jpeg(&gray, 90)).1];
    assert!(!first.looks_like(&second));
    let drawn = picture(2);
    let filter = image::imageops::FilterType::Triangle;
    let squeezed = image::imageops::resize(&drawn, drawn.width() / 2, drawn.height(), filter);
    assert!(!known(png(&drawn)).1.looks_like(&known(png(&squeezed)).1));
}

#[test]
fn files_with_the_same_bytes_are_one_group_whether_they_were_looked_at_or_not() {
    let same = ImageId(1);
    let size = |width| Look::of_size(width, 10);
    let pictures = [(same, size(10)), (ImageId(2), size(10)), (same, size(10))];
    assert_eq!(groups(&pictures), [0, 1, 0]);
}

#[test]
fn a_look_without_pixels_knows_only_the_size() {
    let bytes = png(&picture(2));
    // The end is missing, which decoding would find out.
    let source =
        ImageSource::Bytes { label: "cut".to_owned(), bytes: bytes[..bytes.len() / 2].to_vec() };
    let probe = Probe::new(&source, DEFAULT_MAX_DECODED_PIXELS).unwrap();
    assert_eq!(Look::of(&probe, false).unwrap(), Look::of_size(probe.width, probe.height));
    assert!(Look::of(&probe, true).is_err());
}
