//! A whole curation, from the recipe to the finished folder; what is there of an interrupted one is used.

use std::fs;
use std::path::Path;

use data::Comparison;
use data::sources::Source;
use rayon::prelude::*;

use crate::decide::{self, Decisions};
use crate::decontaminate::BenchmarkIndex;
use crate::error::CurateError;
use crate::filter::{CountTokens, Filters};
use crate::inputs::{self, Inputs};
use crate::ledger::SourceCounts;
use crate::loaded::Loaded;
use crate::look::Look;
use crate::manifest::{MANIFEST_FILE, Manifest, SearchedFor};
use crate::pictures::{PictureFault, Pictures};
use crate::read::Reader;
use crate::recipe::CurationRecipe;
use crate::record::ImageId;
use crate::report::{self, OverlapLine};
use crate::shard::{PICTURES_DIR, Split};
use crate::unfinished;
use crate::work::{Plan, WORK_DIR, WorkFolder};
use crate::write;

/// Folder of what is told about the set.
const REPORT_DIR: &str = "report";
/// The list of rows and records that left, one line of JSON each.
pub const DROPPED_FILE: &str = "report/dropped.jsonl";
/// The list of records whose labels were turned, one line of JSON each.
pub const FLIPPED_FILE: &str = "report/flipped.jsonl";
/// The counts in words.
pub const REPORT_FILE: &str = "report/counts.md";

/// What a curation is made from.
pub struct Request<'a> {
    /// What is done.
    pub recipe: &'a CurationRecipe,
    /// Folder of the result.
    pub output: &'a Path,
    /// The benchmarks of the recipe, opened.
    pub benchmarks: Vec<BenchmarkRows<'a>>,
    /// Counts the tokens of a text, when the recipe names a tokenizer.
    pub tokens: Option<CountTokens>,
    /// Whether a result or a begun one that is there is replaced.
    pub overwrite: bool,
    /// Version of the program.
    pub version: &'a str,
}

/// A benchmark that must not be trained on.
pub struct BenchmarkRows<'a> {
    /// Its name.
    pub name: String,
    /// Number of its rows.
    pub rows: u64,
    /// BLAKE3 hash of its files.
    pub rows_hash: String,
    /// Its rows, or what is wrong with one.
    pub comparisons: Box<dyn Iterator<Item = Result<Comparison, String>> + 'a>,
}

/// Who watches.
pub trait Observer: Sync {
    /// A step with so many rows begins.
    fn begin(&self, step: &str, rows: u64);
    /// So many rows more are done.
    fn advance(&self, rows: u64);
    /// A sentence for people.
    fn say(&self, sentence: &str);
    /// Whether to stop as soon as nothing is lost.
    fn should_stop(&self) -> bool;
}

/// Curates.
///
/// # Errors
/// When a source cannot be opened, a file cannot be written, or nothing is left; and when the observer wants to stop, after which the same call
/// goes on.
pub fn run(request: Request<'_>, observer: &dyn Observer) -> Result<Curated, CurateError> {
    let Request { recipe, output, benchmarks, tokens, overwrite, version } = request;
    clear(output, overwrite)?;
    let filters = filters(recipe, tokens.as_ref())?;
    observer.say("finding and hashing the files of all sources");
    let inputs = Inputs::open(recipe)?;
    let plan = plan(recipe, &inputs, &benchmarks, version)?;
    let work = WorkFolder::open(output, &plan)?;
    let perceptual = is_perceptual(recipe);
    let pictures = Pictures::new(work.images(), perceptual);
    let (index, mut searched) = index_benchmarks(recipe, benchmarks, &pictures, observer)?;
    let reader = Reader { recipe, files: &inputs.files, filters, pictures, benchmarks: index };
    read_all(&reader, &work, &inputs, observer)?;
    drop(reader);

    observer.begin("deciding", 0);
    let source_of = |chunk: usize| inputs.files[inputs.chunks[chunk].file].source;
    let loaded = Loaded::new(&work, inputs.chunks.len(), recipe.source.len(), source_of)?;
    let decisions = decide::decide(recipe, &loaded)?;
    let mut counts = loaded.counts.clone();
    count(&decisions, &loaded, &mut counts, &mut searched);
    let licenses = licenses(recipe);
    let source = write::Source {
        recipe,
        inputs: &inputs,
        loaded: &loaded,
        decisions: &decisions,
        work: &work,
        licenses: &licenses,
    };
    let reports = output.join(REPORT_DIR);
    fs::create_dir_all(&reports).map_err(CurateError::writing(&reports))?;
    let overlaps = source.lists(output, &mut counts)?;
    if decisions.sequence.is_empty() {
        let rows = counts.iter().map(|counts| counts.rows).sum();
        return Err(CurateError::NothingLeft { rows, dropped: output.join(DROPPED_FILE) });
    }
    let written = source.shards(output, observer)?;
    let manifest = source.manifest(version, counts, searched, written);
    let report = output.join(REPORT_FILE);
    unfinished::write(&report, report::markdown(&manifest, &overlaps).as_bytes())
        .map_err(CurateError::writing(&report))?;
    // The manifest comes last: it makes the set whole.
    manifest.write(output)?;
    drop(loaded);
    work.remove()?;
    Ok(Curated { manifest, overlaps })
}

