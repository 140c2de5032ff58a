//! `basereward demo`: a drawn world, a model trained on it, its accuracy by kind of question, and one picture to look at.
//!
//! It is an ordinary run of `train`: the same recipe format, the same run folder, the same report. Nothing is downloaded.

mod showcase;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use eval::judged::{Proportion, accuracy_by_kind, length_baseline, pairwise_accuracy};
use model::write::is_occupied;
use page::number;
use train::recipe::Recipe;
use train::report::REPORT_FILE;
use train::run;

use self::world::{SIDE_PIXELS, WorldOptions, WorldSummary, write_world};
use crate::arguments::DeviceArgs;
use crate::output::{self, Outcome, complain};
use crate::sheet::{self, Sheet};
use crate::train::{coin_words, execute, proportion_words, write_report};

/// The recipe, but for the places of files.
const RECIPE: &str = include_str!("../../../recipes/demo.toml");

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder to write; it must not exist, or be empty
    #[arg(short, long, value_name = "DIR", default_value = "demo")]
    out: PathBuf,

    /// Pictures to train on; the run takes each of them once
    #[arg(long, value_name = "N", default_value_t = 48_000, value_parser = clap::value_parser!(u32).range(1..))]
    pictures: u32,

    /// Pictures to judge by, which are not trained on
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    held_out: u32,

    /// Seed of the world and of the weights: another seed, another world
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Replace a value of the recipe, such as `run.steps=100`; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,

    #[command(flatten)]
    device: DeviceArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let device = args.device.device()?;
    if is_occupied(&args.out) {
        let out = args.out.display();
        bail!("`{out}` is not an empty folder; remove it, or give another one with --out");
    }
    let recipe = recipe(args)?;
    let world = draw(args)?;
    let steps = recipe.total_steps(world.train.num_comparisons);
    complain(&format!("training: {steps} steps; the report comes at the end"));
    let folder = recipe.run.output.clone();
    let outcome = execute(&recipe, &folder, false, &device)?;
    write_report(&recipe, &folder, &device, &outcome)?;
    if outcome.was_stopped {
        let run = sheet::shell_word(&folder);
        output::print(&format!("stopped; go on with: basereward train --resume {run}\n"))?;
        return Ok(Outcome::Fine);
    }
    output::print(&results(&outcome, start.elapsed()))?;
    output::print(&showcase::show(args.seed, &args.out, &outcome.model, &device)?)?;
    output::print(&next(&args.out, &folder, &outcome.model))?;
    Ok(Outcome::Fine)
}

/// The recipe with the places of this demo's files.
fn recipe(args: &Args) -> anyhow::Result<Recipe> {
    let world = args.out.join("world");
    let quoted = |path: PathBuf| serde_json::Value::from(path.display().to_string()).to_string();
    let mut overrides = vec![
        format!("data.train=[{}]", quoted(world.join("train.jsonl"))),
        format!("data.validation=[{}]", quoted(world.join("validation.jsonl"))),
        format!("run.output={}", quoted(args.out.join("run"))),
        format!("run.seed={}", args.seed),
    ];
    overrides.extend(args.overrides.iter().cloned());
    Ok(Recipe::parse("recipes/demo.toml".as_ref(), RECIPE, &overrides)?)
}

fn draw(args: &Args) -> anyhow::Result<WorldSummary> {
    let folder = args.out.join("world");
    complain(&format!(
        "drawing {} pictures of {SIDE_PIXELS} pixels to `{}`",
        number::count(u64::from(args.pictures) + u64::from(args.held_out)),
        folder.display()
    ));
    let options = WorldOptions {
        seed: args.seed,
        num_train: args.pictures as usize,
        num_validation: args.held_out as usize,
    };
    write_world(&folder, options).context("cannot draw the world")
}

/// Accuracy on held-out pictures, by kind, beside what is possible without pictures.
fn results(outcome: &run::Outcome, elapsed: Duration) -> String {
    let mut sheet = Sheet::default();
    sheet.title("Held-out pictures: how often the right answer gets the higher reward");
    let none = Vec::new();
    let seen = outcome.held_out.as_ref().map_or(&none, |found| &found.pairs);
    let blind = outcome.blind.as_ref().map_or(&none, |found| &found.pairs);
    let mut rows = vec![["", "with picture", "without picture"].map(str::to_owned).to_vec()];
    let without: BTreeMap<String, Proportion> = accuracy_by_kind(blind).into_iter().collect();
    for (kind, with) in accuracy_by_kind(seen) {
        let name = kind.rsplit('/').next().unwrap_or(&kind).to_owned();
        let blind = without.get(&kind).map_or_else(String::new, percent);
        rows.push(vec![name, percent(&with), blind]);
    }
    rows.push(vec![
        "all".to_owned(),
        percent(&pairwise_accuracy(seen)),
        percent(&pairwise_accuracy(blind)),
    ]);
    for line in sheet::columns(&rows) {
        sheet.line(&format!("  {line}"));
    }
    sheet.line("");
    sheet.row("held-out accuracy", proportion_words(&pairwise_accuracy(seen)));
    sheet.row("longer answer wins", coin_words(&length_baseline(seen)));
    sheet.row("time", sheet::seconds(elapsed));
    sheet.into_text()
}

fn percent(proportion: &Proportion) -> String {
    let exact = format!("({}/{})", proportion.num_right, proportion.num_total);
    proportion.fraction().map_or(exact.clone(), |share| format!("{:.1} % {exact}", 100.0 * share))
}

/// What to try now.
fn next(out: &Path, folder: &Path, model: &Path) -> String {
    let word = |path: &Path| sheet::shell_word(path);
    format!(
        "\nreport: {}\n\nnext:\n  basereward inspect {model}\n  basereward score {model} --image {} --prompt \"How many rings are there?\" --response \"two\" --response \"three\"\n  \
         basereward train --resume {}\n  basereward train recipes/tiny.toml\n",
        folder.join(REPORT_FILE).display(),
        word(&out.join(showcase::PICTURE)),
        word(folder),
        model = word(model),
    )
}
