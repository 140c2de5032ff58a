//! Tests of VL-RewardBench on own rows in the published schemas, and on the counts of its published revision.

use std::io::Write;

use data::raw::RowFile;

use super::super::testing::{figure, fraction, judged, measure, percent, read_row, shown};
use super::*;

/// Ids of the published revision and how often they occur.
const PUBLISHED: [(&str, usize); 10] = [
    ("hallucination_pair-17", 448),
    ("RLAIF-V-233", 233),
    ("wildvision-battle-8", 173),
    ("mathverse_167", 167),
    ("mmmu_pro_test_Biology_3", 151),
    ("RLHF-V-68", 68),
    ("jailbreak-typo-Physical_Harm-15", 7),
    ("LRVInstruction-000000007746", 1),
    ("politics-Gov_Decision-124", 1),
    ("svit-complex_reasoning-876", 1),
];

/// Rows of the published revision; `num_right` says of each category in a mapping how many of its rows are right.
fn published(mapping: fn(&str) -> &'static str, num_right: [(&str, usize); 3]) -> Vec<Scored> {
    let mut left = num_right;
    let mut rows = Vec::new();
    for (id, count) in PUBLISHED {
        let (_, left) = left.iter_mut().find(|(name, _)| *name == mapping(id)).unwrap();
        for _ in 0..count {
            rows.push(judged(rows.len(), id, &labels(Some(id), None), *left > 0));
            *left = left.saturating_sub(1);
        }
    }
    assert!(left.iter().all(|(_, left)| *left == 0), "more right rows than there are");
    rows
}

#[test]
fn ids_are_sorted_in_each_of_the_three_ways() {
    let sorted = |id: &str| MAPPINGS.map(|(_, mapping)| mapping(id));
    assert_eq!(sorted("hallucination_pair-17"), [HALLUCINATION, HALLUCINATION, GENERAL]);
    assert_eq!(sorted("RLAIF-V-14"), [HALLUCINATION, GENERAL, HALLUCINATION]);
    assert_eq!(sorted("RLHF-V-31"), [HALLUCINATION, GENERAL, HALLUCINATION]);
    assert_eq!(sorted("wildvision-battle-8"), [GENERAL; 3]);
    assert_eq!(sorted("mathverse_167"), [REASONING; 3]);
    assert_eq!(sorted("mmmu_pro_validation_Finance_13"), [REASONING; 3]);
    assert_eq!(sorted("jailbreak-Fraud-29"), [GENERAL; 3]);
    assert_eq!(sorted("svit"), [GENERAL; 3]);
}

#[test]
fn the_published_revision_has_the_published_sizes_in_each_section() {
    let rows = published(official, [(GENERAL, 0), (HALLUCINATION, 0), (REASONING, 0)]);
    let figures = measure(&VlRewardBench, &rows);
    assert!(figures[0].section == "official" && figures[0].name == "Overall");
    assert_eq!(figures[0].num_total, 1250);
    for (section, sizes) in [
        ("official", [183, 749, 318]),
        ("r1_reward", [484, 448, 318]),
        ("unified_reward", [631, 301, 318]),
    ] {
        let found = CATEGORIES.map(|name| fraction(&figures, section, name).1);
        assert_eq!(found, sizes, "{section}");
        assert_eq!(figure(&figures, section, "Macro average").num_total, 1250);
    }
}

#[test]
fn the_figures_of_the_basereward_paper_are_those_of_the_r1_reward_section() {
    // Table 9 prints the columns General and Reasoning in each other's place.
    let rows = published(r1_reward, [(GENERAL, 396), (HALLUCINATION, 413), (REASONING, 218)]);
    let figures = measure(&VlRewardBench, &rows);
    assert_eq!(fraction(&figures, "official", "Overall"), (1027, 1250));
    assert_eq!(percent(&figures, "official", "Overall"), "82.16");
    assert_eq!(fraction(&figures, "r1_reward", GENERAL), (396, 484));
    assert_eq!(percent(&figures, "r1_reward", GENERAL), "81.82");
    assert_eq!(percent(&figures, "r1_reward", HALLUCINATION), "92.19");
    assert_eq!(percent(&figures, "r1_reward", REASONING), "68.55");
    assert_eq!(percent(&figures, "r1_reward", "Macro average"), "80.85");
}

#[test]
fn a_macro_average_needs_all_three_categories() {
    let rows = [judged(0, "mathverse_1", &labels(Some("mathverse_1"), None), true)];
    let figures = measure(&VlRewardBench, &rows);
    assert_eq!(figure(&figures, "official", "Macro average").value, None);
    assert_eq!(percent(&figures, "official", REASONING), "100.00");
}

