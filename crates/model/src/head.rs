//! The reward head: hidden states to one f32 each. It runs in f32 whatever the model's compute type.

use engine::{DType, Device, Linear, Matrix, Tape, Var};

use crate::config::Activation;
use crate::head_layout::{self, HeadTensors};
use crate::weights::{LayerMut, Module, Named};

/// A stack of linear layers with one activation between each two.
#[derive(Debug)]
pub struct RewardHead {
    layers: Vec<Named<Linear>>,
    activation: engine::Activation,
}

impl RewardHead {
    /// Packs the head's tensors for a device.
    pub fn new(device: &Device, tensors: &HeadTensors) -> Self {
        let layers = modules(tensors)
            .into_iter()
            .zip(&tensors.layers)
            .map(|(module, layer)| {
                let weight = Matrix::from_vec(layer.outputs, layer.inputs, layer.weight.clone());
                let layer = Linear::new(device, DType::F32, &[&weight], layer.bias.clone());
                Named { layer, modules: vec![module] }
            })
            .collect();
        let activation = match tensors.activation {
            Activation::None => engine::Activation::Identity,
            Activation::Relu => engine::Activation::Relu,
            Activation::Silu => engine::Activation::Silu,
            Activation::Tanh => engine::Activation::Tanh,
            Activation::Gelu => engine::Activation::Gelu,
        };
        Self { layers, activation }
    }

    /// Rewards of hidden states.
    ///
    /// # Shapes
    /// `hidden`: f32 `[n, hidden_size]`; result: `[n]`.
    ///
    /// # Panics
    /// If `hidden` is not f32 of the head's width.
    pub fn score(&self, device: &Device, hidden: Matrix) -> Vec<f32> {
        let hidden = Var::constant(hidden);
        self.forward(&mut Tape::computing(device), hidden).value().to_f32()
    }

    /// As [`Self::score`], on a tape; the result is f32 `[n, 1]`.
    pub(crate) fn forward<'a>(&'a self, tape: &mut Tape<'a>, mut hidden: Var) -> Var {
        let (last, before) = self.layers.split_last().expect("a head has a layer");
        for layer in before {
            let sums = tape.linear(&hidden, layer);
            hidden = tape.activate(&sums, self.activation);
        }
        tape.linear(&hidden, last)
    }

    /// Every layer that has parameters.
    pub(crate) fn layers_mut(&mut self) -> Vec<LayerMut<'_>> {
        self.layers.iter_mut().map(LayerMut::Linear).collect()
    }
}

/// The head's modules by the names that are written.
pub(crate) fn modules(tensors: &HeadTensors) -> Vec<Module> {
    let prefixes = head_layout::written_prefixes(tensors.layers.len());
    let module = |(name, layer): (String, &head_layout::HeadLayer)| Module {
        name,
        outputs: layer.outputs,
        inputs: vec![layer.inputs],
        bias: layer.bias.is_some(),
    };
    prefixes.into_iter().zip(&tensors.layers).map(module).collect()
}
