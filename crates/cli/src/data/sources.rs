//! `basereward data sources`: the published sets that can be read.

use data::sources::ALL;

use crate::output::{Outcome, print};
use crate::sheet::columns;

/// List the published sets that can be read
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Say how each is read, too
    #[arg(short, long)]
    long: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let rows: Vec<Vec<String>> = ALL
        .iter()
        .map(|source| {
            [source.name, source.title, source.home, source.license].map(str::to_owned).to_vec()
        })
        .collect();
    let mut lines = Vec::new();
    for (line, source) in columns(&rows).into_iter().zip(ALL) {
        lines.push(line);
        if args.long {
            lines.push(format!("    {}", source.about));
        }
    }
    print(&(lines.join("\n") + "\n"))?;
    Ok(Outcome::Fine)
}
