//! What changes a fingerprint, and what does not.

use prompt::Part;

use super::*;
use crate::testing::{message, record, text};

fn of(record: &Record) -> Fingerprint {
    Fingerprint::of(record, true)
}

#[test]
fn white_space_case_and_the_order_of_answers_make_no_difference() {
    let plain = record("What is this?", &["A cat.", "A dog."], &[7]);
    let mut swapped = record(" what IS\n this? ", &["a  DOG.", "A Cat."], &[7]);
    swapped.comparison.preference.ranks = vec![1, 0];
    assert_eq!(of(&plain), of(&swapped));
}

#[test]
fn equal_records_that_prefer_differently_differ_in_their_preference_alone() {
    let first = of(&record("What is this?", &["A cat.", "A dog."], &[7]));
    let second = of(&record("What is this?", &["A dog.", "A cat."], &[7]));
    assert_ne!(first.preference, second.preference);
    assert_eq!(Fingerprint { preference: first.preference, ..second }, first);
}

#[test]
fn prompt_pictures_and_answers_each_make_another_record() {
    let plain = record("What is this?", &["A cat.", "A dog."], &[7]);
    let question = record("What is that?", &["A cat.", "A dog."], &[7]);
    let picture = record("What is this?", &["A cat.", "A dog."], &[8]);
    let answer = record("What is this?", &["A cat.", "A cow."], &[7]);
    let more = record("What is this?", &["A cat.", "A dog.", "A dog."], &[7]);
    let plain = of(&plain);
    for other in [&question, &picture] {
        assert_ne!(of(other).exact, plain.exact);
        assert_ne!(of(other).prompt, plain.prompt);
    }
    for other in [&answer, &more] {
        assert_ne!(of(other).exact, plain.exact);
        assert_eq!(of(other).prompt, plain.prompt);
    }
}

#[test]
fn texts_do_not_flow_from_one_message_into_the_next() {
    let mut two = record("one", &["a", "b"], &[]);
    two.comparison.prompt.push(message("user", vec![Part::Text("two".to_owned())]));
    let mut other = record("one two", &["a", "b"], &[]);
    other.comparison.prompt.push(message("user", vec![Part::Text(String::new())]));
    assert_ne!(of(&two).prompt, of(&other).prompt);
}

#[test]
fn the_place_of_a_picture_in_its_message_makes_no_difference() {
    let before = record("What is this?", &["A cat.", "A dog."], &[7]);
    let mut after = before.clone();
    after.comparison.prompt[0].content.reverse();
    assert_eq!(of(&before), of(&after));
}

#[test]
fn records_that_share_four_of_five_shingles_share_a_band() {
    let num_twos = 2_000;
    let mut num_missed = 0;
    for seed in 0..num_twos {
        // 200 words with 7 changed ones apart from each other: 179 shingles of 221 are common.
        let original = text(seed, 200);
        let mut words: Vec<String> = original.split(' ').map(str::to_owned).collect();
        for changed in 0..7 {
            words[changed * 25 + 10] = format!("changed{changed}");
        }
        let first = of(&record(&original, &["yes", "no"], &[])).bands.unwrap();
        let second = of(&record(&words.join(" "), &["yes", "no"], &[])).bands.unwrap();
        num_missed += usize::from(!first.iter().zip(&second).any(|(a, b)| a == b));
    }
    assert!(num_missed * 200 <= num_twos as usize, "{num_missed} of {num_twos} missed");
}

#[test]
fn records_that_share_nothing_share_no_band() {
    let bands = |seed| of(&record(&text(seed, 200), &["yes", "no"], &[])).bands.unwrap();
    let shared = (0..500).filter(|seed| {
        bands(*seed).iter().zip(&bands(seed + 10_000)).any(|(first, second)| first == second)
    });
    assert_eq!(shared.count(), 0);
}
