//! Every operation against its formula in f64, on every tier that this machine has.

use engine::{
    AttentionLayout, DType, Device, GatedLinear, Heads, Linear, Matrix, Segment, Tier, Visible,
    attention,
};

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
        // One rounding of the result, and of the attention weights.
        check(&device, DType::Bf16, 1.0 / 100.0);
    }
}

fn assert_close(got: &Matrix, expected: &[f64], tolerance: f64) {
    let scale = expected.iter().fold(0.0_f64, |scale, value| scale.max(value.abs()));
    for (index, (got, expected)) in got.to_f32().iter().zip(expected).enumerate() {
        let distance = (f64::from(*got) - expected).abs();
        assert!(distance <= tolerance * scale, "element {index}: {got} is not {expected}");
    }
}

/// `x · wᵀ + b` in f64.
fn product(x: &Matrix, w: &Matrix, bias: Option<&[f32]>) -> Vec<f64> {
    let (k, n) = (x.cols(), w.rows());
    let (x_values, w_values) = (x.to_f32(), w.to_f32());
    let mut out = Vec::with_capacity(x.rows() * n);
    for x in x_values.chunks_exact(k) {
        for (col, w) in w_values.chunks_exact(k).enumerate() {
            let sum: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
            out.push(sum + bias.map_or(0.0, |bias| f64::from(bias[col])));
        }
    }
    out
}

#[test]
fn linear_is_a_product_with_a_bias() {
    for_every_tier_and_type(|device, dtype, tolerance| {
        for (m, k, n) in [(1, 7, 5), (13, 64, 33), (400, 96, 130), (70, 1030, 40)] {
            let (x, w) = (noise(m, k, 1), noise(n, k, 2));
            let bias = noise(1, n, 3).to_f32();
            let linear = Linear::new(device, dtype, &[&w], Some(bias.clone()));
            let y = linear.forward(device, &x.cast(dtype));
            assert_close(&y, &product(&x, &w, Some(&bias)), tolerance);

            let mut residual = noise(m, n, 4);
            let expected: Vec<f64> = residual
                .to_f32()
                .iter()
                .zip(product(&x, &w, Some(&bias)))
                .map(|(residual, y)| f64::from(*residual) + y)
                .collect();
            linear.forward_add(device, &x.cast(dtype), &mut residual);
            assert_close(&residual, &expected, 1e-5);
        }
    });
}

#[test]
fn stacked_projections_stand_side_by_side() {
    for_every_tier_and_type(|device, dtype, tolerance| {
        let (x, first, second) = (noise(9, 40, 1), noise(17, 40, 2), noise(6, 40, 3));
        let both = Linear::new(device, dtype, &[&first, &second], None);
        let y = both.forward(device, &x.cast(dtype)).to_f32();
        let (a, b) = (product(&x, &first, None), product(&x, &second, None));
        let expected: Vec<f64> =
            a.chunks(17).zip(b.chunks(6)).flat_map(|(a, b)| [a, b].concat()).collect();
        assert_close(&Matrix::from_vec(9, 23, y), &expected, tolerance);
    });
}

#[test]
fn a_gated_linear_is_silu_of_the_gate_times_up() {
    for_every_tier_and_type(|device, dtype, tolerance| {
        for (m, k, n) in [(1, 8, 3), (50, 64, 16), (33, 80, 107)] {
            let (x, gate, up) = (noise(m, k, 1), noise(n, k, 2), noise(n, k, 3));
            let (gate_bias, up_bias) = (noise(1, n, 4).to_f32(), noise(1, n, 5).to_f32());
            let gated = GatedLinear::new(device, dtype, &gate, &up, Some((&gate_bias, &up_bias)));
            let y = gated.forward(device, &x.cast(dtype));
            let expected: Vec<f64> = product(&x, &gate, Some(&gate_bias))
                .into_iter()
                .zip(product(&x, &up, Some(&up_bias)))
                .map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up)
                .collect();
            assert_close(&y, &expected, tolerance);
        }
    });
}

