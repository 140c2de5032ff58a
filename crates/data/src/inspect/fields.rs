//! The keys of rows: how many rows have each, and what kinds of values they hold.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::value::Value;

/// Keys that are counted; rows that are keyed by their own content have more, and would fill the memory.
const MAX_KEYS: usize = 500;

/// Keys of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Fields {
    /// Objects that were looked at.
    pub rows: usize,
    /// By name.
    pub keys: BTreeMap<String, Field>,
    /// Values under keys that came after too many others.
    pub uncounted: usize,
}

/// One key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Rows in which it has a value that is not null.
    pub rows: usize,
    /// Those rows by the kind of the value.
    pub kinds: BTreeMap<&'static str, usize>,
}

impl Fields {
    /// Counts the keys of a row. A row that is no object has none.
    pub(super) fn add(&mut self, row: &Value) {
        let Value::Object(entries) = row else { return };
        self.rows += 1;
        for (key, value) in entries.iter().filter(|(_, value)| *value != Value::Null) {
            if !self.keys.contains_key(key) {
                if self.keys.len() == MAX_KEYS {
                    self.uncounted += 1;
                    continue;
                }
                self.keys.insert(key.clone(), Field::default());
            }
            let field = self.keys.get_mut(key).expect("it has just been inserted");
            field.rows += 1;
            *field.kinds.entry(value.kind()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::parse_json;

    #[test]
    fn nulls_are_no_values_and_kinds_are_counted() {
        let mut fields = Fields::default();
        for row in [r#"{"a":1,"b":null}"#, r#"{"a":"x","b":[2]}"#, "[1]"] {
            fields.add(&parse_json(row).unwrap());
        }
        assert_eq!(fields.rows, 2);
        assert_eq!(fields.keys["a"].rows, 2);
        assert_eq!(fields.keys["a"].kinds, BTreeMap::from([("a text", 1), ("a whole number", 1)]));
        assert_eq!(fields.keys["b"].rows, 1);
    }

    #[test]
    fn no_number_of_keys_fills_the_memory() {
        let mut fields = Fields::default();
        for key in 0..MAX_KEYS + 3 {
            fields.add(&Value::Object(vec![(key.to_string(), Value::Bool(true))]));
        }
        assert_eq!((fields.keys.len(), fields.uncounted), (MAX_KEYS, 3));
    }
}
