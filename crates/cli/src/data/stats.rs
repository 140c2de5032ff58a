//! `basereward data stats`: what a curated set holds, counted over its shards.

use std::path::PathBuf;

use curate::manifest::Manifest;
use curate::shard::Split;
use data::inspect::{InspectOptions, inspect};
use data::sources::Source;

use crate::output::{Outcome, print};

/// Count what a curated set holds
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder that `basereward data curate` wrote
    #[arg(value_name = "SET")]
    set: PathBuf,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let manifest = Manifest::read(&args.set)?;
    let options = InspectOptions { source: Source::named("preferences"), image_dir: None };
    let found = inspect(&args.set.join(Split::Train.name()), &options)?;
    if args.json {
        let both = serde_json::json!({ "manifest": manifest, "rows": found });
        print(&format!("{}\n", serde_json::to_string_pretty(&both)?))?;
    } else {
        print(&format!("{}\n{found}", curate::describe::tree(&manifest)))?;
    }
    Ok(Outcome::Fine)
}
