//! Published numbers of other models and of the paper, each with its source and with what a reader has to know.
//!
//! They are data, in `published.json`; nothing here is measured. A number is filed under what it is, which is not always what
//! its table calls it; the caveat says so. `ratio` stands where the printed percentage is a whole count of the benchmark's items.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

const FILE: &str = include_str!("published.json");

/// The numbers of one model in one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Name of the benchmark on the command line.
    pub benchmark: String,
    /// The model, and how it was used where that is not usual.
    pub model: String,
    /// Paper and table.
    pub source: String,
    /// What the numbers can be compared with, and what not; whole sentences.
    pub caveats: Vec<String>,
    /// The numbers, the headline first.
    pub figures: Vec<PublishedFigure>,
}

/// A printed number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedFigure {
    /// Section of the benchmark's figures that it belongs to.
    pub section: String,
    /// Name among them.
    pub name: String,
    /// As printed, from 0 to 100.
    pub percent: f64,
    /// The only fraction of the benchmark's items that it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<(u64, u64)>,
}

/// The file: entries name their source and caveats by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sources: BTreeMap<String, String>,
    caveats: BTreeMap<String, String>,
    entries: Vec<Published>,
}

/// The published numbers of a benchmark, in the order of their sources; empty where none are known.
pub fn published(benchmark: &str) -> Vec<Published> {
    all().into_iter().filter(|entry| entry.benchmark == benchmark).collect()
}

