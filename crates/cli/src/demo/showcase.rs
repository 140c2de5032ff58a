//! One picture that the model has never seen, with a question and four answers: the last visible step of the demo.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use engine::Device;
use prompt::{Encoded, ImageSource, Row};

use super::world::{Example, Kind};
use crate::loaded::{Limits, Loaded};

/// The picture's file in the demo's folder.
pub(super) const PICTURE: &str = "picture.png";
/// Number of the picture; any will do.
const NUMBER: usize = 0;

/// Draws the picture, scores answers to its questions with the written model, and says what came out.
pub(super) fn show(seed: u64, out: &Path, model: &Path, device: &Device) -> anyhow::Result<String> {
    let example = Example::showcase(seed, NUMBER);
    let file = out.join(PICTURE);
    example.picture.save(&file).with_context(|| format!("cannot write `{}`", file.display()))?;
    let loaded = Loaded::open(model, device, None, Limits::default())?;
    let mut text = format!("\nA picture it has not seen: {}\n", file.display());
    for kind in [Kind::Color, Kind::Counting] {
        let Some(question) = example.question(kind) else { continue };
        let responses: Vec<String> =
            question.answers.iter().map(|answer| answer.text.clone()).collect();
        let row =
            Row::new("demo", vec![ImageSource::Path(file.clone())], &question.prompt, responses);
        let encoded = loaded.processor.encode_all(&row.conversations()?)?;
        let rewards = loaded.model.score(&encoded.iter().collect::<Vec<&Encoded>>())?;
        let mut order: Vec<usize> = (0..rewards.len()).collect();
        order.sort_by(|&a, &b| rewards[b].total_cmp(&rewards[a]));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n  {}", question.prompt);
        for index in order {
            let answer = &question.answers[index];
            let mark = if answer.fault.is_none() { "  (right)" } else { "" };
            let _ = writeln!(text, "  {:>8.3}  {}{mark}", rewards[index], answer.text);
        }
    }
    Ok(text)
}
