//! From a checkpoint's tensors to the engine's layers: the one place where weights are packed.
//!
//! Each layer keeps the names of the modules that it was made of, so that training can find its parameters. A tensor's mapped
//! pages are given back as soon as it is packed, so that a model is resident once.

use engine::{DType, Device, Embedding, GatedLinear, Linear, Matrix, RmsNorm, RowSource};
use half::bf16;
use std::ops::Deref;

use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::LoadError;

/// A checkpoint, and the device and type that its weights go to.
pub(crate) struct Weights<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) device: &'a Device,
    pub(crate) dtype: DType,
}

/// A module of the published model: `{name}.weight` of shape `[outputs, inputs…]`, and `{name}.bias` where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) outputs: usize,
    /// Empty for a norm.
    pub(crate) inputs: Vec<usize>,
    pub(crate) bias: bool,
}

impl Module {
    pub(crate) fn weight_name(&self) -> String {
        format!("{}.weight", self.name)
    }

    pub(crate) fn bias_name(&self) -> String {
        format!("{}.bias", self.name)
    }

    pub(crate) fn shape(&self) -> Vec<usize> {
        [&[self.outputs], self.inputs.as_slice()].concat()
    }
}

/// A layer and the modules that it was made of, in the order in which they are stacked.
#[derive(Debug)]
pub(crate) struct Named<L> {
    pub(crate) layer: L,
    pub(crate) modules: Vec<Module>,
}

impl<L> Deref for Named<L> {
    type Target = L;

    fn deref(&self) -> &L {
        &self.layer
    }
}

/// A layer of any kind, to be changed by training.
pub(crate) enum LayerMut<'a> {
    Norm(&'a mut Named<RmsNorm>),
    Table(&'a mut Named<Embedding>),
    Linear(&'a mut Named<Linear>),
    Gated(&'a mut Named<GatedLinear>),
}

impl RowSource for Tensor<'_> {
    fn dims(&self) -> (usize, usize) {
        (self.num_rows(), self.row_len())
    }

    fn read_f32(&self, row: usize, out: &mut [f32]) {
        self.rows_f32(row..row + 1, out);
    }

    fn read_bf16(&self, row: usize, out: &mut [bf16]) {
        self.rows_bf16(row..row + 1, out);
    }
}

impl<'a> Weights<'a> {
    /// A norm's weight stays f32 whatever the compute type.
    pub(crate) fn norm(
        &self,
        name: &str,
        len: usize,
        epsilon: f32,
    ) -> Result<Named<RmsNorm>, LoadError> {
        let module =
            Module { name: name.to_owned(), outputs: len, inputs: Vec::new(), bias: false };
        let weight = self.vector(&module.weight_name(), len)?;
        Ok(Named { layer: RmsNorm::new(weight, epsilon), modules: vec![module] })
    }

    /// A table in the compute type, in plain row order.
    pub(crate) fn table(
        &self,
        name: &str,
        rows: usize,
        cols: usize,
    ) -> Result<Named<Embedding>, LoadError> {
        let module =
            Module { name: name.to_owned(), outputs: rows, inputs: vec![cols], bias: false };
        let tensor = self.checkpoint.tensor(&module.weight_name(), &module.shape())?;
        tensor.prefetch();
        let table = match self.dtype {
            DType::F32 => Matrix::from_vec(rows, cols, tensor.to_f32()),
            DType::Bf16 => Matrix::from_vec(rows, cols, tensor.to_bf16()),
        };
        tensor.release();
        Ok(Named { layer: Embedding::new(table), modules: vec![module] })
    }

    /// One linear layer of one or several stacked projections: `(name, outputs)` each.
    pub(crate) fn linear(
        &self,
        projections: &[(&str, usize)],
        inputs: &[usize],
        bias: bool,
    ) -> Result<Named<Linear>, LoadError> {
        let modules: Vec<Module> = projections
            .iter()
            .map(|&(name, outputs)| Module {
                name: name.to_owned(),
                outputs,
                inputs: inputs.to_vec(),
                bias,
            })
            .collect();
        let (tensors, biases) = self.read(&modules)?;
        let sources: Vec<&dyn RowSource> = tensors.iter().map(|tensor| tensor as _).collect();
        let biases = bias.then(|| biases.concat());
        let layer = Linear::new(self.device, self.dtype, &sources, biases);
        tensors.iter().for_each(Tensor::release);
        Ok(Named { layer, modules })
    }

    /// The gate and up projections of a SwiGLU block under `prefix`.
    pub(crate) fn gated(
        &self,
        prefix: &str,
        outputs: usize,
        inputs: usize,
        bias: bool,
    ) -> Result<Named<GatedLinear>, LoadError> {
        let modules = ["gate_proj", "up_proj"].map(|name| Module {
            name: format!("{prefix}.{name}"),
            outputs,
            inputs: vec![inputs],
            bias,
        });
        let (tensors, biases) = self.read(&modules)?;
        let biases = bias.then(|| (biases[0].as_slice(), biases[1].as_slice()));
        let (gate, up) = (&tensors[0], &tensors[1]);
        let layer = GatedLinear::new(self.device, self.dtype, gate, up, biases);
        tensors.iter().for_each(Tensor::release);
        Ok(Named { layer, modules: modules.into() })
    }

    /// Weights, on their way into memory, and biases of modules; no biases where the modules have none.
    fn read(&self, modules: &[Module]) -> Result<(Vec<Tensor<'a>>, Vec<Vec<f32>>), LoadError> {
        let mut tensors = Vec::new();
        let mut biases = Vec::new();
        for module in modules {
            tensors.push(self.checkpoint.tensor(&module.weight_name(), &module.shape())?);
            if module.bias {
                biases.push(self.vector(&module.bias_name(), module.outputs)?);
            }
        }
        tensors.iter().for_each(Tensor::prefetch);
        Ok((tensors, biases))
    }

    /// A vector as f32.
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        let tensor = self.checkpoint.tensor(name, &[len])?;
        let values = tensor.to_f32();
        tensor.release();
        Ok(values)
    }
}
