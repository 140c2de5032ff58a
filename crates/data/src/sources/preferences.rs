//! Any file in a format that training reads: pairs of TRL, LLaMA-Factory and ms-swift, rankings, shards that this program wrote.

use std::path::Path;

use super::{Reading, Source, plain_files};
use crate::dataset::recognized;
use crate::error::RowFault;
use crate::formats::{Format, Parsed};
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "preferences",
    title: "Preferences in a common format",
    home: "files of your own",
    license: "not stated",
    about: "Pairs or rankings in one of the formats that `basereward train` reads; the format is recognized row by row.",
    id_key: Some("id"),
    recognizes: |row| Format::recognize(row).is_some(),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    recognized(row)?.parse(row, image_dir)
}
