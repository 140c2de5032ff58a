//! `state.safetensors`: the optimizer's running means, and f32 masters where the model folder does not hold them.
//!
//! Each tensor has the parameter's name and one of the endings `.exp_avg`, `.exp_avg_sq` and `.master`. Of a table there are only the
//! rows that ever had a gradient, and `.rows` has their numbers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use model::training::ParameterInfo;
use safetensors::{Dtype, SafeTensors, View, tensor::TensorView};

use crate::error::TrainError;
use crate::optimizer::{Means, Moments};
use crate::step::Trainer;

/// What a state file holds.
pub(crate) struct StateTensors {
    /// Of each parameter.
    pub(crate) moments: Vec<Moments>,
    /// Of each parameter; none when the model folder holds them.
    pub(crate) masters: Option<Vec<Vec<f32>>>,
}

/// A tensor on its way to the file.
struct Outgoing<'a> {
    shape: Vec<usize>,
    values: Values<'a>,
}

enum Values<'a> {
    All(&'a [f32]),
    /// Row by row, each of the same length.
    Rows(Vec<&'a [f32]>),
    Numbers(Vec<u64>),
}

impl View for Outgoing<'_> {
    fn dtype(&self) -> Dtype {
        match self.values {
            Values::All(_) | Values::Rows(_) => Dtype::F32,
            Values::Numbers(_) => Dtype::U64,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        // safetensors is little-endian, as is every machine that this runs on.
        match &self.values {
            Values::All(values) => Cow::Borrowed(bytemuck::cast_slice(values)),
            Values::Rows(rows) => Cow::Owned(bytemuck::cast_slice(&rows.concat()).to_vec()),
            Values::Numbers(numbers) => Cow::Borrowed(bytemuck::cast_slice(numbers)),
        }
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype().bitsize() / 8
    }
}

/// Writes the file.
pub(super) fn write(file: &Path, trainer: &Trainer, has_masters: bool) -> Result<(), TrainError> {
    let mut tensors = Vec::new();
    let parameters = trainer.model.parameters().iter().zip(trainer.optimizer.moments());
    for (index, (info, moments)) in parameters.enumerate() {
        let shape = vec![info.rows, info.cols];
        let mut add = |ending: &str, shape, values| {
            tensors.push((format!("{}.{ending}", info.name), Outgoing { shape, values }));
        };
        match moments {
            Moments::Dense(Means { first, second }) => {
                add("exp_avg", shape.clone(), Values::All(first));
                add("exp_avg_sq", shape.clone(), Values::All(second));
            }
            Moments::Rows { cols, present } => {
                let part = vec![present.len(), *cols];
                let first = present.values().map(|means| means.first.as_slice()).collect();
                let second = present.values().map(|means| means.second.as_slice()).collect();
                let rows = present.keys().map(|row| *row as u64).collect();
                add("exp_avg", part.clone(), Values::Rows(first));
                add("exp_avg_sq", part, Values::Rows(second));
                add("rows", vec![present.len()], Values::Numbers(rows));
            }
        }
        if has_masters {
            let values = trainer.model.value(index).as_slice::<f32>();
            add("master", shape, Values::All(values));
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
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| TrainError::Damaged {
        file: file.to_owned(),
        reason: error.to_string(),
    })?;
    let saved = Saved { file, tensors };
    let infos = trainer.model.parameters();
    let moments = infos
        .iter()
        .zip(trainer.optimizer.moments())
        .map(|(info, fresh)| saved.moments(info, fresh))
        .collect::<Result<_, TrainError>>()?;
    let has_masters = saved.tensors.names().iter().any(|name| name.ends_with(".master"));
    let master = |info: &ParameterInfo| saved.values(info, "master", info.rows);
    let masters = has_masters.then(|| infos.iter().map(master).collect()).transpose()?;
    Ok(StateTensors { moments, masters })
}

/// A state file that has been read.
struct Saved<'a> {
    file: &'a Path,
    tensors: SafeTensors<'a>,
}

impl Saved<'_> {
    /// The means of a parameter, of the same kind as its fresh ones.
    fn moments(&self, info: &ParameterInfo, fresh: &Moments) -> Result<Moments, TrainError> {
        match fresh {
            Moments::Dense(_) => Ok(Moments::Dense(Means {
                first: self.values(info, "exp_avg", info.rows)?,
                second: self.values(info, "exp_avg_sq", info.rows)?,
            })),
            Moments::Rows { cols, .. } => {
                let rows = self.rows(info)?;
                let first = self.values(info, "exp_avg", rows.len())?;
                let second = self.values(info, "exp_avg_sq", rows.len())?;
                let means = first.chunks_exact(*cols).zip(second.chunks_exact(*cols)).map(
                    |(first, second)| Means { first: first.to_vec(), second: second.to_vec() },
                );
                let present: BTreeMap<usize, Means> = rows.into_iter().zip(means).collect();
                Ok(Moments::Rows { cols: *cols, present })
            }
        }
    }

    /// `num_rows` rows of a parameter.
    fn values(
        &self,
        info: &ParameterInfo,
        ending: &str,
        num_rows: usize,
    ) -> Result<Vec<f32>, TrainError> {
        let tensor = self.tensor(info, ending, Dtype::F32, &[num_rows, info.cols])?;
        let values = tensor.data().as_chunks::<4>().0;
        Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// The rows of a table that have means, in ascending order.
    fn rows(&self, info: &ParameterInfo) -> Result<Vec<usize>, TrainError> {
        let name = format!("{}.rows", info.name);
        let count = self.tensors.tensor(&name).map_or(0, |tensor| tensor.shape().iter().product());
        let tensor = self.tensor(info, "rows", Dtype::U64, &[count])?;
        let numbers = tensor.data().as_chunks::<8>().0;
        let rows: Vec<usize> =
            numbers.iter().map(|bytes| u64::from_le_bytes(*bytes) as usize).collect();
        let ascends = rows.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascends || rows.last().is_some_and(|last| *last >= info.rows) {
            return Err(self.damaged(format!("`{name}` is not a list of rows below {}", info.rows)));
        }
        Ok(rows)
    }

    fn tensor(
        &self,
        info: &ParameterInfo,
        ending: &str,
        dtype: Dtype,
        shape: &[usize],
    ) -> Result<TensorView<'_>, TrainError> {
        let name = format!("{}.{ending}", info.name);
        let tensor =
            self.tensors.tensor(&name).map_err(|_| self.damaged(format!("`{name}` is missing")))?;
        if tensor.dtype() != dtype || tensor.shape() != shape {
            return Err(self.damaged(format!("`{name}` is not {dtype} {shape:?}")));
        }
        Ok(tensor)
    }

    fn damaged(&self, reason: String) -> TrainError {
        TrainError::Damaged { file: self.file.to_owned(), reason }
    }
}
