//! `basereward bench score`: one question with N answers, scored over and over.
//!
//! The weights are random and exist in memory only, unless a model folder is given. The load is synthetic, or the
//! rows of a file as the tokenizer of a folder encodes them; encoding is not in the time.

use anyhow::{Context, bail};
use engine::{Device, measure_peak};
use model::checkpoint::{Checkpoint, StorageType};
use model::config::{Activation, Config, RewardHeadConfig, ScorePosition};
use model::{RewardModel, head_layout, preset, vision_tokens};
use prompt::{Encoded, Processor, ProcessorOptions, Row, SyntheticRow};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::measure::median;
use crate::arguments::{ComputeType, DeviceArgs};
use crate::memory::peak_resident_bytes;
use crate::output::{Outcome, print};

/// Tokens of an English word in the Qwen vocabulary, about: how `--words` becomes tokens.
pub(super) const TOKENS_PER_WORD: f64 = 1.33;
/// Where the random weights and the noise start.
const SEED: u64 = 0;

/// Time the scoring of one question with N answers; no file is needed
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Shape of the model, with random weights in memory: qwen2.5-vl-3b, -7b, -32b or -72b
    #[arg(long, value_name = "NAME", default_value = "qwen2.5-vl-3b")]
    preset: String,
    /// Folder of a model to time instead of a preset
    #[arg(long, value_name = "MODEL", conflicts_with = "preset")]
    model: Option<PathBuf>,
    /// Compute type of the backbone
    #[arg(long, value_enum, default_value = "bf16")]
    dtype: ComputeType,
    /// Pictures of the question
    #[arg(long, value_name = "N", default_value_t = 1)]
    images: usize,
    /// Side of each picture, in pixels
    #[arg(long, value_name = "N", default_value_t = 448, value_parser = clap::value_parser!(u32).range(28..=8192))]
    image_size: u32,
    /// Answers to the question
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    responses: u32,
    /// Words of each answer: a number, or a range that the answers are spread over
    #[arg(long, value_name = "N|N-M", default_value = "60-120", value_parser = parse_words)]
    words: Words,
    /// Words of the question
    #[arg(long, value_name = "N", default_value_t = 20)]
    prompt_words: usize,
    /// Time the first row of this JSONL file instead of noise; needs --processor or --model
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Folder with the tokenizer and processor files for --rows
    #[arg(long, value_name = "DIR", requires = "rows")]
    processor: Option<PathBuf>,
    /// Timed runs, after one that is not counted
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Shortest and longest answer.
#[derive(Clone, Copy, Debug)]
struct Words {
    first: usize,
    last: usize,
}

fn parse_words(text: &str) -> Result<Words, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<usize>().map_err(|error| format!("`{text}`: {error}"));
    let words = Words { first: number(first)?, last: number(last)? };
    if words.first == 0 || words.first > words.last {
        return Err("give a number above 0, or a range such as 60-120".to_owned());
    }
    Ok(words)
}

#[derive(Debug, Serialize)]
struct Report {
    basereward: &'static str,
    model: String,
    dtype: String,
    tier: &'static str,
    threads: usize,
    responses: usize,
    /// Tokens of all conversations, each counted in full.
    tokens: usize,
    /// Rows that were computed: tokens with equal beginnings counted once.
    computed_tokens: usize,
    patches: usize,
    load_secs: f64,
    secs: Vec<f64>,
    median_secs: f64,
    responses_per_sec: f64,
    /// Tokens of all conversations over the time.
    tokens_per_sec: f64,
    /// Floating-point operations that were done, in 10⁹.
    gflop: f64,
    gflop_per_sec: f64,
    /// What the product kernel reaches with its operands in cache.
    peak_gflop_per_sec: f64,
    share_of_peak: f64,
    peak_resident_bytes: Option<u64>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let device = args.device.device()?;
    let start = Instant::now();
    let (model, name) = load(args, &device)?;
    let load_secs = start.elapsed().as_secs_f64();
    let encoded = load_rows(args, &model)?;
    let conversations: Vec<&Encoded> = encoded.iter().collect();
    let mut secs = Vec::new();
    for _ in 0..=args.repeats {
        let start = Instant::now();
        std::hint::black_box(model.score(&conversations)?);
        secs.push(start.elapsed().as_secs_f64());
    }
    secs.remove(0);
    let tree = model.pack(&conversations);
    let median_secs = median(secs.clone());
    let gflop = model.flops(&tree, conversations.len()) / 1e9;
    let tokens = conversations.iter().map(|one| one.len()).sum();
    let peak = measure_peak(&device, args.dtype.dtype());
    let report = Report {
        basereward: env!("CARGO_PKG_VERSION"),
        model: name,
        dtype: args.dtype.dtype().to_string(),
        tier: device.as_cpu().tier().name(),
        threads: device.as_cpu().num_threads(),
        responses: conversations.len(),
        tokens,
        computed_tokens: tree.num_rows(),
        patches: tree.num_patches(),
        load_secs,
        median_secs,
        responses_per_sec: conversations.len() as f64 / median_secs,
        tokens_per_sec: tokens as f64 / median_secs,
        gflop,
        gflop_per_sec: gflop / median_secs,
        peak_gflop_per_sec: peak,
        share_of_peak: gflop / median_secs / peak,
        peak_resident_bytes: peak_resident_bytes(),
        secs,
    };
    print(&if args.json { serde_json::to_string_pretty(&report)? + "\n" } else { table(&report) })?;
    Ok(Outcome::Fine)
}

