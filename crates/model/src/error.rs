//! What can go wrong when a model folder is read or written.
//!
//! Every variant is one fact with the values that prove it, and its sentence says what to do.
//! Errors of scoring (images, prompts, lengths) are not here.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why a model folder could not be read.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The path does not exist.
    #[error("model folder `{}` does not exist; give the path of a Hugging Face folder with config.json and safetensors", folder.display())]
    FolderNotFound {
        /// The path as given.
        folder: PathBuf,
    },
    /// The path is a file.
    #[error("`{}` is not a folder; give the folder that holds config.json and the safetensors files", folder.display())]
    NotAFolder {
        /// The path as given.
        folder: PathBuf,
    },
    /// The operating system refused to read a file.
    #[error("cannot read `{}`: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A JSON file does not parse.
    #[error("`{}` is not valid JSON at line {line}, column {column}: {reason}", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
        /// What the parser says.
        reason: String,
    },

    /// A key that the model needs is absent.
    #[error("`{}` lacks the key `{key}`; copy it from the published config.json of the backbone", file.display())]
    MissingConfigKey {
        /// The config file.
        file: PathBuf,
        /// Dotted key.
        key: String,
    },
    /// A key that is not ours to ignore.
    #[error("`{}` has the unknown key `{key}`; known here are {known}", file.display())]
    UnknownConfigKey {
        /// The config file.
        file: PathBuf,
        /// Dotted key.
        key: String,
        /// The keys that may stand there.
        known: String,
    },
    /// A key has a value of the wrong kind.
    #[error("`{}`: `{key}` is `{found}`, expected {expected}", file.display())]
    InvalidConfigValue {
        /// The config file.
        file: PathBuf,
        /// Dotted key.
        key: String,
        /// What may stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// Two keys contradict each other.
    #[error("`{}`: `{key}` is `{found}`, but it must be {requirement}", file.display())]
    InconsistentConfig {
        /// The config file.
        file: PathBuf,
        /// Dotted key.
        key: String,
        /// Its value.
        found: String,
        /// What it must be, and because of which other key.
        requirement: String,
    },
    /// The folder holds another architecture.
    #[error("`{}`: unsupported architecture `{model_type}`; supported is `{supported}`", file.display())]
    UnsupportedArchitecture {
        /// The config file.
        file: PathBuf,
        /// `model_type` as found.
        model_type: String,
        /// The supported `model_type`.
        supported: &'static str,
    },
    /// The backbone uses a setting that is not implemented.
    #[error("`{}`: `{key}` is `{found}`, which is not supported; supported is {supported}", file.display())]
    UnsupportedSetting {
        /// The config file.
        file: PathBuf,
        /// Dotted key.
        key: String,
        /// Its value.
        found: String,
        /// What is supported instead.
        supported: &'static str,
    },

    /// There are no weights in the folder.
    #[error("`{}` holds no weights; expected `model.safetensors`, or `model.safetensors.index.json` with its shards", folder.display())]
    NoWeights {
        /// The folder.
        folder: PathBuf,
    },
    /// The weights are Python pickles.
    #[error("`{}` is a Python pickle, which can run code and is never read; save it as safetensors (in Python: `save_pretrained(..., safe_serialization=True)`)", file.display())]
    PickledWeights {
        /// The pickle.
        file: PathBuf,
    },
    /// A single file and an index lie side by side.
    #[error("`{}` holds both `model.safetensors` and `model.safetensors.index.json`; remove the one that is out of date", folder.display())]
    AmbiguousWeights {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds a `LoRA` adapter.
    #[error("`{}` belongs to a LoRA adapter that is not merged; merge it into its base model first (in Python: `PeftModel.merge_and_unload()`, then `save_pretrained`)", file.display())]
    AdapterNotMerged {
        /// The adapter file.
        file: PathBuf,
    },
    /// The large file was never fetched.
    #[error("`{}` is a Git LFS pointer, not the file itself; run `git lfs pull` in its folder or download it again", file.display())]
    GitLfsPointer {
        /// The pointer file.
        file: PathBuf,
    },
    /// A file ends too early or goes on too long.
    #[error("`{}` should have {expected_bytes} bytes by its header but has {found_bytes}; download or copy it again", file.display())]
    WrongFileLength {
        /// The file.
        file: PathBuf,
        /// Length that the header asks for.
        expected_bytes: u64,
        /// Length on disk.
        found_bytes: u64,
    },
    /// A safetensors header makes no sense.
    #[error("`{}` is not a valid safetensors file ({reason}); download or copy it again", file.display())]
    CorruptSafetensors {
        /// The file.
        file: PathBuf,
        /// What the header's reader says.
        reason: String,
    },
    /// The index names a shard outside of its folder.
    #[error("`{}` names the shard `{shard}`, which is not a plain file name", index.display())]
    InvalidShardName {
        /// The index file.
        index: PathBuf,
        /// The name.
        shard: String,
    },
    /// The index names a shard that is not there.
    #[error("`{}` names the shard `{shard}`, which is not in the folder; download it", index.display())]
    MissingShard {
        /// The index file.
        index: PathBuf,
        /// The shard.
        shard: String,
    },
    /// The index promises a tensor that its shard lacks.
    #[error("`{}` places the tensor `{tensor}` in `{shard}`, which does not hold it; index and shards are of different versions", index.display())]
    TensorNotInShard {
        /// The index file.
        index: PathBuf,
        /// The shard.
        shard: String,
        /// Name in the index.
        tensor: String,
    },
    /// A shard holds a tensor that the index does not place there.
    #[error("`{shard}` holds the tensor `{tensor}`, which `{}` does not place there; index and shards are of different versions", index.display())]
    TensorNotInIndex {
        /// The index file.
        index: PathBuf,
        /// The shard.
        shard: String,
        /// Name in the shard.
        tensor: String,
    },
    /// Two tensors of the folder are the same one.
    #[error("the tensor `{name}` is there twice: as `{first}` in `{}` and as `{second}` in `{}`; remove one", first_file.display(), second_file.display())]
    DuplicateTensor {
        /// The common name.
        name: String,
        /// First name as written.
        first: String,
        /// Its file.
        first_file: PathBuf,
        /// Second name as written.
        second: String,
        /// Its file.
        second_file: PathBuf,
    },
    /// A tensor that the model needs is absent.
    #[error("`{}` lacks the tensor `{name}` with shape {expected:?}; the weights do not fit config.json or are incomplete", folder.display())]
    MissingTensor {
        /// The folder.
        folder: PathBuf,
        /// The tensor.
        name: String,
        /// Shape by config.json.
        expected: Vec<usize>,
    },
    /// A tensor has the wrong shape.
    #[error("the tensor `{name}` in `{}` has shape {found:?}, but config.json asks for {expected:?}; take weights and config.json from the same model", file.display())]
    MisshapenTensor {
        /// The tensor, as written in the file.
        name: String,
        /// Its file.
        file: PathBuf,
        /// Shape by config.json.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor has a number type that is not read.
    #[error("the tensor `{name}` in `{}` is stored as `{found}`; supported are F32, F16 and BF16, so save the model without quantization", file.display())]
    UnsupportedStorageType {
        /// The tensor, as written in the file.
        name: String,
        /// Its file.
        file: PathBuf,
        /// The type as the header names it.
        found: String,
    },
    /// There are tensors that nothing uses.
    #[error("`{}` holds tensors that this architecture does not have ({count}): {listed}; take weights and config.json from the same model, or remove them", folder.display())]
    UnexpectedTensors {
        /// The folder.
        folder: PathBuf,
        /// How many.
        count: usize,
        /// The first few of them.
        listed: String,
    },

    /// There is no reward head.
    #[error("`{}` has no reward head (no tensors named {known}){}; make a reward model from it with `basereward init {} -o DIR`", folder.display(), found.as_deref().map(|names| format!("; tensors outside of the backbone: {names}")).unwrap_or_default(), folder.display())]
    NoRewardHead {
        /// The folder.
        folder: PathBuf,
        /// The names that were looked for.
        known: String,
        /// The first few tensors that belong neither to a backbone nor to a known head.
        found: Option<String>,
    },
    /// There is more than one reward head.
    #[error("`{}` holds tensors of several reward heads: {layouts}; remove all but one", folder.display())]
    SeveralRewardHeads {
        /// The folder.
        folder: PathBuf,
        /// The layouts found.
        layouts: String,
    },
    /// The head gives several numbers.
    #[error("the last layer of the head in `{}` gives {found} numbers for each response, but a reward is 1 number; the head is not a reward head, or a later layer of it is missing", folder.display())]
    NumLabels {
        /// The folder.
        folder: PathBuf,
        /// Outputs of the head.
        found: usize,
    },
    /// Nothing in the folder says which activation the head was trained with.
    #[error("the head `{layout}` in `{}` does not say which activation is between its layers; add the block {block} with the activation it was trained with to config.json", folder.display())]
    UnknownHeadActivation {
        /// The folder.
        folder: PathBuf,
        /// The layout found.
        layout: String,
        /// The block to add, ready to paste.
        block: String,
    },
    /// The tensors of the head contradict config.json.
    #[error("`reward_head.{key}` in the config.json of `{}` is `{configured}`, but the tensors of the head (`{layout}`) have `{found}`; correct the block", folder.display())]
    HeadMismatch {
        /// The folder.
        folder: PathBuf,
        /// Key inside of the block.
        key: &'static str,
        /// Its value.
        configured: String,
        /// The layout found.
        layout: String,
        /// What the tensors show.
        found: String,
    },
    /// A LoRA target that names no module of a trained part.
    #[error(
        "no module of a trained part is called `{target}`; LoRA targets are the last words of module names, such as `q_proj` or `down_proj`"
    )]
    UnknownLoraTarget {
        /// The target as given.
        target: String,
    },
    /// The head has too many layers.
    #[error("the head `{layout}` in `{}` has {found} layers; supported are 1 to {max}", folder.display())]
    TooManyHeadLayers {
        /// The folder.
        folder: PathBuf,
        /// The layout found.
        layout: String,
        /// Layers found.
        found: usize,
        /// The most that is supported.
        max: usize,
    },
}

