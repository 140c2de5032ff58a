//! Filters of a recipe: expressions over what is known of a record, compiled once and asked of every record.
//!
//! An expression is one of Jinja, `chars(chosen) <= 4000 and language in ["eng", "und"]`, and gives true for a record that stays. Its names
//! are those of [`names`], its functions `chars`, `words`, `tokens`, `matches` and `has_html`, and Jinja's own filters and tests can be used. A
//! name without a value in a record, such as `margin` where the data has none, is undefined: an expression that uses it without `is defined`
//! cannot be decided for that record. Filters are asked in order and only the values that one asks for are computed, so cheap ones are best
//! first.
//!
//! Values of different kinds compare in the language's own order: a text is never equal to a number. Numbers that a row has as texts are
//! compared as `row.score | float > 2`.
//!
//! Nothing is dropped or counted here.

mod error;
mod fields;
mod functions;
mod html;
mod syntax;

use std::sync::{Arc, LazyLock};

use data::Comparison;
use data::raw::Value as Row;
use minijinja::value::{Object, Value, ValueKind};
use minijinja::{Environment, ErrorKind, Expression, UndefinedBehavior};

use crate::recipe::FilterRecipe;
use fields::{Asked, Known};
use functions::Functions;

pub use error::FilterError;
pub use fields::names;
pub use functions::CountTokens;
pub use html::has_html;

/// What filters are asked about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The record.
    pub comparison: &'a Comparison,
    /// The row that it was made of, as it stands in its file.
    pub row: &'a Row,
    /// Width and height of each picture; may be empty where [`Filters::needs_sizes`] says no.
    pub sizes: &'a [(u32, u32)],
}

/// What the filters say about a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It passes all of them.
    Keep,
    /// It does not pass one.
    Drop {
        /// What the filter is called.
        filter: String,
    },
    /// One cannot say.
    Undecided {
        /// What the filter is called.
        filter: String,
        /// Why.
        reason: String,
    },
}

/// Compiled filters.
pub struct Filters {
    filters: Vec<Filter>,
    functions: Functions,
}

struct Filter {
    label: String,
    expression: Expression<'static, 'static>,
    asked: Vec<Asked>,
}

/// The language of expressions, without the functions that need something of the recipe.
static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut language = Environment::new();
    language.set_undefined_behavior(UndefinedBehavior::Strict);
    functions::add(&mut language);
    language
});

/// Whether an expression can be compiled.
///
/// # Errors
/// What is wrong with it, as [`Filters::compile`] says it.
pub fn check(expression: &str, has_tokenizer: bool) -> Result<(), FilterError> {
    Filter::compile(expression, expression, has_tokenizer).map(|_| ())
}

impl Filters {
    /// Compiles the filters for all sources, then those for one. `tokens` counts the tokens of a text.
    ///
    /// # Errors
    /// An expression that cannot be read, asks for something unknown, has a pattern that cannot be read, or counts tokens without `tokens`.
    pub fn compile(
        global: &[FilterRecipe],
        own: &[FilterRecipe],
        tokens: Option<CountTokens>,
    ) -> Result<Self, FilterError> {
        let compile =
            |filter: &FilterRecipe| Filter::compile(filter.label(), &filter.keep, tokens.is_some());
        let filters = global.iter().chain(own).map(compile).collect::<Result<_, _>>()?;
        Ok(Self { filters, functions: Functions::new(tokens) })
    }

    /// Whether an expression asks for the size of pictures.
    pub fn needs_sizes(&self) -> bool {
        self.filters.iter().flat_map(|filter| &filter.asked).any(Asked::is_size)
    }

    /// Asks the filters one after the other, up to the first that does not let the record pass.
    pub fn check(&self, subject: &Subject<'_>) -> Verdict {
        let mut known = Known::default();
        for filter in &self.filters {
            let label = || filter.label.clone();
            match filter.ask(subject, &mut known, &self.functions) {
                Ok(true) => {}
                Ok(false) => return Verdict::Drop { filter: label() },
                Err(reason) => return Verdict::Undecided { filter: label(), reason },
            }
        }
        Verdict::Keep
    }
}

impl Filter {
    fn compile(label: &str, keep: &str, has_tokenizer: bool) -> Result<Self, FilterError> {
        let expression = LANGUAGE.compile_expression_owned(keep.to_owned()).map_err(|error| {
            FilterError::Syntax { expression: keep.to_owned(), reason: error_text(&error) }
        })?;
        syntax::check(keep, &LANGUAGE)?;
        let asked = fields::asked(&expression, keep)?;
        if !has_tokenizer && asked.iter().any(Asked::is_tokens) {
            return Err(FilterError::NoTokenizer { expression: keep.to_owned() });
        }
        Ok(Self { label: label.to_owned(), expression, asked })
    }

    /// Whether the record passes; the reason when that cannot be said.
    fn ask(
        &self,
        subject: &Subject<'_>,
        known: &mut Known,
        functions: &Functions,
    ) -> Result<bool, String> {
        let value_of =
            |asked: &Asked| Some((asked.name(), asked.value(subject, known, functions)?));
        let values = Values(self.asked.iter().filter_map(value_of).collect());
        match self.expression.eval(Value::from_object(values)) {
            Ok(value) if value.kind() == ValueKind::Bool => Ok(value.is_true()),
            Ok(value) if !value.is_undefined() => {
                Err(format!("it gives a {}, which is neither true nor false", value.kind()))
            }
            Err(error) if error.kind() != ErrorKind::UndefinedError => Err(error_text(&error)),
            Ok(_) | Err(_) => Err(self.missing(subject, known)),
        }
    }

    fn missing(&self, subject: &Subject<'_>, known: &mut Known) -> String {
        let missing: Vec<String> =
            self.asked.iter().flat_map(|asked| asked.missing(subject, known)).collect();
        if missing.is_empty() {
            return "a part of a value is missing".to_owned();
        }
        format!("the record has no {}; say what then, with `is defined`", missing.join(" and no "))
    }
}

fn error_text(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

/// Values of the names that an expression asks for.
#[derive(Debug)]
struct Values(Vec<(&'static str, Value)>);

impl Object for Values {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests;
