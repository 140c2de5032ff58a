//! Finished records to Parquet files that training reads: `train/00000.parquet`, `train/00001.parquet`, …, and `validation/…`.
//!
//! Each split has a folder of its own, so that a folder that is named as data never holds both.
//!
//! The schema is that of rankings (`data::Format::Ranked`): what is written and read back is the same comparison, with its pictures where they
//! stood. The same rows give the same bytes. Which rows, and in which order, is decided before.

mod columns;
mod features;
mod pictures;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use data::RowFault;
use data::raw::check_ranking;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};

use crate::recipe::{ImageOutput, OutputRecipe};
use crate::record::{ImageId, Record};
use crate::unfinished::UnfinishedFile;
use columns::{Batch, Stand, schema};
pub(crate) use pictures::FOLDER as PICTURES_DIR;
pub(crate) use pictures::PictureStore;
use pictures::PlacedPicture;
pub use pictures::{PictureError, PicturesWritten};

/// Rows that are encoded at once at most.
const BATCH_ROWS: usize = 512;
/// Bytes of rows that are encoded at once, about.
const BATCH_BYTES: usize = 4 << 20;
/// Bytes of a row group, about. It is in memory until it is whole.
const ROW_GROUP_BYTES: usize = 24 << 20;
/// The same where rows hold pictures: to read one row, all different pictures of its row group are read.
const PICTURE_ROW_GROUP_BYTES: usize = 8 << 20;
/// Most bytes of different pictures that a row group holds once each; beyond, they would be repeated.
const PICTURE_DICTIONARY_BYTES: usize = 1 << 30;
/// Bytes and rows of a page: what is decoded to read one row.
const PAGE_BYTES: usize = 64 << 10;
const PAGE_ROWS: usize = 512;
/// Values after which the size of a page is looked at.
const CHECKED_VALUES: usize = 32;

/// Which part of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Rows to train on.
    Train,
    /// Rows held back.
    Validation,
}

impl Split {
    /// Its name, which is that of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
        }
    }
}

/// What was found out about a record, for curricula and selection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RowColumns {
    /// Mean margin of the models for the label.
    pub strength: Option<f32>,
    /// Share of the models that agree with the label.
    pub agreement: Option<f32>,
    /// How hard the models find it.
    pub difficulty: Option<f32>,
    /// Whether its label was turned.
    pub flipped: bool,
}

/// A row of the result.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardRow {
    /// What the record is known by: 32 hexadecimal digits.
    pub key: String,
    /// The record.
    pub record: Record,
    /// Which part of the result it belongs to.
    pub split: Split,
    /// Records over the same pictures or the same prompt have the same number.
    pub group: u64,
    /// What was found out about it.
    pub columns: RowColumns,
    /// How many times it was written before.
    pub copy: u32,
    /// Its file.
    pub file: String,
    /// Its place in the file, such as `line 3`.
    pub row: String,
    /// Licence of its source.
    pub license: String,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardFile {
    /// Name in the folder of the set.
    pub name: String,
    /// Which part of the result it belongs to.
    pub split: Split,
    /// Its rows.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub blake3: String,
}

/// Shard that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The file cannot be written.
    #[error("`{}` cannot be written: {source}", path.display())]
    Write {
        /// The shard.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The rows cannot be encoded.
    #[error("`{}` cannot be written as Parquet: {source}", path.display())]
    Parquet {
        /// The shard.
        path: PathBuf,
        /// What the Parquet library said.
        source: ParquetError,
    },
    /// A row could not be read back.
    #[error("`{file}`, {row}: {fault}")]
    Row {
        /// The row's file.
        file: String,
        /// The row's place.
        row: String,
        /// What a reader would find wrong.
        fault: RowFault,
    },
    /// A picture of a row cannot be written.
    #[error("`{file}`, {row}: {source}")]
    Picture {
        /// The row's file.
        file: String,
        /// The row's place.
        row: String,
        /// What is wrong.
        source: PictureError,
    },
}

/// Everything that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The shards, those to train on first.
    pub shards: Vec<ShardFile>,
    /// Distinct pictures.
    pub pictures: PicturesWritten,
}

/// Writes rows in order, each to the shards of its split. Memory does not grow with the rows, but for an id of each picture.
pub struct ShardWriter {
    pictures: PictureStore,
    train: Lane,
    validation: Lane,
}

impl ShardWriter {
    /// Begins a result in a folder, which is made. `extracted` is the folder of pictures that came inside of rows: these cannot stay where they
    /// are.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn create(
        folder: &Path,
        output: &OutputRecipe,
        extracted: Option<&Path>,
    ) -> Result<Self, ShardError> {
        fs::create_dir_all(folder)
            .map_err(|source| ShardError::Write { path: folder.to_owned(), source })?;
        Ok(Self {
            pictures: PictureStore::new(folder, output.images, extracted),
            train: Lane::new(folder, Split::Train, output),
            validation: Lane::new(folder, Split::Validation, output),
        })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// When the row could not be read back, or the file or a picture cannot be written. The files that are whole stay.
    pub fn push(&mut self, row: ShardRow) -> Result<(), ShardError> {
        check_ranking(&row.record.comparison).map_err(|fault| ShardError::Row {
            file: row.file.clone(),
            row: row.row.clone(),
            fault,
        })?;
        let placed = self.pictures.place(&row.record).map_err(|source| ShardError::Picture {
            file: row.file.clone(),
            row: row.row.clone(),
            source,
        })?;
        match row.split {
            Split::Train => self.train.push(row, placed),
            Split::Validation => self.validation.push(row, placed),
        }
    }

    /// Writes what is left, and tells which files there are.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(self) -> Result<Written, ShardError> {
        let mut shards = self.train.finish()?;
        shards.extend(self.validation.finish()?);
        Ok(Written { shards, pictures: self.pictures.written() })
    }
}

