//! The rows of a benchmark's files as one list, read one at a time.
//!
//! Nothing is kept of a row that has been read, and no picture is opened here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use data::raw::{RowFile, Value, find};
use data::{DataError, RowError, RowFault};
use prompt::{ImageSource, Message, Part};

use crate::benchmark::{Benchmark, SourceRow};
use crate::item::{Item, Scored};

/// Hex digits of a data hash that are kept.
const HASH_DIGITS: usize = 32;

/// Rows of a benchmark.
pub struct BenchmarkRows {
    benchmark: &'static dyn Benchmark,
    files: Vec<OpenFile>,
    /// First row of each file, and the number of all rows.
    starts: Vec<usize>,
}

struct OpenFile {
    path: PathBuf,
    image_dir: PathBuf,
    rows: RowFile,
}

impl BenchmarkRows {
    /// Opens the files that a path names. Pictures are looked for in `image_dir`, or else beside the file.
    ///
    /// # Errors
    /// A path that does not exist, holds no data files, or a file that cannot be read.
    pub fn open(
        benchmark: &'static dyn Benchmark,
        paths: &[PathBuf],
        image_dir: Option<&Path>,
    ) -> Result<Self, DataError> {
        let mut files = Vec::new();
        let mut starts = vec![0];
        for path in find(paths)? {
            let rows = RowFile::open(&path)?;
            let beside = || path.parent().map(Path::to_owned).unwrap_or_default();
            let image_dir = image_dir.map_or_else(beside, Path::to_owned);
            starts.push(starts[starts.len() - 1] + rows.len());
            files.push(OpenFile { path, image_dir, rows });
        }
        Ok(Self { benchmark, files, starts })
    }

    /// The benchmark that they belong to.
    pub fn benchmark(&self) -> &'static dyn Benchmark {
        self.benchmark
    }

    /// Number of rows, unusable ones included.
    pub fn len(&self) -> usize {
        self.starts[self.files.len()]
    }

    /// Whether there is no row; never true of opened files.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The files, in the order of their rows.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// Reads a row.
    ///
    /// # Errors
    /// A row that is malformed, or lacks something that the benchmark needs.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn read(&self, row: usize) -> Result<Item, RowError> {
        let (file, row) = self.locate(row);
        self.item(file, row, file.rows.read(row))
    }

    /// Reads all rows in order, which is faster than asking for one after the other when the files are tables.
    pub fn scan(&self) -> impl Iterator<Item = Result<Item, RowError>> + '_ {
        self.files.iter().flat_map(move |file| {
            file.rows.scan().enumerate().map(move |(row, value)| self.item(file, row, value))
        })
    }

    fn item(
        &self,
        file: &OpenFile,
        row: usize,
        value: Result<Value, RowFault>,
    ) -> Result<Item, RowError> {
        let error = |fault| {
            let (path, place) = (file.path.clone(), file.rows.place(row));
            RowError { file: path, place, id: None, fault }
        };
        let value = value.map_err(error)?;
        if !matches!(value, Value::Object(_)) {
            return Err(error(RowFault::NotAnObject { found: value.kind() }));
        }
        let source = SourceRow {
            value: &value,
            file: &file.path,
            image_dir: &file.image_dir,
            number: row + 1,
        };
        self.benchmark.read(&source).map_err(error)
    }

    /// The name of a row that cannot be read: its file and place.
    pub fn fallback_id(&self, row: usize) -> String {
        let (file, row) = self.locate(row);
        format!("{}, {}", file.path.display(), file.rows.place(row))
    }

    /// Hash of the files: [`hash_of_files`].
    ///
    /// # Errors
    /// A file that cannot be read any more.
    pub fn hash(&self) -> io::Result<String> {
        hash_of_files(self.files())
    }

    fn locate(&self, row: usize) -> (&OpenFile, usize) {
        assert!(row < self.len(), "row {row} of a benchmark with {} rows", self.len());
        let file = self.starts.partition_point(|start| *start <= row) - 1;
        (&self.files[file], row - self.starts[file])
    }
}

/// The first digits of the BLAKE3 of the files' contents, in order, in hexadecimal: what provenance and manifests know a benchmark's rows
/// by. Pictures in files of their own are not part of it.
///
/// # Errors
/// A file that cannot be read, by name.
pub fn hash_of_files<'a>(files: impl IntoIterator<Item = &'a Path>) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for file in files {
        File::open(file).and_then(|mut content| io::copy(&mut content, &mut hasher)).map_err(
            |error| io::Error::new(error.kind(), format!("`{}`: {error}", file.display())),
        )?;
    }
    Ok(hasher.finalize().to_hex()[..HASH_DIGITS].to_owned())
}

impl Item {
    /// What the metric needs of the row, with the rewards still to come.
    pub fn unscored(&self, row: usize) -> Scored {
        Scored {
            row,
            id: self.comparison.id.clone(),
            labels: self.labels.clone(),
            ranks: self.comparison.preference.ranks.clone(),
            lengths: self.comparison.responses.iter().map(|response| num_chars(response)).collect(),
            ..Scored::default()
        }
    }

    /// All pictures and videos of the prompt, in order.
    pub(crate) fn visuals(&self) -> Vec<Part> {
        let parts = self.comparison.prompt.iter().flat_map(|message| &message.content);
        parts.filter(|part| !matches!(part, Part::Text(_))).cloned().collect()
    }

    /// The same row without the pictures and videos of its prompt; none when there are none.
    pub(crate) fn without_visuals(&self) -> Option<Self> {
        self.with_parts(&|_| None)
    }

    /// The same row with other pictures and videos in the places of its own, again and again when there are fewer; none when it
    /// has no place for them.
    pub(crate) fn with_visuals(&self, others: &[Part]) -> Option<Self> {
        self.with_parts(&|place| Some(others[place % others.len()].clone()))
    }

    fn with_parts(&self, part_at: &dyn Fn(usize) -> Option<Part>) -> Option<Self> {
        let mut changed = self.clone();
        let mut places = 0;
        for message in &mut changed.comparison.prompt {
            let mut content = Vec::with_capacity(message.content.len());
            for part in message.content.drain(..) {
                if matches!(part, Part::Text(_)) {
                    content.push(part);
                } else {
                    content.extend(part_at(places));
                    places += 1;
                }
            }
            // A message of a picture alone is still a turn.
            if content.is_empty() {
                content.push(Part::Text(String::new()));
            }
            message.content = content;
        }
        (places > 0).then_some(changed)
    }
}

/// Whether two lists of pictures have the same content, whatever the pictures are called.
pub(crate) fn show_the_same(one: &[Part], other: &[Part]) -> bool {
    let same_picture = |one: &ImageSource, other: &ImageSource| match (one, other) {
        (ImageSource::Bytes { bytes: one, .. }, ImageSource::Bytes { bytes: other, .. }) => {
            one == other
        }
        _ => one == other,
    };
    let same = |(one, other): (&Part, &Part)| match (one, other) {
        (Part::Image(one), Part::Image(other)) => same_picture(one, other),
        _ => one == other,
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// Characters of the texts of a response.
fn num_chars(response: &[Message]) -> usize {
    let parts = response.iter().flat_map(|message| &message.content);
    parts.map(|part| if let Part::Text(text) = part { text.chars().count() } else { 0 }).sum()
}

/// Ids that several rows have, with their numbers.
pub fn repeated_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for id in ids {
        *counts.entry(id).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(id, n)| (id.to_owned(), n)).collect()
}
