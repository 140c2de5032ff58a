//! `basereward data judge`: what reward models think of a curated set, for the labels of the next recipe.
//!
//! One line for each row, `{"key", "model", "rewards"}`, in the order of the shards; an interrupted file goes on after its last whole line.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use curate::labels::reward_line;
use curate::manifest::Manifest;
use data::raw::{RowFile, Value};
use eval::rewards::{RewardLine, RewardsError, from_line};
use eval::rows::BenchmarkRows;
use eval::scoring::{Scorer, ScoringOptions, score};

use crate::arguments::ModelArgs;
use crate::output::{Outcome, complain};
use crate::progress::Progress;

/// Score a curated set with a reward model, for the labels of the next recipe
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder that `basereward data curate` wrote
    #[arg(value_name = "SET")]
    set: PathBuf,
    /// Folder of the reward model
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Name of the model in the file [default: its folder's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// File of rewards; `labels.rewards` of a recipe names it
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Go on with a file that is there
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    options: ModelArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let benchmark =
        eval::benchmarks::named("preferences").context("`preferences` is always there")?;
    let shards = Manifest::read(&args.set)?.all_shards(&args.set);
    let rows = BenchmarkRows::open(benchmark, &shards, None)?;
    let keys = keys(&shards)?;
    let (mut out, first) = open(&args.output, args.resume, &keys)?;
    let (loaded, device) = args.options.load(&args.model)?;
    let scorer = Scorer { model: &loaded.model, processor: &loaded.processor, device: &device };
    let folder_name = || args.model.file_name().unwrap_or(args.model.as_os_str()).to_string_lossy();
    let name = args.name.clone().unwrap_or_else(|| folder_name().into_owned());
    let mut written: HashSet<&str> = keys[..first].iter().map(String::as_str).collect();
    let mut progress = Progress::new(Some(rows.len() as u64), first as u64);
    let mut unscored = 0_u64;
    let options = ScoringOptions { blind: false, swapped: false };
    score(scorer, &rows, first, options, &mut |lines| {
        progress.add(lines.len() as u64);
        for line in lines {
            if let Some(error) = &line.error {
                unscored += 1;
                progress.say(&format!("row {} (`{}`): {error}", line.row + 1, line.id));
            }
            let key = keys[line.row].as_str();
            // A record that the mixture repeats is judged once.
            if written.insert(key) {
                write(&mut out, key, &name, &line)
                    .map_err(|source| RewardsError::Io { path: args.output.clone(), source })?;
            }
        }
        Ok(())
    })?;
    complain(&format!("{name}: {}", progress.finish()));
    if unscored > 0 {
        complain(&format!("{unscored} rows have no reward and no line"));
        return Ok(Outcome::CheckFailed);
    }
    Ok(Outcome::Fine)
}

/// The file to write to, and the number of leading rows that it has seen.
fn open(path: &Path, resume: bool, keys: &[String]) -> anyhow::Result<(File, usize)> {
    let fault = || format!("cannot write `{}`", path.display());
    if !resume {
        if path.exists() {
            bail!("`{}` is there; go on with --resume, or choose another name", path.display());
        }
        return Ok((File::create(path).with_context(fault)?, 0));
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(fault)?;
    let (mut last, mut end, mut line) = (None, 0_u64, Vec::new());
    let mut reader = BufReader::new(&mut file);
    while reader.read_until(b'\n', &mut line).with_context(fault)? > 0 && line.ends_with(b"\n") {
        end += line.len() as u64;
        last = Some(std::mem::take(&mut line));
    }
    file.set_len(end).with_context(fault)?;
    file.seek(SeekFrom::End(0)).with_context(fault)?;
    let Some(last) = last else { return Ok((file, 0)) };
    let value: serde_json::Value = serde_json::from_slice(&last).unwrap_or_default();
    let place = keys.iter().position(|key| value["key"] == key.as_str());
    match place {
        Some(place) => Ok((file, place + 1)),
        None => bail!(
            "the last line of `{}` is about no row of the set; choose another name",
            path.display()
        ),
    }
}

/// The key of every row, in order.
fn keys(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut keys = Vec::new();
    for path in files {
        for row in RowFile::open(path)?.scan() {
            match row.ok().as_ref().and_then(|row| row.get("key")) {
                Some(Value::Text(key)) => keys.push(key.clone()),
                _ => bail!(
                    "`{}` has a row without `key`; judge a folder that `basereward data curate` wrote",
                    path.display()
                ),
            }
        }
    }
    Ok(keys)
}

/// Writes the line of a row that has rewards.
fn write(out: &mut impl Write, key: &str, model: &str, line: &RewardLine) -> std::io::Result<()> {
    let Some(scores) = &line.scores else { return Ok(()) };
    let key = u128::from_str_radix(key, 16)
        .map_err(|_| std::io::Error::other(format!("the row's key `{key}` is damaged")))?;
    writeln!(out, "{}", reward_line(key, model, &from_line(scores)))?;
    out.flush()
}
