//! VL-RewardBench: pairs of answers to questions about a picture, in the official table, as tab-separated values, and as the JSON Lines
//! of R1-Reward.
//!
//! The category is in the id of a row, and public code reads it in three ways. All three are given, because published rows use them side
//! by side; the overall accuracy is the same in each.
//!
//! # Source
//! Li et al. 2024, *VL-RewardBench*, arXiv 2411.17451; data set MMInstruction/VL-RewardBench; categories of vl-rewardbench/VL_RewardBench
//! @9b10abd `cal.py`, of `yfzhang114/r1_reward` @3693413 `inference/VL-Reward-Bench/get_acc.py`, and of UnifiedReward @ff6f520. A scalar
//! reward is right when it orders the two answers as `human_ranking` does, as in InternLM-XComposer-2.5-Reward.

use data::raw::{Value, listed, numbers, ranks_from_best, text};
use data::{RowFault, Undecided};

use super::literal::written_list;
use super::picture_prompt::{asked, picture_name, seen, without_mark};
use super::row::{Found, answer, name, needed};
use crate::benchmark::{Benchmark, SourceRow};
use crate::figure::{Figure, mean};
use crate::item::{Item, Labels, Scored};

const GENERAL: &str = "General";
const HALLUCINATION: &str = "Hallucination";
const REASONING: &str = "Reasoning";
const CATEGORIES: [&str; 3] = [GENERAL, HALLUCINATION, REASONING];

/// Subset of a row without an id: only the official category can be known of it.
const NO_ID: &str = "no id";

/// A section and the category that it gives to an id.
type Mapping = (&'static str, fn(&str) -> &'static str);

const MAPPINGS: [Mapping; 3] =
    [("official", official), ("r1_reward", r1_reward), ("unified_reward", unified_reward)];

/// VL-RewardBench.
pub(super) struct VlRewardBench;

impl Benchmark for VlRewardBench {
    fn name(&self) -> &'static str {
        "vl-rewardbench"
    }

    fn title(&self) -> &'static str {
        "VL-RewardBench"
    }

    fn source(&self) -> &'static str {
        "Li et al. 2024, arXiv 2411.17451; vl-rewardbench/VL_RewardBench @9b10abd"
    }

    fn published_sizes(&self) -> &'static [usize] {
        &[1250, 1247]
    }

    fn known_categories(&self) -> &'static [&'static str] {
        &CATEGORIES
    }

    fn read(&self, row: &SourceRow<'_>) -> Result<Item, RowFault> {
        let value = row.value;
        let is_pair = value.has(&["chosen", "rejected"]) && !value.has(&["response"]);
        let (responses, ranks) = if is_pair { pair(value)? } else { ranked(value)? };
        // R1-Reward calls the question `prompt`, VLMEvalKit `question`.
        let question_key =
            ["query", "question", "prompt"].into_iter().find(|key| value.has(&[key]));
        let question_key = question_key.unwrap_or("query");
        let question = needed(value, question_key)?;
        let images = listed(value, row.image_dir)?;
        let id = name(value, "id");
        let group = match picture_name(&images, "image") {
            Some(picture) => format!("{}\n{picture}", without_mark(question)),
            None => id.clone().unwrap_or_default(),
        };
        let labels = Labels { group, ..labels(id.as_deref(), category_cell(value)?) };
        Found {
            id: id.or_else(|| name(value, "index")),
            prompt_key: question_key,
            prompt: asked(seen(images), question),
            responses: responses.iter().map(|(key, text)| answer(key, text)).collect(),
            images: Vec::new(),
            ranks,
            labels,
        }
        .item(row)
    }

    fn measure(&self, items: &[&Scored]) -> Vec<Figure> {
        let mut figures = vec![Figure::accuracy("official", "Overall", items.iter().copied())];
        for (section, category) in MAPPINGS {
            let known: Vec<(&'static str, &Scored)> = items
                .iter()
                .filter_map(|item| Some((category_of(item, section, category)?, *item)))
                .collect();
            if known.is_empty() && section != "official" {
                continue;
            }
            let of = |wanted: &'static str| {
                let rows = known.iter().filter(move |(category, _)| *category == wanted);
                Figure::accuracy(section, wanted, rows.map(|(_, item)| *item))
            };
            let categories = CATEGORIES.map(of);
            let average = mean(categories.iter().map(|figure| figure.value));
            figures.extend(categories);
            figures.push(Figure::derived(section, "Macro average", average, known.len() as u64));
        }
        figures
    }

    fn caveats(&self) -> &'static [&'static str] {
        &[
            "Categories and macro averages can stand only beside rows of the same section: `official` is that of the paper, of \
             IXC-2.5-Reward and of VLMEvalKit, `r1_reward` that of R1-Reward and BaseReward. The overall accuracy is the same in all.",
            "Official figures of generative judges leave out answers that could not be parsed; those of scalar rewards are over all rows.",
            "POVID, RLAIF-V, RLHF-V, VLFeedback and WildVision, which the rows come from, are training data of many reward models.",
        ]
    }
}

