//! MMPR: pairs of reasoned answers from many sets about pictures, in one file for each set.
//!
//! How often a set is repeated (`repeat_time`) is a matter of mixing, and not read.
//!
//! # Source
//! The data card of `OpenGVLab/MMPR` and its later versions, and the loader of InternVL: `meta.json` is `{name: {root, annotation, data_augment,
//! repeat_time, length}}`; the rows of an annotation file have `question, chosen, rejected` and `image` (a text or a list), `video`, or neither.
//! `<image>` and a line break precede a question that has no place for its picture.

use std::fs;
use std::path::{Path, PathBuf};

use super::pictured::{MARK, below_marks, pictured};
use super::{Reading, Source, SourceFile, plain_files, texts_of};
use crate::comparison::Preference;
use crate::error::{DataError, RowFault};
use crate::fields::{mistyped, required, text};
use crate::formats::{Parsed, refuse_other_media};
use crate::pictures::listed;
use crate::value::{Value, parse_json};

/// The file that lists the others.
const LISTING: &str = "meta.json";

pub(super) static SOURCE: Source = Source {
    name: "mmpr",
    title: "MMPR",
    home: "OpenGVLab/MMPR-v1.2",
    license: "MIT",
    about: "One file for each set, listed with its folder of pictures in `meta.json`; rows about videos are refused.",
    id_key: Some("id"),
    recognizes: |row| row.has(&["question", "chosen", "rejected"]),
    files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    refuse_other_media(row)?;
    let images = listed(row, image_dir)?;
    let question = text(required(row, "question")?, "question")?;
    let question = if question.contains(MARK) {
        question.to_owned()
    } else {
        below_marks(question, images.len())
    };
    let responses = texts_of(row, &["chosen", "rejected"])?;
    pictured("question", question, responses, images, Preference::first_of_two())
}

/// The files that `meta.json` lists, if the path is this file or its folder; otherwise those of the path.
fn files(path: &Path) -> Result<Vec<SourceFile>, DataError> {
    let listing = if path.is_dir() { path.join(LISTING) } else { path.to_owned() };
    if !listing.ends_with(LISTING) || !listing.is_file() {
        return plain_files(path);
    }
    let content = fs::read_to_string(&listing)
        .map_err(|source| DataError::Unreadable { path: listing.clone(), source })?;
    let faulty = |fault| DataError::Listing { path: listing.clone(), fault };
    let sets = match parse_json(&content).map_err(faulty)? {
        Value::Object(sets) => sets,
        other => return Err(faulty(RowFault::NotAnObject { found: other.kind() })),
    };
    let mut files = Vec::with_capacity(sets.len());
    for (name, set) in &sets {
        let file = SourceFile {
            path: listed_path(&listing, name, set, "annotation")?,
            image_dir: listed_path(&listing, name, set, "root")?,
        };
        // The same file with another way to augment its pictures has the same pairs.
        if !files.contains(&file) {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(DataError::NoRows { path: listing });
    }
    Ok(files)
}

/// Where a listed file or folder is. Paths start at the folder that the set was put into, whose name they may begin with.
fn listed_path(
    listing: &Path,
    name: &str,
    set: &Value,
    key: &'static str,
) -> Result<PathBuf, DataError> {
    let full_key = format!("{name}.{key}");
    let written = match set.get(key) {
        Some(Value::Text(written)) => Path::new(written),
        other => {
            let fault = mistyped(other.unwrap_or(&Value::Null), &full_key, "a text");
            return Err(DataError::Listing { path: listing.to_owned(), fault });
        }
    };
    let folder = listing.parent().unwrap_or(Path::new(""));
    let whole = folder.join(written);
    let within = folder.join(written.iter().skip(1).collect::<PathBuf>());
    // Without this, a path of one name would stand for the folder itself.
    let has_more = written.iter().count() > 1;
    if whole.exists() {
        Ok(whole)
    } else if has_more && within.exists() {
        Ok(within)
    } else {
        let (listing, name) = (listing.to_owned(), name.to_owned());
        Err(DataError::ListedMissing { listing, name, key, path: whole })
    }
}
