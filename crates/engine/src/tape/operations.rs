//! Every operation as a tape knows it: compute forward, and say how the gradient goes back. The arithmetic of both ways
//! stands in `ops`.

use super::{Flow, Tape, Var};
use crate::matrix::{DType, Matrix};
use crate::ops::activation::{Activation, activate, activation_gradient};
use crate::ops::attention::{
    AttentionLayout, Heads, OutputGradient, attention, attention_gradient, attention_keeping,
    joint_attention_gradient,
};
use crate::ops::embedding::Embedding;
use crate::ops::linear::{GatedLinear, Linear};
use crate::ops::rms_norm::RmsNorm;
use crate::ops::rotary::{RotaryTable, rotate, rotate_back};
use crate::ops::rows::{append_rows, copy_rows, gather_rows, scatter_add_rows};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

impl<'a> Tape<'a> {
    /// [`Embedding::forward`].
    pub fn embedding(&mut self, embedding: &'a Embedding, ids: &[u32]) -> Var {
        let value = embedding.forward(ids);
        let Some(parameter) = embedding.parameter().filter(|_| self.records(true)) else {
            return Var::constant(value);
        };
        let ids = ids.to_vec();
        self.record(value, move |gradient, flow| {
            flow.gradients.add_rows(parameter, &gradient, &ids);
        })
    }

    /// [`RmsNorm::forward`].
    pub fn rms_norm(&mut self, x: &Var, norm: &'a RmsNorm, dtype: DType) -> Var {
        let value = norm.forward(&x.value, dtype);
        if !self.records(x.node.is_some() || norm.parameter().is_some()) {
            return Var::constant(value);
        }
        let x = x.clone();
        self.record(value, move |gradient, flow| {
            let weight = norm.parameter().map(|id| flow.gradients.dense_mut(id).as_mut_slice());
            let dx = norm.gradient(&x.value, &gradient, weight);
            flow.send(x.node, dx);
        })
    }

    /// [`Linear::forward`].
    pub fn linear(&mut self, x: &Var, linear: &'a Linear) -> Var {
        let value = linear.forward(&self.device, &x.value);
        if !self.records(x.node.is_some() || linear.is_trainable()) {
            return Var::constant(value);
        }
        let x = x.clone();
        self.record(value, move |gradient, flow| linear_back(linear, &x, &gradient, flow))
    }

    /// [`Linear::forward_gelu`].
    pub fn linear_gelu(&mut self, x: &Var, linear: &'a Linear) -> Var {
        if !self.records(x.node.is_some() || linear.is_trainable()) {
            return Var::constant(linear.forward_gelu(&self.device, &x.value));
        }
        let (value, before) = linear.forward_gelu_keeping(&self.device, &x.value);
        let x = x.clone();
        self.record(value, move |gradient, flow| {
            let gradient = linear.gelu_gradient(flow.device, &before, &gradient);
            linear_back(linear, &x, &gradient, flow);
        })
    }

    /// [`Linear::forward_add`]; in place where nobody else holds the residual.
    pub fn linear_add(&mut self, x: &Var, linear: &'a Linear, residual: Var) -> Var {
        let residual_node = residual.node;
        let mut value = residual.into_matrix();
        linear.forward_add(&self.device, &x.value, &mut value);
        if !self.records(x.node.is_some() || residual_node.is_some() || linear.is_trainable()) {
            return Var::constant(value);
        }
        let x = x.clone();
        self.record(value, move |gradient, flow| {
            linear_back(linear, &x, &in_type(&gradient, linear.dtype()), flow);
            flow.send(residual_node, gradient);
        })
    }

    /// [`GatedLinear::forward`].
    pub fn gated(&mut self, x: &Var, gated: &'a GatedLinear) -> Var {
        if !self.records(x.node.is_some() || gated.is_trainable()) {
            return Var::constant(gated.forward(&self.device, &x.value));
        }
        let (value, before) = gated.forward_keeping(&self.device, &x.value);
        let x = x.clone();
        self.record(value, move |gradient, flow| {
            let gradient = gated.before_gradient(flow.device, &before, &gradient);
            gated.parameter_gradients(flow.device, &x.value, &gradient, flow.gradients);
            if x.node.is_some() {
                flow.send(x.node, gated.input_gradient(flow.device, &gradient));
            }
        })
    }

    /// [`rotate`]; in place where nobody else holds the value.
    pub fn rotate(
        &mut self,
        x: Var,
        first_col: usize,
        num_heads: usize,
        table: &Arc<RotaryTable>,
    ) -> Var {
        let node = x.node;
        let mut value = x.into_matrix();
        rotate(&mut value, first_col, num_heads, table);
        if !self.records(node.is_some()) {
            return Var::constant(value);
        }
        let table = Arc::clone(table);
        self.record(value, move |mut gradient, flow| {
            rotate_back(&mut gradient, first_col, num_heads, &table);
            flow.send(node, gradient);
        })
    }

