//! RLAIF-V: answers to questions about pictures, divided and judged by open models.
//!
//! # Source
//! The data card of `openbmb/RLAIF-V-Dataset`: `ds_name, image {bytes, path}, question, chosen, rejected, origin_dataset, origin_split, idx,
//! image_path`.

use std::path::Path;

use super::{Reading, Source, plain_files};
use crate::error::RowFault;
use crate::formats::{Format, Parsed};
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "rlaif-v",
    title: "RLAIF-V",
    home: "openbmb/RLAIF-V-Dataset",
    license: "CC-BY-NC-4.0",
    about: "Pairs of answers to one question about one picture, which is in the row itself.",
    id_key: Some("idx"),
    recognizes: |row| row.has(&["ds_name", "question", "chosen", "rejected", "origin_split"]),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    Format::Pair.parse(row, image_dir)
}
