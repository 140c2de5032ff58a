//! Times linear layers of given shapes: `products [--f32] M K N …` prints GFLOP/s of the product, of the gradient of its
//! input and of that of its weight, the medians of 15 runs.

use engine::{DType, Device, Gradients, Linear, Link, Matrix, ParameterId, Trainable};
use std::time::Instant;

const RUNS: usize = 15;

#[expect(clippy::print_stdout, reason = "its output is the point")]
fn main() {
    let mut sizes: Vec<usize> = Vec::new();
    let mut dtype = DType::Bf16;
    for argument in std::env::args().skip(1) {
        match argument.parse() {
            Ok(size) => sizes.push(size),
            Err(_) => dtype = DType::F32,
        }
    }
    let device = Device::cpu(None).expect("a device");
    let tier = device.as_cpu().tier().name();
    for shape in sizes.chunks_exact(3) {
        let (m, k, n) = (shape[0], shape[1], shape[2]);
        let weight = values(n, k);
        let (x, dy) = (values(m, k).cast(dtype), values(m, n).cast(dtype));
        let mut linear = Linear::new(&device, dtype, &[&weight], None);
        let weight = Some(Trainable::Full(ParameterId(0)));
        linear.set_links(vec![Link { outputs: 0..n, weight, bias: None }]);
        let mut gradients = Gradients::new(&[(n, k)]);
        let forward = time(|| {
            std::hint::black_box(linear.forward(&device, &x));
        });
        let by_input = time(|| {
            std::hint::black_box(linear.input_gradient(&device, &dy));
        });
        let by_weight = time(|| linear.parameter_gradients(&device, &x, &dy, &mut gradients));
        let gflop = 2.0 * (m * k * n) as f64 / 1e9;
        let times = [("forward", forward), ("input", by_input), ("weight", by_weight)];
        for (what, (seconds, cpu)) in times {
            println!(
                "{tier} {dtype} {m}x{k}x{n} {what}: {:.0} GFLOP/s, {:.0} for each CPU second ({:.2} ms)",
                gflop / seconds,
                gflop / cpu,
                cpu * 1e3
            );
        }
    }
}

fn values(rows: usize, cols: usize) -> Matrix {
    let value = |i: usize| (i % 17) as f32 / 17.0 - 0.5;
    Matrix::from_vec(rows, cols, (0..rows * cols).map(value).collect::<Vec<f32>>())
}

/// The median of wall seconds, and the mean of processor seconds.
fn time(mut run: impl FnMut()) -> (f64, f64) {
    let cpu = cpu_seconds();
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    let cpu = (cpu_seconds() - cpu) / RUNS as f64;
    seconds.sort_by(f64::total_cmp);
    (seconds[RUNS / 2], cpu)
}

/// Processor time of all threads of this process; not disturbed by other processes as wall time is.
fn cpu_seconds() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let nanoseconds = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.flatten().filter_map(nanoseconds).sum::<f64>() / 1e9
}