/// Softmax attention in f64; `keys_of(query)` are the rows that a query sees.
fn naive_attention(
    q: &Matrix,
    kv: &Matrix,
    heads: &Heads,
    keys_of: impl Fn(usize) -> Vec<usize>,
) -> Vec<f64> {
    let (q_values, kv_values) = (q.to_f32(), kv.to_f32());
    let dim = heads.head_dim;
    let value =
        |values: &[f32], cols: usize, row: usize, col: usize| f64::from(values[row * cols + col]);
    let mut out = Vec::new();
    for query in 0..q.rows() {
        let keys = keys_of(query);
        for head in 0..heads.num_heads {
            let kv_head = head * heads.num_key_value_heads / heads.num_heads;
            let q_col = heads.query_col + head * dim;
            let scores: Vec<f64> = keys
                .iter()
                .map(|&key| {
                    let k_col = heads.key_col + kv_head * dim;
                    let dot: f64 = (0..dim)
                        .map(|i| {
                            value(&q_values, q.cols(), query, q_col + i)
                                * value(&kv_values, kv.cols(), key, k_col + i)
                        })
                        .sum();
                    (dot / (dim as f64).sqrt()).exp()
                })
                .collect();
            let sum: f64 = scores.iter().sum();
            for i in 0..dim {
                let v_col = heads.value_col + kv_head * dim + i;
                let weighted: f64 = keys
                    .iter()
                    .zip(&scores)
                    .map(|(&key, score)| score * value(&kv_values, kv.cols(), key, v_col))
                    .sum();
                out.push(weighted / sum);
            }
        }
    }
    out
}

#[test]
fn windows_attend_to_themselves() {
    for_every_tier_and_type(|device, dtype, tolerance| {
        let heads = Heads {
            num_heads: 3,
            num_key_value_heads: 3,
            head_dim: 20,
            query_col: 0,
            key_col: 60,
            value_col: 120,
        };
        let qkv = noise(500, 180, 1);
        let windows = [0..64, 64..80, 80..500];
        let segments: Vec<Segment> = windows
            .iter()
            .map(|rows| Segment {
                queries: rows.clone(),
                keys: vec![rows.clone()],
                visible: Visible::All,
            })
            .collect();
        let layout = AttentionLayout::new(&segments);
        let typed = qkv.cast(dtype);
        let got = attention(device, &typed, &typed, &heads, &layout);
        let expected = naive_attention(&qkv, &qkv, &heads, |query| {
            windows.iter().find(|rows| rows.contains(&query)).unwrap().clone().collect()
        });
        assert_close(&got, &expected, tolerance);
    });
}

#[test]
fn branches_attend_to_their_ancestors_and_to_their_own_past() {
    for_every_tier_and_type(|device, dtype, tolerance| {
        let heads = Heads {
            num_heads: 4,
            num_key_value_heads: 2,
            head_dim: 16,
            query_col: 0,
            key_col: 0,
            value_col: 32,
        };
        // A root of 450 rows, a child of 30, and two grandchildren: blocks of keys span their borders.
        let parent = |row: usize| match row {
            450 => Some(449),
            480 | 600 => Some(479),
            0 => None,
            row => Some(row - 1),
        };
        let segment = |queries: std::ops::Range<usize>, before: &[std::ops::Range<usize>]| {
            let mut keys = before.to_vec();
            keys.push(queries.clone());
            let before = before.iter().map(ExactSizeIterator::len).sum();
            Segment { queries, keys, visible: Visible::Causal { before } }
        };
        let root = 0..450;
        let layout = AttentionLayout::new(&[
            segment(root.clone(), &[]),
            segment(450..480, std::slice::from_ref(&root)),
            segment(480..600, &[root.clone(), 450..480]),
            segment(600..650, &[root, 450..480]),
        ]);
        let (q, kv) = (noise(650, 64, 1), noise(650, 64, 2));
        let got = attention(device, &q.cast(dtype), &kv.cast(dtype), &heads, &layout);
        let expected = naive_attention(&q, &kv, &heads, |query| {
            std::iter::successors(Some(query), |&row| parent(row)).collect()
        });
        assert_close(&got, &expected, tolerance);
    });
}
