//! Rules for Rust files: how they open, how long they are, where `unsafe` may stand.

use super::Finding;
use super::files::File;

/// Most lines of a file, its test module aside.
const MAX_LINES: usize = 500;

/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Where unsafe code may stand: the kernels, and the file that maps weights.
const UNSAFE_PLACES: [&str; 2] = ["crates/engine/src/", "crates/model/src/checkpoint/mapped.rs"];

/// Checks one Rust file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if !file.text().is_some_and(|text| text.starts_with("//!")) {
        findings.push(Finding::of_file(
            file,
            "does not open with `//!`; say what the file is for and what it does not do",
        ));
    }
    let num_lines = counted_lines(file);
    let is_excepted = LONG_FILES.iter().any(|(path, _)| *path == file.path);
    if num_lines > MAX_LINES && !is_excepted && !is_test(&file.path) {
        findings.push(Finding::of_file(
            file,
            format!(
                "{num_lines} lines before its tests; split it at {MAX_LINES}, or name it with a reason in `LONG_FILES`"
            ),
        ));
    }
    if !UNSAFE_PLACES.iter().any(|place| file.path.starts_with(place)) {
        findings.extend(file.numbered_lines().filter(|(_, line)| has_unsafe(line)).map(
            |(number, _)| {
                let places = UNSAFE_PLACES.join("` and `");
                Finding::at_line(file, number, format!("unsafe code belongs into `{places}`"))
            },
        ));
    }
    findings
}

/// Exceptions that no file needs any more.
pub(super) fn outdated_exceptions(files: &[File]) -> Vec<Finding> {
    outdated(LONG_FILES, files)
}

fn outdated(exceptions: &[(&str, &str)], files: &[File]) -> Vec<Finding> {
    let is_long =
        |path: &str| files.iter().any(|file| file.path == path && counted_lines(file) > MAX_LINES);
    let unneeded = exceptions.iter().filter(|(path, _)| !is_long(path));
    unneeded
        .map(|(path, _)| Finding {
            path: (*path).to_owned(),
            line: None,
            sentence: format!("not over {MAX_LINES} lines; take it out of `LONG_FILES`"),
        })
        .collect()
}

/// Lines before the test module.
fn counted_lines(file: &File) -> usize {
    let lines: Vec<&str> = file.numbered_lines().map(|(_, line)| line).collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].contains("mod tests") && pair[1].ends_with('{')
    });
    tests.unwrap_or(lines.len())
}

/// Files that hold nothing but tests.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Whether a line of code has the keyword; comments and texts in quotes aside.
fn has_unsafe(line: &str) -> bool {
    let mut code = String::new();
    let mut in_text = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if in_text => {
                characters.next();
            }
            '"' => in_text = !in_text,
            '/' if !in_text && characters.peek() == Some(&'/') => break,
            _ if !in_text => code.push(character),
            _ => {}
        }
    }
    code.split(|character: char| !character.is_alphanumeric() && character != '_')
        .any(|word| word == "unsafe")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(path: &str, text: &str) -> Vec<String> {
        check(&File::new(path, text)).into_iter().map(|finding| finding.sentence).collect()
    }

    #[test]
    fn a_file_opens_with_what_it_is_for() {
        assert!(sentences("crates/model/src/head.rs", "//! The head.\n").is_empty());
        for text in ["", "use engine;\n", "// The head.\n", "\n//! The head.\n"] {
            assert!(sentences("crates/model/src/head.rs", text)[0].contains("open"), "{text:?}");
        }
        assert!(sentences("reference/goldens.py", "import torch\n").is_empty());
    }

    #[test]
    fn a_long_file_is_found_unless_its_end_is_tests() {
        let code = "//! Doc.\n".to_owned() + &"code();\n".repeat(MAX_LINES - 1);
        let tests = "#[cfg(test)]\nmod tests {\n}\n".to_owned() + &"more();\n".repeat(MAX_LINES);
        assert!(sentences("crates/model/src/head.rs", &code).is_empty());
        assert!(sentences("crates/model/src/head.rs", &(code.clone() + &tests)).is_empty());
        let long = code + "code();\n";
        assert!(sentences("crates/model/src/head.rs", &long)[0].starts_with("501 lines"));
        assert!(sentences("crates/model/tests/parity.rs", &long).is_empty());
        assert!(sentences("crates/model/src/config/tests.rs", &long).is_empty());
    }

    #[test]
    fn an_exception_that_is_not_needed_is_found() {
        let long = "//! Doc.\n".to_owned() + &"code();\n".repeat(MAX_LINES);
        let files = [File::new("long.rs", long), File::new("short.rs", "//! Doc.\n")];
        let exceptions = [("long.rs", "why"), ("short.rs", "why"), ("gone.rs", "why")];
        let found: Vec<String> =
            outdated(&exceptions, &files).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, ["short.rs", "gone.rs"]);
    }

    #[test]
    fn unsafe_code_is_found_outside_of_its_places() {
        let text = "//! Doc.\nlet x = unsafe { *p };\n";
        assert_eq!(check(&File::new("crates/prompt/src/lib.rs", text))[0].line, Some(2));
        assert_eq!(sentences("crates/engine/tests/operations.rs", text).len(), 1);
        assert!(sentences("crates/engine/src/product/amx.rs", text).is_empty());
        assert!(sentences("crates/model/src/checkpoint/mapped.rs", text).is_empty());
    }

    #[test]
    fn the_word_alone_is_not_unsafe_code() {
        for line in ["// unsafe here", "unsafe_code", "\"unsafe\"", "\"\\\"unsafe\"", "x // unsafe"]
        {
            assert!(!has_unsafe(line), "{line}");
        }
        for line in ["unsafe fn f()", "f(\"//\", unsafe { g() })", "unsafe{}"] {
            assert!(has_unsafe(line), "{line}");
        }
    }
}
