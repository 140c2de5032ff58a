//! `basereward data describe`: the tree of sources of a curated set.

use std::path::PathBuf;

use curate::describe::tree;
use curate::manifest::Manifest;

use crate::output::{Outcome, print};

/// Show the tree of sources of a curated set, with sizes, hashes and shares
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder that `basereward data curate` wrote
    #[arg(value_name = "SET")]
    set: PathBuf,
    /// Print the manifest as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let manifest = Manifest::read(&args.set)?;
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&manifest)?))?;
    } else {
        print(&tree(&manifest))?;
    }
    Ok(Outcome::Fine)
}
