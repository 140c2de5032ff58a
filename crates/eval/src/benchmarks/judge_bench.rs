//! JudgeBench: pairs of answers to questions of knowledge, reasoning, mathematics and code, of which one is correct.
//!
//! The repository asks a judge for both orders of a pair. A reward does not depend on an order, so that both orders say the same and its
//! rule for one game (the decision is the label) and its rule for two agree.
//!
//! # Source
//! Tan et al. 2024, *JudgeBench: A Benchmark for Evaluating LLM-based Judges*; repository ScalerLab/JudgeBench at e2c52c2, `data/*.jsonl`,
//! `utils/metrics.py` and the names of sources in `run_judge.py`.

use std::collections::BTreeSet;

use data::RowFault;
use data::raw::{mistyped, required, text};

use super::row::{Found, name, needed};
use super::texts;
use crate::benchmark::{Benchmark, SourceRow};
use crate::figure::Figure;
use crate::item::{Item, Labels, Scored};

const SECTION: &str = "official";
const UNKNOWN: &str = "other sources";
/// Beginnings of the key `source`; mmlu-pro has a subject behind it.
const CATEGORIES: [&str; 4] =
    ["mmlu-pro", "livebench-reasoning", "livebench-math", "livecodebench"];

/// JudgeBench.
pub(super) struct JudgeBench;

impl Benchmark for JudgeBench {
    fn name(&self) -> &'static str {
        "judgebench"
    }

    fn title(&self) -> &'static str {
        "JudgeBench"
    }

    fn source(&self) -> &'static str {
        "Tan et al. 2024, arXiv 2410.12784; ScalerLab/JudgeBench at e2c52c2"
    }

    fn published_sizes(&self) -> &'static [usize] {
        &[350, 270, 620]
    }

    fn known_categories(&self) -> &'static [&'static str] {
        &CATEGORIES
    }

    fn caveats(&self) -> &'static [&'static str] {
        &[
            "350 pairs are answers of gpt-4o-2024-05-13, 270 of claude-3-5-sonnet-20240620; published tables are over the 350",
        ]
    }

    fn read(&self, row: &SourceRow<'_>) -> Result<Item, RowFault> {
        let value = row.value;
        let label = required(value, "label")?;
        let ranks = match text(label, "label")? {
            "A>B" => vec![0, 1],
            "B>A" => vec![1, 0],
            _ => return Err(mistyped(label, "label", "`A>B` or `B>A`")),
        };
        let source = needed(value, "source")?;
        let known = CATEGORIES.into_iter().find(|category| source.starts_with(category));
        let prompt = texts::prompt(row, "question")?;
        let group = texts::group(&prompt);
        Found {
            id: name(value, "pair_id"),
            prompt_key: "question",
            prompt,
            responses: vec![
                texts::response(row, "response_A")?,
                texts::response(row, "response_B")?,
            ],
            images: Vec::new(),
            ranks,
            labels: Labels {
                category: known.unwrap_or(source).to_owned(),
                subset: source.to_owned(),
                group,
            },
        }
        .item(row)
    }

    fn measure(&self, items: &[&Scored]) -> Vec<Figure> {
        let rows = || items.iter().copied();
        let of_category = |section: &'static str, name: &str| {
            Figure::accuracy(section, name, rows().filter(|item| item.labels.category == name))
        };
        let mut figures = vec![Figure::accuracy(SECTION, "Overall", rows())];
        figures.extend(CATEGORIES.map(|name| of_category(SECTION, name)));
        let others: BTreeSet<&str> = rows()
            .map(|item| item.labels.category.as_str())
            .filter(|category| !CATEGORIES.contains(category))
            .collect();
        figures.extend(others.into_iter().map(|name| of_category(UNKNOWN, name)));
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{contents, figure, measure, pairs, read, value};
    use super::*;

    fn row(source: &str, label: &str) -> String {
        format!(
            r#"{{"pair_id":"p-1","original_id":7,"source":"{source}","question":"Is 7 prime?","response_model":"m",
            "response_A":"It is.","response_B":"No <image> no.","label":"{label}"}}"#
        )
    }

    #[test]
    fn the_label_says_which_of_the_two_is_better() {
        let first = read(&JudgeBench, "gpt.jsonl", &row("mmlu-pro-law", "A>B")).unwrap();
        assert_eq!(first.comparison.preference.ranks, [0, 1]);
        assert_eq!(first.comparison.id, "p-1");
        assert_eq!(contents(&first.comparison.prompt), ["Is 7 prime?"]);
        assert_eq!(contents(&first.comparison.responses[0]), ["It is."]);
        let second = read(&JudgeBench, "gpt.jsonl", &row("livecodebench", "B>A")).unwrap();
        assert_eq!(second.comparison.preference.ranks, [1, 0]);
        let fault = read(&JudgeBench, "gpt.jsonl", &row("livecodebench", "A=B")).unwrap_err();
        assert_eq!(fault.to_string(), "`label` is a text, but must be `A>B` or `B>A`");
    }

    #[test]
    fn a_written_mark_of_a_picture_is_text() {
        let item = read(&JudgeBench, "gpt.jsonl", &row("mmlu-pro-law", "A>B")).unwrap();
        assert_eq!(contents(&item.comparison.responses[1]), ["No <image> no."]);
    }

    #[test]
    fn all_subjects_of_mmlu_pro_are_one_category() {
        for (source, category) in [
            ("mmlu-pro-computer science", "mmlu-pro"),
            ("livebench-reasoning", "livebench-reasoning"),
            ("livebench-math", "livebench-math"),
            ("livecodebench", "livecodebench"),
            ("trivia", "trivia"),
        ] {
            let item = read(&JudgeBench, "gpt.jsonl", &row(source, "A>B")).unwrap();
            assert_eq!(item.labels.category, category);
            assert_eq!(item.labels.subset, source);
        }
    }

    /// The counts are those of the rewards of Skywork-Reward-Gemma-2-27B, which the repository holds.
    #[test]
    fn published_counts_give_the_published_figures() {
        let counts = [
            ("mmlu-pro", 92, 154, "59.74"),
            ("livebench-reasoning", 65, 98, "66.33"),
            ("livebench-math", 47, 56, "83.93"),
            ("livecodebench", 21, 42, "50.00"),
        ];
        let rows: Vec<_> = counts
            .iter()
            .flat_map(|&(name, right, total, _)| pairs(name, "", right, total))
            .collect();
        let figures = measure(&JudgeBench, &rows);
        let percent = |name| format!("{:.2}", 100.0 * value(&figures, SECTION, name).unwrap());
        for (name, _, _, published) in counts {
            assert_eq!(percent(name), published, "{name}");
        }
        assert_eq!(percent("Overall"), "64.29");
    }

    #[test]
    fn the_whole_is_the_sum_of_all_categories() {
        let rows = [
            pairs("mmlu-pro", "", 9, 15),
            pairs("livebench-reasoning", "", 6, 9),
            pairs("livebench-math", "", 4, 5),
            pairs("livecodebench", "", 2, 4),
            pairs("trivia", "", 1, 3),
        ]
        .concat();
        let figures = measure(&JudgeBench, &rows);
        assert_eq!(figures[0].name, "Overall");
        assert_eq!((figures[0].num_right, figures[0].num_total), (Some(22.0), 36));
        let parts = figures[1..].iter().map(|figure| figure.num_right.unwrap()).sum::<f64>();
        assert_eq!(figures[0].num_right, Some(parts));
        assert_eq!(figure(&figures, UNKNOWN, "trivia").num_total, 3);
    }
}
