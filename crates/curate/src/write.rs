//! From decisions to files: every record goes to its place in the order, then into a shard; every record that left goes into a list.

use std::io::Write;
use std::path::{Path, PathBuf};

use data::sources::Source as Published;
use serde::Serialize;

use crate::buckets::Buckets;
use crate::decide::{Decisions, Leaving};
use crate::decontaminate::Overlap;
use crate::error::CurateError;
use crate::inputs::{FileIdentity, InputFile, Inputs};
use crate::labels::flip;
use crate::ledger::{Dropped, SourceCounts};
use crate::loaded::Loaded;
use crate::manifest::{self, Manifest, MixtureEntry, SearchedFor, SourceEntry, SplitEntry};
use crate::recipe::CurationRecipe;
use crate::record::Record;
use crate::report::OverlapLine;
use crate::run::{DROPPED_FILE, FLIPPED_FILE, Observer};
use crate::shard::{RowColumns, ShardRow, ShardWriter, Split, Written};
use crate::unfinished::UnfinishedFile;
use crate::work::WorkFolder;

/// What is written from.
pub(crate) struct Source<'a> {
    pub(crate) recipe: &'a CurationRecipe,
    pub(crate) inputs: &'a Inputs,
    pub(crate) loaded: &'a Loaded<'a>,
    pub(crate) decisions: &'a Decisions,
    pub(crate) work: &'a WorkFolder,
    pub(crate) licenses: &'a [String],
}

impl Source<'_> {
    /// Writes all shards into `output`.
    pub(crate) fn shards(
        &self,
        output: &Path,
        observer: &dyn Observer,
    ) -> Result<Written, CurateError> {
        let buckets = self.distribute(observer)?;
        let extracted = self.work.images();
        let mut writer = ShardWriter::create(output, &self.recipe.output, Some(&extracted))?;
        observer.begin("writing shards", self.decisions.sequence.len() as u64);
        for number in 0..buckets.len() {
            let records = buckets.take(number)?;
            observer.advance(records.len() as u64);
            for (place, bytes) in records {
                writer.push(self.row(place, &bytes)?)?;
            }
            if observer.should_stop() {
                return Err(CurateError::Interrupted);
            }
        }
        Ok(writer.finish()?)
    }

    /// Puts the records of the result into the buckets of their places.
    fn distribute(&self, observer: &dyn Observer) -> Result<Buckets, CurateError> {
        let sequence = &self.decisions.sequence;
        let mut places: Vec<(u32, u32)> = sequence
            .iter()
            .enumerate()
            .map(|(place, chosen)| (chosen.record as u32, place as u32))
            .collect();
        places.sort_unstable();
        let mut buckets = Buckets::create(self.work.buckets(), sequence.len())?;
        let mut next = places.into_iter().peekable();
        observer.begin("shuffling", self.loaded.features.len() as u64);
        for chunk in 0..self.inputs.chunks.len() {
            let records = self.loaded.chunk(chunk)?;
            observer.advance(records.len() as u64);
            for (record, bytes) in records {
                while let Some((_, place)) = next.next_if(|(chosen, _)| *chosen as usize == record)
                {
                    buckets.push(place as usize, &bytes)?;
                }
            }
            if observer.should_stop() {
                return Err(CurateError::Interrupted);
            }
        }
        buckets.flush()?;
        Ok(buckets)
    }

    fn row(&self, place: usize, bytes: &[u8]) -> Result<ShardRow, CurateError> {
        let chosen = self.decisions.sequence[place];
        let features = &self.loaded.features[chosen.record];
        let fate = &self.decisions.fates[chosen.record];
        let mut record = self.parse(bytes)?;
        if fate.columns.flipped {
            flip(&mut record.comparison);
        }
        let file = self.file(&record);
        Ok(ShardRow {
            key: key(features.fingerprint.key()),
            group: features.fingerprint.prompt as u64,
            split: if fate.validation { Split::Validation } else { Split::Train },
            columns: fate.columns,
            copy: chosen.copy,
            file: file.about.path.clone(),
            row: file.rows.place(record.origin.row as usize).to_string(),
            license: self.licenses[file.source].clone(),
            record,
        })
    }

    fn file(&self, record: &Record) -> &InputFile {
        &self.inputs.files[record.origin.file as usize]
    }

    fn parse(&self, bytes: &[u8]) -> Result<Record, CurateError> {
        Record::from_bytes(bytes).ok_or_else(|| self.work.damaged(0))
    }

    /// Writes the list of all rows and records that left, in the order of reading; counts those of the decisions, and gives what overlaps with
    /// benchmarks.
    pub(crate) fn lists(
        &self,
        output: &Path,
        counts: &mut [SourceCounts],
    ) -> Result<Vec<OverlapLine>, CurateError> {
        let mut dropped = List::create(output.join(DROPPED_FILE))?;
        let mut flipped = List::create(output.join(FLIPPED_FILE))?;
        let mut overlaps = Vec::new();
        for chunk in 0..self.inputs.chunks.len() {
            for row in &self.work.read_index(chunk)?.dropped {
                dropped.push(row)?;
            }
            let records = self.loaded.starts[chunk]..self.loaded.starts[chunk + 1];
            let is_listed = |record: usize| {
                let fate = &self.decisions.fates[record];
                fate.left.is_some()
                    || fate.columns.flipped
                    || !self.loaded.features[record].overlaps.is_empty()
            };
            if !records.clone().any(is_listed) {
                continue;
            }
            for (number, bytes) in self.loaded.chunk(chunk)? {
                if !is_listed(number) {
                    continue;
                }
                let record = self.parse(&bytes)?;
                let fate = &self.decisions.fates[number];
                overlaps.extend(self.overlaps_of(number, &record, fate.left.is_some()));
                if let Some(left) = &fate.left {
                    counts[record.origin.source as usize].drop(left.stage, &left.reason);
                    dropped.push(&self.listed(record, left))?;
                } else if fate.columns.flipped {
                    flipped.push(&self.flipped(number, record))?;
                }
            }
        }
        dropped.finish()?;
        flipped.finish()?;
        Ok(overlaps)
    }

    /// What a record has in common with rows of benchmarks, one line for each row.
    fn overlaps_of(&self, number: usize, record: &Record, is_removed: bool) -> Vec<OverlapLine> {
        let mut overlaps: Vec<&Overlap> = self.loaded.features[number].overlaps.iter().collect();
        overlaps.sort();
        overlaps
            .chunk_by(|first, second| {
                (&first.benchmark, &first.row) == (&second.benchmark, &second.row)
            })
            .map(|of_row| OverlapLine {
                benchmark: of_row[0].benchmark.clone(),
                benchmark_row: of_row[0].row.clone(),
                source: record.comparison.source.clone(),
                record: record.comparison.id.clone(),
                kinds: of_row.iter().map(|overlap| overlap.kind).collect(),
                is_removed,
            })
            .collect()
    }

    fn flipped(&self, number: usize, record: Record) -> Flipped {
        let file = self.file(&record);
        let RowColumns { strength, agreement, .. } = self.decisions.fates[number].columns;
        Flipped {
            key: key(self.loaded.features[number].fingerprint.key()),
            file: file.about.path.clone(),
            place: file.rows.place(record.origin.row as usize).to_string(),
            source: record.comparison.source,
            id: record.comparison.id,
            strength,
            agreement,
        }
    }

    fn listed(&self, record: Record, left: &Leaving) -> Dropped {
        let file = self.file(&record);
        Dropped {
            file: file.about.path.clone(),
            place: file.rows.place(record.origin.row as usize).to_string(),
            source: record.comparison.source,
            id: Some(record.comparison.id),
            stage: left.stage,
            reason: left.reason.clone(),
            detail: left.detail.clone(),
        }
    }
}

