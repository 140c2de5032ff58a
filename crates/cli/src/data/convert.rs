//! `basereward data convert`: one published set to shards, with nothing left out but rows that cannot be used.

use std::path::PathBuf;

use anyhow::Context;
use curate::recipe::CurationRecipe;

use super::curate::{execute, tell};
use super::inspect::named;
use crate::output::Outcome;

/// Turn one published set into shards, leaving out only rows that cannot be used
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the set (see `basereward data sources`)
    #[arg(long, value_name = "NAME")]
    source: String,
    /// Its files or folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Folder for the shards
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Folder that paths of pictures start at [default: the set's own choice]
    #[arg(long, value_name = "DIR")]
    image_dir: Option<PathBuf>,
    /// Replace a set that is there
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    named(&args.source)?;
    let recipe = recipe(args).context("the arguments make no recipe")?;
    tell(&execute(&recipe, &args.output, args.overwrite)?, &args.output)?;
    Ok(Outcome::Fine)
}

/// The recipe that keeps every row, in its order.
fn recipe(args: &Args) -> anyhow::Result<CurationRecipe> {
    let quoted = |path: &PathBuf| serde_json::to_string(&path.display().to_string());
    let paths: Vec<String> = args.paths.iter().map(quoted).collect::<Result<_, _>>()?;
    let image_dir = match &args.image_dir {
        Some(folder) => format!("image_dir = {}\n", quoted(folder)?),
        None => String::new(),
    };
    let text = format!(
        "[[source]]\nformat = \"{}\"\npath = [{}]\n{image_dir}\n[duplicates]\nexact = false\ncontradictions = \"keep_all\"\n\n[output]\nshuffle = \"none\"\n",
        args.source,
        paths.join(", ")
    );
    Ok(recipe::parse("convert".as_ref(), &text, &[])?)
}
