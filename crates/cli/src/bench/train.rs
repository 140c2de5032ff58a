//! `basereward bench train`: how long a step of training takes, and how much memory.
//!
//! The steps are those of a run: the same forward and backward pass, clipping and `AdamW`. Pairs are made up, of noise.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use data::{Comparison, Preference};
use engine::Device;
use model::training::TrainableModel;
use prompt::SyntheticRow;
use serde::Serialize;
use train::prepare::Prepared;
use train::recipe::Recipe;
use train::run::training_options;
use train::step::Trainer;
use train::stream::StepBatch;

use super::measure::median;
use super::score::TOKENS_PER_WORD;
use crate::arguments::{ComputeType, DeviceArgs};
use crate::memory::peak_resident_bytes;
use crate::output::{Outcome, print};

/// Time steps of training on pairs about one picture each; the pairs are noise
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of a reward model
    model: PathBuf,
    /// Compute type
    #[arg(long, value_enum, default_value = "bf16")]
    dtype: ComputeType,
    /// Pairs of a step
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Side of each picture, in pixels; 0 for text alone
    #[arg(long, value_name = "N", default_value_t = 448)]
    image_size: usize,
    /// Words of each answer
    #[arg(long, value_name = "N", default_value_t = 100)]
    words: usize,
    /// Words of the question
    #[arg(long, value_name = "N", default_value_t = 20)]
    prompt_words: usize,
    /// Packed tokens that are computed together
    #[arg(long, value_name = "N", default_value_t = 4096)]
    tokens_per_batch: usize,
    /// What the backward pass computes again instead of keeping it; `layers` where no value is given
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_value = "nothing",
        default_missing_value = "layers"
    )]
    recompute: Recomputed,
    /// Timed steps, after one that is not counted
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// `run.recompute` of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Recomputed {
    /// All is kept
    Nothing,
    /// What is inside of layers
    Layers,
    /// Inputs of layers, too, but for the first of each group
    Groups,
}

impl Recomputed {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Layers => "layers",
            Self::Groups => "groups",
        }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    basereward: &'static str,
    model: String,
    dtype: String,
    tier: &'static str,
    threads: usize,
    recompute: Recomputed,
    pairs: usize,
    /// Tokens of all conversations, each counted in full.
    tokens: usize,
    /// Rows that were computed: tokens with equal beginnings counted once.
    computed_tokens: usize,
    patches: usize,
    micro_batches: usize,
    secs: Vec<f64>,
    step_seconds: f64,
    pairs_per_second: f64,
    tokens_per_second: f64,
    peak_resident_bytes: Option<u64>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let device = args.device.device()?;
    let recipe = recipe(args)?;
    let options = training_options(&recipe);
    let model = TrainableModel::load(&args.model, &device, args.dtype.dtype(), &options)?;
    let batch = batch(args, &model);
    let mut trainer = Trainer::new(model, &device, &recipe, 1_000_000);
    let mut secs = Vec::new();
    for step in 0..=u64::from(args.steps) {
        let start = Instant::now();
        trainer.step(step, &batch)?;
        secs.push(start.elapsed().as_secs_f64());
    }
    secs.remove(0);
    let report = report(args, &device, &batch, secs);
    print(&if args.json { serde_json::to_string_pretty(&report)? + "\n" } else { table(&report) })?;
    Ok(Outcome::Fine)
}

/// Full fine-tuning of every part.
fn recipe(args: &Args) -> anyhow::Result<Recipe> {
    let text = format!(
        "[model.folder]\npath = 'MODEL'\n[data]\ntrain = ['PAIRS']\n[trainable]\nvision = {{}}\nmerger = {{}}\nlanguage = {{}}\n\
         [optimizer.adamw]\nlearning_rate = 1e-6\n[run]\noutput = 'RUN'\nsteps = 1\ncomparisons_per_step = {}\nrecompute = '{}'\n",
        args.pairs,
        args.recompute.name()
    );
    Ok(Recipe::parse("bench".as_ref(), &text, &[])?)
}

fn batch(args: &Args, model: &TrainableModel) -> StepBatch {
    let config = model.model().config();
    let comparisons: Vec<Prepared> =
        (0..args.pairs).map(|pair| pair_of_noise(args, model, u64::from(pair))).collect();
    let is_visual = |id| id == config.image_token_id || id == config.video_token_id;
    StepBatch::new(comparisons, args.tokens_per_batch, is_visual)
}

fn pair_of_noise(args: &Args, model: &TrainableModel, seed: u64) -> Prepared {
    let to_tokens = |words: usize| (words as f64 * TOKENS_PER_WORD).round() as usize;
    let row = SyntheticRow {
        images: usize::from(args.image_size > 0),
        image_size: args.image_size,
        prompt_tokens: to_tokens(args.prompt_words),
        response_tokens: vec![to_tokens(args.words); 2],
        vocab_size: u32::try_from(model.model().config().text.vocab_size).unwrap_or(u32::MAX),
        seed,
    };
    let preference = Preference { ranks: vec![0, 1], scores: None, margin: None, soft_label: None };
    let comparison = Comparison {
        id: seed.to_string(),
        source: "noise".to_owned(),
        prompt: Vec::new(),
        responses: Vec::new(),
        preference,
    };
    Prepared {
        row: seed as usize,
        comparison,
        encoded: row.encode(&model.model().vision_tokens()),
        pairs: vec![(0, 1)],
        response_tokens: row.response_tokens,
    }
}

fn report(args: &Args, device: &Device, batch: &StepBatch, secs: Vec<f64>) -> Report {
    let encoded = || batch.comparisons.iter().flat_map(|one| &one.encoded);
    let tokens = encoded().map(prompt::Encoded::len).sum();
    let seen = batch.comparisons.iter().flat_map(|one| &one.encoded[0].visuals);
    let step_seconds = median(secs.clone());
    Report {
        basereward: env!("CARGO_PKG_VERSION"),
        model: args.model.display().to_string(),
        dtype: args.dtype.dtype().to_string(),
        tier: device.as_cpu().tier().name(),
        threads: device.as_cpu().num_threads(),
        recompute: args.recompute,
        pairs: batch.comparisons.len(),
        tokens,
        computed_tokens: batch.packed_rows,
        patches: seen.map(|visual| visual.num_patches()).sum(),
        micro_batches: batch.micro_batches.len(),
        secs,
        step_seconds,
        pairs_per_second: batch.comparisons.len() as f64 / step_seconds,
        tokens_per_second: tokens as f64 / step_seconds,
        peak_resident_bytes: peak_resident_bytes(),
    }
}

fn table(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<18}{value}");
    };
    let recomputed = report.recompute.name();
    line("model", format!("{}, {}, recomputing {recomputed}", report.model, report.dtype));
    line("device", format!("CPU, {} tier, {} threads", report.tier, report.threads));
    line(
        "step",
        format!(
            "{} pairs, {} tokens ({} computed), {} patches, {} batches",
            report.pairs,
            report.tokens,
            report.computed_tokens,
            report.patches,
            report.micro_batches
        ),
    );
    line("time", format!("{:.3} s, median of {}", report.step_seconds, report.secs.len()));
    line("pairs/s", format!("{:.2}", report.pairs_per_second));
    line("tokens/s", format!("{:.0}", report.tokens_per_second));
    if let Some(bytes) = report.peak_resident_bytes {
        line("peak memory", format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30)));
    }
    text
}
