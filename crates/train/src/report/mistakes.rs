//! The surest mistakes: pairs that the model has the wrong way round by the largest margin, with their pictures.

use std::sync::Arc;

use prompt::ImageSource;

use super::held_out::clipped;
use super::markup::Markup;
use super::number::short;
use super::thumbnail::data_url;
use eval::judged::{Judged, Shown};

/// Most pictures shown of one pair.
const MAX_PICTURES: usize = 4;
/// Most characters shown of a text.
const MAX_CHARS: usize = 1200;

/// Writes the surest mistakes, or that there are none.
pub(super) fn write(page: &mut Markup, pairs: &[Judged], mistakes: &[Shown]) {
    page.element("section", &[], |page| {
        page.leaf("h2", &[], "Surest mistakes");
        if mistakes.is_empty() {
            let reason = if pairs.is_empty() { "No pair was judged." } else { "None." };
            page.leaf("p", &[], reason);
            return;
        }
        let lead = "Pairs that the model has the wrong way round, by the largest margin. Some are faults of the model, some may \
                    be wrong labels.";
        page.leaf("p", &[("class", &"note")], lead);
        page.element("div", &[("class", &"pairs")], |page| {
            for pair in mistakes {
                write_pair(page, pair);
            }
        });
    });
}

fn write_pair(page: &mut Markup, pair: &Shown) {
    let judged = &pair.judged;
    page.element("article", &[], |page| {
        page.element("p", &[("class", &"meta")], |page| {
            page.leaf("b", &[], &judged.id);
            if let Some(kind) = &judged.kind {
                page.text(format!(" · {kind}"));
            }
            page.text(format!(" · margin {}", short(judged.margin())));
        });
        for image in pair.images.iter().take(MAX_PICTURES) {
            write_picture(page, image);
        }
        if pair.images.len() > MAX_PICTURES {
            let more = pair.images.len() - MAX_PICTURES;
            page.leaf("p", &[("class", &"note")], format!("and {more} more pictures"));
        }
        page.leaf("p", &[("class", &"prompt"), ("dir", &"auto")], clipped(&pair.prompt, MAX_CHARS));
        page.element("dl", &[], |page| {
            answer(page, "chosen", &pair.chosen, judged.chosen_reward);
            answer(page, "rejected", &pair.rejected, judged.rejected_reward);
        });
    });
}

fn answer(page: &mut Markup, side: &str, text: &str, reward: f32) {
    page.element("dt", &[("class", &side)], |page| {
        page.text(side);
        page.leaf("span", &[], format!(" {}", short(f64::from(reward))));
    });
    page.leaf("dd", &[("dir", &"auto")], clipped(text, MAX_CHARS));
}

fn write_picture(page: &mut Markup, image: &Arc<ImageSource>) {
    match data_url(image) {
        Ok(thumbnail) => {
            let class = if thumbnail.is_tiny { "tiny" } else { "" };
            page.void(
                "img",
                &[
                    ("src", &thumbnail.url),
                    ("alt", &image.name()),
                    ("width", &thumbnail.width),
                    ("height", &thumbnail.height),
                    ("class", &class),
                ],
            );
        }
        Err(reason) => {
            page.leaf("p", &[("class", &"note")], format!("Picture not shown: {reason}"));
        }
    }
}
