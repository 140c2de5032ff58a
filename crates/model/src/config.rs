//! The shape of a Qwen2.5-VL reward model as plain data, and its config.json.
//!
//! Only what the forward pass needs is kept. The score head's block `reward_head` is ours; every
//! other key has its Hugging Face name. Building the model from these values is not done here.
//!
//! # Source
//! `configuration_qwen2_5_vl.py` of transformers 5.23.0.

mod read;
mod section;

use std::{fmt, path::Path, str::FromStr};

use serde_json::{Map, Value, json};

use crate::{checkpoint::StorageType, error::LoadError};

/// `model_type` of the one architecture that is read and written.
pub const MODEL_TYPE: &str = "qwen2_5_vl";
/// File name of the configuration in a model folder.
pub const CONFIG_FILE: &str = "config.json";
/// Most layers that a reward head can have.
pub const MAX_HEAD_LAYERS: usize = 5;
/// Epsilon of every norm in the vision tower, where no config key names it.
pub const VISION_RMS_NORM_EPS: f32 = 1e-6;
/// Standard deviation of freshly made matrices, the `initializer_range` of every published config.
pub const INITIALIZER_RANGE: f32 = 0.02;

/// A whole reward model: language model, vision tower, special tokens and head.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The language model.
    pub text: TextConfig,
    /// The vision tower.
    pub vision: VisionConfig,
    /// Token that stands for one merged image patch.
    pub image_token_id: u32,
    /// Token that stands for one merged video patch.
    pub video_token_id: u32,
    /// Token before the first patch of an image or a video.
    pub vision_start_token_id: u32,
    /// Token after the last patch of an image or a video.
    pub vision_end_token_id: u32,
    /// Standard deviation of freshly made matrices.
    pub initializer_range: f32,
    /// Whether the language-model head is the embedding table. The head is never run, so this only
    /// says whether `lm_head.weight` is to be expected.
    pub tie_word_embeddings: bool,
    /// The `reward_head` block; absent in backbones and in public reward models.
    pub reward_head: Option<RewardHeadConfig>,
    /// Number of outputs that the folder claims (`num_labels`, or the length of `id2label`).
    pub num_labels: Option<usize>,
}

/// The language model. Attention biases are on for queries, keys and values, and off elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside of the feed-forward block.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads.
    pub num_key_value_heads: usize,
    /// Width of one head: `hidden_size / num_attention_heads`.
    pub head_dim: usize,
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Epsilon of every norm in the language model.
    pub rms_norm_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How many of the `head_dim / 2` frequencies follow the time, height and width position.
    pub mrope_section: [usize; 3],
    /// Longest conversation in tokens.
    pub max_position_embeddings: usize,
}

/// The vision tower and its merger.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// Number of blocks.
    pub depth: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside of the feed-forward block.
    pub intermediate_size: usize,
    /// Number of attention heads.
    pub num_heads: usize,
    /// Color channels.
    pub in_channels: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Side in patches of the square that becomes one token.
    pub spatial_merge_size: usize,
    /// Frames in a patch.
    pub temporal_patch_size: usize,
    /// Side of an attention window in pixels.
    pub window_size: usize,
    /// Width of a merged token, the language model's `hidden_size`.
    pub out_hidden_size: usize,
    /// Blocks that attend over the whole frame and not inside of windows.
    pub fullatt_block_indexes: Vec<usize>,
    /// Time positions in one second of video.
    pub tokens_per_second: f64,
}

impl VisionConfig {
    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// Numbers in one patch: channels × frames × height × width.
    pub fn patch_features(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// Patches that become one token.
    pub fn merge_unit(&self) -> usize {
        self.spatial_merge_size * self.spatial_merge_size
    }

    /// Side of an attention window in merged tokens.
    pub fn window_tokens(&self) -> usize {
        self.window_size / self.spatial_merge_size / self.patch_size
    }
}

/// The reward head: `num_layers` linear layers with one activation between each two.
///
/// The first layer reads the backbone's hidden state, the layers between are `hidden_size` wide,
/// and the last gives one number. There is no activation after the last layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RewardHeadConfig {
    /// Number of linear layers, 1 to [`MAX_HEAD_LAYERS`].
    pub num_layers: usize,
    /// What stands between two layers.
    pub activation: Activation,
    /// Width of the layers between; means nothing for one layer.
    pub hidden_size: usize,
    /// Whether the layers have biases.
    pub bias: bool,
    /// Which token's hidden state is scored.
    pub position: ScorePosition,
}

