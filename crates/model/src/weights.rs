//! From a checkpoint's tensors to the engine's layers: the one place where weights are packed.
//!
//! A tensor's mapped pages are given back as soon as it is packed, so that a model is resident once.

use engine::{DType, Device, GatedLinear, Linear, Matrix, RowSource};
use half::bf16;

use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::LoadError;

/// A checkpoint, and the device and type that its weights go to.
pub(crate) struct Weights<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) device: &'a Device,
    pub(crate) dtype: DType,
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

impl Weights<'_> {
    /// A vector as f32: norms and biases stay f32 whatever the compute type.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        let tensor = self.checkpoint.tensor(name, &[len])?;
        let values = tensor.to_f32();
        tensor.release();
        Ok(values)
    }

    /// A table in the compute type, in plain row order.
    pub(crate) fn table(&self, name: &str, rows: usize, cols: usize) -> Result<Matrix, LoadError> {
        let tensor = self.checkpoint.tensor(name, &[rows, cols])?;
        tensor.prefetch();
        let table = match self.dtype {
            DType::F32 => Matrix::from_vec(rows, cols, tensor.to_f32()),
            DType::Bf16 => Matrix::from_vec(rows, cols, tensor.to_bf16()),
        };
        tensor.release();
        Ok(table)
    }

    /// One linear layer of one or several stacked projections: `(name, outputs)` each.
    pub(crate) fn linear(
        &self,
        projections: &[(&str, usize)],
        inputs: &[usize],
        bias: bool,
    ) -> Result<Linear, LoadError> {
        let mut tensors = Vec::new();
        let mut biases = Vec::new();
        for (name, outputs) in projections {
            let shape = [&[*outputs], inputs].concat();
            tensors.push(self.checkpoint.tensor(&format!("{name}.weight"), &shape)?);
            if bias {
                biases.extend(self.vector(&format!("{name}.bias"), *outputs)?);
            }
        }
        tensors.iter().for_each(Tensor::prefetch);
        let sources: Vec<&dyn RowSource> = tensors.iter().map(|tensor| tensor as _).collect();
        let linear = Linear::new(self.device, self.dtype, &sources, bias.then_some(biases));
        tensors.iter().for_each(Tensor::release);
        Ok(linear)
    }

    /// The gate and up projections of a SwiGLU block under `prefix`.
    pub(crate) fn gated(
        &self,
        prefix: &str,
        outputs: usize,
        inputs: usize,
        bias: bool,
    ) -> Result<GatedLinear, LoadError> {
        let shape = [outputs, inputs];
        let gate = self.checkpoint.tensor(&format!("{prefix}.gate_proj.weight"), &shape)?;
        let up = self.checkpoint.tensor(&format!("{prefix}.up_proj.weight"), &shape)?;
        gate.prefetch();
        up.prefetch();
        let biases = if bias {
            let gate = self.vector(&format!("{prefix}.gate_proj.bias"), outputs)?;
            Some((gate, self.vector(&format!("{prefix}.up_proj.bias"), outputs)?))
        } else {
            None
        };
        let biases = biases.as_ref().map(|(gate, up)| (gate.as_slice(), up.as_slice()));
        let gated = GatedLinear::new(self.device, self.dtype, &gate, &up, biases);
        gate.release();
        up.release();
        Ok(gated)
    }
}
