//! One object of a config.json, whose getters name the dotted key in their errors.
//!
//! What the keys mean is not known here.

use std::{fmt::Display, path::Path};

use serde_json::{Map, Value};

use super::UnknownName;
use crate::error::LoadError;

/// Largest width, count or vocabulary that is believed. Far above every real model, and small enough
/// that a product of three stays inside of 64 bits.
pub(super) const MAX_SIZE: u64 = 1 << 21;
/// One object of the file, with the dotted key that leads to it.
pub(super) struct Section<'a> {
    pub(super) file: &'a Path,
    prefix: String,
    pub(super) map: &'a Map<String, Value>,
}

impl<'a> Section<'a> {
    pub(super) fn root(file: &'a Path, value: &'a Value) -> Result<Self, LoadError> {
        match value {
            Value::Object(map) => Ok(Self { file, prefix: String::new(), map }),
            other => Err(LoadError::InvalidConfigValue {
                file: file.to_owned(),
                key: "the whole file".to_owned(),
                expected: "an object".to_owned(),
                found: plain(other),
            }),
        }
    }

    /// The value of a key; `null` counts as absent, because that is how Python writes `None`.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn present(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    pub(super) fn section(&self, key: &str) -> Result<Option<Section<'a>>, LoadError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Object(map)) => {
                Ok(Some(Section { file: self.file, prefix: self.dotted(key), map }))
            }
            Some(other) => Err(self.invalid(key, "an object", plain(other))),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, LoadError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.invalid(key, "a text", plain(other))),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, LoadError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.invalid(key, "true or false", plain(other))),
        }
    }

    pub(super) fn list(&self, key: &str) -> Result<Option<&'a Vec<Value>>, LoadError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(other) => Err(self.invalid(key, "a list", plain(other))),
        }
    }

    pub(super) fn optional_number(&self, key: &str) -> Result<Option<f64>, LoadError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match value.as_f64().filter(|number| *number > 0.0 && number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.invalid(key, "a number above 0", plain(value))),
        }
    }

    pub(super) fn positive(&self, key: &str) -> Result<f64, LoadError> {
        self.optional_number(key)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn whole_number(&self, key: &str) -> Result<Option<u64>, LoadError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(self.invalid(key, "a whole number", plain(value))),
        }
    }

    pub(super) fn size(&self, key: &str) -> Result<usize, LoadError> {
        self.size_up_to(key, MAX_SIZE)
    }

    pub(super) fn size_up_to(&self, key: &str, limit: u64) -> Result<usize, LoadError> {
        let value = self.value(key).ok_or_else(|| self.missing(key))?;
        self.checked_size(key, value, 1, limit)
    }

    pub(super) fn size_or(
        &self,
        key: &str,
        default: usize,
        limit: u64,
    ) -> Result<usize, LoadError> {
        match self.value(key) {
            None => Ok(default),
            Some(value) => self.checked_size(key, value, 1, limit),
        }
    }

    /// A number, or a list that repeats one number, as transformers 5 allows for patch sizes.
    pub(super) fn square_or(
        &self,
        key: &str,
        default: usize,
        limit: u64,
    ) -> Result<usize, LoadError> {
        let Some(Value::Array(values)) = self.value(key) else {
            return self.size_or(key, default, limit);
        };
        match values.as_slice() {
            [first, rest @ ..] if rest.iter().all(|value| value == first) => {
                self.checked_size(key, first, 1, limit)
            }
            _ => {
                Err(self.invalid(key, "one number, or one number repeated", format!("{values:?}")))
            }
        }
    }

    pub(super) fn sizes(&self, key: &str) -> Result<Option<Vec<usize>>, LoadError> {
        let Some(values) = self.list(key)? else { return Ok(None) };
        values
            .iter()
            .map(|value| self.checked_size(key, value, 0, MAX_SIZE))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    fn checked_size(
        &self,
        key: &str,
        value: &Value,
        least: u64,
        limit: u64,
    ) -> Result<usize, LoadError> {
        let number = value.as_u64().filter(|number| (least..=limit).contains(number));
        number.map(|number| number as usize).ok_or_else(|| {
            let expected = format!("a whole number from {least} to {limit}");
            self.invalid(key, &expected, plain(value))
        })
    }

    pub(super) fn named<T>(
        &self,
        key: &str,
        parsed: Result<T, UnknownName>,
    ) -> Result<T, LoadError> {
        parsed.map_err(|unknown| {
            self.invalid(key, &format!("one of {}", unknown.known), unknown.found)
        })
    }

    pub(super) fn require_multiple(
        &self,
        (key, value): (&str, usize),
        (unit_key, unit): (&str, usize),
    ) -> Result<(), LoadError> {
        if value.is_multiple_of(unit) {
            return Ok(());
        }
        Err(self.inconsistent(key, value, format!("a multiple of `{unit_key}`, which is {unit}")))
    }

    pub(super) fn dotted(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}.{key}", self.prefix) }
    }

    pub(super) fn missing(&self, key: &str) -> LoadError {
        LoadError::MissingConfigKey { file: self.file.to_owned(), key: self.dotted(key) }
    }

    pub(super) fn invalid(&self, key: &str, expected: &str, found: String) -> LoadError {
        LoadError::InvalidConfigValue {
            file: self.file.to_owned(),
            key: self.dotted(key),
            expected: expected.to_owned(),
            found,
        }
    }

    pub(super) fn inconsistent(
        &self,
        key: &str,
        found: impl Display,
        requirement: String,
    ) -> LoadError {
        LoadError::InconsistentConfig {
            file: self.file.to_owned(),
            key: self.dotted(key),
            found: found.to_string(),
            requirement,
        }
    }

    pub(super) fn unsupported(
        &self,
        key: &str,
        found: String,
        supported: &'static str,
    ) -> LoadError {
        LoadError::UnsupportedSetting {
            file: self.file.to_owned(),
            key: self.dotted(key),
            found,
            supported,
        }
    }
}

/// A JSON value as it stands in a sentence: texts without quotation marks, long values cut.
pub(super) fn plain(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
