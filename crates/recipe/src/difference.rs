//! In which keys two recipes differ.
//!
//! Whether a difference matters is decided elsewhere.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::read::Recipe;

/// Dotted keys in which two recipes differ, sorted. Tables in a list are known by their number, counted from 0.
pub fn differing_keys<R: Recipe>(one: &R, other: &R) -> BTreeSet<String> {
    let table =
        |recipe: &R| Table::try_from(recipe).expect("a recipe has only values that TOML has");
    let mut differing = BTreeSet::new();
    collect("", &Value::Table(table(one)), &Value::Table(table(other)), &mut differing);
    differing
}

fn collect(path: &str, one: &Value, other: &Value, differing: &mut BTreeSet<String>) {
    if one == other {
        return;
    }
    let inside = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (one, other) {
        (Value::Table(one), Value::Table(other)) => {
            for key in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
                match (one.get(key), other.get(key)) {
                    (Some(one), Some(other)) => collect(&inside(key), one, other, differing),
                    _ => {
                        differing.insert(inside(key));
                    }
                }
            }
        }
        (Value::Array(one), Value::Array(other))
            if one.len() == other.len() && one.iter().chain(other).all(Value::is_table) =>
        {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                collect(&inside(&at.to_string()), one, other, differing);
            }
        }
        _ => {
            differing.insert(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::read::Fault;

    #[derive(Serialize, Deserialize)]
    struct Own(Table);

    impl Recipe for Own {
        fn check(&self) -> Result<(), Fault> {
            Ok(())
        }
    }

    fn differing(one: &str, other: &str) -> Vec<String> {
        let [one, other] = [one, other].map(|text| Own(text.parse().unwrap()));
        differing_keys(&one, &other).into_iter().collect()
    }

    #[test]
    fn keys_that_differ_are_named_where_they_stand() {
        let one = "a = 1\nsame = 2\n[b]\nc = [1, 2]\n[[d]]\ne = 1\n[[d]]\ne = 2\n";
        let other = "a = 2\nsame = 2\n[b]\nc = [1, 3]\nnew = 1\n[[d]]\ne = 1\n[[d]]\ne = 3\n";
        assert_eq!(differing(one, other), ["a", "b.c", "b.new", "d.1.e"]);
        assert_eq!(differing(one, one), [""; 0]);
        assert_eq!(differing("d = [{e = 1}]", "d = [{e = 1}, {e = 2}]"), ["d"]);
    }
}
