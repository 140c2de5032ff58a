//! Typed access to the keys of a row, with faults that name the key.
//!
//! A null is as good as an absent key, because tables have a value in every column. What a format asks for is the format's business.

use crate::error::RowFault;
use crate::value::Value;

/// The value of a needed key.
///
/// # Errors
/// A fault that names the key.
pub fn required<'a>(row: &'a Value, key: &str) -> Result<&'a Value, RowFault> {
    row.get(key).ok_or_else(|| RowFault::Missing { key: key.to_owned() })
}

/// The text in `value`.
///
/// # Errors
/// A fault that names the key.
pub fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, RowFault> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(mistyped(value, key, "a text")),
    }
}

/// The text of a key that may be absent.
///
/// # Errors
/// A fault that names the key.
pub fn optional_text<'a>(row: &'a Value, key: &str) -> Result<Option<&'a str>, RowFault> {
    row.get(key).map(|value| text(value, key)).transpose()
}

/// The list in `value`.
///
/// # Errors
/// A fault that names the key.
pub fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value], RowFault> {
    match value {
        Value::List(values) => Ok(values),
        _ => Err(mistyped(value, key, "a list")),
    }
}

/// The finite number in `value`.
///
/// # Errors
/// A fault that names the key.
pub(crate) fn number(value: &Value, key: &str) -> Result<f64, RowFault> {
    let number = match value {
        Value::Whole(number) => *number as f64,
        Value::Number(number) => *number,
        _ => return Err(mistyped(value, key, "a number")),
    };
    if number.is_finite() && (number as f32).is_finite() {
        Ok(number)
    } else {
        let expected = "a finite number";
        Err(RowFault::Number { key: key.to_owned(), number, expected })
    }
}

/// The finite number in `value`, or the one that its text writes down, as in tables of texts.
///
/// # Errors
/// A fault that names the key.
pub(crate) fn written_number(value: &Value, key: &str) -> Result<f64, RowFault> {
    let Value::Text(text) = value else { return number(value, key) };
    match text.trim().parse::<f64>() {
        Ok(written) => number(&Value::Number(written), key),
        Err(_) => Err(mistyped(value, key, "a number")),
    }
}

/// The finite number of a key that may be absent.
///
/// # Errors
/// A fault that names the key.
pub fn optional_number(row: &Value, key: &str) -> Result<Option<f32>, RowFault> {
    let number = row.get(key).map(|value| number(value, key)).transpose()?;
    Ok(number.map(|number| number as f32))
}

/// The numbers of a list that has one for each response.
///
/// # Errors
/// A fault that names the key.
pub fn numbers(value: &Value, key: &str, responses: usize) -> Result<Vec<f64>, RowFault> {
    let values = list(value, key)?;
    if values.len() != responses {
        return Err(RowFault::Length { key: key.to_owned(), found: values.len(), responses });
    }
    let read = |(index, value)| number(value, &format!("{key}[{index}]"));
    values.iter().enumerate().map(read).collect()
}

/// A value of another kind than it must be.
pub fn mistyped(value: &Value, key: &str, expected: &'static str) -> RowFault {
    if *value == Value::Null {
        return RowFault::Missing { key: key.to_owned() };
    }
    RowFault::Mistyped { key: key.to_owned(), expected, found: value.kind() }
}
