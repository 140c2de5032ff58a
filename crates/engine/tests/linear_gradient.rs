//! Gradients of linear layers against sums and differences in f64, on every tier that this machine has.

use engine::{
    DType, Device, GatedLinear, Gradients, Linear, Link, LowRank, Matrix, ParameterId, Tier,
    Trainable,
};

/// `(rows, in, out)`: one row, odd sizes, sizes on both sides of panels, and more rows than one product sums over.
const SHAPES: [(usize, usize, usize); 7] = [
    (1, 7, 5),
    (2, 31, 129),
    (13, 64, 33),
    (70, 130, 40),
    (33, 257, 64),
    (400, 96, 300),
    (2100, 33, 17),
];

/// Numbers in [−1, 1) from a seed, exact in bf16.
fn noise(rows: usize, cols: usize, seed: u32) -> Matrix {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 25) as f32 / 64.0 - 1.0
    };
    Matrix::from_vec(rows, cols, (0..rows * cols).map(|_| next()).collect::<Vec<f32>>())
}

fn for_every_tier_and_type(check: impl Fn(&Device, DType, f64)) {
    for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
        let device = Device::cpu_with_tier(tier, Some(2)).expect("an available tier");
        check(&device, DType::F32, 1e-5);
        // A few roundings of what stands between the products.
        check(&device, DType::Bf16, 1.0 / 100.0);
    }
}

fn assert_close(what: &str, got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: the number of elements");
    let scale = expected.iter().fold(0.0_f64, |scale, value| scale.max(value.abs()));
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let distance = (f64::from(*got) - expected).abs();
        assert!(distance <= tolerance * scale, "{what}, element {index}: {got} is not {expected}");
    }
}

fn wide(matrix: &Matrix) -> Vec<f64> {
    matrix.to_f32().into_iter().map(f64::from).collect()
}

/// `a · b` of `[m, k]` and `[k, n]` in f64.
fn product(a: &[f64], b: &[f64], k: usize, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; a.len() / k * n];
    for (out, a) in out.chunks_exact_mut(n).zip(a.chunks_exact(k)) {
        for (a, b) in a.iter().zip(b.chunks_exact(n)) {
            for (out, b) in out.iter_mut().zip(b) {
                *out += a * b;
            }
        }
    }
    out
}

fn transposed(values: &[f64], cols: usize) -> Vec<f64> {
    let rows = values.len() / cols;
    (0..values.len()).map(|i| values[i % rows * cols + i / rows]).collect()
}

fn columns(values: &[f64], cols: usize, range: std::ops::Range<usize>) -> Vec<f64> {
    values.chunks_exact(cols).flat_map(|row| row[range.clone()].to_vec()).collect()
}

fn scaled(values: &[f64], factor: f64) -> Vec<f64> {
    values.iter().map(|value| value * factor).collect()
}

fn column_sums(values: &[f64], cols: usize) -> Vec<f64> {
    (0..cols).map(|col| values.iter().skip(col).step_by(cols).sum()).collect()
}

fn full(id: usize) -> Trainable {
    Trainable::Full(ParameterId(id))
}

fn low_rank(a: (usize, &Matrix), b: (usize, &Matrix), scale: f32) -> Trainable {
    Trainable::LowRank(LowRank {
        a: ParameterId(a.0),
        b: ParameterId(b.0),
        a_value: a.1.clone(),
        b_value: b.1.clone(),
        scale,
    })
}

fn of(gradients: &Gradients, id: usize) -> Vec<f32> {
    gradients.get(ParameterId(id)).to_f32()
}

#[test]
fn the_gradient_of_the_input_is_dy_times_the_weight() {
    for_every_tier_and_type(|device, dtype, tolerance| {
        for (rows, width, out) in SHAPES {
            let (w, dy) = (noise(out, width, 1), noise(rows, out, 2));
            let linear = Linear::new(device, dtype, &[&w], None);
            let dx = linear.input_gradient(device, &dy.cast(dtype));
            assert_eq!((dx.dims(), dx.dtype()), ((rows, width), dtype));
            let expected = product(&wide(&dy), &wide(&w), out, width);
            assert_close("dx", &dx.to_f32(), &expected, tolerance);
        }
    });
}

