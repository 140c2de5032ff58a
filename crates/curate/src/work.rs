//! The work folder: what has been read, chunk by chunk, until the set is finished.
//!
//! A chunk is two files. `NNNNNN.records` holds records one after the other; `NNNNNN.index` says where each begins and all that is decided by
//! without reading it again. The index is written last and at once, so that a chunk is there whole or is read again.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::decontaminate::Overlap;
use crate::error::CurateError;
use crate::fingerprint::Fingerprint;
use crate::inputs::FileIdentity;
use crate::ledger::{Dropped, SourceCounts};
use crate::look::Look;
use crate::recipe::CurationRecipe;
use crate::record::{ImageId, Record};
use crate::unfinished;

/// Name of the folder inside the output folder.
pub(crate) const WORK_DIR: &str = ".work";
const PLAN_FILE: &str = "plan.json";

/// What decides the content of a work folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) version: String,
    pub(crate) recipe: CurationRecipe,
    pub(crate) files: Vec<FileIdentity>,
    /// Hash of all that is read besides: benchmarks, opinions, the tokenizer.
    pub(crate) others: Vec<(String, String)>,
}

/// A record as far as decisions need it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Features {
    /// Index of its source in the recipe.
    pub(crate) source: u32,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) margin: Option<f32>,
    /// Place of each answer, 0 for the best.
    pub(crate) ranks: Box<[u32]>,
    /// Places of its pictures in the chunk's list.
    pub(crate) images: Box<[u32]>,
    pub(crate) overlaps: Box<[Overlap]>,
}

/// What a chunk gave.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ChunkIndex {
    /// Bytes of each record.
    pub(crate) lengths: Vec<u32>,
    pub(crate) features: Vec<Features>,
    /// Distinct pictures in the order of their first use.
    pub(crate) images: Vec<(ImageId, Look)>,
    /// Files of the work folder, with their lengths, for pictures that came inside rows.
    pub(crate) pictures: Vec<(PathBuf, u64)>,
    pub(crate) counts: SourceCounts,
    /// Rows and records that left while they were read.
    pub(crate) dropped: Vec<Dropped>,
}

/// The work folder of a curation.
pub(crate) struct WorkFolder {
    folder: PathBuf,
}

impl WorkFolder {
    /// Begins the work of `plan` in `output`, or finds it begun.
    pub(crate) fn open(output: &Path, plan: &Plan) -> Result<Self, CurateError> {
        // Records hold paths into the folder, and the same folder may be named in another way when the work goes on.
        let folder =
            std::path::absolute(output.join(WORK_DIR)).map_err(CurateError::reading(output))?;
        let file = folder.join(PLAN_FILE);
        match fs::read(&file) {
            Ok(bytes) => {
                let begun: Plan = serde_json::from_slice(&bytes)
                    .map_err(|_| CurateError::Damaged { path: file.clone() })?;
                if let Some(difference) = begun.difference(plan) {
                    return Err(CurateError::Changed { folder: output.to_owned(), difference });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&folder).map_err(CurateError::writing(&folder))?;
                let text = serde_json::to_vec_pretty(plan).expect("a plan is plain data");
                unfinished::write(&file, &text).map_err(CurateError::writing(&file))?;
            }
            Err(error) => return Err(CurateError::reading(&file)(error)),
        }
        Ok(Self { folder })
    }

    /// Where pictures go that come inside rows.
    pub(crate) fn images(&self) -> PathBuf {
        self.folder.join("images")
    }

    /// Where records wait in the order of the result.
    pub(crate) fn buckets(&self) -> PathBuf {
        self.folder.join("buckets")
    }

    /// Whether a chunk has been read: all that was written of it is there in its length, which a crash of the machine can cut.
    pub(crate) fn has(&self, chunk: usize) -> bool {
        let is_whole =
            |path: &Path, length| fs::metadata(path).is_ok_and(|known| known.len() == length);
        self.read_index(chunk).is_ok_and(|index| {
            let length = index.lengths.iter().copied().map(u64::from).sum();
            is_whole(&self.chunk_file(chunk, "records"), length)
                && index.pictures.iter().all(|(path, length)| is_whole(path, *length))
        })
    }

    /// What a chunk gave.
    pub(crate) fn read_index(&self, chunk: usize) -> Result<ChunkIndex, CurateError> {
        let path = self.chunk_file(chunk, "index");
        let bytes = fs::read(&path).map_err(CurateError::reading(&path))?;
        postcard::from_bytes(&bytes).map_err(|_| CurateError::Damaged { path })
    }

