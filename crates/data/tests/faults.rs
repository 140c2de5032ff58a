//! The sentence that a user reads for every kind of bad row and bad data set.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use data::{Dataset, DatasetOptions, RowFault};
use tempfile::TempDir;

/// A row that makes the format of its file plain, and no fault of its own.
const GOOD_PAIR: &str = r#"{"prompt":"p","chosen":"a","rejected":"b"}"#;

fn open(folder: &Path) -> Result<Dataset, String> {
    let options = DatasetOptions::default();
    let opened = Dataset::open(&[folder.join("rows.jsonl")], &options);
    opened.map_err(|error| without_folder(&error, folder))
}

fn without_folder(error: &impl ToString, folder: &Path) -> String {
    error.to_string().replace(&folder.display().to_string(), "data")
}

/// What is said of the second row of a file.
fn refusal_after(good: &str, bad: &str) -> String {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("rows.jsonl"), format!("{good}\n{bad}\n")).unwrap();
    let set = open(folder.path()).unwrap();
    set.read(0).unwrap();
    let error = without_folder(&set.read(1).unwrap_err(), folder.path());
    error.strip_prefix("`data/rows.jsonl`, line 2: ").unwrap().to_owned()
}

fn refusal(bad: &str) -> String {
    refusal_after(GOOD_PAIR, bad)
}

fn opening(name: &str, content: &str) -> String {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(name), content).unwrap();
    let opened = Dataset::open(&[folder.path().join(name)], &DatasetOptions::default());
    without_folder(&opened.unwrap_err(), folder.path())
}

#[test]
fn data_sets_that_cannot_be_opened_say_why() {
    let options = DatasetOptions::default();
    let none: [&str; 0] = [];
    assert_eq!(
        Dataset::open(&none, &options).unwrap_err().to_string(),
        "no data file is given; name at least one file or folder"
    );
    assert_eq!(
        Dataset::open(&["gone.jsonl"], &options).unwrap_err().to_string(),
        "`gone.jsonl` does not exist; check the path"
    );
    let folder = TempDir::new().unwrap();
    let error = Dataset::open(&[folder.path()], &options).unwrap_err();
    assert_eq!(
        without_folder(&error, folder.path()),
        "`data` holds no data file; name the folder that has `.jsonl`, `.json`, `.parquet`, `.tsv` or `.csv` files in it"
    );
    assert_eq!(
        opening("rows.txt", "a,b"),
        "`data/rows.txt` is no data file; use `.jsonl`, `.ndjson`, `.json`, `.parquet`, `.tsv` or `.csv`"
    );
    assert_eq!(
        opening("rows.jsonl", "\n\n"),
        "`data/rows.jsonl` has no rows; take it out of the data"
    );
    assert_eq!(opening("rows.json", "[]"), "`data/rows.json` has no rows; take it out of the data");
    assert_eq!(
        opening("rows.json", "[{}"),
        "`data/rows.json` is not a JSON list: it does not end, at byte 2"
    );
    assert_eq!(
        opening("rows.jsonl", "{\"prompt\":\"p\",\"answer\":\"a\"}"),
        "`data/rows.jsonl` follows no known format: the keys of its line 1 are `prompt`, `answer`; \
         use `prompt`, `chosen` and `rejected`, or one of the published schemas"
    );
    assert_eq!(
        opening("rows.json", "[{}]"),
        "`data/rows.json` follows no known format: the keys of its row 1 are none; \
         use `prompt`, `chosen` and `rejected`, or one of the published schemas"
    );
    assert_eq!(
        opening("rows.jsonl", "nothing"),
        "`data/rows.jsonl` has no row that could be read; its line 1: column 2: expected ident"
    );
    assert!(
        opening("rows.parquet", "x").starts_with("`data/rows.parquet` cannot be read as Parquet: ")
    );
}

