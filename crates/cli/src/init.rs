//! `basereward init`: a reward model from a backbone folder, or from a named size with random weights.
//!
//! Only choices are made here; `model::write` makes the folder. Nothing is downloaded.

pub(crate) mod tiny;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use engine::Device;
use model::checkpoint::{Checkpoint, StorageType};
use model::config::{Activation, Config, MAX_HEAD_LAYERS, RewardHeadConfig, ScorePosition};
use model::probe::{ProbeFile, ProbeScores};
use model::{preset, vision_tokens, write};
use page::number;
use prompt::{Processor, ProcessorOptions};

use crate::arguments::ComputeType;
use crate::loaded::{Limits, Loaded};
use crate::output::{self, Outcome};
use crate::sheet;

/// Weights of more than this take seconds to write, which is said beforehand.
const ANNOUNCED_BYTES: u64 = 1_000_000_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of a Qwen2.5-VL backbone, or a preset for random weights: tiny, demo, qwen2.5-vl-3b, qwen2.5-vl-7b,
    /// qwen2.5-vl-32b, qwen2.5-vl-72b (write `./tiny` for a folder of that name)
    backbone: String,

    /// Folder to write; it must not exist, or be empty
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,

    /// Linear layers of the head
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u8).range(1..=MAX_HEAD_LAYERS as i64))]
    head_layers: u8,

    /// What stands between two layers of the head [default: silu]
    #[arg(long, value_name = "NAME", value_parser = activation_parser())]
    activation: Option<Activation>,

    /// Width between the layers of the head [default: the backbone's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_HIDDEN_SIZE))]
    hidden_size: Option<u32>,

    /// Leave out the biases of the head
    #[arg(long)]
    no_bias: bool,

    /// Token whose hidden state is scored: the end of the last assistant turn, or the last token
    #[arg(long, value_name = "NAME", default_value = "end_of_turn", value_parser = position_parser())]
    position: ScorePosition,

    /// Seed of the random weights
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Type of a preset's weights in the file [default: bf16]; the head is always f32
    #[arg(long, value_enum, value_name = "TYPE")]
    dtype: Option<ComputeType>,

    /// Folder whose tokenizer, chat template and image processor files are copied; needed by all presets but tiny and demo, which
    /// have their own
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
}

/// Widest head that is accepted: beyond it a number is a slip, and the weights would not fit any memory.
const MAX_HIDDEN_SIZE: i64 = 1 << 20;

fn activation_parser() -> impl TypedValueParser<Value = Activation> {
    PossibleValuesParser::new(["none", "relu", "silu", "tanh", "gelu"])
        .try_map(|name| name.parse::<Activation>())
}

fn position_parser() -> impl TypedValueParser<Value = ScorePosition> {
    PossibleValuesParser::new(["end_of_turn", "last_token"])
        .try_map(|name| name.parse::<ScorePosition>())
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let written = if is_preset(&args.backbone) {
        from_preset(args)?
    } else {
        let folder = Path::new(&args.backbone);
        if !folder.exists() {
            bail!(
                "`{}` is neither a folder nor a preset; give the folder of a Qwen2.5-VL backbone, or one of the presets {}",
                args.backbone,
                preset_list()
            );
        }
        from_folder(args, folder)?
    };
    if written.size_bytes <= ANNOUNCED_BYTES {
        store_probe_scores(&written.folder)?;
    }
    output::print(&summary(args, &written)?)?;
    Ok(Outcome::Fine)
}

pub(crate) fn is_preset(name: &str) -> bool {
    tiny::is_small(name) || preset::names().any(|preset| preset == name)
}

pub(crate) fn preset_list() -> String {
    let names: Vec<String> =
        tiny::SMALL.into_iter().chain(preset::names()).map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Stores what the new model gives, which needs it to be loaded.
fn store_probe_scores(folder: &Path) -> anyhow::Result<()> {
    let device = Device::cpu(None)?;
    let Loaded { model, processor, dtype, .. } =
        Loaded::open(folder, &device, None, Limits::default())?;
    let scores = ProbeScores::compute(&model, &processor, &device, dtype)?;
    Ok(ProbeFile::write(folder, scores)?)
}

/// Attaches a head to a copy of a backbone.
fn from_folder(args: &Args, folder: &Path) -> anyhow::Result<write::Written> {
    if args.tokenizer.is_some() {
        bail!(
            "--tokenizer belongs to presets; the backbone folder `{}` brings its own tokenizer",
            folder.display()
        );
    }
    if args.dtype.is_some() {
        bail!(
            "--dtype belongs to presets; the weights of `{}` are copied as they are (`score --dtype` chooses the type to compute in)",
            folder.display()
        );
    }
    let config = Config::read(folder)?;
    let head = head(args, &config)?;
    check_processor(folder, &config)?;
    Ok(write::attach_head(folder, &head, args.seed, &args.out)?)
}

/// Writes a model of a named size with random weights.
fn from_preset(args: &Args) -> anyhow::Result<write::Written> {
    let storage_type = match args.dtype {
        Some(ComputeType::F32) => StorageType::F32,
        Some(ComputeType::Bf16) | None => StorageType::Bf16,
    };
    let preset = RandomModel {
        preset: &args.backbone,
        side_files: args.tokenizer.as_deref(),
        seed: args.seed,
        storage_type,
        out: &args.out,
    };
    preset.write(|config| head(args, config))
}

/// A model of a named size with random weights, to be written.
pub(crate) struct RandomModel<'a> {
    pub(crate) preset: &'a str,
    /// Folder of the tokenizer and processor files; the small presets have their own.
    pub(crate) side_files: Option<&'a Path>,
    pub(crate) seed: u64,
    pub(crate) storage_type: StorageType,
    pub(crate) out: &'a Path,
}

