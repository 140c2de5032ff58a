//! A model with its processor, loaded for a command.

use anyhow::bail;
use engine::{DType, Device};
use model::checkpoint::{Checkpoint, StorageType};
use model::config::Config;
use model::{RewardModel, vision_tokens};
use prompt::{Processor, ProcessorOptions};
use std::path::Path;

use crate::arguments::ComputeType;

/// The files of a folder that decide over scores besides the weights.
const TEXT_FILES: [&str; 8] = [
    model::config::CONFIG_FILE,
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
];

/// Everything that scoring needs.
pub(crate) struct Loaded {
    pub(crate) model: RewardModel,
    pub(crate) processor: Processor,
    pub(crate) dtype: DType,
    /// Hash of the text files, the list of tensors and the small tensors: tells models apart without reading gigabytes.
    pub(crate) fingerprint: String,
}

/// What the caller limits or replaces.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) max_pixels: Option<u64>,
    pub(crate) max_tokens: Option<usize>,
    /// Most pixels that are decoded of one picture.
    pub(crate) decoded_pixels: Option<u64>,
}

impl Loaded {
    /// Loads a folder; without a type, the one that its weights are stored in.
    pub(crate) fn open(
        folder: &Path,
        device: &Device,
        dtype: Option<ComputeType>,
        limits: Limits,
    ) -> anyhow::Result<Self> {
        let config = Config::read(folder)?;
        let limit = config.text.max_position_embeddings;
        let defaults = ProcessorOptions::default();
        let options = ProcessorOptions {
            max_pixels: limits.max_pixels,
            max_tokens: Some(limits.max_tokens.map_or(limit, |tokens| tokens.min(limit))),
            max_decoded_pixels: limits.decoded_pixels.unwrap_or(defaults.max_decoded_pixels),
            ..defaults
        };
        // Before the weights: a missing tokenizer should not cost the loading of gigabytes.
        let processor = Processor::load(folder, vision_tokens(&config), options)?;
        let (tokens, rows) = (processor.vocabulary_len(), config.text.vocab_size);
        if tokens > rows {
            bail!(
                "the tokenizer.json in `{}` has {tokens} tokens, but the model's embedding table has {rows}; \
                 it belongs to another model",
                folder.display()
            );
        }
        let checkpoint = Checkpoint::open(folder)?;
        let dtype = dtype.map_or_else(|| stored_type(&checkpoint), ComputeType::dtype);
        let fingerprint = fingerprint(folder, &checkpoint)?;
        let model = RewardModel::load(folder, device, dtype)?;
        Ok(Self { model, processor, dtype, fingerprint })
    }
}

/// The compute type that fits what is stored: bf16 for bf16 files, f32 for the others.
pub(crate) fn stored_type(checkpoint: &Checkpoint) -> DType {
    let bf16 = StorageType::Bf16.name();
    let largest = checkpoint.infos().max_by_key(|info| info.size_bytes);
    if largest.is_some_and(|info| info.stored_as == bf16) { DType::Bf16 } else { DType::F32 }
}

fn fingerprint(folder: &Path, checkpoint: &Checkpoint) -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for name in TEXT_FILES {
        // Which of them there are has been checked; one that is absent is a difference, too.
        let bytes = std::fs::read(folder.join(name)).unwrap_or_default();
        hasher.update(name.as_bytes()).update(blake3::hash(&bytes).as_bytes());
    }
    for info in checkpoint.infos() {
        hasher.update(format!("{} {:?} {}\n", info.name, info.shape, info.stored_as).as_bytes());
        // Small tensors tell apart two trainings of one architecture without reading gigabytes.
        if info.size_bytes <= 1 << 16 {
            for value in checkpoint.tensor(info.name, info.shape)?.to_f32() {
                hasher.update(&value.to_le_bytes());
            }
        }
    }
    Ok(hasher.finalize().to_hex()[..32].to_owned())
}
