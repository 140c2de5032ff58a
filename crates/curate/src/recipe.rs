//! A recipe of curation: which sets are read and what is done with them, as plain data with its defaults.
//!
//! Nothing is opened here. Relative paths start at the working directory.

mod check;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything that decides a curated set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurationRecipe {
    /// Decides every random choice. Default: 0.
    #[serde(default)]
    pub seed: u64,
    /// Folder of a model, or `tokenizer.json`, whose tokens the function `tokens` counts. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// The sets, the one that is kept among duplicates first.
    pub source: Vec<SourceRecipe>,
    /// Filters that records of all sources must pass. Default: none.
    #[serde(default)]
    pub filter: Vec<FilterRecipe>,
    /// What becomes of duplicates. Default: exact ones are dropped.
    #[serde(default)]
    pub duplicates: DuplicatesRecipe,
    /// Benchmarks whose rows must not be trained on. Default: none.
    #[serde(default)]
    pub benchmark: Vec<BenchmarkRecipe>,
    /// What counts as an overlap with a benchmark.
    #[serde(default)]
    pub decontamination: DecontaminationRecipe,
    /// What rewards of models, or people, say about the labels. Default: labels stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelsRecipe>,
    /// Shares of the sources.
    #[serde(default)]
    pub mix: MixRecipe,
    /// What is held back.
    #[serde(default)]
    pub split: SplitRecipe,
    /// How the result is written.
    #[serde(default)]
    pub output: OutputRecipe,
}

/// A set to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRecipe {
    /// What its rows are called in the result. Default: the format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Published set whose schema the files have, as `basereward data sources` lists them. Default: `preferences`, any common format.
    #[serde(default = "preferences")]
    pub format: String,
    /// Files or folders.
    pub path: Vec<PathBuf>,
    /// Folder at which relative paths of pictures start. Default: the format's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_dir: Option<PathBuf>,
    /// Licence, when it is another than the published one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// What is made of comparisons of more than two answers. Default: `keep`.
    #[serde(default)]
    pub expand: Expansion,
    /// Most pairs made of one comparison, the ones with the largest gap first. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pairs: Option<usize>,
    /// Most records over one picture. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_image: Option<usize>,
    /// Most records over one prompt and its pictures. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_prompt: Option<usize>,
    /// Filters for this source alone. Default: none.
    #[serde(default)]
    pub filter: Vec<FilterRecipe>,
    /// Weight in the mixture. Default: 1.
    #[serde(default = "one")]
    pub weight: f64,
    /// Most records of this source in the result, drawn at random. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<usize>,
}

/// What is made of a comparison of more than two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expansion {
    /// One record with all answers; training compares all of them and computes their prompt once.
    #[default]
    Keep,
    /// A pair for every two answers of different rank.
    AllPairs,
    /// The best against the worst answer.
    LargestGap,
    /// `max_pairs` pairs, drawn at random.
    RandomPairs,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterRecipe {
    /// What it is called in the counts. Default: the expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Expression that is true for records that stay.
    pub keep: String,
}

/// What becomes of duplicates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DuplicatesRecipe {
    /// Whether records with the same prompt, pictures and answers, after normalization, are dropped. Default: true.
    pub exact: bool,
    /// What becomes of equal records that prefer different answers. Default: `drop`.
    pub contradictions: Contradictions,
    /// Share of word shingles that two records have in common to be near duplicates. Default: none, near duplicates stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near: Option<f64>,
    /// Which of a set of duplicates is kept. Default: `first`.
    pub keep: Keep,
}

impl Default for DuplicatesRecipe {
    fn default() -> Self {
        Self {
            exact: true,
            contradictions: Contradictions::default(),
            near: None,
            keep: Keep::default(),
        }
    }
}

/// What becomes of equal records that prefer different answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contradictions {
    /// All of them are dropped.
    #[default]
    Drop,
    /// They are duplicates like others.
    KeepOne,
    /// They stay.
    KeepAll,
}

/// Which of a set of duplicates is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The first: by the order of the sources in the recipe, their files, and the rows.
    #[default]
    First,
    /// The one with the largest margin, then the first.
    LargestMargin,
}

/// A benchmark whose rows must not be trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchmarkRecipe {
    /// Name, as `basereward eval list` gives it.
    pub name: String,
    /// Its files or folders.
    pub path: Vec<PathBuf>,
    /// Folder at which relative paths of pictures start. Default: the folder of each file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_dir: Option<PathBuf>,
}

/// What counts as an overlap with a benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecontaminationRecipe {
    /// Kinds of overlap for which a record is dropped; others are only reported. Default: all.
    pub drop: Vec<OverlapKind>,
    /// Words of an n-gram of a question. Default: 8.
    pub ngram_words: usize,
    /// Share of a benchmark question's words that lie in n-grams of a record's question to be the same question. Default: 0.8.
    pub min_coverage: f64,
}

