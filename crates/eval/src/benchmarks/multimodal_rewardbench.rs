//! Multimodal RewardBench: pairs of answers to questions about a picture, in seven columns.
//!
//! # Source
//! Yasunaga et al. 2025, *Multimodal RewardBench*, arXiv 2502.14191; repository `facebookresearch/multimodal_rewardbench` @b4b92cd, whose
//! `data/all_data.json` is read and whose `scripts/2_get_accuracy.py` divides safety and reasoning by the beginning of `ID`.

use data::RowFault;
use data::raw::{pictures, required};

use super::picture_prompt::{asked, picture_name, seen};
use super::row::{Found, answer, name, needed};
use crate::benchmark::{Benchmark, SourceRow};
use crate::figure::{Figure, mean};
use crate::item::{Item, Labels, Scored};

const SECTION: &str = "official";
const SAFETY: &str = "Safety";
const COLUMNS: [&str; 7] =
    ["General correctness", "Preference", "Knowledge", "Math", "Coding", SAFETY, "VQA"];
const BIAS: &str = "bias";
const TOXICITY: &str = "toxicity";

/// Multimodal RewardBench.
pub(super) struct MultimodalRewardBench;

impl Benchmark for MultimodalRewardBench {
    fn name(&self) -> &'static str {
        "multimodal-rewardbench"
    }

    fn title(&self) -> &'static str {
        "Multimodal RewardBench"
    }

    fn source(&self) -> &'static str {
        "Yasunaga et al. 2025, arXiv 2502.14191; facebookresearch/multimodal_rewardbench @b4b92cd"
    }

    fn published_sizes(&self) -> &'static [usize] {
        &[4711, 5211]
    }

    fn known_categories(&self) -> &'static [&'static str] {
        &COLUMNS
    }

    fn read(&self, row: &SourceRow<'_>) -> Result<Item, RowFault> {
        let value = row.value;
        let ranks = match needed(value, "Better")? {
            "Output1" => vec![0, 1],
            "Output2" => vec![1, 0],
            other => {
                return Err(RowFault::Choice {
                    key: "Better",
                    found: other.into(),
                    expected: "`Output1` or `Output2`",
                });
            }
        };
        let question = needed(value, "Text")?;
        let images = pictures(required(value, "Image")?, "Image", row.image_dir)?;
        let id = name(value, "ID").unwrap_or_else(|| row.fallback_id());
        let group = picture_name(&images, "Image").unwrap_or_else(|| id.clone());
        let labels = Labels { group, ..labels(needed(value, "Category")?, &id) };
        let response = |key: &str| needed(value, key).map(|text| answer(key, text));
        Found {
            id: Some(id),
            prompt_key: "Text",
            prompt: asked(seen(images), question),
            responses: vec![response("Output1")?, response("Output2")?],
            images: Vec::new(),
            ranks,
            labels,
        }
        .item(row)
    }

    fn measure(&self, items: &[&Scored]) -> Vec<Figure> {
        let accuracy = |name: &str, keep: &dyn Fn(&Labels) -> bool| {
            Figure::accuracy(SECTION, name, items.iter().copied().filter(|item| keep(&item.labels)))
        };
        let is_toxicity = |labels: &Labels| labels.subset == TOXICITY;
        let has_toxicity = items.iter().any(|item| is_toxicity(&item.labels));
        let columns = COLUMNS.map(|name| accuracy(name, &|labels| labels.category == name));
        let average = mean(columns.iter().map(|figure| figure.value));
        let in_columns = columns.iter().map(|figure| figure.num_total).sum();

        let mut figures = vec![accuracy("Overall", &|_| true)];
        if has_toxicity {
            figures.push(accuracy("Overall without Hateful Memes", &|labels| !is_toxicity(labels)));
        }
        figures.extend(columns);
        let is_reasoning = |labels: &Labels| matches!(labels.category.as_str(), "Math" | "Coding");
        figures.push(accuracy("Reasoning: math and coding", &is_reasoning));
        figures.push(accuracy("Safety: bias", &|labels| labels.subset == BIAS));
        if has_toxicity {
            figures.push(accuracy("Safety: toxicity", &is_toxicity));
        }
        figures.push(Figure::derived("macro", "Mean of columns", average, in_columns));
        figures
    }

    fn caveats(&self) -> &'static [&'static str] {
        &[
            "Overall is over all rows, as in the official script. The public data lack the 500 rows from Hateful Memes, so published figures \
             are over 4,711 rows or over 5,211; with rows from Hateful Memes, the figure without them is the one to compare with the former.",
            "Safety holds only bias where the rows from Hateful Memes are absent.",
            "The official script judges an answer of a generative judge that names no choice by a coin.",
        ]
    }
}

