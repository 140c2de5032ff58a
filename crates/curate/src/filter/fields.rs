//! What expressions can ask for, and how it is computed from a record.

use std::collections::BTreeMap;

use data::Comparison;
use data::raw::Value as Row;
use minijinja::Expression;
use minijinja::value::Value;

use super::functions::{self, Functions};
use super::{FilterError, Subject};
use crate::facts;

/// Value of a name in a record; none where the record has no such thing.
type Compute = fn(&Subject<'_>) -> Option<Value>;

struct Field {
    name: &'static str,
    compute: Compute,
}

/// Everything that can be asked for but `row` and functions. The better answer is the first of the best rank, the worse the first of the last
/// rank.
const FIELDS: [Field; 22] = [
    // Text of all messages before the answers, of the last message of the better answer, of the last message of the worse one.
    field("prompt", |subject| Some(Value::from(prompt(subject)))),
    field("chosen", |subject| Some(Value::from(chosen(subject)))),
    field("rejected", |subject| Some(Value::from(rejected(subject)))),
    field("id", |subject| Some(Value::from(subject.comparison.id.as_str()))),
    field("source", |subject| Some(Value::from(subject.comparison.source.as_str()))),
    field("responses", |subject| Some(Value::from(subject.comparison.responses.len()))),
    // Messages of the user before the answers.
    field("num_turns", |subject| Some(Value::from(facts::num_turns(subject.comparison)))),
    // Pictures of the prompt and all answers, without frames of videos.
    field("num_images", |subject| Some(Value::from(facts::num_images(subject.comparison)))),
    field("num_videos", |subject| Some(Value::from(facts::num_videos(subject.comparison)))),
    // How much better the better answer is: what the data says, or the difference of scores.
    field("margin", |subject| margin(subject.comparison).map(Value::from)),
    // Probability that the better answer is the better one.
    field("soft_label", |subject| soft_label(subject.comparison).map(Value::from)),
    field("score_chosen", |subject| Some(Value::from(scores(subject.comparison)?.0))),
    field("score_rejected", |subject| Some(Value::from(scores(subject.comparison)?.1))),
    // The better answer's score over the worse one's, where that is above 0.
    field("score_ratio", |subject| {
        let (chosen, rejected) = scores(subject.comparison)?;
        (rejected > 0.0).then(|| Value::from(chosen / rejected))
    }),
    // Language of the prompt, as in ISO 639-3; `und` where that is not clear, as in many prompts of one short sentence.
    field("language", |subject| {
        let language = data::language(&subject.comparison.prompt);
        Some(Value::from(language.map_or("und", |language| language.code)))
    }),
    // 1 for equal answers, 0 where no character stayed: one minus the edits over the length of the longer answer.
    field("similarity", |subject| {
        Some(Value::from(facts::similarity(&chosen(subject), &rejected(subject))))
    }),
    field("image_width", |subject| smallest(subject).map(|size| Value::from(size.0))),
    field("image_height", |subject| smallest(subject).map(|size| Value::from(size.1))),
    field("image_pixels", |subject| smallest(subject).map(|size| Value::from(pixels(size)))),
    field("max_image_width", |subject| largest(subject).map(|size| Value::from(size.0))),
    field("max_image_height", |subject| largest(subject).map(|size| Value::from(size.1))),
    field("max_image_pixels", |subject| largest(subject).map(|size| Value::from(pixels(size)))),
];

/// The first of the fields that need the size of pictures; the others of that kind follow.
const FIRST_SIZE: usize = FIELDS.len() - 6;

const ROW: &str = "row";

const fn field(name: &'static str, compute: Compute) -> Field {
    Field { name, compute }
}

/// All names that an expression can ask for, functions last.
pub fn names() -> Vec<&'static str> {
    FIELDS.iter().map(|field| field.name).chain([ROW]).chain(functions::NAMES).collect()
}

