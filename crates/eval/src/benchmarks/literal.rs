//! Lists in cells of tables that hold only texts: as JSON, or as Python writes a list of texts and whole numbers.
//!
//! Nothing else of either language is read.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

use data::RowFault;
use data::raw::{Value, list, parse_json};

/// The list in `value`, or the list that its text writes down.
pub(super) fn written_list<'a>(value: &'a Value, key: &str) -> Result<Cow<'a, [Value]>, RowFault> {
    let Value::Text(text) = value else { return list(value, key).map(Cow::Borrowed) };
    if let Ok(Value::List(values)) = parse_json(text) {
        return Ok(Cow::Owned(values));
    }
    let mut reader = Reader { characters: text.chars().peekable(), num_read: 0 };
    reader.list().map(Cow::Owned).map_err(|reason| RowFault::ListText {
        key: key.to_owned(),
        reason,
        num_read: reader.num_read,
    })
}

struct Reader<'a> {
    characters: Peekable<Chars<'a>>,
    /// Characters that have been read.
    num_read: usize,
}

impl Reader<'_> {
    fn list(&mut self) -> Result<Vec<Value>, &'static str> {
        self.skip_space();
        if self.next() != Some('[') {
            return Err("it does not begin with `[`");
        }
        let mut values = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                None => return Err("it does not end with `]`"),
                Some(']') => break,
                Some(quote @ ('\'' | '"')) => values.push(Value::Text(self.quoted(quote)?)),
                Some('-' | '0'..='9') => values.push(Value::Whole(self.whole()?)),
                Some(_) => return Err("an entry is neither a text in quotes nor a whole number"),
            }
            self.skip_space();
            match self.peek() {
                Some(',') => drop(self.next()),
                Some(']') => break,
                _ => return Err("an entry is not followed by `,` or `]`"),
            }
        }
        self.next();
        self.skip_space();
        if self.peek().is_some() { Err("there is something after its end") } else { Ok(values) }
    }

    fn quoted(&mut self, quote: char) -> Result<String, &'static str> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err("a text does not end"),
                Some('\\') => text.extend(self.escaped()?),
                Some(end) if end == quote => return Ok(text),
                Some(other) => text.push(other),
            }
        }
    }

    /// What stands after a backslash; a backslash at the end of a line joins the lines, and one before any other character is itself.
    fn escaped(&mut self) -> Result<Vec<char>, &'static str> {
        let one = |character| Ok(vec![character]);
        match self.next().ok_or("a text does not end")? {
            '\n' => Ok(Vec::new()),
            'n' => one('\n'),
            't' => one('\t'),
            'r' => one('\r'),
            'a' => one('\u{7}'),
            'b' => one('\u{8}'),
            'f' => one('\u{c}'),
            'v' => one('\u{b}'),
            'x' => self.code_point(2).and_then(one),
            'u' => self.code_point(4).and_then(one),
            'U' => self.code_point(8).and_then(one),
            digit @ '0'..='7' => self.octal(digit).and_then(one),
            same @ ('\\' | '\'' | '"') => one(same),
            other => Ok(vec!['\\', other]),
        }
    }

    fn code_point(&mut self, num_digits: usize) -> Result<char, &'static str> {
        let mut code = 0;
        for _ in 0..num_digits {
            let digit = self.next().and_then(|digit| digit.to_digit(16));
            code = code * 16 + digit.ok_or("an escape has too few hexadecimal digits")?;
        }
        char::from_u32(code).ok_or("an escape names no character")
    }

    fn octal(&mut self, first: char) -> Result<char, &'static str> {
        let mut code = first.to_digit(8).ok_or("an escape names no character")?;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|digit| digit.to_digit(8)) else { break };
            code = code * 8 + digit;
            self.next();
        }
        char::from_u32(code).ok_or("an escape names no character")
    }

    fn whole(&mut self) -> Result<i64, &'static str> {
        let mut digits = String::new();
        while let Some(digit @ ('-' | '0'..='9')) = self.peek() {
            digits.push(digit);
            self.next();
        }
        digits.parse().map_err(|_| "a number is not a whole number")
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.characters.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.characters.next();
        self.num_read += usize::from(next.is_some());
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Value>, String> {
        written_list(&Value::Text(text.to_owned()), "response")
            .map(Cow::into_owned)
            .map_err(|fault| fault.to_string())
    }

    fn texts(texts: &[&str]) -> Vec<Value> {
        texts.iter().map(|text| Value::Text((*text).to_owned())).collect()
    }

    #[test]
    fn json_and_python_say_the_same() {
        assert_eq!(read(r#"["a", "it's \"b\""]"#).unwrap(), texts(&["a", "it's \"b\""]));
        assert_eq!(read(r#"['a', "it's \"b\""]"#).unwrap(), texts(&["a", "it's \"b\""]));
        assert_eq!(read("[0, 1]"), Ok(vec![Value::Whole(0), Value::Whole(1)]));
        assert_eq!(read(" ['a',\n -12, ] "), Ok(vec![Value::Text("a".into()), Value::Whole(-12)]));
        assert_eq!(read("[]"), Ok(Vec::new()));
    }

    #[test]
    fn every_escape_of_python_is_known() {
        assert_eq!(
            read(r"['\n\t\r\\\'\x41\u00e9\U0001F600\101\0\d', 'é圖']").unwrap(),
            texts(&["\n\t\r\\'Aé😀A\0\\d", "é圖"])
        );
        assert_eq!(read("['a\\\nb']").unwrap(), texts(&["ab"]));
        // A quote of the other kind and a bracket are characters like others.
        assert_eq!(read(r#"['say "]",', "x"]"#).unwrap(), texts(&["say \"]\",", "x"]));
    }

    #[test]
    fn a_list_that_is_already_one_is_left_alone() {
        let value = Value::List(vec![Value::Text("['a']".into())]);
        assert_eq!(written_list(&value, "k").unwrap().as_ref(), [Value::Text("['a']".into())]);
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_place() {
        let refusal = |text: &str| read(text).unwrap_err();
        let said = |reason: &str, num_read: usize| {
            format!("`response` cannot be read as a list: {reason}, after {num_read} characters")
        };
        assert_eq!(refusal("a"), said("it does not begin with `[`", 1));
        assert_eq!(refusal("['a'"), said("an entry is not followed by `,` or `]`", 4));
        assert_eq!(refusal("['a' 'b']"), said("an entry is not followed by `,` or `]`", 5));
        assert_eq!(refusal("['a"), said("a text does not end", 3));
        assert_eq!(refusal("['a',"), said("it does not end with `]`", 5));
        assert_eq!(
            refusal("[None]"),
            said("an entry is neither a text in quotes nor a whole number", 1)
        );
        assert_eq!(refusal("['a'] x"), said("there is something after its end", 6));
        assert_eq!(refusal(r"['\x4']"), said("an escape has too few hexadecimal digits", 6));
        let number = written_list(&Value::Whole(3), "response").unwrap_err();
        assert_eq!(number.to_string(), "`response` is a whole number, but must be a list");
    }
}
