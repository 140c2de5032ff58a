//! The rules of duplicates on a few records.

use proptest::prelude::*;

use super::*;
use crate::testing::{record, text};

fn candidate(record: &Record) -> Candidate {
    Candidate {
        fingerprint: Fingerprint::of(record, true),
        margin: record.comparison.preference.margin,
        image_groups: record.images.iter().map(|id| id.0 as u32).collect(),
    }
}

fn found(records: &[Record], recipe: &DuplicatesRecipe) -> Vec<(usize, usize, DuplicateKind)> {
    let candidates: Vec<Candidate> = records.iter().map(candidate).collect();
    let mut text_of = |index: usize| Ok::<_, std::convert::Infallible>(records[index].clone());
    let Ok(found) = find(&candidates, recipe, &mut text_of);
    found.into_iter().map(|found| (found.record, found.of, found.kind)).collect()
}

fn rules(contradictions: Contradictions, near: Option<f64>) -> DuplicatesRecipe {
    DuplicatesRecipe { contradictions, near, ..DuplicatesRecipe::default() }
}

const CAT: [&str; 2] = ["A cat.", "A dog."];
const DOG: [&str; 2] = ["A dog.", "A cat."];

/// Two long answers; with `changed` words of the first one changed.
fn long(seed: u64, changed: usize, is_swapped: bool) -> Record {
    let mut words: Vec<String> = text(seed, 120).split(' ').map(str::to_owned).collect();
    for at in 0..changed {
        words[at * 12 + 5] = format!("changed{at}");
    }
    let (first, second) = (words.join(" "), text(seed + 1_000_000, 100));
    let mut answers = [first.as_str(), second.as_str()];
    if is_swapped {
        answers.reverse();
    }
    record(&text(seed + 2_000_000, 40), &answers, &[])
}

#[test]
fn the_first_of_equal_records_stays() {
    let records = [
        record("What?", &CAT, &[]),
        record("Who?", &CAT, &[]),
        record("what?", &CAT, &[]),
        record("What?", &CAT, &[1]),
        record(" What? ", &CAT, &[]),
    ];
    let expected = [(2, 0, DuplicateKind::Exact), (4, 0, DuplicateKind::Exact)];
    assert_eq!(found(&records, &rules(Contradictions::Drop, None)), expected);
    let keeps_all = DuplicatesRecipe { exact: false, ..DuplicatesRecipe::default() };
    assert_eq!(found(&records, &keeps_all), []);
}

#[test]
fn the_one_with_the_largest_margin_stays_when_the_recipe_says_so() {
    let mut records = vec![record("What?", &CAT, &[]); 4];
    for (record, margin) in records.iter_mut().zip([None, Some(1.0), Some(2.0), Some(2.0)]) {
        record.comparison.preference.margin = margin;
    }
    let recipe = DuplicatesRecipe { keep: Keep::LargestMargin, ..DuplicatesRecipe::default() };
    let of: Vec<(usize, usize)> = found(&records, &recipe).iter().map(|x| (x.0, x.1)).collect();
    assert_eq!(of, [(0, 2), (1, 2), (3, 2)]);
}

#[test]
fn contradictions_follow_their_rule() {
    let records = [
        record("What?", &CAT, &[]),
        record("What?", &CAT, &[]),
        record("What?", &DOG, &[]),
        record("What?", &DOG, &[]),
    ];
    let (exact, other) = (DuplicateKind::Exact, DuplicateKind::Contradiction);
    let dropped = [(0, 2, other), (1, 2, other), (2, 0, other), (3, 0, other)];
    assert_eq!(found(&records, &rules(Contradictions::Drop, None)), dropped);
    let one_kept = [(1, 0, exact), (2, 0, other), (3, 0, other)];
    assert_eq!(found(&records, &rules(Contradictions::KeepOne, None)), one_kept);
    let each_kept = [(1, 0, exact), (3, 2, exact)];
    assert_eq!(found(&records, &rules(Contradictions::KeepAll, None)), each_kept);
}

#[test]
fn near_duplicates_name_a_record_that_stays() {
    let records = [long(1, 0, false), long(2, 0, false), long(1, 2, false), long(1, 2, false)];
    let found = found(&records, &rules(Contradictions::Drop, Some(0.8)));
    let [(2, 0, DuplicateKind::Near { similarity }), (3, 0, DuplicateKind::Near { .. })] =
        found.as_slice()
    else {
        panic!("{found:?}")
    };
    // 6 of 254 shingles are changed.
    assert!((similarity - 248.0 / 260.0).abs() < 1e-6, "{similarity}");
}

#[test]
fn near_duplicates_that_prefer_the_other_answer_are_contradictions() {
    let records = [long(1, 0, false), long(1, 2, true), long(1, 3, false), long(1, 4, true)];
    let kinds = |rule| -> Vec<(usize, usize, bool)> {
        let found = found(&records, &rules(rule, Some(0.8)));
        let is_other = |kind| kind == DuplicateKind::Contradiction;
        found.into_iter().map(|(record, of, kind)| (record, of, is_other(kind))).collect()
    };
    let dropped = [(0, 1, true), (1, 0, true), (2, 1, true), (3, 0, true)];
    assert_eq!(kinds(Contradictions::Drop), dropped);
    assert_eq!(kinds(Contradictions::KeepOne), [(1, 0, true), (2, 0, false), (3, 0, true)]);
    assert_eq!(kinds(Contradictions::KeepAll), [(2, 0, false), (3, 1, false)]);
}

