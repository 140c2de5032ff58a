//! What every operation sends back, to its inputs and to its parameters, against the slopes of what it computes.

use super::*;
use crate::device::Device;
use crate::ops::attention::{Segment, Visible};
use crate::parameters::{Gradients, Link, ParameterId, Trainable};
use crate::product::tests::values;
use crate::tape::Recompute;

/// Rows of most inputs, features of layers in and out.
const ROWS: usize = 5;
const IN: usize = 8;
const OUT: usize = 6;
/// Central differences: curvature costs the square of the step, rounding its reciprocal.
const STEP: f32 = 1.0 / 64.0;
/// Of the largest slope.
const TOLERANCE: f64 = 5e-4;

fn noise(rows: usize, cols: usize, seed: u32) -> Matrix {
    Matrix::from_vec(rows, cols, values::<f32>(rows * cols, seed))
}

/// One layer of each kind that has parameters, everything trained.
struct Layers {
    embedding: Embedding,
    norm: RmsNorm,
    linear: Linear,
    gated: GatedLinear,
}

impl Layers {
    /// Shapes of the parameters by id: table, norm, weight and bias, gate and up with their biases.
    const SHAPES: [(usize, usize); 8] =
        [(3, IN), (1, IN), (OUT, IN), (1, OUT), (OUT, IN), (1, OUT), (OUT, IN), (1, OUT)];

    fn new(device: &Device, parameters: &[Matrix]) -> Self {
        let [table, norm, weight, bias, gate, gate_bias, up, up_bias] = parameters else {
            panic!("a matrix for each shape");
        };
        let link = |outputs, weight, bias| Link {
            outputs,
            weight: Some(Trainable::Full(ParameterId(weight))),
            bias: Some(ParameterId(bias)),
        };
        let mut embedding = Embedding::new(table.clone());
        embedding.set_parameter(Some(ParameterId(0)));
        let mut norm = RmsNorm::new(norm.to_f32(), 1e-3);
        norm.set_parameter(Some(ParameterId(1)));
        let mut linear = Linear::new(device, DType::F32, &[weight], Some(bias.to_f32()));
        linear.set_links(vec![link(0..OUT, 2, 3)]);
        let biases = (gate_bias.to_f32(), up_bias.to_f32());
        let mut gated =
            GatedLinear::new(device, DType::F32, gate, up, Some((&biases.0, &biases.1)));
        gated.set_links(vec![link(0..OUT, 4, 5), link(OUT..2 * OUT, 6, 7)]);
        Self { embedding, norm, linear, gated }
    }
}

type Operation = for<'a> fn(&mut Tape<'a>, &'a Layers, &[Var]) -> Var;

/// Checks the gradients of an operation by all elements of its inputs and of all parameters. Those that it does not read must have
/// none, as they have no slope.
fn check(name: &str, inputs: &[(usize, usize)], operation: Operation) {
    let device = Device::cpu(Some(1)).expect("a device");
    let seeded = |shapes: &[(usize, usize)], first: u32| -> Vec<Matrix> {
        shapes.iter().zip(first..).map(|(&(rows, cols), seed)| noise(rows, cols, seed)).collect()
    };
    let mut all = seeded(inputs, 1);
    all.extend(seeded(&Layers::SHAPES, 11));

    let layers = Layers::new(&device, &all[inputs.len()..]);
    let mut tape = Tape::recording(&device, Recompute::Nothing);
    let leaves: Vec<Var> =
        all[..inputs.len()].iter().map(|input| tape.leaf(Arc::new(input.clone()))).collect();
    let result = operation(&mut tape, &layers, &leaves);
    let (rows, cols) = result.value.dims();
    let d = noise(rows, cols, 31);
    let mut gradients = Gradients::new(&Layers::SHAPES);
    let arrived = tape.run_back(&result, d.clone(), &mut gradients);
    let of_leaf = |leaf: &Var| {
        let (rows, cols) = leaf.value.dims();
        arrived[leaf.node.expect("a leaf")]
            .as_ref()
            .map_or_else(|| vec![0.0; rows * cols], Matrix::to_f32)
    };
    let got: Vec<Vec<f32>> = leaves
        .iter()
        .map(of_leaf)
        .chain((0..Layers::SHAPES.len()).map(|id| gradients.get(ParameterId(id)).to_f32()))
        .collect();

    let loss = |all: &[Matrix]| -> f64 {
        let layers = Layers::new(&device, &all[inputs.len()..]);
        let inputs: Vec<Var> = all[..inputs.len()].iter().cloned().map(Var::constant).collect();
        let result = operation(&mut Tape::computing(&device), &layers, &inputs).into_matrix();
        result.to_f32().iter().zip(d.to_f32()).map(|(y, d)| f64::from(*y) * f64::from(d)).sum()
    };
    for (which, got) in got.iter().enumerate() {
        let mut slope = |element: usize| {
            let mut loss_at = |step: f32| {
                let kept = all[which].as_slice::<f32>()[element];
                all[which].as_mut_slice::<f32>()[element] = kept + step;
                let loss = loss(&all);
                all[which].as_mut_slice::<f32>()[element] = kept;
                loss
            };
            (loss_at(STEP) - loss_at(-STEP)) / f64::from(2.0 * STEP)
        };
        let slopes: Vec<f64> = (0..got.len()).map(&mut slope).collect();
        let scale = slopes.iter().fold(0.0_f64, |scale, slope| scale.max(slope.abs()));
        for (element, (got, slope)) in got.iter().zip(&slopes).enumerate() {
            assert!(
                (f64::from(*got) - slope).abs() <= TOLERANCE * scale,
                "{name}, matrix {which}, element {element}: {got} where the slope is {slope}"
            );
        }
    }
    assert!(got.iter().flatten().any(|value| *value != 0.0), "{name}: nothing came back");
}