    /// Writes records one after the other.
    pub(crate) fn writer(&self, chunk: usize) -> Result<ChunkWriter, CurateError> {
        let path = self.chunk_file(chunk, "records");
        let file = File::create(&path).map_err(CurateError::writing(&path))?;
        let out = io::BufWriter::with_capacity(1 << 18, file);
        Ok(ChunkWriter {
            path,
            index_path: self.chunk_file(chunk, "index"),
            out,
            index: ChunkIndex::default(),
        })
    }

    /// Reads a record of a chunk: `length` bytes from `start` on.
    pub(crate) fn record(
        &self,
        chunk: usize,
        start: u64,
        length: u32,
    ) -> Result<Record, CurateError> {
        let path = self.chunk_file(chunk, "records");
        let mut bytes = vec![0; length as usize];
        File::open(&path)
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(start))?;
                file.read_exact(&mut bytes)
            })
            .map_err(CurateError::reading(&path))?;
        Record::from_bytes(&bytes).ok_or(CurateError::Damaged { path })
    }

    /// All bytes of a chunk's records.
    pub(crate) fn records(&self, chunk: usize) -> Result<Vec<u8>, CurateError> {
        let path = self.chunk_file(chunk, "records");
        fs::read(&path).map_err(CurateError::reading(&path))
    }

    /// What is said of a chunk whose records are not those that were written.
    pub(crate) fn damaged(&self, chunk: usize) -> CurateError {
        CurateError::Damaged { path: self.chunk_file(chunk, "records") }
    }

    /// Removes everything; the set is finished.
    pub(crate) fn remove(self) -> Result<(), CurateError> {
        fs::remove_dir_all(&self.folder).map_err(CurateError::writing(&self.folder))
    }

    fn chunk_file(&self, chunk: usize, extension: &str) -> PathBuf {
        self.folder.join(format!("{chunk:06}.{extension}"))
    }
}

impl Plan {
    /// What is different in `other`, in words for people.
    fn difference(&self, other: &Self) -> Option<String> {
        if self.version != other.version {
            return Some(format!("version `{}` of this program", self.version));
        }
        if self.recipe != other.recipe {
            let keys = recipe::differing_keys(&self.recipe, &other.recipe);
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            return Some(format!("another {}", keys.join(", ")));
        }
        for (old, new) in self.files.iter().zip(&other.files) {
            if old != new {
                return Some(format!("another content of `{}`", old.path));
            }
        }
        if self.files.len() != other.files.len() {
            return Some(format!(
                "{} data files instead of {}",
                self.files.len(),
                other.files.len()
            ));
        }
        (self.others != other.others).then(|| {
            let changed = self.others.iter().zip(&other.others).find(|(old, new)| old != new);
            let name = changed.map_or("a benchmark or rewards", |(old, _)| old.0.as_str());
            format!("another content of `{name}`")
        })
    }
}

/// A chunk that is being written.
pub(crate) struct ChunkWriter {
    path: PathBuf,
    index_path: PathBuf,
    out: io::BufWriter<File>,
    /// What is found while records are written.
    pub(crate) index: ChunkIndex,
}

impl ChunkWriter {
    /// Adds a record.
    pub(crate) fn push(&mut self, record: Record, features: Features) -> Result<(), CurateError> {
        let bytes = record.into_bytes();
        self.out.write_all(&bytes).map_err(CurateError::writing(&self.path))?;
        self.index.lengths.push(bytes.len() as u32);
        self.index.features.push(features);
        Ok(())
    }

    /// Makes the chunk one that has been read.
    pub(crate) fn finish(mut self) -> Result<(), CurateError> {
        self.out.flush().map_err(CurateError::writing(&self.path))?;
        let bytes = postcard::to_stdvec(&self.index).expect("an index is plain data");
        unfinished::write(&self.index_path, &bytes)
            .map(drop)
            .map_err(CurateError::writing(&self.index_path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Stage;

    #[test]
    fn records_that_left_without_an_id_or_a_detail_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let work = WorkFolder { folder: folder.path().to_owned() };
        let dropped = |id: Option<&str>, detail: Option<&str>| Dropped {
            source: "mine".to_owned(),
            file: "pairs.jsonl".to_owned(),
            place: "line 3".to_owned(),
            id: id.map(str::to_owned),
            stage: Stage::Filter,
            reason: "length".to_owned(),
            detail: detail.map(str::to_owned),
        };
        let all = [dropped(None, None), dropped(Some("a"), None), dropped(None, Some("why"))];
        let mut writer = work.writer(0).unwrap();
        writer.index.dropped = all.to_vec();
        writer.finish().unwrap();
        assert_eq!(work.read_index(0).unwrap().dropped, all);
    }
}
