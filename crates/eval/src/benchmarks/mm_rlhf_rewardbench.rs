//! MM-RLHF-RewardBench: pairs of answers about pictures and videos, several pairs to a question.
//!
//! # Source
//! Zhang et al. 2025, *MM-RLHF*, arXiv 2502.10391; data set yifanzhang114/MM-RLHF-RewardBench, `mm_reward_bench.jsonl`; metric of
//! julyanghar/MM-RLHF @94b5c29 `llava/eval/cal_performance_mmreweard_bench.py`.

use std::collections::BTreeMap;

use data::RowFault;
use data::raw::{optional_text, pictures, required};
use prompt::Piece;

use super::picture_prompt::{asked, seen};
use super::row::{Found, answer, name, needed};
use super::video::video;
use crate::benchmark::{Benchmark, SourceRow};
use crate::figure::Figure;
use crate::item::{Item, Labels, Scored};

const SECTION: &str = "official";
const SECTION_PLUS: &str = "Acc+ by category";

/// Names of the categories, and what the path of their pictures holds, in the order in which it is looked for.
const CATEGORIES: [(&str, &str); 5] = [
    ("Mcq", "mcq"),
    ("Long", "long"),
    ("Short", "short"),
    ("Safety", "safety"),
    ("Video", "video"),
];

/// MM-RLHF-RewardBench.
pub(super) struct MmRlhfRewardBench;

impl Benchmark for MmRlhfRewardBench {
    fn name(&self) -> &'static str {
        "mm-rlhf-rewardbench"
    }

    fn title(&self) -> &'static str {
        "MM-RLHF-RewardBench"
    }

    fn source(&self) -> &'static str {
        "Zhang et al. 2025, arXiv 2502.10391; julyanghar/MM-RLHF @94b5c29"
    }

    fn published_sizes(&self) -> &'static [usize] {
        &[170]
    }

    fn known_categories(&self) -> &'static [&'static str] {
        const NAMES: [&str; 5] = ["Mcq", "Long", "Short", "Safety", "Video"];
        &NAMES
    }

    fn read(&self, row: &SourceRow<'_>) -> Result<Item, RowFault> {
        let value = row.value;
        let folder = optional_text(value, "video")?.filter(|path| !path.is_empty());
        let (path, pieces) = if let Some(folder) = folder {
            (folder.to_owned(), vec![Piece::Video(video(&row.path(folder))?)])
        } else {
            let images = pictures(required(value, "image")?, "image", row.image_dir)?;
            (name(value, "image").unwrap_or_default(), seen(images))
        };
        let id = needed(value, "id")?.to_owned();
        let category = category(&path).unwrap_or("other").to_owned();
        let response = |key: &str| needed(value, key).map(|text| answer(key, text));
        Found {
            id: Some(id.clone()),
            prompt_key: "prompt",
            prompt: asked(pieces, needed(value, "prompt")?),
            responses: vec![response("chosen")?, response("rejected")?],
            images: Vec::new(),
            ranks: vec![0, 1],
            labels: Labels { category, subset: String::new(), group: id },
        }
        .item(row)
    }

    fn measure(&self, items: &[&Scored]) -> Vec<Figure> {
        let of = |category: &'static str| {
            items.iter().copied().filter(move |item| item.labels.category == category)
        };
        let mut figures = vec![
            Figure::accuracy(SECTION, "Acc", items.iter().copied()),
            all_right(SECTION, "Acc+", items.iter().copied()),
        ];
        figures.extend(CATEGORIES.map(|(name, _)| Figure::accuracy(SECTION, name, of(name))));
        figures.extend(CATEGORIES.map(|(name, _)| all_right(SECTION_PLUS, name, of(name))));
        figures
    }

    fn caveats(&self) -> &'static [&'static str] {
        &[
            "The chosen answer is the longer one in 122 of the 170 pairs, so that length alone is right in 72 % of them.",
            "Of a video, 32 frames are shown, taken at equal distances from the frames in the order of their names.",
            "46 questions have 2 to 6 pairs each: Acc+ is the part of the questions of which every pair is right.",
        ]
    }
}

