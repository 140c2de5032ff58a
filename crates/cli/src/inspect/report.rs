//! What a model folder holds, as data: the fields and names of `inspect --json`.
//!
//! Reading is as strict as for scoring. How the facts look to people is not decided here.

use std::collections::BTreeMap;
use std::path::Path;

use model::checkpoint::{Checkpoint, LM_HEAD, TensorInfo};
use model::config::{Config, MODEL_TYPE};
use model::head_layout::{self, HeadTensors};
use model::{LoadError, vision_tokens, write};
use prompt::picture::PixelRange;
use prompt::{Processor, ProcessorOptions};
use serde::Serialize;

use super::digest;
use crate::init::is_head_tensor;

/// Everything that `inspect` says.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) folder: String,
    pub(crate) architecture: &'static str,
    pub(crate) language: Language,
    pub(crate) vision: Vision,
    pub(crate) parameters: Parameters,
    pub(crate) storage: Storage,
    /// Absent in a backbone.
    pub(crate) head: Option<Head>,
    /// Absent when the processor files cannot be used; `problem` says why.
    pub(crate) processor: Option<ProcessorFacts>,
    /// Digest of all tensors, where it was asked for.
    pub(crate) model_hash: Option<String>,
    /// What `score` would refuse.
    pub(crate) problem: Option<String>,
    /// Where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tensors: Option<Vec<TensorFacts>>,
}

/// Sizes of the language model.
#[derive(Debug, Serialize)]
pub(crate) struct Language {
    pub(crate) hidden_size: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) num_key_value_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) vocab_size: usize,
    pub(crate) max_position_embeddings: usize,
    pub(crate) rope_theta: f64,
    pub(crate) mrope_section: [usize; 3],
    pub(crate) tie_word_embeddings: bool,
}

/// Sizes of the vision tower.
#[derive(Debug, Serialize)]
pub(crate) struct Vision {
    pub(crate) hidden_size: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) depth: usize,
    pub(crate) num_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) patch_size: usize,
    pub(crate) spatial_merge_size: usize,
    pub(crate) temporal_patch_size: usize,
    pub(crate) window_size: usize,
    pub(crate) fullatt_block_indexes: Vec<usize>,
    pub(crate) tokens_per_second: f64,
}

/// Numbers in the tensors of each part.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Parameters {
    pub(crate) vision: u64,
    pub(crate) language: u64,
    /// Not needed for a reward, and never run.
    pub(crate) lm_head: u64,
    pub(crate) head: u64,
    pub(crate) total: u64,
}

/// How the tensors lie on disk.
#[derive(Debug, Serialize)]
pub(crate) struct Storage {
    pub(crate) size_bytes: u64,
    /// Number type → what is stored so.
    pub(crate) types: BTreeMap<String, TypeFacts>,
    pub(crate) files: Vec<FileFacts>,
    /// `published` (`model.*`, `visual.*`), `transformers_5` (`model.language_model.*`, `model.visual.*`) or `mixed`.
    pub(crate) naming: &'static str,
}

/// What is stored in one number type.
#[derive(Debug, Default, Serialize)]
pub(crate) struct TypeFacts {
    pub(crate) tensors: u64,
    pub(crate) size_bytes: u64,
}

/// One weight file.
#[derive(Debug, Default, Serialize)]
pub(crate) struct FileFacts {
    pub(crate) name: String,
    pub(crate) tensors: u64,
    /// Bytes of its tensors.
    pub(crate) size_bytes: u64,
}

/// The reward head.
#[derive(Debug, Serialize)]
pub(crate) struct Head {
    /// Names under which its tensors were found.
    pub(crate) layout: String,
    pub(crate) num_layers: usize,
    pub(crate) activation: String,
    pub(crate) hidden_size: usize,
    pub(crate) bias: bool,
    pub(crate) position: String,
    /// Whether config.json states activation and position; else they are the layout's usual ones.
    pub(crate) stated: bool,
    pub(crate) hash: String,
    pub(crate) tensors: Vec<Statistics>,
}

/// One tensor of the head. A statistic is null where no number is finite.
#[derive(Debug, Serialize)]
pub(crate) struct Statistics {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) stored_as: String,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) mean: Option<f64>,
    /// Standard deviation of the numbers as they are, not of a sample.
    pub(crate) std: Option<f64>,
    /// Infinities and NaNs, which the other statistics leave out.
    pub(crate) not_finite: u64,
}

/// Chat template, tokenizer and image processor.
#[derive(Debug, Serialize)]
pub(crate) struct ProcessorFacts {
    /// BLAKE3 of the template's text.
    pub(crate) chat_template_hash: String,
    pub(crate) tokenizer_vocab_size: usize,
    /// Whether the embedding table has a row for every token.
    pub(crate) vocabulary_fits: bool,
    /// Text → id.
    pub(crate) special_tokens: BTreeMap<String, u32>,
    pub(crate) image: Limits,
    /// Of each frame.
    pub(crate) video: Limits,
}

