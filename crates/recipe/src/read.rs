//! From text and overrides to a checked recipe, and back to text.
//!
//! Overrides are merged into the table before it is interpreted; this is the one place where that happens.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::{Table, Value};

use crate::error::RecipeError;
use crate::locate;

/// A key with a value that it cannot have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Dotted key.
    pub key: String,
    /// What is wrong and what may stand there.
    pub reason: String,
}

/// An override `key=value`.
struct Override<'a> {
    argument: &'a str,
    key: Vec<String>,
    value: Value,
}

/// Everything that decides a piece of work, as a file says it.
pub trait Recipe: Serialize + DeserializeOwned {
    /// The first key at fault, for what types cannot say: ranges, and keys that exclude or need each other.
    ///
    /// # Errors
    /// The fault.
    fn check(&self) -> Result<(), Fault>;
}

/// Reads a file and applies overrides of the form `key.of.a.value=value`. Values are TOML; what is not, is a string.
///
/// # Errors
/// A file that cannot be read or is not TOML, an unknown, missing or impossible key, with its line and a mark under it.
pub fn read<R: Recipe>(file: &Path, overrides: &[String]) -> Result<R, RecipeError> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| RecipeError::Read { file: file.to_owned(), source })?;
    parse(file, &text, overrides)
}

/// The same for a text; `file` is its name in errors.
///
/// # Errors
/// As [`read`].
pub fn parse<R: Recipe>(file: &Path, text: &str, overrides: &[String]) -> Result<R, RecipeError> {
    let mut table: Table = toml::from_str(text).map_err(|error: toml::de::Error| {
        let place = locate::of_span(file, text, error.span().unwrap_or(0..0));
        RecipeError::Syntax { reason: error.message().to_owned(), place }
    })?;
    let overrides: Vec<Override<'_>> =
        overrides.iter().map(|argument| parse_override(argument)).collect::<Result<_, _>>()?;
    for one in &overrides {
        merge(&mut table, one)?;
    }
    let fault = |key: Vec<String>, reason: String| {
        // The last override of a key is the one that counts.
        let by = overrides.iter().rev().find(|one| key.starts_with(&one.key));
        let dotted = key.join(".");
        match by {
            Some(one) => {
                RecipeError::SetKey { key: dotted, reason, argument: one.argument.to_owned() }
            }
            None => {
                RecipeError::Key { key: dotted, reason, place: locate::of_key(file, text, &key) }
            }
        }
    };
    let recipe: R = interpret(table.clone()).map_err(|(key, reason)| {
        // Of a number where one of some words is wanted, serde says only that it is none; of a wrong word, which ones there are.
        let as_word = with_word(table, &key).and_then(|table| interpret::<R>(table).err());
        match as_word {
            Some((same_key, words)) if same_key == key && words.starts_with("unknown variant") => {
                fault(key, words)
            }
            _ => fault(key, reason),
        }
    })?;
    recipe
        .check()
        .map_err(|found| fault(found.key.split('.').map(str::to_owned).collect(), found.reason))?;
    Ok(recipe)
}

/// The recipe as TOML, with every default written out.
pub fn to_toml<R: Recipe>(recipe: &R) -> String {
    toml::to_string_pretty(recipe).expect("a recipe has only values that TOML has")
}

/// BLAKE3 hash of [`to_toml`], in hexadecimal.
pub fn hash<R: Recipe>(recipe: &R) -> String {
    blake3::hash(to_toml(recipe).as_bytes()).to_hex().to_string()
}

/// Gives the key at fault and what is wrong with it.
fn interpret<R: Recipe>(table: Table) -> Result<R, (Vec<String>, String)> {
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let key = error.path().iter().filter_map(name_of).collect();
        (key, error.inner().message().to_owned())
    })
}

/// The table with the value of a key written as a word, where it is a number or a truth.
fn with_word(mut table: Table, key: &[String]) -> Option<Table> {
    let (last, path) = key.split_last()?;
    let inside =
        path.iter().try_fold(&mut table, |table, name| table.get_mut(name)?.as_table_mut());
    let value = inside?.get_mut(last)?;
    let is_plain = value.is_bool() || value.is_integer() || value.is_float();
    *value = Value::String(is_plain.then(|| value.to_string())?);
    Some(table)
}

fn name_of(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    }
}

fn parse_override(argument: &str) -> Result<Override<'_>, RecipeError> {
    let fault = |reason: &str| RecipeError::Set {
        argument: argument.to_owned(),
        reason: reason.to_owned(),
    };
    let (key, value) = argument
        .split_once('=')
        .ok_or_else(|| fault("there is no `=`; write it as `section.key=value`"))?;
    let key: Vec<String> = key.trim().split('.').map(|name| name.trim().to_owned()).collect();
    if key.iter().any(String::is_empty) {
        return Err(fault("a part of the key is empty; write it as `section.key=value`"));
    }
    let value = value.trim();
    let parsed = toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"));
    Ok(Override { argument, key, value: parsed.unwrap_or_else(|| Value::String(value.to_owned())) })
}

fn merge(table: &mut Table, one: &Override<'_>) -> Result<(), RecipeError> {
    let (last, path) = one.key.split_last().expect("a key has a part");
    let mut inside = table;
    for (depth, name) in path.iter().enumerate() {
        let value = inside.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
        inside = value.as_table_mut().ok_or_else(|| RecipeError::Set {
            argument: one.argument.to_owned(),
            reason: format!("`{}` is a value and has no keys", one.key[..=depth].join(".")),
        })?;
    }
    inside.insert(last.clone(), one.value.clone());
    Ok(())
}