/// The category that a path belongs to: the first whose word is in it.
fn category(path: &str) -> Option<&'static str> {
    CATEGORIES.into_iter().find(|(_, word)| path.contains(word)).map(|(name, _)| name)
}

/// Part of the ids of which every pair is right.
fn all_right<'a>(
    section: &'static str,
    name: &'static str,
    rows: impl Iterator<Item = &'a Scored>,
) -> Figure {
    let mut is_right: BTreeMap<&str, bool> = BTreeMap::new();
    let mut num_ties = 0;
    for row in rows {
        *is_right.entry(&row.labels.group).or_insert(true) &= row.is_right();
        num_ties += u64::from(row.is_tie());
    }
    let num_right = is_right.values().filter(|is_right| **is_right).count();
    Figure::ratio(section, name, num_right as f64, is_right.len() as u64, num_ties)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::testing::{
        Numbers, figure, fraction, judged, measure, percent, read_in, read_row, shown,
    };
    use super::*;

    /// For each category the pairs of each id, and how many pairs the paper has right. Sizes of categories, numbers of ids and sizes of
    /// ids over all categories are the published ones; which category has which sizes of ids is made up.
    const PUBLISHED: [(&str, &[usize], usize); 5] = [
        ("Mcq", &[6, 5, 5, 5, 4, 4, 4, 3, 3, 3], 40),
        ("Long", &[6, 5, 5, 4, 4, 3, 3, 3, 2, 2], 36),
        ("Short", &[6, 5, 5, 3, 3, 3, 3, 2, 2, 2], 32),
        ("Safety", &[6, 6, 5, 5, 5, 5], 26),
        ("Video", &[4, 3, 3, 3, 2, 2, 2, 2, 2, 2], 22),
    ];

    fn labels(category: &str, id: &str) -> Labels {
        Labels { category: category.to_owned(), subset: String::new(), group: id.to_owned() }
    }

    /// Rows of the published sizes; the wrong pairs stand in as few ids as possible.
    fn published() -> Vec<Scored> {
        let mut rows = Vec::new();
        for (category, sizes, num_right) in PUBLISHED {
            let mut wrong = sizes.iter().sum::<usize>() - num_right;
            for (index, size) in sizes.iter().enumerate() {
                let id = format!("{category}-{index}");
                for _ in 0..*size {
                    rows.push(judged(rows.len(), &id, &labels(category, &id), wrong == 0));
                    wrong = wrong.saturating_sub(1);
                }
            }
        }
        rows
    }

    #[test]
    fn the_accuracy_of_the_basereward_paper_is_156_of_170_and_its_acc_plus_is_over_46_ids() {
        let mut rows = published();
        let figures = measure(&MmRlhfRewardBench, &rows);
        assert!(figures[0].section == SECTION && figures[0].name == "Acc");
        assert_eq!(fraction(&figures, SECTION, "Acc"), (156, 170));
        assert_eq!(percent(&figures, SECTION, "Acc"), "91.76");
        let sizes = PUBLISHED.map(|(name, _, _)| fraction(&figures, SECTION, name));
        assert_eq!(sizes, [(40, 42), (36, 37), (32, 34), (26, 32), (22, 25)]);
        // Fourteen wrong pairs in nine ids: here the wrong ones are moved so that they are.
        let wrong_ids = [
            "Mcq-0", "Mcq-1", "Long-0", "Short-0", "Short-1", "Safety-0", "Safety-1", "Video-0",
            "Video-1",
        ];
        let mut left = 14 - wrong_ids.len();
        let mut seen: Vec<String> = Vec::new();
        for row in &mut rows {
            let is_in = wrong_ids.contains(&row.id.as_str());
            let is_first = !seen.contains(&row.id);
            seen.push(row.id.clone());
            let is_wrong = is_in && (is_first || left > 0);
            left -= usize::from(is_in && !is_first && left > 0);
            row.scores = if is_wrong { vec![0.0, 1.0] } else { vec![1.0, 0.0] };
        }
        let figures = measure(&MmRlhfRewardBench, &rows);
        assert_eq!(percent(&figures, SECTION, "Acc"), "91.76");
        assert_eq!(fraction(&figures, SECTION, "Acc+"), (37, 46));
        assert_eq!(percent(&figures, SECTION, "Acc+"), "80.43");
        let sizes = PUBLISHED.map(|(name, _, _)| fraction(&figures, SECTION_PLUS, name));
        assert_eq!(sizes, [(8, 10), (9, 10), (8, 10), (4, 6), (8, 10)]);
    }

    #[test]
    fn the_pairs_of_an_id_count_once_and_all_of_them_must_be_right() {
        let pair = |row, id: &str, is_right| judged(row, id, &labels("Long", id), is_right);
        let rows = [
            pair(0, "a", true),
            pair(1, "a", true),
            pair(2, "a", true),
            pair(3, "b", true),
            pair(4, "b", false),
        ];
        let figures = measure(&MmRlhfRewardBench, &rows);
        assert_eq!(fraction(&figures, SECTION, "Acc"), (4, 5));
        assert_eq!(fraction(&figures, SECTION, "Acc+"), (1, 2));
    }

    #[test]
    fn categories_add_up_whatever_the_rewards_are_and_acc_plus_is_low_where_acc_is() {
        let mut numbers = Numbers(7);
        for _ in 0..200 {
            let mut rows = published();
            for row in &mut rows {
                row.scores = vec![(numbers.next() % 4) as f32, (numbers.next() % 4) as f32];
            }
            let figures = measure(&MmRlhfRewardBench, &rows);
            for (section, name) in [(SECTION, "Acc"), (SECTION_PLUS, "Acc+")] {
                let parts = PUBLISHED.map(|(category, _, _)| fraction(&figures, section, category));
                let sum = parts.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
                assert_eq!(sum, fraction(&figures, SECTION, name));
            }
            // With a quarter of ties and every pair drawn alike, an id of two or more pairs is right less often than a pair.
            let value = |section: &str, name: &str| figure(&figures, section, name).value.unwrap();
            assert!(value(SECTION, "Acc+") <= value(SECTION, "Acc"));
            let num_equal = rows.iter().filter(|row| row.margin(0, 1) == 0.0).count();
            assert_eq!(figure(&figures, SECTION, "Acc").num_ties, num_equal as u64);
        }
    }

    #[test]
    fn a_row_with_a_picture_is_read_and_its_path_says_the_category() {
        let item = read_row(
            &MmRlhfRewardBench,
            r#"{"id":"081_62","image":"safety/081.png","prompt":"What?","chosen":"c","rejected":"r","chosen_reason":"","rejected_reason":""}"#,
        )
        .unwrap();
        assert_eq!(shown(&item.comparison.prompt), "user: <pictures/safety/081.png>|What?");
        assert_eq!(shown(&item.comparison.responses[0]), "assistant: c");
        assert_eq!(
            (item.labels.category.as_str(), item.labels.group.as_str()),
            ("Safety", "081_62")
        );
        assert_eq!(category("mcq/long.png"), Some("Mcq"));
        assert_eq!(category("elsewhere.png"), None);
    }

    #[test]
    fn the_frames_of_a_video_precede_the_question() {
        let folder = tempfile::tempdir().unwrap();
        let frames = folder.path().join("video/GAF");
        fs::create_dir_all(&frames).unwrap();
        for frame in 0..40 {
            fs::write(frames.join(format!("{frame:03}.jpg")), "").unwrap();
        }
        let row = r#"{"id":"1","video":"video/GAF","prompt":"What?","chosen":"c","rejected":"r"}"#;
        let item = read_in(&MmRlhfRewardBench, folder.path(), "a.jsonl", row).unwrap();
        assert_eq!(shown(&item.comparison.prompt), "user: <32 frames at 2>|What?");
        assert_eq!(item.labels.category, "Video");
    }

    #[test]
    fn a_row_without_its_video_or_picture_is_refused() {
        let video =
            r#"{"id":"1","video":"video/GAF","prompt":"What?","chosen":"c","rejected":"r"}"#;
        let said = read_row(&MmRlhfRewardBench, video).unwrap_err();
        assert!(said.starts_with("the video `pictures/video/GAF` cannot be read:"), "{said}");
        let neither = r#"{"id":"1","prompt":"What?","chosen":"c","rejected":"r"}"#;
        assert_eq!(read_row(&MmRlhfRewardBench, neither).unwrap_err(), "`image` is missing");
    }
}