#[test]
fn gradients_of_weight_and_bias_are_sums_over_rows_and_are_added() {
    for_every_tier_and_type(|device, dtype, _| {
        for (rows, width, out) in SHAPES {
            let (w, x, dy) = (noise(out, width, 1), noise(rows, width, 2), noise(rows, out, 3));
            let mut linear = Linear::new(device, dtype, &[&w], Some(vec![0.0; out]));
            assert!(!linear.is_trainable());
            linear.set_links(vec![Link {
                outputs: 0..out,
                weight: Some(full(1)),
                bias: Some(ParameterId(0)),
            }]);
            assert!(linear.is_trainable());
            let mut gradients = Gradients::new(&[(1, out), (out, width)]);
            for times in [1.0, 2.0] {
                linear.parameter_gradients(device, &x.cast(dtype), &dy.cast(dtype), &mut gradients);
                let expected = product(&transposed(&wide(&dy), out), &wide(&x), rows, width);
                // The operands are exact in both types, and the sums f32.
                assert_close("weight", &of(&gradients, 1), &scaled(&expected, times), 1e-5);
                let expected = scaled(&column_sums(&wide(&dy), out), times);
                assert_close("bias", &of(&gradients, 0), &expected, 1e-5);
            }
        }
    });
}

#[test]
fn each_stacked_weight_has_its_own_gradient() {
    let (rows, width, rank) = (45, 50, 3);
    let sizes = [17, 20, 9, 40, 6];
    let starts = [0, 17, 37, 46, 86];
    let out = 92;
    let weights: Vec<Matrix> =
        sizes.iter().zip(1..).map(|(size, seed)| noise(*size, width, seed)).collect();
    let (a, b) = (noise(rank, width, 11), noise(sizes[2], rank, 12));
    let (x, dy) = (noise(rows, width, 13), noise(rows, out, 14));
    let outputs = |i: usize| starts[i]..starts[i] + sizes[i];
    let links = vec![
        Link { outputs: outputs(0), weight: Some(full(0)), bias: Some(ParameterId(1)) },
        Link { outputs: outputs(1), weight: None, bias: Some(ParameterId(2)) },
        Link { outputs: outputs(2), weight: Some(low_rank((3, &a), (4, &b), 0.5)), bias: None },
        Link { outputs: outputs(3), weight: Some(full(6)), bias: None },
        Link { outputs: outputs(4), weight: Some(full(5)), bias: None },
    ];
    let shapes =
        [(17, width), (1, 17), (1, 20), (rank, width), (9, rank), (6, width), (40, width), (8, 8)];
    let by_weight = |i: usize| {
        let dy = columns(&wide(&dy), out, outputs(i));
        product(&transposed(&dy, sizes[i]), &wide(&x), rows, width)
    };
    for_every_tier_and_type(|device, dtype, tolerance| {
        let sources: Vec<&dyn engine::RowSource> =
            weights.iter().map(|weight| weight as &dyn engine::RowSource).collect();
        let mut linear = Linear::new(device, dtype, &sources, None);
        linear.set_links(links.clone());
        let mut gradients = Gradients::new(&shapes);
        linear.parameter_gradients(device, &x.cast(dtype), &dy.cast(dtype), &mut gradients);
        for (i, id) in [(0, 0), (3, 6), (4, 5)] {
            assert_close("full", &of(&gradients, id), &by_weight(i), 1e-5);
        }
        let sums = column_sums(&wide(&dy), out);
        assert_close("bias", &of(&gradients, 1), &sums[outputs(0)], 1e-5);
        assert_close("bias of a frozen weight", &of(&gradients, 2), &sums[outputs(1)], 1e-5);

        let whole = scaled(&by_weight(2), 0.5);
        let by_a = product(&transposed(&wide(&b), rank), &whole, sizes[2], width);
        let by_b = product(&whole, &transposed(&wide(&a), width), width, rank);
        assert_close("a", &of(&gradients, 3), &by_a, tolerance);
        assert_close("b", &of(&gradients, 4), &by_b, tolerance);
        assert!(of(&gradients, 7).iter().all(|value| *value == 0.0), "a stranger's gradient");
    });
}

