//! One item from the command line.

use anyhow::bail;
use prompt::{Encoded, ImageSource, Row};
use std::fmt::Write;

use super::Args;
use super::record::{Record, Scored};
use crate::output::{Outcome, print};

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Some(prompt) = &args.prompt else { bail!("--prompt is missing; it is the question") };
    if args.response.is_empty() {
        bail!("--response is missing; give it once for each answer to score");
    }
    let images = args.image.iter().cloned().map(ImageSource::Path).collect();
    let row = Row::new("item", images, prompt, args.response.clone());
    let conversations = row.conversations()?;
    let loaded = super::load(args)?;
    let encoded = loaded.processor.encode_all(&conversations)?;
    let scores = loaded.model.score(&encoded.iter().collect::<Vec<_>>())?;
    let record = Scored::new("item".to_owned(), scores, &encoded);
    let text =
        if args.json { Record::Scored(record).line() } else { table(&record, &args.response, &encoded) };
    print(&text)?;
    Ok(Outcome::Fine)
}

/// A line for each response, in the order given.
fn table(record: &Scored, responses: &[String], conversations: &[Encoded]) -> String {
    let best = record.scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut text = String::from("       reward  tokens  response\n");
    for ((score, conversation), response) in record.scores.iter().zip(conversations).zip(responses) {
        let mark = if *score >= best && responses.len() > 1 { '*' } else { ' ' };
        let line = response.replace('\n', " ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{mark} {score:>11}  {:>6}  {line}", conversation.len());
    }
    text
}
