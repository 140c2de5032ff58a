//! The reward head: hidden states to one f32 each. It runs in f32 whatever the model's compute type.

use engine::{DType, Device, Linear, Matrix, activate};

use crate::config::Activation;
use crate::head_layout::HeadTensors;

/// A stack of linear layers with one activation between each two.
#[derive(Debug)]
pub struct RewardHead {
    layers: Vec<Linear>,
    activation: engine::Activation,
}

impl RewardHead {
    /// Packs the head's tensors for a device.
    pub fn new(device: &Device, tensors: &HeadTensors) -> Self {
        let layers = tensors
            .layers
            .iter()
            .map(|layer| {
                let weight = Matrix::from_vec(layer.outputs, layer.inputs, layer.weight.clone());
                Linear::new(device, DType::F32, &[&weight], layer.bias.clone())
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
    pub fn forward(&self, device: &Device, hidden: &Matrix) -> Vec<f32> {
        let (last, before) = self.layers.split_last().expect("a head has a layer");
        let mut hidden = hidden.clone();
        for layer in before {
            hidden = layer.forward(device, &hidden);
            activate(&mut hidden, self.activation);
        }
        last.forward(device, &hidden).to_f32()
    }
}
