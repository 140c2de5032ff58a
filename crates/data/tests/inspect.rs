//! What is said of a path that nobody has described.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod shown;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use data::DataError;
use data::inspect::{InspectOptions, Inspection, inspect};
use data::sources::Source;
use shown::fixture;
use tempfile::TempDir;

fn inspected(path: &Path) -> Inspection {
    inspect(path, &InspectOptions::default()).unwrap()
}

fn names(inspection: &Inspection) -> Vec<&str> {
    inspection.candidates.iter().map(|candidate| candidate.name).collect()
}

const QUESTION: &str = "What is the animal in this picture doing, and why would it do that?";

/// A folder with rows of every kind.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("there.png"), "x").unwrap();
    let rows = [
        format!(
            r#"{{"prompt":"{QUESTION}","images":["there.png"],"chosen":"It sleeps.","rejected":"<p>No</p>","margin":0.3}}"#
        ),
        format!(
            r#"{{"prompt":"{QUESTION}","images":["there.png","gone.png"],"chosen":"a","rejected":"It jumps.","margin":3}}"#
        ),
        r#"{"prompt":"42","chosen":"a","rejected":"b","extra":null}"#.to_owned(),
        r#"{"prompt":"42","chosen":"a","rejected":"a"}"#.to_owned(),
        r#"{"prompt":"42","chosen":"a"}"#.to_owned(),
        r#"{"prompt":7,"chosen":"a","rejected":"b"}"#.to_owned(),
        "{".to_owned(),
    ];
    fs::write(folder.path().join("rows.jsonl"), rows.join("\n")).unwrap();
    folder
}

#[test]
fn every_row_is_counted_once_and_bad_ones_by_their_reason() {
    let folder = folder();
    let inspection = inspected(folder.path());
    assert_eq!(names(&inspection), ["preferences"]);
    assert_eq!(inspection.read_as, "preferences");
    let counts = &inspection.counts;
    assert_eq!((counts.rows, counts.comparisons, counts.without_preference), (7, 3, 1));
    // Without `rejected`, a row follows no format.
    let reasons =
        ["no known format", "`prompt` is not a text or a list of messages", "not valid JSON"];
    assert_eq!(counts.bad_rows, reasons.map(|reason| (reason.to_owned(), 1)).into());
    assert_eq!(counts.examples.len(), 3);
}

#[test]
fn fields_have_kinds_and_shares() {
    let folder = folder();
    let fields = inspected(folder.path()).fields;
    assert_eq!(fields.rows, 6);
    assert_eq!(fields.keys["prompt"].rows, 6);
    assert_eq!(fields.keys["prompt"].kinds, BTreeMap::from([("a text", 5), ("a whole number", 1)]));
    assert_eq!(fields.keys["margin"].rows, 2);
    assert!(!fields.keys.contains_key("extra"), "a null is as good as an absent key");
}

#[test]
fn pictures_are_counted_and_missing_ones_named() {
    let folder = folder();
    let pictures = inspected(folder.path()).pictures;
    assert_eq!((pictures.none, pictures.one, pictures.several), (1, 1, 1));
    assert_eq!((pictures.in_rows, pictures.files, pictures.missing_files), (0, 3, 1));
    assert!(pictures.missing_examples[0].ends_with("gone.png"));
    let options = InspectOptions { image_dir: Some("nowhere".into()), ..Default::default() };
    let pictures = inspect(folder.path(), &options).unwrap().pictures;
    assert_eq!((pictures.files, pictures.missing_files), (3, 3));
}

#[test]
fn lengths_margins_languages_and_html_are_those_of_the_comparisons() {
    let folder = folder();
    let inspection = inspected(folder.path());
    assert_eq!(inspection.languages, BTreeMap::from([("English", 2), ("not certain", 1)]));
    assert_eq!(inspection.prompt_chars.count, 3);
    assert_eq!(inspection.prompt_chars.max, Some(QUESTION.len() as f64));
    assert_eq!(inspection.chosen_chars.max, Some(10.0));
    assert_eq!(inspection.rejected_chars.max, Some(9.0));
    assert_eq!((inspection.margins.count, inspection.margins.max), (2, Some(3.0)));
    assert_eq!((inspection.responses, inspection.responses_with_html), (6, 1));
    assert_eq!((inspection.longer_preferred, inspection.shorter_preferred), (1, 1));
}

