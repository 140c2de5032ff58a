//! What a file or folder of preferences holds, before anything is done with it: which set it may be, its fields, languages, pictures, lengths
//! and faults.
//!
//! Rows are read one after another and only counted; nothing of a row is kept but a few examples. Pictures are not opened: of a file it is
//! asked whether it exists.

mod fields;
mod histogram;
mod pictures;
mod shown;
mod texts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prompt::{Message, Part};
use serde::Serialize;

pub use self::fields::{Field, Fields};
pub use self::histogram::{Bin, Histogram};
pub use self::pictures::Pictures;
use self::texts::{has_html, num_chars};
use crate::comparison::Comparison;
use crate::error::DataError;
use crate::files::RowFile;
use crate::formats::Format;
use crate::language::language;
use crate::sources::{ALL, Source, SourceFile, SourceRows};
use crate::summary::Summary;

/// How rows are read whose keys no published set has.
static COMMON: &Source = ALL[ALL.len() - 1];

/// Rows from the beginning of a file that are shown to every source.
const SAMPLED_ROWS: usize = 100;

/// Rows of a file whose language is told: it takes longer than all the rest, and shares are as good from a part.
const LANGUAGE_ROWS: usize = 20_000;

/// Instead of a language, where there is too little text.
const UNCERTAIN: &str = "not certain";

/// How a path is inspected.
#[derive(Debug, Clone, Default)]
pub struct InspectOptions {
    /// How the rows are read, instead of the most likely way.
    pub source: Option<&'static Source>,
    /// Folder at which relative paths of pictures start, instead of that of the source.
    pub image_dir: Option<PathBuf>,
}

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// Name of the source that the rows were read as.
    pub read_as: &'static str,
    /// Sources that the first rows may belong to, the most likely one first. None when no source knows their keys.
    pub candidates: Vec<Candidate>,
    /// Common formats, in words, with the number of rows that follow each. Only where no set was recognized.
    pub formats: BTreeMap<String, usize>,
    /// Files that were read.
    pub files: usize,
    /// Files that could not be opened, with what is wrong.
    pub unreadable_files: Vec<String>,
    /// Rows, pairs, ties and faults.
    pub counts: Summary,
    /// Keys of the rows. Of rows that make one comparison together, those of the first.
    pub fields: Fields,
    /// Comparisons by the language that the user writes. Of files with more than 20,000 rows, only some, at equal distances.
    pub languages: BTreeMap<&'static str, usize>,
    /// Pictures of the comparisons.
    pub pictures: Pictures,
    /// Characters of prompts.
    pub prompt_chars: Histogram,
    /// Characters of responses with the best rank.
    pub chosen_chars: Histogram,
    /// Characters of all other responses.
    pub rejected_chars: Histogram,
    /// Margins of pairs; differences of scores where rows have only these.
    pub margins: Histogram,
    /// Responses.
    pub responses: usize,
    /// Responses with an HTML tag in them.
    pub responses_with_html: usize,
    /// Pairs whose better response is the longer one.
    pub longer_preferred: usize,
    /// Pairs whose better response is the shorter one.
    pub shorter_preferred: usize,
}

/// A source that rows may belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its name in recipes.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Where it is published.
    pub home: &'static str,
    /// Its license.
    pub license: &'static str,
    /// Sampled rows that have its keys.
    pub recognized_rows: usize,
    /// Sampled rows.
    pub sampled_rows: usize,
}

