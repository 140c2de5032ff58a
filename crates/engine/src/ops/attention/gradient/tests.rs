//! The gradient of attention against its formula in f64, against finite differences, its bits for any number of threads,
//! and, when asked for, its time.

use super::{OutputGradient, apart, attention_gradient, joint, joint_attention_gradient};
use crate::device::{Device, Tier};
use crate::matrix::{DType, Element, Matrix};
use crate::ops::attention::{
    AttentionLayout, Heads, Segment, Visible, attention, attention_keeping,
};
use crate::product::{Kernel, no_state};
use half::bf16;
use std::ops::Range;

/// Numbers in [−1, 1) from a seed, exact in bf16.
fn noise(rows: usize, cols: usize, seed: u32) -> Matrix {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 25) as f32 / 64.0 - 1.0
    };
    Matrix::from_vec(rows, cols, (0..rows * cols).map(|_| next()).collect::<Vec<f32>>())
}

fn causal(queries: Range<usize>, ancestors: &[Range<usize>]) -> Segment {
    let before = ancestors.iter().map(Range::len).sum();
    let mut keys = ancestors.to_vec();
    keys.push(queries.clone());
    Segment { queries, keys, visible: Visible::Causal { before } }
}

fn windows(lengths: &[usize]) -> Vec<Segment> {
    let mut start = 0;
    lengths
        .iter()
        .map(|len| {
            let rows = start..start + len;
            start = rows.end;
            Segment { queries: rows.clone(), keys: vec![rows], visible: Visible::All }
        })
        .collect()
}

/// A root, two children, grandchildren under the first, one great-grandchild, and a tree of its own behind them.
fn tree(scale: usize) -> Vec<Segment> {
    let at = |start: usize, end: usize| start * scale..end * scale;
    vec![
        causal(at(0, 45), &[]),
        causal(at(45, 48), &[at(0, 45)]),
        causal(at(48, 60), &[at(0, 45), at(45, 48)]),
        causal(at(60, 65), &[at(0, 45), at(45, 48)]),
        causal(at(65, 67), &[at(0, 45), at(45, 48), at(60, 65)]),
        causal(at(67, 71), &[at(0, 45)]),
        causal(at(71, 80), &[]),
    ]
}

/// Queries, keys and values in one matrix (vision) or in two (language), and who attends to whom.
struct Case {
    name: &'static str,
    heads: Heads,
    joint: bool,
    segments: Vec<Segment>,
}

impl Case {
    fn joint(
        name: &'static str,
        num_heads: usize,
        head_dim: usize,
        segments: Vec<Segment>,
    ) -> Self {
        let width = num_heads * head_dim;
        let heads = Heads {
            num_heads,
            num_key_value_heads: num_heads,
            head_dim,
            query_col: 0,
            key_col: width,
            value_col: 2 * width,
        };
        Self { name, heads, joint: true, segments }
    }

    fn apart(
        name: &'static str,
        (num_heads, num_key_value_heads): (usize, usize),
        head_dim: usize,
        segments: Vec<Segment>,
    ) -> Self {
        let value_col = num_key_value_heads * head_dim;
        let heads =
            Heads { num_heads, num_key_value_heads, head_dim, query_col: 0, key_col: 0, value_col };
        Self { name, heads, joint: false, segments }
    }

    fn num_queries(&self) -> usize {
        self.segments.iter().map(|segment| segment.queries.end).max().unwrap_or(0)
    }

    fn num_keys(&self) -> usize {
        let keys = self.segments.iter().flat_map(|segment| &segment.keys);
        keys.map(|keys| keys.end).max().unwrap_or(0)
    }

    /// `(q, kv)`, one and the same where they are joint.
    fn inputs(&self) -> (Matrix, Matrix) {
        let heads = &self.heads;
        let kv_cols = heads.value_col + heads.num_key_value_heads * heads.head_dim;
        let kv = noise(self.num_keys(), kv_cols, 2);
        if self.joint {
            (kv.clone(), kv)
        } else {
            (noise(self.num_queries(), heads.num_heads * heads.head_dim, 1), kv)
        }
    }

    fn d_out(&self) -> Matrix {
        noise(self.num_queries(), self.heads.num_heads * self.heads.head_dim, 3)
    }

