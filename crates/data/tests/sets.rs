//! Data sets as a whole: tables, folders, splits and summaries.

mod shown;
mod tables;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, ListArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};
use data::{Dataset, DatasetOptions};
use prompt::{ImageSource, Part};
use shown::{assert_shown, fixture, open, shown};
use tables::{pictures, texts, write_table};
use tempfile::TempDir;

#[test]
fn tables_hold_pictures_by_their_bytes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("pairs.parquet");
    let chosen: Vec<String> = (0..5).map(|row| format!("a{row}")).collect();
    let chosen: Vec<&str> = chosen.iter().map(String::as_str).collect();
    write_table(
        &path,
        vec![
            ("id", Arc::new(Int64Array::from(vec![10, 11, 12, 13, 14]))),
            ("image", pictures(vec![Some(b"0"), Some(b"1"), None, Some(b"3"), Some(b"4")])),
            ("prompt", texts(&["p"; 5])),
            ("chosen", texts(&chosen)),
            ("rejected", texts(&["b"; 5])),
            ("margin", Arc::new(Float64Array::from(vec![None, Some(0.5), None, None, None]))),
        ],
    );
    let set = open(&path);
    assert_eq!(set.len(), 5);
    for index in [4, 0, 3, 1] {
        let comparison = set.read(index).unwrap();
        assert_eq!(comparison.id, (10 + index).to_string());
        assert_eq!(shown(&comparison).1[0], [format!("assistant: a{index}")]);
        let bytes = index.to_string().into_bytes();
        let expected = ImageSource::Bytes { label: "image".to_owned(), bytes };
        assert_eq!(comparison.prompt[0].content[0], Part::Image(expected.into()));
    }
    assert_eq!(set.read(1).unwrap().preference.margin, Some(0.5));
    let error = set.read(2).unwrap_err();
    assert_eq!(
        error.to_string().replace(&folder.path().display().to_string(), "data"),
        "`data/pairs.parquet`, row 3: `image` is not a picture: the object has neither `bytes` nor `path`; \
         give a path, a data: URL, base64, or `bytes` and `path`"
    );
    let alone: Vec<_> = (0..5).map(|index| set.read(index)).collect();
    assert_eq!(set.rows().collect::<Vec<_>>(), alone);
}