#[test]
fn a_long_prompt_does_not_make_other_answers_the_same() {
    let prompt = text(5, 300);
    let records = [record(&prompt, &CAT, &[]), record(&prompt, &["Two.", "Three."], &[])];
    assert_eq!(found(&records, &rules(Contradictions::Drop, Some(0.8))), []);
}

#[test]
fn equal_words_over_other_pictures_are_no_duplicates() {
    let over = |images: &[u128]| record(&text(5, 100), &CAT, images);
    let records = [over(&[1]), over(&[2]), over(&[1, 1]), over(&[])];
    assert_eq!(found(&records, &rules(Contradictions::Drop, Some(0.8))), []);
    let mut candidates: Vec<Candidate> = records.iter().map(candidate).collect();
    // The second picture is another file that looks like the first.
    candidates[1].image_groups = Box::new([1]);
    let mut text_of = |index: usize| Ok::<_, std::convert::Infallible>(records[index].clone());
    let Ok(found) = find(&candidates, &rules(Contradictions::Drop, Some(0.8)), &mut text_of);
    let expected = Duplicate { record: 1, of: 0, kind: DuplicateKind::Near { similarity: 1.0 } };
    assert_eq!(found, [expected]);
}

#[test]
fn ends_of_a_chain_that_do_not_resemble_each_other_both_stay() {
    let changed = |from: usize, to: usize| {
        let mut words: Vec<String> = text(9, 120).split(' ').map(str::to_owned).collect();
        for at in from..to {
            words[at * 12 + 5] = format!("changed{at}");
        }
        record(&words.join(" "), &["yes", "no"], &[])
    };
    // Each step changes 4 words, 12 of 118 shingles.
    let records = [changed(0, 4), changed(0, 0), changed(4, 8)];
    let found = found(&records, &rules(Contradictions::Drop, Some(0.8)));
    assert_eq!(found.iter().map(|x| (x.0, x.1)).collect::<Vec<_>>(), [(1, 0)]);
}

#[test]
fn duplicates_among_thousands_of_records_with_the_same_boilerplate_are_found() {
    let boilerplate = text(1, 200);
    let of = |seed: u64, num_changed: usize| {
        let mut words: Vec<String> = text(seed, 60).split(' ').map(str::to_owned).collect();
        for at in 0..num_changed {
            words[at * 12 + 5] = format!("changed{at}");
        }
        record(&boilerplate, &[&words.join(" "), &text(seed + 100_000, 40)], &[])
    };
    let num_records = 3_000;
    let records: Vec<Record> = (0..num_records)
        .map(|seed| of(10 + seed, 0))
        .chain((0..num_records).step_by(10).map(|seed| of(10 + seed, 4)))
        .collect();
    let candidates: Vec<Candidate> = records.iter().map(candidate).collect();
    let mut num_read = 0;
    let mut text_of = |index: usize| {
        num_read += 1;
        Ok::<_, std::convert::Infallible>(records[index].clone())
    };
    let Ok(found) = find(&candidates, &rules(Contradictions::Drop, Some(0.8)), &mut text_of);
    let planted = num_records as usize / 10;
    let is_right = |found: &&Duplicate| found.record == num_records as usize + found.of / 10;
    assert_eq!(found.iter().filter(is_right).count(), found.len());
    assert!(found.len() * 1000 >= planted * 995, "{} of {planted}", found.len());
    assert!(num_read <= records.len(), "{num_read} reads");
}

#[test]
fn a_record_that_cannot_be_read_again_is_an_error() {
    let records = [long(1, 0, false), long(1, 2, false)];
    let candidates: Vec<Candidate> = records.iter().map(candidate).collect();
    let recipe = rules(Contradictions::Drop, Some(0.8));
    let mut text_of = |index: usize| Err::<Record, usize>(index);
    assert_eq!(find(&candidates, &recipe, &mut text_of), Err(1));
}

/// Records of few words, such that many are the same, nearly the same, or contradict each other.
fn crowded() -> impl Strategy<Value = Vec<(Record, Option<f32>)>> {
    let margin = prop::option::of((0..3_i8).prop_map(f32::from));
    let one = (0..2_u64, 0..4_usize, any::<bool>(), margin)
        .prop_map(|(seed, changed, is_swapped, margin)| (long(seed, changed, is_swapped), margin));
    prop::collection::vec(one, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_dropped_names_what_stays_under_every_rule(
        crowd in crowded(),
        rule in prop::sample::select(vec![
            Contradictions::Drop,
            Contradictions::KeepOne,
            Contradictions::KeepAll,
        ]),
        near in prop::option::of(Just(0.8)),
        keep in prop::sample::select(vec![Keep::First, Keep::LargestMargin]),
    ) {
        let records: Vec<Record> = crowd
            .into_iter()
            .map(|(mut record, margin)| {
                record.comparison.preference.margin = margin;
                record
            })
            .collect();
        let recipe = DuplicatesRecipe { keep, ..rules(rule, near) };
        let found = found(&records, &recipe);
        let is_dropped = |record: usize| found.iter().any(|(dropped, ..)| *dropped == record);
        for (record, of, kind) in &found {
            let may_be_gone = rule == Contradictions::Drop && *kind == DuplicateKind::Contradiction;
            prop_assert!(record != of && (may_be_gone || !is_dropped(*of)), "{:?}", found);
            prop_assert!(rule != Contradictions::KeepAll || *kind != DuplicateKind::Contradiction);
        }
        // What stays says nothing twice.
        let left: Vec<Record> = (0..records.len())
            .filter(|record| !is_dropped(*record))
            .map(|record| records[record].clone())
            .collect();
        prop_assert_eq!(super::tests::found(&left, &recipe), []);
    }
}
