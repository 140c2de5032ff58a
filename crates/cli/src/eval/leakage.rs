//! What the benchmark shares with the data that the model was trained on, as sentences.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context;
use curate::manifest::Manifest;
use data::{Dataset, DatasetOptions, RowError};
use eval::evaluation::Note;
use eval::leakage::{Shared, shared_images, shared_prompts};
use eval::rows::BenchmarkRows;
use prompt::{Message, Part, pictures};

/// Rows that a sentence names.
const LISTED_ROWS: usize = 5;

/// Data files and folders, with the shards of curated sets in their places.
fn data_of(training: &[PathBuf]) -> Vec<PathBuf> {
    let of_one = |path: &PathBuf| match Manifest::read(path) {
        Ok(manifest) => manifest.all_shards(path),
        Err(_) => vec![path.clone()],
    };
    training.iter().flat_map(of_one).collect()
}

/// What was found in both.
pub(super) struct Found {
    /// A sentence on pictures and one on prompts, and one on whatever could not be read.
    pub(super) notes: Vec<Note>,
    /// Whether a picture is in both, byte for byte.
    pub(super) shares_pictures: bool,
}

/// Compares the benchmark with the training data.
pub(super) fn find(rows: &BenchmarkRows, training: &[PathBuf]) -> anyhow::Result<Found> {
    let training = Dataset::open(&data_of(training), &DatasetOptions::default())
        .context("cannot read the training data")?;
    // Rows that cannot be read are counted when the prompts are read.
    let images = shared_images(
        rows.scan().filter_map(Result::ok).flat_map(|item| {
            let images: Vec<_> = pictures(&item.comparison.prompt).cloned().collect();
            images.into_iter().map(move |image| (item.comparison.id.clone(), image))
        }),
        training.rows().filter_map(Result::ok).flat_map(|comparison| {
            let responses = comparison.responses.iter().flatten();
            let images: Vec<_> =
                pictures(comparison.prompt.iter().chain(responses)).cloned().collect();
            images.into_iter().map(move |image| (comparison.id.clone(), image))
        }),
    );
    let (mut unread, mut untrained) = (Unread::default(), Unread::default());
    let prompts = shared_prompts(
        rows.scan()
            .filter_map(|item| unread.read(item))
            .map(|item| (item.comparison.id, text_of(&item.comparison.prompt))),
        training
            .rows()
            .filter_map(|row| untrained.read(row))
            .map(|comparison| (comparison.id, text_of(&comparison.prompt))),
    );
    let mut notes = vec![
        note("picture", &images.shared, rows.len(), "byte for byte"),
        note("prompt", &prompts, rows.len(), "word for word"),
    ];
    notes.extend(unread.note("benchmark", rows.len()));
    notes.extend(untrained.note("training data", training.len()));
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
    Ok(Found { notes, shares_pictures: !images.shared.is_empty() })
}

/// Rows of one side that could not be read.
#[derive(Default)]
struct Unread {
    count: usize,
    /// What is wrong with the first.
    first: String,
}

impl Unread {
    fn read<T>(&mut self, row: Result<T, RowError>) -> Option<T> {
        row.inspect_err(|error| {
            if self.count == 0 {
                self.first = error.to_string();
            }
            self.count += 1;
        })
        .ok()
    }

    fn note(self, side: &str, num_rows: usize) -> Option<Note> {
        let Self { count, first } = self;
        let text = format!(
            "{count} of {num_rows} rows of the {side} could not be read, so that nobody knows what they share; the first: {first}."
        );
        (count > 0).then_some(Note { is_warning: true, text })
    }
}

fn note(what: &str, shared: &[Shared], num_rows: usize, how: &str) -> Note {
    let ids: BTreeSet<&str> =
        shared.iter().flat_map(|one| &one.benchmark).map(String::as_str).collect();
    if ids.is_empty() {
        let text = format!("The training data have no {what} of the benchmark, compared {how}.");
        return Note { is_warning: false, text };
    }
    let count = ids.len();
    let listed: Vec<String> = ids.iter().take(LISTED_ROWS).map(|id| format!("`{id}`")).collect();
    let more = if count > LISTED_ROWS { ", …" } else { "" };
    let text = format!(
        "The training data have the {what} of {count} of {num_rows} rows, {how}: {}{more}.",
        listed.join(", ")
    );
    Note { is_warning: true, text }
}

fn text_of(messages: &[Message]) -> String {
    let parts = messages.iter().flat_map(|message| &message.content);
    let texts = parts.filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::Image(_) | Part::Video(_) => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}
