//! Multimodal RewardBench 2: pairs of responses to prompts with pictures; only pairs of two text responses can be scored.
//!
//! Read are the files that the repository's `build_from_hf.py` writes, and the table that it is given. Responses with pictures, which are
//! all in the three generation tasks and most in the reasoning task, are faults of their rows.
//!
//! # Source
//! Hu et al. 2025, *Multimodal RewardBench 2*, arXiv 2512.16899; repository facebookresearch/MMRB2 @7ff0552; metric of
//! `evaluate/compute_scores/compute_accuracy.py`.

use std::collections::BTreeSet;

use data::RowFault;
use data::raw::{Value, list, optional_text, picture, pictures, required, text};
use prompt::{Draft, DraftContent, Piece};

use super::row::{Found, answer, name, needed};
use crate::benchmark::{Benchmark, SourceRow};
use crate::figure::Figure;
use crate::item::{Item, Labels, Scored};

/// Where the prompts of the reasoning task come from.
const SOURCES: [&str; 6] = ["blink", "mindcube", "muirbench", "realunify", "visulogic", "vstar"];

/// Multimodal RewardBench 2.
pub(super) struct MultimodalRewardBench2;

impl Benchmark for MultimodalRewardBench2 {
    fn name(&self) -> &'static str {
        "multimodal-rewardbench-2"
    }

    fn title(&self) -> &'static str {
        "Multimodal RewardBench 2, text responses"
    }

    fn source(&self) -> &'static str {
        "Hu et al. 2025, arXiv 2512.16899; facebookresearch/MMRB2 @7ff0552"
    }

    fn published_sizes(&self) -> &'static [usize] {
        &[1000, 350]
    }

    fn known_categories(&self) -> &'static [&'static str] {
        &SOURCES
    }

    fn read(&self, row: &SourceRow<'_>) -> Result<Item, RowFault> {
        let value = row.value;
        let is_table = value.has(&["pair_id"]);
        let better = needed(value, "chosen")?;
        let ranks = match better {
            "A" | "a" => vec![0, 1],
            "B" | "b" => vec![1, 0],
            other => {
                let (key, expected) = ("chosen", "`A` or `B`");
                return Err(RowFault::Choice { key, found: other.into(), expected });
            }
        };
        let (prompt_key, pieces) = if is_table {
            ("prompt_text", table_prompt(row)?)
        } else {
            ("prompt_content", content_prompt(row)?)
        };
        let response = |side: &str| {
            if is_table { table_response(value, side) } else { content_response(value, side) }
        };
        let category = optional_text(value, "prompt_source")?.unwrap_or("unknown").to_owned();
        Found {
            id: name(value, if is_table { "pair_id" } else { "id" }),
            prompt_key,
            prompt: vec![Draft { role: "user".to_owned(), content: DraftContent::Pieces(pieces) }],
            responses: vec![response("response_a")?, response("response_b")?],
            images: Vec::new(),
            ranks,
            labels: Labels { group: group(value, &category), category, subset: String::new() },
        }
        .item(row)
    }

    fn measure(&self, items: &[&Scored]) -> Vec<Figure> {
        let sources: BTreeSet<&str> =
            items.iter().map(|item| item.labels.category.as_str()).collect();
        let mut figures = vec![Figure::accuracy("official", "Overall", items.iter().copied())];
        figures.extend(sources.into_iter().map(|source| {
            let rows = items.iter().copied().filter(|item| item.labels.category == source);
            Figure::accuracy("by source", source, rows)
        }));
        figures
    }

    fn caveats(&self) -> &'static [&'static str] {
        &[
            "Of the 1,000 pairs of the reasoning task, 350 have two text responses. Published figures are over all 1,000 and cannot stand \
             beside figures over these.",
            "The official script counts each pair in both orders; a scalar reward gives the same verdict in both, so the part is the same.",
            "The data are licensed for evaluation and not for training.",
        ]
    }
}

