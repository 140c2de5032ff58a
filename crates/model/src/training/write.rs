//! Writes a trained model as a folder that loads like any other.

use engine::{DType, RowSource};
use half::bf16;
use prompt::{Processor, ProcessorOptions};
use serde_json::Value;
use std::io::{self, Write};
use std::path::Path;

use super::TrainableModel;
use super::masters::{Current, Part};
use crate::checkpoint::{StorageType, TensorInfo, published_name};
use crate::config::{CONFIG_FILE, insert_reward_head, read_json};
use crate::error::WriteError;
use crate::head_layout;
use crate::probe::{ProbeFile, ProbeScores};
use crate::write::{
    MAX_SHARD_BYTES, PlannedTensor, StagedFolder, Written, copy_side_files, write_json,
    write_shards,
};

/// Where the numbers of a written tensor come from.
enum Source<'a> {
    /// Byte for byte from the checkpoint.
    Stored(TensorInfo<'a>),
    /// Row by row from what the layers were packed from.
    Current(Current<'a>),
}

pub(super) fn write(model: &TrainableModel, out: &Path) -> Result<Written, WriteError> {
    let staged = StagedFolder::create(out)?;
    let (plan, sources) = plan(model)?;
    write_shards(&staged.path, &plan, MAX_SHARD_BYTES, |index, sink| match &sources[index] {
        Source::Stored(info) => write_stored(model, info, sink),
        Source::Current(current) => write_rows(current, plan[index].storage_type, sink),
    })?;
    write_config(model, &staged.path)?;
    copy_side_files(&model.folder, &staged.path)?;
    write_probe_scores(model, &staged.path)?;
    staged.commit()
}

/// Stores what the model gives now. A folder without a usable processor scores no conversations, so there is nothing to store; weights
/// that overflow are written all the same, for whoever wants to look at them.
fn write_probe_scores(model: &TrainableModel, folder: &Path) -> Result<(), WriteError> {
    let TrainableModel { model, device, dtype, .. } = model;
    let tokens = model.vision_tokens();
    let Ok(processor) = Processor::load(folder, tokens, ProcessorOptions::default()) else {
        return Ok(());
    };
    let Ok(scores) = ProbeScores::compute(model, &processor, device, *dtype) else {
        return Ok(());
    };
    ProbeFile::write(folder, scores)
}

/// The stored tensors in their order, then the head by the names that are written.
fn plan(model: &TrainableModel) -> Result<(Vec<PlannedTensor>, Vec<Source<'_>>), WriteError> {
    let TrainableModel { masters, checkpoint, .. } = model;
    let mut plan = Vec::new();
    let mut sources = Vec::new();
    for info in checkpoint.infos().filter(|info| !head_layout::is_head_tensor(info.name)) {
        let stored = checkpoint.tensor(info.name, info.shape)?.storage_type();
        let (source, storage_type) = match masters.current_tensor(info.name, info.shape, checkpoint)
        {
            Current::Frozen(_) => (Source::Stored(info), stored),
            current => (Source::Current(current), trained_type(model, info.shape)),
        };
        let shape = info.shape.to_vec();
        plan.push(PlannedTensor { name: published_name(info.name), storage_type, shape });
        sources.push(source);
    }
    for (index, info) in masters.infos.iter().enumerate() {
        if info.part != Part::Head {
            continue;
        }
        let is_bias = info.name.strip_suffix(".bias").is_some();
        let shape = if is_bias { vec![info.cols] } else { vec![info.rows, info.cols] };
        plan.push(PlannedTensor { name: info.name.clone(), storage_type: StorageType::F32, shape });
        sources.push(Source::Current(Current::Master(model.value(index))));
    }
    Ok((plan, sources))
}

/// Vectors are f32 in every layer, so they are stored as such; matrices have the compute type.
fn trained_type(model: &TrainableModel, shape: &[usize]) -> StorageType {
    match model.dtype {
        DType::Bf16 if shape.len() > 1 => StorageType::Bf16,
        DType::F32 | DType::Bf16 => StorageType::F32,
    }
}

fn write_stored(
    model: &TrainableModel,
    info: &TensorInfo<'_>,
    sink: &mut dyn Write,
) -> io::Result<()> {
    let tensor = model.checkpoint.tensor(info.name, info.shape).map_err(io::Error::other)?;
    tensor.write_to(sink)?;
    tensor.release();
    Ok(())
}

fn write_rows(
    current: &Current<'_>,
    storage_type: StorageType,
    sink: &mut dyn Write,
) -> io::Result<()> {
    let (rows, cols) = RowSource::dims(current);
    let mut bytes = Vec::new();
    for row in 0..rows {
        bytes.clear();
        if storage_type == StorageType::Bf16 {
            let mut values = vec![bf16::ZERO; cols];
            current.read_bf16(row, &mut values);
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        } else {
            let mut values = vec![0.0_f32; cols];
            current.read_f32(row, &mut values);
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        sink.write_all(&bytes)?;
    }
    Ok(())
}

/// The source's configuration with the head's block and the type of the trained weights.
fn write_config(model: &TrainableModel, folder: &Path) -> Result<(), WriteError> {
    let mut json = read_json(&model.folder, CONFIG_FILE)?;
    let root = json.as_object_mut().expect("the configuration was read from an object");
    insert_reward_head(root, model.model.head().0);
    let trained = trained_type(model, &[0, 0]);
    for key in ["dtype", "torch_dtype"] {
        if let Some(value) = root.get_mut(key) {
            *value = Value::from(trained.torch_name());
        }
    }
    write_json(&folder.join(CONFIG_FILE), &json)
}
