//! Files that appear whole or not at all: they are written under another name, flushed to the disk, and renamed.
//!
//! What is in them is the caller's.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Ending of files that are not finished. No reader of data takes them for data.
const ENDING: &str = ".unfinished";

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct UnfinishedFile {
    path: PathBuf,
    unfinished: PathBuf,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
}

/// What a finished file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finished {
    /// Its length.
    pub(crate) bytes: u64,
    /// Hash of its bytes, in hexadecimal.
    pub(crate) blake3: String,
}

impl UnfinishedFile {
    /// Begins a file that will be at `path`, in a folder that exists.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(ENDING);
        let unfinished = PathBuf::from(unfinished);
        let file = BufWriter::new(File::create(&unfinished)?);
        Ok(Self {
            path: path.to_owned(),
            unfinished,
            file,
            hasher: blake3::Hasher::new(),
            bytes: 0,
        })
    }

    /// Makes it appear.
    pub(crate) fn finish(mut self) -> io::Result<Finished> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.unfinished, &self.path)?;
        Ok(Finished { bytes: self.bytes, blake3: self.hasher.finalize().to_hex().to_string() })
    }
}

impl Write for UnfinishedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a whole file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<Finished> {
    let mut file = UnfinishedFile::create(path)?;
    file.write_all(bytes)?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_not_there_before_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        fs::write(&path, "before").unwrap();
        let mut file = UnfinishedFile::create(&path).unwrap();
        file.write_all(b"af").unwrap();
        file.write_all(b"ter").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        let finished = file.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(finished.bytes, 5);
        assert_eq!(finished.blake3, blake3::hash(b"after").to_hex().to_string());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
