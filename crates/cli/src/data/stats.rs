//! `basereward data stats`: what a curated set holds, counted over its shards.

use std::path::PathBuf;

use curate::describe::tree;
use curate::manifest::Manifest;
use curate::stats::Stats;

use crate::output::{Outcome, print};

/// Count what a curated set holds
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder that `basereward data curate` wrote
    #[arg(value_name = "SET")]
    set: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let manifest = Manifest::read(&args.set)?;
    let stats = Stats::read(&args.set)?;
    print(&format!("{}\n{}", tree(&manifest), stats.text()))?;
    Ok(Outcome::Fine)
}
