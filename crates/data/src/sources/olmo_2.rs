//! OLMo 2: the mixture of preferences that the 7B model was tuned on; its siblings have the same schema.
//!
//! # Source
//! The data card of `allenai/olmo-2-1124-7b-preference-mix`: that of the Tulu 3 mixture with `chosen_rating` and `rejected_rating`, which only
//! some of its parts have. The label stands in the names of the keys, so that equal ratings are no tie.

use std::path::Path;

use super::{Reading, Source, chosen_and_rejected, has_conversations, plain_files};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::written_number;
use crate::formats::{Parsed, check_agreement};
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "olmo-2",
    title: "OLMo 2 preference mixture",
    home: "allenai/olmo-2-1124-7b-preference-mix",
    license: "ODC-BY-1.0, parts for non-commercial use only",
    about: "Pairs of whole conversations from several sources; where both are rated, the margin is the difference of the ratings.",
    id_key: Some("id"),
    recognizes: |row| has_conversations(row, &["id", "source", "chosen_model", "chosen_rating"]),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    let rating = |key| row.get(key).map(|value| written_number(value, key)).transpose();
    let mut preference = Preference::first_of_two();
    if let (Some(chosen), Some(rejected)) = (rating("chosen_rating")?, rating("rejected_rating")?) {
        check_agreement(&[0.0, 1.0], &[chosen, rejected])?;
        preference.scores = Some(vec![chosen as f32, rejected as f32]);
        preference.margin = Some((chosen - rejected) as f32);
    }
    chosen_and_rejected(row, image_dir, preference)
}
