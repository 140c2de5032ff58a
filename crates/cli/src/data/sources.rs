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
    let mut text = String::new();
    for (line, source) in columns(&rows).iter().zip(ALL) {
        text.push_str(line);
        text.push('\n');
        if args.long {
            text.extend(["    ", source.about, "\n"]);
        }
    }
    print(&text)?;
    Ok(Outcome::Fine)
}