/// Why a model folder could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The backbone could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Something is already there.
    #[error("`{}` is not an empty folder; nothing is overwritten, so give another output or remove it", folder.display())]
    OutputNotEmpty {
        /// The output as given.
        folder: PathBuf,
    },
    /// The operating system refused to write.
    #[error("cannot write `{}`: {source}", file.display())]
    Write {
        /// The file or folder.
        file: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A head with no layers, or with more than can be read again.
    #[error("a reward head cannot have {found} layers; give 1 to {max}")]
    HeadLayers {
        /// Layers asked for.
        found: usize,
        /// The most that is supported.
        max: usize,
    },
    /// The backbone is already a reward model.
    #[error("`{}` already has a reward head ({layout}); give a backbone without one", folder.display())]
    HeadPresent {
        /// The backbone folder.
        folder: PathBuf,
        /// The tensors of the head that is there.
        layout: String,
    },
}

/// Why conversations could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// More tokens than the model has positions for.
    #[error(
        "conversation {index} has {tokens} tokens, over the model's limit of {limit}; shorten it or lower --max-pixels"
    )]
    TooLong {
        /// Place of the conversation in the call.
        index: usize,
        /// Its tokens.
        tokens: usize,
        /// `max_position_embeddings`.
        limit: usize,
    },
    /// The tokenizer made an id that the embedding table does not have.
    #[error(
        "conversation {index} has the token id {id}, but the model's vocabulary has {vocab_size}; the tokenizer.json belongs to another model"
    )]
    UnknownToken {
        /// Place of the conversation in the call.
        index: usize,
        /// The id.
        id: u32,
        /// `vocab_size`.
        vocab_size: usize,
    },
    /// The model itself overflowed.
    #[error(
        "the reward is {reward}, not a finite number; the weights are damaged or overflow in this type (try --dtype f32)"
    )]
    NotFinite {
        /// Place of the conversation in the call.
        index: usize,
        /// What came out.
        reward: f32,
    },
}

impl ScoreError {
    /// Place in the call of the conversation at fault.
    pub fn index(&self) -> usize {
        match self {
            Self::TooLong { index, .. }
            | Self::UnknownToken { index, .. }
            | Self::NotFinite { index, .. } => *index,
        }
    }
}
