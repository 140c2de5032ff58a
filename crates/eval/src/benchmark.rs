//! What every benchmark has: a name, the schema of its files, and its metric.

use std::path::{Path, PathBuf};

use data::RowFault;
use data::raw::Value;

use crate::figure::Figure;
use crate::item::{Item, Scored};

/// A public benchmark of reward models.
pub trait Benchmark: Sync {
    /// Name on the command line, such as `vl-rewardbench`.
    fn name(&self) -> &'static str;

    /// Name for people.
    fn title(&self) -> &'static str;

    /// Paper, and the repository and commit or data set whose metric this is.
    fn source(&self) -> &'static str;

    /// Numbers of rows of the published revisions, the usual one first; empty for data of any size.
    fn published_sizes(&self) -> &'static [usize];

    /// Categories that the official figures know; empty where any may come.
    fn known_categories(&self) -> &'static [&'static str];

    /// Reads one row.
    ///
    /// # Errors
    /// A row that lacks something. A picture that does not exist is found later, when it is opened.
    fn read(&self, row: &SourceRow<'_>) -> Result<Item, RowFault>;

    /// The official figures, the headline first. Every item is counted somewhere; which section and name there are may depend on
    /// the items, their order may not. A rule over groups goes by [`Labels::group`](crate::item::Labels::group): rows of an interval's
    /// draw come several times, in groups of other names.
    fn measure(&self, items: &[&Scored]) -> Vec<Figure>;

    /// What a reader of the figures has to know, such as which rows of other papers they can stand beside.
    fn caveats(&self) -> &'static [&'static str] {
        &[]
    }
}

/// A row of a published file.
#[derive(Debug, Clone, Copy)]
pub struct SourceRow<'a> {
    /// The row.
    pub value: &'a Value,
    /// The file; some benchmarks say the category in its name or folder.
    pub file: &'a Path,
    /// Folder that relative paths of pictures start at.
    pub image_dir: &'a Path,
    /// Number of the row in its file, from 1.
    pub number: usize,
}

impl SourceRow<'_> {
    /// Name of a row without one of its own: its file and number.
    pub fn fallback_id(&self) -> String {
        format!("{}:{}", self.file.file_stem().unwrap_or_default().to_string_lossy(), self.number)
    }

    /// A path of the row, from the folder of pictures.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.image_dir.join(relative)
    }
}
