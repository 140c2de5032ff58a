//! Tests of opinions and judgments.

use std::io::Write;
use std::path::PathBuf;

use data::Preference;
use prompt::{Message, Part};
use tempfile::NamedTempFile;

use super::Decision::{Drop, Flip, Keep};
use super::*;
use crate::chance;
use crate::recipe::{Doubtful, LabelsRecipe, MarginScale};
use crate::select::{sheet_line, shown_first};

const PAIR: [u32; 2] = [0, 1];

fn recipe() -> LabelsRecipe {
    serde_json::from_str("{}").unwrap()
}

fn file(lines: &[String]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(lines.join("\n").as_bytes()).unwrap();
    file
}

fn read(rewards: &[String], verdicts: &[String]) -> Result<Opinions, OpinionError> {
    let (rewards, verdicts) = (file(rewards), file(verdicts));
    let path = |file: &NamedTempFile| -> Vec<PathBuf> { vec![file.path().to_owned()] };
    Opinions::read(&path(&rewards), &path(&verdicts))
}

fn vote(key: u128, verdict: &str) -> String {
    format!(r#"{{"key": "{key:032x}", "verdict": "{verdict}", "why": "…"}}"#)
}

fn pair(key: u128) -> Labeled<'static> {
    Labeled { key, ranks: &PAIR }
}

