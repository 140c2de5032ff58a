//! A recipe: everything that decides a run, as plain data, with its defaults.
//!
//! Reading, overriding and checking stand in the files beside this one; nothing is loaded or run here. Paths are relative to
//! the working directory. Choices are externally tagged tables, such as `[schedule.cosine]`; unknown keys are refused.

mod check;
mod difference;
mod options;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::difference::{CHANGEABLE_KEYS, changed_keys};
pub use self::options::PartRates;
pub use ::recipe::{Place, RecipeError};

/// Everything that decides a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Where the weights to begin with come from.
    pub model: ModelRecipe,
    /// What is trained on.
    pub data: DataRecipe,
    /// What is minimized. Default: plain Bradley–Terry over all pairs.
    #[serde(default)]
    pub loss: LossRecipe,
    /// Which parts are trained, and how fast.
    #[serde(default)]
    pub trainable: TrainableRecipe,
    /// Low-rank training of the linear layers in place of all their elements. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraRecipe>,
    /// How weights follow gradients.
    pub optimizer: OptimizerRecipe,
    /// Course of the learning rate. Default: `[schedule.constant]` without warm-up.
    #[serde(default)]
    pub schedule: ScheduleRecipe,
    /// Length, batches, cadence and place of the run.
    pub run: RunRecipe,
}

impl Recipe {
    /// Reads a file and applies overrides of the form `key.of.a.value=value`.
    ///
    /// # Errors
    /// A file that cannot be read or is not TOML, an unknown, missing or impossible key, with its line and a mark under it.
    pub fn read(file: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        ::recipe::read(file, overrides)
    }

    /// The same for a text; `file` is its name in errors.
    ///
    /// # Errors
    /// As [`Recipe::read`].
    pub fn parse(file: &Path, text: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        ::recipe::parse(file, text, overrides)
    }

    /// The recipe as TOML, with every default written out.
    pub fn to_toml(&self) -> String {
        ::recipe::to_toml(self)
    }

    /// BLAKE3 hash of [`Recipe::to_toml`], in hexadecimal.
    pub fn hash(&self) -> String {
        ::recipe::hash(self)
    }
}

/// Where the weights to begin with come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelRecipe {
    /// A model folder.
    Folder(FolderModel),
    /// Random weights for a named size.
    Random(RandomModel),
}

/// A Hugging Face folder: a reward model, or a backbone that gets a fresh head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderModel {
    /// The folder.
    pub path: PathBuf,
    /// The fresh head; only for a folder without one. Default: none, the folder has its head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<HeadRecipe>,
}

/// Random weights for a named size. They depend on the seed of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomModel {
    /// Name of the size, as `basereward init` takes it.
    pub preset: String,
    /// Folder with tokenizer, chat template and image processor files. Default: none, for a preset with its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<PathBuf>,
    /// The head. Default: two layers with SiLU between.
    #[serde(default)]
    pub head: HeadRecipe,
}

/// A fresh reward head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeadRecipe {
    /// Number of linear layers. Default: 2.
    pub num_layers: usize,
    /// What stands between two layers: `none`, `relu`, `silu`, `tanh` or `gelu`. Default: `silu`.
    pub activation: String,
    /// Width between the layers. Default: the backbone's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_size: Option<usize>,
    /// Whether the layers have biases. Default: true.
    pub bias: bool,
    /// Token whose hidden state is scored: `end_of_turn` or `last_token`. Default: `end_of_turn`.
    pub position: String,
}

impl Default for HeadRecipe {
    fn default() -> Self {
        Self {
            num_layers: 2,
            activation: "silu".to_owned(),
            hidden_size: None,
            bias: true,
            position: "end_of_turn".to_owned(),
        }
    }
}

