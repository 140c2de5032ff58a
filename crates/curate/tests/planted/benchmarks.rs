//! Planted overlaps of each kind with benchmarks, among thousands of records.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use curate::decontaminate::BenchmarkIndex;
use curate::look::Look;
use curate::recipe::{DecontaminationRecipe, OverlapKind};
use curate::record::{ImageId, Record};

use crate::world::{Random, Tally, copy, known, picture, png, record, swapped, texts};

const GENERIC: [&str; 3] = [
    "Describe the image.",
    "What is happening in this picture, and what could have led to it?",
    "Is there a person in the image?",
];

/// Records with the looks of their pictures, and all overlaps `(record, row, kind)` with the benchmark.
struct World {
    index: BenchmarkIndex,
    records: Vec<(Record, Vec<Look>)>,
    truth: BTreeSet<(usize, String, OverlapKind)>,
}

/// A row over its own picture or over none, with a question of its own or one that many ask, and long answers or yes and no.
fn row(at: usize, pictures: &[(ImageId, Look)], random: &mut Random) -> (Record, Vec<Look>) {
    let (images, looks): (Vec<ImageId>, Vec<Look>) = if at.is_multiple_of(2) {
        pictures[at / 2..][..1].iter().cloned().unzip()
    } else {
        Default::default()
    };
    let num_words = random.between(20, 80);
    let question = if at.is_multiple_of(4) {
        random.one_of(&GENERIC).to_owned()
    } else {
        random.text(num_words)
    };
    let answers = match at % 3 {
        0 => ["Yes.".to_owned(), "No.".to_owned()],
        _ => [40, 60].map(|num_words| random.text(num_words)),
    };
    let mut record = record(&question, [&answers[0], &answers[1]], &images);
    record.comparison.id =
        if at.is_multiple_of(5) { at.to_string() } else { format!("MADE-UP-{at}") };
    (record, looks)
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let mut random = Random::new(11);
        let drawn: Vec<_> = (0..300).map(picture).collect();
        let pictures: Vec<_> = drawn.iter().map(|drawn| known(png(drawn))).collect();
        let mut index = BenchmarkIndex::new(&DecontaminationRecipe::default());
        let rows: Vec<_> = (0..400).map(|at| row(at, &pictures[..200], &mut random)).collect();
        for (at, (row, looks)) in rows.iter().enumerate() {
            let images: Vec<_> = row.images.iter().copied().zip(looks.iter().cloned()).collect();
            index.add("made-up", &format!("row {at}"), &row.comparison, &images);
        }
        // Records of the same kinds over other pictures, which overlap with nothing.
        let mut records: Vec<_> = (0..3_000)
            .map(|at| {
                let others = &pictures[200 + random.below(100)..][..1];
                let (mut record, looks) = row(at % 2, others, &mut random);
                record.comparison.id = format!("OTHER-{at}");
                (record, looks)
            })
            .collect();
        let mut truth = BTreeSet::new();
        for (at, (of, looks)) in rows.iter().enumerate() {
            let place = records.len() * 7 % 3_000;
            let (record, looks, kinds) = match at % 4 {
                0 => with_id(of, &mut random),
                1 => with_question(of, &mut random),
                2 => with_picture(of, looks, &drawn[at / 2], &mut random),
                _ => with_answers(of, &mut random),
            };
            truth.extend(kinds.into_iter().map(|kind| (place, format!("row {at}"), kind)));
            let replaced = std::mem::replace(&mut records[place], (record, looks));
            records.push(replaced);
        }
        Self { index, records, truth }
    }
}

type Overlapping = (Record, Vec<Look>, Vec<OverlapKind>);

/// Another question and other answers under the id of the row.
fn with_id(of: &Record, random: &mut Random) -> Overlapping {
    let mut other = record(&random.text(30), [&random.text(40), &random.text(40)], &[]);
    other.comparison.id.clone_from(&of.comparison.id);
    let is_number = of.comparison.id.chars().all(|letter| letter.is_ascii_digit());
    (other, Vec::new(), if is_number { vec![] } else { vec![OverlapKind::Id] })
}

/// The question among other words, with other answers.
fn with_question(of: &Record, random: &mut Random) -> Overlapping {
    let [question, ..] = texts(of);
    let around = format!("{}\n{} Think first.", random.text(12), random.respaced(&question));
    let other = record(&around, [&random.text(40), &random.text(40)], &[]);
    (other, Vec::new(), vec![OverlapKind::Question])
}

/// A copy of the picture under another question, or the picture itself under the row's question.
fn with_picture(
    of: &Record,
    looks: &[Look],
    drawn: &image::RgbImage,
    random: &mut Random,
) -> Overlapping {
    let answers = [random.text(40), random.text(40)];
    if random.below(2) == 0 {
        let [question, ..] = texts(of);
        let other = record(&question, [&answers[0], &answers[1]], &of.images);
        return (other, looks.to_vec(), vec![OverlapKind::Image, OverlapKind::Question]);
    }
    let (id, look) = known(copy(drawn, random));
    let other = record(&random.text(30), [&answers[0], &answers[1]], &[id]);
    (other, vec![look], vec![OverlapKind::Image])
}

/// The answers in the other order, under the same question where they are short.
fn with_answers(of: &Record, random: &mut Random) -> Overlapping {
    let [question, first, second] = texts(of);
    let answers = [&first, &second].map(|answer| random.respaced(answer));
    let is_short = first == "Yes.";
    let question = if is_short { question } else { random.text(30) };
    let other = swapped(record(&question, [&answers[0], &answers[1]], &[]));
    let mut kinds = vec![OverlapKind::Answers];
    kinds.extend(is_short.then_some(OverlapKind::Question));
    (other, Vec::new(), kinds)
}

#[test]
fn planted_overlaps_of_each_kind_are_found_and_no_others() {
    let world = &*WORLD;
    let mut found = BTreeSet::new();
    for (at, (record, looks)) in world.records.iter().enumerate() {
        for overlap in world.index.overlaps(record, looks) {
            assert_eq!(overlap.benchmark, "made-up");
            found.insert((at, overlap.row, overlap.kind));
        }
    }
    for kind in OverlapKind::ALL {
        let of_kind = |all: &BTreeSet<(usize, String, OverlapKind)>| {
            all.iter().filter(|overlap| overlap.2 == kind).count()
        };
        let tally = Tally {
            planted: of_kind(&world.truth),
            found: of_kind(&found),
            right: found.intersection(&world.truth).filter(|overlap| overlap.2 == kind).count(),
        };
        let least_recall = if kind == OverlapKind::Image { 0.95 } else { 0.99 };
        tally.check(&format!("{kind:?}"), least_recall, 0.98);
    }
}

#[test]
fn all_threads_find_the_same() {
    use rayon::prelude::*;
    let world = &*WORLD;
    let find = |(record, looks): &(Record, Vec<Look>)| world.index.overlaps(record, looks);
    let one: Vec<_> = world.records.iter().map(find).collect();
    let many: Vec<_> = world.records.par_iter().map(find).collect();
    assert_eq!(one, many);
}
