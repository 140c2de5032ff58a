//! A curated folder to the files that other trainers read.
//!
//! Those know pairs only, so a comparison of more answers becomes a pair for every two of different rank. A pair that a format cannot say is
//! counted with the reason, and so is what is lost of a pair that is written. Nothing is filtered or ordered here.

mod llama_factory;
mod marks;
mod ms_swift;
#[cfg(test)]
mod tests;
mod trl;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use data::{Comparison, DataError, Dataset, DatasetOptions, RowError};
use prompt::{ImageSource, Message, Part};
use serde_json::Value;

use crate::manifest::{Manifest, ManifestError};
use crate::recipe::ImageOutput;
use crate::shard::{PictureError, PictureStore, Split};
use crate::unfinished::{self, UnfinishedFile};

/// Program whose files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// TRL: JSON Lines with `images`, `prompt`, `chosen` and `rejected` as messages.
    Trl,
    /// LLaMA-Factory: JSON in sharegpt form, and `dataset_info.json`.
    LlamaFactory,
    /// ms-swift: JSON Lines with `messages`, `rejected_response` and `images`.
    MsSwift,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 3] = [Self::Trl, Self::LlamaFactory, Self::MsSwift];

    /// The target of a name on the command line.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.to_string() == name)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Trl => "trl",
            Self::LlamaFactory => "llama-factory",
            Self::MsSwift => "ms-swift",
        })
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Names of the files in the folder, pictures aside.
    pub files: Vec<String>,
    /// Comparisons that were read.
    pub comparisons: u64,
    /// Pairs that were written.
    pub pairs: u64,
    /// Pairs that the format cannot say, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
    /// Written pairs that lost something, by what it is.
    pub lost: BTreeMap<&'static str, u64>,
}

/// Set that cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The folder is not a curated one.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Its shards cannot be opened.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A row of a shard cannot be read.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A picture cannot be copied.
    #[error("the row `{id}`: {source}")]
    Picture {
        /// The row.
        id: String,
        /// What is wrong.
        source: PictureError,
    },
    /// A file cannot be written.
    #[error("`{}` cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Writes the curated set in `folder` for another program into `out`, pictures among them.
///
/// # Errors
/// When `folder` is no curated set, a row or a picture of it cannot be read, or `out` cannot be written.
pub fn export(folder: &Path, target: Target, out: &Path) -> Result<Exported, ExportError> {
    let manifest = Manifest::read(folder)?;
    let unwritable = |source| ExportError::Write { path: out.to_owned(), source };
    fs::create_dir_all(out).map_err(unwritable)?;
    let sets = [Split::Train, Split::Validation].into_iter().filter_map(|split| {
        let shards = manifest.shards_of(folder, split);
        let open = || Dataset::open(&shards, &DatasetOptions::default());
        (!shards.is_empty()).then(|| Ok((split, open()?)))
    });
    let sets: Vec<(Split, Dataset)> = sets.collect::<Result<_, DataError>>()?;
    let survey = Survey::of(&sets)?;
    let mut exported = Exported::default();
    let mut pictures = PictureStore::new(out, ImageOutput::Files, None);
    for (split, set) in &sets {
        let name = format!("{}.{}", split.name(), ending(target));
        let mut rows = RowsFile::create(&out.join(&name), target)?;
        for comparison in set.rows() {
            write_pairs(&comparison?, target, survey, &mut pictures, &mut rows, &mut exported)?;
        }
        rows.finish()?;
        exported.files.push(name);
    }
    if target == Target::LlamaFactory {
        let splits: Vec<Split> = sets.iter().map(|(split, _)| *split).collect();
        let path = out.join(llama_factory::DESCRIPTION);
        let text = format!("{:#}\n", llama_factory::description(&splits, survey.has_pictures));
        unfinished::write(&path, text.as_bytes())
            .map_err(|source| ExportError::Write { path, source })?;
        exported.files.push(llama_factory::DESCRIPTION.to_owned());
    }
    Ok(exported)
}

/// What is true of all pairs: columns that are not in every row of a file disturb the programs that read it.
#[derive(Debug, Clone, Copy)]
struct Survey {
    has_pictures: bool,
    has_margins: bool,
}

impl Survey {
    fn of(sets: &[(Split, Dataset)]) -> Result<Self, RowError> {
        let mut survey = Self { has_pictures: false, has_margins: true };
        for comparison in sets.iter().flat_map(|(_, set)| set.rows()) {
            let comparison = comparison?;
            let messages = comparison.prompt.iter().chain(comparison.responses.iter().flatten());
            survey.has_pictures |= messages.flat_map(|message| &message.content).any(is_picture);
            survey.has_margins &= comparison.preference.margin.is_some();
        }
        Ok(survey)
    }
}

/// A better and a worse answer to one prompt.
struct Pair<'a> {
    id: String,
    source: &'a str,
    prompt: &'a [Message],
    chosen: &'a [Message],
    rejected: &'a [Message],
    /// How much better the chosen answer is.
    margin: Option<f32>,
    /// Names of the prompt's pictures, in order.
    images: Vec<String>,
}

