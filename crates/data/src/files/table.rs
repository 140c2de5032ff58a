//! Rows of Parquet files.
//!
//! Opening reads the file's footer; a row is read by its row group and its place in it. Columns of kinds that no format uses, such as dates, are
//! kept out of the way as [`Value::Other`].

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, StructArray};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;

use super::unreadable;
use crate::error::{DataError, RowFault};
use crate::value::Value;

/// Rows that are decoded at once when rows are read in order. Rows may hold pictures.
const SCANNED_ROWS: usize = 32;

/// Footer of a Parquet file.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// First row of each row group, and the number of all rows.
    starts: Vec<usize>,
}

impl Table {
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|source| unreadable(path, source))?;
        // The plain types of the file are fewer than those that a writer's own schema may ask for.
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(|error| {
            DataError::Parquet { path: path.to_owned(), reason: reason(&error) }
        })?;
        let mut starts = vec![0];
        for group in metadata.metadata().row_groups() {
            let start = starts.last().expect("it begins with one");
            starts.push(start + group.num_rows() as usize);
        }
        if starts.last() == Some(&0) {
            return Err(DataError::NoRows { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), metadata, starts })
    }

    pub(super) fn len(&self) -> usize {
        *self.starts.last().expect("it begins with one")
    }

    pub(super) fn read(&self, row: usize) -> Result<Value, RowFault> {
        let group = self.starts.partition_point(|start| *start <= row) - 1;
        let builder = self
            .builder()?
            .with_row_groups(vec![group])
            .with_offset(row - self.starts[group])
            .with_limit(1)
            .with_batch_size(1);
        let mut batches = builder.build().map_err(|error| fault(&error))?;
        let batch = batches
            .next()
            .ok_or_else(|| RowFault::Unreadable {
                reason: "the file has become shorter".to_owned(),
            })?
            .map_err(|error| fault(&error.into()))?;
        Ok(row_of(&StructArray::from(batch), 0))
    }

    /// Rows that follow each other. Rows that cannot be decoded are one fault each.
    pub(super) fn scan(
        &self,
        range: Range<usize>,
    ) -> impl Iterator<Item = Result<Value, RowFault>> + '_ {
        let mut scan = Scan { batches: self.batches(range.clone()), batch: None, next: 0 };
        range.map(move |row| scan.row(self, row))
    }

    /// Decodes rows that follow each other, without the row groups before and after them.
    fn batches(&self, range: Range<usize>) -> Option<Batches> {
        if range.is_empty() {
            return None;
        }
        let first_group = self.starts.partition_point(|start| *start <= range.start) - 1;
        let end_group = self.starts.partition_point(|start| *start < range.end);
        let offset = range.start - self.starts[first_group];
        let builder = self.builder().ok()?;
        let builder = builder
            .with_row_groups((first_group..end_group).collect())
            .with_offset(offset)
            .with_limit(range.len())
            .with_batch_size(SCANNED_ROWS);
        builder.build().ok()
    }

    fn builder(&self) -> Result<ParquetRecordBatchReaderBuilder<File>, RowFault> {
        let file = File::open(&self.path)
            .map_err(|error| RowFault::Unreadable { reason: error.to_string() })?;
        Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone()))
    }
}

type Batches = parquet::arrow::arrow_reader::ParquetRecordBatchReader;

/// State of reading rows that follow each other.
struct Scan {
    batches: Option<Batches>,
    batch: Option<StructArray>,
    /// Row of the batch that comes next.
    next: usize,
}

impl Scan {
    /// The row after the one asked for last; a batch that cannot be decoded is tried again row by row.
    fn row(&mut self, table: &Table, row: usize) -> Result<Value, RowFault> {
        if self.batch.as_ref().is_none_or(|batch| self.next == batch.len()) {
            let decoded = self.batches.as_mut().and_then(Iterator::next);
            let Some(Ok(batch)) = decoded else {
                self.batches = None;
                self.batch = None;
                return table.read(row);
            };
            self.batch = Some(StructArray::from(batch));
            self.next = 0;
        }
        self.next += 1;
        let batch = self.batch.as_ref().expect("it has just been set");
        Ok(row_of(batch, self.next - 1))
    }
}

fn row_of(batch: &StructArray, row: usize) -> Value {
    let names = batch.column_names();
    let columns = names.iter().zip(batch.columns());
    Value::Object(columns.map(|(name, column)| ((*name).to_owned(), value(column, row))).collect())
}

/// The value of a column in a row.
fn value(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    macro_rules! whole {
        ($kind:ty) => {
            Value::Whole(i64::from(column.as_primitive::<$kind>().value(row)))
        };
    }
    match column.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => Value::Number(column.as_primitive::<UInt64Type>().value(row) as f64),
        DataType::Float32 => {
            Value::Number(f64::from(column.as_primitive::<Float32Type>().value(row)))
        }
        DataType::Float64 => Value::Number(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Value::Text(column.as_string::<i64>().value(row).to_owned()),
        DataType::Binary => Value::Bytes(column.as_binary::<i32>().value(row).to_vec()),
        DataType::LargeBinary => Value::Bytes(column.as_binary::<i64>().value(row).to_vec()),
        DataType::List(_) => values(column.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => values(column.as_list::<i64>().value(row).as_ref()),
        DataType::Struct(_) => row_of(column.as_struct(), row),
        _ => Value::Other,
    }
}

fn values(list: &dyn Array) -> Value {
    Value::List((0..list.len()).map(|index| value(list, index)).collect())
}

fn fault(error: &ParquetError) -> RowFault {
    RowFault::Unreadable { reason: reason(error) }
}

/// What the library says, with what to do about a compression that is not built in.
fn reason(error: &ParquetError) -> String {
    let said = error.to_string();
    let said = said.trim_end_matches('.');
    if said.contains("Disabled feature") {
        return format!("{said}; write the file again with the compression `snappy`");
    }
    said.to_owned()
}