#[test]
fn a_parameter_may_stand_in_a_layer_twice() {
    let (rows, width, size) = (20, 40, 24);
    let (w, x, dy) = (noise(size, width, 1), noise(rows, width, 2), noise(rows, 2 * size, 3));
    let by_half = |half: usize| {
        let dy = columns(&wide(&dy), 2 * size, half * size..(half + 1) * size);
        product(&transposed(&dy, size), &wide(&x), rows, width)
    };
    let expected: Vec<f64> = by_half(0).iter().zip(by_half(1)).map(|(a, b)| a + b).collect();
    for_every_tier_and_type(|device, dtype, _| {
        let mut linear = Linear::new(device, dtype, &[&w, &w], None);
        let link = |outputs| Link { outputs, weight: Some(full(0)), bias: None };
        linear.set_links(vec![link(0..size), link(size..2 * size)]);
        let mut gradients = Gradients::new(&[(size, width)]);
        linear.parameter_gradients(device, &x.cast(dtype), &dy.cast(dtype), &mut gradients);
        assert_close("tied", &of(&gradients, 0), &expected, 1e-5);
    });
}

/// The derivative of `loss` by each of `values`, by central differences.
fn differences(values: &[f64], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let h = 1e-4;
    let mut values = values.to_vec();
    (0..values.len())
        .map(|i| {
            let value = values[i];
            values[i] = value + h;
            let above = loss(&values);
            values[i] = value - h;
            let below = loss(&values);
            values[i] = value;
            (above - below) / (2.0 * h)
        })
        .collect()
}

fn weighted(values: &[f64], d: &Matrix) -> f64 {
    values.iter().zip(wide(d)).map(|(value, d)| value * d).sum()
}

/// `x · wᵀ + b` in f64.
fn linear(x: &[f64], w: &[f64], bias: &[f64], width: usize) -> Vec<f64> {
    let mut out = product(x, &transposed(w, width), width, bias.len());
    for row in out.chunks_exact_mut(bias.len()) {
        for (out, bias) in row.iter_mut().zip(bias) {
            *out += bias;
        }
    }
    out
}

#[test]
fn gradients_through_gelu_are_those_of_differences() {
    let (rows, width, out) = (9, 11, 37);
    let (x, w, dy) = (noise(rows, width, 1), noise(out, width, 2), noise(rows, out, 3));
    let bias = noise(1, out, 4);
    let loss = |x: &[f64], w: &[f64], bias: &[f64]| {
        let y: Vec<f64> = linear(x, w, bias, width)
            .iter()
            .map(|y| 0.5 * y * (1.0 + libm::erf(y * std::f64::consts::FRAC_1_SQRT_2)))
            .collect();
        weighted(&y, &dy)
    };
    let (wide_x, wide_w, wide_bias) = (wide(&x), wide(&w), wide(&bias));
    let by_x = differences(&wide_x, |x| loss(x, &wide_w, &wide_bias));
    let by_w = differences(&wide_w, |w| loss(&wide_x, w, &wide_bias));
    let by_bias = differences(&wide_bias, |bias| loss(&wide_x, &wide_w, bias));
    for_every_tier_and_type(|device, dtype, tolerance| {
        let mut layer = Linear::new(device, dtype, &[&w], Some(bias.to_f32()));
        layer.set_links(vec![Link {
            outputs: 0..out,
            weight: Some(full(0)),
            bias: Some(ParameterId(1)),
        }]);
        let x = x.cast(dtype);
        let (y, before) = layer.forward_gelu_keeping(device, &x);
        assert_eq!(y, layer.forward_gelu(device, &x), "keeping changes no bit");
        assert_eq!(before, layer.forward(device, &x), "what is kept are the sums");
        let d_before = layer.gelu_gradient(device, &before, &dy.cast(dtype));
        let mut gradients = Gradients::new(&[(out, width), (1, out)]);
        layer.parameter_gradients(device, &x, &d_before, &mut gradients);
        let dx = layer.input_gradient(device, &d_before);
        assert_close("x", &dx.to_f32(), &by_x, tolerance);
        assert_close("weight", &of(&gradients, 0), &by_w, tolerance);
        assert_close("bias", &of(&gradients, 1), &by_bias, tolerance);
    });
}

/// Input, weights, biases and gradient of a gated layer, and the derivatives of its loss by differences.
struct Gated {
    x: Matrix,
    gate: Matrix,
    up: Matrix,
    gate_bias: Matrix,
    up_bias: Matrix,
    d: Matrix,
}

const GATED: (usize, usize, usize) = (17, 21, 35);

impl Gated {
    fn new() -> Self {
        let (rows, width, out) = GATED;
        Self {
            x: noise(rows, width, 1),
            gate: noise(out, width, 2),
            up: noise(out, width, 3),
            gate_bias: noise(1, out, 4),
            up_bias: noise(1, out, 5),
            d: noise(rows, out, 6),
        }
    }