    /// [`attention`].
    pub fn attention(
        &mut self,
        q: &Var,
        kv: &Var,
        heads: Heads,
        layout: &Arc<AttentionLayout>,
    ) -> Var {
        if !self.records(q.node.is_some() || kv.node.is_some()) {
            return Var::constant(attention(&self.device, &q.value, &kv.value, &heads, layout));
        }
        let (value, log_sums) =
            attention_keeping(&self.device, &q.value, &kv.value, &heads, layout);
        let value = Arc::new(value);
        let (q, kv, layout, out) = (q.clone(), kv.clone(), Arc::clone(layout), Arc::clone(&value));
        self.record(value, move |gradient, flow| {
            let given = OutputGradient { out: &out, log_sums: &log_sums, d_out: &gradient };
            if q.node == kv.node {
                let joint =
                    joint_attention_gradient(flow.device, &q.value, &given, &heads, &layout);
                flow.send(q.node, joint);
                return;
            }
            let (dq, dkv) =
                attention_gradient(flow.device, &q.value, &kv.value, &given, &heads, &layout);
            flow.send(q.node, dq);
            flow.send(kv.node, dkv);
        })
    }

    /// [`activate`] on a copy; f32.
    pub fn activate(&mut self, x: &Var, activation: Activation) -> Var {
        let mut value = x.value.as_ref().clone();
        activate(&mut value, activation);
        if !self.records(x.node.is_some()) {
            return Var::constant(value);
        }
        let x = x.clone();
        self.record(value, move |mut gradient, flow| {
            activation_gradient(&x.value, activation, &mut gradient);
            flow.send(x.node, gradient);
        })
    }

    /// [`gather_rows`].
    pub fn gather_rows(&mut self, x: &Var, indices: &[usize]) -> Var {
        let value = gather_rows(&x.value, indices);
        if !self.records(x.node.is_some()) {
            return Var::constant(value);
        }
        let (node, (rows, cols)) = (x.node, x.value.dims());
        let indices = indices.to_vec();
        self.record(value, move |gradient, flow| {
            let mut dx = Matrix::zeros(rows, cols, gradient.dtype());
            scatter_add_rows(&gradient, &indices, &mut dx);
            flow.send(node, dx);
        })
    }

    /// [`append_rows`]; no gradient flows into `more`.
    pub fn append_rows(&mut self, x: &Var, more: &[(&Matrix, Range<usize>)]) -> Var {
        let value = append_rows(&x.value, more);
        if !self.records(x.node.is_some()) {
            return Var::constant(value);
        }
        let (node, rows) = (x.node, x.value.rows());
        self.record(value, move |gradient, flow| {
            flow.send(node, gradient.copy_of_rows(0..rows));
        })
    }

    /// [`copy_rows`] of the rows `from` of `source` over those of `target` that begin at `start`; in place where nobody else holds
    /// the target.
    pub fn copy_rows(
        &mut self,
        source: &Var,
        from: Range<usize>,
        target: Var,
        start: usize,
    ) -> Var {
        let target_node = target.node;
        let mut value = target.into_matrix();
        copy_rows(&source.value, from.start, from.len(), &mut value, start);
        if !self.records(source.node.is_some() || target_node.is_some()) {
            return Var::constant(value);
        }
        let (source_node, (rows, cols)) = (source.node, source.value.dims());
        let dtype = source.value.dtype();
        self.record(value, move |mut gradient, flow| {
            if source_node.is_some() {
                let mut d_source = Matrix::zeros(rows, cols, DType::F32);
                copy_rows(&gradient, start, from.len(), &mut d_source, from.start);
                flow.send(source_node, in_type(&d_source, dtype).into_owned());
            }
            gradient.as_mut_slice::<f32>()[start * cols..][..from.len() * cols].fill(0.0);
            flow.send(target_node, gradient);
        })
    }

    /// [`Matrix::reshape`].
    pub fn reshape(&mut self, x: Var, rows: usize, cols: usize) -> Var {
        let (node, (old_rows, old_cols)) = (x.node, x.value.dims());
        let value = x.into_matrix().reshape(rows, cols);
        if !self.records(node.is_some()) {
            return Var::constant(value);
        }
        self.record(value, move |gradient, flow| {
            flow.send(node, gradient.reshape(old_rows, old_cols));
        })
    }
}

/// What every linear layer does with the gradient of its result, which has the layer's type.
fn linear_back(linear: &Linear, x: &Var, gradient: &Matrix, flow: &mut Flow<'_>) {
    linear.parameter_gradients(flow.device, &x.value, gradient, flow.gradients);
    if x.node.is_some() {
        flow.send(x.node, linear.input_gradient(flow.device, gradient));
    }
}

/// A matrix in a type, copied only where it has another.
fn in_type(matrix: &Matrix, dtype: DType) -> Cow<'_, Matrix> {
    if matrix.dtype() == dtype { Cow::Borrowed(matrix) } else { Cow::Owned(matrix.cast(dtype)) }
}

#[cfg(test)]
mod tests;