    /// The rows of the keys that each query sees.
    fn keys_of_queries(&self) -> Vec<Vec<usize>> {
        let mut keys_of_queries = vec![Vec::new(); self.num_queries()];
        for segment in &self.segments {
            let keys: Vec<usize> = segment.keys.iter().cloned().flatten().collect();
            for query in segment.queries.clone() {
                let seen = match segment.visible {
                    Visible::All => keys.len(),
                    Visible::Causal { before } => before + query - segment.queries.start + 1,
                };
                keys_of_queries[query] = keys[..seen].to_vec();
            }
        }
        keys_of_queries
    }

    /// The gradients by their formula in f64, from inputs as they are stored: `(dq, dkv)`, or the sum of both.
    fn expected(&self, q: &Matrix, kv: &Matrix, d_out: &Matrix) -> Vec<Vec<f64>> {
        let heads = &self.heads;
        let dim = heads.head_dim;
        let (q_values, kv_values, d_out_values) = (q.to_f32(), kv.to_f32(), d_out.to_f32());
        let mut d_q = vec![0.0_f64; q_values.len()];
        let mut d_kv = vec![0.0_f64; kv_values.len()];
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let scale = (dim as f64).sqrt().recip();
        for (query, keys) in self.keys_of_queries().into_iter().enumerate() {
            for head in 0..heads.num_heads {
                let kv_head = head * heads.num_key_value_heads / heads.num_heads;
                let q_at = query * q.cols() + heads.query_col + head * dim;
                let out_at = query * d_out.cols() + head * dim;
                let key_at = |key: usize| key * kv.cols() + heads.key_col + kv_head * dim;
                let value_at = |key: usize| key * kv.cols() + heads.value_col + kv_head * dim;
                let weights: Vec<f64> = keys
                    .iter()
                    .map(|&key| {
                        let key = &kv_values[key_at(key)..][..dim];
                        (dot(&q_values[q_at..][..dim], key) * scale).exp()
                    })
                    .collect();
                let sum: f64 = weights.iter().sum();
                let d_out = &d_out_values[out_at..][..dim];
                let d_weights: Vec<f64> = keys
                    .iter()
                    .map(|&key| dot(d_out, &kv_values[value_at(key)..][..dim]))
                    .collect();
                let mean: f64 =
                    weights.iter().zip(&d_weights).map(|(weight, d)| weight / sum * d).sum();
                for ((&key, weight), d_weight) in keys.iter().zip(&weights).zip(&d_weights) {
                    let weight = weight / sum;
                    let d_score = weight * (d_weight - mean) * scale;
                    for i in 0..dim {
                        d_q[q_at + i] += d_score * f64::from(kv_values[key_at(key) + i]);
                        d_kv[key_at(key) + i] += d_score * f64::from(q_values[q_at + i]);
                        d_kv[value_at(key) + i] += weight * f64::from(d_out[i]);
                    }
                }
            }
        }
        if self.joint {
            vec![d_q.iter().zip(&d_kv).map(|(a, b)| a + b).collect()]
        } else {
            vec![d_q, d_kv]
        }
    }

    /// The gradients of the device in the order of [`Case::expected`].
    fn got(&self, device: &Device, q: &Matrix, kv: &Matrix, d_out: &Matrix) -> Vec<Matrix> {
        let layout = AttentionLayout::new(&self.segments);
        let (out, log_sums) = attention_keeping(device, q, kv, &self.heads, &layout);
        let given = OutputGradient { out: &out, log_sums: &log_sums, d_out };
        if self.joint {
            vec![joint_attention_gradient(device, kv, &given, &self.heads, &layout)]
        } else {
            let (d_q, d_kv) = attention_gradient(device, q, kv, &given, &self.heads, &layout);
            vec![d_q, d_kv]
        }
    }
}

