//! `basereward eval`: a benchmark through a model, or from stored rewards, to figures and reports.

mod compare;
mod leakage;
mod settings;
mod write;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;
use engine::Device;
use eval::benchmark::Benchmark;
use eval::benchmarks;
use eval::contamination::{self, Contamination};
use eval::evaluate::{About, evaluate};
use eval::evaluation::Note;
use eval::outputs::REWARDS_FILE;
use eval::rewards::{self, RewardLine, RewardsWriter};
use eval::rows::BenchmarkRows;
use eval::scoring::{Scorer, ScoringOptions, num_checked_reversed, score};

use self::settings::{Settings, Start};
use crate::arguments::ModelArgs;
use crate::loaded::Loaded;
use crate::output::{Outcome, complain, print};
use crate::progress::Progress;

const ALL: &str = "all";
/// Failed rows that are told of one by one; all of them are in the reports.
const LISTED_ROWS: usize = 20;

const EXAMPLES: &str = "\
Examples:
  basereward eval MODEL --benchmark vl-rewardbench --data VL-RewardBench -o runs/eval
  basereward eval --rewards runs/eval/rewards.jsonl --benchmark vl-rewardbench --data VL-RewardBench
  basereward eval MODEL --benchmark all --data BENCHMARKS -o runs/all
  basereward eval compare runs/a runs/b
  basereward eval list";

const FILES: &str = "\
Files:
  rewards.jsonl     {\"row\", \"id\", \"scores\": [in the order of the file's responses]} for every row; --rewards reads it
  rows.jsonl        category, group, ranks and rewards of every row, and whether it is right
  evaluation.json   everything: figures with exact fractions and intervals, probes, failed rows, hashes, versions
  figures.csv, report.md, report.html
  rewardbench/      what the `rewardbench` package writes: MODEL.json and MODEL_outputs.jsonl";

/// Evaluate a model on the field's reward benchmarks, with their official metrics
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = EXAMPLES,
    after_long_help = format!("{FILES}\n\n{EXAMPLES}")
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Folder of the reward model
    #[arg(value_name = "MODEL", required_unless_present = "rewards", conflicts_with = "rewards")]
    model: Option<PathBuf>,
    /// Stored rewards instead of a model
    #[arg(long, value_name = "FILE")]
    rewards: Option<PathBuf>,
    /// Name of the benchmark, or `all` (see `basereward eval list`)
    #[arg(long, value_name = "NAME", required = true)]
    benchmark: Option<String>,
    /// The benchmark's files, or a folder with them; for `all`, a folder with one folder for each benchmark
    #[arg(long, value_name = "PATH", required = true)]
    data: Vec<PathBuf>,
    /// Folder that paths of pictures start at [default: the folder of each file]
    #[arg(long, value_name = "DIR")]
    image_dir: Option<PathBuf>,
    /// Folder for rewards and reports [default: none; figures are printed]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Continue an evaluation that was interrupted; rows that have rewards are not scored again
    #[arg(long, requires = "output")]
    resume: bool,
    /// Replace an evaluation that is there
    #[arg(long, requires = "output", conflicts_with = "resume")]
    overwrite: bool,
    /// Do not score rows a second time without their pictures
    #[arg(long)]
    no_blind: bool,
    /// Do not score rows a third time with another row's pictures
    #[arg(long)]
    no_swapped: bool,
    /// Data that the model was trained on: says which pictures and prompts of the benchmark are in it, and whether the manifest of
    /// a folder of `basereward data curate` shows it to be clean. May be repeated
    #[arg(long, value_name = "PATH")]
    training_data: Vec<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: ModelArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put evaluations beside each other and beside published numbers
    Compare(compare::Args),
    /// List the benchmarks with their sources
    List,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.command {
        Some(Command::Compare(args)) => return compare::run(args),
        Some(Command::List) => return list(),
        None => {}
    }
    let name = args.benchmark.as_deref().unwrap_or_default();
    let model = args.model.as_deref().map(|folder| Model::load(args, folder)).transpose()?;
    if name == ALL {
        return run_all(args, model.as_ref());
    }
    let benchmark = benchmarks::named(name).with_context(|| {
        let names: Vec<&str> = benchmarks::ALL.iter().map(|known| known.name()).collect();
        format!("there is no benchmark `{name}`; use `{ALL}` or one of: {}", names.join(", "))
    })?;
    run_one(args, model.as_ref(), benchmark, &args.data, args.output.as_deref())
}

fn list() -> anyhow::Result<Outcome> {
    let rows: Vec<Vec<String>> = benchmarks::ALL
        .iter()
        .map(|benchmark| {
            [benchmark.name(), benchmark.title(), benchmark.source()].map(str::to_owned).to_vec()
        })
        .collect();
    let mut text = crate::sheet::columns(&rows).join("\n");
    text.push('\n');
    print(&text)?;
    Ok(Outcome::Fine)
}

