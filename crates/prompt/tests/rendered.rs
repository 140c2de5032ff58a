//! Rendered text is read back into the messages it was rendered from, and any other text is told apart.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use prompt::{Processor, ProcessorOptions, Row, TemplateMismatch, WrittenResponse, WrittenRow};
use serde_json::Value;
use std::path::Path;
use support::{goldens, vision};

const GOOD: &str = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHello!<|im_end|>\n\
                    <|im_start|>assistant\nHi.<|im_end|>\n";

fn processor() -> Processor {
    Processor::load(&goldens().join("processor"), vision(), ProcessorOptions::default()).unwrap()
}

/// The conversation that a text stands for, written again.
fn again(processor: &Processor, text: &str) -> String {
    let mut messages = processor.read_rendered(text).unwrap().messages;
    let response = messages.pop().unwrap();
    let places = text.matches("<|image_pad|>").count();
    let row = WrittenRow {
        id: None,
        images: vec!["picture.png".to_owned(); places],
        videos: Vec::new(),
        prompt: None,
        messages: Some(messages),
        responses: vec![WrittenResponse::Message(response)],
    };
    let row = Row::from_written("row", row, Path::new(""));
    processor.render(&row.conversations().unwrap()[0]).unwrap()
}

fn fault(text: &str) -> TemplateMismatch {
    processor().read_rendered(text).unwrap_err()
}

#[test]
fn every_golden_text_without_a_video_is_read_back() {
    let processor = processor();
    let text = std::fs::read_to_string(goldens().join("conversations.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let texts: Vec<&str> = golden["cases"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|case| case["expected"].as_array().unwrap())
        .map(|expected| expected["text"].as_str().unwrap())
        .filter(|text| !text.contains("<|video_pad|>"))
        .collect();
    assert!(texts.len() > 3, "{golden}");
    for text in texts {
        assert_eq!(again(&processor, text), text);
    }
}

#[test]
fn a_mark_of_files_is_plain_text_in_rendered_text() {
    let text = GOOD.replace("Hello!", "What does <image> mean?");
    assert_eq!(again(&processor(), &text), text);
}

#[test]
fn a_run_of_placeholders_is_one_picture() {
    let place = |count: usize| {
        let run = "<|image_pad|>".repeat(count);
        GOOD.replace("Hello!", &format!("<|vision_start|>{run}<|vision_end|>Hello!"))
    };
    let messages = processor().read_rendered(&place(6)).unwrap();
    assert_eq!(messages, processor().read_rendered(&place(1)).unwrap());
}

#[test]
fn white_space_after_the_last_turn_makes_no_difference() {
    let messages = processor().read_rendered(GOOD).unwrap();
    assert_eq!(messages, processor().read_rendered(GOOD.trim_end()).unwrap());
}

#[test]
fn an_answer_that_was_cut_is_closed_and_nothing_else_is() {
    let processor = processor();
    let whole = processor.read_rendered(GOOD).unwrap();
    assert!(!whole.is_cut);
    let cut = processor.read_rendered(&GOOD[..GOOD.rfind("<|im_end|>").unwrap()]).unwrap();
    assert_eq!((&cut.messages, cut.is_cut), (&whole.messages, true));
    let spaced = GOOD.replace("Hi.<|im_end|>\n", "Hi. \n");
    let closed = GOOD.replace("Hi.<|im_end|>\n", "Hi. \n<|im_end|>\n");
    assert_eq!(again(&processor, &spaced), closed);
    for (end, turn) in [("Hello!", 1), ("<|im_start|>user\n", 1), ("helpful", 0)] {
        let text = &GOOD[..GOOD.find(end).unwrap() + end.len()];
        assert!(
            matches!(fault(text), TemplateMismatch::Open { turn: found, .. } if found == turn),
            "{text}"
        );
    }
    let marked = &GOOD[..GOOD.find("assistant\n").unwrap() + "assistant".len()];
    assert!(matches!(fault(marked), TemplateMismatch::NoRole { turn: 2 }));
    let earlier = GOOD.replace("Hello!<|im_end|>\n", "Hello!\n");
    assert!(matches!(fault(&earlier), TemplateMismatch::Open { turn: 1, .. }));
}

#[test]
fn a_text_that_the_template_does_not_write_is_told_apart() {
    assert!(matches!(fault("Hello!"), TemplateMismatch::NoTurn));
    assert!(matches!(fault("<|im_start|>user"), TemplateMismatch::NoRole { turn: 0 }));
    let question = &GOOD[..GOOD.find("<|im_start|>assistant").unwrap()];
    assert!(matches!(fault(question), TemplateMismatch::Refused(_)));
    let special = GOOD.replace("Hi.", "Hi.<|vision_pad|>");
    assert!(matches!(fault(&special), TemplateMismatch::Refused(_)));
    for (text, character) in [
        // The template writes its system turn when there is none.
        (&GOOD[GOOD.find("<|im_start|>user").unwrap()..], 12),
        (&*format!("x{GOOD}"), 0),
        (
            &*GOOD.replace("Hello!<|im_end|>\n", "Hello!<|im_end|>"),
            GOOD.find("Hello!").unwrap() + 16,
        ),
        (&*format!("{GOOD}<|endoftext|>"), GOOD.trim_end().len()),
    ] {
        match fault(text) {
            TemplateMismatch::Differs { character: found, .. } => {
                assert_eq!(found, character, "{text}");
            }
            other => panic!("{text}: {other}"),
        }
    }
}

#[test]
fn a_difference_is_shown_on_both_sides() {
    let text = &GOOD[GOOD.find("<|im_start|>user").unwrap()..];
    assert_eq!(
        fault(text).to_string(),
        "the text differs from what the model's chat template renders of its messages at character 12 (counted from 0): \
         `user\\nHello!<|im_end|>\\n<|` where the template has `system\\nYou are a helpful`; render with the template of this model"
    );
}
