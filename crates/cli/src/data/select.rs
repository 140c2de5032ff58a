//! `basereward data select`: the records about which people should be asked, as a file that they fill in.
//!
//! The file does not tell the label: answers stand in a drawn order. `labels.verdicts` of a recipe reads it back.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use curate::caps::{Capped, Caps};
use curate::labels::{Labeled, Opinions, judge};
use curate::manifest::Manifest;
use curate::recipe::LabelsRecipe;
use curate::select::{Candidate, Informative, most_informative, sheet_line};
use data::raw::{Names, RowFile, Value, comparison_of};

use crate::output::{Outcome, complain};

/// Choose the rows about which people should be asked, as a file to fill in
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder that `basereward data curate` wrote
    #[arg(value_name = "SET")]
    set: PathBuf,
    /// File of rewards from `basereward data judge`; may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    rewards: Vec<PathBuf>,
    /// Number of rows
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    count: usize,
    /// What makes a row informative
    #[arg(long, value_enum, default_value = "uncertainty")]
    by: By,
    /// Most rows over one prompt
    #[arg(long, value_name = "N", default_value_t = 1)]
    max_per_prompt: usize,
    /// Decides between equally informative rows
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// File to fill in
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// What makes a row informative.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    /// Models are least sure
    Uncertainty,
    /// Models differ most
    Disagreement,
    /// Models are most against the label
    Doubt,
    /// Nothing: rows are drawn, as a measure for the others
    Random,
}

/// A pair of the set, without its texts.
struct Pair {
    file: usize,
    row: usize,
    key: u128,
    group: u128,
    ranks: Vec<u32>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    if args.output.exists() {
        bail!("`{}` is there; choose another name", args.output.display());
    }
    let paths = Manifest::read(&args.set)?.all_shards(&args.set);
    let files: Vec<RowFile> =
        paths.iter().map(|path| RowFile::open(path)).collect::<Result<_, _>>()?;
    let pairs = pairs(&paths, &files)?;
    let opinions = Opinions::read(&args.rewards, &[])?;
    let labeled: Vec<Labeled<'_>> =
        pairs.iter().map(|pair| Labeled { key: pair.key, ranks: &pair.ranks }).collect();
    let judgments = judge(&labeled, &opinions, &LabelsRecipe::default())?;
    let candidates: Vec<Candidate<'_>> = pairs
        .iter()
        .zip(&judgments)
        .map(|(pair, judgment)| Candidate {
            record: Capped { exact: pair.key, prompt: pair.group, images: &[] },
            judgment,
        })
        .collect();
    let by = match args.by {
        By::Uncertainty => Informative::Uncertainty,
        By::Disagreement => Informative::Disagreement,
        By::Doubt => Informative::Doubt,
        By::Random => Informative::Random,
    };
    let caps = Caps { per_prompt: Some(args.max_per_prompt), per_image: None };
    let chosen = most_informative(&candidates, args.count, by, caps, args.seed);
    let fault = || format!("cannot write `{}`", args.output.display());
    let mut out = BufWriter::new(std::fs::File::create(&args.output).with_context(fault)?);
    for index in &chosen {
        let pair = &pairs[*index];
        let folder = paths[pair.file].parent().unwrap_or(Path::new(""));
        let row = files[pair.file].read(pair.row)?;
        let comparison = comparison_of(&row, folder, Names::default())?;
        writeln!(out, "{}", sheet_line(pair.key, &comparison)).with_context(fault)?;
    }
    out.flush().with_context(fault)?;
    complain(&format!(
        "{} of {} pairs chosen; fill in `verdict` with a, b, tie or skip, and name the file in `labels.verdicts` of a recipe",
        chosen.len(),
        pairs.len()
    ));
    Ok(Outcome::Fine)
}

/// The pairs of all shards; comparisons of more answers are nothing to ask about.
fn pairs(paths: &[PathBuf], files: &[RowFile]) -> anyhow::Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for (file, rows) in files.iter().enumerate() {
        for (row, value) in rows.scan().enumerate() {
            let value = value.with_context(|| format!("`{}`", paths[file].display()))?;
            let (Some(Value::Text(key)), Some(Value::List(ranks))) =
                (value.get("key"), value.get("ranks"))
            else {
                bail!(
                    "`{}` has a row without `key` or `ranks`; select from a folder that `basereward data curate` wrote",
                    paths[file].display()
                );
            };
            let whole = |value: &Value| match value {
                Value::Whole(rank) => u32::try_from(*rank).ok(),
                _ => None,
            };
            let ranks: Option<Vec<u32>> = ranks.iter().map(whole).collect();
            let (Ok(key), Some(ranks)) = (u128::from_str_radix(key, 16), ranks) else {
                bail!("`{}`, row {}: `key` or `ranks` is damaged", paths[file].display(), row + 1);
            };
            if ranks.len() == 2 {
                pairs.push(Pair { file, row, key, group: group(&value), ranks });
            }
        }
    }
    Ok(pairs)
}

/// What rows over one prompt have in common, as bits.
fn group(row: &Value) -> u128 {
    match row.get("group") {
        Some(Value::Whole(group)) => u128::from(group.cast_unsigned()),
        Some(Value::Number(group)) => u128::from(group.to_bits()),
        Some(Value::Text(group)) => u128::from_str_radix(group, 16).unwrap_or_default(),
        _ => 0,
    }
}
