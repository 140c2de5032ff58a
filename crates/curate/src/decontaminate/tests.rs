//! What counts as an overlap with a benchmark, and what does not.

use super::*;
use crate::testing::{record, text};

const SHORT: [&str; 2] = ["Yes.", "No."];

/// An index of rows `row 0`, `row 1`… without looks of pictures.
fn index(rows: &[Record]) -> BenchmarkIndex {
    let mut index = BenchmarkIndex::new(&DecontaminationRecipe::default());
    for (at, row) in rows.iter().enumerate() {
        let looks: Vec<(ImageId, Look)> =
            row.images.iter().map(|id| (*id, Look::of_size(640, 480))).collect();
        index.add("bench", &format!("row {at}"), &row.comparison, &looks);
    }
    index
}

fn kinds(index: &BenchmarkIndex, record: &Record) -> Vec<(String, OverlapKind)> {
    index.overlaps(record, &[]).into_iter().map(|found| (found.row, found.kind)).collect()
}

fn one(row: usize, kind: OverlapKind) -> Vec<(String, OverlapKind)> {
    vec![(format!("row {row}"), kind)]
}

/// Two answers of forty words.
fn long(question: &str, seed: u64, images: &[u128]) -> Record {
    record(question, &[&text(seed, 40), &text(seed + 1, 40)], images)
}

#[test]
fn ids_of_collections_count_and_numbers_and_places_do_not() {
    let with_id = |id: &str, seed: u64| {
        let mut record = long(&text(seed, 30), seed + 1, &[]);
        record.comparison.id = id.to_owned();
        record
    };
    let index = index(&["RLAIF-V-14", "14", "train.jsonl:14"].map(|id| with_id(id, 100)));
    assert_eq!(kinds(&index, &with_id("rlaif-v-14", 200)), one(0, OverlapKind::Id));
    assert_eq!(kinds(&index, &with_id("RLAIF-V-15", 200)), []);
    assert_eq!(kinds(&index, &with_id("14", 200)), []);
    assert_eq!(kinds(&index, &with_id("train.jsonl:14", 200)), []);
}

#[test]
fn a_picture_with_the_same_bytes_counts() {
    let index = index(&[long(&text(1, 30), 10, &[5]), long(&text(2, 30), 20, &[6, 7])]);
    let overlaps = index.overlaps(&long(&text(3, 30), 30, &[8, 7]), &[]);
    let [overlap] = overlaps.as_slice() else { panic!("{overlaps:?}") };
    assert_eq!((overlap.row.as_str(), overlap.kind), ("row 1", OverlapKind::Image));
    assert_eq!(overlap.evidence, "picture 2 has the bytes of one of the row");
}

#[test]
fn a_question_counts_when_most_of_its_words_are_in_common_ngrams() {
    let question = text(1, 50);
    let index = index(&[long(&question, 10, &[])]);
    let around = format!("{} {question} {}", text(2, 80), text(3, 20));
    assert_eq!(kinds(&index, &long(&around, 30, &[])), one(0, OverlapKind::Question));
    let words: Vec<&str> = question.split(' ').collect();
    let most = words[..42].join(" ");
    assert_eq!(kinds(&index, &long(&most, 30, &[])), one(0, OverlapKind::Question));
    let some = words[..38].join(" ");
    assert_eq!(kinds(&index, &long(&some, 30, &[])), []);
    let mut mixed_up = words.clone();
    mixed_up.sort_unstable();
    assert_eq!(kinds(&index, &long(&mixed_up.join(" "), 30, &[])), []);
}

#[test]
fn case_punctuation_and_white_space_do_not_hide_a_question() {
    let question = "Which of the two trains, the red or the blue one, arrives first at noon?";
    let index = index(&[long(question, 10, &[])]);
    let other = "which of the two TRAINS (the red or the blue one)\narrives first, at noon";
    assert_eq!(kinds(&index, &long(other, 30, &[])), one(0, OverlapKind::Question));
}

#[test]
fn a_generic_question_counts_only_with_its_picture() {
    for question in
        ["Describe the image.", "What are the key features that you observe in this image here?"]
    {
        let index = index(&[long(question, 10, &[5])]);
        assert_eq!(kinds(&index, &long(question, 30, &[6])), []);
        assert_eq!(kinds(&index, &long(question, 30, &[])), []);
        let both = [("row 0", OverlapKind::Image), ("row 0", OverlapKind::Question)];
        let both = both.map(|(row, kind)| (row.to_owned(), kind));
        assert_eq!(kinds(&index, &long(question, 30, &[5])), both);
    }
}

