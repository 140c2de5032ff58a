//! From the rows of a chunk to records in the work folder: read, expand, filter, look at pictures, fingerprint, compare with benchmarks.
//!
//! A chunk depends on its rows and the recipe only, so chunks can be read in any order and by any thread.

use std::collections::HashMap;

use data::raw::Value;
use data::sources::Unit;
use data::{Comparison, RowError, RowFault};

use crate::decontaminate::BenchmarkIndex;
use crate::error::CurateError;
use crate::expand::expand;
use crate::filter::{Filters, Subject, Verdict};
use crate::fingerprint::Fingerprint;
use crate::inputs::{Chunk, InputFile};
use crate::ledger::{Dropped, Stage};
use crate::look::Look;
use crate::pictures::{Known, PictureFault, Pictures};
use crate::recipe::{CurationRecipe, SourceRecipe};
use crate::record::{ImageId, Origin, Record};
use crate::work::{ChunkWriter, Features, WorkFolder};

/// What all chunks are read with.
pub(crate) struct Reader<'a> {
    pub(crate) recipe: &'a CurationRecipe,
    pub(crate) files: &'a [InputFile],
    /// Filters of each source, the recipe's own included.
    pub(crate) filters: Vec<Filters>,
    pub(crate) pictures: Pictures,
    pub(crate) benchmarks: BenchmarkIndex,
}

impl Reader<'_> {
    /// Reads a chunk into the work folder.
    pub(crate) fn read(
        &self,
        work: &WorkFolder,
        number: usize,
        chunk: &Chunk,
    ) -> Result<(), CurateError> {
        let file = &self.files[chunk.file];
        let mut pass = Pass {
            reader: self,
            recipe: &self.recipe.source[file.source],
            file,
            number: chunk.file,
            writer: work.writer(number)?,
            places: HashMap::new(),
        };
        for unit in file.rows.units(chunk.rows.clone()) {
            pass.unit(unit)?;
        }
        pass.writer.finish()
    }
}

/// The way through one chunk.
struct Pass<'a> {
    reader: &'a Reader<'a>,
    recipe: &'a SourceRecipe,
    file: &'a InputFile,
    /// Index of the file among all files.
    number: usize,
    writer: ChunkWriter,
    /// Places of pictures in the chunk's list.
    places: HashMap<ImageId, u32>,
}

/// Why a record left.
struct Left {
    stage: Stage,
    reason: String,
    detail: Option<String>,
}

impl Left {
    fn at(stage: Stage, fault: &RowFault) -> Self {
        Self { stage, reason: fault.reason(), detail: Some(fault.to_string()) }
    }
}

/// How a record ends in this pass: written, or with the reason why not.
type Ended = Result<Result<(), Left>, CurateError>;

