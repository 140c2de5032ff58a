//! A file of rows: encoded ahead, scored in batches by token budget, written in order.

use anyhow::Context;
use model::ScoreError;
use prompt::Encoded;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use super::Args;
use super::record::{Failed, Record, Scored, refusal};
use super::rows::{Prepared, Refusal, Source};
use super::settings::Settings;
use super::target::{Existing, Plan, Target};
use crate::loaded::Loaded;
use crate::output::Outcome;
use crate::progress::Progress;

/// Rows that wait for the model, encoded.
const ROWS_AHEAD: usize = 16;
/// Rows are scored together until they have this many tokens: enough to fill the products, few enough to write often.
const BATCH_TOKENS: usize = 4096;
/// Failed rows that are told of one by one; all of them are in the output.
const LISTED_ROWS: usize = 50;

pub(super) fn run(args: &Args, input: &Path) -> anyhow::Result<Outcome> {
    let source = Source::open(input)?;
    let existing = match (args.resume, args.overwrite) {
        (true, _) => Existing::Resume,
        (_, true) => Existing::Overwrite,
        _ => Existing::Refuse,
    };
    let plan = Plan::new(args.output.as_deref(), input, existing)?;
    let (loaded, device) = args.options.load(&args.model)?;
    let loaded = Arc::new(loaded);
    let mut target = plan.open(&settings(args, &loaded, &device, &source))?;
    let done = std::mem::take(&mut target.done);
    let num_rows = source.mark.as_ref().map(|mark| mark.rows);
    let mut run = Run {
        loaded: Arc::clone(&loaded),
        target,
        progress: Progress::new(num_rows, done.len() as u64),
        input: source.name.clone(),
        failed: done.iter().filter(|row| row.is_failed()).map(|row| row.id.clone()).collect(),
        told: 0,
    };
    let (sender, receiver) = sync_channel(ROWS_AHEAD);
    let reader = std::thread::Builder::new()
        .name("rows".to_owned())
        .spawn(move || source.send_all(&loaded.processor, &device, &done, &sender))
        .context("cannot start a thread")?;
    // When the scores cannot be written, nobody waits for the reader: it may wait itself, for rows that never come.
    run.score_all(receiver)?;
    reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    Ok(run.finish())
}

fn settings(args: &Args, loaded: &Loaded, device: &engine::Device, source: &Source) -> Settings {
    Settings {
        basereward: env!("CARGO_PKG_VERSION").to_owned(),
        model: args.model.display().to_string(),
        fingerprint: loaded.fingerprint.clone(),
        dtype: loaded.dtype.to_string(),
        tier: device.as_cpu().tier().name().to_owned(),
        max_pixels: args.options.max_pixels,
        max_tokens: args.options.max_tokens,
        input: source.mark.clone(),
    }
}

/// One pass over the rows.
struct Run {
    loaded: Arc<Loaded>,
    target: Target,
    progress: Progress,
    input: String,
    /// Ids of all rows of the output that have no scores.
    failed: Vec<String>,
    /// Rows of this pass that stderr has a sentence about.
    told: usize,
}

impl Run {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "dropping the receiver is what tells the reader to stop"
    )]
    fn score_all(&mut self, rows: Receiver<Prepared>) -> anyhow::Result<()> {
        while let Ok(first) = rows.recv() {
            let mut tokens = num_tokens(&first);
            let mut batch = vec![first];
            // Whoever is ready comes along; scores do not depend on the company.
            while tokens < BATCH_TOKENS {
                let Ok(next) = rows.try_recv() else { break };
                tokens += num_tokens(&next);
                batch.push(next);
            }
            let count = batch.len() as u64;
            let lines: String = self.score_batch(batch).iter().map(Record::line).collect();
            self.target.write(&lines)?;
            self.progress.add(count);
        }
        Ok(())
    }

    fn score_batch(&mut self, batch: Vec<Prepared>) -> Vec<Record> {
        let groups: Vec<Vec<&Encoded>> =
            batch.iter().map(|row| encoded(row).iter().collect()).collect();
        let scores = self.loaded.model.score_groups(&groups);
        batch.into_iter().zip(scores).map(|(row, scores)| self.record(row, scores)).collect()
    }

    fn record(&mut self, row: Prepared, scores: Result<Vec<f32>, ScoreError>) -> Record {
        let Prepared { line, id, conversations } = row;
        let refused = match (conversations, scores) {
            (Ok(conversations), Ok(scores)) => {
                return Record::Scored(Scored::new(id, scores, &conversations));
            }
            (Err(refused), _) => refused,
            (Ok(_), Err(error)) => Refusal::Row(refusal(&error)),
        };
        let (place, error) = match refused {
            Refusal::Line(error) => (self.input.clone(), error),
            Refusal::Row(error) => (format!("{}, line {line}, row `{id}`", self.input), error),
        };
        if self.told < LISTED_ROWS {
            self.progress.say(&format!("{place}: {error}"));
        } else if self.told == LISTED_ROWS {
            self.progress.say("more rows cannot be scored; why, is in the output");
        }
        self.told += 1;
        self.failed.push(id.clone());
        Record::Failed(Failed { id, error })
    }

    fn finish(self) -> Outcome {
        let summary = self.progress.finish();
        self.progress.say(&summary);
        if self.failed.is_empty() {
            return Outcome::Fine;
        }
        let count = self.failed.len();
        let rows = if count == 1 { "row" } else { "rows" };
        let ids = self.failed.iter().take(LISTED_ROWS).cloned().collect::<Vec<_>>().join(", ");
        let more = match count.saturating_sub(LISTED_ROWS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let sentence =
            format!("{count} {rows} could not be scored and have an `error` instead: {ids}{more}");
        self.progress.say(&sentence);
        Outcome::CheckFailed
    }
}

fn encoded(row: &Prepared) -> &[Encoded] {
    row.conversations.as_deref().unwrap_or_default()
}

fn num_tokens(row: &Prepared) -> usize {
    encoded(row).iter().map(Encoded::len).sum()
}
