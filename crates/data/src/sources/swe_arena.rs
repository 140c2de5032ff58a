//! BigCodeArena (once SWE-Arena): conversations of a person with two models about code that could be run, and the person's vote.
//!
//! # Source
//! The data card of `bigcode/bigcodearena-preference-5k`: `feedback {vote_type, …}, models {model_A, model_B}, chat_session_id, instruction,
//! states {model_A {messages [[speaker, text]], roles, …}, model_B}`. The votes are those that the project's own scripts read
//! (`bigcodereward/analyze_elo.py`), which know `vote_left` and `vote_model_A` for the same vote. Logs of what the code did are not read.

use std::path::Path;

use prompt::Draft;

use super::{Reading, Source, plain_files};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{list, required, text};
use crate::formats::{Parsed, whole};
use crate::messages::{literal, role, said};
use crate::value::Value;

const KEYS: [&str; 2] = ["states.model_A.messages", "states.model_B.messages"];

pub(super) static SOURCE: Source = Source {
    name: "swe-arena",
    title: "BigCodeArena preferences",
    home: "bigcode/bigcodearena-preference-5k",
    license: "BigCode OpenRAIL-M",
    about: "Two conversations with the same questions, and a vote; they part after the first question, so that a response may have several turns. Votes for neither are ties.",
    id_key: Some("chat_session_id"),
    recognizes: |row| {
        row.get("feedback").is_some_and(|feedback| feedback.has(&["vote_type"]))
            && row.get("states").is_some_and(|states| states.has(&["model_A", "model_B"]))
    },
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, _image_dir: &Path) -> Result<Parsed, RowFault> {
    let conversations = [conversation(row, KEYS[0])?, conversation(row, KEYS[1])?];
    let preference = vote(text(at(row, "feedback.vote_type")?, "feedback.vote_type")?)?;
    let (prompt, responses) = whole(KEYS, conversations, Vec::new())?;
    Ok(Parsed { prompt, responses, preference })
}

fn vote(vote_type: &str) -> Result<Preference, RowFault> {
    match vote_type {
        "vote_left" | "vote_model_A" => Ok(Preference::first_of_two()),
        "vote_right" | "vote_model_B" => Ok(Preference::second_of_two()),
        "vote_tie" | "vote_both_bad" => Ok(Preference::tie_of_two()),
        other => Err(RowFault::Choice {
            key: "feedback.vote_type",
            found: other.into(),
            expected: "`vote_left`, `vote_right`, `vote_tie` or `vote_both_bad`",
        }),
    }
}

/// Messages as lists of a speaker and a text. Speakers are written in any case.
fn conversation(row: &Value, key: &str) -> Result<Vec<Draft>, RowFault> {
    let read = |(index, message): (usize, &Value)| {
        let key = format!("{key}[{index}]");
        let [speaker, said_text] = list(message, &key)? else {
            let (expected, found) = ("a list of a speaker and a text", "a list of another length");
            return Err(RowFault::Mistyped { key, expected, found });
        };
        let speaker = text(speaker, &format!("{key}[0]"))?.to_lowercase();
        let speaker = role(&speaker, &format!("{key}[0]"))?;
        Ok(said(speaker, text(said_text, &format!("{key}[1]"))?))
    };
    let messages = list(at(row, key)?, key)?.iter().enumerate();
    Ok(literal(messages.map(read).collect::<Result<_, _>>()?))
}

/// The value at a path of keys.
fn at<'a>(row: &'a Value, path: &str) -> Result<&'a Value, RowFault> {
    let inside = |value: &'a Value, key| required(value, key).ok();
    path.split('.').try_fold(row, inside).ok_or_else(|| RowFault::Missing { key: path.to_owned() })
}