/// Rows over one prompt are not independent of each other; metadata name the prompt in its source.
fn group(value: &Value, source: &str) -> String {
    let own = value.get("prompt_metadata").and_then(|metadata| match metadata {
        Value::Text(json) => {
            data::raw::parse_json(json).ok().and_then(|parsed| name(&parsed, "id"))
        }
        other => name(other, "id"),
    });
    own.map(|id| format!("{source}/{id}")).unwrap_or_default()
}

/// One entry of a list of contents: its type and what it holds.
fn entry<'a>(value: &'a Value, key: &str) -> Result<(&'a str, &'a Value), RowFault> {
    let found = list(value, key)?;
    let [kind, content] = found else {
        let (key, found, responses) = (key.to_owned(), found.len(), 2);
        return Err(RowFault::Length { key, found, responses });
    };
    Ok((text(kind, &format!("{key}[0]"))?, content))
}

fn content_prompt(row: &SourceRow<'_>) -> Result<Vec<Piece>, RowFault> {
    let mut pieces = Vec::new();
    for (index, one) in
        list(required(row.value, "prompt_content")?, "prompt_content")?.iter().enumerate()
    {
        let key = format!("prompt_content[{index}]");
        let (kind, content) = entry(one, &key)?;
        pieces.push(match kind {
            "text" => Piece::Text(text(content, &key)?.to_owned()),
            "image" => Piece::Image(picture(content, &key, row.image_dir)?),
            other => return Err(RowFault::PartType { key, kind: other.to_owned() }),
        });
    }
    Ok(pieces)
}

fn content_response(value: &Value, side: &str) -> Result<(String, Vec<Draft>), RowFault> {
    let key = format!("{side}.response_content");
    let content = required(value, side)?
        .get("response_content")
        .ok_or_else(|| RowFault::Missing { key: key.clone() })?;
    let mut said = String::new();
    for (index, one) in list(content, &key)?.iter().enumerate() {
        let at = format!("{key}[{index}]");
        match entry(one, &at)? {
            ("text", content) => said.push_str(text(content, &at)?),
            ("image", _) => return Err(RowFault::ResponsePicture { key }),
            (other, _) => return Err(RowFault::PartType { key: at, kind: other.to_owned() }),
        }
    }
    Ok(answer(key, &said))
}

/// A text with `<image_0>`, `<image_1>`, … where its pictures stand, in order; without any mark they stand at its end.
fn table_prompt(row: &SourceRow<'_>) -> Result<Vec<Piece>, RowFault> {
    let key = "prompt_images";
    let images =
        row.value.get(key).map(|images| pictures(images, key, row.image_dir)).transpose()?;
    let mut images = images.unwrap_or_default().into_iter().map(Piece::Image);
    let mut pieces = Vec::new();
    let mut rest = optional_text(row.value, "prompt_text")?.unwrap_or_default();
    while let Some((before, after)) = split_mark(rest) {
        push_text(&mut pieces, before);
        pieces.extend(images.next());
        rest = after;
    }
    push_text(&mut pieces, rest);
    pieces.extend(images);
    Ok(pieces)
}