    /// By `x`, gate, up and their biases.
    fn differences(&self) -> [Vec<f64>; 5] {
        let width = self.x.cols();
        let all = [&self.x, &self.gate, &self.up, &self.gate_bias, &self.up_bias].map(wide);
        let loss = |values: [&[f64]; 5]| {
            let [x, gate, up, gate_bias, up_bias] = values;
            let gate = linear(x, gate, gate_bias, width);
            let up = linear(x, up, up_bias, width);
            let gated: Vec<f64> =
                gate.iter().zip(&up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect();
            weighted(&gated, &self.d)
        };
        std::array::from_fn(|which| {
            differences(&all[which], |values| {
                loss(std::array::from_fn(|i| if i == which { values } else { &all[i] }))
            })
        })
    }

    fn layer(&self, device: &Device, dtype: DType) -> GatedLinear {
        let biases = (self.gate_bias.to_f32(), self.up_bias.to_f32());
        GatedLinear::new(device, dtype, &self.gate, &self.up, Some((&biases.0, &biases.1)))
    }
}

#[test]
fn gradients_through_a_gated_layer_are_those_of_differences() {
    let (_, width, out) = GATED;
    let gated = Gated::new();
    let [by_x, by_gate, by_up, by_gate_bias, by_up_bias] = gated.differences();
    for_every_tier_and_type(|device, dtype, tolerance| {
        let mut layer = gated.layer(device, dtype);
        layer.set_links(vec![
            Link { outputs: 0..out, weight: Some(full(0)), bias: Some(ParameterId(1)) },
            Link { outputs: out..2 * out, weight: Some(full(2)), bias: Some(ParameterId(3)) },
        ]);
        let x = gated.x.cast(dtype);
        let (y, before) = layer.forward_keeping(device, &x);
        assert_eq!(y, layer.forward(device, &x), "keeping changes no bit");
        let d_before = layer.before_gradient(device, &before, &gated.d.cast(dtype));
        let mut gradients = Gradients::new(&[(out, width), (1, out), (out, width), (1, out)]);
        layer.parameter_gradients(device, &x, &d_before, &mut gradients);
        let dx = layer.input_gradient(device, &d_before);
        assert_close("x", &dx.to_f32(), &by_x, 2.0 * tolerance);
        assert_close("gate", &of(&gradients, 0), &by_gate, 2.0 * tolerance);
        assert_close("gate's bias", &of(&gradients, 1), &by_gate_bias, 2.0 * tolerance);
        assert_close("up", &of(&gradients, 2), &by_up, 2.0 * tolerance);
        assert_close("up's bias", &of(&gradients, 3), &by_up_bias, 2.0 * tolerance);
    });
}

#[test]
fn a_gated_layer_may_be_trained_in_part() {
    let ((_, width, out), rank) = (GATED, 4);
    let gated = Gated::new();
    let [_, by_gate, by_up, by_gate_bias, _] = gated.differences();
    let (a, b) = (noise(rank, width, 7), noise(out, rank, 8));
    let by_a = product(&transposed(&wide(&b), rank), &by_gate, out, width);
    let by_b = product(&by_gate, &transposed(&wide(&a), width), width, rank);
    for_every_tier_and_type(|device, dtype, tolerance| {
        let mut layer = gated.layer(device, dtype);
        let x = gated.x.cast(dtype);
        let (_, before) = layer.forward_keeping(device, &x);
        let d_before = layer.before_gradient(device, &before, &gated.d.cast(dtype));
        let mut gradients = Gradients::new(&[(out, width), (1, out), (rank, width), (out, rank)]);

        layer.set_links(vec![Link { outputs: out..2 * out, weight: Some(full(0)), bias: None }]);
        layer.parameter_gradients(device, &x, &d_before, &mut gradients);
        assert_close("up alone", &of(&gradients, 0), &by_up, 2.0 * tolerance);
        assert!(of(&gradients, 1).iter().all(|value| *value == 0.0), "a frozen bias");

        let weight = Some(low_rank((2, &a), (3, &b), 1.0));
        layer.set_links(vec![Link { outputs: 0..out, weight, bias: Some(ParameterId(1)) }]);
        layer.parameter_gradients(device, &x, &d_before, &mut gradients);
        assert_close("a", &of(&gradients, 2), &by_a, 2.0 * tolerance);
        assert_close("b", &of(&gradients, 3), &by_b, 2.0 * tolerance);
        assert_close("gate's bias", &of(&gradients, 1), &by_gate_bias, 2.0 * tolerance);
        assert_close("up as before", &of(&gradients, 0), &by_up, 2.0 * tolerance);
    });
}

#[test]
fn gradients_have_the_same_bits_with_any_number_of_threads() {
    let (rows, width, out, rank) = (2500, 200, 300, 5);
    let (w, x, dy) = (noise(out, width, 1), noise(rows, width, 2), noise(rows, out, 3));
    let (a, b) = (noise(rank, width, 4), noise(100, rank, 5));
    let links = [
        Link { outputs: 0..200, weight: Some(full(0)), bias: Some(ParameterId(1)) },
        Link { outputs: 200..300, weight: Some(low_rank((2, &a), (3, &b), 2.0)), bias: None },
    ];
    let shapes = [(200, width), (1, 200), (rank, width), (100, rank), (out, width), (out, width)];
    for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
        for dtype in [DType::F32, DType::Bf16] {
            let run = |num_threads| {
                let device = Device::cpu_with_tier(tier, Some(num_threads)).expect("available");
                let (x, dy) = (x.cast(dtype), dy.cast(dtype));
                let mut gradients = Gradients::new(&shapes);
                let mut linear = Linear::new(&device, dtype, &[&w], None);
                linear.set_links(links.to_vec());
                linear.parameter_gradients(&device, &x, &dy, &mut gradients);

                let mut gated = GatedLinear::new(&device, dtype, &w, &w, None);
                gated.set_links(vec![
                    Link { outputs: 0..out, weight: Some(full(4)), bias: None },
                    Link { outputs: out..2 * out, weight: Some(full(5)), bias: None },
                ]);
                let (_, before) = gated.forward_keeping(&device, &x);
                let d_before = gated.before_gradient(&device, &before, &dy);
                gated.parameter_gradients(&device, &x, &d_before, &mut gradients);
                let mut bits: Vec<Vec<u32>> = gradients
                    .iter()
                    .map(|value| value.to_f32().iter().map(|value| value.to_bits()).collect())
                    .collect();
                for dx in
                    [linear.input_gradient(&device, &dy), gated.input_gradient(&device, &d_before)]
                {
                    bits.push(dx.to_f32().iter().map(|value| value.to_bits()).collect());
                }
                bits
            };
            let one = run(1);
            assert!(run(2) == one && run(3) == one, "{} {dtype}", tier.name());
        }
    }
}

