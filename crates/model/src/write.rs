//! Writes model folders: random weights for a preset, or a fresh reward head on a backbone.
//!
//! A folder is made beside its destination and renamed at the end, so it is there whole or not at
//! all, and nothing that exists is overwritten. Weights are streamed tensor by tensor. Training state
//! is not written here.

mod shards;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

pub use self::shards::{MAX_SHARD_BYTES, Placement, PlannedTensor, write_shards};
use crate::{
    checkpoint::{Checkpoint, LM_HEAD, StorageType, TensorInfo, published_name, tensor_shapes},
    config::{
        CONFIG_FILE, Config, MAX_HEAD_LAYERS, RewardHeadConfig, insert_reward_head, read_json,
    },
    error::{LoadError, WriteError},
    head_layout,
};

/// Shard that holds a freshly attached head.
pub const HEAD_SHARD: &str = "model-reward-head.safetensors";
/// Name of a backbone's only weight file once a second shard stands beside it.
const ONLY_BACKBONE_SHARD: &str = "model-00001-of-00001.safetensors";

/// Files that belong to tokenizer, chat template and image processor, copied as they are.
const SIDE_FILES: [&str; 11] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.json",
    "chat_template.jinja",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
];

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The folder.
    pub folder: PathBuf,
    /// The files in it, sorted.
    pub files: Vec<String>,
    /// Bytes of all files.
    pub size_bytes: u64,
}

/// Writes a reward model with random weights, which are those of [`Checkpoint::random`].
///
/// The backbone has `storage_type`, the head is f32. Tokenizer, template and processor files are
/// copied from `side_files`. Tensors have their published names.
///
/// # Errors
/// A head of an impossible depth, an output that is not empty, and whatever the operating system says.
pub fn write_random(
    config: &Config,
    head: &RewardHeadConfig,
    seed: u64,
    storage_type: StorageType,
    side_files: Option<&Path>,
    out: &Path,
) -> Result<Written, WriteError> {
    check_head(head)?;
    let staged = StagedFolder::create(out)?;
    let checkpoint = Checkpoint::random(config, head, seed, storage_type);
    write_shards(&staged.path, &plan(&checkpoint)?, MAX_SHARD_BYTES, bytes_of(&checkpoint))?;
    let config = Config { reward_head: Some(*head), ..config.clone() };
    write_json(&staged.path.join(CONFIG_FILE), &config.to_json(storage_type))?;
    if let Some(source) = side_files {
        copy_side_files(source, &staged.path)?;
    }
    staged.commit()
}

/// Copies a backbone folder and adds a fresh reward head as one more shard.
///
/// The backbone is checked strictly first. Its config.json keeps every key that is there.
///
/// # Errors
/// A backbone that cannot be read or already has a head, a head of an impossible depth, an output that
/// is not empty, and whatever the operating system says.
pub fn attach_head(
    backbone: &Path,
    head: &RewardHeadConfig,
    seed: u64,
    out: &Path,
) -> Result<Written, WriteError> {
    check_head(head)?;
    refuse_occupied(out)?;
    let config = Config::read(backbone)?;
    let checkpoint = Checkpoint::open(backbone)?;
    if let Some(layout) = head_layout::detect(&checkpoint)? {
        let layout = layout.to_string();
        return Err(WriteError::HeadPresent { folder: backbone.to_owned(), layout });
    }
    check_backbone(&checkpoint, &config)?;
    let staged = StagedFolder::create(out)?;
    let mut placements = copy_shards(&checkpoint, &staged.path)?;
    placements.extend(write_head(head, config.text.hidden_size, seed, &staged.path)?);
    let size_bytes = placements.iter().map(|placement| placement.size_bytes).sum();
    shards::write_index(&staged.path, &placements, size_bytes)?;
    write_config_with_head(backbone, head, &staged.path)?;
    copy_side_files(backbone, &staged.path)?;
    staged.commit()
}

/// Checks that a folder holds exactly the tensors of its backbone.
///
/// # Errors
/// Missing, misshapen or additional tensors.
pub fn check_backbone(checkpoint: &Checkpoint, config: &Config) -> Result<(), LoadError> {
    for (name, shape) in tensor_shapes(config) {
        checkpoint.tensor(&name, &shape)?;
    }
    checkpoint.skip(LM_HEAD, &[config.text.vocab_size, config.text.hidden_size])?;
    checkpoint.finish()
}

fn check_head(head: &RewardHeadConfig) -> Result<(), WriteError> {
    if (1..=MAX_HEAD_LAYERS).contains(&head.num_layers) {
        return Ok(());
    }
    Err(WriteError::HeadLayers { found: head.num_layers, max: MAX_HEAD_LAYERS })
}

/// The tensors of a checkpoint by their published names, in its order.
fn plan(checkpoint: &Checkpoint) -> Result<Vec<PlannedTensor>, LoadError> {
    let planned = checkpoint.infos().map(|info| {
        let tensor = checkpoint.tensor(info.name, info.shape)?;
        Ok(PlannedTensor {
            name: published_name(info.name),
            storage_type: tensor.storage_type(),
            shape: info.shape.to_vec(),
        })
    });
    planned.collect()
}