/// What stands between two layers of a reward head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing: the layers compose to one linear map.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// The exact form with the error function, as `torch.nn.GELU()`.
    Gelu,
}

/// Which token's hidden state is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScorePosition {
    /// The `<|im_end|>` of the last assistant turn.
    EndOfTurn,
    /// The last token of the rendered conversation.
    LastToken,
}

/// Names of all activations, as they stand in config.json.
const ACTIVATIONS: [(&str, Activation); 5] = [
    ("none", Activation::None),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("tanh", Activation::Tanh),
    ("gelu", Activation::Gelu),
];

/// Names of all score positions, as they stand in config.json.
const POSITIONS: [(&str, ScorePosition); 2] =
    [("end_of_turn", ScorePosition::EndOfTurn), ("last_token", ScorePosition::LastToken)];

/// A word that is not one of those that may stand in a place.
#[derive(Debug, thiserror::Error)]
#[error("`{found}` is not one of {known}")]
pub struct UnknownName {
    /// The word.
    found: String,
    /// The words that may stand there.
    known: String,
}

fn by_name<T: Copy>(table: &[(&'static str, T)], name: &str) -> Result<T, UnknownName> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = table.iter().map(|(known, _)| *known).collect();
        UnknownName { found: name.to_owned(), known: known.join(", ") }
    })
}

fn name_of<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, known)| known == value).expect("the table lists every variant").0
}

impl FromStr for Activation {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        by_name(&ACTIVATIONS, name)
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(name_of(&ACTIVATIONS, self))
    }
}

impl FromStr for ScorePosition {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        by_name(&POSITIONS, name)
    }
}

impl fmt::Display for ScorePosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(name_of(&POSITIONS, self))
    }
}

impl RewardHeadConfig {
    /// The shape of each linear layer, `[out, in]`, from the backbone's width to one number.
    pub fn layer_shapes(&self, backbone_hidden_size: usize) -> Vec<[usize; 2]> {
        (0..self.num_layers)
            .map(|layer_idx| {
                let inputs = if layer_idx == 0 { backbone_hidden_size } else { self.hidden_size };
                let outputs = if layer_idx + 1 == self.num_layers { 1 } else { self.hidden_size };
                [outputs, inputs]
            })
            .collect()
    }

    /// The block as it stands in config.json.
    pub fn to_json(&self) -> Value {
        json!({
            "num_layers": self.num_layers,
            "activation": self.activation.to_string(),
            "hidden_size": self.hidden_size,
            "bias": self.bias,
            "position": self.position.to_string(),
        })
    }
}

impl Config {
    /// Reads `config.json` of a model folder.
    ///
    /// Both the published form (text keys at the top level, `rope_scaling`) and the form of
    /// transformers 5 (`text_config`, `rope_parameters`) are read. Keys of Hugging Face that do not
    /// change the forward pass are ignored. Keys for which some published Qwen2.5-VL relies on the
    /// class default of transformers have that default: in the vision tower `depth`, `num_heads`,
    /// `in_channels`, `patch_size`, `spatial_merge_size`, `temporal_patch_size`, `window_size`,
    /// `fullatt_block_indexes`; everywhere `hidden_act`, the four token ids and
    /// `tie_word_embeddings`. All others must be there.
    ///
    /// # Errors
    /// A missing folder or file, broken JSON, a missing or wrong key, another architecture, or a
    /// setting that is not implemented (sliding window, scaled rotary positions, quantization).
    pub fn read(folder: &Path) -> Result<Self, LoadError> {
        let value = read_json(folder, CONFIG_FILE)?;
        Self::from_json(&folder.join(CONFIG_FILE), &value)
    }

