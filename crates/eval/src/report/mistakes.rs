//! The surest mistakes: pairs that the model has the wrong way round by the largest margin, with their pictures.
//!
//! Which pairs these are, and what stands in them, was decided before.

use page::Markup;
use page::number::short;
use page::parts::{clipped, picture};

use crate::judged::Shown;

/// Most pictures shown of one pair.
const MAX_PICTURES: usize = 4;
/// Most characters shown of a text.
const MAX_CHARS: usize = 1200;

/// Writes the surest mistakes, or the reason why there are none.
pub fn write(page: &mut Markup, mistakes: &[Shown], reason: &str) {
    page.element("section", &[], |page| {
        page.leaf("h2", &[], "Surest mistakes");
        if mistakes.is_empty() {
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
            picture(page, image);
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