/// What is trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    /// Files or folders of comparisons.
    pub train: Vec<PathBuf>,
    /// Files or folders of held-out comparisons. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validation: Vec<PathBuf>,
    /// Share of the training comparisons that is held out instead, chosen by picture. Default: 0.
    #[serde(default)]
    pub validation_fraction: f64,
    /// Most held-out comparisons that are judged at a time. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_validation_comparisons: Option<usize>,
    /// Whether rows are drawn in a random order, a new one for each epoch. In the order of the files, data can be a curriculum.
    /// Default: true.
    #[serde(default = "default_shuffle")]
    pub shuffle: bool,
    /// Whether neighboring rows about the same pictures stay neighbors when rows are shuffled, so that a picture with several
    /// questions is computed once. Needs a pass over the files first. Default: false.
    #[serde(default)]
    pub keep_pictures_together: bool,
    /// Longest conversation, in tokens. Default: 4096.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: usize,
    /// What happens to a comparison with a longer conversation. Default: `error`.
    #[serde(default)]
    pub over_long: OverLong,
    /// What happens to a row that cannot be read or encoded. Default: `error`.
    #[serde(default)]
    pub bad_row: BadRow,
    /// Most pixels of a resized picture. Default: the model folder's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u64>,
    /// Least pixels of a resized picture. Default: the model folder's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_pixels: Option<u64>,
}

fn default_shuffle() -> bool {
    true
}

fn default_max_tokens() -> usize {
    4096
}

/// What happens to a comparison with a conversation over the limit. Picture tokens are never cut, and neither is text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverLong {
    /// The run stops and names it.
    #[default]
    Error,
    /// It is left out and listed in `skipped.jsonl`.
    Skip,
    /// Its pictures are made smaller until it fits, and listed; if it cannot fit, it is left out and listed.
    ShrinkImage,
}

/// What happens to a row that cannot be read or encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadRow {
    /// The run stops and names it.
    #[default]
    Error,
    /// It is left out and listed in `skipped.jsonl`.
    Skip,
}

/// What is minimized.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossRecipe {
    /// How the responses of one comparison are set against each other. Default: `all_pairs`.
    pub objective: ObjectiveRecipe,
    /// Factor before the margin that a row states. Default: 0.
    pub margin_coefficient: f64,
    /// `lambda` of `lambda · mean((r_chosen + r_rejected)²)`. Default: 0.
    pub zero_coefficient: f64,
    /// Whether rewards are divided by `ln(response tokens + 1)`. Default: false.
    pub length_normalization: bool,
    /// Probability that a label is taken to be flipped. Default: 0.
    pub label_smoothing: f64,
}

/// How the responses of one comparison are set against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectiveRecipe {
    /// Bradley–Terry, the mean over all pairs.
    #[default]
    AllPairs,
    /// Plackett–Luce.
    PlackettLuce,
}

/// Which parts are trained. A part with a table of its own is trained unless the table says `frozen = true`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainableRecipe {
    /// The vision tower without its merger. Default: frozen.
    pub vision: PartRecipe,
    /// The layers that bring picture patches to the language model. Default: frozen.
    pub merger: PartRecipe,
    /// The language model with its embeddings. Default: trained.
    pub language: PartRecipe,
    /// The reward head. Always trained.
    pub head: PartRecipe,
}

impl Default for TrainableRecipe {
    fn default() -> Self {
        let frozen = PartRecipe { frozen: true, ..PartRecipe::default() };
        Self {
            vision: frozen.clone(),
            merger: frozen,
            language: PartRecipe::default(),
            head: PartRecipe::default(),
        }
    }
}

/// How one part is trained.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PartRecipe {
    /// Whether the part stays as it is. Default: false.
    pub frozen: bool,
    /// Peak learning rate of this part. Default: the optimizer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
}

/// Low-rank training. The addition to a weight is `alpha / rank · B · A`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraRecipe {
    /// Rank of the additions.
    pub rank: usize,
    /// Strength of the additions. Default: twice the rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Last names of the linear layers, wherever they stand in a part that is trained. Default: those of the
    /// language model's layers, of which the vision part has gate, up and down as well.
    #[serde(default = "default_lora_targets")]
    pub targets: Vec<String>,
}

fn default_lora_targets() -> Vec<String> {
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        .map(str::to_owned)
        .to_vec()
}

/// How weights follow gradients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerRecipe {
    /// `AdamW`.
    Adamw(AdamWRecipe),
}

