//! Choices of people, kept as a preference file: one row a line, pictures beside it under their hashes.
//!
//! The rows are those that `data` reads. A line is written whole or not at all; what a row means is decided by its route.

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
    file: Mutex<File>,
}

impl FeedbackFile {
    /// Opens or begins a file. A line that a crash left unfinished is ended, so that it is one damaged row and not two.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
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
        Ok(Self { images_name, images_folder, file: Mutex::new(file) })
    }

    /// Keeps a row whose pictures are these.
    pub(crate) fn keep(&self, mut row: FeedbackRow, pictures: &[Vec<u8>]) -> io::Result<()> {
        // Whoever held it before has failed, but a file has no state that could be half changed.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        row.images = pictures.iter().map(|bytes| self.store(bytes)).collect::<Result<_, _>>()?;
        let mut line = serde_json::to_vec(&row)?;
        line.push(b'\n');
        // One write to a file that is open for appending: lines of several processes do not mix.
        file.write_all(&line)?;
        file.sync_data()
    }

    /// Writes a picture unless it is there, and returns its name for rows.
    fn store(&self, bytes: &[u8]) -> io::Result<String> {
        let name = format!("{}.{}", blake3::hash(bytes).to_hex(), extension(bytes));
        let path = self.images_folder.join(&name);
        if !path.exists() {
            let unfinished = path.with_extension(format!("unfinished-{}", std::process::id()));
            let mut file = File::create(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&unfinished, &path)?;
        }
        Ok(format!("{}/{name}", self.images_name))
    }
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
        FeedbackFile::open(&path).unwrap().keep(row("whole"), &[]).unwrap();
        FeedbackFile::open(&path).unwrap().keep(row("next"), &[]).unwrap();
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
        let file = FeedbackFile::open(&folder.path().join("choices.jsonl")).unwrap();
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
}