/// Bounds on a picture.
#[derive(Debug, Serialize)]
pub(crate) struct Limits {
    pub(crate) min_pixels: u64,
    pub(crate) max_pixels: u64,
    pub(crate) min_tokens: u64,
    pub(crate) max_tokens: u64,
}

/// One tensor of the folder.
#[derive(Debug, Serialize)]
pub(crate) struct TensorFacts {
    pub(crate) name: String,
    pub(crate) original_name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) stored_as: String,
    pub(crate) size_bytes: u64,
    pub(crate) file: String,
}

/// What a report holds besides what is always there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The digest of all tensors, for which all of them are read.
    pub(crate) model_hash: bool,
    /// The list of all tensors.
    pub(crate) tensors: bool,
}

impl Report {
    /// Reads a folder strictly.
    ///
    /// # Errors
    /// Whatever `score` would refuse in config.json and in the tensors, but for a head that is not there at all.
    pub(crate) fn read(folder: &Path, wanted: Wanted) -> Result<Self, LoadError> {
        let config = Config::read(folder)?;
        let checkpoint = Checkpoint::open(folder)?;
        let head = match head_layout::detect(&checkpoint)? {
            Some(_) => Some(head_layout::read(&checkpoint, &config)?),
            None => None,
        };
        write::check_backbone(&checkpoint, &config)?;
        let (processor, problem) = match read_processor(folder, &config) {
            Ok(facts) => (Some(facts), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let model_hash =
            wanted.model_hash.then(|| digest::of_tensors(&checkpoint, |_| true)).transpose()?;
        Ok(Self {
            folder: folder.display().to_string(),
            architecture: MODEL_TYPE,
            language: language(&config),
            vision: vision(&config),
            parameters: parameters(&checkpoint),
            storage: storage(&checkpoint),
            head: head.map(|head| head_facts(&checkpoint, &config, &head)).transpose()?,
            processor,
            model_hash,
            problem,
            tensors: wanted.tensors.then(|| checkpoint.infos().map(tensor_facts).collect()),
        })
    }
}

fn language(config: &Config) -> Language {
    let text = &config.text;
    Language {
        hidden_size: text.hidden_size,
        intermediate_size: text.intermediate_size,
        num_hidden_layers: text.num_hidden_layers,
        num_attention_heads: text.num_attention_heads,
        num_key_value_heads: text.num_key_value_heads,
        head_dim: text.head_dim,
        vocab_size: text.vocab_size,
        max_position_embeddings: text.max_position_embeddings,
        rope_theta: text.rope_theta,
        mrope_section: text.mrope_section,
        tie_word_embeddings: config.tie_word_embeddings,
    }
}

fn vision(config: &Config) -> Vision {
    let vision = &config.vision;
    Vision {
        hidden_size: vision.hidden_size,
        intermediate_size: vision.intermediate_size,
        depth: vision.depth,
        num_heads: vision.num_heads,
        head_dim: vision.head_dim(),
        patch_size: vision.patch_size,
        spatial_merge_size: vision.spatial_merge_size,
        temporal_patch_size: vision.temporal_patch_size,
        window_size: vision.window_size,
        fullatt_block_indexes: vision.fullatt_block_indexes.clone(),
        tokens_per_second: vision.tokens_per_second,
    }
}

fn num_elements(shape: &[usize]) -> u64 {
    shape.iter().product::<usize>() as u64
}

fn parameters(checkpoint: &Checkpoint) -> Parameters {
    let mut parameters = Parameters::default();
    for info in checkpoint.infos() {
        let count = num_elements(info.shape);
        let part = match info.name {
            name if name.starts_with("model.visual.") => &mut parameters.vision,
            name if name.starts_with("model.") => &mut parameters.language,
            LM_HEAD => &mut parameters.lm_head,
            _ => &mut parameters.head,
        };
        *part += count;
        parameters.total += count;
    }
    parameters
}

fn storage(checkpoint: &Checkpoint) -> Storage {
    let mut types: BTreeMap<String, TypeFacts> = BTreeMap::new();
    let mut files: Vec<FileFacts> = checkpoint
        .files()
        .map(|file| FileFacts { name: file_name(Some(file)), ..FileFacts::default() })
        .collect();
    for info in checkpoint.infos() {
        let stored = types.entry(info.stored_as.to_owned()).or_default();
        stored.tensors += 1;
        stored.size_bytes += info.size_bytes;
        let name = file_name(info.file);
        if let Some(file) = files.iter_mut().find(|file| file.name == name) {
            file.tensors += 1;
            file.size_bytes += info.size_bytes;
        }
    }
    Storage { size_bytes: checkpoint.size_bytes(), types, files, naming: naming(checkpoint) }
}

fn naming(checkpoint: &Checkpoint) -> &'static str {
    let mut backbone = checkpoint.infos().filter(|info| info.name.starts_with("model."));
    let canonical = |info: TensorInfo<'_>| info.name == info.original_name;
    match backbone.next().map(canonical) {
        Some(first) if backbone.any(|info| canonical(info) != first) => "mixed",
        Some(true) => "transformers_5",
        _ => "published",
    }
}

fn file_name(file: Option<&Path>) -> String {
    file.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
}

fn head_facts(
    checkpoint: &Checkpoint,
    config: &Config,
    head: &HeadTensors,
) -> Result<Head, LoadError> {
    let shape = head.config();
    let mut tensors = checkpoint
        .infos()
        .filter(|info| is_head_tensor(info.name))
        .map(|info| {
            let numbers = checkpoint.tensor(info.name, info.shape)?.to_f32();
            Ok(statistics(&info, &numbers))
        })
        .collect::<Result<Vec<_>, LoadError>>()?;
    tensors.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(Head {
        layout: head.source_layout.to_string(),
        num_layers: shape.num_layers,
        activation: shape.activation.to_string(),
        hidden_size: shape.hidden_size,
        bias: shape.bias,
        position: shape.position.to_string(),
        stated: config.reward_head.is_some(),
        hash: digest::of_tensors(checkpoint, is_head_tensor)?,
        tensors,
    })
}

fn statistics(info: &TensorInfo<'_>, numbers: &[f32]) -> Statistics {
    let finite = || numbers.iter().filter(|number| number.is_finite()).map(|&it| f64::from(it));
    let count = finite().count();
    let some = |statistic: f64| (count > 0).then_some(statistic);
    let mean = finite().sum::<f64>() / count as f64;
    let variance = finite().map(|number| (number - mean).powi(2)).sum::<f64>() / count as f64;
    Statistics {
        name: info.name.to_owned(),
        shape: info.shape.to_vec(),
        stored_as: info.stored_as.to_owned(),
        min: finite().reduce(f64::min),
        max: finite().reduce(f64::max),
        mean: some(mean),
        std: some(variance.sqrt()),
        not_finite: (numbers.len() - count) as u64,
    }
}

fn read_processor(folder: &Path, config: &Config) -> Result<ProcessorFacts, prompt::LoadError> {
    let tokens = vision_tokens(config);
    let processor = Processor::load(folder, tokens, ProcessorOptions::default())?;
    let side = (tokens.patch_size * tokens.spatial_merge_size) as u64;
    let limits = |PixelRange { min_pixels, max_pixels }| Limits {
        min_pixels,
        max_pixels,
        min_tokens: u64::div_ceil(min_pixels, side * side),
        max_tokens: max_pixels / (side * side),
    };
    Ok(ProcessorFacts {
        chat_template_hash: processor.template_hash().to_owned(),
        tokenizer_vocab_size: processor.vocabulary_len(),
        vocabulary_fits: processor.vocabulary_len() <= config.text.vocab_size,
        special_tokens: processor.special_tokens().into_iter().collect(),
        image: limits(processor.image_range()),
        video: limits(processor.video_range()),
    })
}

fn tensor_facts(info: TensorInfo<'_>) -> TensorFacts {
    TensorFacts {
        name: info.name.to_owned(),
        original_name: info.original_name.to_owned(),
        shape: info.shape.to_vec(),
        stored_as: info.stored_as.to_owned(),
        size_bytes: info.size_bytes,
        file: file_name(info.file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> TensorInfo<'static> {
        TensorInfo {
            name: "score.weight",
            original_name: "score.weight",
            shape: &[1, 4],
            stored_as: "F32",
            file: None,
            size_bytes: 16,
        }
    }

    #[test]
    fn statistics_are_those_of_the_finite_numbers_and_count_the_others() {
        let found = statistics(&info(), &[1.0, 3.0, f32::NAN, f32::INFINITY]);
        assert_eq!((found.min, found.max), (Some(1.0), Some(3.0)));
        assert_eq!((found.mean, found.std), (Some(2.0), Some(1.0)));
        assert_eq!(found.not_finite, 2);
    }

    #[test]
    fn a_tensor_without_a_finite_number_has_no_statistics() {
        let found = statistics(&info(), &[f32::NAN; 4]);
        assert_eq!((found.min, found.mean, found.std), (None, None, None));
        assert_eq!(found.not_finite, 4);
    }
}