/// Settings of `AdamW`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamWRecipe {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decay of the running mean of gradients. Default: 0.9.
    #[serde(default = "default_beta1")]
    pub beta1: f64,
    /// Decay of the running mean of squared gradients. Default: 0.999.
    #[serde(default = "default_beta2")]
    pub beta2: f64,
    /// Added to the root of the second mean. Default: 1e-8.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// Decoupled decay of matrices; vectors never decay. Default: 0.
    #[serde(default)]
    pub weight_decay: f64,
    /// Largest norm of all gradients together; 0 turns clipping off. Default: 1.
    #[serde(default = "default_max_gradient_norm")]
    pub max_gradient_norm: f64,
}

fn default_beta1() -> f64 {
    0.9
}

fn default_beta2() -> f64 {
    0.999
}

fn default_epsilon() -> f64 {
    1e-8
}

fn default_max_gradient_norm() -> f64 {
    1.0
}

/// Course of the learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleRecipe {
    /// Stays at its peak after the warm-up.
    Constant(WarmupRecipe),
    /// Falls in a straight line.
    Linear(DecayRecipe),
    /// Falls along half a cosine.
    Cosine(DecayRecipe),
}

impl Default for ScheduleRecipe {
    fn default() -> Self {
        Self::Constant(WarmupRecipe::default())
    }
}

/// A warm-up without decay.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WarmupRecipe {
    /// Share of the run in which the rate rises to its peak, rounded up to whole steps. Default: 0.
    pub warmup_fraction: f64,
}

/// A warm-up and a decay.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecayRecipe {
    /// Share of the run in which the rate rises to its peak, rounded up to whole steps. Default: 0.
    pub warmup_fraction: f64,
    /// Share of the peak that the rate falls to. Default: 0.
    pub floor: f64,
}

/// Length, batches, cadence and place of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecipe {
    /// Folder of the run; it must not exist, or be empty.
    pub output: PathBuf,
    /// Seed of everything random. Default: 0.
    #[serde(default)]
    pub seed: u64,
    /// Length in steps. Either this or `epochs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Length in passes over the training comparisons, rounded up to whole steps. Either this or `steps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Comparisons whose mean loss makes one step.
    pub comparisons_per_step: usize,
    /// Packed rows that are computed together; what responses share counts once. Memory grows with it. A larger comparison
    /// is computed alone. Default: 8192.
    #[serde(default = "default_tokens_per_batch")]
    pub tokens_per_batch: usize,
    /// Which activations are computed again in the backward pass instead of kept. Default: `nothing`.
    #[serde(default)]
    pub recompute: RecomputeRecipe,
    /// Type of weights and activations in products; master weights, gradients and optimizer state are f32. Default: `bf16`.
    #[serde(default)]
    pub compute_type: ComputeType,
    /// Steps between judgments of the held-out comparisons; there is always one at the end. Default: 0, only then.
    #[serde(default)]
    pub evaluate_every_steps: u64,
    /// Steps between checkpoints; there is always one at the end. Default: 0, only then.
    #[serde(default)]
    pub save_every_steps: u64,
    /// Newest checkpoints that are kept, besides the best. Default: 2.
    #[serde(default = "default_keep_last")]
    pub keep_last_checkpoints: usize,
    /// Steps whose comparisons are read and encoded ahead. Default: 2.
    #[serde(default = "default_prefetch_steps")]
    pub prefetch_steps: usize,
}

fn default_tokens_per_batch() -> usize {
    8192
}

fn default_keep_last() -> usize {
    2
}

fn default_prefetch_steps() -> usize {
    2
}

/// Which activations are computed again in the backward pass. No bit of a gradient depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecomputeRecipe {
    /// None.
    #[default]
    Nothing,
    /// Those inside of layers; the input of each layer is kept.
    Layers,
    /// Inputs of layers, too, but for that of the first layer of each group.
    Groups,
}

/// Type of weights and activations in products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeType {
    /// Single precision.
    F32,
    /// Half of it.
    #[default]
    Bf16,
}

#[cfg(test)]
mod tests;
