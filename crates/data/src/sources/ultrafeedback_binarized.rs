//! UltraFeedback as pairs: the best-scored completion against another one.
//!
//! # Source
//! The data cards of `HuggingFaceH4/ultrafeedback_binarized` and `allenai/ultrafeedback_binarized_cleaned`: `prompt, prompt_id, chosen [{role,
//! content}], rejected, messages, score_chosen, score_rejected`. Pairs with equal scores have no reason for their order and are ties.

use std::path::Path;

use super::{Reading, Source, chosen_and_rejected, has_conversations, plain_files};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{number, required};
use crate::formats::{Parsed, check_agreement};
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "ultrafeedback-binarized",
    title: "UltraFeedback Binarized",
    home: "HuggingFaceH4/ultrafeedback_binarized",
    license: "MIT",
    about: "Pairs of whole conversations with the score of each; the margin is the difference of the scores, and equal scores are ties.",
    id_key: Some("prompt_id"),
    recognizes: |row| has_conversations(row, &["score_chosen", "score_rejected"]),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    let score = |key| number(required(row, key)?, key);
    let scores = [score("score_chosen")?, score("score_rejected")?];
    check_agreement(&[0.0, 1.0], &scores)?;
    let margin = Some((scores[0] - scores[1]) as f32);
    let preference = Preference { margin, ..Preference::by_scores(&scores) };
    chosen_and_rejected(row, image_dir, preference)
}
