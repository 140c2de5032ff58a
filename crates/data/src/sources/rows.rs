//! The rows of one file of a source, as comparisons, from any row on.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{Reading, Source, SourceFile};
use crate::comparison::Comparison;
use crate::dataset::{name, undecided};
use crate::error::{DataError, RowError, RowFault, RowPlace};
use crate::files::RowFile;
use crate::formats::Parsed;
use crate::value::Value;

/// An opened file of a [`Source`].
#[derive(Debug)]
pub struct SourceRows {
    source: &'static Source,
    path: PathBuf,
    image_dir: PathBuf,
    rows: RowFile,
}

/// What came of one row, or of rows that belong together.
#[derive(Debug)]
pub struct Unit {
    /// Its rows, at least one.
    pub rows: Vec<usize>,
    /// The first row as it stands; null when it could not be read.
    pub value: Value,
    /// The comparison, or what is wrong with a row.
    pub comparison: Result<Comparison, RowError>,
}

impl SourceRows {
    /// Finds the rows of a file.
    ///
    /// # Errors
    /// A file that cannot be read, or has no rows.
    pub fn open(source: &'static Source, file: &SourceFile) -> Result<Self, DataError> {
        let rows = RowFile::open(&file.path)?;
        let (path, image_dir) = (file.path.clone(), file.image_dir.clone());
        Ok(Self { source, path, image_dir, rows })
    }

    /// Number of rows.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a file without rows is refused when it is opened"
    )]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether rows can be read from any place on: each is a comparison by itself.
    pub fn is_divisible(&self) -> bool {
        matches!(self.source.reading, Reading::Row(_))
    }

    /// Where a row stands, for people.
    pub fn place(&self, row: usize) -> RowPlace {
        self.rows.place(row)
    }

    /// Reads the units of the rows in `range`; when rows belong together, `range` must be all rows.
    pub fn units(&self, range: Range<usize>) -> Box<dyn Iterator<Item = Unit> + '_> {
        let start = range.start;
        let rows =
            self.rows.scan_from(range).enumerate().map(move |(at, value)| (start + at, value));
        match self.source.reading {
            Reading::Row(read) => Box::new(rows.map(move |(row, value)| {
                let parsed = |value: &Value| read(value, &self.image_dir);
                match value {
                    Ok(value) => self.unit(vec![row], parsed(&value), value),
                    Err(fault) => self.unit(vec![row], Err(fault), Value::Null),
                }
            })),
            Reading::Adjacent { key, read } => {
                Box::new(Adjacent { rows, key, waiting: None }.map(move |group| {
                    let rows = (group.row..group.row + group.num_rows).collect();
                    let parsed =
                        group.fault.map_or_else(|| read(&group.values, &self.image_dir), Err);
                    let first = group.values.into_iter().next().unwrap_or(Value::Null);
                    self.unit(rows, parsed, first)
                }))
            }
            Reading::Spread { num_rows, read } => {
                let distance = self.len().div_ceil(num_rows);
                Box::new((0..distance).flat_map(move |first| self.spread(first, distance, read)))
            }
        }
    }

    /// The comparison of rows at equal distances. A row that cannot be read is a unit of its own and is left out of it.
    fn spread(
        &self,
        first: usize,
        distance: usize,
        read: fn(&[Value], &Path) -> Result<Parsed, RowFault>,
    ) -> Vec<Unit> {
        let mut units = Vec::new();
        let mut values = Vec::new();
        for row in (first..self.len()).step_by(distance) {
            match self.rows.read(row) {
                Ok(value) => values.push((row, value)),
                Err(fault) => units.push(self.unit(vec![row], Err(fault), Value::Null)),
            }
        }
        let (rows, values): (Vec<usize>, Vec<Value>) = values.into_iter().unzip();
        if !rows.is_empty() {
            let parsed = read(&values, &self.image_dir);
            let value = values.into_iter().next().unwrap_or(Value::Null);
            units.push(self.unit(rows, parsed, value));
        }
        units
    }

    fn unit(&self, rows: Vec<usize>, parsed: Result<Parsed, RowFault>, value: Value) -> Unit {
        let own_id = self.source.id_key.and_then(|key| name(&value, key));
        let place = self.rows.place(rows[0]);
        let error = |id, fault| RowError { file: self.path.clone(), place, id, fault };
        let comparison = match parsed {
            Ok(parsed) => {
                let comparison = Comparison {
                    id: own_id.unwrap_or_else(|| self.name_of(place)),
                    source: self.source.name.to_owned(),
                    prompt: parsed.prompt,
                    responses: parsed.responses,
                    preference: parsed.preference,
                };
                match undecided(&comparison) {
                    Some(fault) => Err(error(Some(comparison.id), fault)),
                    None => Ok(comparison),
                }
            }
            Err(fault) => Err(error(own_id, fault)),
        };
        Unit { rows, value, comparison }
    }

    fn name_of(&self, place: RowPlace) -> String {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let (RowPlace::Line(number) | RowPlace::Row(number)) = place;
        format!("{stem}:{number}")
    }
}

/// Rows that follow each other, by their key. A row without a key is alone.
struct Adjacent<I> {
    rows: I,
    key: fn(&Value) -> Result<String, RowFault>,
    waiting: Option<(usize, Keyed)>,
}

/// A row with its key, or what is wrong with it.
type Keyed = Result<(String, Value), RowFault>;

struct Group {
    row: usize,
    num_rows: usize,
    values: Vec<Value>,
    fault: Option<RowFault>,
}

impl<I: Iterator<Item = (usize, Result<Value, RowFault>)>> Adjacent<I> {
    fn next_row(&mut self) -> Option<(usize, Keyed)> {
        self.waiting.take().or_else(|| {
            let (row, value) = self.rows.next()?;
            Some((row, value.and_then(|value| Ok(((self.key)(&value)?, value)))))
        })
    }
}

impl<I: Iterator<Item = (usize, Result<Value, RowFault>)>> Iterator for Adjacent<I> {
    type Item = Group;

    fn next(&mut self) -> Option<Group> {
        let (row, first) = self.next_row()?;
        let (key, value) = match first {
            Ok(keyed) => keyed,
            Err(fault) => {
                return Some(Group { row, num_rows: 1, values: Vec::new(), fault: Some(fault) });
            }
        };
        let mut values = vec![value];
        while let Some((row, next)) = self.next_row() {
            match next {
                Ok((other, value)) if other == key => values.push(value),
                next => {
                    self.waiting = Some((row, next));
                    break;
                }
            }
        }
        Some(Group { row, num_rows: values.len(), values, fault: None })
    }
}
