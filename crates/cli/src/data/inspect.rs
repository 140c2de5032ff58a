//! `basereward data inspect`: what a path holds.

use std::path::PathBuf;

use anyhow::Context;
use data::inspect::{InspectOptions, inspect};
use data::sources::Source;

use crate::output::{Outcome, print};

/// Say what a file or folder holds: its format, rows, fields, languages, pictures, lengths, margins
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File or folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Read the rows as this published set (see `basereward data sources`) [default: the likeliest]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Folder that paths of pictures start at [default: the folder of each file]
    #[arg(long, value_name = "DIR")]
    image_dir: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let source = args.source.as_deref().map(named).transpose()?;
    let options = InspectOptions { source, image_dir: args.image_dir.clone() };
    let found = inspect(&args.path, &options)?;
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&found)?))?;
    } else {
        print(&found.to_string())?;
    }
    Ok(Outcome::Fine)
}

/// The published set of a name.
pub(super) fn named(name: &str) -> anyhow::Result<&'static Source> {
    Source::named(name)
        .with_context(|| format!("there is no set `{name}`; `basereward data sources` lists them"))
}
