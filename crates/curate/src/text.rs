//! Texts as they are compared: without differences of case, white space and Unicode forms; and the words of such a text.
//!
//! Nothing is stemmed, and punctuation counts, except between words.

use unicode_normalization::UnicodeNormalization;

/// The text in Unicode's compatible composed form and lower case, with one space for each run of white space and none at its ends.
pub fn normalized(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    if text.is_ascii() {
        push_words(text.split_ascii_whitespace(), &mut out);
        out.make_ascii_lowercase();
    } else {
        // Lower case first: it can leave letters apart from their accents, which the composed form puts together.
        let composed: String = text.to_lowercase().nfkc().collect();
        push_words(composed.to_lowercase().split_whitespace(), &mut out);
    }
    out
}

fn push_words<'a>(words: impl Iterator<Item = &'a str>, out: &mut String) {
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
}

/// Words of a [`normalized`] text: runs of letters and digits, and each character of a script that puts no spaces between words.
pub fn words(normalized: &str) -> Words<'_> {
    Words { rest: normalized }
}

/// Iterator of [`words`].
#[derive(Debug, Clone)]
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let start = self.rest.find(is_word)?;
        let text = &self.rest[start..];
        let first = text.chars().next().expect("something was found");
        let end = if stands_alone(first) {
            first.len_utf8()
        } else {
            text.find(|letter| !is_word(letter) || stands_alone(letter)).unwrap_or(text.len())
        };
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        Some(word)
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric()
}

/// Han characters, kana, and the scripts of Thailand, Laos, Burma and Cambodia.
fn stands_alone(letter: char) -> bool {
    !letter.is_ascii()
        && matches!(letter,
            '\u{0e00}'..='\u{0eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_normalized_text_is_its_own_normal_form(text in "\\PC{0,40}") {
            let once = normalized(&text);
            prop_assert_eq!(normalized(&once), once);
        }

        #[test]
        fn words_are_what_is_left_without_their_borders(text in "\\PC{0,40}") {
            let text = normalized(&text);
            let letters: String = text.chars().filter(|letter| letter.is_alphanumeric()).collect();
            prop_assert_eq!(words(&text).collect::<String>(), letters);
        }
    }

    fn split(text: &str) -> Vec<String> {
        words(&normalized(text)).map(str::to_owned).collect()
    }

    #[test]
    fn case_and_white_space_make_no_difference() {
        assert_eq!(normalized("  What\n\tIS  this? "), "what is this?");
        assert_eq!(normalized("\u{a0}\u{c4}PFEL\u{2003}und\u{3000}ÄPFEL\n"), "äpfel und äpfel");
    }

    #[test]
    fn compatible_forms_of_a_character_are_the_same() {
        assert_eq!(normalized("\u{ff21}\u{ff22}\u{ff11}"), "ab1");
        assert_eq!(normalized("e\u{301}\u{fb01}n"), normalized("éfin"));
    }

    #[test]
    fn normalizing_twice_changes_nothing_more() {
        for text in ["İstanbul", "\u{1e9e}\u{345}", "ΌΣΟΣ ", "x\u{300}\u{316}", "ⅣK\u{212a}"]
        {
            let once = normalized(text);
            assert_eq!(normalized(&once), once, "{text}");
        }
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(split("It's 3.5 m — or \"so\"."), ["it", "s", "3", "5", "m", "or", "so"]);
        assert_eq!(split(" ... "), [""; 0]);
    }

    #[test]
    fn characters_of_scripts_without_spaces_are_words_by_themselves() {
        assert_eq!(split("图中有3只cats吗"), ["图", "中", "有", "3", "只", "cats", "吗"]);
        assert_eq!(split("これは"), ["こ", "れ", "は"]);
    }
}
