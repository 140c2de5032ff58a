//! `basereward eval compare`: evaluations beside each other and beside published numbers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use eval::compare::{Run, SideBySide};
use eval::evaluation::Evaluation;
use eval::outputs::{EVALUATION_FILE, ROWS_FILE, read_rows};
use page::document::replace;

use crate::output::{Outcome, print};

/// Name of the hash of the data in an evaluation's provenance.
const DATA_HASH: &str = "files (BLAKE3)";

/// Put evaluations beside each other and beside published numbers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folders that `basereward eval` has written; one that holds several benchmarks counts with all of them
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// File for the tables, .md or .csv [default: standard output, as Markdown]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut by_benchmark: BTreeMap<String, Vec<Run>> = BTreeMap::new();
    for folder in &args.folders {
        for (benchmark, run) in runs_of(folder)? {
            by_benchmark.entry(benchmark).or_default().push(run);
        }
    }
    let is_csv = match args.output.as_deref().map(Path::extension) {
        None => false,
        Some(Some(extension)) if extension == "csv" => true,
        Some(Some(extension)) if extension == "md" => false,
        Some(_) => bail!("give the output the ending .md or .csv"),
    };
    let tables = by_benchmark.iter().map(|(benchmark, runs)| {
        let side_by_side = SideBySide::of(benchmark, runs);
        if is_csv { side_by_side.csv() } else { side_by_side.markdown() }
    });
    let text = tables.collect::<Vec<_>>().join("\n");
    match &args.output {
        Some(file) => {
            replace(file, &text).with_context(|| format!("cannot write `{}`", file.display()))?;
        }
        None => print(&text)?,
    }
    Ok(Outcome::Fine)
}

/// The evaluation in a folder, or those in its folders, each with the name of its benchmark.
fn runs_of(folder: &Path) -> anyhow::Result<Vec<(String, Run)>> {
    let name = folder.display().to_string();
    if folder.join(EVALUATION_FILE).exists() {
        return Ok(vec![run_in(folder, &name)?]);
    }
    let mut inner: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read `{name}`"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join(EVALUATION_FILE).exists())
        .collect();
    inner.sort();
    if inner.is_empty() {
        bail!(
            "there is no `{}`; give a folder that `basereward eval … -o` has written",
            folder.join(EVALUATION_FILE).display()
        );
    }
    inner.iter().map(|inner| run_in(inner, &name)).collect()
}

fn run_in(folder: &Path, name: &str) -> anyhow::Result<(String, Run)> {
    let file = folder.join(EVALUATION_FILE);
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read `{shown}`"))?;
    let evaluation: Evaluation =
        serde_json::from_str(&text).with_context(|| format!("`{shown}` is no evaluation"))?;
    let file = folder.join(ROWS_FILE);
    let rows = match std::fs::read_to_string(&file) {
        Ok(text) => read_rows(&text).with_context(|| format!("`{}` is damaged", file.display()))?,
        // Figures can be compared without rows; the comparison then says less.
        Err(_) => Vec::new(),
    };
    let data_hash = evaluation.provenance.iter().find(|(name, _)| name == DATA_HASH);
    let run = Run {
        name: name.to_owned(),
        num_rows: evaluation.rows.scored,
        data_hash: data_hash.map(|(_, hash)| hash.clone()),
        figures: evaluation.figures,
        rows,
    };
    Ok((evaluation.benchmark.name, run))
}
