//! Looking at the stages of a forward pass, for comparison with a reference.

use engine::Matrix;

/// Receives the stages of a forward pass by name. The names are those of `reference/goldens.py`.
pub trait Observer: Send {
    /// Called with each stage as it is computed.
    fn stage(&mut self, name: &str, value: &Matrix);
}

/// Looks at nothing.
pub(crate) struct Blind;

impl Observer for Blind {
    fn stage(&mut self, _name: &str, _value: &Matrix) {}
}
