//! Element-wise activations of a matrix in place, and their gradients.

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

/// Multiplies the gradient by the result with the activation's derivative at `x`, in place. Both are f32.
pub(crate) fn activation_gradient(x: &Matrix, activation: Activation, gradient: &mut Matrix) {
    let derivative = match activation {
        Activation::Identity => return,
        Activation::Relu => |x: f32| if x > 0.0 { 1.0 } else { 0.0 },
        Activation::Silu => math::silu_derivative,
        Activation::Tanh => |x: f32| 1.0 - x.tanh() * x.tanh(),
        Activation::Gelu => math::gelu_derivative,
    };
    for (gradient, x) in gradient.as_mut_slice::<f32>().iter_mut().zip(x.as_slice::<f32>()) {
        *gradient *= derivative(*x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_equal_finite_differences() {
        let all = [
            Activation::Identity,
            Activation::Relu,
            Activation::Silu,
            Activation::Tanh,
            Activation::Gelu,
        ];
        let points: Vec<f32> = (0..41).map(|i| i as f32 * 0.25 - 5.1).collect();
        for activation in all {
            let at = |shift: f32| {
                let points = points.iter().map(|point| point + shift).collect();
                let mut x = Matrix::from_vec(1, 41, points);
                activate(&mut x, activation);
                x.to_f32()
            };
            let (above, below) = (at(1e-2), at(-1e-2));
            let mut gradient = Matrix::from_vec(1, 41, vec![3.0_f32; 41]);
            let x = Matrix::from_vec(1, 41, points.clone());
            activation_gradient(&x, activation, &mut gradient);
            for ((got, above), below) in gradient.to_f32().iter().zip(above).zip(below) {
                let expected = 3.0 * (above - below) / 2e-2;
                assert!((got - expected).abs() < 2e-3, "{activation:?}: {got} {expected}");
            }
        }
    }
}