/// Something that an expression asks for.
pub(super) enum Asked {
    /// Index of a field.
    Field(usize),
    /// These keys of the row, or all of it where the expression does not name them.
    Row(Option<Vec<String>>),
    /// A function.
    Function(&'static str),
}

/// Fields of one record that have been computed, undefined where the record has no such thing.
#[derive(Default)]
pub(super) struct Known([Option<Value>; FIELDS.len()]);

impl Known {
    fn field(&mut self, at: usize, subject: &Subject<'_>) -> Option<Value> {
        let compute = || (FIELDS[at].compute)(subject).unwrap_or(Value::UNDEFINED);
        let value = self.0[at].get_or_insert_with(compute);
        (!value.is_undefined()).then(|| value.clone())
    }
}

/// What an expression asks for.
pub(super) fn asked(
    expression: &Expression<'_, '_>,
    keep: &str,
) -> Result<Vec<Asked>, FilterError> {
    let mut paths: Vec<String> = expression.undeclared_variables(true).into_iter().collect();
    paths.sort_unstable();
    let mut asked = Vec::new();
    let mut keys: Option<Vec<String>> = Some(Vec::new());
    let mut has_row = false;
    for path in &paths {
        let (name, key) = match path.split_once('.') {
            Some((name, rest)) => (name, rest.split('.').next()),
            None => (path.as_str(), None),
        };
        if name == ROW {
            has_row = true;
            match (key, &mut keys) {
                (Some(key), Some(keys)) => keys.push(key.to_owned()),
                _ => keys = None,
            }
        } else if let Some(at) = FIELDS.iter().position(|field| field.name == name) {
            asked.push(Asked::Field(at));
        } else if let Some(function) = functions::NAMES.into_iter().find(|known| *known == name) {
            asked.push(Asked::Function(function));
        } else {
            let (expression, name) = (keep.to_owned(), name.to_owned());
            return Err(FilterError::UnknownName { expression, name, known: names().join(", ") });
        }
    }
    if has_row {
        asked.push(Asked::Row(keys));
    }
    Ok(asked)
}

impl Asked {
    /// The name in the expression.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Field(at) => FIELDS[*at].name,
            Self::Row(_) => ROW,
            Self::Function(name) => name,
        }
    }

    /// Its value, when the record has one. Functions that need nothing of the recipe are the language's.
    pub(super) fn value(
        &self,
        subject: &Subject<'_>,
        known: &mut Known,
        functions: &Functions,
    ) -> Option<Value> {
        match self {
            Self::Field(at) => known.field(*at, subject),
            Self::Row(None) => Some(value(subject.row)),
            Self::Row(Some(keys)) => {
                let entry = |key: &String| Some((key.clone(), value(subject.row.get(key)?)));
                Some(Value::from(keys.iter().filter_map(entry).collect::<BTreeMap<_, _>>()))
            }
            Self::Function(name) => functions.get(name),
        }
    }

    /// What of it the record does not have.
    pub(super) fn missing(&self, subject: &Subject<'_>, known: &mut Known) -> Vec<String> {
        match self {
            Self::Field(at) => {
                let is_missing = known.field(*at, subject).is_none();
                let name = is_missing.then(|| format!("`{}`", FIELDS[*at].name));
                name.into_iter().collect()
            }
            Self::Row(Some(keys)) => {
                let absent = keys.iter().filter(|key| subject.row.get(key).is_none());
                absent.map(|key| format!("`{ROW}.{key}`")).collect()
            }
            Self::Row(None) | Self::Function(_) => Vec::new(),
        }
    }

    pub(super) fn is_size(&self) -> bool {
        matches!(self, Self::Field(at) if *at >= FIRST_SIZE)
    }

    pub(super) fn is_tokens(&self) -> bool {
        matches!(self, Self::Function(functions::TOKENS))
    }
}

/// A row's value in the language. Nulls are absent, as everywhere.
fn value(row: &Row) -> Value {
    match row {
        Row::Null | Row::Other => Value::from(()),
        Row::Bool(value) => Value::from(*value),
        Row::Whole(value) => Value::from(*value),
        Row::Number(value) => Value::from(*value),
        Row::Text(value) => Value::from(value.as_str()),
        Row::Bytes(value) => Value::from_bytes(value.clone()),
        Row::List(values) => values.iter().map(value).collect(),
        Row::Object(entries) => {
            let present = entries.iter().filter(|(_, value)| *value != Row::Null);
            let values = present.map(|(key, entry)| (key.clone(), value(entry)));
            Value::from(values.collect::<BTreeMap<_, _>>())
        }
    }
}

fn prompt(subject: &Subject<'_>) -> String {
    facts::of_prompt(&subject.comparison.prompt)
}

fn chosen(subject: &Subject<'_>) -> String {
    facts::of_response(&subject.comparison.responses[best(subject.comparison)])
}

fn rejected(subject: &Subject<'_>) -> String {
    facts::of_response(&subject.comparison.responses[worst(subject.comparison)])
}

/// The first response of the best rank.
fn best(comparison: &Comparison) -> usize {
    comparison.preference.ranks.iter().position(|rank| *rank == 0).unwrap_or(0)
}

/// The first response of the last rank that is not the best one itself.
fn worst(comparison: &Comparison) -> usize {
    let best = best(comparison);
    let others = comparison.preference.ranks.iter().enumerate().filter(|(at, _)| *at != best);
    others.max_by_key(|(at, rank)| (**rank, std::cmp::Reverse(*at))).map_or(best, |(at, _)| at)
}

fn scores(comparison: &Comparison) -> Option<(f64, f64)> {
    let scores = comparison.preference.scores.as_ref()?;
    Some((f64::from(scores[best(comparison)]), f64::from(scores[worst(comparison)])))
}

fn margin(comparison: &Comparison) -> Option<f64> {
    let own = comparison
        .preference
        .margin
        .map(|margin| if best(comparison) == 0 { f64::from(margin) } else { -f64::from(margin) });
    own.or_else(|| scores(comparison).map(|(chosen, rejected)| chosen - rejected))
}

fn soft_label(comparison: &Comparison) -> Option<f64> {
    let label = f64::from(comparison.preference.soft_label?);
    Some(if best(comparison) == 0 { label } else { 1.0 - label })
}

fn pixels((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// The picture with the fewest pixels.
fn smallest(subject: &Subject<'_>) -> Option<(u32, u32)> {
    subject.sizes.iter().copied().min_by_key(|size| pixels(*size))
}

/// The picture with the most pixels.
fn largest(subject: &Subject<'_>) -> Option<(u32, u32)> {
    subject.sizes.iter().copied().max_by_key(|size| pixels(*size))
}
