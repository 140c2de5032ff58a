//! A row as read, whatever the file: JSON and Parquet become the same tree.
//!
//! Repeated keys are refused, because one of the two values would be lost. What the keys mean is decided elsewhere.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::error::RowFault;

/// Value of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing; as good as an absent key.
    Null,
    /// Truth value.
    Bool(bool),
    /// Whole number.
    Whole(i64),
    /// Number.
    Number(f64),
    /// Text.
    Text(String),
    /// Bytes; only in Parquet.
    Bytes(Vec<u8>),
    /// List.
    List(Vec<Value>),
    /// Keys with values, in the order of the file.
    Object(Vec<(String, Value)>),
    /// A kind that no format uses, such as a date.
    Other,
}

impl Value {
    /// Kind of the value, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Whole(_) => "a whole number",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Other => "of a kind that is not read",
        }
    }

    /// The value of `key` in an object, unless it is null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let Self::Object(entries) = self else { return None };
        let (_, value) = entries.iter().find(|(name, _)| name == key)?;
        (*value != Self::Null).then_some(value)
    }

    /// Whether an object has a value for every one of the keys.
    pub fn has(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| self.get(key).is_some())
    }
}

/// Parses one JSON value.
///
/// # Errors
/// A text that is not JSON, or repeats a key.
pub fn parse_json(text: &str) -> Result<Value, RowFault> {
    serde_json::from_str(text).map_err(|error| {
        let full = error.to_string();
        let reason = full.split(" at line ").next().unwrap_or(&full).to_owned();
        // The parser counts bytes of a line, people count characters; elements of a list may span lines.
        let line_start: usize =
            text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let end = text.floor_char_boundary((line_start + error.column()).min(text.len()));
        RowFault::Malformed { column: text[..end].chars().count(), reason }
    })
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Whole(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Number(value as f64), Value::Whole))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
            entries.push((key, map.next_value()?));
        }
        Ok(Value::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_key_is_refused() {
        let fault = parse_json(r#"{"prompt":"p","prompt":"q"}"#).unwrap_err();
        assert_eq!(fault.to_string(), "column 22: duplicate key `prompt`");
    }

    #[test]
    fn columns_are_counted_in_characters_over_all_lines() {
        let fault = parse_json("{\"圖\":1,\n 5}").unwrap_err();
        assert_eq!(fault.to_string(), "column 10: key must be a string");
    }

    #[test]
    fn a_null_is_as_good_as_absent() {
        let value = parse_json(r#"{"a":null,"b":1}"#).unwrap();
        assert_eq!(value.get("a"), None);
        assert!(value.has(&["b"]) && !value.has(&["a", "b"]));
    }
}
