//! Log-probabilities against sums in f64, their gradients against differences.

use super::*;
use crate::device::Tier;
use crate::product::tests::values;

const ROWS: usize = 5;
const HIDDEN: usize = 9;
/// More than two chunks, and no multiple of a panel.
const VOCAB: usize = 2 * CHUNK + 77;
const TARGETS: [u32; ROWS] = [0, 17, CHUNK as u32, (VOCAB - 1) as u32, 4000];

/// Values that bf16 holds exactly.
fn exact(len: usize, seed: u32) -> Vec<f32> {
    values::<bf16>(len, seed).into_iter().map(Element::to_f32).collect()
}

fn naive(x: &[f64], weight: &[f64]) -> Vec<f64> {
    let logit = |x: &[f64], row: &[f64]| x.iter().zip(row).map(|(x, w)| x * w).sum::<f64>();
    x.chunks_exact(HIDDEN)
        .zip(TARGETS)
        .map(|(x, target)| {
            let logits: Vec<f64> = weight.chunks_exact(HIDDEN).map(|row| logit(x, row)).collect();
            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
            logits[target as usize] - sum.ln()
        })
        .collect()
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn for_every_tier_and_type(check: impl Fn(&Device, DType, f64)) {
    for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
        let device = Device::cpu_with_tier(tier, Some(2)).expect("an available tier");
        check(&device, DType::F32, 1e-5);
        // The logits' gradients are rounded.
        check(&device, DType::Bf16, 1.0 / 100.0);
    }
}

#[test]
fn log_probabilities_are_those_of_the_whole_softmax() {
    let (x, weight) = (exact(ROWS * HIDDEN, 1), exact(VOCAB * HIDDEN, 2));
    let expected = naive(&widened(&x), &widened(&weight));
    for_every_tier_and_type(|device, dtype, _| {
        let layer = LogProb::new(device, dtype, &Matrix::from_vec(VOCAB, HIDDEN, weight.clone()));
        let x = Matrix::from_vec(ROWS, HIDDEN, x.clone()).cast(dtype);
        for (got, expected) in layer.forward(device, &x, &TARGETS).iter().zip(&expected) {
            assert!((f64::from(*got) - expected).abs() < 1e-5, "{got} is not {expected}");
        }
    });
}

#[test]
fn gradients_are_those_of_differences() {
    let (x, weight) = (exact(ROWS * HIDDEN, 1), exact(VOCAB * HIDDEN, 2));
    let d = [1.0, -0.5, 2.0, 0.25, -1.5];
    let loss = |x: &[f64], weight: &[f64]| -> f64 {
        naive(x, weight).iter().zip(d).map(|(log_prob, d)| log_prob * f64::from(d)).sum()
    };
    let (wide_x, wide_weight) = (widened(&x), widened(&weight));
    let h = 1e-4;
    let by_x: Vec<f64> = (0..x.len())
        .map(|i| {
            let at = |step: f64| {
                let mut x = wide_x.clone();
                x[i] += step;
                loss(&x, &wide_weight)
            };
            (at(h) - at(-h)) / (2.0 * h)
        })
        .collect();
    // Rows of every chunk, of targets and of others.
    let rows = [0, 1, 17, CHUNK - 1, CHUNK, 4000, 2 * CHUNK, VOCAB - 1];
    let by_weight: Vec<(usize, f64)> = rows
        .into_iter()
        .flat_map(|row| row * HIDDEN..(row + 1) * HIDDEN)
        .map(|i| {
            let at = |step: f64| {
                let mut weight = wide_weight.clone();
                weight[i] += step;
                loss(&wide_x, &weight)
            };
            (i, (at(h) - at(-h)) / (2.0 * h))
        })
        .collect();
    for_every_tier_and_type(|device, dtype, tolerance| {
        let mut layer =
            LogProb::new(device, dtype, &Matrix::from_vec(VOCAB, HIDDEN, weight.clone()));
        let x = Matrix::from_vec(ROWS, HIDDEN, x.clone()).cast(dtype);
        let mut gradients = Gradients::new(&[(VOCAB, HIDDEN)]);
        let frozen = layer.gradient(device, &x, &TARGETS, &d, &mut gradients);
        assert!(gradients.get(ParameterId(0)).to_f32().iter().all(|value| *value == 0.0));
        layer.set_parameter(Some(ParameterId(0)));
        let dx = layer.gradient(device, &x, &TARGETS, &d, &mut gradients);
        assert_eq!(dx, frozen);
        for (got, expected) in dx.to_f32().iter().zip(&by_x) {
            assert!((f64::from(*got) - expected).abs() < 2.0 * tolerance, "{got}, not {expected}");
        }
        let got = gradients.get(ParameterId(0)).to_f32();
        for (i, expected) in &by_weight {
            let distance = (f64::from(got[*i]) - expected).abs();
            assert!(distance < 2.0 * tolerance, "weight {i}: {} is not {expected}", got[*i]);
        }
    });
}

#[test]
fn other_values_in_the_same_memory_count() {
    let device = Device::cpu_with_tier(Tier::Portable, Some(1)).expect("runs everywhere");
    let matrix = |seed| Matrix::from_vec(VOCAB, HIDDEN, exact(VOCAB * HIDDEN, seed));
    let x = Matrix::from_vec(ROWS, HIDDEN, exact(ROWS * HIDDEN, 1));
    let mut layer = LogProb::new(&device, DType::F32, &matrix(2));
    let before = layer.forward(&device, &x, &TARGETS);
    layer.repack(&device, &matrix(3));
    let after = layer.forward(&device, &x, &TARGETS);
    let fresh = LogProb::new(&device, DType::F32, &matrix(3)).forward(&device, &x, &TARGETS);
    assert_ne!(before, after);
    assert_eq!(after, fresh);
}
