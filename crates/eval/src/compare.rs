//! Runs of one benchmark beside each other and beside the published numbers, as Markdown and as CSV.
//!
//! It reads no files and judges no model: it says what is comparable, and what is not.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::figure::Figure;
use crate::item::Scored;
use crate::paired::{Paired, paired};
use crate::published::{Published, published};

mod text;

/// Seed of the intervals of differences.
const SEED: u64 = 0;

/// A run of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Name that tells it from the other runs.
    pub name: String,
    /// Rows that its figures are over.
    pub num_rows: u64,
    /// Hash of the data that it read, if it is known.
    pub data_hash: Option<String>,
    /// Its figures, the headline first.
    pub figures: Vec<Figure>,
    /// Its rows with their rewards; empty where they are not known.
    pub rows: Vec<Scored>,
}

/// Runs beside each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SideBySide {
    /// Name of the benchmark on the command line.
    pub benchmark: String,
    /// Names of the runs.
    pub runs: Vec<String>,
    /// The figures, in the order of the first run that has them.
    pub lines: Vec<Line>,
    /// The first run against each other one of which the rows are known as well.
    pub against_first: Vec<Against>,
    /// Published numbers of the benchmark.
    pub published: Vec<Published>,
    /// What makes the runs hard to compare; whole sentences.
    pub warnings: Vec<String>,
}

/// A figure of every run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Section of the figure.
    pub section: String,
    /// Its name.
    pub name: String,
    /// `[runs]`: the figure, where the run has it.
    pub figures: Vec<Option<Figure>>,
}

/// Two runs row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// The first run.
    pub first: String,
    /// The other run.
    pub other: String,
    /// How the first compares with the other.
    pub paired: Paired,
}

impl SideBySide {
    /// Puts runs of a benchmark side by side, with what is published about it.
    pub fn of(benchmark: &str, runs: &[Run]) -> Self {
        let against_first: Vec<Against> = match runs.split_first() {
            Some((first, others)) if !first.rows.is_empty() => others
                .iter()
                .filter(|other| !other.rows.is_empty())
                .map(|other| Against {
                    first: first.name.clone(),
                    other: other.name.clone(),
                    paired: paired(&first.rows, &other.rows, SEED),
                })
                .collect(),
            _ => Vec::new(),
        };
        Self {
            benchmark: benchmark.to_owned(),
            runs: runs.iter().map(|run| run.name.clone()).collect(),
            lines: lines(runs),
            warnings: warnings(runs, &against_first),
            against_first,
            published: published(benchmark),
        }
    }

    /// Tables of figures, of the paired comparisons and of the published numbers, whose caveats are footnotes.
    pub fn markdown(&self) -> String {
        text::markdown(self)
    }

    /// One line for each figure of each run and for each published number, so that a number never parts from its counts, its
    /// source and its caveats.
    pub fn csv(&self) -> String {
        text::csv(self)
    }
}

/// Every figure once, in the order in which the runs name it first.
fn lines(runs: &[Run]) -> Vec<Line> {
    let mut seen = BTreeSet::new();
    let keys = runs
        .iter()
        .flat_map(|run| run.figures.iter().map(|figure| (figure.section.as_ref(), &figure.name)))
        .filter(|key| seen.insert(*key));
    let of_run = |run: &Run, section: &str, name: &str| {
        run.figures.iter().find(|figure| figure.section == section && figure.name == name).cloned()
    };
    keys.map(|(section, name)| Line {
        section: section.to_owned(),
        name: name.clone(),
        figures: runs.iter().map(|run| of_run(run, section, name)).collect(),
    })
    .collect()
}

fn warnings(runs: &[Run], against_first: &[Against]) -> Vec<String> {
    let listed = |values: &[(&str, String)]| {
        values.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    };
    let differ = |values: &[(&str, String)]| values.windows(2).any(|two| two[0].1 != two[1].1);
    let mut warnings = Vec::new();
    let rows: Vec<(&str, String)> =
        runs.iter().map(|run| (run.name.as_str(), run.num_rows.to_string())).collect();
    if differ(&rows) {
        warnings.push(format!("The runs are over different numbers of rows: {}.", listed(&rows)));
    }
    let hashes: Vec<(&str, String)> =
        runs.iter().filter_map(|run| Some((run.name.as_str(), run.data_hash.clone()?))).collect();
    if differ(&hashes) {
        warnings.push(format!("The runs read different data: {}.", listed(&hashes)));
    }
    for Against { first, other, paired } in against_first {
        if paired.num_not_shared > 0 {
            let (shared, rest) = (paired.num_rows, paired.num_not_shared);
            warnings.push(format!(
                "{first} and {other} are compared row by row over the {shared} rows that both have; {rest} rows are left out."
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn run(name: &str, outcomes: &[bool]) -> Run {
        let rows: Vec<Scored> = outcomes
            .iter()
            .enumerate()
            .map(|(row, &is_right)| Scored {
                row,
                id: format!("row {row}"),
                ranks: vec![0, 1],
                scores: if is_right { vec![1.0, 0.0] } else { vec![0.0, 1.0] },
                ..Scored::default()
            })
            .collect();
        let figures = vec![Figure::accuracy("official", "Overall", &rows)];
        let num_rows = rows.len() as u64;
        Run { name: name.to_owned(), num_rows, data_hash: None, figures, rows }
    }

    #[test]
    fn every_figure_stands_once_in_the_order_of_the_runs() {
        let (mut first, mut second) = (run("a", &[true, false]), run("b", &[true, true]));
        first.figures.push(Figure::ratio("parts", "Math", 1.0, 2, 0));
        second.figures.insert(0, Figure::ratio("parts", "Code", 2.0, 2, 0));
        let result = SideBySide::of("llmbar", &[first, second]);
        let keys: Vec<_> = result
            .lines
            .iter()
            .map(|line| (line.name.as_str(), line.figures.iter().map(Option::is_some).collect()))
            .collect::<Vec<(_, Vec<bool>)>>();
        let [both, left, right] = [vec![true, true], vec![true, false], vec![false, true]];
        assert_eq!(keys, [("Overall", both), ("Math", left), ("Code", right)]);
        assert!(result.published.is_empty());
    }

    #[test]
    fn the_first_run_is_compared_with_each_other_one_that_has_rows() {
        let mut without = run("c", &[true, true, true, true]);
        without.rows.clear();
        let runs =
            [run("a", &[true, true, false, false]), run("b", &[true, false, true, true]), without];
        let result = SideBySide::of("llmbar", &runs);
        let [against] = result.against_first.as_slice() else { panic!("{result:?}") };
        assert_eq!((against.first.as_str(), against.other.as_str()), ("a", "b"));
        assert_eq!((against.paired.num_wins, against.paired.num_losses), (1, 2));
        assert!(result.warnings.is_empty(), "{:?}", result.warnings);
    }

    #[test]
    fn different_rows_and_different_data_are_said() {
        let mut runs = [run("a", &[true, true]), run("b", &[true, false, true])];
        runs[0].data_hash = Some("0a".to_owned());
        runs[1].data_hash = Some("0b".to_owned());
        let warnings = SideBySide::of("llmbar", &runs).warnings;
        assert_eq!(warnings.len(), 3);
        assert!(warnings[0].contains("a 2, b 3"), "{warnings:?}");
        assert!(warnings[1].contains("a 0a, b 0b"), "{warnings:?}");
        assert!(warnings[2].contains("2 rows that both have; 1 rows"), "{warnings:?}");
    }
}
