//! The public preference sets as they are published: one file each, from the schema on disk to comparisons.
//!
//! A [`Source`] is a description: what the set is, whose it is, which rows make one comparison and how they are read. It is named in a
//! recipe, because many sets share the same keys and mean different things by them; [`Source::candidates`] only proposes. What is done with
//! the comparisons, filters, and pairs are decided elsewhere.

mod caption_contest;
mod helpsteer2;
mod helpsteer3;
mod hh_rlhf;
mod ixc_reward;
mod llava_critic_pairwise;
mod mm_rlhf;
mod mmif;
mod mmpr;
mod olmo_2;
mod omnialign_v_dpo;
mod pictured;
mod pku_saferlhf;
mod povid;
mod preferences;
mod r1_reward;
mod rlaif_v;
mod rlhf_v;
mod rows;
mod shp;
mod skywork_reward;
mod swe_arena;
mod tulu_3;
mod ultrafeedback;
mod ultrafeedback_binarized;
mod vlfeedback;
mod wildvision;

use std::path::{Path, PathBuf};

use prompt::Draft;

pub use self::rows::{SourceRows, Unit};
use crate::comparison::Preference;
use crate::error::{DataError, RowFault};
use crate::fields::{required, text};
use crate::files::find;
use crate::formats::{Parsed, apart, whole};
use crate::messages::{is_messages, literal, messages, said};
use crate::value::Value;

/// Every source, in the order in which they are proposed for rows that several could read; the last one reads the common formats.
pub static ALL: [&Source; 26] = [
    &rlaif_v::SOURCE,
    &rlhf_v::SOURCE,
    &r1_reward::SOURCE,
    &mm_rlhf::SOURCE,
    &vlfeedback::SOURCE,
    &llava_critic_pairwise::SOURCE,
    &povid::SOURCE,
    &ixc_reward::SOURCE,
    &mmif::SOURCE,
    &mmpr::SOURCE,
    &omnialign_v_dpo::SOURCE,
    &caption_contest::SOURCE,
    &helpsteer2::SOURCE,
    &helpsteer3::SOURCE,
    &pku_saferlhf::BETTER,
    &pku_saferlhf::SAFER,
    &shp::SOURCE,
    &swe_arena::SOURCE,
    &wildvision::SOURCE,
    &ultrafeedback::SOURCE,
    &ultrafeedback_binarized::SOURCE,
    &olmo_2::SOURCE,
    &tulu_3::SOURCE,
    &skywork_reward::SOURCE,
    &hh_rlhf::SOURCE,
    &preferences::SOURCE,
];

/// A published set of preferences.
#[derive(Debug)]
pub struct Source {
    /// Name in recipes and on the command line.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Where it is published: a dataset of the Hugging Face hub, or a repository.
    pub home: &'static str,
    /// Licence, as its publishers state it.
    pub license: &'static str,
    /// What its schema is, and what is done with its oddities, for people.
    pub about: &'static str,
    /// Key that names a row; without it a row is named by its place.
    pub id_key: Option<&'static str>,
    /// Whether a row has the keys of this set.
    pub recognizes: fn(&Value) -> bool,
    /// The files of a path with the folder that their pictures are in.
    pub files: fn(&Path) -> Result<Vec<SourceFile>, DataError>,
    /// How rows are read.
    pub reading: Reading,
}

/// Which rows make a comparison, and how.
#[derive(Debug, Clone, Copy)]
pub enum Reading {
    /// Each row by itself. Relative paths of pictures start at the folder given.
    Row(fn(&Value, &Path) -> Result<Parsed, RowFault>),
    /// Rows that follow each other and have the same key.
    Adjacent {
        /// What they have in common; a row without it is a fault of its own.
        key: fn(&Value) -> Result<String, RowFault>,
        /// Reads rows that belong together, at least one.
        read: fn(&[Value], &Path) -> Result<Parsed, RowFault>,
    },
    /// Rows that stand far apart, at equal distances: every row belongs to one comparison, and each comparison spans the whole file.
    Spread {
        /// Rows of one comparison; the last comparisons may have one less.
        num_rows: usize,
        /// Reads rows that belong together, at least one.
        read: fn(&[Value], &Path) -> Result<Parsed, RowFault>,
    },
}