/// What came of a curation.
#[derive(Debug)]
pub struct Curated {
    /// What the set is made of.
    pub manifest: Manifest,
    /// What records have in common with benchmarks.
    pub overlaps: Vec<OverlapLine>,
}

/// Makes sure that nothing but an interrupted curation is in the folder.
fn clear(output: &Path, overwrite: bool) -> Result<(), CurateError> {
    let work = output.join(WORK_DIR);
    let is_finished = Manifest::read(output).is_ok();
    let is_occupied =
        output.is_file() || fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_some());
    if is_occupied && !is_finished && !work.exists() {
        return Err(CurateError::Occupied { folder: output.to_owned() });
    }
    if overwrite {
        return remove(output);
    }
    if !is_finished {
        return Ok(());
    }
    // The last step may have been interrupted.
    if work.exists() {
        fs::remove_dir_all(&work).map_err(CurateError::writing(&work))?;
    }
    Err(CurateError::Finished { folder: output.to_owned() })
}

/// Removes what an earlier curation wrote, and nothing else.
fn remove(output: &Path) -> Result<(), CurateError> {
    // The manifest goes first: without it the rest is no finished set.
    let manifest = output.join(MANIFEST_FILE);
    if manifest.exists() {
        fs::remove_file(&manifest).map_err(CurateError::writing(&manifest))?;
    }
    let splits = [Split::Train, Split::Validation].map(Split::name);
    for name in [WORK_DIR, REPORT_DIR, PICTURES_DIR].into_iter().chain(splits) {
        let path = output.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(CurateError::writing(&path))?;
        }
    }
    Ok(())
}

/// The filters of each source.
fn filters(
    recipe: &CurationRecipe,
    tokens: Option<&CountTokens>,
) -> Result<Vec<Filters>, CurateError> {
    let compile = |source: &crate::recipe::SourceRecipe| {
        Ok(Filters::compile(&recipe.filter, &source.filter, tokens.cloned())?)
    };
    recipe.source.iter().map(compile).collect()
}