#[test]
fn operations_with_parameters_send_back_their_slopes() {
    check("embedding", &[], |tape, layers, _| tape.embedding(&layers.embedding, &[2, 0, 2]));
    check("rms_norm", &[(ROWS, IN)], |tape, layers, inputs| {
        tape.rms_norm(&inputs[0], &layers.norm, DType::F32)
    });
    check("linear", &[(ROWS, IN)], |tape, layers, inputs| tape.linear(&inputs[0], &layers.linear));
    check("linear_gelu", &[(ROWS, IN)], |tape, layers, inputs| {
        tape.linear_gelu(&inputs[0], &layers.linear)
    });
    check("linear_add", &[(ROWS, IN), (ROWS, OUT)], |tape, layers, inputs| {
        tape.linear_add(&inputs[0], &layers.linear, inputs[1].clone())
    });
    check("gated", &[(ROWS, IN)], |tape, layers, inputs| tape.gated(&inputs[0], &layers.gated));
}

#[test]
fn operations_on_rows_send_back_their_slopes() {
    check("gather_rows", &[(ROWS, IN)], |tape, _, inputs| tape.gather_rows(&inputs[0], &[3, 0, 3]));
    check("append_rows", &[(ROWS, IN)], |tape, _, inputs| {
        tape.append_rows(&inputs[0], &[(&noise(4, IN, 41), 1..3)])
    });
    check("copy_rows", &[(ROWS, IN), (ROWS, IN)], |tape, _, inputs| {
        tape.copy_rows(&inputs[0], 1..3, inputs[1].clone(), 2)
    });
    check("reshape", &[(ROWS, IN)], |tape, _, inputs| tape.reshape(inputs[0].clone(), IN, ROWS));
    check("one value twice", &[(ROWS, IN)], |tape, _, inputs| {
        let copied = tape.copy_rows(&inputs[0], 0..2, inputs[0].clone(), 3);
        tape.copy_rows(&copied, 3..4, copied.clone(), 0)
    });
}

#[test]
fn rotation_and_activations_send_back_their_slopes() {
    check("rotate", &[(ROWS, 2 + IN)], |tape, _, inputs| {
        let angle = |row: usize, out: &mut [f32]| {
            out.copy_from_slice(&[row as f32 + 0.3, 2.0 - row as f32]);
        };
        tape.rotate(inputs[0].clone(), 1, 2, &Arc::new(RotaryTable::new(ROWS, 2, angle)))
    });
    // That of ReLU, which has a bend, is held at single points in `ops/activation.rs`.
    check("silu", &[(ROWS, IN)], |tape, _, inputs| tape.activate(&inputs[0], Activation::Silu));
    check("tanh", &[(ROWS, IN)], |tape, _, inputs| tape.activate(&inputs[0], Activation::Tanh));
    check("gelu", &[(ROWS, IN)], |tape, _, inputs| tape.activate(&inputs[0], Activation::Gelu));
}

/// Two heads over one of keys and values in a matrix of their own; the same with everything in one matrix.
const APART: Heads = Heads {
    num_heads: 2,
    num_key_value_heads: 1,
    head_dim: 4,
    query_col: 0,
    key_col: 0,
    value_col: 4,
};
const JOINT: Heads = Heads { num_key_value_heads: 2, key_col: 8, value_col: 16, ..APART };

#[test]
fn attention_sends_back_its_slopes() {
    /// Two rows that three others follow, in two ways.
    fn layout() -> Arc<AttentionLayout> {
        let causal = |queries: Range<usize>, earlier: Option<Range<usize>>| {
            let before = earlier.as_ref().map_or(0, Range::len);
            let keys = earlier.into_iter().chain([queries.clone()]).collect();
            Segment { queries, keys, visible: Visible::Causal { before } }
        };
        Arc::new(AttentionLayout::new(&[
            causal(0..2, None),
            causal(2..4, Some(0..2)),
            causal(4..5, Some(0..2)),
        ]))
    }
    check("attention", &[(ROWS, 8), (ROWS, 8)], |tape, _, inputs| {
        tape.attention(&inputs[0], &inputs[1], APART, &layout())
    });
    check("attention of one matrix", &[(ROWS, 24)], |tape, _, inputs| {
        tape.attention(&inputs[0], &inputs[0], JOINT, &layout())
    });
}
