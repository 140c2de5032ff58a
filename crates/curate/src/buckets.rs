//! Records on the disk in the order of the result: as many at once in memory as a bucket holds.
//!
//! Each record knows its place in the result. It is put into the bucket of its place; a bucket is read and sorted when its turn comes.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::CurateError;

/// Records of a bucket.
const BUCKET_ROWS: usize = 8192;
/// Bytes that wait in memory over all buckets.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// Records on their way to their places.
pub(crate) struct Buckets {
    folder: PathBuf,
    waiting: Vec<Vec<u8>>,
    waiting_bytes: usize,
}

impl Buckets {
    /// Room for `rows` records in a fresh folder.
    pub(crate) fn create(folder: PathBuf, rows: usize) -> Result<Self, CurateError> {
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(CurateError::writing(&folder))?;
        }
        fs::create_dir_all(&folder).map_err(CurateError::writing(&folder))?;
        let waiting = vec![Vec::new(); rows.div_ceil(BUCKET_ROWS)];
        Ok(Self { folder, waiting, waiting_bytes: 0 })
    }

    /// Number of buckets.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Puts a record into the bucket of its place.
    pub(crate) fn push(&mut self, place: usize, record: &[u8]) -> Result<(), CurateError> {
        let bucket = &mut self.waiting[place / BUCKET_ROWS];
        bucket.extend_from_slice(&(place as u64).to_le_bytes());
        bucket.extend_from_slice(&(record.len() as u64).to_le_bytes());
        bucket.extend_from_slice(record);
        self.waiting_bytes += record.len() + 16;
        if self.waiting_bytes > MAX_WAITING_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes all that waits.
    pub(crate) fn flush(&mut self) -> Result<(), CurateError> {
        for (number, bucket) in self.waiting.iter_mut().enumerate() {
            if bucket.is_empty() {
                continue;
            }
            let path = file(&self.folder, number);
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .and_then(|mut file| file.write_all(bucket))
                .map_err(CurateError::writing(&path))?;
            *bucket = Vec::new();
        }
        self.waiting_bytes = 0;
        Ok(())
    }

    /// Takes the records of a bucket with their places, in the order of their places.
    pub(crate) fn take(&self, number: usize) -> Result<Vec<(usize, Vec<u8>)>, CurateError> {
        let path = file(&self.folder, number);
        let bytes = fs::read(&path).map_err(CurateError::reading(&path))?;
        let mut rest = bytes.as_slice();
        let mut records = Vec::with_capacity(BUCKET_ROWS);
        while let Some((head, tail)) = rest.split_first_chunk::<16>() {
            let (place, length) = head.split_at(8);
            let whole = |bytes: &[u8]| {
                bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
            };
            let Some((record, tail)) = tail.split_at_checked(whole(length) as usize) else { break };
            records.push((whole(place) as usize, record.to_vec()));
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(CurateError::Damaged { path });
        }
        records.sort_unstable_by_key(|(place, _)| *place);
        fs::remove_file(&path).map_err(CurateError::writing(&path))?;
        Ok(records)
    }
}

fn file(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number:06}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_the_order_of_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let rows = 2 * BUCKET_ROWS + 5;
        let mut buckets = Buckets::create(folder.path().join("b"), rows).unwrap();
        // 7,919 is prime, so that every place is met once.
        for number in 0..rows {
            let place = number * 7919 % rows;
            buckets.push(place, format!("record {place}").as_bytes()).unwrap();
        }
        buckets.flush().unwrap();
        let records: Vec<_> =
            (0..buckets.len()).flat_map(|number| buckets.take(number).unwrap()).collect();
        let expected: Vec<_> =
            (0..rows).map(|place| (place, format!("record {place}").into_bytes())).collect();
        assert_eq!(records, expected);
    }

    #[test]
    fn a_bucket_that_was_cut_is_no_bucket() {
        let folder = tempfile::tempdir().unwrap();
        let mut buckets = Buckets::create(folder.path().join("b"), 1).unwrap();
        buckets.push(0, b"record").unwrap();
        buckets.flush().unwrap();
        let path = file(&folder.path().join("b"), 0);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(matches!(buckets.take(0), Err(CurateError::Damaged { .. })));
    }
}