/// A column of lists with one message each.
fn message_lists(role: &str, contents: &[&str]) -> ArrayRef {
    let messages = StructArray::from(vec![
        (Arc::new(Field::new("role", DataType::Utf8, true)), texts(&vec![role; contents.len()])),
        (Arc::new(Field::new("content", DataType::Utf8, true)), texts(contents)),
    ]);
    let field = Arc::new(Field::new("item", messages.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(vec![1; contents.len()]);
    Arc::new(ListArray::new(field, offsets, Arc::new(messages), None))
}

#[test]
fn tables_hold_messages_and_lists() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("conversations.parquet");
    let mut images = ListBuilder::new(StringBuilder::new());
    for names in [vec!["cat.png"], vec![]] {
        for name in names {
            images.values().append_value(name);
        }
        images.append(true);
    }
    write_table(
        &path,
        vec![
            ("images", Arc::new(images.finish())),
            ("prompt", message_lists("user", &["Which?", "What?"])),
            ("chosen", message_lists("assistant", &["a", "c"])),
            ("rejected", message_lists("assistant", &["b", "d"])),
        ],
    );
    let set = open(&path);
    assert_eq!(
        set.format(),
        "pairs with messages as prompt (TRL, conversational, explicit prompt): `prompt`, `chosen`, `rejected`"
    );
    let first = set.read(0).unwrap();
    assert_eq!(
        first.prompt[0].content[0],
        Part::Image(ImageSource::Path(folder.path().join("cat.png")).into())
    );
    assert_shown(&set.read(1).unwrap(), &["user: What?"], &["assistant: c", "assistant: d"]);
}

#[test]
fn a_folder_is_its_data_files_in_the_order_of_their_names() {
    let folder = TempDir::new().unwrap();
    let row = |id: &str| format!(r#"{{"id":"{id}","prompt":"p","chosen":"a","rejected":"b"}}"#);
    fs::write(folder.path().join("b.jsonl"), format!("{}\n{}\n", row("b1"), row("b2"))).unwrap();
    fs::write(folder.path().join("a.json"), format!("[{}]", row("a1"))).unwrap();
    fs::write(folder.path().join("README.md"), "no rows").unwrap();
    fs::write(folder.path().join("dataset_info.json"), "{}").unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/c.ndjson"), row("c1")).unwrap();
    let set = open(folder.path());
    let ids: Vec<String> = set.rows().map(|row| row.unwrap().id).collect();
    assert_eq!(ids, ["a1", "b1", "b2", "c1"]);
    assert_eq!(set.read(3).unwrap().id, "c1");
    assert_eq!(set.files().iter().map(data::DatasetFile::len).collect::<Vec<_>>(), [1, 2, 1]);
}

#[test]
fn a_table_of_texts_counts_in_a_folder_only_where_nothing_else_does() {
    let folder = TempDir::new().unwrap();
    let table = "id\tprompt\tchosen\trejected\tmargin\nt1\tp\t\"a\tb\"\tc\t\n";
    fs::write(folder.path().join("t.tsv"), table).unwrap();
    let set = open(folder.path());
    assert_eq!((set.len(), set.read(0).unwrap().id.as_str()), (1, "t1"));
    fs::create_dir(folder.path().join("data")).unwrap();
    let row = r#"{"id":"r1","prompt":"p","chosen":"a","rejected":"b"}"#;
    fs::write(folder.path().join("data/r.jsonl"), row).unwrap();
    let set = open(folder.path());
    assert_eq!((set.len(), set.read(0).unwrap().id.as_str()), (1, "r1"));
    let set = open(folder.path().join("t.tsv"));
    assert_eq!((set.len(), set.read(0).unwrap().id.as_str()), (1, "t1"));
}

#[test]
fn several_files_may_follow_several_formats() {
    let options = DatasetOptions::default();
    let set =
        Dataset::open(&[fixture("ranked.jsonl"), fixture("nemo_rl.jsonl")], &options).unwrap();
    assert_eq!(
        set.format(),
        "NeMo-RL: `context`, ranked `completions`; rankings: `prompt`, `responses`, `ranks` or `scores`"
    );
    assert_eq!((set.len(), set.is_empty()), (4, false));
    assert_eq!(set.read(3).unwrap().id, "nemo_rl:1");
    assert_eq!(set.place(3).1.to_string(), "line 1");
}

#[test]
fn pictures_may_lie_in_another_folder() {
    let options = DatasetOptions { image_dir: Some("elsewhere".into()) };
    let set = Dataset::open(&[fixture("plain.jsonl")], &options).unwrap();
    let expected = ImageSource::Path("elsewhere/images/cat.png".into());
    assert_eq!(set.read(0).unwrap().prompt[0].content[0], Part::Image(expected.into()));
}

#[test]
fn a_split_goes_by_the_content_of_pictures_and_not_by_their_names() {
    let folder = TempDir::new().unwrap();
    let mut rows = String::new();
    for picture in 0..40 {
        for copy in ["x", "y"] {
            fs::write(folder.path().join(format!("{picture}{copy}.png")), [picture]).unwrap();
            let row = format!(
                r#"{{"id":"{picture}","images":["{picture}{copy}.png"],"prompt":"p","chosen":"{copy}","rejected":"b"}}"#
            );
            rows.push_str(&row);
            rows.push('\n');
        }
    }
    rows.push_str(r#"{"images":["gone.png"],"prompt":"p","chosen":"a","rejected":"b"}"#);
    rows.push_str("\n{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}\n");
    rows.push_str("{\"prompt\":\"q\",\"chosen\":\"c\",\"rejected\":\"d\"}\n");
    rows.push_str("{\"prompt\":\"q\",\"chosen\":\"c\",\"rejected\":\"c\"}\n");
    fs::write(folder.path().join("rows.jsonl"), rows).unwrap();
    let set = open(folder.path().join("rows.jsonl"));
    let split = set.split(0.5, 3).unwrap();
    assert_eq!((split.groups, split.largest_group), (41, 2));
    assert_eq!(split.train.len() + split.validation.len(), 82);
    assert!(split.train.len() > 20 && split.validation.len() > 20, "{split:?}");
    let side = |row: usize| split.validation.contains(&row);
    for row in (0..80).step_by(2) {
        assert_eq!(side(row), side(row + 1));
    }
    assert_eq!(side(81), side(82));
    let unusable: Vec<String> = split
        .unusable
        .iter()
        .map(|(row, error)| format!("{row} {}", error.fault.reason()))
        .collect();
    assert_eq!(
        unusable,
        ["80 picture that cannot be read", "83 prefers no response: its responses are equal"]
    );
    assert_eq!(set.split(0.5, 3).unwrap(), split);
    assert_eq!(
        set.split(1.5, 3).unwrap_err().to_string(),
        "the validation fraction is `1.5`; give a number from 0 to 1"
    );
}

#[test]
fn a_summary_counts_every_row_once() {
    let folder = TempDir::new().unwrap();
    let rows = [
        r#"{"prompt":"p","responses":["a","b","c"],"ranks":[0,1,1],"judge":"x"}"#,
        r#"{"prompt":"p","images":["i.png"],"responses":["a","b"],"ranks":[0,1],"judge":"y"}"#,
        r#"{"prompt":"p","responses":["a","b"],"ranks":[1,1],"judge":null}"#,
        r#"{"prompt":"p","responses":["a","a","b"],"ranks":[0,1,2]}"#,
        r#"{"prompt":"p","responses":["a","a"],"ranks":[0,1]}"#,
        r#"{"prompt":"p","responses":["a","b"],"ranks":[0,"x"]}"#,
        r#"{"prompt":"p","responses":["a","b"],"ranks":["x",1]}"#,
        r#"{"prompt":"p""#,
    ];
    fs::write(folder.path().join("rows.jsonl"), rows.join("\n")).unwrap();
    let set = open(folder.path().join("rows.jsonl"));
    let summary = set.summary();
    assert_eq!(
        (summary.rows, summary.comparisons, summary.pairs, summary.without_preference),
        (8, 3, 5, 2)
    );
    assert_eq!((summary.ties, summary.equal_responses), (2, 2));
    assert_eq!((summary.with_images, summary.text_only), (1, 2));
    assert_eq!(summary.unknown_keys, BTreeMap::from([("judge".to_owned(), 2)]));
    assert_eq!(
        summary.to_string(),
        "rows 8: comparisons 3 (with pictures 1, text only 2), pairs 5\n\
         left out: ties 2, equal responses 2, rows that prefer nothing 2, bad rows 3\n  \
         2 x `ranks[]` is not a number\n  1 x not valid JSON\n\
         keys that are not read: `judge` (2)\n"
    );
    assert_eq!(summary.examples.len(), 3);
    assert_eq!(
        summary.rows,
        summary.comparisons + summary.without_preference + summary.num_bad_rows()
    );
}
