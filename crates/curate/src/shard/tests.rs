//! What is written is read back as the same comparisons, in every way that pictures can stand.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use data::{Comparison, Dataset, DatasetOptions, Preference};
use parquet::file::reader::{FileReader, SerializedFileReader};
use prompt::VideoSource;
use prompt::{ImageSource, Message, Part};
use proptest::prelude::*;

use super::*;
use crate::testing::curated::{comparison, message, said, shard_row, text};

const IMAGE_OUTPUTS: [ImageOutput; 3] =
    [ImageOutput::Files, ImageOutput::Embedded, ImageOutput::References];

/// Files that are pictures by their first bytes.
const PICTURES: [(&str, &[u8]); 4] = [
    ("cat.png", b"\x89PNG cat"),
    ("dog.jpg", b"\xff\xd8\xff dog"),
    ("copy of cat.png", b"\x89PNG cat"),
    ("no picture", b"anything"),
];

fn pictures(folder: &Path) {
    for (name, bytes) in PICTURES {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn write(out: &Path, output: &OutputRecipe, rows: Vec<ShardRow>) -> Vec<ShardFile> {
    let mut writer = ShardWriter::create(out, output, None).unwrap();
    for row in rows {
        writer.push(row).unwrap();
    }
    writer.finish().unwrap().shards
}

fn output(images: ImageOutput) -> OutputRecipe {
    OutputRecipe { images, ..OutputRecipe::default() }
}

fn read(out: &Path) -> Vec<Comparison> {
    let splits = [Split::Train, Split::Validation].map(|split| out.join(split.name()));
    let written: Vec<_> = splits.into_iter().filter(|folder| folder.exists()).collect();
    let set = Dataset::open(&written, &DatasetOptions::default()).unwrap();
    set.rows().collect::<Result<_, _>>().unwrap()
}

/// The comparison with the bytes of its pictures instead of their names.
fn by_content(mut comparison: Comparison) -> Comparison {
    let content = |image: &ImageSource| {
        let bytes = match image {
            ImageSource::Path(path) => fs::read(path).unwrap(),
            ImageSource::Bytes { bytes, .. } => bytes.clone(),
        };
        ImageSource::Bytes { label: String::new(), bytes }
    };
    let messages = comparison.prompt.iter_mut().chain(comparison.responses.iter_mut().flatten());
    for part in messages.flat_map(|message| &mut message.content) {
        match part {
            Part::Text(_) => {}
            Part::Image(image) => *image = Arc::new(content(image)),
            Part::Video(video) => {
                let frames = video.frames.iter().map(content).collect();
                *video = Arc::new(VideoSource { frames, fps: video.fps });
            }
        }
    }
    comparison
}

fn pair(id: &str, prompt: Vec<Part>, answers: [&str; 2]) -> Comparison {
    comparison(id, vec![message("user", prompt)], &answers)
}

fn image(folder: &Path, name: &str) -> Part {
    Part::Image(Arc::new(ImageSource::Path(folder.join(name))))
}

/// A part by the names of pictures; the folder is put before them later.
fn any_part() -> impl Strategy<Value = Part> {
    let named =
        || (0..PICTURES.len()).prop_map(|index| ImageSource::Path(PICTURES[index].0.into()));
    prop_oneof![
        4 => prop_oneof![".{0,12}", Just("<image>".to_owned()), Just("a <video>\n<image>".to_owned())]
            .prop_map(Part::Text),
        2 => named().prop_map(|image| Part::Image(Arc::new(image))),
        1 => (prop::collection::vec(named(), 1..3), 0.1_f64..30.0)
            .prop_map(|(frames, fps)| Part::Video(Arc::new(VideoSource { frames, fps }))),
    ]
}

fn any_message(role: &'static str) -> impl Strategy<Value = Message> {
    prop::collection::vec(any_part(), 0..4).prop_map(move |content| message(role, content))
}

/// Turns before the last question.
fn any_prompt() -> impl Strategy<Value = Vec<Message>> {
    let turns = prop::collection::vec((any_message("user"), any_message("assistant")), 0..2);
    (prop::option::of(any_message("system")), turns, any_message("user")).prop_map(
        |(system, turns, question)| {
            let turns = turns.into_iter().flat_map(|(asked, answered)| [asked, answered]);
            system.into_iter().chain(turns).chain([question]).collect()
        },
    )
}

/// An answer, perhaps after turns of its own; `number` makes it differ from the others.
fn any_response(number: usize) -> impl Strategy<Value = Vec<Message>> {
    let turns = prop::collection::vec((any_message("assistant"), any_message("user")), 0..2);
    (turns, any_message("assistant")).prop_map(move |(turns, mut last)| {
        last.content.push(text(&format!("answer {number}")));
        turns.into_iter().flat_map(|(answered, asked)| [answered, asked]).chain([last]).collect()
    })
}

fn any_comparison() -> impl Strategy<Value = Comparison> {
    let finite = || -1e6_f32..1e6;
    let judged = (any::<bool>(), prop::option::of(finite()), prop::option::of(0.0_f32..=1.0));
    (any_prompt(), prop::bool::ANY, judged, prop::collection::vec(0_usize..3, 2..5))
        .prop_flat_map(|(prompt, is_pair, judged, mut places)| {
            if is_pair {
                places.truncate(2);
            }
            if places.iter().all(|place| *place == places[0]) {
                places[0] += 1;
            }
            let responses: Vec<_> = (0..places.len()).map(any_response).collect();
            (Just(prompt), responses, Just(judged), Just(places), ".{1,8}", "[a-z]{1,8}")
        })
        .prop_map(|(prompt, responses, (has_scores, margin, soft_label), places, id, source)| {
            let numbers: Vec<f64> = places.iter().map(|place| *place as f64).collect();
            let ranks = data::raw::ranks_from_best(&numbers);
            let scores =
                has_scores.then(|| places.iter().map(|place| -(*place as f32) / 3.0).collect());
            let is_pair = ranks.len() == 2;
            let preference = Preference {
                ranks,
                scores,
                margin: margin.filter(|_| is_pair),
                soft_label: soft_label.filter(|_| is_pair),
            };
            Comparison { id, source, prompt, responses, preference }
        })
}

/// Puts the folder before the names of pictures.
fn inside(folder: &Path, mut comparison: Comparison) -> Comparison {
    let at = |image: &ImageSource| ImageSource::Path(folder.join(image.name()));
    let messages = comparison.prompt.iter_mut().chain(comparison.responses.iter_mut().flatten());
    for part in messages.flat_map(|message| &mut message.content) {
        match part {
            Part::Text(_) => {}
            Part::Image(image) => *image = Arc::new(at(image)),
            Part::Video(video) => {
                let frames = video.frames.iter().map(at).collect();
                *video = Arc::new(VideoSource { frames, fps: video.fps });
            }
        }
    }
    comparison
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_comparison_is_read_back_as_it_was_written(
        comparisons in prop::collection::vec(any_comparison(), 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        pictures(folder.path());
        let comparisons: Vec<Comparison> =
            comparisons.into_iter().map(|one| inside(folder.path(), one)).collect();
        for images in IMAGE_OUTPUTS {
            let out = tempfile::tempdir().unwrap();
            let output = OutputRecipe { rows_per_shard: 3, images, ..OutputRecipe::default() };
            let rows = comparisons.iter().map(|one| shard_row(one.clone())).collect();
            write(out.path(), &output, rows);
            let read: Vec<Comparison> = read(out.path()).into_iter().map(by_content).collect();
            let expected: Vec<Comparison> =
                comparisons.iter().cloned().map(by_content).collect();
            prop_assert_eq!(read, expected);
        }
    }
}

#[test]
fn conversations_that_have_nothing_in_common_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let mut comparison = pair("1", vec![], ["", ""]);
    comparison.prompt.clear();
    comparison.responses = ["cat.png", "dog.jpg"]
        .map(|name| {
            let asked = vec![image(folder.path(), name), text("Which?")];
            vec![message("user", asked), said("assistant", "This.")]
        })
        .into();
    let out = tempfile::tempdir().unwrap();
    write(out.path(), &output(ImageOutput::Files), vec![shard_row(comparison.clone())]);
    let read: Vec<Comparison> = read(out.path()).into_iter().map(by_content).collect();
    assert_eq!(read, [by_content(comparison)]);
}

#[test]
fn the_same_rows_are_the_same_bytes_and_the_hashes_are_those_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let rows = |count: usize| -> Vec<ShardRow> {
        let comparison = |index: usize| {
            let asked = vec![image(folder.path(), "cat.png"), text("Which?")];
            shard_row(pair(&index.to_string(), asked, ["a", "b"]))
        };
        (0..count).map(comparison).collect()
    };
    for images in IMAGE_OUTPUTS {
        let output = OutputRecipe { rows_per_shard: 600, images, ..OutputRecipe::default() };
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = write(first.path(), &output, rows(1300));
        assert_eq!(write(second.path(), &output, rows(1300)), files);
        let found: Vec<(&str, u64)> =
            files.iter().map(|file| (file.name.as_str(), file.rows)).collect();
        assert_eq!(
            found,
            [
                ("train/00000.parquet", 600),
                ("train/00001.parquet", 600),
                ("train/00002.parquet", 100)
            ]
        );
        for file in files {
            let bytes = fs::read(first.path().join(&file.name)).unwrap();
            assert_eq!(bytes, fs::read(second.path().join(&file.name)).unwrap());
            assert_eq!(bytes.len() as u64, file.bytes);
            assert_eq!(blake3::hash(&bytes).to_hex().to_string(), file.blake3);
        }
        let ids: Vec<String> = read(first.path()).into_iter().map(|row| row.id).collect();
        assert_eq!(ids, (0..1300).map(|index| index.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn each_distinct_picture_is_copied_once_under_the_hash_of_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let row_of = |name: &str| shard_row(pair(name, vec![image(folder.path(), name)], ["a", "b"]));
    let out = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::create(out.path(), &output(ImageOutput::Files), None).unwrap();
    for (name, _) in PICTURES {
        writer.push(row_of(name)).unwrap();
    }
    let pictures = writer.finish().unwrap().pictures;
    assert_eq!(pictures, PicturesWritten { distinct: 3, bytes: 8 + 7 + 8 });
    let id = ImageId::of(PICTURES[0].1).to_string();
    let path = format!("train/../images/{}/{id}.png", &id[..2]);
    assert_eq!(fs::read(out.path().join(&path)).unwrap(), PICTURES[0].1);
    let names: Vec<String> = read(out.path())
        .into_iter()
        .map(|row| match &row.prompt[0].content[0] {
            Part::Image(image) => image.name(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names[0], out.path().join(path).display().to_string());
    assert_eq!(names[0], names[2]);
}

#[test]
fn a_picture_is_stored_once_in_a_row_group_however_many_rows_show_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = b"\x89PNG".to_vec();
    // Bytes that no compression makes smaller.
    bytes.extend((0..6000_u32).flat_map(|number| *blake3::hash(&number.to_le_bytes()).as_bytes()));
    fs::write(folder.path().join("large.png"), &bytes).unwrap();
    let rows = (0..100)
        .map(|index: usize| {
            let asked = vec![image(folder.path(), "large.png"), text("Which?")];
            shard_row(pair(&index.to_string(), asked, ["a", "b"]))
        })
        .collect();
    let out = tempfile::tempdir().unwrap();
    let files = write(out.path(), &output(ImageOutput::Embedded), rows);
    let limit = bytes.len() as u64 * 5 / 4;
    assert!(files[0].bytes < limit, "{} bytes", files[0].bytes);
}

#[test]
fn row_groups_are_limited_by_their_bytes() {
    let long: String = (0..40_000_u32)
        .map(|number| blake3::hash(&number.to_le_bytes()).to_hex().to_string())
        .collect();
    let rows = (0..30)
        .map(|index: usize| {
            let answers = [long.as_str(), "b"];
            shard_row(pair(&index.to_string(), vec![text("Which?")], answers))
        })
        .collect();
    let out = tempfile::tempdir().unwrap();
    write(out.path(), &output(ImageOutput::Files), rows);
    let file = fs::File::open(out.path().join("train/00000.parquet")).unwrap();
    let groups = SerializedFileReader::new(file).unwrap().metadata().row_groups().to_vec();
    let limit = (ROW_GROUP_BYTES + 2 * BATCH_BYTES) as i64;
    assert!(groups.len() >= 2, "{} row groups", groups.len());
    assert!(groups.iter().all(|group| group.total_byte_size() < limit));
}

#[test]
fn referenced_pictures_stay_where_they_are_unless_they_came_inside_rows() {
    let folder = tempfile::tempdir().unwrap();
    let extracted = folder.path().join("extracted");
    fs::create_dir(&extracted).unwrap();
    pictures(folder.path());
    pictures(&extracted);
    let asked = vec![image(folder.path(), "cat.png"), image(&extracted, "dog.jpg")];
    let out = tempfile::tempdir().unwrap();
    let recipe = output(ImageOutput::References);
    let mut writer = ShardWriter::create(out.path(), &recipe, Some(&extracted)).unwrap();
    writer.push(shard_row(pair("1", asked, ["a", "b"]))).unwrap();
    writer.finish().unwrap();
    let read = read(out.path());
    let names: Vec<String> = read[0].prompt[0]
        .content
        .iter()
        .map(|part| match part {
            Part::Image(image) => image.name(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names[0], folder.path().join("cat.png").display().to_string());
    assert!(Path::new(&names[1]).starts_with(out.path().join("train/../images")), "{}", names[1]);
}

#[test]
fn a_picture_that_is_gone_or_has_changed_is_told_with_its_row() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let row = shard_row(pair("1", vec![image(folder.path(), "cat.png")], ["a", "b"]));
    let refusal = || {
        let out = tempfile::tempdir().unwrap();
        let recipe = output(ImageOutput::Files);
        let mut writer = ShardWriter::create(out.path(), &recipe, None).unwrap();
        writer.push(row.clone()).unwrap_err().to_string()
    };
    fs::write(folder.path().join("cat.png"), "other").unwrap();
    let changed = refusal();
    assert!(changed.starts_with("`rows.jsonl`, line 3: the picture `"), "{changed}");
    assert!(changed.contains("has changed since it was read"), "{changed}");
    fs::remove_file(folder.path().join("cat.png")).unwrap();
    assert!(refusal().contains("cat.png` cannot be read: "), "{}", refusal());
}

#[test]
fn without_rows_there_is_no_file() {
    let out = tempfile::tempdir().unwrap();
    assert_eq!(write(out.path(), &output(ImageOutput::Files), Vec::new()), []);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn rows_of_both_splits_may_come_by_turns() {
    let out = tempfile::tempdir().unwrap();
    let row = |index: usize| {
        let split = if index.is_multiple_of(3) { Split::Validation } else { Split::Train };
        ShardRow { split, ..shard_row(pair(&index.to_string(), vec![text("Which?")], ["a", "b"])) }
    };
    let files = write(out.path(), &output(ImageOutput::Files), (0..7).map(row).collect());
    let found: Vec<(&str, Split, u64)> =
        files.iter().map(|file| (file.name.as_str(), file.split, file.rows)).collect();
    let expected = [
        ("train/00000.parquet", Split::Train, 4),
        ("validation/00000.parquet", Split::Validation, 3),
    ];
    assert_eq!(found, expected);
    let ids: Vec<String> = read(out.path()).into_iter().map(|row| row.id).collect();
    assert_eq!(ids, ["1", "2", "4", "5", "0", "3", "6"]);
}

#[test]
fn a_row_that_could_not_be_read_back_is_not_written() {
    let out = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::create(out.path(), &output(ImageOutput::Files), None).unwrap();
    let mut turned = shard_row(pair("1", vec![text("Which?")], ["a", "b"]));
    turned.record.comparison.preference.scores = Some(vec![1.0, 2.0]);
    let refusal = writer.push(turned).unwrap_err().to_string();
    let fault =
        "`rows.jsonl`, line 3: response 0 has a better rank than response 1 but a lower score";
    assert!(refusal.starts_with(fault), "{refusal}");
    let mut three = shard_row(comparison("1", vec![said("user", "?")], &["a", "b", "c"]));
    three.record.comparison.preference.margin = Some(1.0);
    let refusal = writer.push(three).unwrap_err().to_string();
    assert!(refusal.contains("`margin` is given for 3 responses"), "{refusal}");
    let equal = shard_row(pair("1", vec![text("Which?")], ["a", "a"]));
    assert!(writer.push(equal).unwrap_err().to_string().contains("its responses are equal"));
    assert_eq!(writer.finish().unwrap().shards, []);
}
