//! The functions of expressions.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};
use regex::Regex;

use super::html::has_html;

/// Counts the tokens of a text.
pub type CountTokens = Arc<dyn Fn(&str) -> Result<usize, prompt::EncodeError> + Send + Sync>;

/// Name of the function that needs a tokenizer.
pub(super) const TOKENS: &str = "tokens";
/// Name of the function that searches for a pattern.
pub(super) const MATCHES: &str = "matches";

pub(super) const NAMES: [&str; 5] = ["chars", "words", TOKENS, MATCHES, "has_html"];

/// Adds the functions that need nothing else.
pub(super) fn add(language: &mut Environment<'static>) {
    language.add_function("chars", |value: &Value| Ok::<_, Error>(text(value)?.chars().count()));
    language.add_function("words", |value: &Value| {
        Ok::<_, Error>(text(value)?.split_whitespace().count())
    });
    language.add_function("has_html", |value: &Value| Ok::<_, Error>(has_html(text(value)?)));
}

/// The text in a value.
fn text(value: &Value) -> Result<&str, Error> {
    value.as_str().ok_or_else(|| {
        if value.is_undefined() {
            return Error::from(ErrorKind::UndefinedError);
        }
        let detail = format!("a function needs a text and is given a {}", value.kind());
        Error::new(ErrorKind::InvalidOperation, detail)
    })
}

/// The functions that need a tokenizer, or remember something.
pub(super) struct Functions {
    matches: Value,
    tokens: Option<Value>,
}

impl Functions {
    pub(super) fn new(tokens: Option<CountTokens>) -> Self {
        let patterns = Patterns::default();
        let matches = move |searched: &Value, pattern: &Value| {
            patterns.is_match(text(searched)?, text(pattern)?)
        };
        let tokens = tokens.map(|count| {
            Value::from_function(move |value: &Value| {
                count(text(value)?).map_err(|error| failed(&error))
            })
        });
        Self { matches: Value::from_function(matches), tokens }
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        match name {
            TOKENS => self.tokens.clone(),
            MATCHES => Some(self.matches.clone()),
            _ => None,
        }
    }
}

/// Patterns that have been compiled.
#[derive(Default)]
struct Patterns(RwLock<HashMap<String, Regex>>);

impl Patterns {
    /// Whether a pattern is found anywhere in a text.
    fn is_match(&self, text: &str, pattern: &str) -> Result<bool, Error> {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(pattern) {
            return Ok(known.is_match(text));
        }
        let compiled = compile(pattern).map_err(|reason| {
            let detail = format!("the pattern `{pattern}` cannot be read: {reason}");
            Error::new(ErrorKind::InvalidOperation, detail)
        })?;
        let found = compiled.is_match(text);
        let mut patterns = self.0.write().unwrap_or_else(PoisonError::into_inner);
        patterns.insert(pattern.to_owned(), compiled);
        Ok(found)
    }
}

/// Compiles a pattern; the reason in one line when it is none.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| {
        let full = error.to_string();
        let last = full.lines().last().unwrap_or(&full);
        last.strip_prefix("error: ").unwrap_or(last).to_owned()
    })
}

fn failed(error: &prompt::EncodeError) -> Error {
    Error::new(ErrorKind::InvalidOperation, error.to_string())
}
