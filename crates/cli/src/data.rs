//! `basereward data`: public preference sets to training data.
//!
//! Each command is a file; what they do is the business of the crates `data` and `curate`.

mod benchmarks;
mod convert;
mod curate;
mod describe;
mod export;
mod inspect;
mod judge;
mod select;
mod sources;
mod stats;
mod view;

use clap::Subcommand;

use crate::output::Outcome;

const EXAMPLES: &str = "\
Examples:
  basereward data inspect PATH
  basereward data convert --source rlaif-v PATH -o OUT
  basereward data curate recipes/data/basereward.toml -o OUT
  basereward data stats OUT
  basereward data export OUT --format trl -o DIR";

/// Look into preference sets, and curate them into one training set
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what a file or folder holds: its format, rows, fields, languages, pictures, lengths, margins
    Inspect(inspect::Args),
    /// List the published sets that can be read
    Sources(sources::Args),
    /// Turn one published set into shards, leaving out only rows that cannot be used
    Convert(convert::Args),
    /// Read, filter, deduplicate, decontaminate, mix, split and write, as a recipe says
    Curate(curate::Args),
    /// Show the tree of sources of a curated set, with sizes, hashes and shares
    Describe(describe::Args),
    /// Count what a curated set holds
    Stats(stats::Args),
    /// Score a curated set with reward models, for the labels of the next recipe
    Judge(judge::Args),
    /// Choose the rows about which people should be asked, as a file to fill in
    Select(select::Args),
    /// Write a curated set for another trainer
    Export(export::Args),
    /// Write a page to leaf through a curated set
    View(view::Args),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::Inspect(args) => inspect::run(args),
        Command::Sources(args) => sources::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Curate(args) => curate::run(args),
        Command::Describe(args) => describe::run(args),
        Command::Stats(args) => stats::run(args),
        Command::Judge(args) => judge::run(args),
        Command::Select(args) => select::run(args),
        Command::Export(args) => export::run(args),
        Command::View(args) => view::run(args),
    }
}
