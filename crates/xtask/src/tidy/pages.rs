//! What a page says about the code must be there: files that it names, and what it names in them.
//!
//! Looked at are the code spans of Markdown pages. A span that begins with a folder of the repository is a path. A span
//! of several words joined by `_`, behind the path of a Rust file on the same line, is something in that file.

use super::Finding;
use super::files::File;

/// Folders that a path from the root begins with.
const FOLDERS: [&str; 4] = ["crates/", "reference/", "examples/", ".ci/"];

/// Finds names in a page that the repository does not have.
pub(super) fn check(page: &File, files: &[File]) -> Vec<Finding> {
    if !page.has_extension("md") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in page.numbered_lines() {
        let mut source: Option<&File> = None;
        for span in code_spans(line) {
            if is_path(span) {
                let is_there = |file: &&File| file.path == span || is_inside(&file.path, span);
                match files.iter().find(is_there) {
                    Some(file) => source = file.is_rust().then_some(file),
                    None => findings.push(Finding::at_line(
                        page,
                        number,
                        format!("`{span}` does not exist"),
                    )),
                }
            } else if let Some(source) = source.filter(|_| is_sentence(span))
                && !has_word(source, span)
            {
                let sentence = format!("`{}` has no `{span}`", source.path);
                findings.push(Finding::at_line(page, number, sentence));
            }
        }
    }
    findings
}

/// The texts between single backticks.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// A path that stands for exactly one file or folder.
fn is_path(span: &str) -> bool {
    FOLDERS.iter().any(|folder| span.starts_with(folder))
        && !span.contains(|character: char| "*{}<> …".contains(character))
}

fn is_inside(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| folder.ends_with('/') || rest.starts_with('/'))
}

/// A name such as tests have: words joined by `_`, at least three.
fn is_sentence(span: &str) -> bool {
    let is_name =
        span.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    is_name && span.matches('_').count() >= 2
}

fn has_word(file: &File, word: &str) -> bool {
    let text = file.text().unwrap_or_default();
    text.split(|character: char| !character.is_alphanumeric() && character != '_')
        .any(|other| other == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(line: &str) -> Vec<String> {
        let files = [
            File::new("crates/model/tests/parity.rs", "fn every_stage_equals_it() {}"),
            File::new("examples/table.jpg", [0xff]),
        ];
        let findings = check(&File::new("README.md", line), &files);
        findings.into_iter().map(|finding| finding.sentence).collect()
    }

    #[test]
    fn files_and_tests_that_are_there_are_no_findings() {
        let known = "`examples/table.jpg`, `crates/model/`, `crates/model`, `examples/*.png`";
        assert!(sentences(known).is_empty());
        assert!(sentences("`crates/model/tests/parity.rs` `every_stage_equals_it`").is_empty());
        assert!(sentences("`crates/model/tests/parity.rs` `head_dim`, `a b c`").is_empty());
        assert!(sentences("`some_other_name` without a file").is_empty());
    }

    #[test]
    fn a_file_that_is_gone_is_named() {
        assert_eq!(sentences("see `examples/table.png`"), ["`examples/table.png` does not exist"]);
        assert_eq!(sentences("`crates/mod` is no folder"), ["`crates/mod` does not exist"]);
    }

    #[test]
    fn a_test_that_is_gone_is_named_with_its_file() {
        assert_eq!(
            sentences("`crates/model/tests/parity.rs` `every_stage_equals`"),
            ["`crates/model/tests/parity.rs` has no `every_stage_equals`"]
        );
    }

    #[test]
    fn only_pages_are_read() {
        let source = File::new("crates/model/src/lib.rs", "//! `examples/gone.jpg`");
        assert_eq!(check(&source, &[]), []);
    }
}
