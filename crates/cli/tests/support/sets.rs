//! Preference sets of our own in four published schemas, with planted faults, duplicates and overlaps, each known by its id.
//!
//! Texts and pictures are made up. What curation must do with them stands in the tests.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use crate::support::{Workplace, lines};
use crate::world::{Random, copy, jpeg, picture, png};

/// A pair of answers to a question.
pub(crate) struct Pair {
    pub(crate) question: String,
    pub(crate) chosen: String,
    pub(crate) rejected: String,
}

/// The pair of a number: long enough to be known by its words.
pub(crate) fn pair(number: u64) -> Pair {
    let mut random = Random::new(number);
    let [question, chosen, rejected] = [14, 40, 34].map(|words| random.text(words));
    Pair { question, chosen, rejected }
}

/// A row in the plain form of pairs.
pub(crate) fn row(id: &str, pair: &Pair) -> Value {
    json!({"id": id, "prompt": pair.question, "chosen": pair.chosen, "rejected": pair.rejected})
}

fn with_picture(mut row: Value, name: &str) -> Value {
    row["images"] = json!([format!("pictures/{name}")]);
    row
}

/// Source, beginning of the id, stage and reason of every planted record; an empty id is that of a row that has none.
pub(crate) const PLANTED: [(&str, &str, &str, &str); 19] = [
    ("pairs", "", "read", "not valid JSON"),
    ("pairs", "mistyped", "read", "`prompt`"),
    ("pairs", "lost", "pictures", "picture"),
    ("pairs", "short", "filter", "length"),
    ("pairs", "same", "duplicates", "the same as another record"),
    ("pairs", "near", "duplicates", "nearly the same as another record"),
    ("pairs", "torn-0", "duplicates", "contradicts another record"),
    ("pairs", "torn-1", "duplicates", "contradicts another record"),
    ("pairs", "mathverse_22", "decontamination", "id of vl-rewardbench"),
    ("pairs", "seen", "decontamination", "picture of vl-rewardbench"),
    ("bytes", "cross", "duplicates", "the same as another record"),
    ("bytes", "resized", "duplicates", "nearly the same as another record"),
    ("bytes", "asked", "decontamination", "picture of vl-rewardbench"),
    ("ranked", "asked#0", "decontamination", "question of preferences"),
    ("ranked", "asked#1", "decontamination", "question of preferences"),
    ("ranked", "asked#2", "decontamination", "question of preferences"),
    ("rated", "ratings:16", "decontamination", "answers of preferences"),
    ("rated", "", "read", "`response`"),
    ("rated", "", "read", "`helpfulness`"),
];

/// Clean records of each source, after expansion.
pub(crate) const CLEAN: [(&str, u64); 4] =
    [("pairs", 24), ("bytes", 12), ("ranked", 18), ("rated", 6)];

/// Rows of each source.
pub(crate) const ROWS: [(&str, u64); 4] =
    [("pairs", 34), ("bytes", 15), ("ranked", 7), ("rated", 17)];

/// A recipe over all of it, with every stage.
pub(crate) const RECIPE: &str = "\
seed = 3

[[source]]
name = 'pairs'
path = ['pairs/pairs.jsonl']
max_rows = 22

[[source]]
name = 'bytes'
format = 'rlaif-v'
path = ['bytes']
license = 'of our own'

[[source]]
name = 'ranked'
path = ['ranked.jsonl']
expand = 'all_pairs'
max_per_prompt = 2

[[source]]
name = 'rated'
format = 'helpsteer2'
path = ['ratings.jsonl']

[[filter]]
name = 'length'
keep = 'chars(chosen) >= 20'

[duplicates]
near = 0.7

[[benchmark]]
name = 'vl-rewardbench'
path = ['seen/vl.tsv']

[[benchmark]]
name = 'preferences'
path = ['seen/pairs.jsonl']

[split]
validation_fraction = 0.2

[output]
rows_per_shard = 16
";

/// Writes all sources, both benchmarks and the recipe, `curate.toml`.
pub(crate) fn write_all(place: &Workplace) {
    for folder in ["pairs/pictures", "bytes", "seen"] {
        fs::create_dir_all(place.path(folder)).unwrap();
    }
    place.write("curate.toml", RECIPE);
    pairs(place);
    bytes(place);
    ranked(place);
    rated(place);
    benchmarks(place);
}

fn pairs(place: &Workplace) {
    let mut rows = Vec::new();
    for number in 0..24 {
        let name = format!("{number:02}.png");
        place.write(&format!("pairs/pictures/{name}"), png(&picture(number)));
        rows.push(with_picture(row(&format!("pair-{number:02}"), &pair(number)), &name));
    }
    let mut random = Random::new(77);
    let mut same = pair(0);
    same.chosen = random.respaced(&same.chosen);
    rows.push(with_picture(row("same", &same), "00.png"));
    let mut near = pair(1);
    near.chosen = random.changed(&near.chosen, 1);
    rows.push(with_picture(row("near", &near), "01.png"));
    let mut torn = pair(300);
    rows.push(row("torn-0", &torn));
    std::mem::swap(&mut torn.chosen, &mut torn.rejected);
    rows.push(row("torn-1", &torn));
    rows.push(json!({"id": "mistyped", "prompt": 3, "chosen": "One.", "rejected": "Two."}));
    rows.push(with_picture(row("lost", &pair(301)), "none.png"));
    rows.push(row("short", &Pair { chosen: "No.".to_owned(), ..pair(302) }));
    rows.push(row("mathverse_22", &pair(303)));
    place.write("pairs/pictures/seen.jpg", copy(&picture(901), &mut random));
    rows.push(with_picture(row("seen", &pair(304)), "seen.jpg"));
    let text = lines(&rows);
    let (first, rest) = text.split_at(text.find('\n').unwrap() + 1);
    place.write("pairs/pairs.jsonl", format!("{first}{{\"prompt\": \n{rest}"));
}

