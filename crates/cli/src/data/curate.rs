//! `basereward data curate`: a recipe to a finished set.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use curate::recipe::CurationRecipe;
use curate::run::{Curated, Observer, Request, run as curate};
use curate::{filter::CountTokens, report};
use prompt::TokenCounter;

use super::benchmarks;
use crate::interrupt;
use crate::output::{Outcome, complain, print};
use crate::progress::Progress;

/// Read, filter, deduplicate, decontaminate, mix, split and write, as a recipe says
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Recipe, a TOML file
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    /// Folder for shards, manifest, and the list of what was dropped
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Replace a value of the recipe, such as `duplicates.near=0.8`; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Replace a set that is there
    #[arg(long)]
    overwrite: bool,
    /// Print the manifest as JSON
    #[arg(long)]
    json: bool,
    /// Threads to read with [default: every processor this process may use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let recipe: CurationRecipe = recipe::read(&args.recipe, &args.overrides)?;
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build_global()?;
    }
    let curated = execute(&recipe, &args.output, args.overwrite)?;
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&curated.manifest)?))?;
    } else {
        tell(&curated, &args.output)?;
    }
    Ok(Outcome::Fine)
}

/// The counts, and where everything is.
pub(super) fn tell(curated: &Curated, output: &Path) -> anyhow::Result<()> {
    print(&report::text(&curated.manifest, &curated.overlaps))?;
    print(&format!("\nwritten to {}\n", output.display()))?;
    Ok(())
}

/// Curates with a bar on stderr; Ctrl-C stops it where it can go on.
pub(super) fn execute(
    recipe: &CurationRecipe,
    output: &Path,
    overwrite: bool,
) -> anyhow::Result<Curated> {
    let opened = benchmarks::open(recipe)?;
    let tokens = recipe.tokenizer.as_deref().map(TokenCounter::load).transpose()?;
    let tokens =
        tokens.map(|counter| -> CountTokens { Arc::new(move |text: &str| counter.count(text)) });
    let stop = interrupt::flag("stopping; the same command goes on from here")?;
    let watch = Watch { bar: Mutex::new(None), stop };
    let request = Request {
        recipe,
        output,
        benchmarks: opened.iter().map(benchmarks::Opened::compared).collect(),
        tokens,
        overwrite,
        version: env!("CARGO_PKG_VERSION"),
    };
    let curated = curate(request, &watch);
    watch.finish();
    Ok(curated?)
}

/// A bar for the step that runs.
struct Watch {
    bar: Mutex<Option<(String, Progress)>>,
    stop: &'static AtomicBool,
}

impl Watch {
    /// Removes the bar, with a sentence about its step.
    fn finish(&self) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((step, bar)) = bar {
            let summary = bar.finish();
            complain(&format!("{step}: {summary}"));
        }
    }
}

impl Observer for Watch {
    fn begin(&self, step: &str, rows: u64) {
        self.finish();
        let bar = Progress::new((rows > 0).then_some(rows), 0);
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some((step.to_owned(), bar));
    }

    fn advance(&self, rows: u64) {
        if let Some((_, bar)) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            bar.add(rows);
        }
    }

    fn say(&self, sentence: &str) {
        complain(sentence);
    }

    fn should_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
