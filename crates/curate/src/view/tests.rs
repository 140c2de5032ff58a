//! The page shows every record, and nothing of the data can run on it.

use std::collections::BTreeSet;

use data::{Comparison, Preference};
use prompt::{ImageSource, Message, Part};

use super::*;
use crate::manifest::tests::example;

const HOSTILE: &str = "</p><script>alert(1)</script><img src=x onerror=alert(2)>\"'&";

fn message(role: &str, content: Vec<Part>) -> Message {
    Message { role: role.to_owned(), content }
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn row(id: &str, prompt: Vec<Part>, answers: &[&str], ranks: &[u32]) -> ViewRow {
    let answer = |text: &&str| vec![message("assistant", vec![Part::Text((*text).to_owned())])];
    let preference =
        Preference { ranks: ranks.to_vec(), scores: None, margin: Some(0.25), soft_label: None };
    ViewRow {
        source: "pictures".to_owned(),
        id: Some(id.to_owned()),
        origin: "one.parquet, row 3".to_owned(),
        comparison: Some(Comparison {
            id: id.to_owned(),
            source: "pictures".to_owned(),
            prompt: vec![message("user", prompt)],
            responses: answers.iter().map(answer).collect(),
            preference,
        }),
        columns: RowColumns::default(),
        left: None,
    }
}

fn left(stage: Stage, reason: &str, detail: &str) -> ViewReason {
    ViewReason { stage, reason: reason.to_owned(), detail: Some(detail.to_owned()) }
}

#[test]
fn every_record_is_a_card_with_its_outcome_and_its_answers_from_the_best_on() {
    let turned = ViewRow {
        columns: RowColumns { flipped: true, ..RowColumns::default() },
        ..row("second", vec![text("Which?")], &["worst", "best", "middle"], &[2, 0, 1])
    };
    let unread = ViewRow {
        id: None,
        comparison: None,
        left: Some(left(Stage::Read, "not valid JSON", "column 3")),
        ..row("", vec![], &[], &[])
    };
    let first = row("first", vec![text("Which?")], &["a", "b"], &[1, 0]);
    let page = page(&example(), &[first, turned], &[unread]);
    let text = testkit::page::text_of(&page.replace("<!DOCTYPE html>\n", "<!DOCTYPE html>"));
    assert_eq!(page.matches("<article").count(), 3);
    let best = ["place 1", "place 2", "place 3"].map(|place| text.find(place).unwrap());
    assert!(best.is_sorted() && text.find("best").unwrap() < text.find("worst").unwrap());
    assert!(text.contains("label turned") && text.contains("margin 0.250"), "{text}");
    assert!(text.contains("reading: not valid JSON (1)") && text.contains("column 3"), "{text}");
    assert!(text.contains("Row that cannot be read"));
}

#[test]
fn hostile_texts_stay_texts() {
    let picture = ImageSource::Bytes { label: HOSTILE.to_owned(), bytes: vec![0] };
    let prompt = vec![text(HOSTILE), Part::Image(std::sync::Arc::new(picture))];
    let hostile = ViewRow {
        source: HOSTILE.to_owned(),
        origin: HOSTILE.to_owned(),
        left: Some(left(Stage::Filter, HOSTILE, HOSTILE)),
        ..row(HOSTILE, prompt, &[HOSTILE, "b"], &[0, 1])
    };
    let page = page(&example(), &[], &[hostile]);
    assert_eq!(page.matches("<script").count(), 1, "only the script of the page");
    assert!(!page.contains("<img") && page.contains("&lt;img src=x onerror=alert(2)&gt;"));
    let own = BEHAVIOR.script;
    testkit::page::assert_inert(&page.replace(&format!("<script>{own}</script>"), ""));
}

#[test]
fn the_script_finds_every_element_that_it_asks_for() {
    let page = page(&example(), &[], &[]);
    let asked: BTreeSet<&str> = BEHAVIOR
        .script
        .split("find(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .chain(["source", "state", "pictures", "flipped"])
        .collect();
    assert!(asked.len() > 6, "{asked:?}");
    for id in asked {
        assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
    }
}

#[test]
fn a_record_says_to_the_filters_what_it_is() {
    let picture = ImageSource::Bytes { label: "broken".to_owned(), bytes: vec![0] };
    let prompt = vec![Part::Image(std::sync::Arc::new(picture))];
    let kept = row("1", prompt, &["a", "b"], &[0, 1]);
    let turned = ViewRow {
        columns: RowColumns { flipped: true, ..RowColumns::default() },
        left: Some(left(Stage::Duplicates, "exact", "of 1")),
        ..row("2", vec![text("?")], &["a", "b"], &[0, 1])
    };
    let page = page(&example(), &[kept], &[turned]);
    let attributes = |state: &str, pictures: &str, flipped: &str| {
        format!(
            "data-source=\"pictures\" data-state=\"{state}\" data-pictures=\"{pictures}\" data-flipped=\"{flipped}\""
        )
    };
    assert!(page.contains(&attributes("kept", "yes", "no")), "{page}");
    assert!(page.contains(&attributes("duplicates: exact", "no", "yes")), "{page}");
    assert!(page.contains("<option value=\"duplicates: exact\">duplicates: exact (1)</option>"));
}