/// Why a format cannot say a pair, in words that are the same for all such pairs.
type Unsaid = &'static str;

fn write_pairs(
    comparison: &Comparison,
    target: Target,
    survey: Survey,
    pictures: &mut PictureStore,
    rows: &mut RowsFile,
    exported: &mut Exported,
) -> Result<(), ExportError> {
    exported.comparisons += 1;
    let preference = &comparison.preference;
    for (better, worse) in comparison.pairs() {
        let (chosen, rejected) = (&comparison.responses[better], &comparison.responses[worse]);
        let mut pair = Pair {
            id: pair_id(comparison, better, worse),
            source: &comparison.source,
            prompt: &comparison.prompt,
            chosen,
            rejected,
            margin: preference.margin.map(|margin| if better == 0 { margin } else { -margin }),
            images: Vec::new(),
        };
        if let Some(reason) = unsaid(&pair) {
            *exported.left_out.entry(reason).or_default() += 1;
            continue;
        }
        pair.images = copied(&pair, pictures)?;
        let row = match target {
            Target::Trl => trl::row(&pair, survey),
            Target::LlamaFactory => llama_factory::row(&pair, survey),
            Target::MsSwift => ms_swift::row(&pair, survey),
        };
        match row {
            Ok(row) => {
                rows.push(&row)?;
                exported.pairs += 1;
                let says_margins = survey.has_margins && target != Target::LlamaFactory;
                let lost = [
                    ("margin", pair.margin.is_some() && !says_margins),
                    ("soft label", preference.soft_label.is_some()),
                    ("scores", preference.scores.is_some()),
                ];
                for (what, _) in lost.into_iter().filter(|(_, is_lost)| *is_lost) {
                    *exported.lost.entry(what).or_default() += 1;
                }
            }
            Err(reason) => *exported.left_out.entry(reason).or_default() += 1,
        }
    }
    Ok(())
}

/// The comparison's own id, with the places of the answers when it has more than two.
fn pair_id(comparison: &Comparison, better: usize, worse: usize) -> String {
    let id = &comparison.id;
    if comparison.responses.len() == 2 { id.clone() } else { format!("{id}/{better}-{worse}") }
}

/// Why none of the formats can say a pair.
fn unsaid(pair: &Pair<'_>) -> Option<Unsaid> {
    let parts = |messages: &[Message], is_found: fn(&Part) -> bool| {
        messages.iter().flat_map(|message| &message.content).any(is_found)
    };
    let is_video = |part: &Part| matches!(part, Part::Video(_));
    let in_answers = |is_found| parts(pair.chosen, is_found) || parts(pair.rejected, is_found);
    if pair.prompt.is_empty() {
        Some("the answers have no prompt in common")
    } else if parts(pair.prompt, is_video) || in_answers(is_video) {
        Some("a video")
    } else if in_answers(is_picture) {
        Some("a picture stands in an answer")
    } else {
        None
    }
}

fn is_picture(part: &Part) -> bool {
    !matches!(part, Part::Text(_))
}

fn copied(pair: &Pair<'_>, pictures: &mut PictureStore) -> Result<Vec<String>, ExportError> {
    let parts = pair.prompt.iter().flat_map(|message| &message.content);
    let images = parts.filter_map(|part| match part {
        Part::Image(image) => Some(image.as_ref()),
        Part::Text(_) | Part::Video(_) => None,
    });
    let copy = |image: &ImageSource| {
        pictures.add(image).map_err(|source| ExportError::Picture { id: pair.id.clone(), source })
    };
    images.map(copy).collect()
}

fn ending(target: Target) -> &'static str {
    match target {
        Target::Trl | Target::MsSwift => "jsonl",
        Target::LlamaFactory => "json",
    }
}

/// A file of rows: one a line, or a JSON list of them.
struct RowsFile {
    path: PathBuf,
    file: UnfinishedFile,
    is_list: bool,
    num_rows: u64,
}

impl RowsFile {
    fn create(path: &Path, target: Target) -> Result<Self, ExportError> {
        let unwritable = |source| ExportError::Write { path: path.to_owned(), source };
        let file = UnfinishedFile::create(path).map_err(unwritable)?;
        let is_list = target == Target::LlamaFactory;
        Ok(Self { path: path.to_owned(), file, is_list, num_rows: 0 })
    }

    fn push(&mut self, row: &Value) -> Result<(), ExportError> {
        let before = match (self.is_list, self.num_rows) {
            (true, 0) => "[\n",
            (true, _) => ",\n",
            (false, _) => "",
        };
        let after = if self.is_list { "" } else { "\n" };
        self.num_rows += 1;
        self.write(&format!("{before}{row}{after}"))
    }

    fn finish(mut self) -> Result<(), ExportError> {
        match (self.is_list, self.num_rows) {
            (true, 0) => self.write("[]\n")?,
            (true, _) => self.write("\n]\n")?,
            (false, _) => {}
        }
        let Self { path, file, .. } = self;
        file.finish().map_err(|source| ExportError::Write { path, source })?;
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), ExportError> {
        let path = || self.path.clone();
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|source| ExportError::Write { path: path(), source })
    }
}
