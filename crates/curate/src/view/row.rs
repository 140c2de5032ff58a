//! One record as a card: where it came from, what became of it, its prompt with pictures, its answers from the best on.

use data::{Comparison, Preference};
use page::Markup;
use page::number::short;
use page::parts::{clipped, picture};
use prompt::{Message, Part};

use super::{ViewReason, ViewRow};
use crate::report::stage_name;

/// Most characters shown of a text.
const MAX_CHARS: usize = 6000;
/// Most frames shown of a video.
const MAX_FRAMES: usize = 4;

/// Outcome of a record that did not leave.
pub(super) const KEPT: &str = "kept";

/// What became of a record, in words that the filter offers.
pub(super) fn state(row: &ViewRow) -> String {
    match &row.left {
        None => KEPT.to_owned(),
        Some(ViewReason { stage, reason, .. }) => format!("{}: {reason}", stage_name(*stage)),
    }
}

/// Writes a card.
pub(super) fn write(page: &mut Markup, row: &ViewRow) {
    let has_pictures = row.comparison.as_ref().is_some_and(has_pictures);
    let word = |is_so: bool| if is_so { "yes" } else { "no" };
    let attributes: page::markup::Attributes<'_> = &[
        ("data-source", &row.source),
        ("data-state", &state(row)),
        ("data-pictures", &word(has_pictures)),
        ("data-flipped", &word(row.columns.flipped)),
    ];
    page.element("article", attributes, |page| {
        head(page, row);
        if let Some(comparison) = &row.comparison {
            page.element("div", &[("class", &"asked")], |page| messages(page, &comparison.prompt));
            answers(page, comparison);
        }
    });
}

fn head(page: &mut Markup, row: &ViewRow) {
    page.leaf("h3", &[], row.id.as_deref().unwrap_or("Row that cannot be read"));
    page.leaf("p", &[("class", &"meta")], format!("{} · {}", row.source, row.origin));
    page.element("p", &[("class", &"badges")], |page| {
        let class = if row.left.is_some() { "badge left" } else { "badge" };
        page.leaf("span", &[("class", &class)], state(row));
        if row.columns.flipped {
            page.leaf("span", &[("class", &"badge turned")], "label turned");
        }
        for (name, number) in numbers(row) {
            page.leaf("span", &[("class", &"badge quiet")], format!("{name} {number}"));
        }
    });
    if let Some(detail) = row.left.as_ref().and_then(|left| left.detail.as_ref()) {
        page.leaf("p", &[("class", &"remark")], clipped(detail, MAX_CHARS));
    }
}

fn numbers(row: &ViewRow) -> Vec<(&'static str, String)> {
    let preference = row.comparison.as_ref().map(|comparison| &comparison.preference);
    let columns = row.columns;
    let numbers = [
        ("margin", preference.and_then(|one| one.margin)),
        ("soft label", preference.and_then(|one| one.soft_label)),
        ("strength", columns.strength),
        ("agreement", columns.agreement),
        ("difficulty", columns.difficulty),
    ];
    let known = |(name, number): (_, Option<f32>)| Some((name, short(f64::from(number?))));
    numbers.into_iter().filter_map(known).collect()
}

fn answers(page: &mut Markup, comparison: &Comparison) {
    let Preference { ranks, scores, .. } = &comparison.preference;
    let mut order: Vec<usize> = (0..comparison.responses.len()).collect();
    order.sort_by_key(|answer| ranks[*answer]);
    let is_pair = order.len() == 2;
    let best = 0;
    page.element("div", &[("class", &"answers")], |page| {
        for answer in order {
            let rank = ranks[answer];
            let class = if rank == best { "chosen" } else { "rejected" };
            let name = match (is_pair, rank == best) {
                (true, true) => "chosen".to_owned(),
                (true, false) => "rejected".to_owned(),
                (false, _) => format!("place {}", rank + 1),
            };
            page.element("section", &[("class", &class)], |page| {
                page.element("h4", &[], |page| {
                    page.text(name);
                    if let Some(scores) = scores {
                        let score = short(f64::from(scores[answer]));
                        page.leaf("span", &[], format!(" score {score}"));
                    }
                });
                messages(page, &comparison.responses[answer]);
            });
        }
    });
}

/// Messages, each with its speaker unless there is only one.
fn messages(page: &mut Markup, messages: &[Message]) {
    for message in messages {
        if messages.len() > 1 {
            page.leaf("p", &[("class", &"speaker")], &message.role);
        }
        for part in &message.content {
            match part {
                Part::Text(text) if text.is_empty() => {}
                Part::Text(text) => {
                    let attributes: page::markup::Attributes<'_> =
                        &[("class", &"said"), ("dir", &"auto")];
                    page.leaf("p", attributes, clipped(text, MAX_CHARS));
                }
                Part::Image(image) => picture(page, image),
                Part::Video(video) => {
                    let number = video.frames.len();
                    page.leaf("p", &[("class", &"note")], format!("Video of {number} frames:"));
                    for frame in video.frames.iter().take(MAX_FRAMES) {
                        picture(page, frame);
                    }
                }
            }
        }
    }
}

fn has_pictures(comparison: &Comparison) -> bool {
    let messages = comparison.prompt.iter().chain(comparison.responses.iter().flatten());
    messages.flat_map(|message| &message.content).any(|part| !matches!(part, Part::Text(_)))
}