/// Every benchmark that has a folder of its name.
fn run_all(args: &Args, model: Option<&Model>) -> anyhow::Result<Outcome> {
    let [root] = args.data.as_slice() else {
        bail!("`--benchmark {ALL}` takes one --data: a folder with one folder for each benchmark");
    };
    if args.rewards.is_some() {
        bail!("--rewards is the file of one benchmark; name it with --benchmark");
    }
    let (present, absent): (Vec<&dyn Benchmark>, Vec<&dyn Benchmark>) =
        benchmarks::ALL.into_iter().partition(|benchmark| root.join(benchmark.name()).is_dir());
    if present.is_empty() {
        let names: Vec<&str> = absent.iter().map(|benchmark| benchmark.name()).collect();
        bail!(
            "`{}` has no folder of a benchmark; put the files of each into one of: {}",
            root.display(),
            names.join(", ")
        );
    }
    if !absent.is_empty() {
        let names: Vec<&str> = absent.iter().map(|benchmark| benchmark.name()).collect();
        complain(&format!("not in `{}` and left out: {}", root.display(), names.join(", ")));
    }
    let mut outcome = Outcome::Fine;
    for benchmark in present {
        let data = [root.join(benchmark.name())];
        let output = args.output.as_ref().map(|output| output.join(benchmark.name()));
        if run_one(args, model, benchmark, &data, output.as_deref())? == Outcome::CheckFailed {
            outcome = Outcome::CheckFailed;
        }
    }
    Ok(outcome)
}

/// A loaded model and the device that it runs on.
struct Model {
    name: String,
    loaded: Loaded,
    device: Device,
}

impl Model {
    fn load(args: &Args, folder: &Path) -> anyhow::Result<Self> {
        let (loaded, device) = args.options.load(folder)?;
        Ok(Self { name: folder.display().to_string(), loaded, device })
    }
}

fn run_one(
    args: &Args,
    model: Option<&Model>,
    benchmark: &'static dyn Benchmark,
    data: &[PathBuf],
    output: Option<&Path>,
) -> anyhow::Result<Outcome> {
    let rows = BenchmarkRows::open(benchmark, data, args.image_dir.as_deref())?;
    let settings = Settings::new(args, model, &rows)?;
    let start = match output {
        Some(folder) => settings.start(folder, args.resume, args.overwrite, model.is_some())?,
        None => Start::Fresh,
    };
    let lines = match (model, &args.rewards) {
        (Some(model), _) => scored(args, model, &rows, output, start)?,
        (None, Some(file)) => rewards::read(file)?,
        (None, None) => bail!("nothing to evaluate; give a model folder or --rewards"),
    };
    let training = &args.training_data;
    let (mut contamination, note) =
        contamination::judge(training, benchmark.name(), settings.rows_hash());
    let mut notes = vec![note];
    if !training.is_empty() {
        let found = leakage::find(&rows, training)?;
        if found.shares_pictures && contamination == Contamination::Clean {
            // The data has changed since its manifest was written.
            contamination = Contamination::NotShown;
            notes[0] = Note {
                is_warning: true,
                text: "The manifest of the training data says that it is clean of these rows, but it has pictures of them.".to_owned(),
            };
        }
        notes.extend(found.notes);
    }
    let about = About {
        model: settings.model().to_owned(),
        provenance: settings.provenance(),
        checked_reversed: model.map_or(0, |_| num_checked_reversed(&lines)),
        contamination,
        notes,
    };
    let (evaluation, scored) = evaluate(&rows, &lines, about)?;
    for row in evaluation.failed.iter().take(LISTED_ROWS) {
        complain(&format!("row {} (`{}`): {}", row.row, row.id, row.error));
    }
    if let Some(folder) = output {
        write::all(folder, &rows, &evaluation, &scored, &lines, model.is_none())?;
    }
    if args.json {
        print(&eval::outputs::json(&evaluation))?;
    } else {
        print(&write::text(&evaluation, output))?;
    }
    Ok(if evaluation.failed.is_empty() { Outcome::Fine } else { Outcome::CheckFailed })
}

/// The rewards of all rows; with an output, kept as they come.
fn scored(
    args: &Args,
    model: &Model,
    rows: &BenchmarkRows,
    output: Option<&Path>,
    start: Start,
) -> anyhow::Result<Vec<RewardLine>> {
    let file = output.map(|folder| folder.join(REWARDS_FILE));
    let (mut writer, mut lines) = match (&file, start) {
        (Some(file), Start::Resumed) => {
            let (writer, lines) = RewardsWriter::resume(file)?;
            (Some(writer), lines)
        }
        (Some(file), Start::Fresh) => (Some(RewardsWriter::create(file)?), Vec::new()),
        (None, _) => (None, Vec::new()),
    };
    let first = lines.len();
    if lines.iter().enumerate().any(|(place, line)| line.row != place) || first > rows.len() {
        bail!(
            "the rewards in `{}` are not those of the benchmark's first rows; begin again with --overwrite",
            file.unwrap_or_default().display()
        );
    }
    let mut progress = Progress::new(Some(rows.len() as u64), first as u64);
    let scorer = Scorer {
        model: &model.loaded.model,
        processor: &model.loaded.processor,
        device: &model.device,
    };
    let options = ScoringOptions { blind: !args.no_blind, swapped: !args.no_swapped };
    score(scorer, rows, first, options, &mut |new| {
        if let Some(writer) = &mut writer {
            writer.write(&new)?;
        }
        progress.add(new.len() as u64);
        lines.extend(new);
        Ok(())
    })?;
    let summary = progress.finish();
    progress.say(&format!("{}: {summary}", rows.benchmark().name()));
    Ok(lines)
}
