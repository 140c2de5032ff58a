//! Why curation cannot go on. What is wrong with one row is no error here: the row is dropped and counted.

use std::io;
use std::path::{Path, PathBuf};

/// Why a set cannot be curated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CurateError {
    /// Files of a source cannot be opened.
    #[error("source `{source_name}`: {error}")]
    Source {
        /// Name of the source in the recipe.
        source_name: String,
        /// What is wrong.
        error: data::DataError,
    },
    /// A filter of the recipe.
    #[error(transparent)]
    Filter(#[from] crate::filter::FilterError),
    /// Opinions about labels that cannot be used.
    #[error(transparent)]
    Labels(#[from] crate::labels::OpinionError),
    /// Shards that cannot be written.
    #[error(transparent)]
    Shards(#[from] crate::shard::ShardError),
    /// A manifest that cannot be written.
    #[error(transparent)]
    Manifest(#[from] crate::manifest::ManifestError),
    /// A file that cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file of the work folder that this program did not write like this.
    #[error(
        "`{}` of the work folder is damaged; delete the folder `{}` and begin again", path.display(), crate::work::WORK_DIR
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The output folder holds something else.
    #[error("`{}` holds a finished set; choose another folder, or replace it with --overwrite", folder.display())]
    Finished {
        /// The folder.
        folder: PathBuf,
    },
    /// The output folder holds files that are not ours.
    #[error("`{}` is not empty and holds no curated set; choose another folder", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// The output folder was begun by another recipe or from other files.
    #[error("`{}` was begun with {difference}; go on with that, or begin again with --overwrite", folder.display())]
    Changed {
        /// The folder.
        folder: PathBuf,
        /// What is different.
        difference: String,
    },
    /// Nothing is left.
    #[error("no record is left of {rows} rows; see the reasons in `{}`", dropped.display())]
    NothingLeft {
        /// Rows that were read.
        rows: u64,
        /// The file that lists them.
        dropped: PathBuf,
    },
    /// The caller wanted to stop.
    #[error("stopped; the same command goes on from here")]
    Interrupted,
}

impl CurateError {
    /// An error of reading `path`.
    pub(crate) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// An error of writing `path`.
    pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}
