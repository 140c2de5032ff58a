//! Small files of a checkpoint folder, read whole.

use std::path::Path;
use std::{fs, io};

use serde_json::{Map, Value};

use crate::error::LoadError;

/// Text of a file, or `None` when there is no such file.
pub(crate) fn read_text(folder: &Path, file: &str) -> Result<Option<String>, LoadError> {
    let path = folder.join(file);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LoadError::Unreadable { path, source }),
    }
}

/// JSON object of a file, or `None` when there is no such file.
pub(crate) fn read_json(
    folder: &Path,
    file: &str,
) -> Result<Option<Map<String, Value>>, LoadError> {
    let Some(text) = read_text(folder, file)? else { return Ok(None) };
    let value = serde_json::from_str(&text)
        .map_err(|error| LoadError::Json { path: folder.join(file), reason: error.to_string() })?;
    Ok(Some(value))
}
