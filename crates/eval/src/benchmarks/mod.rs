//! The benchmarks, one file each.

mod judge_bench;
mod literal;
mod llmbar;
mod mm_rlhf_rewardbench;
mod mr2bench;
mod multimodal_rewardbench;
mod multimodal_rewardbench_2;
mod picture_prompt;
mod preferences;
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
mod video;
mod vl_rewardbench;

use crate::benchmark::Benchmark;

/// Every benchmark, in the order in which they are listed.
pub const ALL: [&dyn Benchmark; 13] = [
    &vl_rewardbench::VlRewardBench,
    &multimodal_rewardbench::MultimodalRewardBench,
    &mm_rlhf_rewardbench::MmRlhfRewardBench,
    &multimodal_rewardbench_2::MultimodalRewardBench2,
    &mr2bench::Mr2Bench,
    &rewardbench::RewardBench,
    &rewardbench_2::RewardBench2,
    &rm_bench::RmBench,
    &judge_bench::JudgeBench,
    &rmb::Pairwise,
    &rmb::BestOfN,
    &llmbar::LlmBar,
    &preferences::Preferences,
];

/// The benchmark of a name.
pub fn named(name: &str) -> Option<&'static dyn Benchmark> {
    ALL.into_iter().find(|benchmark| benchmark.name() == name)
}