/// The shards of one split.
struct Lane {
    folder: PathBuf,
    split: Split,
    rows_per_shard: usize,
    stand: Stand,
    schema: SchemaRef,
    shard: Option<OpenShard>,
    batch: Batch,
    files: Vec<ShardFile>,
}

struct OpenShard {
    name: String,
    path: PathBuf,
    rows: usize,
    writer: ArrowWriter<UnfinishedFile>,
}

impl Lane {
    fn new(folder: &Path, split: Split, output: &OutputRecipe) -> Self {
        let stand = match output.images {
            ImageOutput::Embedded => Stand::Inside,
            ImageOutput::Files | ImageOutput::References => Stand::Outside,
        };
        Self {
            folder: folder.to_owned(),
            split,
            rows_per_shard: output.rows_per_shard.max(1),
            stand,
            schema: schema(stand),
            shard: None,
            batch: Batch::new(stand),
            files: Vec::new(),
        }
    }

    fn push(&mut self, row: ShardRow, placed: Vec<PlacedPicture>) -> Result<(), ShardError> {
        if self.shard.is_none() {
            self.shard = Some(self.open()?);
        }
        self.batch.push(row, placed);
        let shard = self.shard.as_mut().expect("it has just been opened");
        shard.rows += 1;
        let is_full = shard.rows == self.rows_per_shard;
        if is_full || self.batch.rows() == BATCH_ROWS || self.batch.bytes() >= BATCH_BYTES {
            self.encode()?;
        }
        if is_full { self.close() } else { Ok(()) }
    }

    fn finish(mut self) -> Result<Vec<ShardFile>, ShardError> {
        self.encode()?;
        self.close()?;
        Ok(self.files)
    }

    fn open(&self) -> Result<OpenShard, ShardError> {
        let name = format!("{}/{:05}.parquet", self.split.name(), self.files.len());
        let path = self.folder.join(&name);
        let file = fs::create_dir_all(self.folder.join(self.split.name()))
            .and_then(|()| UnfinishedFile::create(&path))
            .map_err(|source| ShardError::Write { path: path.clone(), source })?;
        let options = ArrowWriterOptions::new()
            .with_skip_arrow_metadata(true)
            .with_schema_root("schema".to_owned())
            .with_properties(properties(self.stand));
        let writer = ArrowWriter::try_new_with_options(file, Arc::clone(&self.schema), options)
            .map_err(|source| ShardError::Parquet { path: path.clone(), source })?;
        Ok(OpenShard { name, path, rows: 0, writer })
    }

    fn encode(&mut self) -> Result<(), ShardError> {
        let Some(shard) = self.shard.as_mut().filter(|_| self.batch.rows() > 0) else {
            return Ok(());
        };
        let columns = std::mem::replace(&mut self.batch, Batch::new(self.stand)).finish();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .expect("the columns are those of the schema");
        let limit = match self.stand {
            Stand::Inside => PICTURE_ROW_GROUP_BYTES,
            Stand::Outside => ROW_GROUP_BYTES,
        };
        let writer = &mut shard.writer;
        let written = writer.write(&batch).and_then(|()| {
            if writer.in_progress_size() >= limit { writer.flush() } else { Ok(()) }
        });
        written.map_err(|source| ShardError::Parquet { path: shard.path.clone(), source })
    }

    fn close(&mut self) -> Result<(), ShardError> {
        let Some(OpenShard { name, path, rows, writer }) = self.shard.take() else {
            return Ok(());
        };
        let file = writer
            .into_inner()
            .map_err(|source| ShardError::Parquet { path: path.clone(), source })?;
        let finished = file.finish().map_err(|source| ShardError::Write { path, source })?;
        self.files.push(ShardFile {
            name,
            split: self.split,
            rows: rows as u64,
            bytes: finished.bytes,
            blake3: finished.blake3,
        });
        Ok(())
    }
}

/// Settings that depend on nothing but the schema, so that the same rows give the same bytes.
fn properties(stand: Stand) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by("basereward".to_owned())
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(CHECKED_VALUES)
        .set_max_row_group_row_count(None);
    for repeated in ["source", "file", "license"] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::new(vec![repeated.to_owned()]), true);
    }
    for pictures in stand.columns_of_pictures() {
        // Files of pictures are compressed already.
        properties = properties
            .set_column_dictionary_enabled(pictures.clone(), true)
            .set_column_dictionary_page_size_limit(pictures.clone(), PICTURE_DICTIONARY_BYTES)
            .set_column_compression(pictures, Compression::UNCOMPRESSED);
    }
    let metadata = features::of(stand)
        .map(|features| vec![KeyValue::new(features::KEY.to_owned(), features.to_owned())]);
    properties.set_key_value_metadata(metadata).build()
}
