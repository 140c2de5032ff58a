//! `basereward inspect`: what a model folder holds, read as strictly as `score` reads it.
//!
//! Nothing is computed with the model; `doctor` does that.

pub(crate) mod digest;
pub(crate) mod report;
mod text;

use std::path::PathBuf;

use anyhow::anyhow;

use self::report::{Report, Wanted};
use crate::output::{self, Outcome};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Model folder, or the folder of a backbone without a head
    model: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// List every tensor
    #[arg(long)]
    tensors: bool,

    /// Hash all tensors, which reads every byte of the model
    #[arg(long)]
    hash: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let report =
        Report::read(&args.model, Wanted { model_hash: args.hash, tensors: args.tensors })?;
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&report)?)
    } else {
        text::render(&report)
    };
    output::print(&text)?;
    match report.problem {
        Some(problem) => Err(anyhow!(problem)),
        None => Ok(Outcome::Fine),
    }
}
