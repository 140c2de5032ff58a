//! Which files of a folder hold its weights, and whether the index agrees with the shards.
//!
//! Tensors are not renamed and not read here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;

use super::mapped::MappedFile;
use crate::{
    config::{read_json, require_folder},
    error::LoadError,
};

/// Weights in one file.
pub(crate) const SINGLE_FILE: &str = "model.safetensors";
/// The list of shards.
pub(crate) const INDEX_FILE: &str = "model.safetensors.index.json";
/// Head of trl and LLaMA-Factory, beside the backbone's files.
const VALUE_HEAD_FILE: &str = "value_head.safetensors";
/// The same head as a pickle.
const VALUE_HEAD_PICKLE: &str = "value_head.bin";
/// Backbone weights as pickles.
const PICKLES: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];
/// Files of a `LoRA` adapter.
const ADAPTER_FILES: [&str; 3] =
    ["adapter_model.safetensors", "adapter_model.bin", "adapter_config.json"];
/// What tensor names of a `LoRA` adapter begin with.
const ADAPTER_PREFIX: &str = "base_model.";

/// Maps every weight file of a folder.
pub(super) fn open_all(folder: &Path) -> Result<Vec<MappedFile>, LoadError> {
    require_folder(folder)?;
    if let Some(name) = ADAPTER_FILES.iter().find(|name| folder.join(name).is_file()) {
        return Err(LoadError::AdapterNotMerged { file: folder.join(name) });
    }
    let single = folder.join(SINGLE_FILE);
    let index = folder.join(INDEX_FILE);
    let mut files = match (single.is_file(), index.is_file()) {
        (true, true) => return Err(LoadError::AmbiguousWeights { folder: folder.to_owned() }),
        (true, false) => vec![MappedFile::open(single)?],
        (false, true) => open_shards(folder, &index)?,
        (false, false) => return Err(no_weights(folder)),
    };
    add_value_head(folder, &mut files)?;
    for file in &files {
        if file.tensors().iter().any(|tensor| tensor.name.starts_with(ADAPTER_PREFIX)) {
            return Err(LoadError::AdapterNotMerged { file: file.path().to_owned() });
        }
    }
    Ok(files)
}

fn no_weights(folder: &Path) -> LoadError {
    match PICKLES.iter().find(|name| folder.join(name).is_file()) {
        Some(name) => LoadError::PickledWeights { file: folder.join(name) },
        None => LoadError::NoWeights { folder: folder.to_owned() },
    }
}

fn add_value_head(folder: &Path, files: &mut Vec<MappedFile>) -> Result<(), LoadError> {
    let path = folder.join(VALUE_HEAD_FILE);
    if path.is_file() {
        if files.iter().all(|file| file.path() != path) {
            files.push(MappedFile::open(path)?);
        }
    } else if folder.join(VALUE_HEAD_PICKLE).is_file() {
        return Err(LoadError::PickledWeights { file: folder.join(VALUE_HEAD_PICKLE) });
    }
    Ok(())
}

fn open_shards(folder: &Path, index: &Path) -> Result<Vec<MappedFile>, LoadError> {
    let mut files = Vec::new();
    for (shard, expected) in read_index(folder, index)? {
        let path = folder.join(&shard);
        if !path.is_file() {
            return Err(LoadError::MissingShard { index: index.to_owned(), shard });
        }
        let file = MappedFile::open(path)?;
        let found: BTreeSet<&str> =
            file.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
        if let Some(tensor) = expected.iter().find(|name| !found.contains(name.as_str())) {
            let tensor = tensor.clone();
            return Err(LoadError::TensorNotInShard { index: index.to_owned(), shard, tensor });
        }
        if let Some(tensor) = found.iter().find(|name| !expected.contains(**name)) {
            let tensor = (*tensor).to_owned();
            return Err(LoadError::TensorNotInIndex { index: index.to_owned(), shard, tensor });
        }
        files.push(file);
    }
    Ok(files)
}

/// The tensors that the index places in each shard.
fn read_index(
    folder: &Path,
    index: &Path,
) -> Result<BTreeMap<String, BTreeSet<String>>, LoadError> {
    let value = read_json(folder, INDEX_FILE)?;
    let weight_map = value["weight_map"].as_object().ok_or_else(|| {
        LoadError::MissingConfigKey { file: index.to_owned(), key: "weight_map".to_owned() }
    })?;
    let mut shards: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (tensor, shard) in weight_map {
        let Value::String(shard) = shard else {
            return Err(LoadError::InvalidConfigValue {
                file: index.to_owned(),
                key: format!("weight_map.{tensor}"),
                expected: "a file name".to_owned(),
                found: shard.to_string(),
            });
        };
        if Path::new(shard).file_name().is_none_or(|name| name != shard.as_str()) {
            let shard = shard.clone();
            return Err(LoadError::InvalidShardName { index: index.to_owned(), shard });
        }
        shards.entry(shard.clone()).or_default().insert(tensor.clone());
    }
    Ok(shards)
}