/// A record whose label was turned.
#[derive(Serialize)]
struct Flipped {
    key: String,
    source: String,
    file: String,
    place: String,
    id: String,
    /// Mean margin of the models for the old label.
    strength: Option<f32>,
    /// Share of the models that agreed with the old label.
    agreement: Option<f32>,
}

/// A file with one line of JSON for each entry.
struct List {
    path: PathBuf,
    out: UnfinishedFile,
}

impl List {
    fn create(path: PathBuf) -> Result<Self, CurateError> {
        let out = UnfinishedFile::create(&path).map_err(CurateError::writing(&path))?;
        Ok(Self { path, out })
    }

    fn push(&mut self, entry: &impl Serialize) -> Result<(), CurateError> {
        serde_json::to_writer(&mut self.out, entry)
            .map_err(std::io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(CurateError::writing(&self.path))
    }

    fn finish(self) -> Result<(), CurateError> {
        self.out.finish().map(drop).map_err(CurateError::writing(&self.path))
    }
}

impl Source<'_> {
    /// What the set is made of.
    pub(crate) fn manifest(
        &self,
        version: &str,
        counts: Vec<SourceCounts>,
        searched: Vec<SearchedFor>,
        written: Written,
    ) -> Manifest {
        let total: u64 = counts.iter().map(|counts| counts.kept).sum();
        let validation: u64 = counts.iter().map(|counts| counts.validation).sum();
        let inputs = self.inputs.files.iter().map(|file| {
            let FileIdentity { path, size_bytes, blake3, rows } = file.about.clone();
            let source = self.recipe.source[file.source].label().to_owned();
            manifest::InputFile { source, path, bytes: size_bytes, blake3, rows }
        });
        let sources = self.recipe.source.iter().zip(counts).zip(self.licenses).map(
            |((recipe, counts), license)| SourceEntry {
                name: recipe.label().to_owned(),
                format: recipe.format.clone(),
                home: Published::named(&recipe.format)
                    .map_or("", |published| published.home)
                    .to_owned(),
                license: license.clone(),
                share: counts.kept as f64 / total.max(1) as f64,
                counts,
            },
        );
        let mixture = self.decisions.mix.iter().zip(&self.recipe.source).map(|(share, recipe)| {
            MixtureEntry {
                source: share.source.clone(),
                weight: recipe.weight,
                available: share.available as u64,
                wanted_share: share.share,
                taken: share.taken as u64,
            }
        });
        Manifest {
            version: version.to_owned(),
            recipe: serde_json::to_value(self.recipe).expect("a recipe is plain data"),
            recipe_blake3: recipe::hash(self.recipe),
            inputs: inputs.collect(),
            sources: sources.collect(),
            decontaminated_against: searched,
            mixture: mixture.collect(),
            split: SplitEntry { train: total - validation, validation, ..self.decisions.split },
            shards: written.shards,
            pictures: written.pictures,
        }
    }
}

/// How a record is named in files.
pub(crate) fn key(key: u128) -> String {
    format!("{key:032x}")
}
