//! LLMBar: pairs of answers of which one follows the instruction; the other may only look better.
//!
//! # Source
//! Zeng et al. 2023, *Evaluating Large Language Models at Evaluating Instruction Following*; repository princeton-nlp/LLMBar, whose
//! folders `Dataset/LLMBar/{Natural,Adversarial/*}/dataset.json` hold `input`, `output_1`, `output_2` and `label`.

use data::RowFault;
use data::raw::{Value, mistyped, required};

use super::row::Found;
use super::texts;
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
        let ranks = match required(row.value, "label")? {
            Value::Whole(1) => vec![0, 1],
            Value::Whole(2) => vec![1, 0],
            Value::Whole(other) => {
                let (key, expected) = ("label".to_owned(), "1 or 2");
                return Err(RowFault::Number { key, number: *other as f64, expected });
            }
            other => return Err(mistyped(other, "label", "1 or 2")),
        };
        Found {
            id: None,
            prompt_key: "input",
            prompt: texts::prompt(row, "input")?,
            responses: vec![texts::response(row, "output_1")?, texts::response(row, "output_2")?],
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

#[cfg(test)]
mod tests {
    use super::super::testing::{
        contents, figure, fraction, is_close, measure, pairs, read, value,
    };
    use super::*;

    fn row(label: &str) -> String {
        format!(
            r#"{{"input":"Say <image> in one word.","output_1":"A <video>.","output_2":"Word.","label":{label}}}"#
        )
    }

    #[test]
    fn the_label_says_which_output_is_the_better_one() {
        let ranks = |label| {
            let item = read(&LlmBar, "Natural/dataset.json", &row(label)).unwrap();
            item.comparison.preference.ranks
        };
        assert_eq!((ranks("1"), ranks("2")), (vec![0, 1], vec![1, 0]));
    }

    #[test]
    fn marks_of_pictures_in_the_texts_are_words_like_others() {
        let item = read(&LlmBar, "Natural/dataset.json", &row("1")).unwrap();
        assert_eq!(contents(&item.comparison.prompt), ["Say <image> in one word."]);
        assert_eq!(contents(&item.comparison.responses[0]), ["A <video>."]);
        assert_eq!(contents(&item.comparison.responses[1]), ["Word."]);
    }

    #[test]
    fn a_category_is_the_folder_or_a_word_of_the_files_name() {
        let category = |file| read(&LlmBar, file, &row("1")).unwrap().labels.category;
        assert_eq!(category("Dataset/LLMBar/Natural/dataset.json"), "Natural");
        assert_eq!(category("LLMBar/Adversarial/GPTInst/dataset.json"), "GPTInst");
        assert_eq!(category("natural-rows/manual.json"), "Manual");
        assert_eq!(category("rows.json"), "other");
    }

    #[test]
    fn a_label_or_text_that_is_none_is_named() {
        let fault = |row: &str| read(&LlmBar, "Natural/dataset.json", row).unwrap_err().to_string();
        assert!(fault(&row("3")).contains("`label`"), "{}", fault(&row("3")));
        assert!(fault(&row("\"1\"")).contains("1 or 2"), "{}", fault(&row("\"1\"")));
        let fault = fault(r#"{"input":"A?","output_1":"B","label":1}"#);
        assert_eq!(fault, "`output_2` is missing");
    }

    #[test]
    fn the_average_is_over_the_categories_that_have_rows() {
        let mut rows = pairs("Natural", "", 3, 4);
        rows.extend(pairs("Manual", "", 1, 4));
        rows.extend(pairs("Manual", "", 0, 4));
        let figures = measure(&LlmBar, &rows);
        assert_eq!(figures[0].name, "Overall");
        assert_eq!(fraction(&figures, SECTION, "Overall"), (4, 12));
        assert!(is_close(value(&figures, SECTION, "Average of categories"), 0.4375));
        assert_eq!(fraction(&figures, SECTION, "Manual"), (1, 8));
        assert_eq!(figure(&figures, SECTION, "GPTOut").value, None);
    }
}
