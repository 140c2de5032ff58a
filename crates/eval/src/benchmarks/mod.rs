//! The benchmarks, one file each.

mod judge_bench;
mod llmbar;
#[cfg(test)]
mod properties;
mod rewardbench;
mod rewardbench_2;
mod rm_bench;
mod rmb;
mod row;
#[cfg(test)]
mod testing;
mod texts;

use crate::benchmark::Benchmark;

/// Every benchmark, in the order in which they are listed.
pub const ALL: [&dyn Benchmark; 7] = [
    &rewardbench::RewardBench,
    &rewardbench_2::RewardBench2,
    &rm_bench::RmBench,
    &judge_bench::JudgeBench,
    &rmb::Pairwise,
    &rmb::BestOfN,
    &llmbar::LlmBar,
];

/// The benchmark of a name.
pub fn named(name: &str) -> Option<&'static dyn Benchmark> {
    ALL.into_iter().find(|benchmark| benchmark.name() == name)
}
