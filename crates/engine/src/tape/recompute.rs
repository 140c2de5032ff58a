//! Layers, and computing again what is inside of them.

use super::{Mode, Tape, Var};
use crate::matrix::Matrix;
use std::sync::Arc;

/// What a recording tape computes again in the backward pass instead of keeping it.
///
/// # Source
/// Chen et al. 2016, *Training Deep Nets with Sublinear Memory Cost*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recompute {
    /// Nothing.
    #[default]
    Nothing,
    /// What is inside of each layer, from the layer's input: one more forward pass.
    Layers,
    /// As `Layers`, and inputs of layers from that of the first of their group: up to two more forward passes. What is kept grows with
    /// the root of the number of layers.
    Groups,
}

impl Recompute {
    /// Most inputs of layers that are held at a time, of `layers` that follow each other.
    pub fn kept_inputs(self, layers: usize) -> usize {
        let len = self.group_len(layers);
        layers.div_ceil(len) + len - 1
    }

    /// Layers of a group: as few as hold the least.
    fn group_len(self, layers: usize) -> usize {
        match self {
            Self::Nothing | Self::Layers => 1,
            Self::Groups => (1..=layers).min_by_key(|len| layers.div_ceil(*len) + len).unwrap_or(1),
        }
    }
}

impl<'a> Tape<'a> {
    /// Runs one layer of a model, `forward(tape, x)`: the unit of recomputation.
    pub fn layer(
        &mut self,
        x: Var,
        forward: impl Fn(&mut Tape<'a>, Var) -> Var + Send + Sync + 'a,
    ) -> Var {
        if self.recompute() == Recompute::Nothing {
            return forward(self, x);
        }
        self.run_again(x, Recompute::Nothing, forward)
    }

    /// Runs layers one after the other. `seen` gets the number and the result of each, of a group of layers that of its last.
    pub fn layers<F>(
        &mut self,
        mut x: Var,
        layers: &[F],
        mut seen: impl FnMut(usize, &Matrix),
    ) -> Var
    where
        F: Fn(&mut Tape<'a>, Var) -> Var + Clone + Send + Sync + 'a,
    {
        let mut done = 0;
        for group in layers.chunks(self.recompute().group_len(layers.len())) {
            x = match group {
                [layer] => self.layer(x, layer.clone()),
                _ => self.group(x, group.to_vec()),
            };
            done += group.len();
            seen(done - 1, x.value());
        }
        x
    }

    /// Runs a group of layers, of which only the input is kept. When the gradient arrives, the inputs of all are there again, and
    /// the last layer has just been run: that one is recorded at once.
    fn group<F>(&mut self, x: Var, layers: Vec<F>) -> Var
    where
        F: Fn(&mut Tape<'a>, Var) -> Var + Clone + Send + Sync + 'a,
    {
        self.run_again(x, Recompute::Layers, move |tape, x| {
            let (last, before) = layers.split_last().expect("a group has a layer");
            let x = before.iter().fold(x, |x, layer| tape.layer(x, layer.clone()));
            last(tape, x)
        })
    }

    /// Keeps the input of `forward` alone; the gradient runs it again on a tape of its own, which keeps what `inside` says.
    fn run_again(
        &mut self,
        x: Var,
        inside: Recompute,
        forward: impl Fn(&mut Tape<'a>, Var) -> Var + Send + Sync + 'a,
    ) -> Var {
        let mut inner = Tape::with_mode(&self.device, Mode::Watch { trainable: false });
        let result = forward(&mut inner, Var { value: Arc::clone(&x.value), node: None });
        let trainable = matches!(inner.mode, Mode::Watch { trainable: true });
        if !self.records(x.node.is_some() || trainable) {
            return result;
        }
        self.record(result.value, move |gradient, flow| {
            let mut inner = Tape::recording(flow.device, inside);
            let Var { value, node } = x;
            let start = if node.is_some() { inner.leaf(value) } else { Var { value, node } };
            let leaf = start.node;
            let result = forward(&mut inner, start);
            let mut waiting = inner.run_back(&result, gradient, flow.gradients);
            if let Some(gradient) = leaf.and_then(|leaf| waiting[leaf].take()) {
                flow.send(node, gradient);
            }
        })
    }

    fn recompute(&self) -> Recompute {
        match self.mode {
            Mode::Record { recompute } => recompute,
            Mode::Compute | Mode::Watch { .. } => Recompute::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Gradients;
    use crate::{Activation, Device};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn groups_hold_about_twice_the_root_of_the_layers() {
        let held = |layers| Recompute::Groups.kept_inputs(layers);
        assert_eq!([1, 4, 8, 16, 36, 80].map(held), [1, 3, 5, 7, 11, 17]);
        assert_eq!(Recompute::Groups.kept_inputs(0), 0);
        assert_eq!(Recompute::Layers.kept_inputs(36), 36);
        assert_eq!(
            Recompute::Groups.group_len(8),
            2,
            "of 2 and 3, which hold as much, the one that runs less again"
        );
    }

    #[test]
    fn every_way_gives_the_same_gradient_and_runs_layers_as_often_as_it_says() {
        for (recompute, expected_runs) in
            [(Recompute::Nothing, 7), (Recompute::Layers, 14), (Recompute::Groups, 17)]
        {
            let runs = AtomicUsize::new(0);
            let (value, gradient, seen) = run(recompute, &runs);
            let (kept_value, kept_gradient, _) = run(Recompute::Nothing, &AtomicUsize::new(0));
            assert_eq!((value, gradient), (kept_value, kept_gradient), "{recompute:?}");
            assert_eq!(runs.into_inner(), expected_runs, "{recompute:?}");
            let all =
                if recompute == Recompute::Groups { vec![1, 3, 5, 6] } else { (0..7).collect() };
            assert_eq!(seen, all, "{recompute:?}");
        }
    }

    /// Seven layers of SiLU over three numbers: the result, its gradient by the input, and the layers that were seen.
    fn run(recompute: Recompute, runs: &AtomicUsize) -> (Matrix, Matrix, Vec<usize>) {
        let device = Device::cpu(Some(1)).unwrap();
        let mut tape = Tape::recording(&device, recompute);
        let x = tape.leaf(Arc::new(Matrix::from_vec(3, 1, vec![0.3_f32, -1.2, 2.0])));
        let leaf = x.node.unwrap();
        let layer = |tape: &mut Tape<'_>, x: Var| {
            runs.fetch_add(1, Ordering::Relaxed);
            tape.activate(&x, Activation::Silu)
        };
        let mut seen = Vec::new();
        let result = tape.layers(x, &[layer; 7], |layer_idx, _| seen.push(layer_idx));
        let ones = Matrix::from_vec(3, 1, vec![1.0_f32; 3]);
        let mut waiting = tape.run_back(&result, ones, &mut Gradients::new(&[]));
        (result.into_matrix(), waiting[leaf].take().unwrap(), seen)
    }
}
