//! What is checked, and how a finding looks. Each submodule holds the rules for one kind of file.

pub(crate) mod files;
mod machine_paths;
mod names;
mod pages;
mod sources;

use std::fmt;

use files::File;

/// Largest file that belongs into the repository.
const MAX_FILE_BYTES: usize = 1_000_000;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    /// Counted from 1; absent when the finding is about the whole file.
    line: Option<usize>,
    sentence: String,
}

impl Finding {
    fn of_file(file: &File, sentence: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line: None, sentence: sentence.into() }
    }

    fn at_line(file: &File, line: usize, sentence: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::of_file(file, sentence) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "{}:{line}: {}", self.path, self.sentence),
            None => write!(formatter, "{}: {}", self.path, self.sentence),
        }
    }
}

/// All findings, file by file.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        findings.extend(too_large(file));
        findings.extend(machine_paths::check(file));
        findings.extend(names::check(file));
        findings.extend(sources::check(file));
        findings.extend(pages::check(file, files));
    }
    findings.extend(sources::outdated_exceptions(files));
    findings
}

fn too_large(file: &File) -> Option<Finding> {
    let size = file.bytes.len();
    (size > MAX_FILE_BYTES).then(|| {
        Finding::of_file(
            file,
            format!("{size} bytes; the most is {MAX_FILE_BYTES}, make it smaller"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_more_than_a_megabyte_is_found() {
        let mut file = File::new("examples/table.jpg", vec![0; MAX_FILE_BYTES]);
        assert_eq!(too_large(&file), None);
        file.bytes.push(0);
        let finding = too_large(&file).unwrap().to_string();
        assert_eq!(
            finding,
            "examples/table.jpg: 1000001 bytes; the most is 1000000, make it smaller"
        );
    }

    #[test]
    fn every_rule_is_applied() {
        let files = [
            File::new("crates/model/src/utils.rs", "//! Doc.\n"),
            File::new("crates/model/src/head.rs", "use engine;\n"),
            File::new("README.md", "See `crates/model/src/gone.rs`.\n"),
            File::new("notes.txt", format!("/{}/notes\n", "tmp")),
            File::new("large", vec![0; MAX_FILE_BYTES + 1]),
        ];
        let found: Vec<String> = check(&files).into_iter().map(|finding| finding.path).collect();
        let paths: Vec<String> = files.into_iter().map(|file| file.path).collect();
        assert_eq!(found, paths);
    }
}
