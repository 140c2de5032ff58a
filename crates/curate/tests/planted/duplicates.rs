//! Planted duplicates of each kind among thousands of records.

use std::convert::Infallible;
use std::sync::LazyLock;

use curate::duplicates::{Candidate, Duplicate, DuplicateKind, find};
use curate::fingerprint::Fingerprint;
use curate::look::Look;
use curate::looks::groups;
use curate::recipe::DuplicatesRecipe;
use curate::record::{ImageId, Record};

use crate::world::{Random, Tally, copy, known, picture, png, record, swapped, texts};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Planted {
    Exact,
    Near,
    /// The same words over a copy of the picture.
    Copied,
}

/// Records, and of those that repeat another one which it is.
struct World {
    records: Vec<Record>,
    truth: Vec<Option<(usize, Planted)>>,
    pictures: Vec<(ImageId, Look)>,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let mut random = Random::new(7);
        let drawn: Vec<_> = (0..120).map(picture).collect();
        let mut pictures: Vec<_> = drawn.iter().map(|drawn| known(png(drawn))).collect();
        let mut records: Vec<Record> =
            (0..3_000).map(|at| original(at, &pictures, &mut random)).collect();
        let mut truth = vec![None; records.len()];
        for of in 0..records.len() {
            let planted = match of % 10 {
                0 => Planted::Exact,
                1 | 2 => Planted::Near,
                3 if !records[of].images.is_empty() => Planted::Copied,
                _ => continue,
            };
            let repeated = match planted {
                Planted::Exact => respaced(&records[of], &mut random),
                Planted::Near => changed(&records[of], &mut random),
                Planted::Copied => {
                    let shown = pictures.iter().position(|(id, _)| *id == records[of].images[0]);
                    let copied = known(copy(&drawn[shown.unwrap()], &mut random));
                    let mut repeated = records[of].clone();
                    repeated.images = vec![copied.0];
                    pictures.push(copied);
                    repeated
                }
            };
            records.push(if random.below(2) == 0 { swapped(repeated) } else { repeated });
            truth.push(Some((of, planted)));
        }
        Self { records, truth, pictures }
    }

    fn candidates(&self) -> Vec<Candidate> {
        let groups = groups(&self.pictures);
        let group =
            |id: &ImageId| groups[self.pictures.iter().position(|(other, _)| other == id).unwrap()];
        let candidate = |record: &Record| Candidate {
            fingerprint: Fingerprint::of(record, true),
            margin: record.comparison.preference.margin,
            image_groups: record.images.iter().map(group).collect(),
        };
        self.records.iter().map(candidate).collect()
    }

    fn find(&self, recipe: &DuplicatesRecipe) -> Vec<Duplicate> {
        let mut text_of = |index: usize| Ok::<_, Infallible>(self.records[index].clone());
        let Ok(found) = find(&self.candidates(), recipe, &mut text_of);
        found
    }

    fn tally(&self, planted: Planted, found: &[Duplicate]) -> Tally {
        let of_kind = |duplicate: &&Duplicate| {
            (duplicate.kind == DuplicateKind::Exact) == (planted == Planted::Exact)
        };
        let is_right =
            |duplicate: &&Duplicate| self.truth[duplicate.record] == Some((duplicate.of, planted));
        let is_planted = |truth: &&Option<_>| matches!(truth, Some((_, kind)) if *kind == planted);
        let others = |duplicate: &&Duplicate| matches!(self.truth[duplicate.record], Some((of, kind)) if of == duplicate.of && kind != planted);
        Tally {
            planted: self.truth.iter().filter(is_planted).count(),
            found: found.iter().filter(of_kind).filter(|x| !others(x)).count(),
            right: found.iter().filter(of_kind).filter(is_right).count(),
        }
    }
}

/// Every third record is over a picture, every fifth question is one that many ask, and every seventh begins with the same instructions.
fn original(at: usize, pictures: &[(ImageId, Look)], random: &mut Random) -> Record {
    let images =
        if at.is_multiple_of(3) { &pictures[random.below(pictures.len())..][..1] } else { &[] };
    let images: Vec<ImageId> = images.iter().map(|(id, _)| *id).collect();
    let num_words = random.between(15, 60);
    let question = match at {
        _ if at.is_multiple_of(5) => "Describe the image in detail.".to_owned(),
        _ if at.is_multiple_of(7) => {
            format!("{} {}", Random::new(0).text(60), random.text(num_words))
        }
        _ => random.text(num_words),
    };
    let num_words = [random.between(30, 120), random.between(30, 120)];
    let answers = num_words.map(|num_words| random.text(num_words));
    record(&question, [&answers[0], &answers[1]], &images)
}

fn respaced(of: &Record, random: &mut Random) -> Record {
    let [question, first, second] = texts(of).map(|text| random.respaced(&text));
    record(&question, [&first, &second], &of.images)
}

/// About one word in fifty is another one.
fn changed(of: &Record, random: &mut Random) -> Record {
    let [question, first, second] = texts(of);
    let [first, second] = [first, second].map(|text| {
        let num_words = text.split(' ').count();
        random.changed(&text, 1 + num_words / 60)
    });
    record(&question, [&first, &second], &of.images)
}

#[test]
fn planted_duplicates_are_found_and_no_others() {
    let world = &*WORLD;
    let recipe = DuplicatesRecipe { near: Some(0.8), ..DuplicatesRecipe::default() };
    let found = world.find(&recipe);
    world.tally(Planted::Exact, &found).check("exact", 0.99, 0.98);
    world.tally(Planted::Near, &found).check("near", 0.95, 0.98);
    world.tally(Planted::Copied, &found).check("over copied pictures", 0.95, 0.98);
}

#[test]
fn without_near_duplicates_only_exact_ones_are_found() {
    let world = &*WORLD;
    let found = world.find(&DuplicatesRecipe::default());
    assert!(found.iter().all(|duplicate| duplicate.kind == DuplicateKind::Exact));
    world.tally(Planted::Exact, &found).check("exact", 0.99, 0.98);
}

#[test]
fn every_dropped_record_names_one_that_stays() {
    let world = &*WORLD;
    let recipe = DuplicatesRecipe { near: Some(0.8), ..DuplicatesRecipe::default() };
    let found = world.find(&recipe);
    let dropped: Vec<usize> = found.iter().map(|duplicate| duplicate.record).collect();
    assert!(dropped.is_sorted());
    for duplicate in &found {
        assert!(dropped.binary_search(&duplicate.of).is_err(), "{duplicate:?}");
    }
}
