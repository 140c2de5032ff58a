//! `basereward bench`: timings on this machine, as a table or JSON.

mod curate;
mod measure;
mod score;
mod train;

use clap::Subcommand;

use crate::output::Outcome;

/// Measure speed and memory on this machine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Time the scoring of one question with N answers; no file is needed
    Score(score::Args),
    /// Time a curation of made-up rows
    Curate(curate::Args),
    /// Time steps of training on pairs about one picture each; the pairs are noise
    Train(train::Args),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.what {
        What::Score(args) => score::run(args),
        What::Curate(args) => curate::run(args),
        What::Train(args) => train::run(args),
    }
}
