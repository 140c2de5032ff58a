//! Choices of people, kept as a preference file: one row a line, pictures beside it under their hashes.
//!
//! The rows are those that `data` reads. A line is written whole or not at all; what a row means is decided by its route. The file and its
//! pictures together stay under a number of bytes, as far as this process alone writes them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

/// A choice between two answers in the keys of a ranking.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FeedbackRow {
    /// Name of the row.
    pub(crate) id: String,
    /// `feedback`.
    pub(crate) source: &'static str,
    /// Files of the pictures, from the folder of the preference file.
    pub(crate) images: Vec<String>,
    /// The question as messages.
    pub(crate) prompt: Value,
    /// The answers in the order in which they were shown.
    pub(crate) responses: [String; 2],
    /// 0 for the better one; both 0 for a tie.
    pub(crate) ranks: [u32; 2],
    /// What the served model said of them.
    pub(crate) rewards: [f32; 2],
    /// Hash of the served model.
    pub(crate) model: String,
}

/// A preference file that grows.
#[derive(Debug)]
pub(crate) struct FeedbackFile {
    /// Folder of the pictures, as rows name it.
    images_name: String,
    images_folder: PathBuf,
    max_bytes: u64,
    kept: Mutex<Kept>,
}

/// What is written to, and how much there is.
#[derive(Debug)]
struct Kept {
    file: File,
    /// Bytes of the file and of the pictures.
    bytes: u64,
}

/// Why a choice is not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    /// There is as much as is kept.
    #[error(
        "the choices and their pictures would have more than the {max_bytes} bytes that this server keeps; \
         whoever runs it can raise --max-feedback-bytes or begin another file"
    )]
    Full {
        /// Bytes that are kept.
        max_bytes: u64,
    },
    /// The system did not write it.
    #[error("the choice could not be written: {source}; make room, and choose again")]
    Write {
        /// What the operating system said.
        #[from]
        source: io::Error,
    },
}

impl FeedbackFile {
    /// Opens or begins a file. A line that a crash left unfinished is ended, so that it is one damaged row and not two.
    pub(crate) fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        if file.seek(SeekFrom::End(0))? > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        let mut name = path.file_stem().map_or_else(|| "feedback".into(), OsString::from);
        name.push(".images");
        let images_name = name.to_string_lossy().into_owned();
        let images_folder = path.with_file_name(&images_name);
        fs::create_dir_all(&images_folder)?;
        let bytes = file.metadata()?.len() + bytes_inside(&images_folder)?;
        let kept = Mutex::new(Kept { file, bytes });
        Ok(Self { images_name, images_folder, max_bytes, kept })
    }

    /// Keeps a row whose pictures are these; of a row that there is no room for, nothing is kept.
    pub(crate) fn keep(&self, mut row: FeedbackRow, pictures: &[Vec<u8>]) -> Result<(), KeepError> {
        // Whoever held it before has failed, but a file has no state that could be half changed.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<String> = pictures.iter().map(|bytes| picture_name(bytes)).collect();
        row.images = names.iter().map(|name| format!("{}/{name}", self.images_name)).collect();
        let mut line = serde_json::to_vec(&row).map_err(io::Error::from)?;
        line.push(b'\n');
        // A picture that a row has twice is one file.
        let files: BTreeMap<&String, &Vec<u8>> = names.iter().zip(pictures).collect();
        let files = files.into_iter().map(|(name, bytes)| (self.images_folder.join(name), bytes));
        let missing: Vec<_> = files.filter(|(path, _)| !path.exists()).collect();
        let added = line.len() + missing.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        if kept.bytes + added as u64 > self.max_bytes {
            return Err(KeepError::Full { max_bytes: self.max_bytes });
        }
        for (path, bytes) in missing {
            store(&path, bytes)?;
            kept.bytes += bytes.len() as u64;
        }
        // One write to a file that is open for appending: lines of several processes do not mix.
        kept.file.write_all(&line)?;
        kept.bytes += line.len() as u64;
        kept.file.sync_data()?;
        Ok(())
    }
}

/// Bytes of the files in a folder.
fn bytes_inside(folder: &Path) -> io::Result<u64> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// Name of a picture's file.
fn picture_name(bytes: &[u8]) -> String {
    format!("{}.{}", blake3::hash(bytes).to_hex(), extension(bytes))
}

/// Writes a picture whole or not at all.
fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(format!("unfinished-{}", std::process::id()));
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&unfinished, path)
}

/// The ending that fits the beginning of a picture file.
fn extension(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [0xff, 0xd8, ..] => "jpg",
        [b'G', b'I', b'F', ..] => "gif",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        [b'B', b'M', ..] => "bmp",
        _ => "image",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str) -> FeedbackRow {
        FeedbackRow {
            id: id.to_owned(),
            source: "feedback",
            images: Vec::new(),
            prompt: Value::from("Which?"),
            responses: ["a\nb".to_owned(), "c".to_owned()],
            ranks: [0, 1],
            rewards: [0.5, -0.5],
            model: "m".to_owned(),
        }
    }

    #[test]
    fn a_line_that_was_left_unfinished_does_not_damage_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("choices.jsonl");
        fs::write(&path, "{\"id\":\"torn").unwrap();
        for id in ["whole", "next"] {
            FeedbackFile::open(&path, u64::MAX).unwrap().keep(row(id), &[]).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (3, "{\"id\":\"torn"));
        let ids: Vec<Value> =
            lines[1..].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&ids[0]["id"], &ids[1]["id"]), (&Value::from("whole"), &Value::from("next")));
    }

    #[test]
    fn a_picture_is_stored_once_under_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let file = FeedbackFile::open(&folder.path().join("choices.jsonl"), u64::MAX).unwrap();
        let png = b"\x89PNG and more".to_vec();
        file.keep(row("1"), &[png.clone(), b"BM".to_vec()]).unwrap();
        file.keep(row("2"), std::slice::from_ref(&png)).unwrap();
        let images = folder.path().join("choices.images");
        assert_eq!(fs::read_dir(&images).unwrap().count(), 2);
        let name = format!("{}.png", blake3::hash(&png).to_hex());
        assert_eq!(fs::read(images.join(&name)).unwrap(), png);
        let text = fs::read_to_string(folder.path().join("choices.jsonl")).unwrap();
        assert_eq!(text.matches(&format!("choices.images/{name}")).count(), 2);
    }

    #[test]
    fn what_there_is_no_room_for_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("choices.jsonl");
        let picture = b"\x89PNG and more".to_vec();
        let pictures = [picture.clone(), picture];
        FeedbackFile::open(&path, u64::MAX).unwrap().keep(row("1"), &pictures).unwrap();
        let images = folder.path().join("choices.images");
        let kept = || fs::metadata(&path).unwrap().len() + bytes_inside(&images).unwrap();
        let (first, line) = (kept(), fs::metadata(&path).unwrap().len());
        // The picture is there already, and takes no more room.
        let file = FeedbackFile::open(&path, first + line).unwrap();
        file.keep(row("2"), &pictures).unwrap();
        assert_eq!(kept(), first + line);
        let error = file.keep(row("3"), &[b"BM".to_vec()]).unwrap_err();
        assert!(matches!(error, KeepError::Full { max_bytes } if max_bytes == first + line));
        assert_eq!(kept(), first + line);
        let file = FeedbackFile::open(&path, first + line).unwrap();
        assert!(matches!(file.keep(row("3"), &[]), Err(KeepError::Full { .. })));
    }
}
