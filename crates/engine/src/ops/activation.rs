//! Element-wise activations of a matrix in place.

use crate::math;
use crate::matrix::Matrix;

/// The activations that reward heads use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x.
    Identity,
    /// max(x, 0).
    Relu,
    /// x · sigmoid(x).
    Silu,
    /// tanh(x).
    Tanh,
    /// x · Φ(x), with the exact error function.
    Gelu,
}

/// Applies the activation to every element of an f32 matrix. Heads are small: this is a plain loop on one thread.
///
/// # Panics
/// If `x` is not f32.
pub fn activate(x: &mut Matrix, activation: Activation) {
    let apply = match activation {
        Activation::Identity => return,
        Activation::Relu => |x: f32| x.max(0.0),
        Activation::Silu => math::silu,
        Activation::Tanh => f32::tanh,
        Activation::Gelu => math::gelu,
    };
    for value in x.as_mut_slice::<f32>() {
        *value = apply(*value);
    }
}
