//! A file of rows: encoded ahead, scored in batches by token budget, written in order.

use anyhow::Context;
use model::ScoreError;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

use super::Args;
use super::progress::Progress;
use super::record::{Failed, Record, Scored};
use super::rows::{Prepared, Source};
use super::target::{Settings, Target};
use crate::loaded::Loaded;
use crate::output::Outcome;

/// Rows that wait for the model, encoded.
const ROWS_AHEAD: usize = 16;
/// Rows are scored together until they have this many tokens: enough to fill the products, few enough to write often.
const BATCH_TOKENS: usize = 4096;
/// Failed ids that are listed at the end; all of them are in the output.
const LISTED_IDS: usize = 50;

pub(super) fn run(args: &Args, input: &Path) -> anyhow::Result<Outcome> {
    let name = input.display();
    let source = Source::open(input).with_context(|| format!("cannot read `{name}`"))?;
    let device = args.device.device()?;
    let loaded = super::load(args)?;
    let mut target = open_target(args, &loaded, &device)?;
    let done = std::mem::take(&mut target.done);
    let progress = Progress::new(source.num_rows, done.len() as u64);
    let mut run = Run { loaded: &loaded, target, progress, input: name.to_string(), failed: Vec::new() };
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(ROWS_AHEAD);
        let processor = &loaded.processor;
        let reader = scope.spawn(move || source.send_all(processor, &device, &done, &sender));
        let scored = run.score_all(receiver);
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        read.with_context(|| format!("`{name}`"))?;
        scored
    })?;
    Ok(run.finish())
}

fn open_target(args: &Args, loaded: &Loaded, device: &engine::Device) -> anyhow::Result<Target> {
    let Some(path) = args.output.as_deref().filter(|path| *path != Path::new("-")) else {
        return Ok(Target::stdout());
    };
    let settings = Settings {
        basereward: env!("CARGO_PKG_VERSION").to_owned(),
        model: args.model.display().to_string(),
        fingerprint: loaded.fingerprint.clone(),
        dtype: loaded.dtype.to_string(),
        tier: device.as_cpu().tier().name().to_owned(),
        max_pixels: args.max_pixels,
        max_tokens: args.max_tokens,
    };
    Target::file(path, &settings, args.resume, args.overwrite)
}

/// One pass over the rows.
struct Run<'a> {
    loaded: &'a Loaded,
    target: Target,
    progress: Progress,
    input: String,
    failed: Vec<String>,
}

impl Run<'_> {
    fn score_all(&mut self, rows: Receiver<Prepared>) -> anyhow::Result<()> {
        while let Ok(first) = rows.recv() {
            let mut batch = vec![first];
            let mut tokens = num_tokens(&batch[0]);
            // Whoever is ready comes along; scores do not depend on the company.
            while tokens < BATCH_TOKENS {
                let Ok(next) = rows.try_recv() else { break };
                tokens += num_tokens(&next);
                batch.push(next);
            }
            let count = batch.len() as u64;
            let lines: String = self.score_batch(batch).iter().map(Record::line).collect();
            self.target.write(&lines).context("cannot write the scores")?;
            self.progress.add(count);
        }
        Ok(())
    }

    fn score_batch(&mut self, mut batch: Vec<Prepared>) -> Vec<Record> {
        let scores = loop {
            let conversations: Vec<_> =
                batch.iter().filter_map(|row| row.conversations.as_ref().ok()).flatten().collect();
            match self.loaded.model.score(&conversations) {
                Ok(scores) => break scores,
                Err(error) => refuse(&mut batch, &error),
            }
        };
        let mut scores = scores.into_iter();
        batch
            .into_iter()
            .map(|row| match row.conversations {
                Ok(conversations) => {
                    let scores = scores.by_ref().take(conversations.len()).collect();
                    Record::Scored(Scored::new(row.id, scores, &conversations))
                }
                Err(error) => {
                    let sentence = format!("{}, line {}, row `{}`: {error}", self.input, row.line, row.id);
                    self.progress.say(&sentence);
                    self.failed.push(row.id.clone());
                    Record::Failed(Failed { id: row.id, error })
                }
            })
            .collect()
    }

    fn finish(self) -> Outcome {
        let (rows, seconds) = self.progress.finish();
        let rate = rows as f64 / seconds.max(1e-9);
        self.progress.say(&format!("{rows} rows in {seconds:.1} s ({rate:.2} rows/s)"));
        if self.failed.is_empty() {
            return Outcome::Fine;
        }
        let mut ids = self.failed.iter().take(LISTED_IDS).cloned().collect::<Vec<_>>().join(", ");
        if self.failed.len() > LISTED_IDS {
            ids += &format!(" and {} more", self.failed.len() - LISTED_IDS);
        }
        let count = self.failed.len();
        self.progress.say(&format!(
            "{count} of them could not be scored; their output rows have an `error`: {ids}"
        ));
        Outcome::CheckFailed
    }
}

fn num_tokens(row: &Prepared) -> usize {
    row.conversations.as_ref().map_or(0, |all| all.iter().map(prompt::Encoded::len).sum())
}

/// Takes the row that the model refused out of the batch's conversations.
fn refuse(batch: &mut [Prepared], error: &ScoreError) {
    let mut left = error.index();
    for row in batch {
        let count = row.conversations.as_ref().map_or(0, Vec::len);
        if left < count {
            row.conversations = Err(format!("response {left}: {error}"));
            return;
        }
        left -= count;
    }
    unreachable!("the model names a conversation that it was given");
}
