//! `AdamW` against `PyTorch`, and sums against the number of threads.

use engine::{Gradients, Matrix, ParameterId};

use super::*;

fn dense(values: &[f32]) -> Gradient {
    Gradient::Dense(Matrix::from_vec(1, values.len(), values.to_vec()))
}

/// Values after five steps of `torch.optim.AdamW` (`PyTorch` 2.15, foreach off) with clipping to norm 1, by the loop below.
const EXPECTED: [[f32; 4]; 2] = [
    [0.452_755, -1.200_758_7, 3.0, -0.030_875_282],
    [1.987_037, -0.139_576_1, 0.763_639_15, 1.483_586_5],
];
const EXPECTED_NORMS: [f64; 5] = [2.272_135_5, 1.562_978, 1.497_798_3, 2.136_375_4, 3.066_757_4];

#[test]
fn five_clipped_steps_equal_those_of_pytorch() {
    let options = AdamWOptions { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
    let mut values = [[0.5_f32, -1.25, 3.0, 0.0], [2.0, -0.125, 0.75, 1.5]];
    let mut optimizer = AdamW::new(options, &[dense(&[0.0; 4]), dense(&[0.0; 4])]);
    for (step, expected_norm) in EXPECTED_NORMS.into_iter().enumerate() {
        let s = step as f32;
        let gradients =
            [[0.1 * (s + 1.0), -0.3, 0.0, 2.0 - s], [0.5 * s, 1.0, -0.25, 0.01 * (s + 1.0)]];
        let norm = gradients.iter().map(|g| squared_norm(&dense(g))).sum::<f64>().sqrt();
        assert!((norm - expected_norm).abs() < 1e-6, "{norm} against {expected_norm}");
        let gradient_factor = clip_factor(norm, Some(1.0));
        optimizer.begin_step();
        let rate = StepRate { learning_rate: 1e-2, weight_decay: 0.0, gradient_factor };
        optimizer.update(0, &mut values[0], &dense(&gradients[0]), rate);
        let rate = StepRate { learning_rate: 3e-3, weight_decay: 0.1, gradient_factor };
        optimizer.update(1, &mut values[1], &dense(&gradients[1]), rate);
    }
    for (found, expected) in values.iter().flatten().zip(EXPECTED.iter().flatten()) {
        assert!((found - expected).abs() <= 2.5e-7 * expected.abs(), "{found} against {expected}");
    }
}

#[test]
fn norm_and_update_have_the_same_bits_with_any_number_of_threads() {
    let gradient: Vec<f32> = (0..100_003).map(|i| ((i * 37 % 1009) as f32).sin()).collect();
    let dense = dense(&gradient);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let options = AdamWOptions { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
            let mut optimizer = AdamW::new(options, [&dense]);
            let mut values = vec![0.25; gradient.len()];
            let norm = squared_norm(&dense);
            optimizer.begin_step();
            let rate = StepRate { learning_rate: 0.1, weight_decay: 0.01, gradient_factor: 0.5 };
            optimizer.update(0, &mut values, &dense, rate);
            (norm.to_bits(), values)
        })
    };
    let (norm, values) = run(1);
    assert_eq!((norm, values.clone()), run(3));
    let plain: f64 = gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
    assert!((f64::from_bits(norm) / plain - 1.0).abs() < 1e-12);
    assert_ne!(values[1].to_bits(), 0.25_f32.to_bits());
}

#[test]
fn clipping_leaves_small_gradients_alone() {
    assert_eq!(clip_factor(0.5, Some(1.0)).to_bits(), 1.0_f32.to_bits());
    assert_eq!(clip_factor(50.0, None).to_bits(), 1.0_f32.to_bits());
    assert!((clip_factor(2.0, Some(1.0)) - 0.5).abs() < 1e-6);
}

#[test]
fn a_restored_optimizer_goes_on_with_the_same_bits() {
    let options = AdamWOptions { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
    let rate = StepRate { learning_rate: 0.01, weight_decay: 0.1, gradient_factor: 1.0 };
    let mut straight = AdamW::new(options, [&dense(&[0.0; 3])]);
    let mut values = [1.0, 2.0, 3.0];
    straight.begin_step();
    straight.update(0, &mut values, &dense(&[0.1, 0.2, 0.3]), rate);
    let mut copy = values;
    let mut restored = AdamW::restore(options, straight.moments().to_vec(), straight.steps_done());
    for (optimizer, values) in [(&mut straight, &mut values), (&mut restored, &mut copy)] {
        optimizer.begin_step();
        optimizer.update(0, values, &dense(&[-0.5, 0.2, 0.0]), rate);
    }
    assert_eq!(values.map(f32::to_bits), copy.map(f32::to_bits));
    assert_eq!(straight, restored);
}

#[test]
fn a_table_is_updated_as_if_the_gradient_of_every_row_were_there() {
    const ROWS: usize = 5;
    const COLS: usize = 3;
    let options = AdamWOptions { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
    let start: Vec<f32> = (0..ROWS * COLS).map(|i| (i as f32).cos()).collect();
    let (mut values, mut expected) = (start.clone(), start);
    let all_rows = Gradients::new(&[(ROWS, COLS)]);
    let looked_up_rows = Gradients::new(&[(ROWS, COLS)]).with_table(ParameterId(0));
    let mut sparse = AdamW::new(options, looked_up_rows.iter());
    let mut whole = AdamW::new(options, all_rows.iter());
    // Row 2 is looked up in the first step only, and goes on by its momentum.
    for (step, ids) in [[2, 4, 2], [0, 4, 4]].into_iter().enumerate() {
        let slopes: Vec<f32> = (0..ids.len() * COLS).map(|i| (i + step) as f32 - 3.5).collect();
        let mut gradients = [
            Gradients::new(&[(ROWS, COLS)]).with_table(ParameterId(0)),
            Gradients::new(&[(ROWS, COLS)]),
        ];
        for gradients in &mut gradients {
            let device = engine::Device::cpu(Some(1)).unwrap();
            let mut table = engine::Embedding::new(Matrix::zeros(ROWS, COLS, engine::DType::F32));
            table.set_parameter(Some(ParameterId(0)));
            let mut tape = engine::Tape::recording(&device, engine::Recompute::Nothing);
            let looked_up = tape.embedding(&table, &ids);
            let slopes = Matrix::from_vec(ids.len(), COLS, slopes.clone());
            tape.backward(&looked_up, slopes, gradients);
        }
        let [rows, all] = gradients.each_ref().map(|gradients| gradients.get(ParameterId(0)));
        assert_eq!(rows.to_f32(), all.to_f32());
        assert!((squared_norm(rows) - squared_norm(all)).abs() < 1e-9);
        let rate = StepRate { learning_rate: 0.1, weight_decay: 0.01, gradient_factor: 0.5 };
        for (optimizer, values, gradient) in
            [(&mut sparse, &mut values, rows), (&mut whole, &mut expected, all)]
        {
            optimizer.begin_step();
            optimizer.update(0, values, gradient, rate);
        }
        assert_eq!(values, expected, "step {step}");
    }
    let Moments::Rows { present, .. } = &sparse.moments()[0] else { panic!("a table") };
    assert_eq!(present.keys().copied().collect::<Vec<_>>(), [0, 2, 4]);
}