#[test]
fn a_short_question_without_pictures_counts_only_with_its_answers() {
    let index = index(&[record("Is water wet?", &SHORT, &[])]);
    assert_eq!(kinds(&index, &record("Is water wet?", &["Maybe.", "No."], &[])), []);
    let answers = one(0, OverlapKind::Answers);
    assert_eq!(kinds(&index, &record("is WATER wet", &["no.", "yes."], &[])), answers);
    assert_eq!(kinds(&index, &record("Is fire wet?", &SHORT, &[])), []);
}

#[test]
fn a_long_question_over_one_picture_counts_without_it() {
    let question = text(1, 40);
    let alone = index(&[long(&question, 10, &[5]), long(&question, 20, &[5])]);
    let both = [0, 1].map(|row| (format!("row {row}"), OverlapKind::Question));
    assert_eq!(kinds(&alone, &long(&question, 30, &[6])), both);
    let over_others = index(&[long(&question, 10, &[5]), long(&question, 20, &[7])]);
    assert_eq!(kinds(&over_others, &long(&question, 30, &[6])), []);
}

#[test]
fn a_template_that_is_filled_in_for_each_picture_counts_only_with_the_picture() {
    let of = |name: &str| {
        format!(
            "There is a quadrilateral {name} in this figure. True or false? A quadrilateral has four edges and four corners. \
             Give a short explanation, then the final answer."
        )
    };
    let index = index(&[long(&of("ABCD"), 10, &[5]), long(&of("AMNC"), 20, &[6])]);
    assert_eq!(kinds(&index, &long(&of("OCAB"), 30, &[7])), []);
    assert_eq!(kinds(&index, &long(&of("ABCD"), 30, &[7])), []);
    let found = kinds(&index, &long(&of("OCAB"), 30, &[5]));
    let both = [OverlapKind::Image, OverlapKind::Question];
    assert_eq!(found, both.map(|kind| ("row 0".to_owned(), kind)));
}

#[test]
fn boilerplate_of_many_questions_is_nobodys_own() {
    let boilerplate = text(1, 60);
    let of = |seed: u64| format!("{boilerplate} {}", text(seed, 20));
    let rows: Vec<Record> = (100..200).map(|seed| long(&of(seed), 1_000 + 2 * seed, &[])).collect();
    let index = index(&rows);
    assert_eq!(kinds(&index, &long(&of(50), 30, &[])), []);
    assert_eq!(kinds(&index, &long(&of(150), 30, &[])), one(50, OverlapKind::Question));
}

#[test]
fn two_long_answers_count_in_any_order_and_one_does_not() {
    let index = index(&[long(&text(1, 30), 10, &[5])]);
    let mut swapped = long(&text(2, 30), 10, &[6]);
    swapped.comparison.responses.reverse();
    assert_eq!(kinds(&index, &swapped), one(0, OverlapKind::Answers));
    let half = record(&text(2, 30), &[&text(10, 40), &text(12, 40)], &[6]);
    assert_eq!(kinds(&index, &half), []);
    let twice = record(&text(2, 30), &[&text(10, 40), &text(10, 40)], &[6]);
    assert_eq!(kinds(&index, &twice), []);
}

#[test]
fn short_answers_to_a_question_over_another_picture_do_not_count() {
    let index = index(&[record("Is there a dog in it?", &SHORT, &[5])]);
    assert_eq!(kinds(&index, &record("Is there a dog in it?", &SHORT, &[6])), []);
    let found = kinds(&index, &record("Is there a dog in it?", &SHORT, &[5]));
    let kinds: Vec<OverlapKind> = found.into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [OverlapKind::Image, OverlapKind::Question, OverlapKind::Answers]);
}

#[test]
fn a_record_overlaps_with_each_benchmark_that_has_it() {
    let row = long(&text(1, 30), 10, &[]);
    let mut index = BenchmarkIndex::new(&DecontaminationRecipe::default());
    assert!(index.is_empty());
    for benchmark in ["first", "second"] {
        index.add(benchmark, "7", &row.comparison, &[]);
    }
    assert_eq!(index.len(), 2);
    let found: Vec<_> =
        index.overlaps(&row, &[]).into_iter().map(|x| (x.benchmark, x.kind)).collect();
    let expected = ["first", "second"].map(|name| {
        [OverlapKind::Question, OverlapKind::Answers].map(|kind| (name.to_owned(), kind))
    });
    assert_eq!(found, expected.concat());
}
