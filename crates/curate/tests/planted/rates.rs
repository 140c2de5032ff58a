//! How fast each step is. Prints figures and asserts none: they are the machine's.

#![expect(clippy::print_stdout, reason = "it is run to be read")]

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Instant;

use curate::decontaminate::BenchmarkIndex;
use curate::duplicates::{Candidate, find};
use curate::fingerprint::Fingerprint;
use curate::look::Look;
use curate::looks::groups;
use curate::recipe::{DecontaminationRecipe, DuplicatesRecipe};
use curate::record::{ImageId, Record};
use prompt::ImageSource;
use prompt::picture::{DEFAULT_MAX_DECODED_PIXELS, Probe};

use crate::world::{Random, jpeg, known, picture, record};

fn timed<T>(what: &str, count: usize, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let made = step();
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {:.0}/s, {count} in {seconds:.2} s", count as f64 / seconds);
    made
}

/// Records of about 1.2 KB of text; of each ten, one repeats another one with a few words changed.
fn records(count: usize) -> Vec<Record> {
    let mut random = Random::new(3);
    let mut records: Vec<Record> = Vec::with_capacity(count);
    for at in 0..count {
        let record = if at % 10 == 9 {
            let [question, first, second] =
                crate::world::texts(&records[random.below(records.len())]);
            record(&question, [&random.changed(&first, 2), &second], &[])
        } else {
            let [question, first, second] = [50, 100, 90].map(|words| random.text(words));
            record(&question, [&first, &second], &[])
        };
        records.push(record);
    }
    records
}

#[test]
#[ignore = "measures"]
fn rates_of_texts() {
    let records = records(100_000);
    let size: usize = records
        .iter()
        .map(|x| crate::world::texts(x).map(|text| text.len()).iter().sum::<usize>())
        .sum();
    println!("{} bytes of text each", size / records.len());
    timed("exact fingerprints, one thread", records.len(), || {
        for record in &records {
            std::hint::black_box(Fingerprint::of(record, false));
        }
    });
    let candidates: Vec<Candidate> =
        timed("fingerprints with bands, one thread", records.len(), || {
            let candidate = |record: &Record| Candidate {
                fingerprint: Fingerprint::of(record, true),
                margin: None,
                image_groups: Box::new([]),
            };
            records.iter().map(candidate).collect()
        });
    let recipe = DuplicatesRecipe { near: Some(0.8), ..DuplicatesRecipe::default() };
    let mut num_read = 0;
    let mut text_of = |index: usize| {
        num_read += 1;
        Ok::<_, Infallible>(records[index].clone())
    };
    let Ok(found) =
        timed("duplicates, one thread", records.len(), || find(&candidates, &recipe, &mut text_of));
    println!("{} found, {num_read} read again", found.len());
    let mut index = BenchmarkIndex::new(&DecontaminationRecipe::default());
    timed("benchmark rows", 10_000, || {
        for (at, record) in records[..10_000].iter().enumerate() {
            index.add("made-up", &at.to_string(), &record.comparison, &[]);
        }
    });
    let overlaps: usize = timed("overlaps, one thread", records.len(), || {
        records.iter().map(|record| index.overlaps(record, &[]).len()).sum()
    });
    println!("{overlaps} overlaps");
}

#[test]
#[ignore = "measures"]
fn rates_of_pictures() {
    let files: Vec<Vec<u8>> = (0..200).map(|seed| jpeg(&picture(seed), 80)).collect();
    let pictures: Vec<(ImageId, Look)> =
        timed("looks, one thread", files.len(), || files.into_iter().map(known).collect());
    // Many pictures of one style: as many keys are alike as in a collection of charts.
    let many: Vec<(ImageId, Look)> = (0..20_000)
        .map(|seed| known(crate::world::png(&picture(seed * 3))))
        .chain(pictures)
        .collect();
    let groups = timed("groups of charts", many.len(), || groups(&many));
    let num_groups = groups.iter().zip(0..).filter(|(group, index)| **group == *index).count();
    println!("{num_groups} groups");
}

/// Tries the looks on the pictures of a folder, whose path is in `PICTURES`: which are alike, and how many of their copies are recognized.
#[test]
#[ignore = "needs pictures"]
fn looks_of_real_pictures() {
    let mut paths: Vec<PathBuf> = std::env::var("PICTURES")
        .unwrap()
        .split(':')
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    paths.sort();
    let mut random = Random::new(5);
    let (mut pictures, mut copies) = (Vec::new(), Vec::new());
    for path in &paths {
        let source = ImageSource::Path(path.clone());
        let probe = Probe::new(&source, DEFAULT_MAX_DECODED_PIXELS).unwrap();
        pictures.push((ImageId::of(probe.bytes()), Look::of(&probe, true).unwrap()));
        let decoded = probe.decode().unwrap();
        let (width, height) = (decoded.width as u32, decoded.height as u32);
        let drawn = image::RgbImage::from_raw(width, height, decoded.pixels).unwrap();
        copies.extend((0..3).map(|_| known(crate::world::copy(&drawn, &mut random))));
    }
    let alone = groups(&pictures);
    for (at, group) in alone.iter().enumerate().filter(|(at, group)| *at != **group as usize) {
        println!("{} is like {}", paths[at].display(), paths[*group as usize].display());
    }
    let count = pictures.len();
    pictures.extend(copies);
    let groups = timed("groups", pictures.len(), || groups(&pictures));
    let is_found = |copy: &usize| groups[count + copy] == groups[copy / 3];
    let num_found = (0..3 * count).filter(is_found).count();
    let is_known = |copy: &usize| pictures[count + copy].1.looks_like(&pictures[copy / 3].1);
    let num_known = (0..3 * count).filter(is_known).count();
    println!("{num_found} found, {num_known} alike, of {} copies", 3 * count);
    let num_groups = groups.iter().zip(0..).filter(|(group, index)| **group == *index).count();
    println!("{count} pictures and their copies make {num_groups} groups");
}
