//! Published sets about pictures, in their true schemas, become the comparisons that they mean.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod shown;
mod tables;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::Int64Array;
use arrow_array::builder::{ListBuilder, StringBuilder};
use data::raw::RowFile;
use data::sources::{Source, SourceFile, SourceRows, Unit};
use prompt::{ImageSource, Part};
use shown::{fixture, shown};
use tables::{pictures, texts, write_table};
use tempfile::TempDir;

/// A small PNG file, in base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn files(name: &str, path: &Path) -> Vec<SourceFile> {
    (Source::named(name).unwrap().files)(path).unwrap()
}

/// All units of all files.
fn units_of(name: &str, path: &Path) -> Vec<Unit> {
    let source = Source::named(name).unwrap();
    let units = |file: &SourceFile| {
        let rows = SourceRows::open(source, file).unwrap();
        rows.units(0..rows.len()).collect::<Vec<_>>()
    };
    files(name, path).iter().flat_map(units).collect()
}

fn units(name: &str, file: &str) -> Vec<Unit> {
    units_of(name, &fixture(&format!("sources/{file}")))
}

/// Compares prompt and responses with what they should be; pictures go by the names of their files.
fn assert_reads(unit: &Unit, prompt: &[&str], responses: &[&str]) {
    let without_folders = |text: String| {
        ["mmpr/images/shapes/", "mm_rlhf/", ""].iter().fold(text, |text, folder| {
            text.replace(&format!("tests/fixtures/sources/{folder}"), "")
        })
    };
    let (found_prompt, found) = shown(unit.comparison.as_ref().unwrap());
    let found_prompt: Vec<String> = found_prompt.into_iter().map(without_folders).collect();
    assert_eq!(found_prompt, prompt);
    let found: Vec<String> = found.into_iter().flatten().map(without_folders).collect();
    let expected: Vec<String> = responses.iter().map(|text| format!("assistant: {text}")).collect();
    assert_eq!(found, expected);
}

fn fault(unit: &Unit) -> String {
    unit.comparison.as_ref().unwrap_err().fault.to_string()
}

fn reason(unit: &Unit) -> String {
    unit.comparison.as_ref().unwrap_err().fault.reason()
}

fn ranks(unit: &Unit) -> &[u32] {
    &unit.comparison.as_ref().unwrap().preference.ranks
}

/// Names of the comparisons; rows at fault are left out.
fn ids(units: &[Unit]) -> Vec<&str> {
    let comparisons = units.iter().filter_map(|unit| unit.comparison.as_ref().ok());
    comparisons.map(|comparison| comparison.id.as_str()).collect()
}

#[test]
fn every_fixture_is_proposed_for_its_own_source_first() {
    let files = [
        ("ixc-reward", "ixc_reward.json"),
        ("llava-critic-pairwise", "llava_critic_pairwise.jsonl"),
        ("mm-rlhf", "mm_rlhf/dpo_pairs.jsonl"),
        ("mm-rlhf", "mm_rlhf/data.jsonl"),
        ("mmif", "mmif.json"),
        ("mmpr", "mmpr/annotations/shapes.jsonl"),
        ("omnialign-v-dpo", "omnialign_v_dpo.jsonl"),
        ("povid", "povid.json"),
        ("r1-reward", "r1_reward.jsonl"),
        ("rlhf-v", "rlhf_v.jsonl"),
        ("vlfeedback", "vlfeedback.jsonl"),
    ];
    for (name, file) in files {
        let rows = RowFile::open(&fixture(&format!("sources/{file}"))).unwrap();
        let candidates = Source::candidates(&rows.read(0).unwrap());
        assert_eq!(candidates[0].name, name, "{file}");
    }
}

#[test]
fn the_pair_of_rlhf_v_is_json_in_a_text() {
    let units = units("rlhf-v", "rlhf_v.jsonl");
    assert_reads(&units[0], &["user: [1.jpg]How many cups?"], &["Two cups.", "Three cups."]);
    assert_reads(&units[1], &["user: [1.jpg]Which color?"], &["Blue.", "Red, as <image> shows."]);
    assert_eq!(ids(&units), ["0", "1"]);
    assert_eq!(
        fault(&units[2]),
        "`text` is not valid JSON: EOF while parsing a string, at character 17"
    );
    assert_eq!(units[2].comparison.as_ref().unwrap_err().id.as_deref(), Some("2"));
    assert_eq!(fault(&units[3]), "`chosen` is missing");
}

