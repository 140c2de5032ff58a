//! What is exported is read by `data` as the same pairs, and what is not exported is counted.

use super::*;
use crate::testing::curated::{Curated, comparison, message, said, text};

fn exported(curated: &Curated, target: Target) -> (Exported, tempfile::TempDir) {
    let out = tempfile::tempdir().unwrap();
    (export(curated.folder(), target, out.path()).unwrap(), out)
}

/// Conversations as texts with the bytes of their pictures, whatever parts the texts are divided into.
fn shown(messages: &[Message]) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Image(image) => match image.as_ref() {
            ImageSource::Path(path) => format!("{:?}", fs::read(path).unwrap()),
            ImageSource::Bytes { bytes, .. } => format!("{bytes:?}"),
        },
        Part::Video(_) => panic!("videos are not exported"),
    };
    let message = |message: &Message| {
        format!("[{}] {}", message.role, message.content.iter().map(part).collect::<String>())
    };
    messages.iter().map(message).collect::<Vec<_>>().join("\n")
}

/// The better and the worse conversation of every pair, with its margin.
fn pairs(comparisons: &[Comparison]) -> Vec<(String, String, Option<f32>)> {
    let of_one = |comparison: &Comparison| {
        let conversation = |answer: usize| shown(&comparison.conversation(answer).messages);
        let margin = |better: usize| {
            comparison.preference.margin.map(|margin| if better == 0 { margin } else { -margin })
        };
        let pair = |(better, worse): (usize, usize)| {
            (conversation(better), conversation(worse), margin(better))
        };
        comparison.pairs().into_iter().map(pair).collect::<Vec<_>>()
    };
    comparisons.iter().flat_map(of_one).collect()
}

fn read(path: &Path) -> Vec<Comparison> {
    let set = Dataset::open(&[path], &DatasetOptions::default()).unwrap();
    set.rows().collect::<Result<_, _>>().unwrap()
}

#[test]
fn exported_pairs_are_read_as_the_same_pairs_for_every_target() {
    let curated = Curated::new();
    let asked = vec![text("Look: "), curated.image(0), text("and "), curated.image(1), text("?")];
    let turns = vec![
        said("system", "Be kind."),
        message("user", vec![curated.image(1), text("What?")]),
        said("assistant", "A dog."),
        said("user", "And now?"),
    ];
    let mut turned = comparison("3", vec![said("user", "Which?")], &["worse", "better"]);
    turned.preference.ranks = vec![1, 0];
    let comparisons = [
        comparison("1", vec![message("user", asked)], &["a", "b", "c"]),
        comparison("2", turns, &["so", "no"]),
        turned,
    ];
    for images in [ImageOutput::Files, ImageOutput::Embedded, ImageOutput::References] {
        curated.write(images, &comparisons);
        for target in Target::ALL {
            let (exported, out) = self::exported(&curated, target);
            assert_eq!((exported.comparisons, exported.pairs), (6, 10), "{target}");
            assert!(exported.left_out.is_empty() && exported.lost.is_empty(), "{exported:?}");
            for split in ["train", "validation"] {
                let file = out.path().join(format!("{split}.{}", ending(target)));
                assert_eq!(pairs(&read(&file)), pairs(&comparisons), "{target}");
            }
        }
    }
}

#[test]
fn pairs_of_more_than_two_answers_are_named_by_their_places() {
    let curated = Curated::new();
    curated
        .write(ImageOutput::Files, &[comparison("q", vec![said("user", "?")], &["a", "b", "c"])]);
    let (_, out) = exported(&curated, Target::Trl);
    let ids: Vec<String> =
        read(&out.path().join("train.jsonl")).into_iter().map(|row| row.id).collect();
    assert_eq!(ids, ["q/0-1", "q/0-2", "q/1-2"]);
}

#[test]
fn margins_go_with_the_better_answer_where_every_pair_has_one() {
    let curated = Curated::new();
    let with_margin = |id: &str, ranks: [u32; 2], margin| {
        let mut comparison = comparison(id, vec![said("user", "?")], &["a", "b"]);
        comparison.preference.ranks = ranks.into();
        comparison.preference.margin = margin;
        comparison
    };
    let comparisons = [with_margin("1", [0, 1], Some(0.5)), with_margin("2", [1, 0], Some(-2.0))];
    curated.write(ImageOutput::Files, &comparisons);
    for target in [Target::Trl, Target::MsSwift] {
        let (exported, out) = self::exported(&curated, target);
        assert!(exported.lost.is_empty());
        assert_eq!(pairs(&read(&out.path().join("train.jsonl"))), pairs(&comparisons));
    }
    assert_eq!(
        self::exported(&curated, Target::LlamaFactory).0.lost,
        BTreeMap::from([("margin", 4)])
    );

    let some = [with_margin("1", [0, 1], Some(0.5)), with_margin("2", [0, 1], None)];
    curated.write(ImageOutput::Files, &some);
    let (exported, out) = self::exported(&curated, Target::Trl);
    assert_eq!(exported.lost, BTreeMap::from([("margin", 2)]));
    assert!(!fs::read_to_string(out.path().join("train.jsonl")).unwrap().contains("margin"));
}

