//! What can stop a run.

use std::io;
use std::path::{Path, PathBuf};

use crate::prepare::PrepareError;

/// Why a run cannot begin or go on. Checkpoints that are there stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The data cannot be opened.
    #[error(transparent)]
    Data(#[from] data::DataError),
    /// A row is at fault, and the recipe does not say that it may be left out.
    #[error("{0}; correct it, or let the run leave it out with `{key}`", key = .0.remedy())]
    Row(PrepareError),
    /// A whole pass over the data gave nothing to train on.
    #[error(
        "none of the {rows} rows can be used; `{}` says why for each", skipped.display()
    )]
    NothingUsable {
        /// Rows that were tried.
        rows: usize,
        /// The list.
        skipped: PathBuf,
    },
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(#[from] model::LoadError),
    /// The tokenizer, template or image processor cannot be loaded.
    #[error(transparent)]
    Processor(#[from] prompt::LoadError),
    /// The model cannot take a conversation.
    #[error("{source} (one of the comparisons {ids})")]
    Score {
        /// Ids of the comparisons computed together, each in backticks.
        ids: String,
        /// What the model says.
        source: model::ScoreError,
    },
    /// Numbers have left the range of the type.
    #[error(
        "the {what} of step {step} is not finite; it comes from one of the comparisons {ids}; lower the learning rate, look at these rows, \
         or use `run.compute_type = \"f32\"`"
    )]
    NotFinite {
        /// Loss or gradient.
        what: &'static str,
        /// Number of the step, counted from 1.
        step: u64,
        /// Ids of the comparisons computed together, each in backticks.
        ids: String,
    },
    /// Something is already where the run would be written.
    #[error(
        "`{}` is not an empty folder; give another `run.output`, or resume the run that is there", folder.display()
    )]
    OutputOccupied {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no run to resume.
    #[error("`{}` holds no run that can be resumed: {reason}", folder.display())]
    NothingToResume {
        /// The folder.
        folder: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A checkpoint is not what was written.
    #[error("`{}` is damaged: {reason}; remove that checkpoint to resume from an older one", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The recipe is not that of the run.
    #[error("the recipe differs from that of the run in {keys}; put them back, or begin a new run")]
    RecipeChanged {
        /// Dotted keys, each in backticks.
        keys: String,
    },
    /// The saved recipe of a run cannot be read.
    #[error(transparent)]
    SavedRecipe(#[from] crate::recipe::RecipeError),
    /// The data are not those of the run.
    #[error(
        "the data files now have {found_rows} rows in {found_bytes} bytes, but had {saved_rows} in {saved_bytes} when the run was saved; put \
         the files back, or begin a new run"
    )]
    DataChanged {
        /// Rows when the checkpoint was written.
        saved_rows: usize,
        /// Bytes of the files then.
        saved_bytes: u64,
        /// Rows now.
        found_rows: usize,
        /// Bytes now.
        found_bytes: u64,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`: {source}; the last checkpoint is whole", file.display())]
    Write {
        /// The file or folder.
        file: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The model cannot be written.
    #[error("{0}; the last checkpoint is whole")]
    WriteModel(#[from] model::WriteError),
}

impl TrainError {
    pub(crate) fn write(file: &Path, source: io::Error) -> Self {
        Self::Write { file: file.to_owned(), source }
    }

    pub(crate) fn read(file: &Path, source: io::Error) -> Self {
        Self::Read { file: file.to_owned(), source }
    }

    /// Names in backticks, separated by commas.
    pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
        let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
        quoted.join(", ")
    }
}
