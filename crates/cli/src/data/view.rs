//! `basereward data view`: a page to leaf through a curated set, and through what was dropped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;
use curate::ledger::Dropped;
use curate::manifest::Manifest;
use curate::recipe::CurationRecipe;
use curate::run::DROPPED_FILE;
use curate::shard::RowColumns;
use curate::view::{ViewReason, ViewRow, page};
use data::RowPlace;
use data::raw::{Names, RowFile, Value, comparison_of};
use data::sources::{Source, SourceFile, SourceRows};

use crate::output::{Outcome, complain};

/// Write a page to leaf through a curated set
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder that `basereward data curate` wrote
    #[arg(value_name = "SET")]
    set: PathBuf,
    /// Page to write [default: view.html in the folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Pairs that stayed, at equal distances over the set; as many besides whose labels were turned
    #[arg(long, value_name = "N", default_value_t = 200)]
    kept: usize,
    /// Records that left, for each reason
    #[arg(long, value_name = "N", default_value_t = 5)]
    dropped: usize,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let manifest = Manifest::read(&args.set)?;
    let kept = kept(&manifest.all_shards(&args.set), args.kept)?;
    let dropped = dropped(&args.set, &manifest, args.dropped)?;
    let output = args.output.clone().unwrap_or_else(|| args.set.join("view.html"));
    page::document::replace(&output, &page(&manifest, &kept, &dropped))
        .with_context(|| format!("cannot write `{}`", output.display()))?;
    complain(&format!("page: {}", output.display()));
    Ok(Outcome::Fine)
}

/// Rows of the shards at equal distances, and the first ones whose labels were turned.
fn kept(shards: &[PathBuf], count: usize) -> anyhow::Result<Vec<ViewRow>> {
    let files: Vec<RowFile> =
        shards.iter().map(|path| RowFile::open(path)).collect::<Result<_, _>>()?;
    let total: usize = files.iter().map(RowFile::len).sum();
    let step = total.div_ceil(count.max(1)).max(1);
    let mut flipped = 0;
    let mut rows = Vec::new();
    let all =
        shards.iter().zip(&files).flat_map(|(path, file)| file.scan().map(move |row| (path, row)));
    for (index, (path, row)) in all.enumerate() {
        let row = row.with_context(|| format!("`{}`", path.display()))?;
        let columns = columns(&row);
        let is_shown = columns.flipped && flipped < count;
        flipped += usize::from(is_shown);
        if index % step != 0 && !is_shown {
            continue;
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let comparison = comparison_of(&row, folder, Names::default())?;
        rows.push(ViewRow {
            source: comparison.source.clone(),
            id: Some(comparison.id.clone()),
            origin: [text(&row, "file"), text(&row, "row")].join(", "),
            columns,
            comparison: Some(comparison),
            left: None,
        });
    }
    Ok(rows)
}

fn text(row: &Value, key: &str) -> String {
    match row.get(key) {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

fn columns(row: &Value) -> RowColumns {
    let number = |key: &str| match row.get(key) {
        Some(Value::Number(number)) => Some(*number as f32),
        _ => None,
    };
    RowColumns {
        strength: number("strength"),
        agreement: number("agreement"),
        difficulty: number("difficulty"),
        flipped: row.get("flipped") == Some(&Value::Bool(true)),
    }
}

/// The first records of each source and reason that left, with their texts where their files are still there.
fn dropped(set: &Path, manifest: &Manifest, count: usize) -> anyhow::Result<Vec<ViewRow>> {
    let path = set.join(DROPPED_FILE);
    let file = File::open(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut rows = Vec::new();
    let mut originals = Originals::new(manifest);
    for line in BufReader::new(file).lines() {
        let line = line.with_context(|| format!("cannot read `{}`", path.display()))?;
        let dropped: Dropped =
            serde_json::from_str(&line).with_context(|| format!("`{}`", path.display()))?;
        let number = seen.entry((dropped.source.clone(), dropped.reason.clone())).or_default();
        *number += 1;
        if *number > count {
            continue;
        }
        rows.push(ViewRow {
            comparison: originals.read(&dropped),
            origin: format!("{}, {}", dropped.file, dropped.place),
            source: dropped.source,
            id: dropped.id,
            columns: RowColumns::default(),
            left: Some(ViewReason {
                stage: dropped.stage,
                reason: dropped.reason,
                detail: dropped.detail,
            }),
        });
    }
    Ok(rows)
}

/// The files that were read, opened again when a row of one is wanted.
struct Originals {
    recipe: Option<CurationRecipe>,
    open: BTreeMap<(String, String), Option<SourceRows>>,
}

impl Originals {
    fn new(manifest: &Manifest) -> Self {
        let recipe = serde_json::from_value(manifest.recipe.clone()).ok();
        Self { recipe, open: BTreeMap::new() }
    }

    /// The row as it was read, before it was expanded; none when it cannot be read or is no longer there.
    fn read(&mut self, dropped: &Dropped) -> Option<data::Comparison> {
        let recipe = self.recipe.as_ref()?;
        let key = (dropped.source.clone(), dropped.file.clone());
        let rows = self.open.entry(key).or_insert_with(|| {
            let source = recipe.source.iter().find(|one| one.label() == dropped.source)?;
            let format = Source::named(&source.format)?;
            let path = PathBuf::from(&dropped.file);
            let named = source.path.iter().filter_map(|path| (format.files)(path).ok()).flatten();
            let file = named.into_iter().find(|file| file.path == path)?;
            let image_dir = source.image_dir.clone().unwrap_or(file.image_dir);
            SourceRows::open(format, &SourceFile { path, image_dir }).ok()
        });
        let rows = rows.as_ref().filter(|rows| rows.is_divisible())?;
        let row = row_at(rows, &dropped.place)?;
        rows.units(row..row + 1).next()?.comparison.ok()
    }
}

/// The row that stands at a place such as `line 3`.
fn row_at(rows: &SourceRows, place: &str) -> Option<usize> {
    let number: usize = place.rsplit(' ').next()?.parse().ok()?;
    let number_of = |row: usize| match rows.place(row) {
        RowPlace::Line(number) | RowPlace::Row(number) => number,
    };
    // Blank lines are no rows, so a row's number is at least its index and one.
    (0..number.min(rows.len())).rev().take_while(|row| number_of(*row) >= number).last()
}