/// A source of bytes for the plan of a checkpoint.
fn bytes_of(checkpoint: &Checkpoint) -> impl FnMut(usize, &mut dyn io::Write) -> io::Result<()> {
    let infos: Vec<TensorInfo<'_>> = checkpoint.infos().collect();
    move |tensor_idx, sink| {
        let info = infos[tensor_idx];
        let tensor = checkpoint.tensor(info.name, info.shape).map_err(io::Error::other)?;
        tensor.write_to(sink)?;
        tensor.release();
        Ok(())
    }
}

fn copy_shards(checkpoint: &Checkpoint, folder: &Path) -> Result<Vec<Placement>, WriteError> {
    let single = checkpoint.files().count() == 1;
    let shard_name = |file: &Path| {
        if single {
            return ONLY_BACKBONE_SHARD.to_owned();
        }
        let name = file.file_name().expect("a weight file is inside of the folder");
        name.to_string_lossy().into_owned()
    };
    for file in checkpoint.files() {
        copy_file(file, &folder.join(shard_name(file)))?;
    }
    let placements = checkpoint.infos().filter_map(|info| {
        Some(Placement {
            tensor: info.original_name.to_owned(),
            shard: shard_name(info.file?),
            size_bytes: info.size_bytes,
        })
    });
    Ok(placements.collect())
}

fn write_head(
    head: &RewardHeadConfig,
    backbone_hidden_size: usize,
    seed: u64,
    folder: &Path,
) -> Result<Vec<Placement>, WriteError> {
    let random = Checkpoint::random_head(head, backbone_hidden_size, seed);
    shards::write_shard(&folder.join(HEAD_SHARD), &plan(&random)?, bytes_of(&random))?;
    let placements = random.infos().map(|info| Placement {
        tensor: info.name.to_owned(),
        shard: HEAD_SHARD.to_owned(),
        size_bytes: info.size_bytes,
    });
    Ok(placements.collect())
}

fn write_config_with_head(
    backbone: &Path,
    head: &RewardHeadConfig,
    folder: &Path,
) -> Result<(), WriteError> {
    let mut json = read_json(backbone, CONFIG_FILE)?;
    let root = json.as_object_mut().expect("the configuration was read from an object");
    insert_reward_head(root, head);
    write_json(&folder.join(CONFIG_FILE), &json)
}

pub(crate) fn copy_side_files(source: &Path, folder: &Path) -> Result<(), WriteError> {
    for name in SIDE_FILES {
        let file = source.join(name);
        if file.is_file() {
            copy_file(&file, &folder.join(name))?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), WriteError> {
    fs::copy(from, to).map(drop).map_err(|source| write_error(to, source))
}

pub(crate) fn write_json(file: &Path, value: &Value) -> Result<(), WriteError> {
    let mut text = format!("{value:#}");
    text.push('\n');
    fs::write(file, text).map_err(|source| write_error(file, source))
}

fn write_error(file: &Path, source: io::Error) -> WriteError {
    WriteError::Write { file: file.to_owned(), source }
}

/// Whether something is already at a place where a folder is to be written; an empty folder is not something.
pub fn is_occupied(out: &Path) -> bool {
    match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Refuses an output where something is already.
fn refuse_occupied(out: &Path) -> Result<(), WriteError> {
    if is_occupied(out) {
        return Err(WriteError::OutputNotEmpty { folder: out.to_owned() });
    }
    Ok(())
}

/// A folder under construction beside its destination; removed again unless it is committed.
pub(crate) struct StagedFolder {
    pub(crate) path: PathBuf,
    out: PathBuf,
    committed: bool,
}

impl StagedFolder {
    pub(crate) fn create(out: &Path) -> Result<Self, WriteError> {
        refuse_occupied(out)?;
        // An absolute path has a name and a parent even where `out` is `.` or a bare name.
        let absolute = std::path::absolute(out).map_err(|source| write_error(out, source))?;
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return Err(WriteError::OutputNotEmpty { folder: out.to_owned() });
        };
        let staged_name = format!(".{}.partial-{}", name.to_string_lossy(), std::process::id());
        let path = parent.join(staged_name);
        fs::create_dir_all(parent).map_err(|source| write_error(parent, source))?;
        fs::create_dir(&path).map_err(|source| write_error(&path, source))?;
        Ok(Self { path, out: out.to_owned(), committed: false })
    }

    pub(crate) fn commit(mut self) -> Result<Written, WriteError> {
        let (files, size_bytes) =
            list_files(&self.path).map_err(|source| write_error(&self.path, source))?;
        if self.out.exists() {
            // Only an empty folder passes; one that was filled meanwhile is refused by the system.
            fs::remove_dir(&self.out).map_err(|source| write_error(&self.out, source))?;
        }
        fs::rename(&self.path, &self.out).map_err(|source| write_error(&self.out, source))?;
        self.committed = true;
        Ok(Written { folder: self.out.clone(), files, size_bytes })
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        if !self.committed {
            // The error that led here is on its way to the caller; a leftover folder is harmless.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn list_files(folder: &Path) -> io::Result<(Vec<String>, u64)> {
    let mut files = Vec::new();
    let mut size_bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        size_bytes += entry.metadata()?.len();
        files.push(entry.file_name().to_string_lossy().into_owned());
    }
    files.sort_unstable();
    Ok((files, size_bytes))
}

#[cfg(test)]
mod tests;
