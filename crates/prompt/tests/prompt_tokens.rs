//! Where an encoded conversation says that its answer begins.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use prompt::{Conversation, Encoded, Message, Part, Processor, ProcessorOptions};
use support::{goldens, vision};

fn encode(turns: &[&str]) -> Encoded {
    let processor =
        Processor::load(&goldens().join("processor"), vision(), ProcessorOptions::default());
    let roles = ["user", "assistant"].into_iter().cycle();
    let message = |(role, text): (&str, &&str)| Message {
        role: role.to_owned(),
        content: vec![Part::Text((*text).to_owned())],
    };
    let messages = roles.zip(turns).map(message).collect();
    processor.unwrap().encode(&Conversation { messages }).unwrap()
}

#[test]
fn the_prompt_is_what_answers_to_a_question_have_in_common() {
    let question = "Is there a cat on the mat?";
    let (yes, no) = (encode(&[question, "Yes."]), encode(&[question, "No, a dog."]));
    let equal = yes.token_ids.iter().zip(&no.token_ids).take_while(|(a, b)| a == b).count();
    assert_eq!((yes.prompt_tokens, no.prompt_tokens), (equal, equal));
    assert!(yes.prompt_tokens < yes.end_of_turn);
}

#[test]
fn an_earlier_answer_belongs_to_the_prompt() {
    let first = encode(&["Is there a cat?", "Yes."]);
    let second = encode(&["Is there a cat?", "Yes.", "Where?", "On the mat."]);
    assert!(second.prompt_tokens > first.len());
    let again = encode(&["Is there a cat?", "Yes.", "Where?", "Here."]);
    assert_eq!(again.prompt_tokens, second.prompt_tokens);
    assert_eq!(again.token_ids[..again.prompt_tokens], second.token_ids[..second.prompt_tokens]);
}

#[test]
fn an_answer_that_begins_with_a_line_break_or_is_empty_does_not_move_the_prompt_behind_its_end() {
    let plain = encode(&["Why?", "Because."]);
    let broken = encode(&["Why?", "\n\nBecause."]);
    let shared = broken.prompt_tokens;
    assert!(shared <= plain.prompt_tokens);
    assert_eq!(broken.token_ids[..shared], plain.token_ids[..shared]);
    let empty = encode(&["Why?", ""]);
    assert!(empty.prompt_tokens <= empty.end_of_turn);
}
