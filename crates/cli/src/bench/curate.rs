//! `basereward bench curate`: how many rows a second go through curation, and in how much memory. The rows are made up.

mod noise;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;
use curate::recipe::CurationRecipe;
use curate::run::{Observer, Request, run as curate};
use serde::Serialize;

use crate::memory::peak_resident_bytes;
use crate::output::{Outcome, complain, print};

/// Time a curation of made-up rows
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rows of text alone
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rows: usize,
    /// Rows over pictures, four over each
    #[arg(long, value_name = "N", default_value_t = 0)]
    image_rows: usize,
    /// Look for near duplicates, too, at this share of common word shingles
    #[arg(long, value_name = "SHARE")]
    near: Option<f64>,
    /// Folder for the made-up rows and the result; rows that are there from before are used [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let temporary = tempfile::tempdir().context("no temporary folder")?;
    let folder = args.work.clone().unwrap_or_else(|| temporary.path().to_owned());
    let recipe = prepare(args, &folder)?;
    let output = folder.join("curated");
    let steps = Steps::default();
    let start = Instant::now();
    let request = Request {
        recipe: &recipe,
        output: &output,
        benchmarks: Vec::new(),
        tokens: None,
        overwrite: true,
        version: env!("CARGO_PKG_VERSION"),
    };
    let manifest = curate(request, &steps)?.manifest;
    let seconds = start.elapsed().as_secs_f64();
    let steps = steps.finish();
    let rows = args.rows + args.image_rows;
    let report = Report {
        rows,
        kept: manifest.rows(),
        near: args.near,
        steps,
        seconds,
        rows_per_second: rows as f64 / seconds,
        peak_resident_bytes: peak_resident_bytes(),
    };
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        print(&report.text())?;
    }
    Ok(Outcome::Fine)
}

/// Writes the rows that are not there yet, and the recipe.
fn prepare(args: &Args, folder: &Path) -> anyhow::Result<CurationRecipe> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make `{}`", folder.display()))?;
    let mut text = String::new();
    let mut source = |name: &str, path: &Path| {
        let path = serde_json::to_string(&path.display().to_string())?;
        write!(text, "[[source]]\nname = \"{name}\"\npath = [{path}]\n\n")?;
        anyhow::Ok(())
    };
    if args.rows > 0 {
        let path = folder.join(format!("texts-{}.jsonl", args.rows));
        if !path.exists() {
            complain(&format!("writing {} rows of text", args.rows));
            noise::write_texts(&path, args.rows).context("cannot write the rows")?;
        }
        source("texts", &path)?;
    }
    if args.image_rows > 0 {
        let path = folder.join(format!("pictures-{}.jsonl", args.image_rows));
        if !path.exists() {
            complain(&format!("writing {} rows over pictures", args.image_rows));
            let pictures = folder.join(format!("pictures-{}", args.image_rows));
            noise::write_pictures(&path, &pictures, args.image_rows)
                .context("cannot write the rows")?;
        }
        source("pictures", &path)?;
    }
    text.push_str("[[filter]]\nname = \"length\"\nkeep = \"chars(chosen) >= 8 and chars(chosen) <= 4000\"\n\n");
    text.push_str("[split]\nvalidation_fraction = 0.01\n\n[duplicates]\n");
    if let Some(near) = args.near {
        writeln!(text, "near = {near:?}")?;
    }
    Ok(recipe::parse("bench".as_ref(), &text, &[])?)
}

/// Time of each step.
#[derive(Debug, Serialize)]
struct Step {
    name: String,
    rows: u64,
    seconds: f64,
}

/// Watches the steps go by.
#[derive(Default)]
struct Steps(Mutex<Vec<(Step, Instant)>>);

impl Steps {
    fn finish(self) -> Vec<Step> {
        let mut steps = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        end_last(&mut steps);
        steps.into_iter().map(|(step, _)| step).collect()
    }
}

fn end_last(steps: &mut [(Step, Instant)]) {
    if let Some((step, start)) = steps.last_mut() {
        step.seconds = start.elapsed().as_secs_f64();
    }
}

impl Observer for Steps {
    fn begin(&self, step: &str, rows: u64) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        end_last(&mut steps);
        steps.push((Step { name: step.to_owned(), rows, seconds: 0.0 }, Instant::now()));
    }

    fn advance(&self, _rows: u64) {}

    fn say(&self, sentence: &str) {
        self.begin(sentence, 0);
    }

    fn should_stop(&self) -> bool {
        false
    }
}

#[derive(Debug, Serialize)]
struct Report {
    rows: usize,
    kept: u64,
    near: Option<f64>,
    steps: Vec<Step>,
    seconds: f64,
    rows_per_second: f64,
    peak_resident_bytes: Option<u64>,
}

impl Report {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        for Step { name, rows, seconds } in &self.steps {
            let rate = match rows {
                0 => String::new(),
                rows => format!("{:>12.0} rows/s", *rows as f64 / seconds.max(1e-9)),
            };
            lines.push(format!("{name:<44} {seconds:>8.2} s{rate}"));
        }
        let (seconds, rate) = (self.seconds, self.rows_per_second);
        lines.push(format!("{:<44} {seconds:>8.2} s{rate:>12.0} rows/s", "all"));
        lines.push(format!("{} of {} rows kept", self.kept, self.rows));
        if let Some(bytes) = self.peak_resident_bytes {
            let mebibytes = bytes as f64 / f64::from(1 << 20);
            lines.push(format!("peak resident memory {mebibytes:.0} MiB"));
        }
        lines.join("\n") + "\n"
    }
}