#[test]
fn a_bad_first_row_does_not_hide_the_format() {
    let folder = TempDir::new().unwrap();
    let rows = format!("{{\"prompt\":\n[1]\n{{\"prompt\":\"p\",\"chosen\":\"a\"}}\n{GOOD_PAIR}\n");
    fs::write(folder.path().join("rows.jsonl"), rows).unwrap();
    let set = open(folder.path()).unwrap();
    let said: Vec<String> = set
        .rows()
        .map(|row| row.map_or_else(|error| error.fault.to_string(), |comparison| comparison.id))
        .collect();
    assert_eq!(
        said,
        [
            "column 10: EOF while parsing a value",
            "a row is an object, but this one is a list",
            "`rejected` is missing",
            "rows:4"
        ]
    );
}

#[test]
fn an_error_names_file_row_and_id() {
    let folder = TempDir::new().unwrap();
    let rows = format!("{GOOD_PAIR}\n\n{{\"id\":\"x\",\"prompt\":\"p\",\"chosen\":\"a\"}}\n");
    fs::write(folder.path().join("rows.jsonl"), rows).unwrap();
    let error = open(folder.path()).unwrap().read(1).unwrap_err();
    assert_eq!(
        without_folder(&error, folder.path()),
        "`data/rows.jsonl`, line 3: `rejected` is missing"
    );
    assert_eq!(error.id.as_deref(), Some("x"));
    assert_eq!(error.fault, RowFault::Missing { key: "rejected".to_owned() });
}