type Responses = (Vec<(String, String)>, Vec<u32>);

/// Two responses in one list, and their ranks, 0 for the better one.
fn ranked(value: &Value) -> Result<Responses, RowFault> {
    let cell = value.get("response").ok_or_else(|| RowFault::Missing { key: "response".into() })?;
    let list = written_list(cell, "response")?;
    if list.len() != 2 {
        let (key, found, responses) = ("response".to_owned(), list.len(), 2);
        return Err(RowFault::Length { key, found, responses });
    }
    let response = |(index, one)| {
        let key = format!("response[{index}]");
        text(one, &key).map(|text| (key.clone(), text.to_owned()))
    };
    let responses = list.iter().enumerate().map(response).collect::<Result<_, _>>()?;
    // VLMEvalKit calls the ranking `answer`.
    let key = if value.has(&["human_ranking"]) { "human_ranking" } else { "answer" };
    let cell = value.get(key).ok_or_else(|| RowFault::Missing { key: "human_ranking".into() })?;
    let places = numbers(&Value::List(written_list(cell, key)?.into_owned()), key, 2)?;
    let ranks = ranks_from_best(&places);
    if ranks[0] == ranks[1] {
        let (reason, ties, equal_responses) = (Undecided::Ties, 1, 0);
        return Err(RowFault::NoPreference { reason, ties, equal_responses });
    }
    Ok((responses, ranks))
}

fn pair(value: &Value) -> Result<Responses, RowFault> {
    let response = |key: &str| needed(value, key).map(|text| (key.to_owned(), text.to_owned()));
    Ok((vec![response("chosen")?, response("rejected")?], vec![0, 1]))
}

/// The category in the words of VLMEvalKit's table.
fn category_cell(value: &Value) -> Result<Option<&str>, RowFault> {
    value.get("category").map(|cell| text(cell, "category")).transpose()
}

/// How a row is sorted: by its id, or without one by the category that the table states.
fn labels(id: Option<&str>, stated: Option<&str>) -> Labels {
    let (category, subset) = match (id, stated) {
        (Some(id), _) => (official(id).to_owned(), prefix(id).to_owned()),
        (None, Some(stated)) => {
            let known = CATEGORIES.into_iter().find(|name| name.eq_ignore_ascii_case(stated));
            (known.unwrap_or(stated).to_owned(), NO_ID.to_owned())
        }
        (None, None) => ("unknown".to_owned(), NO_ID.to_owned()),
    };
    Labels { category, subset, group: String::new() }
}

fn category_of(
    item: &Scored,
    section: &str,
    mapping: fn(&str) -> &'static str,
) -> Option<&'static str> {
    if item.labels.subset != NO_ID {
        return Some(mapping(&item.id));
    }
    let stated = CATEGORIES.into_iter().find(|name| *name == item.labels.category);
    stated.filter(|_| section == "official")
}

/// The id up to its first `_` or `-`.
fn prefix(id: &str) -> &str {
    id.split(['_', '-']).next().unwrap_or(id)
}

fn official(id: &str) -> &'static str {
    match prefix(id) {
        "mathverse" | "mmmu" => REASONING,
        "hallucination" | "RLAIF" | "RLHF" => HALLUCINATION,
        _ => GENERAL,
    }
}

/// PARITY: the code looks for small letters where ids have capitals, so RLHF-V and RLAIF-V become general.
fn r1_reward(id: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| id.contains(word));
    if has(&["mmmu", "mathverse"]) {
        REASONING
    } else if has(&["hallucination", "rlhf", "rlaif"]) {
        HALLUCINATION
    } else {
        GENERAL
    }
}

/// PARITY: the code has no entry for `hallucination`, so the pairs of POVID become general.
fn unified_reward(id: &str) -> &'static str {
    match prefix(id) {
        "mathverse" | "mmmu" => REASONING,
        "RLAIF" | "RLHF" => HALLUCINATION,
        _ => GENERAL,
    }
}

#[cfg(test)]
mod tests;
