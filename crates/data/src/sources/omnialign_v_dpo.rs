//! OmniAlign-V-DPO: long open-ended answers about pictures, against the worst of a smaller model's.
//!
//! # Source
//! The data card of `PhoenixZ/OmniAlign-V-DPO` and the loader of OmniAlign-V (`llava/train/train_dpo.py`): `prompt, chosen, rejected, image`. The
//! loader takes every `<image>` out of the prompt and puts one, with a line break, before it.

use std::path::Path;

use super::pictured::{MARK, below_marks, pictured};
use super::{Reading, Source, plain_files, texts_of};
use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::{required, text};
use crate::formats::{Parsed, refuse_other_media};
use crate::pictures::listed;
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "omnialign-v-dpo",
    title: "OmniAlign-V-DPO",
    home: "PhoenixZ/OmniAlign-V-DPO",
    license: "not stated (its repository: Apache-2.0)",
    about: "Pairs in the form that LLaVA trains DPO on; pictures go before the prompt, wherever it has a place for them.",
    id_key: Some("id"),
    recognizes: |row| {
        row.has(&["prompt", "chosen", "rejected"])
            && matches!(row.get("image"), Some(Value::Text(_)))
    },
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    refuse_other_media(row)?;
    let images = listed(row, image_dir)?;
    let prompt = text(required(row, "prompt")?, "prompt")?.replace(MARK, "");
    let prompt = below_marks(prompt.trim(), images.len());
    let responses = texts_of(row, &["chosen", "rejected"])?;
    pictured("prompt", prompt, responses, images, Preference::first_of_two())
}