fn all() -> Vec<Published> {
    let File { sources, caveats, mut entries } =
        serde_json::from_str(FILE).expect("the file is part of the program, and its test reads it");
    let sentence = |texts: &BTreeMap<String, String>, key: &str| {
        texts.get(key).cloned().expect("every key of the file has its text, and a test reads all")
    };
    for entry in &mut entries {
        entry.source = sentence(&sources, &entry.source);
        for caveat in &mut entry.caveats {
            *caveat = sentence(&caveats, caveat);
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::item::{Labels, Scored};

    const BENCHMARKS: [&str; 6] = [
        "mm-rlhf-rewardbench",
        "multimodal-rewardbench",
        "multimodal-rewardbench-2",
        "rewardbench",
        "rm-bench",
        "vl-rewardbench",
    ];

    fn entry(benchmark: &str, model: &str, source: &str) -> Published {
        let is_it = |entry: &Published| entry.model == model && entry.source.ends_with(source);
        published(benchmark).into_iter().find(is_it).expect("the entry is in the file")
    }

    fn ratio(entry: &Published, name: &str) -> Option<(u64, u64)> {
        entry.figures.iter().find(|figure| figure.name == name)?.ratio
    }

    fn percent(entry: &Published, name: &str) -> f64 {
        let figure = entry.figures.iter().find(|figure| figure.name == name);
        figure.map_or(f64::NAN, |figure| figure.percent)
    }

    #[test]
    fn every_entry_names_a_known_benchmark_and_has_numbers() {
        let found: BTreeSet<String> = all().into_iter().map(|entry| entry.benchmark).collect();
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), BENCHMARKS);
        assert!(all().iter().all(|entry| !entry.figures.is_empty()));
        assert!(published("llmbar").is_empty());
    }

    #[test]
    fn no_model_and_no_figure_is_there_twice() {
        let mut models = BTreeSet::new();
        for entry in all() {
            let mut names = BTreeSet::new();
            for figure in &entry.figures {
                assert!(names.insert((&figure.section, &figure.name)), "{entry:?}");
            }
            assert!(models.insert((entry.benchmark, entry.model, entry.source)));
        }
    }

    #[test]
    fn percents_are_percents_and_agree_with_their_ratios() {
        for entry in all() {
            for figure in &entry.figures {
                assert!((0.0..=100.0).contains(&figure.percent), "{entry:?}");
                if let Some((part, whole)) = figure.ratio {
                    assert!(part <= whole);
                    // Some tables round the second decimal, some cut it off.
                    let exact = 100.0 * part as f64 / whole as f64;
                    assert!(
                        (exact - figure.percent).abs() < 0.0101,
                        "{exact} {figure:?} {entry:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_key_of_the_file_is_used() {
        let file: File = serde_json::from_str(FILE).unwrap();
        let sources: BTreeSet<&String> = file.entries.iter().map(|entry| &entry.source).collect();
        let caveats: BTreeSet<&String> =
            file.entries.iter().flat_map(|entry| &entry.caveats).collect();
        assert_eq!(sources, file.sources.keys().collect());
        assert_eq!(caveats, file.caveats.keys().collect());
    }

    #[test]
    fn the_papers_own_figures_are_plain_ratios() {
        let model = "BaseReward (Qwen2.5-VL-7B)";
        let pairs = entry("mm-rlhf-rewardbench", model, "Table 8");
        assert_eq!(ratio(&pairs, "Acc"), Some((156, 170)));
        assert_eq!(ratio(&pairs, "Acc+"), Some((37, 46)));
        let vision = entry("vl-rewardbench", model, "Table 9");
        assert_eq!(ratio(&vision, "Overall"), Some((1027, 1250)));
        assert_eq!(ratio(&vision, "General"), Some((396, 484)));
        assert_eq!(ratio(&vision, "Hallucination"), Some((413, 448)));
        assert_eq!(ratio(&vision, "Reasoning"), Some((218, 318)));
        let ensemble = entry("vl-rewardbench", "BaseReward (ensemble)", "Table 9");
        assert_eq!(ratio(&ensemble, "Overall"), Some((1034, 1225)));
        assert_eq!(ratio(&ensemble, "Reasoning"), Some((210, 293)));
        let r1 = entry("vl-rewardbench", "R1-Reward", "Table 9");
        assert_eq!(ratio(&r1, "Overall"), Some((899, 1250)));
        assert_eq!(ratio(&r1, "General"), Some((309, 484)));
    }

    /// Names are matched as they stand: one that no benchmark gives would be in a column of its own.
    #[test]
    fn published_numbers_are_named_as_the_benchmarks_name_their_figures() {
        // An id that every mapping knows, so that no section is left out, and as many responses as RM-Bench has.
        let row = Scored {
            id: "RLAIF-V-1".to_owned(),
            labels: Labels { category: "Hallucination".to_owned(), ..Labels::default() },
            ranks: vec![0, 0, 0, 1, 1, 1],
            lengths: vec![1; 6],
            scores: vec![1.0, 1.0, 1.0, 0.0, 0.0, 0.0],
            ..Scored::default()
        };
        let mut num_checked = 0;
        for benchmark in crate::benchmarks::ALL {
            let name = benchmark.name();
            let figures = benchmark.measure(&[&row]);
            let is_measured = |wanted: &PublishedFigure| {
                figures.iter().any(|f| f.section == wanted.section && f.name == wanted.name)
            };
            for entry in published(name) {
                for figure in &entry.figures {
                    assert!(is_measured(figure), "{name} has no {figure:?}: {}", entry.model);
                    num_checked += 1;
                }
            }
        }
        assert!(num_checked > 0);
    }

    /// Rows whose categories are whole counts of the `r1_reward` mapping add up to their overall figure.
    #[test]
    fn categories_of_the_r1_mapping_add_up_to_the_overall_figure() {
        let mut num_checked = 0;
        for entry in published("vl-rewardbench") {
            let parts = ["General", "Hallucination", "Reasoning"].map(|name| ratio(&entry, name));
            let [Some(general), Some(hallucination), Some(reasoning)] = parts else { continue };
            let Some(overall) = ratio(&entry, "Overall") else { continue };
            let sum = [general, hallucination, reasoning]
                .iter()
                .fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
            assert_eq!(sum, overall, "{}", entry.model);
            num_checked += 1;
        }
        assert_eq!(num_checked, 5, "three rows of the paper, R1-Reward and VITA-1.5");
    }

    #[test]
    fn headings_of_multimodal_rewardbench_are_filed_under_what_they_are() {
        const SIZES: [(&str, f64); 7] = [
            ("General correctness", 623.0),
            ("Preference", 654.0),
            ("Knowledge", 630.0),
            ("Math", 514.0),
            ("Coding", 582.0),
            ("Safety", 508.0),
            ("VQA", 1200.0),
        ];
        let mut num_checked = 0;
        for entry in published("multimodal-rewardbench").iter().filter(|e| e.figures.len() == 8) {
            let plain = SIZES.map(|(name, _)| percent(entry, name)).iter().sum::<f64>() / 7.0;
            let micro =
                SIZES.map(|(name, size)| percent(entry, name) * size).iter().sum::<f64>() / 4711.0;
            let (headline, expected, tolerance) = match entry.figures[0].name.as_str() {
                "Mean of columns" => ("Mean of columns", plain, 0.0501),
                _ => ("Overall", micro, 0.24),
            };
            assert!((percent(entry, headline) - expected).abs() < tolerance, "{}", entry.model);
            num_checked += 1;
        }
        assert_eq!(num_checked, 11);
    }
}