#[test]
fn published_sets_are_proposed_and_their_scores_give_margins() {
    let path = fixture("sources/ultrafeedback.jsonl");
    let inspection = inspected(&path);
    assert_eq!(
        (inspection.read_as, inspection.candidates[0].recognized_rows),
        ("ultrafeedback", 4)
    );
    // The first row has 5 pairs of different scores, the third one.
    assert_eq!((inspection.margins.count, inspection.margins.max), (6, Some(3.75)));
    let helpsteer = inspected(&fixture("sources/helpsteer2.jsonl"));
    assert_eq!((helpsteer.read_as, helpsteer.counts.rows), ("helpsteer2", 7));
    let pku = fixture("sources/pku_saferlhf.jsonl");
    assert_eq!(names(&inspected(&pku)), ["pku-saferlhf", "pku-saferlhf-safety"]);
    let options =
        InspectOptions { source: Source::named("pku-saferlhf-safety"), ..Default::default() };
    assert_eq!(inspect(&pku, &options).unwrap().read_as, "pku-saferlhf-safety");
}

#[test]
fn keys_that_no_source_knows_are_shown_all_the_same() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("rows.jsonl"), "{\"a\":1}\n{\"a\":2,\"b\":[]}\n").unwrap();
    let inspection = inspected(folder.path());
    assert_eq!(names(&inspection), [""; 0]);
    assert_eq!(inspection.fields.keys.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(inspection.counts.bad_rows, BTreeMap::from([("no known format".to_owned(), 2)]));
}

#[test]
fn a_broken_file_costs_only_itself() {
    let folder = folder();
    fs::write(folder.path().join("broken.parquet"), "x").unwrap();
    let inspection = inspected(folder.path());
    assert_eq!((inspection.files, inspection.counts.rows), (1, 7));
    assert!(inspection.unreadable_files[0].contains("broken.parquet"));
    fs::remove_file(folder.path().join("rows.jsonl")).unwrap();
    let error = inspect(folder.path(), &InspectOptions::default()).unwrap_err();
    assert!(matches!(error, DataError::Parquet { .. }), "{error}");
    let error = inspect(Path::new("gone"), &InspectOptions::default()).unwrap_err();
    assert!(matches!(error, DataError::Missing { .. }), "{error}");
}

#[test]
fn it_is_shown_as_text_and_written_as_json() {
    let folder = folder();
    let inspection = inspected(folder.path());
    let text = inspection.to_string();
    for line in [
        "read as: preferences\n",
        "format of 5 rows: pairs with a text as prompt (TRL, explicit prompt): `prompt`, `chosen`, `rejected`\n",
        "rows 7: comparisons 3 (with pictures 2, text only 1), pairs 3\n",
        "  prompt: a text, a whole number (100.0 %)\n",
        "  English: 2 (66.7 %)\n",
        "pictures: none in 1 comparisons, one in 1, several in 1; 0 in the rows, 3 files, 0 videos\n",
        "margins: 0.3 to 3, in the mean 1.65\n",
        "            0.2 to 0.5         1 ##############################\n",
        "responses with HTML: 1 of 6 (16.7 %)\n",
        "the longer response is preferred in 1 of 2 pairs of unequal length (50.0 %)\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let json = serde_json::to_value(&inspection).unwrap();
    assert_eq!(json["counts"]["rows"], 7);
    assert_eq!(json["margins"]["bins"][0]["count"], 1);
    assert!(json["counts"]["examples"][0].as_str().unwrap().contains("rows.jsonl"));
}

#[test]
fn the_same_files_give_the_same_words() {
    let folder = folder();
    let twice = [inspected(folder.path()), inspected(folder.path())];
    assert_eq!(twice[0], twice[1]);
    assert_eq!(twice[0].to_string(), twice[1].to_string());
}