#[test]
fn what_a_format_cannot_say_is_counted_by_its_reason() {
    let curated = Curated::new();
    let asked = || vec![said("user", "?")];
    let mut picture_answer = comparison("1", asked(), &["a", "b"]);
    picture_answer.responses[0][0].content.push(curated.image(0));
    let mut long = comparison("2", asked(), &["a", "b"]);
    long.responses[0].splice(0..0, [said("assistant", "Why?"), said("user", "So.")]);
    let mut scored = comparison("3", asked(), &["a", "b"]);
    scored.preference.scores = Some(vec![2.0, 1.0]);
    scored.preference.soft_label = Some(0.75);
    let marked = comparison("4", vec![said("user", "What is <image>?")], &["a", "b"]);
    let odd = comparison("5", vec![said("user", "?"), said("user", "!")], &["a", "b"]);
    let seen = comparison("6", vec![message("user", vec![curated.image(0)])], &["a", "b"]);
    let comparisons = [picture_answer, long, scored, marked, odd, seen];
    curated.write(ImageOutput::Files, &comparisons);
    let expected =
        |reasons: &[(&'static str, u64)]| reasons.iter().copied().collect::<BTreeMap<_, _>>();
    let picture = ("a picture stands in an answer", 2);
    let mark = ("a text has `<image>`, `<video>` or `<audio>` in it", 2);
    for (target, left_out) in [
        (Target::Trl, vec![picture]),
        (Target::MsSwift, vec![picture, mark]),
        (
            Target::LlamaFactory,
            vec![
                picture,
                mark,
                ("an answer has several messages", 2),
                ("the prompt is not by turns of `user` and `assistant`", 2),
            ],
        ),
    ] {
        let (exported, out) = self::exported(&curated, target);
        assert_eq!(exported.left_out, expected(&left_out), "{target}");
        assert_eq!(exported.lost, expected(&[("soft label", 2), ("scores", 2)]));
        let number: u64 = exported.left_out.values().sum();
        assert_eq!(exported.pairs + number, 12);
        let written = read(&out.path().join(format!("train.{}", ending(target))));
        let kept: Vec<Comparison> = comparisons
            .iter()
            .filter(|one| written.iter().any(|row| row.id == one.id))
            .cloned()
            .collect();
        assert_eq!(pairs(&written), pairs(&kept), "{target}");
    }
}

#[test]
fn sets_without_pictures_have_texts_as_contents() {
    let curated = Curated::new();
    curated.write(ImageOutput::Files, &[comparison("1", vec![said("user", "?")], &["a", "b"])]);
    let (_, out) = exported(&curated, Target::Trl);
    let text = fs::read_to_string(out.path().join("train.jsonl")).unwrap();
    let row: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(row["prompt"], serde_json::json!([{"role": "user", "content": "?"}]));
    assert_eq!(row.get("images"), None);
}

#[test]
fn the_description_names_each_file_and_its_columns() {
    let curated = Curated::new();
    let seen = comparison("1", vec![message("user", vec![curated.image(0)])], &["a", "b"]);
    curated.write(ImageOutput::Files, &[seen]);
    let (exported, out) = self::exported(&curated, Target::LlamaFactory);
    assert_eq!(exported.files, ["train.json", "validation.json", "dataset_info.json"]);
    let text = fs::read_to_string(out.path().join("dataset_info.json")).unwrap();
    let description: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        description["basereward_train"],
        serde_json::json!({
            "file_name": "train.json", "formatting": "sharegpt", "ranking": true,
            "columns": {
                "messages": "conversations", "chosen": "chosen", "rejected": "rejected",
                "system": "system", "images": "images"
            }
        })
    );
    let rows: Value =
        serde_json::from_str(&fs::read_to_string(out.path().join("train.json")).unwrap()).unwrap();
    assert_eq!(rows[0]["conversations"][0]["value"], "<image>");
}

#[test]
fn a_folder_without_a_manifest_is_refused() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let refusal = export(folder.path(), Target::Trl, out.path()).unwrap_err().to_string();
    assert!(refusal.contains("has no `manifest.json`"), "{refusal}");
}
