//! The machine's own limit for products: what the kernel reaches when nothing has to be fetched.

use crate::device::{Cpu, Device};
use crate::matrix::{DType, Element};
use crate::product::aligned::Aligned;
use crate::product::{ColumnPanels, Kernel, PackedRows};
use rayon::prelude::*;
use std::time::{Duration, Instant};

/// How long to measure; the best of many short runs is taken.
const DURATION: Duration = Duration::from_millis(400);
/// Products of one timed run.
const REPEATS: usize = 64;
/// Summed dimension: both panels stay in the first-level cache.
const K: usize = 256;

/// Floating-point operations per second, in 10⁹, of the tier's product kernel on all threads, operands in cache.
///
/// The shares of peak that benchmarks print are shares of this.
pub fn measure_peak(device: &Device, dtype: DType) -> f64 {
    let cpu = device.as_cpu();
    match dtype {
        DType::F32 => peak(device, cpu, cpu.f32_kernel()),
        DType::Bf16 => peak(device, cpu, cpu.bf16_kernel()),
    }
}

fn peak<T: Element>(device: &Device, cpu: &Cpu, kernel: &'static Kernel<T>) -> f64 {
    let flop = 2.0 * (kernel.rows * kernel.cols * K * REPEATS * cpu.num_threads()) as f64;
    let start = Instant::now();
    let mut best = f64::INFINITY;
    while start.elapsed() < DURATION {
        best = best.min(device.run(|| run_once(cpu, kernel)));
    }
    flop / best / 1e9
}

/// Seconds in which every thread does `REPEATS` products of one panel by one panel.
fn run_once<T: Element>(cpu: &Cpu, kernel: &Kernel<T>) -> f64 {
    let seconds = (0..cpu.num_threads()).into_par_iter().with_max_len(1).map(|_| {
        let mut a = Aligned::unspecified(kernel.rows * K);
        let mut b = Aligned::unspecified(kernel.cols * K);
        let mut c = Aligned::unspecified(kernel.rows * kernel.cols);
        a.fill(T::from_f32(0.5));
        b.fill(T::from_f32(0.25));
        c.fill(0.0);
        let a = PackedRows { panels: &a, rows: kernel.rows };
        let b = ColumnPanels { panels: &b, stride: kernel.cols * K, count: 1 };
        kernel.session(|| {
            let start = Instant::now();
            for _ in 0..REPEATS {
                kernel.product(a, b, K, &mut c, true);
            }
            std::hint::black_box(&*c);
            start.elapsed().as_secs_f64()
        })
    });
    seconds.reduce(|| 0.0, f64::max)
}
