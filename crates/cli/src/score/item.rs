//! One item from the command line.

use anyhow::{Context, anyhow, bail};
use prompt::{Encoded, ImageSource, Row};
use std::fmt::Write;

use super::Args;
use super::record::{Record, Scored, refusal};
use crate::output::{Outcome, print};

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Some(prompt) = &args.prompt else { bail!("--prompt is missing; it is the question") };
    if args.response.is_empty() {
        bail!("--response is missing; give it once for each answer to score");
    }
    let images = args.image.iter().cloned().map(ImageSource::Path).collect();
    let row = Row::new("item", images, prompt, args.response.clone());
    let conversations = row.conversations()?;
    let (loaded, _) = args.options.load(&args.model)?;
    let encoded = loaded.processor.encode_all(&conversations)?;
    let scores = loaded.model.score(&encoded.iter().collect::<Vec<_>>());
    let scores = scores.map_err(|error| anyhow!(refusal(&error)))?;
    let record = Scored::new("item".to_owned(), scores, &encoded);
    let text = if args.json {
        Record::Scored(record).line()
    } else {
        table(&record, &args.response, &encoded)
    };
    print(&text).context("cannot write the scores")?;
    Ok(Outcome::Fine)
}

/// A line for each response, in the order given.
fn table(record: &Scored, responses: &[String], conversations: &[Encoded]) -> String {
    let best = record.scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut text = String::from("       reward  tokens  response\n");
    for ((score, conversation), response) in record.scores.iter().zip(conversations).zip(responses)
    {
        let mark = if *score >= best && responses.len() > 1 { '*' } else { ' ' };
        // Line ends would break the table, and other control characters could move the cursor.
        let line = response.replace(char::is_control, " ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{mark} {score:>11}  {:>6}  {line}", conversation.len());
    }
    text
}
