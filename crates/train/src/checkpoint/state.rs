//! `state.safetensors`: the optimizer's running means, and f32 masters where the model folder does not hold them.
//!
//! Each tensor has the parameter's name and one of the endings `.exp_avg`, `.exp_avg_sq` and `.master`.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use model::training::ParameterInfo;
use safetensors::{Dtype, SafeTensors, View};

use crate::error::TrainError;
use crate::optimizer::Moments;
use crate::step::Trainer;

/// What a state file holds.
pub(crate) struct StateTensors {
    /// Of each parameter.
    pub(crate) moments: Vec<Moments>,
    /// Of each parameter; none when the model folder holds them.
    pub(crate) masters: Option<Vec<Vec<f32>>>,
}

/// f32 values as safetensors takes them.
struct Values<'a> {
    values: &'a [f32],
    shape: [usize; 2],
}

impl View for Values<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        // safetensors is little-endian, as is every machine that this runs on.
        Cow::Borrowed(bytemuck::cast_slice(self.values))
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

/// Writes the file.
pub(super) fn write(file: &Path, trainer: &Trainer, has_masters: bool) -> Result<(), TrainError> {
    let mut tensors = Vec::new();
    let parameters = trainer.model.parameters().iter().zip(trainer.optimizer.moments());
    for (index, (info, moments)) in parameters.enumerate() {
        let mut add = |ending: &str, values| {
            let shape = [info.rows, info.cols];
            tensors.push((format!("{}.{ending}", info.name), Values { values, shape }));
        };
        add("exp_avg", &moments.first);
        add("exp_avg_sq", &moments.second);
        if has_masters {
            add("master", trainer.model.value(index).as_slice::<f32>());
        }
    }
    safetensors::serialize_to_file(tensors, None, file).map_err(|error| {
        let source = match error {
            safetensors::SafeTensorError::IoError(source) => source,
            other => std::io::Error::other(other),
        };
        TrainError::write(file, source)
    })
}

/// Reads the file; every tensor of the model's parameters must be there, with its shape.
pub(super) fn read(file: &Path, trainer: &Trainer) -> Result<StateTensors, TrainError> {
    let bytes = fs::read(file).map_err(|source| TrainError::read(file, source))?;
    let damaged = |reason: String| TrainError::Damaged { file: file.to_owned(), reason };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let read = |info: &ParameterInfo, ending: &str| {
        let name = format!("{}.{ending}", info.name);
        let tensor = tensors.tensor(&name).map_err(|_| damaged(format!("`{name}` is missing")))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != [info.rows, info.cols] {
            return Err(damaged(format!("`{name}` is not F32 [{}, {}]", info.rows, info.cols)));
        }
        let values = tensor.data().chunks_exact(4);
        Ok(values.map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect())
    };
    let infos = trainer.model.parameters();
    let moments = infos
        .iter()
        .map(|info| {
            Ok(Moments { first: read(info, "exp_avg")?, second: read(info, "exp_avg_sq")? })
        })
        .collect::<Result<_, TrainError>>()?;
    let has_masters = tensors.names().iter().any(|name| name.ends_with(".master"));
    let masters = has_masters
        .then(|| infos.iter().map(|info| read(info, "master")).collect::<Result<_, TrainError>>())
        .transpose()?;
    Ok(StateTensors { moments, masters })
}