fn cases() -> Vec<Case> {
    // The last layer runs some rows alone, each a segment that sees a part of its node.
    let row = |query: usize, keys: Vec<Range<usize>>| {
        let before = keys.iter().map(Range::len).sum::<usize>() - 1;
        Segment { queries: query..query + 1, keys, visible: Visible::Causal { before } }
    };
    let some_rows = vec![
        row(0, std::iter::once(0..77).collect()),
        row(1, vec![0..400, 450..460]),
        row(2, vec![0..400, 450..490]),
        row(3, vec![0..400, 500..530]),
    ];
    vec![
        Case::joint("windows", 3, 80, windows(&[64, 48, 16, 64, 1, 130])),
        Case::joint("an image", 2, 16, windows(&[530])),
        Case::apart("a chain", (4, 1), 64, vec![causal(0..430, &[])]),
        Case::apart("a tree of one tile", (4, 2), 16, tree(1)),
        Case::apart("a tree", (4, 2), 16, tree(10)),
        Case::apart("a tree of wide heads", (2, 1), 80, tree(7)),
        Case::apart("some rows", (4, 2), 32, some_rows),
    ]
}

/// Compares with the distance between the two as vectors, and element by element.
fn assert_close(name: &str, got: &Matrix, expected: &[f64], tolerance: f64) {
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let (mut distance, mut length) = (0.0_f64, 0.0_f64);
    for (i, (got, expected)) in got.to_f32().iter().zip(expected).enumerate() {
        let difference = (f64::from(*got) - expected).abs();
        assert!(
            difference <= tolerance * largest,
            "{name}: element {i}: {got} is not {expected}; the largest is {largest}"
        );
        distance += difference * difference;
        length += expected * expected;
    }
    assert!(distance.sqrt() <= tolerance * length.sqrt(), "{name}: {distance:e} of {length:e}");
}

/// bf16: the output, every weight and every score gradient are rounded to 8 bits once, 2⁻⁹ of their size at most, and so
/// is the result; the output's rounding reaches the score gradients through a difference that may cancel.
const BF16_TOLERANCE: f64 = 0.01;

#[test]
fn every_tier_and_type_gives_the_gradients_of_the_formula() {
    for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
        let device = Device::cpu_with_tier(tier, Some(2)).expect("an available tier");
        for case in cases() {
            let ((q, kv), d_out) = (case.inputs(), case.d_out());
            let expected = case.expected(&q, &kv, &d_out);
            for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::Bf16, BF16_TOLERANCE)] {
                let (q, kv, d_out) = (q.cast(dtype), kv.cast(dtype), d_out.cast(dtype));
                let name = format!("{}, {dtype}, {}", case.name, tier.name());
                for (got, expected) in case.got(&device, &q, &kv, &d_out).iter().zip(&expected) {
                    assert_eq!(got.dtype(), dtype);
                    assert_close(&name, got, expected, tolerance);
                }
            }
        }
    }
}

/// Panels as those of the AMX kernel, multiplied by plain loops: its shapes are tested on every machine.
const AMX_SHAPED: Kernel<bf16> = Kernel {
    rows: 32,
    cols: 32,
    row_group: 32,
    col_group: 2,
    k_multiple: 32,
    k_block: 512,
    enter: no_state,
    leave: no_state,
    tile: amx_shaped_tile,
};

#[expect(unsafe_code, reason = "has the type of the kernels")]
unsafe fn amx_shaped_tile(
    a: *const bf16,
    b: *const bf16,
    k: usize,
    c: *mut f32,
    rows: usize,
    accumulate: bool,
) {
    // SAFETY: the contract of `TileFn`: whole panels and a whole tile.
    let (a, b, c) = unsafe {
        (
            std::slice::from_raw_parts(a, 32 * k),
            std::slice::from_raw_parts(b, 32 * k),
            std::slice::from_raw_parts_mut(c, 32 * 32),
        )
    };
    for (row, sums) in c.chunks_exact_mut(32).enumerate().take(rows) {
        for (col, sum) in sums.iter_mut().enumerate() {
            let before = if accumulate { *sum } else { 0.0 };
            let product = |i: usize| {
                let a = Element::to_f32(a[(i / 32 * 32 + row) * 32 + i % 32]);
                a * Element::to_f32(b[(i / 2 * 32 + col) * 2 + i % 2])
            };
            *sum = before + (0..k).map(product).sum::<f32>();
        }
    }
}

