//! `basereward train`: a recipe becomes a run, or with `--dry-run` a plan.
//!
//! Only what surrounds a run is here: the model that it begins with, the bar, Ctrl-C, the report. The run itself is the crate
//! `train`.

mod plan;
mod progress;
mod report;
mod start;
mod summary;

use std::path::{Path, PathBuf};

use anyhow::bail;
use engine::Device;
use train::recipe::Recipe;
use train::run::{self, Begin, RECIPE_FILE, RunRequest};

use self::progress::Bar;
pub(crate) use self::report::write as write_report;
pub(crate) use self::start::model_folder;
pub(crate) use self::summary::{coin_words, words as proportion_words};
use crate::arguments::DeviceArgs;
use crate::interrupt;
use crate::memory::peak_resident_bytes;
use crate::output::{self, Outcome};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Recipe, a TOML file; a resumed run brings its own
    #[arg(required_unless_present = "resume")]
    recipe: Option<PathBuf>,

    /// Replace a value of the recipe, such as `run.steps=100`; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,

    /// Go on with the run in this folder, from its newest whole checkpoint
    #[arg(long, value_name = "RUN", conflicts_with = "dry_run")]
    resume: Option<PathBuf>,

    /// Print the resolved recipe and what the run would take, and do nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    device: DeviceArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let file = match (&args.recipe, &args.resume) {
        (Some(recipe), _) => recipe.clone(),
        (None, Some(run)) => run.join(RECIPE_FILE),
        (None, None) => bail!("give a recipe, or a run to resume"),
    };
    let recipe = Recipe::read(&file, &args.overrides)?;
    let device = args.device.device()?;
    if args.dry_run {
        output::print(&plan::text(&recipe, &device)?)?;
        return Ok(Outcome::Fine);
    }
    let folder = args.resume.clone().unwrap_or_else(|| recipe.run.output.clone());
    let outcome = execute(&recipe, &folder, args.resume.is_some(), &device)?;
    report::write(&recipe, &folder, &device, &outcome)?;
    output::print(&summary::text(&folder, &outcome))?;
    Ok(Outcome::Fine)
}

/// Begins or resumes a run in `folder`, with a bar on stderr. Ctrl-C saves and stops it.
pub(crate) fn execute(
    recipe: &Recipe,
    folder: &Path,
    resumes: bool,
    device: &Device,
) -> anyhow::Result<run::Outcome> {
    let model;
    let begin = if resumes {
        Begin::Resume
    } else {
        model = model_folder(recipe, folder)?;
        Begin::New { model: &model }
    };
    let stop = interrupt::flag(
        "saving after this step; press Ctrl-C again to stop at once, without saving",
    )?;
    let mut bar = Bar::default();
    let request = RunRequest { recipe, folder, begin, device, stop, peak_resident_bytes };
    let outcome = run::run(request, &mut bar);
    bar.finish();
    Ok(outcome?)
}
