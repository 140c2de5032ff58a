//! Files that survive a crash: written beside their place, flushed to the disk, renamed.
//!
//! Knows no formats.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::TrainError;

/// Writes a small file so that a crash leaves the old content or the new one.
pub(crate) fn write(file: &Path, content: &[u8]) -> Result<(), TrainError> {
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    let partial = file.with_file_name(name);
    let done = fs::write(&partial, content)
        .and_then(|()| sync(&partial))
        .and_then(|()| fs::rename(&partial, file))
        .and_then(|()| sync_parent(file));
    done.map_err(|source| TrainError::write(file, source))
}

/// Flushes every file and folder below `folder`, and `folder` itself.
pub(crate) fn sync_tree(folder: &Path) -> Result<(), TrainError> {
    let fault = |source| TrainError::write(folder, source);
    for entry in fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            sync(&path).map_err(|source| TrainError::write(&path, source))?;
        }
    }
    sync(folder).map_err(fault)
}

/// Flushes one file or folder.
fn sync(path: &Path) -> io::Result<()> {
    // Folders cannot be flushed everywhere; where they cannot, a rename is as durable as the system makes it.
    match File::open(path) {
        Ok(file) if path.is_dir() => file.sync_all().or(Ok(())),
        Ok(file) => file.sync_all(),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Flushes the folder that a path is in, which makes a rename durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => Ok(()),
    }
}
