//! R1-Reward-RL: questions about pictures with two answers inside the prompt of a judge, and which answer is better.
//!
//! # Source
//! The data card of `yifanzhang114/R1-Reward-RL` and the README of R1-Reward: `question, message, answer, image`; `message` is a chat in JSON, of
//! which one text holds `[Question]:`, `[Response 1]:` and `[Response 2]:` below headings of `#`; `answer` is `["<answer>1</answer>"]` or `2`;
//! `image` is base64. The paths in `message` are those of its authors' machine and serve only where `image` is absent.

use std::path::Path;
use std::sync::Arc;

use prompt::ImageSource;

use super::pictured::{cut_at, pictured, unpacked};
use super::{Reading, Source, plain_files};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{list, required, text};
use crate::formats::Parsed;
use crate::pictures::{listed, picture};
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "r1-reward",
    title: "R1-Reward-RL",
    home: "yifanzhang114/R1-Reward-RL",
    license: "not stated (its model: Apache-2.0)",
    about: "Question and both answers are taken out of the prompt in `message`; `answer` says which one is better.",
    id_key: Some("id"),
    recognizes: |row| row.has(&["question", "message", "answer"]),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    let chat = Chat::of(&unpacked(required(row, "message")?, "message")?, image_dir)?;
    let [question, first, second] = taken_apart(&chat.text)?;
    let preference = preference(required(row, "answer")?)?;
    let images = if row.has(&["image"]) { listed(row, image_dir)? } else { chat.images };
    let response = |key: &str, text: &str| (key.to_owned(), text.to_owned());
    let responses =
        vec![response("message, response 1", first), response("message, response 2", second)];
    pictured("message", question.to_owned(), responses, images, preference)
}

/// What is said in all messages, and the pictures that it names.
#[derive(Default)]
struct Chat {
    text: String,
    images: Vec<Arc<ImageSource>>,
}

impl Chat {
    fn of(messages: &Value, image_dir: &Path) -> Result<Self, RowFault> {
        let mut chat = Self::default();
        for (index, message) in list(messages, "message")?.iter().enumerate() {
            let key = format!("message[{index}].content");
            match message.get("content").unwrap_or(&Value::Null) {
                Value::Text(text) => chat.text.push_str(text),
                parts => {
                    for (index, part) in list(parts, &key)?.iter().enumerate() {
                        chat.add(part, &format!("{key}[{index}]"), image_dir)?;
                    }
                }
            }
        }
        Ok(chat)
    }

    fn add(&mut self, part: &Value, key: &str, image_dir: &Path) -> Result<(), RowFault> {
        let at = |name: &'static str| {
            let value = part.get(name);
            value.ok_or_else(|| RowFault::Missing { key: format!("{key}.{name}") })
        };
        let type_key = format!("{key}.type");
        match text(at("type")?, &type_key)? {
            "text" => self.text.push_str(text(at("text")?, &format!("{key}.text"))?),
            "image" => {
                let image_key = format!("{key}.image");
                self.images.push(picture(at("image")?, &image_key, image_dir)?);
            }
            "video" => return Err(RowFault::OtherMedia { key: format!("{key}.video") }),
            other => return Err(RowFault::PartType { key: type_key, kind: other.to_owned() }),
        }
        Ok(())
    }
}

/// The question and both responses.
fn taken_apart(prompt: &str) -> Result<[&str; 3], RowFault> {
    let missing = |part| RowFault::PartNotFound { key: "message", part };
    let (_, rest) = at_heading(prompt, "[Question]:").ok_or_else(|| missing("question"))?;
    let (question, rest) =
        at_heading(rest, "[Response 1]:").ok_or_else(|| missing("first response"))?;
    let (first, rest) =
        at_heading(rest, "[Response 2]:").ok_or_else(|| missing("second response"))?;
    let second = at_heading(rest, "**Output Format").map_or(rest, |(second, _)| second);
    Ok([question, first, second].map(str::trim))
}

/// The texts before a heading and after its label.
fn at_heading<'a>(text: &'a str, label: &str) -> Option<(&'a str, &'a str)> {
    let (before, after) =
        cut_at(text, label, |before| before.trim_end_matches(' ').ends_with('#'))?;
    Some((before.trim_end_matches([' ', '#']), after))
}

fn preference(answer: &Value) -> Result<Preference, RowFault> {
    let (answer, key) = match answer {
        Value::List(answers) if answers.len() == 1 => (&answers[0], "answer[0]"),
        other => (other, "answer"),
    };
    let answer = text(answer, key)?;
    match answer.trim() {
        "<answer>1</answer>" => Ok(Preference::first_of_two()),
        "<answer>2</answer>" => Ok(Preference::second_of_two()),
        other => {
            let expected = "`<answer>1</answer>` or `<answer>2</answer>`";
            Err(RowFault::Choice { key: "answer", found: other.into(), expected })
        }
    }
}
