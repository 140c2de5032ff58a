//! LLaVA-Critic, pairwise: two answers about a picture inside the question to a judge, whose verdict is the answer.
//!
//! # Source
//! The data card of `lmms-lab/LLaVA-Critic-113k`: `id, source, image {bytes, path}, conversations [human, gpt]`. The human turn holds the question
//! and the answers in one of three layouts: within brackets after labels (verdict: `The better response: [first]`, or words that both are equally
//! good), between marks of an arena (`[[A>B]]`), or between those of LLaVA-Bench (two scores in the first line).

use std::path::Path;

use super::pictured::{cut_at, pictured};
use super::{Reading, Source, plain_files};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{list, required, text};
use crate::formats::Parsed;
use crate::pictures::listed;
use crate::value::Value;

/// Labels of two bracketed responses.
const BRACKETED: [[&str; 2]; 3] = [
    ["The first response: [", "The second response: ["],
    ["Response 1: [", "Response 2: ["],
    ["Response A: [", "Response B: ["],
];

/// What stands around the question and the responses of an arena: a beginning, and the end of a response with the beginning of the next.
const ARENA: [&str; 5] = [
    "<|User Prompt|>",
    "<|The Start of Assistant A's Answer|>",
    "<|The End of Assistant A's Answer|>",
    "<|The Start of Assistant B's Answer|>",
    "<|The End of Assistant B's Answer|>",
];

/// The same in LLaVA-Bench.
const LLAVA_BENCH: [&str; 5] = [
    "[Question]",
    "[Assistant 1]",
    "[End of Assistant 1]",
    "[Assistant 2]",
    "[End of Assistant 2]",
];

pub(super) static SOURCE: Source = Source {
    name: "llava-critic-pairwise",
    title: "LLaVA-Critic (pairwise)",
    home: "lmms-lab/LLaVA-Critic-113k",
    license: "not stated",
    about: "Question and both answers are taken out of the human turn, the better one out of the judge's; \"equally good\" is a tie.",
    id_key: Some("id"),
    recognizes: |row| {
        let turn = row.get("conversations").and_then(|turns| said_in(turns, 0).ok());
        turn.is_some_and(|turn| Judged::of(turn).is_some())
    },
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    let turns = required(row, "conversations")?;
    let (asked, verdict) = (said_in(turns, 0)?, said_in(turns, 1)?);
    let judged = Judged::of(asked).ok_or(RowFault::PartNotFound {
        key: "conversations[0].value",
        part: "question with two responses",
    })?;
    let preference = judged.layout.preference(verdict)?;
    let [question, first, second] = judged.texts;
    let response = |name: &str, text: &str| {
        (format!("conversations[0].value, {name} response"), text.to_owned())
    };
    let responses = vec![response("first", first), response("second", second)];
    let images = listed(row, image_dir)?;
    pictured("conversations[0].value", question.to_owned(), responses, images, preference)
}

fn said_in(turns: &Value, index: usize) -> Result<&str, RowFault> {
    let key = format!("conversations[{index}].value");
    let turn = list(turns, "conversations")?.get(index);
    let value = turn.and_then(|turn| turn.get("value"));
    text(value.unwrap_or(&Value::Null), &key)
}

/// How a judge is asked and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Bracketed,
    Arena,
    LlavaBench,
}

/// What a judge is asked about: a question and two responses.
struct Judged<'a> {
    layout: Layout,
    texts: [&'a str; 3],
}

impl<'a> Judged<'a> {
    fn of(asked: &'a str) -> Option<Self> {
        let found =
            |layout| move |texts: [&'a str; 3]| Self { layout, texts: texts.map(str::trim) };
        bracketed(asked)
            .map(found(Layout::Bracketed))
            .or_else(|| between(asked, ARENA).map(found(Layout::Arena)))
            .or_else(|| between(asked, LLAVA_BENCH).map(found(Layout::LlavaBench)))
    }
}

fn bracketed(asked: &str) -> Option<[&str; 3]> {
    let (_, rest) = asked.split_once("Question: [")?;
    BRACKETED.iter().find_map(|[first_label, second_label]| {
        let (question, rest) = cut_at(rest, first_label, closes)?;
        let (first, rest) = cut_at(rest, second_label, closes)?;
        let (second, _) = rest.rsplit_once(']')?;
        Some([inside(question), inside(first), second])
    })
}

/// Whether a bracket closes at the end of the last line but the begun one.
fn closes(before: &str) -> bool {
    let line_start = before.trim_end_matches([' ', '\t']);
    line_start.ends_with('\n') && line_start.trim_end().ends_with(']')
}

/// A text without the bracket that closes it.
fn inside(text: &str) -> &str {
    let text = text.trim_end();
    text.strip_suffix(']').unwrap_or(text)
}

fn between<'a>(asked: &'a str, marks: [&str; 5]) -> Option<[&'a str; 3]> {
    let (_, rest) = asked.split_once(marks[0])?;
    let (question, rest) = rest.split_once(marks[1])?;
    let (first, rest) = rest.split_once(marks[2])?;
    let (_, rest) = rest.split_once(marks[3])?;
    let (second, _) = rest.split_once(marks[4])?;
    Some([question, first, second])
}

impl Layout {
    fn preference(self, verdict: &str) -> Result<Preference, RowFault> {
        let (found, part) = match self {
            Self::Bracketed => (better_response(verdict), "better response"),
            Self::Arena => (arena_verdict(verdict), "verdict such as `[[A>B]]`"),
            Self::LlavaBench => (two_scores(verdict), "line of two scores"),
        };
        found.ok_or(RowFault::PartNotFound { key: "conversations[1].value", part })
    }
}

fn better_response(verdict: &str) -> Option<Preference> {
    let Some((_, rest)) = verdict.split_once("The better response: [") else {
        return verdict.contains("equally good").then(Preference::tie_of_two);
    };
    let (named, _) = rest.split_once(']')?;
    match named.trim().to_ascii_lowercase().as_str() {
        "first" | "1" | "a" => Some(Preference::first_of_two()),
        "second" | "2" | "b" => Some(Preference::second_of_two()),
        _ => None,
    }
}

/// The last verdict counts: the judge may quote the others before it.
fn arena_verdict(verdict: &str) -> Option<Preference> {
    let after_brackets = verdict.rsplit("[[");
    after_brackets.filter_map(|rest| rest.split_once("]]")).find_map(|(said, _)| match said {
        "A>B" | "A>>B" => Some(Preference::first_of_two()),
        "B>A" | "B>>A" => Some(Preference::second_of_two()),
        "A=B" => Some(Preference::tie_of_two()),
        _ => None,
    })
}

fn two_scores(verdict: &str) -> Option<Preference> {
    let line = verdict.trim_start().lines().next()?;
    let scores: Vec<f64> =
        line.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    (scores.len() == 2 && scores.iter().all(|score| score.is_finite()))
        .then(|| Preference::by_scores(&scores))
}
