//! Names, sizes and hashes of the files of a folder.

use std::fs::{self, File};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// A file as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileHash {
    /// Path inside of the folder, with `/`.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// BLAKE3 hash of its content, in hexadecimal.
    pub blake3: String,
}

/// All files below a folder, sorted by name.
pub(super) fn of_folder(folder: &Path) -> Result<Vec<FileHash>, TrainError> {
    let mut files = Vec::new();
    collect(folder, "", &mut files)?;
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<FileHash>) -> Result<(), TrainError> {
    let fault = |source| TrainError::read(folder, source);
    for entry in fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push(of_file(&entry.path(), name)?);
        }
    }
    Ok(())
}

fn of_file(path: &Path, name: String) -> Result<FileHash, TrainError> {
    let fault = |source| TrainError::read(path, source);
    let mut hasher = blake3::Hasher::new();
    let file = File::open(path).map_err(fault)?;
    hasher.update_reader(file).map_err(fault)?;
    Ok(FileHash {
        name,
        size_bytes: hasher.count(),
        blake3: hasher.finalize().to_hex().to_string(),
    })
}

/// Whether a folder still holds the files, with their content.
pub(super) fn verify(folder: &Path, files: &[FileHash]) -> Result<(), TrainError> {
    for expected in files {
        let path = folder.join(&expected.name);
        let damaged = |reason: String| TrainError::Damaged { file: path.clone(), reason };
        let size_bytes = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) => return Err(damaged(error.to_string())),
        };
        if size_bytes != expected.size_bytes {
            let wanted = expected.size_bytes;
            return Err(damaged(format!(
                "it has {size_bytes} bytes, but was written with {wanted}"
            )));
        }
        if of_file(&path, expected.name.clone())?.blake3 != expected.blake3 {
            return Err(damaged("its content is not what was written".to_owned()));
        }
    }
    Ok(())
}
