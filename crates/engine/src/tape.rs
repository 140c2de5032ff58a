//! The tape: what the operations did, so that a gradient can go the same way back.
//!
//! A forward pass is written once, over [`Var`]s. On a tape that records nothing it computes and frees as it
//! goes, in place where nobody else holds a value; on a recording tape each operation leaves behind how to turn the gradient of its
//! result into those of its inputs. An operation whose inputs and parameters are all frozen leaves nothing: it costs neither
//! memory nor arithmetic in [`Tape::backward`].
//!
//! NUMERICS: the gradient of a value has the value's type; gradients of parameters are f32.

mod operations;
mod recompute;

pub use self::recompute::Recompute;
use crate::device::Device;
use crate::matrix::{DType, Element, Matrix};
use crate::parallel::{RowWork, for_each_row};
use crate::parameters::Gradients;
use half::bf16;
use std::sync::Arc;

/// A value of a forward pass. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Var {
    value: Arc<Matrix>,
    /// Where its gradient is gathered; none where no gradient is wanted.
    node: Option<usize>,
}

impl Var {
    /// A value that no gradient flows into.
    pub fn constant(value: Matrix) -> Self {
        Self { value: Arc::new(value), node: None }
    }

    /// The value.
    pub fn value(&self) -> &Matrix {
        &self.value
    }

    /// The value, copied only where somebody else holds it, too.
    pub fn into_matrix(self) -> Matrix {
        Arc::unwrap_or_clone(self.value)
    }
}

/// Turns the gradient of a result into gradients of inputs and parameters.
type Backward<'a> = Box<dyn FnOnce(Matrix, &mut Flow<'_>) + Send + 'a>;

/// What a tape does besides computing.
#[derive(Debug)]
enum Mode {
    /// Nothing.
    Compute,
    /// Notes whether anything that was used is trained.
    Watch { trainable: bool },
    /// Records.
    Record { recompute: Recompute },
}

/// The order of what was done. `'a` is the life of the layers that were used.
pub struct Tape<'a> {
    device: Device,
    mode: Mode,
    /// None for a leaf, whose gradient stays where it arrives.
    nodes: Vec<Option<Backward<'a>>>,
}

/// A running backward pass, as one operation sees it.
struct Flow<'t> {
    device: &'t Device,
    /// Gradients of the values before the operation's own.
    waiting: &'t mut [Option<Matrix>],
    gradients: &'t mut Gradients,
}

impl Flow<'_> {
    /// Adds to the gradient of an input, if that wants one.
    fn send(&mut self, input: Option<usize>, gradient: Matrix) {
        let Some(node) = input else { return };
        match &mut self.waiting[node] {
            Some(sum) => add_to(sum, &gradient),
            empty => *empty = Some(gradient),
        }
    }
}

impl<'a> Tape<'a> {
    /// A tape that only computes.
    pub fn computing(device: &Device) -> Self {
        Self::with_mode(device, Mode::Compute)
    }

    /// A tape that records; what is inside of layers is kept, or computed again when the gradient arrives.
    pub fn recording(device: &Device, recompute: Recompute) -> Self {
        Self::with_mode(device, Mode::Record { recompute })
    }

    fn with_mode(device: &Device, mode: Mode) -> Self {
        Self { device: device.clone(), mode, nodes: Vec::new() }
    }

    /// The device that operations run on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A value whose gradient is gathered although no operation of this tape made it.
    fn leaf(&mut self, value: Arc<Matrix>) -> Var {
        self.nodes.push(None);
        Var { value, node: Some(self.nodes.len() - 1) }
    }

    /// Whether a result must be recorded, given that one of its inputs or parameters wants a gradient.
    fn records(&mut self, wanted: bool) -> bool {
        if let Mode::Watch { trainable } = &mut self.mode {
            *trainable |= wanted;
        }
        wanted && matches!(self.mode, Mode::Record { .. })
    }

    /// A result with its way back.
    fn record(
        &mut self,
        value: impl Into<Arc<Matrix>>,
        backward: impl FnOnce(Matrix, &mut Flow<'_>) + Send + 'a,
    ) -> Var {
        self.nodes.push(Some(Box::new(backward)));
        Var { value: value.into(), node: Some(self.nodes.len() - 1) }
    }

    /// Sends the gradient of a loss by `result` back through everything that was recorded, and adds what arrives at
    /// parameters to `gradients`.
    ///
    /// # Panics
    /// If the gradient's shape or type is not the result's.
    pub fn backward(self, result: &Var, gradient: Matrix, gradients: &mut Gradients) {
        self.run_back(result, gradient, gradients);
    }

    /// As [`Self::backward`]; what arrived at the leaves is left in their places.
    fn run_back(
        self,
        result: &Var,
        gradient: Matrix,
        gradients: &mut Gradients,
    ) -> Vec<Option<Matrix>> {
        assert_eq!(gradient.dims(), result.value.dims(), "the gradient's shape");
        assert_eq!(gradient.dtype(), result.value.dtype(), "the gradient's type");
        let Self { device, mut nodes, .. } = self;
        let mut waiting: Vec<Option<Matrix>> = (0..nodes.len()).map(|_| None).collect();
        if let Some(node) = result.node {
            waiting[node] = Some(gradient);
        }
        // Each way back is dropped when it has been gone, and with it the values that it kept.
        while let Some(node) = nodes.pop() {
            let (earlier, own) = waiting.split_at_mut(nodes.len());
            if let Some(backward) = node
                && let Some(gradient) = own[0].take()
            {
                backward(gradient, &mut Flow { device: &device, waiting: earlier, gradients });
            }
        }
        waiting
    }
}

/// `sum += more`, element by element, in the type of both.
fn add_to(sum: &mut Matrix, more: &Matrix) {
    match sum.dtype() {
        DType::F32 => add_rows::<f32>(sum, more),
        DType::Bf16 => add_rows::<bf16>(sum, more),
    }
}

fn add_rows<T: Element>(sum: &mut Matrix, more: &Matrix) {
    assert_eq!(sum.dims(), more.dims(), "gradients of one value have one shape");
    let cols = sum.cols();
    for_each_row(sum.as_mut_slice::<T>(), cols, &Add { more: more.as_slice::<T>() });
}

struct Add<'a, T> {
    more: &'a [T],
}

impl<T: Element> RowWork<T> for Add<'_, T> {
    #[inline(always)]
    fn row(&self, row_idx: usize, row: &mut [T]) {
        let more = &self.more[row_idx * row.len()..][..row.len()];
        for (sum, more) in row.iter_mut().zip(more) {
            *sum = T::from_f32(sum.to_f32() + more.to_f32());
        }
    }
}
