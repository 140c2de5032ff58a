//! Everything that decisions need of all records, in memory; and the texts of single records, read again when they are asked for.

use std::collections::HashMap;

use crate::error::CurateError;
use crate::ledger::SourceCounts;
use crate::look::Look;
use crate::record::{ImageId, Record};
use crate::work::{Features, WorkFolder};

/// All records that were read, in order.
pub(crate) struct Loaded<'a> {
    work: &'a WorkFolder,
    /// One for each record; places of pictures are those in `images`.
    pub(crate) features: Vec<Features>,
    /// Distinct pictures in the order of their first use.
    pub(crate) images: Vec<(ImageId, Look)>,
    /// Counts of reading, by source.
    pub(crate) counts: Vec<SourceCounts>,
    /// First record of each chunk, and the number of all records.
    pub(crate) starts: Vec<usize>,
    /// Bytes of each record.
    lengths: Vec<u32>,
    /// Where each record begins in its chunk.
    offsets: Vec<u64>,
}

impl<'a> Loaded<'a> {
    /// Loads what `num_chunks` chunks gave; `source_of` tells the source of a chunk.
    pub(crate) fn new(
        work: &'a WorkFolder,
        num_chunks: usize,
        num_sources: usize,
        source_of: impl Fn(usize) -> usize,
    ) -> Result<Self, CurateError> {
        let mut loaded = Self {
            work,
            features: Vec::new(),
            images: Vec::new(),
            counts: vec![SourceCounts::default(); num_sources],
            starts: vec![0],
            lengths: Vec::new(),
            offsets: Vec::new(),
        };
        let mut places: HashMap<ImageId, u32> = HashMap::new();
        for chunk in 0..num_chunks {
            let index = work.read_index(chunk)?;
            loaded.counts[source_of(chunk)].add(&index.counts);
            let images = &mut loaded.images;
            let global: Vec<u32> = index
                .images
                .into_iter()
                .map(|(id, look)| {
                    *places.entry(id).or_insert_with(|| {
                        images.push((id, look));
                        images.len() as u32 - 1
                    })
                })
                .collect();
            for mut features in index.features {
                for image in &mut features.images {
                    *image = global[*image as usize];
                }
                loaded.features.push(features);
            }
            let mut offset = 0;
            for length in index.lengths {
                loaded.offsets.push(offset);
                loaded.lengths.push(length);
                offset += u64::from(length);
            }
            loaded.starts.push(loaded.features.len());
        }
        Ok(loaded)
    }

    /// Reads a record again.
    pub(crate) fn record(&self, index: usize) -> Result<Record, CurateError> {
        let chunk = self.starts.partition_point(|start| *start <= index) - 1;
        self.work.record(chunk, self.offsets[index], self.lengths[index])
    }

    /// The records of a chunk as bytes, with their numbers.
    pub(crate) fn chunk(&self, chunk: usize) -> Result<Vec<(usize, Vec<u8>)>, CurateError> {
        let bytes = self.work.records(chunk)?;
        let piece = |record: usize| {
            let start = self.offsets[record] as usize;
            let end = start + self.lengths[record] as usize;
            bytes.get(start..end).map(|piece| (record, piece.to_vec()))
        };
        let pieces: Option<Vec<_>> =
            (self.starts[chunk]..self.starts[chunk + 1]).map(piece).collect();
        pieces.ok_or_else(|| self.work.damaged(chunk))
    }
}
