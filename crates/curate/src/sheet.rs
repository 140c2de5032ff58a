//! Tables of words and numbers, for a terminal and for Markdown.
//!
//! The first column is words, the others are numbers. What stands in them is the caller's.

use std::fmt::Write;

/// Rows under names of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sheet {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Sheet {
    /// An empty table.
    pub(crate) fn new<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Self {
        Self { columns: columns.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row with a value for every column.
    pub(crate) fn push(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.columns.len(), "a row has a value for every column");
        self.rows.push(row);
    }

    /// For a terminal: numbers end below each other.
    pub(crate) fn text(&self) -> String {
        let length = |text: &String| text.chars().count();
        let width = |column: usize| {
            let values = self.rows.iter().map(|row| length(&row[column]));
            values.chain([length(&self.columns[column])]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for row in std::iter::once(&self.columns).chain(&self.rows) {
            let mut line = String::new();
            for (column, (value, width)) in row.iter().zip(&widths).enumerate() {
                let padding = " ".repeat(width - length(value));
                if column == 0 {
                    line.extend([value, padding.as_str()]);
                } else {
                    line.extend(["  ", &padding, value]);
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// For Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        push_markdown(&mut text, &self.columns);
        text.push_str("|---");
        text.push_str(&"|--:".repeat(self.columns.len() - 1));
        text.push_str("|\n");
        for row in &self.rows {
            push_markdown(&mut text, row);
        }
        text
    }
}

fn push_markdown(text: &mut String, row: &[String]) {
    for value in row {
        write!(text, "| {} ", escaped(value)).expect("a String takes any text");
    }
    text.push_str("|\n");
}

/// A text of the data that must not become Markdown or HTML.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for symbol in text.chars() {
        match symbol {
            '|' | '*' | '_' | '[' | ']' | '#' | '\\' => escaped.extend(['\\', symbol]),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            symbol if symbol.is_control() => escaped.push(' '),
            symbol => escaped.push(symbol),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let mut sheet = Sheet::new(["source", "rows"]);
        sheet.push(vec!["süß|<b>".to_owned(), "7".to_owned()]);
        sheet.push(vec!["a".to_owned(), "1,234".to_owned()]);
        sheet
    }

    #[test]
    fn numbers_end_below_each_other() {
        assert_eq!(sheet().text(), "source    rows\nsüß|<b>      7\na        1,234\n");
    }

    #[test]
    fn texts_cannot_break_out_of_markdown() {
        assert_eq!(
            sheet().markdown(),
            "| source | rows |\n|---|--:|\n| süß\\|&lt;b&gt; | 7 |\n| a | 1,234 |\n"
        );
    }
}
