//! The benchmarks, one file each.

mod llmbar;
mod row;

use crate::benchmark::Benchmark;

/// Every benchmark, in the order in which they are listed.
pub const ALL: [&dyn Benchmark; 1] = [&llmbar::LlmBar];

/// The benchmark of a name.
pub fn named(name: &str) -> Option<&'static dyn Benchmark> {
    ALL.into_iter().find(|benchmark| benchmark.name() == name)
}