#[test]
fn missing_and_mistyped_keys_are_named() {
    assert_eq!(refusal(r#"{"chosen":"a","rejected":"b"}"#), "`prompt` is missing");
    assert_eq!(refusal(r#"{"prompt":"p","chosen":null,"rejected":"b"}"#), "`chosen` is missing");
    assert_eq!(
        refusal(r#"{"prompt":5,"chosen":"a","rejected":"b"}"#),
        "`prompt` is a whole number, but must be a text or a list of messages"
    );
    assert_eq!(
        refusal(r#"{"prompt":["p"],"chosen":"a","rejected":"b"}"#),
        "`prompt[0]` is a text, but must be a message"
    );
    assert_eq!(
        refusal(r#"{"prompt":[{"role":"user"}],"chosen":"a","rejected":"b"}"#),
        "`prompt[0].content` is missing"
    );
    assert_eq!(
        refusal(r#"{"prompt":[{"role":"user","content":5}],"chosen":"a","rejected":"b"}"#),
        "`prompt[0].content` is a whole number, but must be a text or a list of parts"
    );
    assert_eq!(
        refusal(r#"{"prompt":[{"role":"tool","content":"p"}],"chosen":"a","rejected":"b"}"#),
        "`prompt[0].role` is `tool`; use `system`, `user` or `assistant` (or `human`, `gpt` or `bot`)"
    );
    assert_eq!(
        refusal(r#"{"prompt":[{"type":"audio"}],"chosen":"a","rejected":"b"}"#),
        "`prompt[0].type` is `audio`; use `text`, `image` or `image_url`"
    );
    assert_eq!(
        refusal(r#"{"prompt":[{"type":"text"}],"chosen":"a","rejected":"b"}"#),
        "`prompt[0].text` is missing"
    );
    assert_eq!(
        refusal(r#"{"prompt":[{"type":"text","text":"p"},5],"chosen":"a","rejected":"b"}"#),
        "`prompt[1]` is a whole number, but must be a part with a `type`"
    );
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let with =
        |field: &str| refusal(&format!(r#"{{"prompt":"p","chosen":"a","rejected":"b",{field}}}"#));
    assert_eq!(with(r#""margin":"much""#), "`margin` is a text, but must be a number");
    assert_eq!(
        with(r#""margin":1e39"#),
        format!("`margin` is `1{}`; give a finite number", "0".repeat(39))
    );
    assert_eq!(
        with(r#""soft_label":1.5"#),
        "`soft_label` is `1.5`; give a probability from 0 to 1"
    );
}

#[test]
fn prompts_and_responses_end_with_the_right_speaker() {
    assert_eq!(
        refusal(r#"{"prompt":[],"chosen":"a","rejected":"b"}"#),
        "`prompt` is empty; give at least one message from `user`"
    );
    assert_eq!(
        refusal(r#"{"prompt":[{"role":"assistant","content":"x"}],"chosen":"a","rejected":"b"}"#),
        "the last message of `prompt` is from `assistant`; put the answers into the responses"
    );
    assert_eq!(
        refusal(r#"{"prompt":"p","chosen":[{"role":"user","content":"x"}],"rejected":"b"}"#),
        "the last message of `chosen` is from `user`; a response ends with `assistant`"
    );
    assert_eq!(
        refusal(r#"{"prompt":"p","chosen":"a","rejected":""}"#),
        "`rejected` is empty; a reward needs a response"
    );
    assert_eq!(
        refusal(r#"{"prompt":"p","chosen":[],"rejected":"b"}"#),
        "`chosen` is empty; a reward needs a response"
    );
}

#[test]
fn pictures_without_a_clear_place_are_refused() {
    assert_eq!(
        refusal(r#"{"images":["a"],"prompt":"<image><image>","chosen":"a","rejected":"b"}"#),
        "the number of image placeholders is 2, but the number of images given is 1; make them equal"
    );
    assert_eq!(
        refusal(
            r#"{"images":["a"],"prompt":"p","chosen":[{"type":"image"}],"rejected":[{"type":"image"},{"type":"image"}]}"#
        ),
        "the number of image placeholders is 3, but the number of images given is 1; make them equal"
    );
    assert_eq!(
        refusal(
            r#"{"images":["a","b","c","d"],"prompt":"<image>","chosen":"<image>","rejected":"<image>"}"#
        ),
        "the number of image placeholders is 3, but the number of images given is 4; make them equal"
    );
    assert_eq!(
        refusal(r#"{"images":["https://x.org/a.png"],"prompt":"p","chosen":"a","rejected":"b"}"#),
        "`https://x.org/a.png` is on the network, and nothing is downloaded; save the file and give its path, or give a data: URL"
    );
    assert_eq!(
        refusal(r#"{"images":[true],"prompt":"p","chosen":"a","rejected":"b"}"#),
        "`images[0]` is not a picture: it is a truth value; give a path, a data: URL, base64, or `bytes` and `path`"
    );
    assert_eq!(
        refusal(r#"{"videos":["a.mp4"],"prompt":"p","chosen":"a","rejected":"b"}"#),
        "`videos` is given, but only pictures can be trained on; leave the row out"
    );
}

#[test]
fn ties_and_equal_responses_are_reported_and_never_preferred() {
    assert_eq!(
        refusal(r#"{"prompt":"p","chosen":"a","rejected":"a"}"#),
        "the row prefers no response: its responses are equal"
    );
    let ranked = r#"{"prompt":"p","responses":["a","b"],"ranks":[0,1]}"#;
    assert_eq!(
        refusal_after(ranked, r#"{"prompt":"p","responses":["a","b","c"],"scores":[2,2,2]}"#),
        "the row prefers no response: its responses are tied"
    );
    assert_eq!(
        refusal_after(ranked, r#"{"prompt":"p","responses":["a","b","a"],"ranks":[0,0,0]}"#),
        "the row prefers no response: its responses are tied or equal"
    );
    let pictures = r#"{"images":["data:;base64,aGk=","data:;base64,aGk="],"prompt":"p","chosen":"<image>","rejected":"<image>"}"#;
    assert_eq!(refusal(pictures), "the row prefers no response: its responses are equal");
}

#[test]
fn rankings_that_are_unclear_are_refused() {
    let ranked = r#"{"prompt":"p","responses":["a","b"],"ranks":[0,1]}"#;
    let refusal = |bad| refusal_after(ranked, bad);
    assert_eq!(
        refusal(r#"{"prompt":"p","responses":["a","b","c"],"ranks":[0,1,2],"margin":1}"#),
        "`margin` is given for 3 responses, but only says something about 2; leave it out"
    );
    assert_eq!(
        refusal(r#"{"prompt":"p","responses":["a","b"],"ranks":[0,1],"soft_label":2}"#),
        "`soft_label` is `2`; give a probability from 0 to 1"
    );
    assert_eq!(
        refusal(r#"{"prompt":[],"responses":["a","b"],"ranks":[0,1]}"#),
        "`prompt` is empty; give at least one message from `user`"
    );
    assert_eq!(refusal(r#"{"prompt":"p","responses":["a","b"]}"#), "`ranks` is missing");
    assert_eq!(
        refusal(r#"{"prompt":"p","responses":["a"],"ranks":[0]}"#),
        "`responses` has 1 entries; a comparison needs at least 2"
    );
    assert_eq!(
        refusal(r#"{"prompt":"p","responses":["a","b"],"ranks":[0]}"#),
        "`ranks` has 1 entries for 2 responses; make them equal"
    );
    assert_eq!(
        refusal(r#"{"prompt":"p","responses":["a","b"],"scores":[0,"x"]}"#),
        "`scores[1]` is a text, but must be a number"
    );
    assert_eq!(
        refusal(r#"{"prompt":"p","responses":["a","b"],"ranks":[1,0],"scores":[2,1]}"#),
        "response 1 has a better rank than response 0 but a lower score; ranks begin at the best, scores end there"
    );
}

#[test]
fn every_schema_names_its_own_keys() {
    let cases = [
        (
            r#"{"context":"p","completions":[{"rank":0,"completion":"a"},{"rank":1,"completion":"b"}]}"#,
            r#"{"context":"p","completions":[{"rank":0,"completion":"a"},{"completion":"b"}]}"#,
            "`completions[1].rank` is missing",
        ),
        (
            r#"{"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"a"}],"rejected_response":"b"}"#,
            r#"{"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"a"}]}"#,
            "`rejected_response` is missing",
        ),
        (
            r#"{"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"a"}],"rejected_response":"b"}"#,
            r#"{"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"a"}],"rejected_messages":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}"#,
            "`messages` and `rejected_messages` have no common beginning; it is what they answer",
        ),
        (
            r#"{"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"a"}],"rejected_response":"b"}"#,
            r#"{"messages":[{"role":"user","content":"p"}],"rejected_response":"b"}"#,
            "the last message of `messages` is from `user`; a response ends with `assistant`",
        ),
        (
            r#"{"instruction":"p","chosen":"a","rejected":"b"}"#,
            r#"{"instruction":"p","history":[["x"]],"chosen":"a","rejected":"b"}"#,
            "`history[0]` is a list of another length, but must be a list of a question and an answer",
        ),
        (
            r#"{"conversations":[{"from":"human","value":"p"}],"chosen":{"from":"gpt","value":"a"},"rejected":{"from":"gpt","value":"b"}}"#,
            r#"{"conversations":[{"from":"observation","value":"p"}],"chosen":{"from":"gpt","value":"a"},"rejected":{"from":"gpt","value":"b"}}"#,
            "`conversations[0].from` is `observation`; use `system`, `user` or `assistant` (or `human`, `gpt` or `bot`)",
        ),
        (
            r#"{"chosen":"a b","rejected":"a c"}"#,
            r#"{"chosen":"b","rejected":"c"}"#,
            "`chosen` and `rejected` have no common beginning; it is what they answer",
        ),
        (
            r#"{"chosen":"a b","rejected":"a c"}"#,
            r#"{"chosen":"b","rejected":["c"]}"#,
            "`rejected` is a list, but must be a text like `chosen`",
        ),
    ];
    for (good, bad, sentence) in cases {
        assert_eq!(refusal_after(good, bad), sentence);
    }
}