impl Pass<'_> {
    fn unit(&mut self, unit: Unit) -> Result<(), CurateError> {
        self.writer.index.counts.rows += unit.rows.len() as u64;
        let mut comparison = match unit.comparison {
            Ok(comparison) => comparison,
            Err(RowError { id, fault, .. }) => {
                // Rows that belong together are unusable together.
                for row in &unit.rows {
                    self.drop(*row, id.clone(), Left::at(Stage::Read, &fault));
                }
                return Ok(());
            }
        };
        self.recipe.label().clone_into(&mut comparison.source);
        self.writer.index.counts.comparisons += 1;
        let first = unit.rows[0];
        let parts =
            expand(comparison, self.recipe.expand, self.recipe.max_pairs, self.reader.recipe.seed);
        for (part, comparison) in parts.into_iter().enumerate() {
            self.writer.index.counts.records += 1;
            let id = comparison.id.clone();
            if let Err(left) = self.record(first, part, comparison, &unit.value)? {
                self.drop(first, Some(id), left);
            }
        }
        Ok(())
    }

    fn record(
        &mut self,
        row: usize,
        part: usize,
        mut comparison: Comparison,
        value: &Value,
    ) -> Ended {
        let known = match self.know(&mut comparison) {
            Ok(known) => known,
            Err(PictureFault::Row(fault)) => return Ok(Err(Left::at(Stage::Pictures, &fault))),
            Err(PictureFault::Stop(error)) => return Err(*error),
        };
        let sizes: Vec<(u32, u32)> = known.iter().map(|picture| picture.size).collect();
        let subject = Subject { comparison: &comparison, row: value, sizes: &sizes };
        match self.reader.filters[self.file.source].check(&subject) {
            Verdict::Keep => {}
            Verdict::Drop { filter } => {
                return Ok(Err(Left {
                    stage: Stage::Filter,
                    reason: filter.clone(),
                    detail: None,
                }));
            }
            Verdict::Undecided { filter, reason } => {
                return Ok(Err(Left {
                    stage: Stage::Filter,
                    reason: format!("`{filter}` cannot be decided"),
                    detail: Some(reason),
                }));
            }
        }
        let looks = match self.looks(&known) {
            Ok(looks) => looks,
            Err(PictureFault::Row(fault)) => return Ok(Err(Left::at(Stage::Pictures, &fault))),
            Err(PictureFault::Stop(error)) => return Err(*error),
        };
        let origin = Origin {
            source: self.file.source as u32,
            file: self.number as u32,
            row: row as u64,
            part: part as u32,
        };
        let images: Vec<ImageId> = known.iter().map(|picture| picture.id).collect();
        let places = images.iter().zip(&looks).map(|(id, look)| self.place(*id, look)).collect();
        let record = Record { comparison, origin, images };
        let features = Features {
            source: origin.source,
            fingerprint: Fingerprint::of(&record, self.reader.recipe.duplicates.near.is_some()),
            margin: margin(&record.comparison),
            ranks: record.comparison.preference.ranks.as_slice().into(),
            images: places,
            overlaps: self.reader.benchmarks.overlaps(&record, &looks).into(),
        };
        self.writer.push(record, features)?;
        Ok(Ok(()))
    }

    /// The pictures of a comparison, which become files.
    fn know(&mut self, comparison: &mut Comparison) -> Result<Vec<Known>, PictureFault> {
        let Reader { pictures, .. } = self.reader;
        let mut known = pictures.know_all(&mut comparison.prompt)?;
        for response in &mut comparison.responses {
            known.extend(pictures.know_all(response)?);
        }
        let kept = known.iter().filter_map(|one| Some((one.path.clone(), one.kept?)));
        self.writer.index.pictures.extend(kept);
        Ok(known)
    }

    fn looks(&self, known: &[Known]) -> Result<Vec<Look>, PictureFault> {
        known.iter().map(|picture| Ok((*self.reader.pictures.look(picture)?).clone())).collect()
    }

    fn place(&mut self, id: ImageId, look: &Look) -> u32 {
        let images = &mut self.writer.index.images;
        *self.places.entry(id).or_insert_with(|| {
            images.push((id, look.clone()));
            images.len() as u32 - 1
        })
    }

    fn drop(&mut self, row: usize, id: Option<String>, left: Left) {
        let index = &mut self.writer.index;
        index.counts.drop(left.stage, &left.reason);
        index.dropped.push(Dropped {
            source: self.recipe.label().to_owned(),
            file: self.file.about.path.clone(),
            place: self.file.rows.place(row).to_string(),
            id,
            stage: left.stage,
            reason: left.reason,
            detail: left.detail,
        });
    }
}

/// How much better the best response is than the worst, in the data's own unit.
fn margin(comparison: &Comparison) -> Option<f32> {
    let preference = &comparison.preference;
    preference.margin.or_else(|| {
        let scores = preference.scores.as_ref()?;
        let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let lowest = scores.iter().copied().fold(f32::INFINITY, f32::min);
        Some(highest - lowest)
    })
}
