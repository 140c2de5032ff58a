//! `basereward data export`: a curated set for another trainer.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use curate::export::{Exported, Target, export};

use crate::output::{Outcome, print};

/// Write a curated set for another trainer
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder that `basereward data curate` wrote
    #[arg(value_name = "SET")]
    set: PathBuf,
    /// Which trainer
    #[arg(long, value_enum)]
    format: Trainer,
    /// Folder for the files
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// A trainer that reads files of its own.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Trainer {
    /// JSON Lines with `images`, `prompt`, `chosen` and `rejected` as messages
    Trl,
    /// JSON in sharegpt form, and `dataset_info.json`
    LlamaFactory,
    /// JSON Lines with `messages`, `rejected_response` and `images`
    MsSwift,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let target = match args.format {
        Trainer::Trl => Target::Trl,
        Trainer::LlamaFactory => Target::LlamaFactory,
        Trainer::MsSwift => Target::MsSwift,
    };
    let written = export(&args.set, target, &args.output)?;
    print(&text(&written, &args.output))?;
    Ok(Outcome::Fine)
}

fn text(written: &Exported, output: &Path) -> String {
    let Exported { files, comparisons, pairs, left_out, lost } = written;
    let (output, files) = (output.display(), files.join(", "));
    let mut lines =
        vec![format!("{pairs} pairs of {comparisons} comparisons in {output}: {files}")];
    lines.extend(
        left_out.iter().map(|(reason, number)| format!("  {number} pairs left out: {reason}")),
    );
    lines
        .extend(lost.iter().map(|(what, number)| format!("  {number} pairs without their {what}")));
    lines.join("\n") + "\n"
}
