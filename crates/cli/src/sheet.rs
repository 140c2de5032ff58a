//! Facts for people: labels left, values right, numbers with units.
//!
//! Only text is made here. Numbers for machines go out as JSON and are never shortened.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Width of the labels; a longer one pushes its value to the right.
const LABEL_WIDTH: usize = 20;

/// A page of labels and values under titles.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    text: String,
}

impl Sheet {
    /// Begins a part of the page.
    pub(crate) fn title(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.line(title);
    }

    /// Adds a value under the last title.
    pub(crate) fn row(&mut self, label: &str, value: impl AsRef<str>) {
        self.line(&format!("  {label:<LABEL_WIDTH$} {}", value.as_ref()));
    }

    /// Adds text as it is.
    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// The page so far.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// Columns of text, each as wide as its widest cell.
pub(crate) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    rows.iter()
        .map(|row| {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = width(column).unwrap_or(0);
                // Writing to a string cannot fail.
                let _ = write!(line, "{cell:<width$}  ");
            }
            line.trim_end().to_owned()
        })
        .collect()
}

/// A size in bytes with a decimal unit.
pub(crate) fn bytes(size: u64) -> String {
    /// Units above one byte, each a thousand of the one before.
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = size as f64;
    let mut unit = "bytes";
    for next in UNITS {
        // What would round to 1000.00 is already one of the next unit.
        if value < 999.995 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "bytes" { format!("{size} bytes") } else { format!("{value:.2} {unit}") }
}

/// A time with a unit that leaves few digits.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// A path as it can be pasted into a shell.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+=:@%,".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_leaves_up_to_three_digits() {
        assert_eq!(
            [999, 1000, 999_994, 999_996, 7_513_000_000].map(bytes),
            ["999 bytes", "1.00 kB", "999.99 kB", "1.00 MB", "7.51 GB"]
        );
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let cells = |row: [&str; 3]| row.map(str::to_owned).to_vec();
        assert_eq!(
            columns(&[cells(["a", "bbb", "c"]), cells(["aaa", "b", ""])]),
            ["a    bbb  c", "aaa  b"]
        );
    }

    #[test]
    fn only_paths_that_a_shell_would_split_are_quoted() {
        assert_eq!(shell_word(Path::new("runs/tiny-1.0")), "runs/tiny-1.0");
        assert_eq!(shell_word(Path::new("my model")), "'my model'");
        assert_eq!(shell_word(Path::new("it's")), r"'it'\''s'");
    }
}