fn decisions(records: &[Labeled<'_>], opinions: &Opinions, recipe: &LabelsRecipe) -> Vec<Decision> {
    let judgments = judge(records, opinions, recipe).unwrap();
    judgments.into_iter().map(|judgment| judgment.decision).collect()
}

/// The refusal of a file, without its name.
fn refusal(rewards: &str, verdicts: &str) -> String {
    let error = read(&[rewards.to_owned()], &[verdicts.to_owned()]).unwrap_err().to_string();
    error.split_once("`, ").unwrap().1.to_owned()
}

#[test]
fn figures_are_those_of_the_label() {
    let lines =
        [reward_line(1, "one", &[1.0, 3.0]), reward_line(1, "two", &[2.0, 1.0]), String::new()];
    let opinions = read(&lines, &[]).unwrap();
    assert_eq!(opinions.models(), ["one", "two"]);
    let judgment = judge(&[pair(1)], &opinions, &recipe()).unwrap().remove(0);
    assert_eq!(judgment.margins, [Some(-2.0), Some(1.0)]);
    assert_eq!((judgment.mean_margin, judgment.against), (Some(-0.5), Some(0.5)));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let difficulty = f64::midpoint(sigmoid(2.0), sigmoid(-1.0));
    assert!((f64::from(judgment.difficulty.unwrap()) - difficulty).abs() < 1e-6);
    let turned = judge(&[Labeled { key: 1, ranks: &[1, 0] }], &opinions, &recipe()).unwrap();
    assert_eq!(turned[0].mean_margin, Some(0.5));
}

#[test]
fn models_of_wide_rewards_do_not_outvote_others_when_scaled() {
    let lines: Vec<String> = (1..=4_u8)
        .flat_map(|key| {
            let wide = if key == 1 { [0.0, 50.0] } else { [100.0, 0.0] };
            let narrow = if key == 1 { [1.0, 0.0] } else { [0.5, 0.0] };
            [reward_line(key.into(), "wide", &wide), reward_line(key.into(), "narrow", &narrow)]
        })
        .collect();
    let opinions = read(&lines, &[]).unwrap();
    let records = [1, 2, 3, 4].map(pair);
    let mean = |scale| {
        let recipe = LabelsRecipe { scale, ..recipe() };
        judge(&records, &opinions, &recipe).unwrap()[0].mean_margin.unwrap()
    };
    assert!(mean(MarginScale::Raw) < 0.0);
    assert!(mean(MarginScale::Deviation) > 0.0);
}

#[test]
fn more_than_two_answers_are_judged_pair_by_pair_and_never_changed() {
    let opinions = read(&[reward_line(1, "one", &[3.0, 1.0, 2.0])], &[]).unwrap();
    let recipe = LabelsRecipe { doubtful: Doubtful::Flip, min_agreement: 0.1, ..recipe() };
    let record = Labeled { key: 1, ranks: &[2, 0, 1] };
    let judgment = judge(&[record], &opinions, &recipe).unwrap().remove(0);
    assert_eq!(judgment.against, Some(1.0));
    assert_eq!(judgment.mean_margin, Some(-4.0 / 3.0));
    assert_eq!(judgment.decision, Keep);
}

#[test]
fn only_the_share_most_against_the_models_is_changed() {
    let margin = |key: u8, margin: f32| reward_line(key.into(), "one", &[margin, 0.0]);
    let lines =
        [margin(1, -1.0), margin(2, -4.0), margin(3, 2.0), margin(4, -3.0), margin(5, -0.5)];
    let opinions = read(&lines, &[]).unwrap();
    let records = [1, 2, 3, 4, 5, 6].map(pair);
    let half = LabelsRecipe { doubtful: Doubtful::Flip, share: 0.5, ..recipe() };
    assert_eq!(decisions(&records, &opinions, &half), [Keep, Flip, Keep, Flip, Keep, Keep]);
    let clear =
        LabelsRecipe { doubtful: Doubtful::Drop, min_margin: 1.0, drop_unjudged: true, ..recipe() };
    let doubtful = Drop(Reason::Doubtful);
    let unjudged = Drop(Reason::Unjudged);
    assert_eq!(
        decisions(&records, &opinions, &clear),
        [doubtful, doubtful, Keep, doubtful, Keep, unjudged]
    );
    assert_eq!(decisions(&records, &opinions, &recipe()), [Keep; 6]);
}

#[test]
fn verdicts_count_more_than_models_when_they_agree() {
    let rewards: Vec<String> = (1..=4).map(|key| reward_line(key, "one", &[0.0, 9.0])).collect();
    let votes = [
        vote(1, "chosen"),
        vote(1, "chosen"),
        vote(2, "rejected"),
        vote(2, "tie"),
        vote(3, "skip"),
        vote(3, ""),
        vote(4, if shown_first(4) == 0 { "b" } else { "a" }),
    ];
    let opinions = read(&rewards, &votes).unwrap();
    let recipe = LabelsRecipe { doubtful: Doubtful::Drop, ..recipe() };
    let (disputed, doubtful) = (Drop(Reason::Disputed), Drop(Reason::Doubtful));
    let records = [1, 2, 3, 4].map(pair);
    assert_eq!(decisions(&records, &opinions, &recipe), [Keep, disputed, doubtful, Flip]);
    let turned = Labeled { key: 4, ranks: &[1, 0] };
    assert_eq!(
        decisions(&[turned], &opinions, &recipe),
        [Keep],
        "a sheet speaks of responses, not of labels"
    );
}

#[test]
fn faults_name_file_line_and_key() {
    let good = reward_line(1, "one", &[1.0, 2.0]);
    let other = reward_line(1, "one", &[1.0, 3.0]);
    let missing = r#"{"key": "00000000000000000000000000000001", "rewards": [1, 2]}"#;
    assert_eq!(refusal(missing, ""), "line 1: column 62: missing field `model`");
    assert!(
        refusal(r#"{"key": "1", "model": "m", "rewards": [1, 2]}"#, "").contains("`key` is `1`;")
    );
    assert!(refusal(&reward_line(1, "m", &[1.0]), "").contains("at least 2 responses"));
    assert!(refusal(&good.replace("2.0", "1e39"), "").starts_with("line 1: "));
    assert!(refusal(&good, &vote(1, "c")).contains("line 1: `verdict` is `c`; write `a`,"));
    assert!(
        refusal(&format!("{good}\n\n{other}"), "").starts_with("line 3: `one` gives other rewards")
    );
    read(&[good.clone(), good.clone()], &[]).unwrap();
    let opinions = read(&[good], &[vote(2, "a")]).unwrap();
    let three =
        |key| judge(&[Labeled { key, ranks: &[0, 1, 2] }], &opinions, &recipe()).unwrap_err();
    for key in [1, 2] {
        let error = three(key).to_string();
        assert!(error.contains("line 1: speaks of 2 responses, but the record `0"), "{error}");
    }
    let error = Opinions::read(&["missing.jsonl".into()], &[]).unwrap_err().to_string();
    assert!(error.starts_with("`missing.jsonl` cannot be read"), "{error}");
}

/// A number from 0 to below 1.
fn uniform(key: u128, purpose: &str) -> f64 {
    (chance::number(11, purpose, &[key]) >> 75) as f64 / (1_u64 << 53) as f64
}

/// Recall and precision of the labels that are turned, among 4,000 of which a tenth were turned before. Each model is right in 95 of 100 cases,
/// with a margin from 1 to 3, and wrong in the others, with one of at most `max_wrong`.
fn recall_and_precision(models: u8, max_wrong: f64) -> (f64, f64) {
    let is_planted = |key: u128| uniform(key, "planted") < 0.1;
    let mut lines = Vec::new();
    for key in 0..4000 {
        for model in 0..models {
            let name = format!("model {model}");
            let size = uniform(key, &format!("{name} size"));
            let is_right = uniform(key, &format!("{name} right")) < 0.95;
            let margin = if is_right { 1.0 + 2.0 * size } else { -max_wrong * size };
            let of_label = if is_planted(key) { -margin } else { margin };
            lines.push(reward_line(key, &name, &[of_label as f32, 0.0]));
        }
    }
    let opinions = read(&lines, &[]).unwrap();
    let recipe = LabelsRecipe { doubtful: Doubtful::Flip, min_agreement: 0.6, ..recipe() };
    let records: Vec<Labeled<'_>> = (0..4000).map(pair).collect();
    let turned = decisions(&records, &opinions, &recipe);
    let count = |planted: Option<bool>, flipped: Option<bool>| {
        let matching = records.iter().zip(&turned).filter(|(record, decision)| {
            planted.is_none_or(|planted| is_planted(record.key) == planted)
                && flipped.is_none_or(|flipped| (**decision == Flip) == flipped)
        });
        matching.count() as f64
    };
    let found = count(Some(true), Some(true));
    (found / count(Some(true), None), found / count(None, Some(true)))
}

#[test]
fn planted_labels_are_found_by_models_that_are_unsure_where_they_are_wrong() {
    let (recall, precision) = recall_and_precision(3, 0.5);
    assert!(recall >= 0.98 && precision >= 0.98, "{recall} {precision}");
}

#[test]
fn planted_labels_are_found_by_five_models_that_are_sure_where_they_are_wrong() {
    let (recall, precision) = recall_and_precision(5, 3.0);
    assert!(recall >= 0.98 && precision >= 0.98, "{recall} {precision}");
}

#[test]
fn a_sheet_that_people_fill_in_turns_the_label_that_they_are_against() {
    let message = |role: &str, text: &str| Message {
        role: role.to_owned(),
        content: vec![Part::Text(text.to_owned())],
    };
    let mut comparison = Comparison {
        id: "1".to_owned(),
        source: "set".to_owned(),
        prompt: vec![message("user", "What?")],
        responses: vec![vec![message("assistant", "wrong")], vec![message("assistant", "right")]],
        preference: Preference {
            ranks: PAIR.to_vec(),
            scores: Some(vec![2.0, 1.0]),
            margin: Some(1.0),
            soft_label: None,
        },
    };
    let mut orders = Vec::new();
    for key in 0..20 {
        let line = sheet_line(key, &comparison);
        let (a, b) = (line.find("wrong").unwrap(), line.find("right").unwrap());
        orders.push(a < b);
        assert!(!line.contains("chosen") && !line.contains("score"), "{line}");
        let said = if a < b { r#""verdict":"b""# } else { r#""verdict":"a""# };
        let opinions = read(&[], &[line.replace(r#""verdict":"""#, said)]).unwrap();
        assert_eq!(decisions(&[pair(key)], &opinions, &recipe()), [Flip]);
    }
    assert!(orders.contains(&true) && orders.contains(&false));
    flip(&mut comparison);
    let expected = Preference { ranks: vec![1, 0], scores: None, margin: None, soft_label: None };
    assert_eq!(comparison.preference, expected);
}
