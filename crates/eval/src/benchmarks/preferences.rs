//! Any file of preferences: pairs and rankings in the formats that training reads.
//!
//! Pairs of responses with different ranks are counted over all rows; rows with more than two responses get the measures of a ranking
//! besides.

use std::collections::BTreeSet;

use data::raw::{Names, comparison_of};
use data::{Comparison, RowFault, Undecided};
use prompt::{ImageSource, Part};

use crate::benchmark::{Benchmark, SourceRow};
use crate::figure::Figure;
use crate::item::{Item, Labels, Scored};
use crate::ranking;

/// Any preference data.
pub(super) struct Preferences;

impl Benchmark for Preferences {
    fn name(&self) -> &'static str {
        "preferences"
    }

    fn title(&self) -> &'static str {
        "Preferences"
    }

    fn source(&self) -> &'static str {
        "the data that are given"
    }

    fn published_sizes(&self) -> &'static [usize] {
        &[]
    }

    fn known_categories(&self) -> &'static [&'static str] {
        &[]
    }

    fn read(&self, row: &SourceRow<'_>) -> Result<Item, RowFault> {
        let source = row.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let names = Names { id: row.fallback_id(), source };
        let mut comparison = comparison_of(row.value, row.image_dir, names)?;
        settle(&mut comparison)?;
        let (category, group) = (comparison.source.clone(), shared(&comparison));
        Ok(Item { comparison, labels: Labels { category, subset: String::new(), group } })
    }

    fn measure(&self, items: &[&Scored]) -> Vec<Figure> {
        ranked("pairs", items)
    }

    fn caveats(&self) -> &'static [&'static str] {
        &[
            "Accuracy counts every pair of responses with different ranks; a row with more responses has more pairs.",
            "Kendall's tau-b goes from -1 to 1; NDCG is high even for a bad order when there are few responses.",
        ]
    }
}

/// Accuracy over pairs, overall and by category, and the measures of a ranking where some row has more than two responses.
pub(super) fn ranked(section: &'static str, items: &[&Scored]) -> Vec<Figure> {
    let mut figures = vec![ranking::pair_accuracy(section, "Overall", items.iter().copied())];
    if items.iter().any(|item| item.ranks.len() > 2) {
        figures.extend(ranking::figures(items));
    }
    let categories: BTreeSet<&str> =
        items.iter().map(|item| item.labels.category.as_str()).collect();
    figures.extend(categories.into_iter().map(|category| {
        let rows = items.iter().copied().filter(|item| item.labels.category == category);
        ranking::pair_accuracy("pairs by source", category, rows)
    }));
    figures
}

/// A pair whose soft label says that the second response is rather the better one is turned around.
fn settle(comparison: &mut Comparison) -> Result<(), RowFault> {
    match comparison.preference.soft_label {
        Some(label) if label < 0.5 => comparison.preference.ranks.reverse(),
        Some(0.5) => {
            let (reason, ties, equal_responses) = (Undecided::Ties, 1, 0);
            return Err(RowFault::NoPreference { reason, ties, equal_responses });
        }
        _ => {}
    }
    Ok(())
}

/// What rows have in common that are not independent of each other: the prompt with its pictures.
fn shared(comparison: &Comparison) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Image(image) => image_name(image, &comparison.id),
        // The formats of preferences have no videos.
        Part::Video(_) => comparison.id.clone(),
    };
    let parts = comparison.prompt.iter().flat_map(|message| &message.content).map(part);
    parts.collect::<Vec<_>>().join("\n")
}

