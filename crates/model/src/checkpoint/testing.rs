//! Small model folders for the tests of this crate.

use std::{fs, path::Path};

use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Checkpoint, StorageType};
use crate::{
    config::{Activation, Config, RewardHeadConfig, ScorePosition},
    preset::{self, SpecialTokens},
};

/// A tensor to be written: name, shape, type and bytes.
pub(crate) type Stored = (String, Vec<usize>, Dtype, Vec<u8>);

/// The tiny model with a vocabulary of 300.
pub(crate) fn tiny_config() -> Config {
    preset::tiny(300, SpecialTokens { image: 259, video: 260, vision_start: 257, vision_end: 258 })
}

/// Two layers with biases and `SiLU`.
pub(crate) fn two_layers() -> RewardHeadConfig {
    RewardHeadConfig {
        num_layers: 2,
        activation: Activation::Silu,
        hidden_size: 64,
        bias: true,
        position: ScorePosition::EndOfTurn,
    }
}

/// An f32 tensor that counts up from `first`.
pub(crate) fn counting(name: &str, shape: &[usize], first: f32) -> Stored {
    let count = shape.iter().product::<usize>();
    let bytes = (0..count).flat_map(|step| (first + step as f32).to_le_bytes()).collect();
    (name.to_owned(), shape.to_vec(), Dtype::F32, bytes)
}

/// Writes tensors as one safetensors file.
pub(crate) fn write_safetensors(path: &Path, tensors: &[Stored]) {
    let views = tensors.iter().map(|(name, shape, dtype, bytes)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}

/// Writes an index that places tensors in shards.
pub(crate) fn write_index(folder: &Path, places: &[(&str, &str)]) {
    let map: serde_json::Map<String, Value> =
        places.iter().map(|(tensor, shard)| ((*tensor).to_owned(), json!(shard))).collect();
    let index = json!({"metadata": {"total_size": 0}, "weight_map": map});
    fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

/// A folder with these tensors in `model.safetensors`, opened.
pub(crate) fn opened(tensors: &[Stored]) -> (TempDir, Checkpoint) {
    let folder = tempfile::tempdir().unwrap();
    write_safetensors(&folder.path().join("model.safetensors"), tensors);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    (folder, checkpoint)
}

/// A backbone folder with random weights, a config and a tokenizer file.
pub(crate) fn backbone_folder(config: &Config) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tensors: Vec<Stored> = random_tensors(config, crate::checkpoint::published_name);
    write_safetensors(&folder.path().join("model.safetensors"), &tensors);
    let json = config.to_json(StorageType::F32).to_string();
    fs::write(folder.path().join("config.json"), json).unwrap();
    fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    folder
}

/// The random backbone of a config under names of one's own.
pub(crate) fn random_tensors(config: &Config, rename: impl Fn(&str) -> String) -> Vec<Stored> {
    let random = Checkpoint::random(config, &two_layers(), 3, StorageType::F32);
    crate::checkpoint::tensor_shapes(config)
        .into_iter()
        .map(|(name, shape)| {
            let numbers = random.tensor(&name, &shape).unwrap().to_f32();
            let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            (rename(&name), shape, Dtype::F32, bytes)
        })
        .collect()
}
