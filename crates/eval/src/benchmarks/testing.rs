//! Tests only: rows from JSON, rewards for them, and figures by name.

use std::path::Path;

use data::RowFault;
use data::raw::parse_json;

use crate::benchmark::{Benchmark, SourceRow};
use crate::figure::Figure;
use crate::item::{Item, Labels, Scored};

/// The item of a row of the file.
pub(super) fn read(benchmark: &dyn Benchmark, file: &str, json: &str) -> Result<Item, RowFault> {
    let value = parse_json(json)?;
    let row =
        SourceRow { value: &value, file: Path::new(file), image_dir: Path::new(""), number: 1 };
    benchmark.read(&row)
}

/// Contents of a prompt or a response, one text for each message.
pub(super) fn contents(messages: &[prompt::Message]) -> Vec<String> {
    let text = |part: &prompt::Part| match part {
        prompt::Part::Text(text) => text.clone(),
        _ => "(no text)".to_owned(),
    };
    messages.iter().map(|message| message.content.iter().map(text).collect()).collect()
}

/// A row of a category and subset with rewards.
pub(super) fn scored(category: &str, subset: &str, ranks: &[u32], scores: &[f32]) -> Scored {
    assert_eq!(ranks.len(), scores.len());
    let labels =
        Labels { category: category.to_owned(), subset: subset.to_owned(), ..Labels::default() };
    Scored { labels, ranks: ranks.to_vec(), scores: scores.to_vec(), ..Scored::default() }
}

/// `num_right` right pairs and as many wrong ones as make `num_total`.
pub(super) fn pairs(
    category: &str,
    subset: &str,
    num_right: usize,
    num_total: usize,
) -> Vec<Scored> {
    let pair = |index| {
        let scores = if index < num_right { [1.0, 0.0] } else { [0.0, 1.0] };
        scored(category, subset, &[0, 1], &scores)
    };
    (0..num_total).map(pair).collect()
}

/// The figures of all rows.
pub(super) fn measure(benchmark: &dyn Benchmark, rows: &[Scored]) -> Vec<Figure> {
    benchmark.measure(&rows.iter().collect::<Vec<_>>())
}

/// The only figure of a section and name.
pub(super) fn figure<'a>(figures: &'a [Figure], section: &str, name: &str) -> &'a Figure {
    let mut found =
        figures.iter().filter(|figure| figure.section == section && figure.name == name);
    let first = found.next().unwrap_or_else(|| panic!("no figure `{section}`, `{name}`"));
    assert!(found.next().is_none(), "two figures `{section}`, `{name}`");
    first
}

/// The value of a figure.
pub(super) fn value(figures: &[Figure], section: &str, name: &str) -> Option<f64> {
    figure(figures, section, name).value
}

/// Whether there is a value, and it differs from the other by rounding only.
pub(super) fn is_close(value: impl Into<Option<f64>>, other: f64) -> bool {
    value.into().is_some_and(|value| (value - other).abs() < 1e-12)
}

/// The rows with another order of better and worse: the rewards of pairs change places.
pub(super) fn swapped(rows: &[Scored]) -> Vec<Scored> {
    let swap = |row: &Scored| {
        let mut row = row.clone();
        row.scores.reverse();
        row
    };
    rows.iter().map(swap).collect()
}

/// The rows with a number added to every reward.
pub(super) fn shifted(rows: &[Scored], by: f32) -> Vec<Scored> {
    let shift = |row: &Scored| {
        let mut row = row.clone();
        row.scores.iter_mut().for_each(|score| *score += by);
        row
    };
    rows.iter().map(shift).collect()
}