    /// Takes the configuration from parsed JSON; `file` is only named in errors.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn from_json(file: &Path, value: &Value) -> Result<Self, LoadError> {
        read::config(file, value)
    }

    /// The published form of config.json, with the head's block and the head's task.
    pub fn to_json(&self, storage_type: StorageType) -> Value {
        let Self { text, vision, .. } = self;
        let mut root = json!({
            "architectures": ["Qwen2_5_VLForConditionalGeneration"],
            "model_type": MODEL_TYPE,
            "hidden_act": "silu",
            "hidden_size": text.hidden_size,
            "initializer_range": decimal(self.initializer_range),
            "intermediate_size": text.intermediate_size,
            "max_position_embeddings": text.max_position_embeddings,
            "num_attention_heads": text.num_attention_heads,
            "num_hidden_layers": text.num_hidden_layers,
            "num_key_value_heads": text.num_key_value_heads,
            "rms_norm_eps": decimal(text.rms_norm_eps),
            "rope_scaling": { "type": "mrope", "mrope_section": text.mrope_section },
            "rope_theta": text.rope_theta,
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": storage_type.torch_name(),
            "use_sliding_window": false,
            "vocab_size": text.vocab_size,
            "image_token_id": self.image_token_id,
            "video_token_id": self.video_token_id,
            "vision_start_token_id": self.vision_start_token_id,
            "vision_end_token_id": self.vision_end_token_id,
            "vision_config": vision_json(vision),
        });
        if let (Some(head), Some(root)) = (&self.reward_head, root.as_object_mut()) {
            insert_reward_head(root, head);
        }
        root
    }
}

/// Adds the head's block and task to the root object of a config.json.
pub(crate) fn insert_reward_head(root: &mut Map<String, Value>, head: &RewardHeadConfig) {
    root.remove("id2label");
    root.remove("label2id");
    root.insert("num_labels".to_owned(), json!(1));
    root.insert("problem_type".to_owned(), json!("regression"));
    root.insert("reward_head".to_owned(), head.to_json());
}

/// Reads and parses one JSON file of a model folder.
///
/// # Errors
/// A missing folder, an unreadable file or broken JSON, with its place.
pub(crate) fn read_json(folder: &Path, name: &str) -> Result<Value, LoadError> {
    require_folder(folder)?;
    let file = folder.join(name);
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(source) => return Err(LoadError::Read { file, source }),
    };
    serde_json::from_slice(&text).map_err(|error| LoadError::Json {
        line: error.line(),
        column: error.column(),
        reason: reason_without_place(&error),
        file,
    })
}

/// Refuses a model path that is not a folder.
pub(crate) fn require_folder(folder: &Path) -> Result<(), LoadError> {
    match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(LoadError::NotAFolder { folder: folder.to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(LoadError::FolderNotFound { folder: folder.to_owned() })
        }
        Err(source) => Err(LoadError::Read { file: folder.to_owned(), source }),
    }
}

/// The parser's reason without the place, which its sentence repeats at the end.
fn reason_without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn vision_json(vision: &VisionConfig) -> Value {
    json!({
        "model_type": MODEL_TYPE,
        "depth": vision.depth,
        "hidden_act": "silu",
        "hidden_size": vision.hidden_size,
        "intermediate_size": vision.intermediate_size,
        "num_heads": vision.num_heads,
        "in_channels": vision.in_channels,
        "in_chans": vision.in_channels,
        "out_hidden_size": vision.out_hidden_size,
        "patch_size": vision.patch_size,
        "spatial_merge_size": vision.spatial_merge_size,
        "spatial_patch_size": vision.patch_size,
        "window_size": vision.window_size,
        "fullatt_block_indexes": vision.fullatt_block_indexes,
        "tokens_per_second": whole_or_fraction(vision.tokens_per_second),
        "temporal_patch_size": vision.temporal_patch_size,
    })
}

/// The shortest decimal that reads back as the same f32, where a cast to f64 would show its tail.
fn decimal(value: f32) -> Value {
    json!(value.to_string().parse::<f64>().expect("a finite f32 prints as a decimal number"))
}

/// A whole number without `.0`, because transformers declares `tokens_per_second` as `int`.
fn whole_or_fraction(value: f64) -> Value {
    if value.fract() == 0.0 { json!(value as u64) } else { json!(value) }
}

#[cfg(test)]
mod tests;
