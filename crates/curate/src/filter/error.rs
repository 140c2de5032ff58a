//! Filters that cannot be compiled.

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// It is no expression.
    #[error("the filter `{expression}` cannot be read: {reason}")]
    Syntax {
        /// The expression.
        expression: String,
        /// What the parser said.
        reason: String,
    },
    /// It asks for something that no record has.
    #[error(
        "the filter `{expression}` asks for `{name}`, which does not exist; use one of: {known}"
    )]
    UnknownName {
        /// The expression.
        expression: String,
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// It sends a value through a filter of the language that does not exist.
    #[error(
        "the filter `{expression}` has `| {name}`, which does not exist; see Jinja's list of filters"
    )]
    UnknownFilter {
        /// The expression.
        expression: String,
        /// The name.
        name: String,
    },
    /// It has a test that does not exist.
    #[error(
        "the filter `{expression}` has `is {name}`, which does not exist; see Jinja's list of tests"
    )]
    UnknownTest {
        /// The expression.
        expression: String,
        /// The name.
        name: String,
    },
    /// A pattern is no regular expression.
    #[error(
        "the filter `{expression}` has the pattern `{pattern}`, which cannot be read: {reason}"
    )]
    Pattern {
        /// The expression.
        expression: String,
        /// The pattern.
        pattern: String,
        /// What the parser said.
        reason: String,
    },
    /// It counts tokens, and nothing says which.
    #[error(
        "the filter `{expression}` counts tokens; name a folder of a model, or its `tokenizer.json`, as `tokenizer`"
    )]
    NoTokenizer {
        /// The expression.
        expression: String,
    },
}