#[test]
fn panels_as_wide_as_amx_tiles_give_the_gradients_of_the_formula() {
    let device = Device::cpu_with_tier(Tier::Portable, Some(2)).expect("every machine has it");
    for case in cases() {
        let ((q, kv), d_out) = (case.inputs(), case.d_out());
        let expected = case.expected(&q, &kv, &d_out);
        let [q, kv, d_out] = [q, kv, d_out].map(|matrix| matrix.cast(DType::Bf16));
        let layout = AttentionLayout::new(&case.segments);
        let (out, log_sums) = attention_keeping(&device, &q, &kv, &case.heads, &layout);
        let given = OutputGradient { out: &out, log_sums: &log_sums, d_out: &d_out };
        let got = device.run(|| {
            if case.joint {
                vec![joint(&AMX_SHAPED, &kv, &given, &case.heads, &layout)]
            } else {
                let (d_q, d_kv) = apart(&AMX_SHAPED, &q, &kv, &given, &case.heads, &layout);
                vec![d_q, d_kv]
            }
        });
        for (got, expected) in got.iter().zip(&expected) {
            assert_close(case.name, got, expected, BF16_TOLERANCE);
        }
    }
}

#[test]
fn gradients_are_the_slopes_of_the_output() {
    /// Curvature costs its square, rounding its reciprocal.
    const STEP: f32 = 1.0 / 64.0;
    let device = Device::cpu(Some(1)).expect("a device");
    let tree = vec![
        causal(0..5, &[]),
        causal(5..7, std::slice::from_ref(&(0..5))),
        causal(7..8, &[0..5, 5..7]),
        causal(8..11, &[0..5, 5..7]),
    ];
    for case in
        [Case::joint("windows", 2, 5, windows(&[3, 4])), Case::apart("a tree", (4, 2), 8, tree)]
    {
        let layout = AttentionLayout::new(&case.segments);
        let ((q, kv), d_out) = (case.inputs(), case.d_out());
        let loss = |q: &Matrix, kv: &Matrix| -> f64 {
            let out = attention(&device, q, kv, &case.heads, &layout).to_f32();
            out.iter().zip(d_out.to_f32()).map(|(out, d)| f64::from(*out) * f64::from(d)).sum()
        };
        let moved = |matrix: &Matrix, i: usize, step: f32| {
            let mut moved = matrix.clone();
            moved.as_mut_slice::<f32>()[i] += step;
            moved
        };
        let got = case.got(&device, &q, &kv, &d_out);
        for (which, gradient) in got.iter().enumerate() {
            let slope = |i: usize| {
                let loss_at = |step: f32| match (case.joint, which) {
                    (true, _) => loss(&moved(&q, i, step), &moved(&kv, i, step)),
                    (false, 0) => loss(&moved(&q, i, step), &kv),
                    (false, _) => loss(&q, &moved(&kv, i, step)),
                };
                (loss_at(STEP) - loss_at(-STEP)) / f64::from(2.0 * STEP)
            };
            let slopes: Vec<f64> = (0..gradient.rows() * gradient.cols()).map(slope).collect();
            assert_close(case.name, gradient, &slopes, 5e-4);
        }
    }
}

#[test]
fn gradients_do_not_depend_on_the_number_of_threads() {
    for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
        for dtype in [DType::F32, DType::Bf16] {
            for case in cases() {
                let ((q, kv), d_out) = (case.inputs(), case.d_out());
                let [q, kv, d_out] = [q, kv, d_out].map(|matrix| matrix.cast(dtype));
                let with_threads = |num_threads: usize| {
                    let device = Device::cpu_with_tier(tier, Some(num_threads));
                    case.got(&device.expect("an available tier"), &q, &kv, &d_out)
                };
                let alone = with_threads(1);
                for num_threads in [2, 3] {
                    let equal = with_threads(num_threads) == alone;
                    assert!(equal, "{}, {dtype}, {}: {num_threads}", case.name, tier.name());
                }
            }
        }
    }
}

#[test]
fn keeping_the_sums_changes_no_bit_of_the_output() {
    for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
        let device = Device::cpu_with_tier(tier, Some(2)).expect("an available tier");
        for case in cases() {
            let layout = AttentionLayout::new(&case.segments);
            for dtype in [DType::F32, DType::Bf16] {
                let (q, kv) = case.inputs();
                let (q, kv) = (q.cast(dtype), kv.cast(dtype));
                let (out, _) = attention_keeping(&device, &q, &kv, &case.heads, &layout);
                assert_eq!(out, attention(&device, &q, &kv, &case.heads, &layout), "{}", case.name);
            }
        }
    }
}

