//! The files that are looked at: what git has, and what it would take.

use anyhow::{Context, bail};
use std::path::Path;
use std::process::Command;

/// A file with its path from the root of the repository, parts separated by `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

impl File {
    pub(super) fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), bytes: bytes.into() }
    }

    /// Its content, if that is text.
    pub(super) fn text(&self) -> Option<&str> {
        str::from_utf8(&self.bytes).ok().filter(|text| !text.contains('\0'))
    }

    /// Lines of a text with their numbers, counted from 1; none of anything else.
    pub(super) fn numbered_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text().unwrap_or_default().lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Whether its name ends in `.` and `extension`.
    pub(super) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    pub(super) fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }
}

/// Reads every file that git tracks, or would track, of the repository that this crate belongs to.
///
/// # Errors
/// If git is not there, or a file cannot be read.
pub(crate) fn of_repository() -> anyhow::Result<Vec<File>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // The owner of a checkout is often another user where checks run; listing files runs nothing of it.
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*"])
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .context("`git` cannot be run; it lists the files to check")?;
    if !listed.status.success() {
        bail!("`git ls-files` failed: {}", String::from_utf8_lossy(&listed.stderr).trim());
    }
    let paths = String::from_utf8(listed.stdout).context("a path is not UTF-8")?;
    let mut paths: Vec<&str> = paths.split_terminator('\0').collect();
    paths.sort_unstable();
    paths.dedup();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let file = root.join(path);
        // Deleted, but not yet for git.
        if !file.exists() {
            continue;
        }
        let bytes = std::fs::read(&file).with_context(|| format!("cannot read `{path}`"))?;
        files.push(File::new(path, bytes));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_have_no_lines() {
        assert_eq!(File::new("a.png", [0x89, b'P', 0xff]).numbered_lines().count(), 0);
        assert_eq!(File::new("a.bin", "a\0b").numbered_lines().count(), 0);
        let text = File::new("a.txt", "a\nb\n");
        assert_eq!(text.numbered_lines().collect::<Vec<_>>(), [(1, "a"), (2, "b")]);
    }
}