fn load(args: &Args, device: &Device) -> anyhow::Result<(RewardModel, String)> {
    if let Some(folder) = &args.model {
        let model = RewardModel::load(folder, device, args.dtype.dtype())?;
        return Ok((model, folder.display().to_string()));
    }
    let config = preset::by_name(&args.preset).with_context(|| {
        let names: Vec<&str> = preset::names().collect();
        format!("unknown preset `{}`; use one of {}", args.preset, names.join(", "))
    })?;
    let head = RewardHeadConfig {
        num_layers: 2,
        activation: Activation::Silu,
        hidden_size: config.text.hidden_size,
        bias: true,
        position: ScorePosition::EndOfTurn,
    };
    let config = Config { reward_head: Some(head), ..config };
    let storage = match args.dtype {
        ComputeType::F32 => StorageType::F32,
        ComputeType::Bf16 => StorageType::Bf16,
    };
    let checkpoint = Checkpoint::random(&config, &head, SEED, storage);
    let tensors = head_layout::read(&checkpoint, &config)?;
    let dtype = args.dtype.dtype();
    let model = RewardModel::from_checkpoint(&checkpoint, &config, &tensors, device, dtype)?;
    Ok((model, format!("{} (random weights)", args.preset)))
}

fn load_rows(args: &Args, model: &RewardModel) -> anyhow::Result<Vec<Encoded>> {
    let Some(path) = &args.rows else { return Ok(synthetic(args, model)) };
    let Some(folder) = args.processor.as_ref().or(args.model.as_ref()) else {
        bail!("--rows needs --processor, a folder with the tokenizer that encodes them");
    };
    let vision = vision_tokens(model.config());
    let processor = Processor::load(folder, vision, ProcessorOptions::default())?;
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let line = text.lines().next().with_context(|| format!("`{}` is empty", path.display()))?;
    let base = path.parent().unwrap_or(Path::new(""));
    let mut row = Row::parse(line, 1, base)?;
    row.responses.truncate(args.responses as usize);
    Ok(processor.encode_all(&row.conversations()?)?)
}

fn synthetic(args: &Args, model: &RewardModel) -> Vec<Encoded> {
    let config = model.config();
    let count = args.responses as usize;
    let to_tokens = |words: f64| (words * TOKENS_PER_WORD).round() as usize;
    let Words { first, last } = args.words;
    let step = (last - first) as f64 / count.saturating_sub(1).max(1) as f64;
    let row = SyntheticRow {
        images: args.images,
        image_size: args.image_size as usize,
        prompt_tokens: to_tokens(args.prompt_words as f64),
        response_tokens: (0..count).map(|i| to_tokens(first as f64 + step * i as f64)).collect(),
        vocab_size: u32::try_from(config.text.vocab_size).unwrap_or(u32::MAX),
        seed: SEED,
    };
    row.encode(&model.vision_tokens())
}

fn table(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<18}{value}");
    };
    line("model", format!("{}, {}", report.model, report.dtype));
    line("device", format!("CPU, {} tier, {} threads", report.tier, report.threads));
    line(
        "load",
        format!(
            "{} responses, {} tokens ({} computed), {} patches",
            report.responses, report.tokens, report.computed_tokens, report.patches
        ),
    );
    line("time", format!("{:.3} s, median of {}", report.median_secs, report.secs.len()));
    line("responses/s", format!("{:.2}", report.responses_per_sec));
    line("tokens/s", format!("{:.0}", report.tokens_per_sec));
    line(
        "GFLOP/s",
        format!(
            "{:.0} = {:.0} % of the {:.0} that the product kernel reaches in cache",
            report.gflop_per_sec,
            100.0 * report.share_of_peak,
            report.peak_gflop_per_sec
        ),
    );
    if let Some(bytes) = report.peak_resident_bytes {
        line("peak memory", format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30)));
    }
    text
}
