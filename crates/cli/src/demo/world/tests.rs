//! The promise of the world: text alone tells nothing about which answer is right, and every picture is new.

use std::collections::BTreeMap;

use super::{Example, Kind, Part, Question, lessons, questions, scene::Scene, stream};

const NUM_SCENES: usize = 30_000;

/// Questions without their pictures, which would take long to draw.
fn all_questions() -> impl Iterator<Item = Question> {
    (0..NUM_SCENES).flat_map(|number| {
        let mut random = stream(21, Part::Train, number);
        let task = lessons::final_task(&mut random);
        let scene = Scene::random(task.composition, &mut random);
        questions::about(&scene, &mut random)
    })
}

/// What is left of an answer without its wording.
fn said(text: &str) -> &str {
    text.trim_start_matches("It is ").trim_start_matches("I count ").trim_end_matches('.')
}

/// Deviations between a count and what it should be when every one of `total` tries hits with `probability`.
fn deviations(hits: usize, total: usize, probability: f64) -> f64 {
    let expected = total as f64 * probability;
    (hits as f64 - expected).abs() / (expected * (1.0 - probability)).sqrt()
}

#[test]
fn the_text_of_a_question_tells_nothing_about_its_answer() {
    // How often a text is offered as an answer to a question, how often it is right, and among how many answers.
    let mut counts: BTreeMap<(String, String), (usize, usize, usize)> = BTreeMap::new();
    for question in all_questions() {
        for answer in &question.answers {
            let key = (question.prompt.clone(), answer.text.clone());
            let entry = counts.entry(key).or_insert((0, 0, question.answers.len()));
            entry.0 += 1;
            entry.1 += usize::from(answer.fault.is_none());
        }
    }
    assert!(counts.len() > 300, "{} pairs of question and answer", counts.len());
    for (key, (offered, right, num_answers)) in counts {
        let deviations = deviations(right, offered, 1.0 / num_answers as f64);
        assert!(deviations < 5.0, "{key:?}: right {right} times of {offered}");
    }
}

#[test]
fn right_and_wrong_trade_places_equally_often() {
    // A rule that scores texts is right in exactly half of the pairs only if each pair of texts occurs both ways.
    let mut pairs: BTreeMap<(Kind, String, String), usize> = BTreeMap::new();
    for question in all_questions() {
        let (right, wrong): (Vec<_>, Vec<_>) =
            question.answers.iter().partition(|answer| answer.fault.is_none());
        for wrong in wrong {
            let key =
                (question.kind, said(&right[0].text).to_owned(), said(&wrong.text).to_owned());
            *pairs.entry(key).or_default() += 1;
        }
    }
    for ((kind, right, wrong), count) in &pairs {
        let swapped = pairs.get(&(*kind, wrong.clone(), right.clone())).copied().unwrap_or(0);
        let deviations = deviations(*count, count + swapped, 0.5);
        assert!(deviations < 5.0, "{kind:?} {right} over {wrong}: {count} and {swapped}");
    }
}

#[test]
fn the_longer_answer_is_as_often_right_as_wrong() {
    let (mut longer, mut unequal) = (0, 0);
    for question in all_questions() {
        let right = question.answers.iter().find(|answer| answer.fault.is_none());
        let right = right.expect("every question has a right answer").text.len();
        for answer in question.answers.iter().filter(|answer| answer.text.len() != right) {
            unequal += 1;
            longer += usize::from(right > answer.text.len());
        }
    }
    // Pairs of one question are not independent, hence the factor.
    assert!(deviations(longer, unequal, 0.5) < 5.0 * 3.0_f64.sqrt(), "{longer} of {unequal}");
}

#[test]
fn the_place_of_an_answer_tells_nothing() {
    let mut places = [0_usize; 4];
    for question in all_questions().filter(|question| question.answers.len() == 4) {
        let place = question.answers.iter().position(|answer| answer.fault.is_none());
        places[place.expect("every question has a right answer")] += 1;
    }
    let total = places.iter().sum();
    assert!(places.iter().all(|hits| deviations(*hits, total, 0.25) < 5.0), "{places:?}");
}

#[test]
fn every_kind_and_every_fault_occurs_often() {
    let (mut kinds, mut faults) = (BTreeMap::new(), BTreeMap::new());
    for question in all_questions() {
        *kinds.entry(question.kind).or_insert(0_usize) += 1;
        for fault in question.answers.iter().filter_map(|answer| answer.fault) {
            *faults.entry(fault).or_insert(0_usize) += 1;
        }
    }
    assert_eq!(kinds.len(), Kind::ALL.len(), "{kinds:?}");
    assert!(kinds.values().all(|count| *count > NUM_SCENES / 2), "{kinds:?}");
    assert_eq!(faults.len(), 9, "{faults:?}");
    assert!(faults.values().all(|count| *count > NUM_SCENES / 10), "{faults:?}");
}

#[test]
fn the_same_question_has_different_answers_over_different_pictures() {
    let first = Example::showcase(1, 0);
    let text = |example: &Example| {
        let question = example.question(Kind::Digit).expect("a full scene has a digit");
        let right = question.answers.iter().find(|answer| answer.fault.is_none());
        said(&right.expect("every question has a right answer").text).to_owned()
    };
    assert!((1..50).any(|number| text(&Example::showcase(1, number)) != text(&first)));
}

#[test]
fn a_showcase_has_a_question_of_every_kind() {
    for number in 0..50 {
        let example = Example::showcase(9, number);
        assert!(Kind::ALL.iter().all(|kind| example.question(*kind).is_some()));
    }
}
