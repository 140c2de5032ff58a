//! LLMBar: pairs of answers of which one follows the instruction; the other may only look better.
//!
//! # Source
//! Zeng et al. 2023, *Evaluating Large Language Models at Evaluating Instruction Following*; repository princeton-nlp/LLMBar, whose
//! folders `Dataset/LLMBar/{Natural,Adversarial/*}/dataset.json` hold `input`, `output_1`, `output_2` and `label`.

use data::RowFault;
use data::raw::{Value, mistyped, required, said};

use super::row::{Found, answer, needed};
use crate::benchmark::{Benchmark, SourceRow};
use crate::figure::{Figure, mean};
use crate::item::{Item, Labels, Scored};

const SECTION: &str = "official";
const CATEGORIES: [&str; 5] = ["Natural", "Neighbor", "GPTInst", "GPTOut", "Manual"];

/// LLMBar.
pub(super) struct LlmBar;

impl Benchmark for LlmBar {
    fn name(&self) -> &'static str {
        "llmbar"
    }

    fn title(&self) -> &'static str {
        "LLMBar"
    }

    fn source(&self) -> &'static str {
        "Zeng et al. 2023, arXiv 2310.07641; princeton-nlp/LLMBar"
    }

    fn published_sizes(&self) -> &'static [usize] {
        &[419]
    }

    fn known_categories(&self) -> &'static [&'static str] {
        &CATEGORIES
    }

    fn read(&self, row: &SourceRow<'_>) -> Result<Item, RowFault> {
        let value = row.value;
        let label = required(value, "label")?;
        let ranks = match label {
            Value::Whole(1) => vec![0, 1],
            Value::Whole(2) => vec![1, 0],
            Value::Whole(other) => {
                let (key, expected) = ("label".to_owned(), "1 or 2");
                return Err(RowFault::Number { key, number: *other as f64, expected });
            }
            other => return Err(mistyped(other, "label", "1 or 2")),
        };
        let responses = ["output_1", "output_2"]
            .map(|key| needed(value, key).map(|text| answer(key, text)))
            .into_iter()
            .collect::<Result<_, _>>()?;
        Found {
            id: None,
            prompt_key: "input",
            prompt: vec![said("user", needed(value, "input")?)],
            responses,
            images: Vec::new(),
            ranks,
            labels: Labels { category: category(row), ..Labels::default() },
        }
        .item(row)
    }

    fn measure(&self, items: &[&Scored]) -> Vec<Figure> {
        let rows = || items.iter().copied();
        let of_category = |name: &'static str| {
            Figure::accuracy(SECTION, name, rows().filter(|item| item.labels.category == name))
        };
        let categories = CATEGORIES.map(of_category);
        let present = categories.iter().filter(|figure| figure.num_total > 0);
        let average = mean(present.map(|figure| figure.value));
        let mut figures = vec![
            Figure::accuracy(SECTION, "Overall", rows()),
            Figure::derived(SECTION, "Average of categories", average, items.len() as u64),
        ];
        figures.extend(categories);
        figures
    }
}

/// The file's folder in the repository, or a word of its name.
fn category(row: &SourceRow<'_>) -> String {
    let path = row.file.to_string_lossy().to_lowercase();
    let known = CATEGORIES
        .into_iter()
        .filter_map(|name| path.rfind(&name.to_lowercase()).map(|place| (place, name)));
    known.max().map_or_else(|| "other".to_owned(), |(_, name)| name.to_owned())
}