#[test]
fn an_official_row_is_read_and_its_leading_mark_is_the_picture() {
    let item = read_row(
        &VlRewardBench,
        r#"{"id":"RLHF-V-1","query":"<image>\nWhat is <image> here?","response":["A cat <image>.","A dog."],
            "image":"images/1.png","human_ranking":[1,0],"models":["m","n"],"judge":"human"}"#,
    )
    .unwrap();
    assert_eq!(
        shown(&item.comparison.prompt),
        "user: <pictures/images/1.png>|What is <image> here?"
    );
    assert_eq!(shown(&item.comparison.responses[0]), "assistant: A cat <image>.");
    assert_eq!(item.comparison.preference.ranks, [1, 0]);
    assert_eq!(item.comparison.id, "RLHF-V-1");
    assert_eq!(
        (item.labels.category.as_str(), item.labels.subset.as_str()),
        (HALLUCINATION, "RLHF")
    );
    assert_eq!(item.labels.group, "What is <image> here?\npictures/images/1.png");
}

#[test]
fn a_row_of_r1_reward_is_read() {
    let item = read_row(
        &VlRewardBench,
        r#"{"id":"mathverse_5","prompt":"How many?","chosen":"Two","rejected":"Three","image":"img/5.jpg","chosen_reason":""}"#,
    )
    .unwrap();
    assert_eq!(shown(&item.comparison.prompt), "user: <pictures/img/5.jpg>|How many?");
    assert_eq!(shown(&item.comparison.responses[1]), "assistant: Three");
    assert_eq!(item.comparison.preference.ranks, [0, 1]);
    assert_eq!(item.labels.category, REASONING);
}

#[test]
fn a_row_of_a_table_of_texts_is_read() {
    // The smallest PNG file: one pixel.
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let mut file = tempfile::Builder::new().suffix(".tsv").tempfile().unwrap();
    write!(
        file,
        "index\timage\tquestion\tresponse\tanswer\tcategory\n4\t{png}\tWhat?\t\"['It''s', \"\"that's\"\", 'x'][1:]\"\t[0, 1]\thallucination\n5\t{png}\tWhat?\t\"['One\\nline', \"\"it's\"\"]\"\t[1, 0]\thallucination\n"
    )
    .unwrap();
    let rows = RowFile::open(file.path()).unwrap();
    let item = |index: usize| {
        let value = rows.read(index).unwrap();
        let row = SourceRow {
            value: &value,
            file: file.path(),
            image_dir: std::path::Path::new(""),
            number: index + 1,
        };
        VlRewardBench.read(&row)
    };
    assert!(matches!(item(0).unwrap_err(), RowFault::ListText { .. }));
    let item = item(1).unwrap();
    assert_eq!(shown(&item.comparison.prompt), "user: <image, 70 bytes>|What?");
    assert_eq!(shown(&item.comparison.responses[0]), "assistant: One\nline");
    assert_eq!(shown(&item.comparison.responses[1]), "assistant: it's");
    assert_eq!(item.comparison.preference.ranks, [1, 0]);
    assert_eq!(item.comparison.id, "5");
    assert_eq!(item.labels.category, HALLUCINATION);
}

#[test]
fn rows_without_an_id_have_no_part_in_the_sections_that_need_one() {
    let stated = labels(None, Some("reasoning"));
    let rows = [judged(0, "5", &stated, true), judged(1, "6", &stated, false)];
    let figures = measure(&VlRewardBench, &rows);
    assert_eq!(fraction(&figures, "official", REASONING), (1, 2));
    assert!(figures.iter().all(|figure| figure.section == "official"));
}

#[test]
fn rows_that_lack_something_are_refused_with_its_key() {
    let refusal = |json: &str| read_row(&VlRewardBench, json).unwrap_err();
    assert_eq!(refusal(r#"{"id":"a","query":"q"}"#), "`response` is missing");
    assert_eq!(
        refusal(r#"{"id":"a","query":"q","response":["x","y"]}"#),
        "`human_ranking` is missing"
    );
    assert_eq!(
        refusal(r#"{"id":"a","query":"q","response":["x","y"],"human_ranking":[0,0]}"#),
        "the row prefers no response: its responses are tied"
    );
    assert_eq!(
        refusal(r#"{"id":"a","query":"q","response":["x"],"human_ranking":[0]}"#),
        "`response` has 1 entries for 2 responses; make them equal"
    );
    assert_eq!(
        refusal(r#"{"id":"a","response":["x","y"],"human_ranking":[0,1]}"#),
        "`query` is missing"
    );
}