/// A file of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The file.
    pub path: PathBuf,
    /// Folder at which relative paths of pictures start.
    pub image_dir: PathBuf,
}

impl Source {
    /// The source of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|source| source.name == name)
    }

    /// The sources that a row may belong to, the most special one first.
    pub fn candidates(row: &Value) -> Vec<&'static Self> {
        ALL.into_iter().filter(|source| (source.recognizes)(row)).collect()
    }
}

/// The data files of a path, each with its own folder for pictures: what most sets need.
pub(crate) fn plain_files(path: &Path) -> Result<Vec<SourceFile>, DataError> {
    let files = find(&[path.to_owned()])?;
    let own_dir = |path: PathBuf| {
        let image_dir = path.parent().map(Path::to_owned).unwrap_or_default();
        SourceFile { path, image_dir }
    };
    Ok(files.into_iter().map(own_dir).collect())
}

/// A comparison of texts without pictures, each under its key. A mark such as `<image>` in them is plain text.
pub(crate) fn texts(
    prompt_key: &'static str,
    prompt: &str,
    responses: Vec<(String, String)>,
    preference: Preference,
) -> Result<Parsed, RowFault> {
    answers(prompt_key, vec![said("user", prompt)], responses, preference)
}

/// A comparison of texts that answer a conversation without pictures.
pub(crate) fn answers(
    prompt_key: &'static str,
    prompt: Vec<Draft>,
    responses: Vec<(String, String)>,
    preference: Preference,
) -> Result<Parsed, RowFault> {
    let spoken = |(key, text)| (key, literal(vec![said("assistant", text)]));
    let responses = responses.into_iter().map(spoken).collect();
    let (prompt, responses) = apart(prompt_key, literal(prompt), responses, Vec::new())?;
    Ok(Parsed { prompt, responses, preference })
}

/// The texts of needed keys, each with its key.
pub(crate) fn texts_of(row: &Value, keys: &[&str]) -> Result<Vec<(String, String)>, RowFault> {
    let read = |key: &&str| Ok(((*key).to_owned(), text(required(row, key)?, key)?.to_owned()));
    keys.iter().map(read).collect()
}

/// Whether `chosen` and `rejected` are lists of messages, and the row has a value for all of the keys.
pub(crate) fn has_conversations(row: &Value, keys: &[&str]) -> bool {
    ["chosen", "rejected"].iter().all(|key| row.get(key).is_some_and(is_messages)) && row.has(keys)
}

/// A pair of whole conversations without pictures, `chosen` and `rejected`.
pub(crate) fn chosen_and_rejected(
    row: &Value,
    image_dir: &Path,
    preference: Preference,
) -> Result<Parsed, RowFault> {
    let read = |key| Ok::<_, RowFault>(literal(messages(required(row, key)?, key, image_dir)?));
    let conversations = [read("chosen")?, read("rejected")?];
    let (prompt, responses) = whole(["chosen", "rejected"], conversations, Vec::new())?;
    Ok(Parsed { prompt, responses, preference })
}

impl Preference {
    /// The first of two responses is the better one.
    pub(crate) fn first_of_two() -> Self {
        Self::by_ranks(vec![0, 1])
    }

    /// The second of two responses is the better one.
    pub(crate) fn second_of_two() -> Self {
        Self::by_ranks(vec![1, 0])
    }

    /// Two responses of one rank.
    pub(crate) fn tie_of_two() -> Self {
        Self::by_ranks(vec![0, 0])
    }

    /// Ranks alone.
    pub(crate) fn by_ranks(ranks: Vec<u32>) -> Self {
        Self { ranks, scores: None, margin: None, soft_label: None }
    }

    /// The higher the score, the better.
    pub(crate) fn by_scores(scores: &[f64]) -> Self {
        let descending: Vec<f64> = scores.iter().map(|score| -score).collect();
        let scores = scores.iter().map(|score| *score as f32).collect();
        Self {
            scores: Some(scores),
            ..Self::by_ranks(crate::formats::ranks_from_best(&descending))
        }
    }
}