/// What stands before and after the first mark.
fn split_mark(text: &str) -> Option<(&str, &str)> {
    const BEGIN: &str = "<image_";
    let mut from = 0;
    while let Some(found) = text[from..].find(BEGIN) {
        let start = from + found;
        let digits = &text[start + BEGIN.len()..];
        let end = digits.find(|character: char| !character.is_ascii_digit())?;
        if end > 0 && digits[end..].starts_with('>') {
            return Some((&text[..start], &digits[end + 1..]));
        }
        from = start + BEGIN.len();
    }
    None
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

fn table_response(value: &Value, side: &str) -> Result<(String, Vec<Draft>), RowFault> {
    let key = format!("{side}_images");
    if let Some(Value::List(images)) = value.get(&key)
        && !images.is_empty()
    {
        return Err(RowFault::ResponsePicture { key });
    }
    let key = format!("{side}_text");
    let text = needed(value, &key)?;
    Ok(answer(key.clone(), text))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{fraction, judged, measure, read_row, shown};
    use super::*;

    fn row(response_b: &str, chosen: &str) -> String {
        format!(
            r#"{{"id":"blink_1","prompt_content":[["text","Look: "],["image","input_images/1.jpg"],["text","Which <image>?"]],
                "prompt_source":"blink","prompt_metadata":{{"id":"val_1"}},
                "response_a":{{"model_name":"m","response_content":[["text","The "],["text","first"]]}},
                "response_b":{{"model_name":"n","response_content":{response_b}}},"chosen":"{chosen}","human_annotations":[]}}"#
        )
    }

    #[test]
    fn a_pair_of_text_responses_is_read_with_its_pictures_in_their_places() {
        let item =
            read_row(&MultimodalRewardBench2, &row(r#"[["text","The second"]]"#, "B")).unwrap();
        assert_eq!(
            shown(&item.comparison.prompt),
            "user: Look: |<pictures/input_images/1.jpg>|Which <image>?"
        );
        assert_eq!(shown(&item.comparison.responses[0]), "assistant: The first");
        assert_eq!(item.comparison.preference.ranks, [1, 0]);
        assert_eq!(
            (item.labels.category.as_str(), item.labels.group.as_str()),
            ("blink", "blink/val_1")
        );
    }

    #[test]
    fn a_response_with_a_picture_is_refused() {
        let response = r#"[["text","See "],["image","images/1.jpg"]]"#;
        assert_eq!(
            read_row(&MultimodalRewardBench2, &row(response, "A")).unwrap_err(),
            "`response_b.response_content` holds a picture, but only text responses can be scored; leave the row out"
        );
    }

    #[test]
    fn a_file_of_responses_alone_and_an_unknown_choice_are_refused() {
        let response = r#"[["text","x"]]"#;
        let alone = row(response, "A").replace("prompt_content", "other");
        assert_eq!(
            read_row(&MultimodalRewardBench2, &alone).unwrap_err(),
            "`prompt_content` is missing"
        );
        assert_eq!(
            read_row(&MultimodalRewardBench2, &row(response, "C")).unwrap_err(),
            "`chosen` is `C`; give `A` or `B`"
        );
    }

    #[test]
    fn a_row_of_the_table_is_read() {
        let row = |prompt: &str, images_b: &str| {
            format!(
                r#"{{"pair_id":"p1","prompt_text":"{prompt}","prompt_images":["1.jpg","2.jpg"],"prompt_source":"vstar",
                    "response_a_text":"x","response_a_images":[],"response_b_text":"y","response_b_images":{images_b},
                    "chosen":"a","prompt_metadata":"{{\"id\": 7}}"}}"#
            )
        };
        let read =
            |prompt: &str, images: &str| read_row(&MultimodalRewardBench2, &row(prompt, images));
        let item = read("<image_0>\\nor <image_1> or <image_x>?", "[]").unwrap();
        assert_eq!(
            shown(&item.comparison.prompt),
            "user: <pictures/1.jpg>|or|<pictures/2.jpg>|or <image_x>?"
        );
        assert_eq!(item.comparison.preference.ranks, [0, 1]);
        assert_eq!(item.labels.group, "vstar/7");
        let item = read("Which?", "null").unwrap();
        assert_eq!(
            shown(&item.comparison.prompt),
            "user: Which?|<pictures/1.jpg>|<pictures/2.jpg>"
        );
        assert_eq!(
            read("Which?", r#"["3.jpg"]"#).unwrap_err(),
            "`response_b_images` holds a picture, but only text responses can be scored; leave the row out"
        );
    }

    #[test]
    fn sources_add_up_to_the_whole() {
        let labels = |source: &str| Labels { category: source.to_owned(), ..Labels::default() };
        let rows = [("vstar", true), ("blink", false), ("vstar", false), ("new", true)];
        let rows: Vec<Scored> = rows
            .iter()
            .enumerate()
            .map(|(row, (source, is_right))| judged(row, "x", &labels(source), *is_right))
            .collect();
        let figures = measure(&MultimodalRewardBench2, &rows);
        assert_eq!(fraction(&figures, "official", "Overall"), (2, 4));
        let names: Vec<&str> = figures.iter().map(|figure| figure.name.as_str()).collect();
        assert_eq!(names, ["Overall", "blink", "new", "vstar"]);
        assert_eq!(fraction(&figures, "by source", "vstar"), (1, 2));
    }
}
