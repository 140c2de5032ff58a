//! Reward benchmarks: rows to items, rewards of the responses to the official figures, and what tells whether to trust them.
//!
//! A [`benchmark::Benchmark`] reads the rows of its published files as [`item::Item`]s and turns [`item::Scored`] rows into
//! [`figure::Figure`]s. Nothing here prints or decides where files go; arguments are the command line's.

pub mod benchmark;
pub mod benchmarks;
pub mod compare;
pub mod contamination;
pub mod evaluate;
pub mod evaluation;
pub mod figure;
pub mod interval;
pub mod item;
pub mod judged;
pub mod leakage;
pub mod outputs;
pub mod paired;
pub mod probes;
pub mod published;
pub mod ranking;
pub mod report;
mod resample;
pub mod rewards;
pub mod rows;
pub mod scoring;