#[test]
fn a_row_of_an_input_gradient_does_not_depend_on_other_rows() {
    let (rows, width, out) = (400, 70, 90);
    let (w, dy) = (noise(out, width, 1), noise(rows, out, 2));
    for_every_tier_and_type(|device, dtype, _| {
        let linear = Linear::new(device, dtype, &[&w], None);
        let together = linear.input_gradient(device, &dy.cast(dtype)).to_f32();
        for row in [0, 5, 31, 399] {
            let alone = Matrix::from_vec(1, out, dy.to_f32()[row * out..(row + 1) * out].to_vec());
            let alone = linear.input_gradient(device, &alone.cast(dtype)).to_f32();
            assert!(alone == together[row * width..(row + 1) * width], "row {row}");
        }
    });
}

#[test]
fn repacked_layers_are_those_of_the_new_values() {
    let (rows, width, out) = (20, 45, 70);
    let [old, gate, up] = [1, 2, 3].map(|seed| noise(out, width, seed));
    let (x, bias) = (noise(rows, width, 4), noise(1, out, 5).to_f32());
    let zeros = vec![0.0; out];
    for_every_tier_and_type(|device, dtype, _| {
        let x = x.cast(dtype);
        let mut linear = Linear::new(device, dtype, &[&old], Some(zeros.clone()));
        linear.repack(device, &[&gate], Some(bias.clone()));
        let fresh = Linear::new(device, dtype, &[&gate], Some(bias.clone()));
        assert_eq!(linear.forward(device, &x), fresh.forward(device, &x));

        let mut gated = GatedLinear::new(device, dtype, &old, &old, Some((&zeros, &zeros)));
        gated.repack(device, &gate, &up, Some((&bias, &zeros)));
        let fresh = GatedLinear::new(device, dtype, &gate, &up, Some((&bias, &zeros)));
        assert_eq!(gated.forward(device, &x), fresh.forward(device, &x));
    });
}