impl RandomModel<'_> {
    /// Writes the folder, with the head that fits the preset's configuration.
    pub(crate) fn write(
        &self,
        head: impl FnOnce(&Config) -> anyhow::Result<RewardHeadConfig>,
    ) -> anyhow::Result<write::Written> {
        let embedded;
        let side_files = match self.side_files {
            Some(folder) => folder,
            None if tiny::is_small(self.preset) => {
                embedded = embedded_folder()?;
                embedded.path()
            }
            None => bail!(
                "the preset `{}` needs --tokenizer DIR: its vocabulary is too large to come with this program; give a folder that holds the tokenizer.json, tokenizer_config.json, chat template and preprocessor_config.json of a published Qwen2.5-VL",
                self.preset
            ),
        };
        let config = match preset::by_name(self.preset) {
            Some(config) => config,
            None => tiny::config_for(self.preset, side_files)?,
        };
        let head = head(&config)?;
        check_processor(side_files, &config)?;
        let Self { seed, storage_type, out, .. } = *self;
        let size_bytes = Checkpoint::random(&config, &head, seed, storage_type).size_bytes();
        if size_bytes > ANNOUNCED_BYTES {
            let size = sheet::bytes(size_bytes);
            output::complain(&format!("writing {size} of random weights to `{}`", out.display()));
        }
        Ok(write::write_random(&config, &head, seed, storage_type, Some(side_files), out)?)
    }
}

/// The tiny tokenizer as a folder, which lives as long as the value.
fn embedded_folder() -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    tiny::write_files(folder.path())
        .with_context(|| format!("cannot write to `{}`", folder.path().display()))?;
    Ok(folder)
}

fn head(args: &Args, config: &Config) -> anyhow::Result<RewardHeadConfig> {
    let single = args.head_layers == 1;
    if single && args.hidden_size.is_some() {
        bail!(
            "a head of 1 layer has no width between layers; leave out --hidden-size, or give --head-layers 2"
        );
    }
    if single && args.activation.is_some_and(|activation| activation != Activation::None) {
        bail!(
            "a head of 1 layer has no activation; leave out --activation, or give --head-layers 2"
        );
    }
    let activation = if single { Activation::None } else { Activation::Silu };
    let hidden_size = args.hidden_size.map_or(config.text.hidden_size, |size| size as usize);
    Ok(RewardHeadConfig {
        num_layers: usize::from(args.head_layers),
        activation: args.activation.unwrap_or(activation),
        hidden_size,
        bias: !args.no_bias,
        position: args.position,
    })
}

/// Refuses processor files with which the finished model could not be scored, before anything large is written.
fn check_processor(folder: &Path, config: &Config) -> anyhow::Result<()> {
    let processor = Processor::load(folder, vision_tokens(config), ProcessorOptions::default())?;
    let (tokens, rows) = (processor.vocabulary_len(), config.text.vocab_size);
    if tokens > rows {
        bail!(
            "the tokenizer in `{}` has {tokens} tokens, but the model has {rows}; use the tokenizer that belongs to the model",
            folder.display()
        );
    }
    Ok(())
}

/// What was written, and what can be done with it.
fn summary(args: &Args, written: &write::Written) -> anyhow::Result<String> {
    let config = Config::read(&written.folder)?;
    let checkpoint = Checkpoint::open(&written.folder)?;
    let head = config.reward_head.context("the written config.json has no reward head")?;
    let count = |in_head: bool| {
        let infos = checkpoint.infos().filter(|info| is_head_tensor(info.name) == in_head);
        number::count(infos.map(|info| info.shape.iter().product::<usize>() as u64).sum())
    };
    let origin = if is_preset(&args.backbone) {
        format!("all weights are random (seed {})", args.seed)
    } else {
        format!("the head is random (seed {})", args.seed)
    };
    let folder = sheet::shell_word(&written.folder);
    Ok(format!(
        "wrote {}: {} parameters and {} in the head, {} in {} files; head: {}; {origin}, so rewards mean nothing before training\n\
         next: basereward score {folder} --image PICTURE --prompt \"What is in the picture?\" --response \"A cat.\" --response \"Two cups.\"\n",
        written.folder.display(),
        count(false),
        count(true),
        sheet::bytes(written.size_bytes),
        written.files.len(),
        head_words(&head),
    ))
}

/// Whether a canonical tensor name belongs to the head and not to the backbone.
pub(crate) fn is_head_tensor(name: &str) -> bool {
    !name.starts_with("model.") && name != model::checkpoint::LM_HEAD
}

/// A head in one line.
pub(crate) fn head_words(head: &RewardHeadConfig) -> String {
    let RewardHeadConfig { num_layers, activation, hidden_size, bias, position } = head;
    let biases = if *bias { "with biases" } else { "without biases" };
    if *num_layers == 1 {
        return format!("1 layer {biases}, read at {position}");
    }
    format!(
        "{num_layers} layers {biases}, {activation} between, {hidden_size} wide, read at {position}"
    )
}