#[test]
fn rlhf_v_is_read_from_parquet_with_the_bytes_of_its_pictures() {
    let folder = TempDir::new().unwrap();
    let pair = r#"{"question":"How many?","chosen":"Two.","rejected":"Three."}"#;
    write_table(
        &folder.path().join("RLHF-V-Dataset.parquet"),
        vec![
            ("ds_name", texts(&["RLHF-V"; 3])),
            ("image", pictures(vec![Some(b"0"), Some(b"1"), None])),
            ("text", texts(&[pair; 3])),
            ("origin_dataset", texts(&["drawn"; 3])),
            ("idx", Arc::new(Int64Array::from(vec![70, 71, 72]))),
        ],
    );
    let units = units_of("rlhf-v", folder.path());
    assert_eq!(ids(&units), ["70", "71"]);
    let expected = ImageSource::Bytes { label: "image".to_owned(), bytes: b"1".to_vec() };
    let prompt = &units[1].comparison.as_ref().unwrap().prompt;
    assert_eq!(prompt[0].content[0], Part::Image(expected.into()));
    assert_eq!(reason(&units[2]), "not a picture");
}

#[test]
fn mmpr_lists_its_files_with_their_folders_of_pictures() {
    let folder = fixture("sources/mmpr");
    let listed = files("mmpr", &folder);
    let file = |path: &str, image_dir: &str| SourceFile {
        path: folder.join(path),
        image_dir: folder.join(image_dir),
    };
    let expected = [
        file("annotations/shapes.jsonl", "images/shapes"),
        file("annotations/words.jsonl", "images"),
    ];
    assert_eq!(listed, expected);
    assert_eq!(files("mmpr", &folder.join("meta.json")), expected);
    let alone = files("mmpr", &folder.join("annotations/words.jsonl"));
    assert_eq!(alone, [file("annotations/words.jsonl", "annotations")]);
}

#[test]
fn mmpr_puts_a_missing_place_of_a_picture_before_the_question() {
    let units = units("mmpr", "mmpr");
    let answers = ["Three.", "Four."];
    assert_reads(&units[0], &["user: [1.png]\nHow many sides?"], &answers);
    assert_reads(&units[1], &["user: [1.png]\nHow many sides?"], &["Three.", "<image> has four."]);
    let answers = ["No.", "Yes."];
    let placed = "user: Image-1: [1.png]\nImage-2: [2.png]\nAre they alike?";
    assert_reads(&units[2], &[placed], &answers);
    assert_reads(&units[3], &["user: [1.png]\n[2.png]\nAre they alike?"], &answers);
    assert_eq!(reason(&units[4]), "placeholders and pictures differ in number");
    assert_eq!(
        fault(&units[5]),
        "`video` is given, but only pictures can be trained on; leave the row out"
    );
    assert_reads(&units[6], &["user: What is 1 + 1?"], &["2", "3"]);
    assert_eq!(ids(&units), ["shapes:1", "shapes:2", "shapes:3", "shapes:4", "words:1"]);
}

/// What is said of a folder with this `meta.json`, an annotation file and a folder of pictures.
fn listing_fault(meta: &str) -> String {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("meta.json"), meta).unwrap();
    fs::write(folder.path().join("a.jsonl"), "{}").unwrap();
    fs::create_dir(folder.path().join("pictures")).unwrap();
    let error = (Source::named("mmpr").unwrap().files)(folder.path()).unwrap_err();
    error.to_string().replace(&folder.path().display().to_string(), "data")
}

