//! The command line: what may be said, and the help that says it.

use clap::{Parser, Subcommand, ValueEnum};
use engine::{DType, Device};
use std::path::Path;

use crate::loaded::{Limits, Loaded};
use crate::{bench, data, demo, doctor, eval, init, inspect, score, serve, train};

/// Reward models for vision-language models: score answers to questions about images.
#[derive(Debug, Parser)]
#[command(name = "basereward", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a small visual world, train a reward model on it, evaluate it and write a report
    Demo(demo::Args),
    /// Look into preference sets, and curate them into one training set
    Data(data::Args),
    /// Train a reward model on preferences, as a recipe says
    Train(train::Args),
    /// Score one item, or every row of a JSONL file
    Score(score::Args),
    /// Evaluate a model on the field's reward benchmarks, with their official metrics
    Eval(eval::Args),
    /// Serve rewards over HTTP
    Serve(serve::Args),
    /// Attach a fresh reward head to a backbone folder, or make a random-weight model from a preset
    Init(init::Args),
    /// Show what a model folder holds: architecture, head, template, tensors, hashes
    Inspect(inspect::Args),
    /// Check this machine, and optionally a model, and say what is wrong
    Doctor(doctor::Args),
    /// Measure speed and memory on this machine
    Bench(bench::Args),
}

/// Compute type of the backbone. The head always runs in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ComputeType {
    /// Exact to about seven digits; twice the memory
    F32,
    /// The type that models are trained in; fastest
    Bf16,
}

impl ComputeType {
    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::Bf16,
        }
    }
}

/// Where to compute, the same for every command that runs a model.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DeviceArgs {
    /// Threads to compute with [default: every processor this process may use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
}

impl DeviceArgs {
    pub(crate) fn device(&self) -> anyhow::Result<Device> {
        Ok(Device::cpu(self.threads.map(usize::from))?)
    }
}

/// How a model is loaded, the same for every command that scores with one.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// Compute type of the backbone [default: bf16 for weights stored as bf16, otherwise f32]
    #[arg(long, value_enum)]
    dtype: Option<ComputeType>,
    /// Largest size of a picture after resizing, in pixels [default: the model's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_pixels: Option<u64>,
    /// Longest conversation, in tokens [default: the model's own limit; when serving, at most 32768]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_tokens: Option<u64>,
    #[command(flatten)]
    device: DeviceArgs,
}

impl ModelArgs {
    /// The model of a folder, and the device that it is on.
    pub(crate) fn load(&self, folder: &Path) -> anyhow::Result<(Loaded, Device)> {
        self.load_with(folder, Limits::default())
    }

    /// As [`Self::load`], within the limits of the caller where the arguments name none.
    pub(crate) fn load_with(
        &self,
        folder: &Path,
        limits: Limits,
    ) -> anyhow::Result<(Loaded, Device)> {
        let device = self.device.device()?;
        let max_tokens =
            self.max_tokens.map(|tokens| usize::try_from(tokens).unwrap_or(usize::MAX));
        let limits = Limits {
            max_pixels: self.max_pixels.or(limits.max_pixels),
            max_tokens: max_tokens.or(limits.max_tokens),
            ..limits
        };
        let loaded = Loaded::open(folder, &device, self.dtype, limits)?;
        Ok((loaded, device))
    }
}
