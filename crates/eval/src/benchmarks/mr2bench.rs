//! `MR²Bench`: several responses to a question about a picture or a video, ranked by people.
//!
//! The rows have the schema that the paper's training data have: `prompt`, `responses`, `rankings` (1 for the best, equal numbers for
//! ties), `image` or `video`, a folder of frames. The files of the benchmark itself were not at hand, so their other keys are not read.
//!
//! # Source
//! Yang et al. 2026, *You Only Judge Once*, arXiv 2604.10966, which ranks four responses.

use data::raw::{Value, list, optional_text};
use data::raw::{listed, numbers, prompt as read_prompt, ranks_from_best, required, response};
use data::{RowFault, Undecided};
use prompt::{Draft, DraftContent, Piece};

use super::picture_prompt::{picture_name, seen, without_mark};
use super::preferences::ranked;
use super::row::{Found, name};
use super::video::video;
use crate::benchmark::{Benchmark, SourceRow};
use crate::figure::Figure;
use crate::item::{Item, Labels, Scored};

/// MR²Bench-Image and MR²Bench-Video.
pub(super) struct Mr2Bench;

impl Benchmark for Mr2Bench {
    fn name(&self) -> &'static str {
        "mr2bench"
    }

    fn title(&self) -> &'static str {
        "MR²Bench"
    }

    fn source(&self) -> &'static str {
        "Yang et al. 2026, arXiv 2604.10966"
    }

    fn published_sizes(&self) -> &'static [usize] {
        &[]
    }

    fn known_categories(&self) -> &'static [&'static str] {
        &[]
    }

    fn read(&self, row: &SourceRow<'_>) -> Result<Item, RowFault> {
        let value = row.value;
        let responses = list(required(value, "responses")?, "responses")?;
        if responses.len() < 2 {
            let found = responses.len();
            return Err(RowFault::TooFewResponses { key: "responses", found });
        }
        let ranks = ranks(value, responses.len())?;
        let read = |(index, one)| {
            let key = format!("responses[{index}]");
            response(one, &key, row.image_dir).map(|drafts| (key, drafts))
        };
        let responses = responses.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        let (pieces, medium) = media(row)?;
        let stem = || row.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let category = ["category", "source"].iter().find_map(|key| name(value, key));
        let labels = Labels {
            category: category.unwrap_or_else(stem),
            subset: String::new(),
            group: medium.unwrap_or_default(),
        };
        let prompt = read_prompt(required(value, "prompt")?, "prompt", row.image_dir)?;
        let prompt = before_first_question(prompt, pieces);
        let id = name(value, "id");
        Found { id, prompt_key: "prompt", prompt, responses, images: Vec::new(), ranks, labels }
            .item(row)
    }

    fn measure(&self, items: &[&Scored]) -> Vec<Figure> {
        let mut figures = ranked("pairs", items);
        // The benchmark is about rankings: the best response leads.
        figures.sort_by_key(|figure| figure.name != "Best of N");
        figures
    }

    fn caveats(&self) -> &'static [&'static str] {
        &[
            "A highest reward that a worse response shares is wrong. Kendall's tau-b goes from -1 to 1.",
        ]
    }
}

fn ranks(value: &Value, num_responses: usize) -> Result<Vec<u32>, RowFault> {
    let places = numbers(required(value, "rankings")?, "rankings", num_responses)?;
    let ranks = ranks_from_best(&places);
    if ranks.iter().all(|rank| *rank == 0) {
        let ties = num_responses * (num_responses - 1) / 2;
        let (reason, equal_responses) = (Undecided::Ties, 0);
        return Err(RowFault::NoPreference { reason, ties, equal_responses });
    }
    Ok(ranks)
}

/// What is seen before the question, and the name that other rows would use for it.
fn media(row: &SourceRow<'_>) -> Result<(Vec<Piece>, Option<String>), RowFault> {
    if let Some(folder) = optional_text(row.value, "video")?.filter(|path| !path.is_empty()) {
        return Ok((vec![Piece::Video(video(&row.path(folder))?)], Some(folder.to_owned())));
    }
    let images = listed(row.value, row.image_dir)?;
    let name = picture_name(&images, "image");
    Ok((seen(images), name))
}

/// The pieces go to the front of the first message from the user.
fn before_first_question(mut prompt: Vec<Draft>, pieces: Vec<Piece>) -> Vec<Draft> {
    if let Some(draft) = prompt.iter_mut().find(|draft| draft.role == "user") {
        let own = match std::mem::replace(&mut draft.content, DraftContent::Pieces(Vec::new())) {
            DraftContent::Text(text) => vec![Piece::Text(without_mark(&text).to_owned())],
            DraftContent::Pieces(pieces) => pieces,
        };
        draft.content = DraftContent::Pieces(pieces.into_iter().chain(own).collect());
    }
    prompt
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::testing::{fraction, measure, read_in, read_row, shown};
    use super::*;

    #[test]
    fn a_row_with_ties_is_read() {
        let item = read_row(
            &Mr2Bench,
            r#"{"id":3,"prompt":"<image>\nWhich?","responses":["a","b","c","d"],"rankings":[2,1,2,3],"image":"1.png"}"#,
        )
        .unwrap();
        assert_eq!(shown(&item.comparison.prompt), "user: <pictures/1.png>|Which?");
        assert_eq!(shown(&item.comparison.responses[3]), "assistant: d");
        assert_eq!(item.comparison.preference.ranks, [1, 0, 1, 2]);
        assert_eq!(
            (item.comparison.id.as_str(), item.labels.group.as_str()),
            ("3", "pictures/1.png")
        );
    }

    #[test]
    fn the_frames_of_a_video_precede_the_question() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("v")).unwrap();
        fs::write(folder.path().join("v/1.jpg"), "").unwrap();
        let row = r#"{"prompt":[{"role":"system","content":"s"},{"role":"user","content":"Which?"}],"responses":["a","b"],"rankings":[1,2],"video":"v"}"#;
        let item = read_in(&Mr2Bench, folder.path(), "video.jsonl", row).unwrap();
        assert_eq!(shown(&item.comparison.prompt), "system: s\nuser: <1 frames at 2>|Which?");
        assert_eq!(item.labels.category, "video");
    }

    #[test]
    fn rankings_of_another_length_or_without_a_difference_are_refused() {
        let refusal = |rankings: &str| {
            let row =
                format!(r#"{{"prompt":"p","responses":["a","b","c"],"rankings":{rankings}}}"#);
            read_row(&Mr2Bench, &row).unwrap_err()
        };
        assert_eq!(refusal("[1,2]"), "`rankings` has 2 entries for 3 responses; make them equal");
        assert_eq!(refusal("[1,1,1]"), "the row prefers no response: its responses are tied");
    }

    #[test]
    fn the_best_response_is_the_headline() {
        let row = |scores: [f32; 4]| Scored {
            ranks: vec![0, 1, 1, 2],
            scores: scores.to_vec(),
            ..Scored::default()
        };
        let rows = [row([4.0, 3.0, 2.0, 1.0]), row([1.0, 3.0, 2.0, 1.0])];
        let figures = measure(&Mr2Bench, &rows);
        assert_eq!(figures[0].name, "Best of N");
        assert_eq!(fraction(&figures, "ranking", "Best of N"), (1, 2));
        assert_eq!(fraction(&figures, "pairs", "Overall"), (7, 10));
    }
}
