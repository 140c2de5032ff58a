//! What can be said of an expression before any record is seen, beyond its grammar and its names.
//!
//! The language looks for filters, tests and patterns only when it comes to them. A recipe that misspells one is refused at once.

use std::sync::LazyLock;

use minijinja::{Environment, ErrorKind};
use regex::Regex;

use super::FilterError;
use super::functions::{self, MATCHES};

/// A text in quotes, a word, or any other character.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?s)"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[\p{L}_][\p{L}\p{N}_]*|\S"#)
        .expect("the pattern is fixed and tested")
});

/// Looks for filters and tests that do not exist, and for patterns in quotes that are none.
pub(super) fn check(expression: &str, language: &Environment<'_>) -> Result<(), FilterError> {
    let tokens: Vec<&str> = TOKEN.find_iter(expression).map(|found| found.as_str()).collect();
    let own = || expression.to_owned();
    let mut state = language.empty_state();
    for (at, token) in tokens.iter().enumerate() {
        let next = |ahead: usize| tokens.get(at + ahead).copied().unwrap_or_default();
        let is_key = at > 0 && tokens[at - 1] == ".";
        match *token {
            "|" if is_unknown(state.apply_filter(next(1), &[]), ErrorKind::UnknownFilter) => {
                return Err(FilterError::UnknownFilter {
                    expression: own(),
                    name: next(1).to_owned(),
                });
            }
            "is" if !is_key => {
                let name = if next(1) == "not" { next(2) } else { next(1) };
                if is_unknown(state.perform_test(name, &[]), ErrorKind::UnknownTest) {
                    return Err(FilterError::UnknownTest {
                        expression: own(),
                        name: name.to_owned(),
                    });
                }
            }
            MATCHES if !is_key && next(1) == "(" => {
                let Some(literal) = second_argument(&tokens[at + 2..]) else { continue };
                let value = language
                    .compile_expression_owned(literal.to_owned())
                    .and_then(|text| text.eval(()));
                let Ok(value) = value else { continue };
                let pattern = value.as_str().unwrap_or_default();
                functions::compile(pattern).map_err(|reason| FilterError::Pattern {
                    expression: own(),
                    pattern: pattern.to_owned(),
                    reason,
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_unknown<T>(outcome: Result<T, minijinja::Error>, kind: ErrorKind) -> bool {
    outcome.is_err_and(|error| error.kind() == kind)
}

/// The second argument of a call, when it is nothing but a text in quotes. The tokens begin behind the opening bracket.
fn second_argument<'a>(tokens: &[&'a str]) -> Option<&'a str> {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => return None,
            ")" | "]" | "}" => depth -= 1,
            "," if depth == 0 => {
                let literal = tokens.get(at + 1)?;
                let is_text = literal.len() > 1 && literal.starts_with(['"', '\'']);
                return (is_text && tokens.get(at + 2) == Some(&")")).then_some(*literal);
            }
            _ => {}
        }
    }
    None
}