impl Default for DecontaminationRecipe {
    fn default() -> Self {
        Self { drop: OverlapKind::ALL.to_vec(), ngram_words: 8, min_coverage: 0.8 }
    }
}

/// What a record and a row of a benchmark have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlapKind {
    /// The id, when it is one that a collection gives, and not a number.
    Id,
    /// A picture: its bytes, or how it looks.
    Image,
    /// The question.
    Question,
    /// Both answers, in any order.
    Answers,
}

impl OverlapKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Id, Self::Image, Self::Question, Self::Answers];
}

impl fmt::Display for OverlapKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Id => "id",
            Self::Image => "picture",
            Self::Question => "question",
            Self::Answers => "answers",
        })
    }
}

/// What rewards of models, or people, say about the labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelsRecipe {
    /// Files that `basereward data judge` wrote, one or more for each model. Default: none.
    #[serde(default)]
    pub rewards: Vec<PathBuf>,
    /// Files that people filled in, from `basereward data select`. What they say counts more than any model. Default: none.
    #[serde(default)]
    pub verdicts: Vec<PathBuf>,
    /// Least share of models that must be against a label for it to be doubtful. Default: 1, all of them.
    #[serde(default = "one")]
    pub min_agreement: f64,
    /// Mean margin against the label, from which on it is doubtful. Default: 0.
    #[serde(default)]
    pub min_margin: f64,
    /// What becomes of doubtful labels. Default: `keep`.
    #[serde(default)]
    pub doubtful: Doubtful,
    /// Share of the doubtful labels, those most against the models first, that this applies to. Default: 1.
    #[serde(default = "one")]
    pub share: f64,
    /// Whether records without a reward or a verdict are dropped. Default: false.
    #[serde(default)]
    pub drop_unjudged: bool,
    /// Unit of margins. Default: `raw`.
    #[serde(default)]
    pub scale: MarginScale,
    /// Least share of a record's verdicts that must be for the same answer; others drop the record. Above 0.5. Default: 1, all of them.
    #[serde(default = "one")]
    pub verdict_agreement: f64,
}

impl Default for LabelsRecipe {
    fn default() -> Self {
        Self {
            rewards: Vec::new(),
            verdicts: Vec::new(),
            min_agreement: 1.0,
            min_margin: 0.0,
            doubtful: Doubtful::default(),
            share: 1.0,
            drop_unjudged: false,
            scale: MarginScale::default(),
            verdict_agreement: 1.0,
        }
    }
}

/// Unit of margins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarginScale {
    /// That of each model's rewards.
    #[default]
    Raw,
    /// The root of the mean square of each model's margins, so that models with rewards of different width count alike.
    Deviation,
}

/// What becomes of doubtful labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubtful {
    /// They stay; how doubtful they are is in the columns.
    #[default]
    Keep,
    /// The other answer becomes the better one.
    Flip,
    /// The records are dropped.
    Drop,
}

/// Shares of the sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MixRecipe {
    /// Records in the result. Default: as many as the sources give at their shares, without one that falls short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// How the number of a source's records, times its weight, makes its share: its power is one over this. 1 is proportional; the larger, the
    /// more equal the shares. Default: 1.
    pub temperature: f64,
    /// Whether records of small sources are repeated to reach their shares. Default: false, the total is less then.
    pub repeat: bool,
}

impl Default for MixRecipe {
    fn default() -> Self {
        Self { rows: None, temperature: 1.0, repeat: false }
    }
}

/// What is held back, such that no picture and no prompt is on both sides.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitRecipe {
    /// About this share of the groups of records is for validation. Default: 0.
    pub validation_fraction: f64,
}

/// How the result is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputRecipe {
    /// Records in a shard. Default: 65,536.
    pub rows_per_shard: usize,
    /// Where pictures are. Default: `files`.
    pub images: ImageOutput,
    /// What stays together in the order. Default: `records`.
    pub shuffle: Shuffle,
}

impl Default for OutputRecipe {
    fn default() -> Self {
        Self {
            rows_per_shard: 1 << 16,
            images: ImageOutput::default(),
            shuffle: Shuffle::default(),
        }
    }
}

/// Where pictures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageOutput {
    /// In the folder `images`, each distinct picture once, named by the hash of its bytes.
    #[default]
    Files,
    /// In the shards, as `datasets` writes them; once for each row group.
    Embedded,
    /// Where they were; those that were inside rows are written as files.
    References,
}

/// What stays together in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shuffle {
    /// Nothing: records are shuffled one by one.
    #[default]
    Records,
    /// Records over the same prompt and pictures, which are trained on more cheaply side by side.
    Prompts,
    /// Everything: the order of the sources stays.
    None,
}

fn preferences() -> String {
    "preferences".to_owned()
}

fn one() -> f64 {
    1.0
}

impl SourceRecipe {
    /// What its rows are called.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.format)
    }
}

impl FilterRecipe {
    /// What it is called in the counts.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.keep)
    }
}