/// Reads all rows of a path and counts what is in them.
///
/// # Errors
/// A path that does not exist, a folder without data files, and a path of which no file can be opened.
pub fn inspect(path: &Path, options: &InspectOptions) -> Result<Inspection, DataError> {
    let candidates = candidates(path);
    let likely = candidates.first().and_then(|candidate| Source::named(candidate.name));
    let source = options.source.or(likely).unwrap_or(COMMON);
    let mut inspection = Inspection::new(source, candidates);
    let mut first_error = None;
    for file in (source.files)(path)? {
        let image_dir = options.image_dir.clone().unwrap_or(file.image_dir);
        match SourceRows::open(source, &SourceFile { path: file.path, image_dir }) {
            Ok(rows) => inspection.read(&rows),
            Err(error) => {
                inspection.unreadable_files.push(error.to_string());
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if inspection.files == 0 => Err(error),
        _ => Ok(inspection),
    }
}

/// The sources that know the keys of the first rows, each by the files that it would read.
fn candidates(path: &Path) -> Vec<Candidate> {
    let mut samples: BTreeMap<PathBuf, Vec<_>> = BTreeMap::new();
    let mut candidates = Vec::new();
    for source in ALL {
        let files = (source.files)(path).unwrap_or_default();
        let Some(file) = files.into_iter().next() else { continue };
        let sample = samples.entry(file.path.clone()).or_insert_with(|| {
            let rows = RowFile::open(&file.path).ok();
            let read = |rows: RowFile| {
                rows.scan_from(0..rows.len().min(SAMPLED_ROWS)).filter_map(Result::ok).collect()
            };
            rows.map(read).unwrap_or_default()
        });
        let recognized_rows = sample.iter().filter(|row| (source.recognizes)(row)).count();
        if recognized_rows > 0 {
            let Source { name, title, home, license, .. } = source;
            let sampled_rows = sample.len();
            let candidate = Candidate { name, title, home, license, recognized_rows, sampled_rows };
            candidates.push(candidate);
        }
    }
    // Sources that know equally many rows stay in the order of their list.
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.recognized_rows));
    candidates
}

impl Inspection {
    fn new(source: &Source, candidates: Vec<Candidate>) -> Self {
        Self {
            read_as: source.name,
            candidates,
            formats: BTreeMap::new(),
            files: 0,
            unreadable_files: Vec::new(),
            counts: Summary::default(),
            fields: Fields::default(),
            languages: BTreeMap::new(),
            pictures: Pictures::default(),
            prompt_chars: Histogram::default(),
            chosen_chars: Histogram::default(),
            rejected_chars: Histogram::default(),
            margins: Histogram::default(),
            responses: 0,
            responses_with_html: 0,
            longer_preferred: 0,
            shorter_preferred: 0,
        }
    }

    fn read(&mut self, rows: &SourceRows) {
        self.files += 1;
        let distance = rows.len().div_ceil(LANGUAGE_ROWS);
        for (index, unit) in rows.units(0..rows.len()).enumerate() {
            self.fields.add(&unit.value);
            if self.read_as == COMMON.name
                && let Some(format) = Format::recognize(&unit.value)
            {
                *self.formats.entry(format.to_string()).or_default() += 1;
            }
            if let Ok(comparison) = &unit.comparison {
                self.add(comparison);
                if index % distance == 0 {
                    let language =
                        language(&comparison.prompt).map_or(UNCERTAIN, |language| language.name);
                    *self.languages.entry(language).or_default() += 1;
                }
            }
            self.counts.add_rows(unit.rows.len(), unit.comparison);
        }
    }

    fn add(&mut self, comparison: &Comparison) {
        self.pictures.add(comparison);
        self.prompt_chars.add(num_chars(&comparison.prompt) as f64);
        let lengths: Vec<usize> = comparison.responses.iter().map(|said| num_chars(said)).collect();
        for (length, rank) in lengths.iter().zip(&comparison.preference.ranks) {
            let histogram =
                if *rank == 0 { &mut self.chosen_chars } else { &mut self.rejected_chars };
            histogram.add(*length as f64);
        }
        self.responses += comparison.responses.len();
        self.responses_with_html +=
            comparison.responses.iter().filter(|said| texts_of(said).any(has_html)).count();
        for (better, worse) in comparison.pairs() {
            self.longer_preferred += usize::from(lengths[better] > lengths[worse]);
            self.shorter_preferred += usize::from(lengths[better] < lengths[worse]);
            if let Some(margin) = margin(comparison, better, worse) {
                self.margins.add(f64::from(margin));
            }
        }
    }
}

/// How much better one response is than another, where the data say it.
fn margin(comparison: &Comparison, better: usize, worse: usize) -> Option<f32> {
    let preference = &comparison.preference;
    let difference = || preference.scores.as_ref().map(|scores| scores[better] - scores[worse]);
    preference.margin.or_else(difference)
}

/// The texts of messages.
fn texts_of(messages: &[Message]) -> impl Iterator<Item = &str> {
    messages.iter().flat_map(|message| &message.content).filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        _ => None,
    })
}
