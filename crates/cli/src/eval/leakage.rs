//! What the benchmark shares with the data that the model was trained on, as sentences.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context;
use data::{Comparison, Dataset, DatasetOptions};
use eval::evaluation::Note;
use eval::leakage::{Shared, shared_images, shared_prompts};
use eval::rows::{BenchmarkRows, pictures};
use prompt::{Message, Part};

/// Rows that a sentence names.
const LISTED_ROWS: usize = 5;

/// A sentence on pictures and one on prompts.
pub(super) fn notes(rows: &BenchmarkRows, training: &[PathBuf]) -> anyhow::Result<Vec<Note>> {
    let training = Dataset::open(training, &DatasetOptions::default())
        .context("cannot read the training data")?;
    let items = || rows.scan().flatten();
    let trained = || training.rows().flatten();
    let images = shared_images(
        items().flat_map(|item| {
            let images = pictures(&item);
            images.into_iter().map(move |image| (item.comparison.id.clone(), (*image).clone()))
        }),
        trained().flat_map(|comparison| {
            let images = images_of(&comparison);
            images.into_iter().map(move |image| (comparison.id.clone(), (*image).clone()))
        }),
    );
    let prompts = shared_prompts(
        items().map(|item| (item.comparison.id.clone(), text_of(&item.comparison.prompt))),
        trained().map(|comparison| (comparison.id.clone(), text_of(&comparison.prompt))),
    );
    let mut notes = vec![
        note("picture", &images.shared, rows.len(), "byte for byte"),
        note("prompt", &prompts, rows.len(), "word for word"),
    ];
    if !images.unreadable.is_empty() {
        let count = images.unreadable.len();
        let first = &images.unreadable[0];
        notes.push(Note {
            is_warning: true,
            text: format!(
                "{count} pictures could not be read, so that nobody knows whether they are shared; the first: `{}` of `{}` ({}).",
                first.image, first.name, first.cause
            ),
        });
    }
    Ok(notes)
}

fn note(what: &str, shared: &[Shared], num_rows: usize, how: &str) -> Note {
    let ids: BTreeSet<&str> =
        shared.iter().flat_map(|one| &one.benchmark).map(String::as_str).collect();
    if ids.is_empty() {
        let text = format!("The training data have no {what} of the benchmark, compared {how}.");
        return Note { is_warning: false, text };
    }
    let count = ids.len();
    let listed: Vec<String> =
        ids.iter().take(LISTED_ROWS).map(|id| format!("`{id}`")).collect();
    let more = if count > LISTED_ROWS { ", …" } else { "" };
    let text = format!(
        "The training data have the {what} of {count} of {num_rows} rows, {how}: {}{more}.",
        listed.join(", ")
    );
    Note { is_warning: true, text }
}

fn images_of(comparison: &Comparison) -> Vec<std::sync::Arc<prompt::ImageSource>> {
    let messages = comparison.prompt.iter().chain(comparison.responses.iter().flatten());
    messages
        .flat_map(|message| &message.content)
        .filter_map(|part| match part {
            Part::Image(image) => Some(image.clone()),
            Part::Text(_) | Part::Video(_) => None,
        })
        .collect()
}

fn text_of(messages: &[Message]) -> String {
    let parts = messages.iter().flat_map(|message| &message.content);
    let texts = parts.filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::Image(_) | Part::Video(_) => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}