/// A row of RLAIF-V with the bytes of its picture.
pub(crate) type Pictured = (String, Pair, Vec<u8>);

/// The clean rows of the table.
pub(crate) fn pictured() -> Vec<Pictured> {
    let row = |number| (format!("byte-{number}"), pair(number), png(&picture(number)));
    (100..112).map(row).collect()
}

fn bytes(place: &Workplace) {
    let mut rows = pictured();
    rows.push(("cross".to_owned(), pair(3), png(&picture(3))));
    rows.push(("resized".to_owned(), pair(2), half(2)));
    let asked = Pair { question: pair(902).question, ..pair(305) };
    rows.push(("asked".to_owned(), asked, png(&picture(902))));
    rlaif_v(&place.path("bytes/rlaif-v.parquet"), &rows, &WriterProperties::builder().build());
}

/// A picture at half its size, recompressed.
fn half(number: u64) -> Vec<u8> {
    let whole = picture(number);
    let (width, height) = (whole.width() / 2, whole.height() / 2);
    jpeg(&image::imageops::thumbnail(&whole, width, height), 85)
}

/// Writes a table in the schema of RLAIF-V.
pub(crate) fn rlaif_v(path: &Path, rows: &[Pictured], properties: &WriterProperties) {
    let column = |value: &dyn Fn(&Pictured) -> String| -> ArrayRef {
        Arc::new(StringArray::from(rows.iter().map(value).collect::<Vec<_>>()))
    };
    let files: ArrayRef =
        Arc::new(BinaryArray::from(rows.iter().map(|row| &row.2[..]).collect::<Vec<_>>()));
    let image: ArrayRef = Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("bytes", DataType::Binary, false)), files),
        (Arc::new(Field::new("path", DataType::Utf8, false)), column(&|row| row.0.clone())),
    ]));
    let batch = RecordBatch::try_from_iter(vec![
        ("ds_name", column(&|_| "made-up".to_owned())),
        ("image", image),
        ("question", column(&|row| row.1.question.clone())),
        ("chosen", column(&|row| row.1.chosen.clone())),
        ("rejected", column(&|row| row.1.rejected.clone())),
        ("origin_dataset", column(&|_| "made-up".to_owned())),
        ("origin_split", column(&|_| "train".to_owned())),
        ("idx", column(&|row| row.0.clone())),
    ])
    .unwrap();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.clone())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Pages of four rows without compression, so that one of them can be damaged.
pub(crate) fn small_pages() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(4)
        .set_write_batch_size(4)
        .build()
}

fn ranked(place: &Workplace) {
    let row = |id: &str, question: &str, number: u64| {
        let mut random = Random::new(number);
        let answers: Vec<String> = (0..3).map(|_| random.text(36)).collect();
        json!({"id": id, "prompt": question, "responses": answers, "ranks": [2, 1, 3]})
    };
    let mut rows: Vec<Value> = (200..206)
        .map(|number| row(&format!("ranking-{number}"), &pair(number).question, number))
        .collect();
    rows.push(row("asked", &long_question(), 306));
    place.write("ranked.jsonl", lines(&rows));
}

/// The question of a row of `preferences`.
fn long_question() -> String {
    Random::new(910).text(30)
}

fn rated(place: &Workplace) {
    let row = |question: &str, answer: &str, helpfulness: Value| {
        json!({
            "prompt": question, "response": answer, "helpfulness": helpfulness, "correctness": 3,
            "coherence": 3, "complexity": 1, "verbosity": 1,
        })
    };
    let both = |pair: &Pair| {
        [row(&pair.question, &pair.chosen, json!(4)), row(&pair.question, &pair.rejected, json!(1))]
    };
    let mut rows: Vec<Value> = (220..226).flat_map(|number| both(&pair(number))).collect();
    rows.push(row("Who is alone here?", "This answer is, as nobody gave another.", json!(2)));
    // Rows 14 and 15 belong together, and the second is at fault.
    let [first, mut second] = both(&pair(307));
    second["helpfulness"] = json!("very");
    rows.extend([first, second]);
    let answers = pair(911);
    rows.extend(both(&Pair { question: pair(308).question, ..answers }));
    place.write("ratings.jsonl", lines(&rows));
}

fn benchmarks(place: &Workplace) {
    let mut rows = vec!["index\tid\tquery\tresponse\timage\thuman_ranking\n".to_owned()];
    for (index, id) in ["mathverse_22", "RLAIF-V-14", "wildvision-battle-5"].iter().enumerate() {
        let number = 900 + index as u64;
        let Pair { question, chosen, rejected } = pair(number);
        let image = STANDARD.encode(png(&picture(number)));
        rows.push(format!(
            "{index}\t{id}\t{question}\t['{chosen}', '{rejected}']\t{image}\t[0, 1]\n"
        ));
    }
    place.write("seen/vl.tsv", rows.concat());
    let mut asked = row("asked", &pair(912));
    asked["prompt"] = long_question().into();
    // The same answers in the other order.
    let Pair { question, chosen, rejected } = pair(911);
    let answered = Pair { question, chosen: rejected, rejected: chosen };
    place.write("seen/pairs.jsonl", lines(&[asked, row("answered", &answered)]));
}