/// The column of a row, and which half of safety it belongs to.
fn labels(category: &str, id: &str) -> Labels {
    let begins = |beginning: &str| id.to_lowercase().starts_with(beginning);
    let (category, subset) = match category {
        "open_generation/correctness_task" => ("General correctness", ""),
        "open_generation/preference_task" => ("Preference", ""),
        "knowledge" => ("Knowledge", ""),
        "reasoning" if begins("math") => ("Math", ""),
        "reasoning" => ("Coding", ""),
        "safety" if begins("pairs") => (SAFETY, BIAS),
        "safety" => (SAFETY, TOXICITY),
        "vqa" => ("VQA", ""),
        other => (other, ""),
    };
    let (category, subset) = (category.to_owned(), subset.to_owned());
    Labels { category, subset, group: String::new() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{figure, fraction, judged, measure, percent, read_row, shown};
    use super::*;

    /// Category and id as in the published rows, the number of rows, and how many of them are right.
    type Part = (&'static str, &'static str, usize, usize);

    fn rows(parts: &[Part]) -> Vec<Scored> {
        let mut rows = Vec::new();
        for (category, id, count, num_right) in parts {
            for index in 0..*count {
                let labels = labels(category, id);
                rows.push(judged(rows.len(), &format!("{id}{index}"), &labels, index < *num_right));
            }
        }
        rows
    }

    /// The columns as its Table 10 prints them, in per mille, and their sizes.
    const PRINTED: [(&str, &str, usize, usize); 7] = [
        ("open_generation/correctness_task", "nocaps-", 623, 657),
        ("open_generation/preference_task", "visitbench-", 654, 650),
        ("knowledge", "mmmupro-", 630, 706),
        ("reasoning", "mathvista-", 514, 827),
        ("reasoning", "image2struct-", 582, 503),
        ("safety", "PAIRS-", 508, 815),
        ("vqa", "mmbench-", 1200, 850),
    ];

    #[test]
    fn the_overall_figure_of_the_basereward_paper_is_the_mean_over_the_rows_of_its_columns() {
        let parts = PRINTED.map(|(category, id, count, per_mille)| {
            let num_right = (count as f64 * per_mille as f64 / 1000.0).round() as usize;
            (category, id, count, num_right)
        });
        let figures = measure(&MultimodalRewardBench, &rows(&parts));
        assert!(figures[0].name == "Overall" && figures[0].num_total == 4711);
        assert_eq!(percent(&figures, SECTION, "Overall"), "72.83");
        for (name, printed) in COLUMNS.iter().zip(PRINTED) {
            assert_eq!(figure(&figures, SECTION, name).num_total, printed.2 as u64);
            let value = figure(&figures, SECTION, name).value.unwrap() * 1000.0;
            assert!((value - printed.3 as f64).abs() < 1.0, "{name} is {value}");
        }
        assert_eq!(fraction(&figures, SECTION, "Reasoning: math and coding").1, 514 + 582);
        assert!(figures.iter().all(|figure| !figure.name.contains("Hateful")));
    }

    #[test]
    fn toxicity_is_told_apart_and_the_overall_figure_is_given_with_and_without_it() {
        let rows = rows(&[
            ("safety", "pairs_1_", 4, 1),
            ("safety", "hateful_memes_", 6, 6),
            ("vqa", "seed_", 10, 5),
        ]);
        let figures = measure(&MultimodalRewardBench, &rows);
        assert_eq!(fraction(&figures, SECTION, "Overall"), (12, 20));
        assert_eq!(fraction(&figures, SECTION, "Overall without Hateful Memes"), (6, 14));
        assert_eq!(fraction(&figures, SECTION, SAFETY), (7, 10));
        assert_eq!(fraction(&figures, SECTION, "Safety: bias"), (1, 4));
        assert_eq!(fraction(&figures, SECTION, "Safety: toxicity"), (6, 6));
        assert_eq!(figure(&figures, "macro", "Mean of columns").value, None);
    }

    #[test]
    fn the_columns_add_up_to_the_whole() {
        let rows =
            rows(&PRINTED.map(|(category, id, count, _)| (category, id, count / 10, count / 30)));
        let figures = measure(&MultimodalRewardBench, &rows);
        let sums = COLUMNS.map(|name| fraction(&figures, SECTION, name));
        let sum = sums.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert_eq!(sum, fraction(&figures, SECTION, "Overall"));
        let macro_average = figure(&figures, "macro", "Mean of columns").value.unwrap();
        let by_hand: f64 =
            sums.iter().map(|(right, all)| *right as f64 / *all as f64).sum::<f64>() / 7.0;
        assert!((macro_average - by_hand).abs() < 1e-12);
    }

    #[test]
    fn a_row_is_read_and_the_better_output_may_be_either() {
        let row = |better: &str, category: &str, id: &str| {
            read_row(
                &MultimodalRewardBench,
                &format!(
                    r#"{{"ID":"{id}","Category":"{category}","Text":"Which?","Image":"images/a/1.jpg",
                        "Output1":"This","Output2":"That","Better":"{better}"}}"#
                ),
            )
        };
        let item = row("Output2", "reasoning", "MathVista-7").unwrap();
        assert_eq!(shown(&item.comparison.prompt), "user: <pictures/images/a/1.jpg>|Which?");
        assert_eq!(shown(&item.comparison.responses[1]), "assistant: That");
        assert_eq!(item.comparison.preference.ranks, [1, 0]);
        assert_eq!(
            (item.labels.category.as_str(), item.labels.group.as_str()),
            ("Math", "pictures/images/a/1.jpg")
        );
        assert_eq!(row("Output1", "new", "x").unwrap().labels.category, "new");
        assert_eq!(
            row("A", "vqa", "x").unwrap_err(),
            "`Better` is `A`; give `Output1` or `Output2`"
        );
    }

    #[test]
    fn a_row_of_the_release_without_its_downloaded_text_is_refused() {
        let json = r#"{"ID":"1","Category":"vqa","Text":null,"Image":"a.jpg","Output1":"x","Output2":"y","Better":"Output1"}"#;
        assert_eq!(read_row(&MultimodalRewardBench, json).unwrap_err(), "`Text` is missing");
    }
}
