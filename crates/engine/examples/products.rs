//! Times linear layers of given shapes: `products [--f32] M K N …` prints GFLOP/s, the median of 15 runs.

use engine::{DType, Device, Linear, Matrix};
use std::time::Instant;

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
    for shape in sizes.chunks_exact(3) {
        let (m, k, n) = (shape[0], shape[1], shape[2]);
        let values =
            |len: usize| (0..len).map(|i| (i % 17) as f32 / 17.0 - 0.5).collect::<Vec<_>>();
        let weight = Matrix::from_vec(n, k, values(n * k));
        let x = Matrix::from_vec(m, k, values(m * k)).cast(dtype);
        let linear = Linear::new(&device, dtype, &[&weight], None);
        let cpu = cpu_seconds();
        let mut seconds: Vec<f64> = (0..15)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(linear.forward(&device, &x));
                start.elapsed().as_secs_f64()
            })
            .collect();
        let cpu = (cpu_seconds() - cpu) / 15.0;
        seconds.sort_by(f64::total_cmp);
        let gflop = 2.0 * (m * k * n) as f64 / 1e9;
        let tier = device.as_cpu().tier().name();
        println!(
            "{tier} {dtype} {m}x{k}x{n}: {:.0} GFLOP/s, {:.0} for each CPU second",
            gflop / seconds[7],
            gflop / cpu
        );
    }
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
