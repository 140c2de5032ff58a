//! Event files for `TensorBoard`: the figures of each step as scalars.
//!
//! Only what scalars need of the format is written, and nothing is read. Each run and each resumption has a file of its own;
//! `TensorBoard` reads all files of a folder as one run.
//!
//! # Source
//! `TensorFlow`: `core/util/event.proto`, `core/framework/summary.proto` (fields and their numbers), `core/lib/io/record_writer.h`
//! (framing), `core/lib/hash/crc32c.h` (masked checksums). CRC-32C and its test values: RFC 3720, B.4.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::StepMetrics;

/// Content of the first record of every event file.
const FILE_VERSION: &str = "brain.Event:2";
/// Castagnoli polynomial, bits reversed.
const CRC32C_POLYNOMIAL: u32 = 0x82f6_3b78;
/// Added to a rotated checksum, so that a checksum over data that hold checksums stays a good one.
const CRC_MASK: u32 = 0xa282_ead8;

// Keys of protobuf fields: field number times 8 plus the wire type (0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes).
const EVENT_WALL_TIME: u8 = 8 + 1;
const EVENT_STEP: u8 = 2 * 8;
const EVENT_FILE_VERSION: u8 = 3 * 8 + 2;
const EVENT_SUMMARY: u8 = 5 * 8 + 2;
const EVENT_SESSION_LOG: u8 = 7 * 8 + 2;
const SUMMARY_VALUE: u8 = 8 + 2;
const VALUE_TAG: u8 = 8 + 2;
const VALUE_SIMPLE: u8 = 2 * 8 + 5;
const SESSION_STATUS: u8 = 8;
/// `SessionLog.START`: tells the reader to forget the steps from this one on that an earlier file holds.
const SESSION_START: u8 = 1;

/// Event file that is being written.
#[derive(Debug)]
pub struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// Begins a file in a folder, which is made when absent. A resumed run says after which step it goes on, so that later
    /// steps of the interrupted run are not drawn twice.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn create(folder: &Path, resumed_after: Option<u64>) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let now = now_secs();
        let (file, path) = create_named(folder, now as u64)?;
        let mut events = Self { file, path };
        events.write(&version_event(now))?;
        if let Some(step) = resumed_after {
            events.write(&restart_event(now, step + 1))?;
        }
        Ok(events)
    }

    /// Appends the numbers of a step, each under its key of `metrics.jsonl`.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn append(&mut self, metrics: &StepMetrics) -> io::Result<()> {
        let scalars: Vec<(String, f32)> = metrics
            .entries()
            .into_iter()
            .map(|(key, number)| (key, number.as_f64() as f32))
            .collect();
        self.write(&scalar_event(now_secs(), metrics.step, &scalars))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, event: &[u8]) -> io::Result<()> {
        self.file.write_all(&record(event))
    }
}

/// Opens a file that did not exist. Readers take the files of a folder in the order of their names, so the name begins with
/// the time; the number tells files of one second apart.
fn create_named(folder: &Path, now_secs: u64) -> io::Result<(File, PathBuf)> {
    let mut number = 0;
    loop {
        let path =
            folder.join(format!("events.out.tfevents.{now_secs:010}.basereward.{number:04}"));
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn now_secs() -> f64 {
    // Before 1970 is a clock that was never set; the time is only shown.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

/// Frames a record: length, checksum of the length, data, checksum of the data.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut framed = length.to_vec();
    framed.extend(masked_crc32c(&length).to_le_bytes());
    framed.extend(data);
    framed.extend(masked_crc32c(data).to_le_bytes());
    framed
}

fn version_event(wall_time: f64) -> Vec<u8> {
    let mut event = event(wall_time, 0);
    put_bytes(&mut event, EVENT_FILE_VERSION, FILE_VERSION.as_bytes());
    event
}

fn restart_event(wall_time: f64, first_step: u64) -> Vec<u8> {
    let mut event = event(wall_time, first_step);
    put_bytes(&mut event, EVENT_SESSION_LOG, &[SESSION_STATUS, SESSION_START]);
    event
}

fn scalar_event(wall_time: f64, step: u64, scalars: &[(String, f32)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, number) in scalars {
        let mut value = Vec::new();
        put_bytes(&mut value, VALUE_TAG, tag.as_bytes());
        value.push(VALUE_SIMPLE);
        value.extend(number.to_le_bytes());
        put_bytes(&mut summary, SUMMARY_VALUE, &value);
    }
    let mut event = event(wall_time, step);
    put_bytes(&mut event, EVENT_SUMMARY, &summary);
    event
}

fn event(wall_time: f64, step: u64) -> Vec<u8> {
    let mut event = vec![EVENT_WALL_TIME];
    event.extend(wall_time.to_le_bytes());
    // Protobuf leaves out a field that has its default.
    if step > 0 {
        event.push(EVENT_STEP);
        put_varint(&mut event, step);
    }
    event
}

fn put_bytes(message: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    message.push(key);
    put_varint(message, bytes.len() as u64);
    message.extend(bytes);
}

/// Seven bits to a byte, lowest first; the top bit says that more follow.
fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(CRC_MASK)
}

/// Bit by bit: a step writes about a kilobyte, for which a table would not be worth its lines.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let carry = if crc & 1 == 1 { CRC32C_POLYNOMIAL } else { 0 };
            crc = (crc >> 1) ^ carry;
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::super::tests::trained;
    use super::*;

    #[test]
    fn checksums_equal_those_of_the_rfc() {
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&rising), 0x46dd_794e);
        assert_eq!(crc32c(&falling), 0x113f_db5c);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// Records that the `tensorboard` package 2.21 writes for the same events.
    #[test]
    fn records_have_the_bytes_that_tensorboard_writes() {
        let scalars = [("a".to_owned(), 1.5)];
        for (event, expected) in [
            (
                version_event(1.0),
                "1800000000000000a37f4b2209000000000000f03f1a0d627261696e2e4576656e743a3286bf577a",
            ),
            (
                scalar_event(2.5, 300, &scalars),
                "1800000000000000a37f4b2209000000000000044010ac022a0a0a080a0161150000c03f87833e09",
            ),
            (
                restart_event(2.5, 7),
                "0f000000000000006d532b0909000000000000044010073a0208019aaf83ce",
            ),
        ] {
            let pairs = (0..expected.len()).step_by(2).map(|at| &expected[at..at + 2]);
            let bytes: Vec<u8> = pairs.map(|hex| u8::from_str_radix(hex, 16).unwrap()).collect();
            assert_eq!(record(&event), bytes);
        }
    }

    #[test]
    fn every_file_has_its_own_name_and_whole_records() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = EventFile::create(folder.path(), None).unwrap();
        first.append(&trained(1)).unwrap();
        let second = EventFile::create(folder.path(), Some(1)).unwrap();
        assert_ne!(first.path(), second.path());
        assert!(first.path() < second.path());
        for (path, num_records) in [(first.path(), 2), (second.path(), 2)] {
            let bytes = std::fs::read(path).unwrap();
            let (mut at, mut found) = (0, 0);
            while at < bytes.len() {
                let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
                let data = &bytes[at + 12..at + 12 + length];
                let checksum = &bytes[at + 12 + length..at + 16 + length];
                assert_eq!(checksum, masked_crc32c(data).to_le_bytes());
                at += 16 + length;
                found += 1;
            }
            assert_eq!(found, num_records, "{}", path.display());
        }
    }
}