fn plan(
    recipe: &CurationRecipe,
    inputs: &Inputs,
    benchmarks: &[BenchmarkRows<'_>],
    version: &str,
) -> Result<Plan, CurateError> {
    let mut others: Vec<(String, String)> =
        benchmarks.iter().map(|rows| (rows.name.clone(), rows.rows_hash.clone())).collect();
    let labels =
        recipe.labels.iter().flat_map(|labels| labels.rewards.iter().chain(&labels.verdicts));
    let tokenizer = recipe
        .tokenizer
        .as_ref()
        .map(|path| if path.is_dir() { path.join("tokenizer.json") } else { path.clone() });
    for path in labels.chain(&tokenizer) {
        let (_, hash) = inputs::hash_file(path).map_err(CurateError::reading(path))?;
        others.push((path.display().to_string(), hash));
    }
    Ok(Plan {
        version: version.to_owned(),
        recipe: recipe.clone(),
        files: inputs.files.iter().map(|file| file.about.clone()).collect(),
        others,
    })
}

/// Whether anything depends on how pictures look.
fn is_perceptual(recipe: &CurationRecipe) -> bool {
    recipe.duplicates.near.is_some() || !recipe.benchmark.is_empty()
}

/// Reads all benchmarks. What cannot be compared is counted.
fn index_benchmarks(
    recipe: &CurationRecipe,
    benchmarks: Vec<BenchmarkRows<'_>>,
    pictures: &Pictures,
    observer: &dyn Observer,
) -> Result<(BenchmarkIndex, Vec<SearchedFor>), CurateError> {
    let mut index = BenchmarkIndex::new(&recipe.decontamination);
    let mut searched = Vec::new();
    for benchmark in benchmarks {
        observer.begin(&format!("reading {}", benchmark.name), benchmark.rows);
        let mut about = SearchedFor {
            benchmark: benchmark.name.clone(),
            rows: benchmark.rows,
            rows_hash: benchmark.rows_hash,
            ..SearchedFor::default()
        };
        for row in benchmark.comparisons {
            observer.advance(1);
            match row {
                Ok(comparison) => {
                    let (images, unknown) = pictures_of(&comparison, pictures)?;
                    about.rows_without_pictures += u64::from(unknown > 0);
                    index.add(&benchmark.name, &comparison.id, &comparison, &images);
                }
                Err(_) => about.unreadable_rows += 1,
            }
        }
        searched.push(about);
    }
    Ok((index, searched))
}

/// The pictures of a benchmark's row, and the number of those that could not be read.
fn pictures_of(
    comparison: &Comparison,
    pictures: &Pictures,
) -> Result<(Vec<(ImageId, Look)>, usize), CurateError> {
    let mut found = Vec::new();
    let mut unknown = 0;
    let messages = comparison.prompt.iter().chain(comparison.responses.iter().flatten());
    for picture in prompt::pictures(messages) {
        let look = pictures
            .know(picture)
            .and_then(|known| Ok((known.id, (*pictures.look(&known)?).clone())));
        match look {
            Ok(look) => found.push(look),
            Err(PictureFault::Row(_)) => unknown += 1,
            Err(PictureFault::Stop(error)) => return Err(*error),
        }
    }
    Ok((found, unknown))
}

/// Reads all chunks that are not there yet.
fn read_all(
    reader: &Reader<'_>,
    work: &WorkFolder,
    inputs: &Inputs,
    observer: &dyn Observer,
) -> Result<(), CurateError> {
    let total: usize = inputs.chunks.iter().map(|chunk| chunk.rows.len()).sum();
    observer.begin("reading rows", total as u64);
    inputs.chunks.par_iter().enumerate().try_for_each(|(number, chunk)| {
        if observer.should_stop() {
            return Err(CurateError::Interrupted);
        }
        if !work.has(number) {
            reader.read(work, number, chunk)?;
        }
        observer.advance(chunk.rows.len() as u64);
        Ok(())
    })
}

/// Counts what the decisions kept, and what of the benchmarks was found.
fn count(
    decisions: &Decisions,
    loaded: &Loaded<'_>,
    counts: &mut [SourceCounts],
    searched: &mut [SearchedFor],
) {
    for chosen in &decisions.sequence {
        let fate = &decisions.fates[chosen.record];
        let counts = &mut counts[loaded.features[chosen.record].source as usize];
        counts.kept += 1;
        counts.validation += u64::from(fate.validation);
        counts.flipped += u64::from(fate.columns.flipped);
    }
    for (features, fate) in loaded.features.iter().zip(&decisions.fates) {
        for about in &mut *searched {
            if features.overlaps.iter().any(|overlap| overlap.benchmark == about.benchmark) {
                about.overlaps += 1;
                about.removed += u64::from(fate.left.is_some());
            }
        }
    }
}

/// Licence of each source: the recipe's word, or the publisher's.
fn licenses(recipe: &CurationRecipe) -> Vec<String> {
    let license = |source: &crate::recipe::SourceRecipe| {
        let published =
            || Source::named(&source.format).map_or("not stated", |known| known.license);
        source.license.clone().unwrap_or_else(|| published().to_owned())
    };
    recipe.source.iter().map(license).collect()
}
