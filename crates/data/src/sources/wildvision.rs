//! WildVision battles: conversations of a person with two models about one picture, and the person's vote.
//!
//! # Source
//! The scripts of WildVision that write its sets (`create_hf_battle_dataset`): `question_id, model_a, model_b, conversation_a [{role, content}],
//! conversation_b, language, image {bytes, path}, turn, anony, tstamp, judge, winner`. `winner` is `model_a`, `model_b`, `tie` or
//! `tie (bothbad)`.

use std::path::Path;

use super::{Reading, Source, plain_files};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{required, text};
use crate::formats::{Parsed, whole};
use crate::messages::messages;
use crate::pictures::listed;
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "wildvision",
    title: "WildVision battles",
    home: "WildVision/wildvision-battle",
    license: "ODC-BY",
    about: "Two conversations about one picture with the same questions, and a vote; votes for neither are ties.",
    id_key: Some("question_id"),
    recognizes: |row| row.has(&["conversation_a", "conversation_b", "winner", "image"]),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    let preference = match text(required(row, "winner")?, "winner")? {
        "model_a" => Preference::first_of_two(),
        "model_b" => Preference::second_of_two(),
        "tie" | "tie (bothbad)" => Preference::tie_of_two(),
        other => {
            let expected = "`model_a`, `model_b`, `tie` or `tie (bothbad)`";
            return Err(RowFault::Choice { key: "winner", found: other.into(), expected });
        }
    };
    let keys = ["conversation_a", "conversation_b"];
    let read = |key| messages(required(row, key)?, key, image_dir);
    let conversations = [read(keys[0])?, read(keys[1])?];
    let (prompt, responses) = whole(keys, conversations, listed(row, image_dir)?)?;
    Ok(Parsed { prompt, responses, preference })
}
