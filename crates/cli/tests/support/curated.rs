//! What a curated folder holds, read by a test.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use data::raw::{RowFile, Value as Cell};
use serde_json::Value;

use crate::support::{Workplace, rows_of};

/// Every file of a folder with its bytes, by its path in it.
pub(crate) fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Two folders hold the same files.
pub(crate) fn assert_same(one: &Path, other: &Path) {
    let [one, other] = [one, other].map(tree);
    assert!(one.keys().eq(other.keys()), "{:?} and {:?}", one.keys(), other.keys());
    for (name, bytes) in one {
        assert!(bytes == other[&name], "`{name}` differs");
    }
}

pub(crate) fn manifest(place: &Workplace, set: &str) -> Value {
    serde_json::from_str(&place.read(&format!("{set}/manifest.json"))).unwrap()
}

/// Counts of a source.
pub(crate) fn counts(manifest: &Value, source: &str) -> Value {
    let sources = manifest["sources"].as_array().unwrap();
    sources.iter().find(|one| one["name"] == source).unwrap()["counts"].clone()
}

pub(crate) fn dropped(place: &Workplace, set: &str) -> Vec<Value> {
    rows_of(&place.read(&format!("{set}/report/dropped.jsonl")))
}

/// A row of a shard, as far as tests ask for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShardRow {
    pub(crate) id: String,
    pub(crate) key: String,
    /// The best answer first.
    pub(crate) answers: Vec<String>,
    pub(crate) flipped: bool,
}

/// Rows of all shards, in order.
pub(crate) fn shard_rows(place: &Workplace, set: &str) -> Vec<ShardRow> {
    let manifest = manifest(place, set);
    let mut rows = Vec::new();
    for shard in manifest["shards"].as_array().unwrap() {
        let file = place.path(set).join(shard["name"].as_str().unwrap());
        rows.extend(RowFile::open(&file).unwrap().scan().map(|row| shard_row(&row.unwrap())));
    }
    rows
}

fn shard_row(row: &Cell) -> ShardRow {
    let text = |key: &str| match row.get(key) {
        Some(Cell::Text(text)) => text.clone(),
        other => panic!("{key}: {other:?}"),
    };
    let (Some(Cell::List(responses)), Some(Cell::List(ranks))) =
        (row.get("responses"), row.get("ranks"))
    else {
        panic!("{row:?}")
    };
    let mut answers: Vec<(i64, String)> = ranks
        .iter()
        .zip(responses)
        .map(|(rank, response)| {
            let Cell::Whole(rank) = rank else { panic!("{rank:?}") };
            (*rank, said(response))
        })
        .collect();
    answers.sort_by_key(|(rank, _)| *rank);
    ShardRow {
        id: text("id"),
        key: text("key"),
        answers: answers.into_iter().map(|(_, text)| text).collect(),
        flipped: row.get("flipped") == Some(&Cell::Bool(true)),
    }
}

/// All texts in a value, one after the other, without roles and kinds.
fn said(value: &Cell) -> String {
    match value {
        Cell::Text(text) => text.clone(),
        Cell::List(values) => values.iter().map(said).collect(),
        Cell::Object(entries) => {
            let is_said = |key: &str| key == "content" || key == "text";
            entries.iter().filter(|(key, _)| is_said(key)).map(|(_, value)| said(value)).collect()
        }
        _ => String::new(),
    }
}
