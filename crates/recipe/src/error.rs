//! What can be wrong with a recipe, with the place in its file.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Line of a recipe file with a mark under the fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Line, counted from 1.
    pub line: usize,
    /// Character in the line, counted from 1.
    pub column: usize,
    /// Number of characters to mark, at least 1.
    pub width: usize,
    /// The line.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        // A tab before the mark stays a tab, so that the mark stands under its text.
        let indent: String = self
            .text
            .chars()
            .take(self.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(out, "{margin} --> {}:{}:{}", self.file.display(), self.line, self.column)?;
        writeln!(out, "{margin} |")?;
        writeln!(out, "{number} | {}", self.text)?;
        write!(out, "{margin} | {indent}{}", "^".repeat(self.width))
    }
}

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read the recipe `{}`: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The text is not TOML.
    #[error("the recipe is not valid TOML: {reason}\n{place}")]
    Syntax {
        /// What the parser says.
        reason: String,
        /// Where.
        place: Place,
    },
    /// A key of the file is unknown, missing, or has a value that it cannot have.
    #[error("`{key}`: {reason}\n{place}")]
    Key {
        /// Dotted key.
        key: String,
        /// What is wrong and what may stand there.
        reason: String,
        /// Where.
        place: Place,
    },
    /// The same for a key that an override set.
    #[error("`{key}`: {reason} (from `--set {argument}`)")]
    SetKey {
        /// Dotted key.
        key: String,
        /// What is wrong and what may stand there.
        reason: String,
        /// The override as given.
        argument: String,
    },
    /// An override is not `key=value`.
    #[error("`--set {argument}`: {reason}")]
    Set {
        /// The override as given.
        argument: String,
        /// What is wrong.
        reason: String,
    },
}
