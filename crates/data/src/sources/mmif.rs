//! MMIF: answers to instructions with constraints about pictures; the worse one breaks some of them.
//!
//! # Source
//! The data card of `ChrisDing1105/MMIF-23k`: lists in the sharegpt form of LLaMA-Factory, `conversations [{from, value}], chosen {from, value},
//! rejected {from, value}, images [path]`, with the pictures in an archive beside them.

use std::path::Path;

use super::{Reading, Source, plain_files};
use crate::error::RowFault;
use crate::formats::{Format, Parsed};
use crate::value::Value;

pub(super) static SOURCE: Source = Source {
    name: "mmif",
    title: "MMIF",
    home: "ChrisDing1105/MMIF-23k",
    license: "not stated",
    about: "Pairs in the sharegpt form of LLaMA-Factory; unpack the pictures beside the list.",
    id_key: Some("id"),
    recognizes: |row| row.has(&["conversations", "chosen", "rejected", "images"]),
    files: plain_files,
    reading: Reading::Row(read),
};

fn read(row: &Value, image_dir: &Path) -> Result<Parsed, RowFault> {
    Format::LlamaFactoryShareGpt.parse(row, image_dir)
}