#[test]
fn what_no_head_and_no_segment_reads_has_no_gradient() {
    let device = Device::cpu(Some(2)).expect("a device");
    let heads = Heads {
        num_heads: 2,
        num_key_value_heads: 1,
        head_dim: 16,
        query_col: 3,
        key_col: 20,
        value_col: 2,
    };
    let layout = AttentionLayout::new(&[causal(0..9, std::slice::from_ref(&(4..10)))]);
    let (q, kv, d_out) = (noise(9, 40, 1), noise(21, 37, 2), noise(9, 32, 3));
    let (out, log_sums) = attention_keeping(&device, &q, &kv, &heads, &layout);
    let given = OutputGradient { out: &out, log_sums: &log_sums, d_out: &d_out };
    let (d_q, d_kv) = attention_gradient(&device, &q, &kv, &given, &heads, &layout);
    let is_zero = |matrix: &Matrix, inside: &dyn Fn(usize, usize) -> bool| {
        let cols = matrix.cols();
        matrix
            .to_f32()
            .iter()
            .enumerate()
            .all(|(i, value)| inside(i / cols, i % cols) || value.to_bits() == 0)
    };
    assert!(is_zero(&d_q, &|_, col| (3..35).contains(&col)));
    let is_head = |col: usize| (2..18).contains(&col) || (20..36).contains(&col);
    assert!(is_zero(&d_kv, &|row, col| row < 10 && is_head(col)));
}

/// `cargo test --release -p engine --lib time_of_the_gradient -- --ignored --nocapture`; Linux only.
#[test]
#[ignore = "measures"]
fn time_of_the_gradient() {
    let cases = [
        Case::joint("16 windows of 64, 16 heads of 80", 16, 80, windows(&[64; 16])),
        Case::joint("an image of 1024, 16 heads of 80", 16, 80, windows(&[1024])),
        Case::apart("a chain of 600, 16/2 heads of 128", (16, 2), 128, vec![causal(0..600, &[])]),
        Case::apart("two trees of 800, 8/2 heads of 64", (8, 2), 64, tree(10)),
        Case::apart("two trees of 1600, 14/2 heads of 128", (14, 2), 128, tree(20)),
    ];
    let device = Device::cpu(Some(1)).expect("a device");
    for (case, dtype) in
        cases.iter().flat_map(|case| [DType::F32, DType::Bf16].map(|dtype| (case, dtype)))
    {
        let ((q, kv), d_out) = (case.inputs(), case.d_out());
        let [q, kv, d_out] = [q, kv, d_out].map(|matrix| matrix.cast(dtype));
        let layout = AttentionLayout::new(&case.segments);
        let heads = &case.heads;
        let (out, log_sums) = attention_keeping(&device, &q, &kv, heads, &layout);
        let given = OutputGradient { out: &out, log_sums: &log_sums, d_out: &d_out };
        let forward = cpu_seconds(|| drop(attention(&device, &q, &kv, heads, &layout)));
        let backward = cpu_seconds(|| {
            if case.joint {
                drop(joint_attention_gradient(&device, &kv, &given, heads, &layout));
            } else {
                drop(attention_gradient(&device, &q, &kv, &given, heads, &layout));
            }
        });
        eprintln!(
            "{} {dtype}, {}: forward {:.2} ms ({:.0} GFLOP/s), gradient {:.2} ms ({:.0} GFLOP/s), {:.2} times",
            device.as_cpu().tier().name(),
            case.name,
            forward * 1e3,
            layout.flops(heads) / 1e9 / forward,
            backward * 1e3,
            2.5 * layout.flops(heads) / 1e9 / backward,
            backward / forward,
        );
    }
}

/// Processor time of the fastest of some runs, all threads together; not disturbed by other processes as wall time is.
fn cpu_seconds(run: impl Fn()) -> f64 {
    let so_far = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("Linux lists the threads");
        let nanoseconds = tasks.map(|task| {
            let path = task.expect("a thread").path().join("schedstat");
            let text = std::fs::read_to_string(path).expect("a running thread");
            let first = text.split(' ').next().expect("three numbers");
            first.parse::<f64>().expect("nanoseconds")
        });
        nanoseconds.sum::<f64>() / 1e9
    };
    let seconds = (0..7).map(|_| {
        let before = so_far();
        run();
        so_far() - before
    });
    seconds.fold(f64::INFINITY, f64::min)
}