/// A picture in the row itself has no name that another row would use for it.
fn image_name(image: &ImageSource, id: &str) -> String {
    match image {
        ImageSource::Path(path) => path.display().to_string(),
        ImageSource::Bytes { label, .. } => format!("{id}/{label}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{figure, fraction, judged, measure, percent, read_row, shown};
    use super::*;

    #[test]
    fn rows_of_several_formats_are_read_each_by_its_own() {
        let item =
            read_row(&Preferences, r#"{"prompt":"p","chosen":"c","rejected":"r","image":"1.png"}"#)
                .unwrap();
        assert_eq!(shown(&item.comparison.prompt), "user: <pictures/1.png>|p");
        assert_eq!(item.comparison.preference.ranks, [0, 1]);
        assert_eq!(
            (item.comparison.id.as_str(), item.labels.category.as_str()),
            ("rows:1", "rows")
        );
        assert_eq!(item.labels.group, "pictures/1.png\np");
        let item = read_row(
            &Preferences,
            r#"{"id":"7","source":"s","prompt":"p","responses":["x","y","z"],"scores":[1,3,1]}"#,
        )
        .unwrap();
        assert_eq!(item.comparison.preference.ranks, [1, 0, 1]);
        assert_eq!((item.comparison.id.as_str(), item.labels.category.as_str()), ("7", "s"));
    }

    #[test]
    fn rows_that_follow_no_format_or_prefer_nothing_are_refused() {
        assert_eq!(
            read_row(&Preferences, r#"{"question":"q","answer":"a"}"#).unwrap_err(),
            "the row follows no known format: its keys are `question`, `answer`; use `prompt`, `chosen` and `rejected`, or one of the published schemas"
        );
        assert_eq!(
            read_row(&Preferences, "[1]").unwrap_err(),
            "a row is an object, but this one is a list"
        );
        assert_eq!(
            read_row(&Preferences, r#"{"prompt":"p","responses":["x","y"],"ranks":[1,1]}"#)
                .unwrap_err(),
            "the row prefers no response: its responses are tied"
        );
    }

    #[test]
    fn a_soft_label_under_one_half_turns_a_pair_around_and_one_half_prefers_nothing() {
        let row = |label: &str| {
            read_row(
                &Preferences,
                &format!(r#"{{"prompt":"p","chosen":"c","rejected":"r","soft_label":{label}}}"#),
            )
        };
        assert_eq!(row("0.9").unwrap().comparison.preference.ranks, [0, 1]);
        assert_eq!(row("0.2").unwrap().comparison.preference.ranks, [1, 0]);
        assert_eq!(row("0.5").unwrap_err(), "the row prefers no response: its responses are tied");
    }

    #[test]
    fn pairs_alone_have_accuracies_only() {
        let labels = |source: &str| Labels { category: source.to_owned(), ..Labels::default() };
        let rows = [
            judged(0, "1", &labels("b"), true),
            judged(1, "2", &labels("a"), false),
            judged(2, "3", &labels("b"), true),
        ];
        let figures = measure(&Preferences, &rows);
        let names: Vec<&str> = figures.iter().map(|figure| figure.name.as_str()).collect();
        assert_eq!(names, ["Overall", "a", "b"]);
        assert_eq!(fraction(&figures, "pairs", "Overall"), (2, 3));
        assert_eq!(fraction(&figures, "pairs by source", "b"), (2, 2));
    }

    #[test]
    fn rankings_have_the_measures_of_a_ranking_besides() {
        let row = |ranks: &[u32], scores: &[f32]| Scored {
            ranks: ranks.to_vec(),
            scores: scores.to_vec(),
            ..Scored::default()
        };
        let rows = [row(&[0, 1, 2], &[3.0, 2.0, 1.0]), row(&[0, 1], &[0.0, 1.0])];
        let figures = measure(&Preferences, &rows);
        assert_eq!(fraction(&figures, "pairs", "Overall"), (3, 4));
        assert_eq!(fraction(&figures, "ranking", "Best of N"), (1, 2));
        assert_eq!(percent(&figures, "ranking", "Kendall's tau-b"), "0.00");
        assert_eq!(figure(&figures, "ranking", "NDCG").num_total, 2);
        // The reversed pair has the gain 1 at the second place: 1 / log2(3).
        let expected = f64::midpoint(1.0, 1.0 / 3.0_f64.log2());
        assert!((figure(&figures, "ranking", "NDCG").value.unwrap() - expected).abs() < 1e-12);
    }
}