#[test]
fn what_mmpr_lists_and_lacks_is_named() {
    assert_eq!(
        listing_fault(r#"{"shapes":{"root":"pictures","annotation":"gone.jsonl"}}"#),
        "`data/meta.json` lists `data/gone.jsonl` as the `annotation` of `shapes`, which does not exist; \
         unpack it there, or take `shapes` out of the list"
    );
    assert_eq!(
        listing_fault(r#"{"shapes":{"root":"MMPR/gone","annotation":"a.jsonl"}}"#),
        "`data/meta.json` lists `data/MMPR/gone` as the `root` of `shapes`, which does not exist; \
         unpack it there, or take `shapes` out of the list"
    );
    assert_eq!(
        listing_fault(r#"{"shapes":{"annotation":"a.jsonl"}}"#),
        "`data/meta.json` does not list the files of its set: `shapes.root` is missing"
    );
    assert_eq!(
        listing_fault(r#"{"shapes":{"root":"pictures","annotation":["a.jsonl"]}}"#),
        "`data/meta.json` does not list the files of its set: `shapes.annotation` is a list, but must be a text"
    );
    assert_eq!(
        listing_fault("[]"),
        "`data/meta.json` does not list the files of its set: a row is an object, but this one is a list"
    );
    assert_eq!(listing_fault("{}"), "`data/meta.json` has no rows; take it out of the data");
}

#[test]
fn mmif_is_in_the_sharegpt_form() {
    let units = units("mmif", "mmif.json");
    assert_reads(
        &units[0],
        &["user: [1.jpg]Describe it in at most five words."],
        &["A small gray cat.", "There is a cat, and it is small and gray."],
    );
    assert_eq!(reason(&units[1]), "placeholders and pictures differ in number");
    assert_eq!(ids(&units), ["mmif:1"]);
}

#[test]
fn omnialign_shows_the_picture_before_the_prompt_wherever_its_place_is() {
    let units = units("omnialign-v-dpo", "omnialign_v_dpo.jsonl");
    let picture = |unit: &Unit| match &unit.comparison.as_ref().unwrap().prompt[0].content[0] {
        Part::Image(image) => image.name(),
        other => panic!("{other:?} is no picture"),
    };
    assert_eq!(picture(&units[0]), "tests/fixtures/sources/images/1.jpg");
    assert_reads(
        &units[0],
        &["user: [images/1.jpg]\nWhat does the chart show?"],
        &["A rise.", "A fall."],
    );
    assert_reads(
        &units[1],
        &["user: [images/2.jpg]\nAnd this one?"],
        &["A fall.", "I see no <image> here."],
    );
    assert_eq!(reason(&units[2]), "`video` cannot be trained on");
    assert_eq!(ids(&units), ["chart_1", "chart_2"]);
}

#[test]
fn r1_reward_is_taken_out_of_the_prompt_of_a_judge() {
    let units = units("r1-reward", "r1_reward.jsonl");
    let answers = ["A dog.", "A cat in C#.\n\nSee [Response 1]: no."];
    assert_reads(&units[0], &["user: [image]What is it?"], &answers);
    assert_eq!(ranks(&units[0]), [1, 0]);
    let answers = ["So.\n\n[Response 2]: is mine.", "No."];
    assert_reads(&units[1], &["user: Why?\n[image]"], &answers);
    assert_eq!(ranks(&units[1]), [0, 1]);
    assert_eq!(ids(&units), ["r1_reward:1", "r1_reward:2"]);
    assert_eq!(fault(&units[2]), "no second response is found in `message`; leave the row out");
    assert_eq!(reason(&units[2]), "no second response in `message`");
    assert_eq!(
        fault(&units[3]),
        "`answer` is `<answer>3</answer>`; give `<answer>1</answer>` or `<answer>2</answer>`"
    );
    assert_eq!(reason(&units[4]), "`message` is not valid JSON");
    assert_eq!(
        fault(&units[5]),
        "`message[0].content[1].video` is given, but only pictures can be trained on; leave the row out"
    );
}

#[test]
fn r1_reward_is_read_from_parquet_with_pictures_in_base64() {
    let folder = TempDir::new().unwrap();
    let message = r#"[{"role":"user","content":[{"type":"text","text":"Judge.\n# [Question]:\nWhat?\n# [Response 1]:\nA dog.\n# [Response 2]:\nA cat."},{"type":"image","image":"1.jpg"}]}]"#;
    let mut answers = ListBuilder::new(StringBuilder::new());
    answers.append_value([Some("<answer>2</answer>")]);
    answers.append_value([Some("<answer>1</answer>")]);
    write_table(
        &folder.path().join("train.parquet"),
        vec![
            ("question", texts(&["What?"; 2])),
            ("message", texts(&[message; 2])),
            ("answer", Arc::new(answers.finish())),
            ("image", Arc::new(arrow_array::StringArray::from(vec![Some(PNG), None]))),
        ],
    );
    let units = units_of("r1-reward", folder.path());
    assert_eq!((ranks(&units[0]), ranks(&units[1])), (&[1, 0][..], &[0, 1][..]));
    let picture = |unit: &Unit| match &unit.comparison.as_ref().unwrap().prompt[0].content[0] {
        Part::Image(image) => ImageSource::clone(image),
        other => panic!("{other:?} is no picture"),
    };
    let ImageSource::Bytes { bytes, .. } = picture(&units[0]) else { panic!("base64 is content") };
    assert!(bytes.starts_with(b"\x89PNG"));
    assert_eq!(picture(&units[1]), ImageSource::Path(folder.path().join("1.jpg")));
}

#[test]
fn mm_rlhf_reads_the_pairs_of_a_folder_and_not_the_annotations_they_come_from() {
    let units = units("mm-rlhf", "mm_rlhf");
    assert_reads(&units[0], &["user: [short/1.jpg]What is it?"], &["A cat.", "A dog."]);
    assert_reads(&units[1], &["user: [short/1.jpg]What is it?"], &["A cat.", "A <image>."]);
    assert_eq!(reason(&units[2]), "`video` cannot be trained on");
    assert_eq!((ids(&units).as_slice(), units.len()), (&["7_1", "7_1"][..], 3));
}

#[test]
fn mm_rlhf_ranks_begin_at_the_best_and_may_be_tied() {
    let units = units("mm-rlhf", "mm_rlhf/data.jsonl");
    let answers = ["A dog.", "A cat.", "A pet."];
    assert_reads(&units[0], &["user: [short/1.jpg]What is it?"], &answers);
    assert_eq!((ranks(&units[0]), ranks(&units[1])), (&[2, 0, 1][..], &[0, 0, 1][..]));
    assert_eq!(reason(&units[2]), "`video` cannot be trained on");
    assert_eq!(fault(&units[3]), "`rankings` has 3 entries for 2 responses; make them equal");
}

#[test]
fn vlfeedback_leaves_out_answers_with_a_rating_that_is_no_number() {
    let units = units("vlfeedback", "vlfeedback.jsonl");
    assert_reads(&units[0], &["user: [1.jpg]What is it?"], &["A cat.", "A dog.", "It."]);
    let preference = &units[0].comparison.as_ref().unwrap().preference;
    assert_eq!(preference.ranks, [0, 2, 1]);
    let means = [14.0 / 3.0, 7.0 / 3.0, 13.0 / 3.0].map(|mean: f64| mean as f32);
    assert_eq!(preference.scores.as_deref(), Some(&means[..]));
    assert_eq!(
        fault(&units[3]),
        "only 1 of 2 `completions` are rated with numbers alone; a comparison needs at least 2"
    );
}

#[test]
fn vlfeedback_completions_may_be_a_list_or_lists_of_fields() {
    let units = units("vlfeedback", "vlfeedback.jsonl");
    assert_reads(&units[1], &["user: [1.jpg]What is it?"], &["A cat.", "See <image>."]);
    assert_eq!(ids(&units), ["a", "b"]);
    assert_eq!(fault(&units[2]), "the row prefers no response: its responses are tied");
    assert_eq!(
        fault(&units[4]),
        "`completions.annotations` has 1 entries for 2 responses; make them equal"
    );
}

#[test]
fn llava_critic_answers_are_taken_out_of_the_human_turn() {
    let units = units("llava-critic-pairwise", "llava_critic_pairwise.jsonl");
    let asked = ["user: [1.jpg]What is it?"];
    assert_reads(&units[0], &asked, &["A list [1, 2]\nof Response 2: [x]", "A cat [gray]"]);
    for unit in [&units[1], &units[3]] {
        assert_reads(unit, &asked, &["A cat.", "A dog."]);
    }
    assert_reads(&units[4], &asked, &["A dog.", "A cat."]);
    let orders: Vec<&[u32]> = [0, 1, 3, 4].iter().map(|index| ranks(&units[*index])).collect();
    assert_eq!(orders, [[1, 0], [0, 1], [1, 0], [1, 0]]);
    let scores = &units[4].comparison.as_ref().unwrap().preference.scores;
    assert_eq!(scores.as_deref(), Some(&[7.0, 9.0][..]));
    assert_eq!(ids(&units), ["1", "2", "4", "5"]);
}

#[test]
fn llava_critic_ties_and_missing_verdicts_are_faults_of_their_own() {
    let units = units("llava-critic-pairwise", "llava_critic_pairwise.jsonl");
    assert_eq!(reason(&units[2]), "prefers no response: its responses are tied");
    assert_eq!(
        fault(&units[5]),
        "no better response is found in `conversations[1].value`; leave the row out"
    );
    assert_eq!(
        fault(&units[6]),
        "no question with two responses is found in `conversations[0].value`; leave the row out"
    );
}

#[test]
fn povid_divides_whole_conversations_where_they_part() {
    let units = units("povid", "povid.json");
    assert_reads(&units[0], &["user: [000001.jpg]\nWhat is it?"], &["A cat.", "A cat with a hat."]);
    assert_reads(&units[1], &["user: [000002.jpg]What is it?"], &["A dog.", "In <image>: a cat."]);
    assert_eq!(ids(&units), ["000001", "000002"]);
    assert_eq!(
        fault(&units[2]),
        "`conversations` and `rejected_conversations` have no common beginning; it is what they answer"
    );
}

#[test]
fn ixc_pictures_stand_at_marks_of_their_own() {
    let units = units("ixc-reward", "ixc_reward.json");
    assert_reads(
        &units[0],
        &["user: [1.jpg] [2.jpg] Are they alike?"],
        &["No.", "Yes: <ImageHere>."],
    );
    assert_reads(
        &units[1],
        &["user: [1.jpg]Hello", "assistant: Hi.", "user: What is it?"],
        &["A cat.", "A dog."],
    );
    assert_reads(&units[2], &["user: What is 1 + 1?"], &["2", "3"]);
    assert_eq!(reason(&units[3]), "`video` cannot be trained on");
}
