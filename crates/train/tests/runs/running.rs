//! What a run does with its data: it learns, and nothing is lost silently.

use std::fs;

use crate::scene::{Scene, tiny_model};
use engine::{DType, Device};
use model::RewardModel;
use train::SkippedLine;
use train::TrainError;
use train::checkpoint::Checkpoints;
use train::run::Begin;

fn skipped(scene: &Scene, run: &str) -> Vec<SkippedLine> {
    let text = fs::read_to_string(scene.path(run).join(train::SKIPPED_FILE)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn losses(scene: &Scene, run: &str, overrides: &[&str]) -> Vec<f64> {
    let model = tiny_model();
    let begin = Begin::New { model: &model };
    let (result, heard) = scene.run_until(run, &scene.recipe(overrides), begin, u64::MAX);
    result.unwrap();
    heard.losses
}

#[test]
fn training_lowers_the_loss_and_judges_what_is_held_out() {
    let scene = Scene::new();
    let overrides =
        ["run.steps=30", "run.comparisons_per_step=12", "schedule.cosine.warmup_fraction=0"];
    let losses = losses(&scene, "run", &overrides);
    assert!(losses[29] < 0.5 * losses[0], "{losses:?}");
    let recipe = scene.recipe(&["data.validation_fraction=0.4"]);
    let outcome = scene.run("held-out", &recipe).unwrap();
    let held_out = outcome.held_out.unwrap();
    assert!(held_out.comparisons > 0 && held_out.comparisons < 12);
    assert!(held_out.pairs.len() >= held_out.comparisons);
    assert_eq!(outcome.blind.is_some(), held_out.has_pictures);
    assert!(held_out.pairs.iter().all(|pair| pair.is_finite() && pair.chosen_len > 0));
    let data = train::run_data::RunData::open(&recipe.data, recipe.run.seed).unwrap();
    for pair in &held_out.pairs {
        let shown = train::held_out::shown(data.held_out().0, [pair]).remove(0);
        let comparison = data.held_out().0.read(pair.row).unwrap();
        assert_eq!(comparison.id, pair.id);
        assert_ne!(shown.chosen, shown.rejected);
        assert!(comparison.preference.ranks[pair.better] < comparison.preference.ranks[pair.worse]);
    }
    let surest = eval::judged::surest_mistakes(&held_out.pairs, outcome.mistakes.len());
    let shown: Vec<_> = outcome.mistakes.iter().map(|mistake| &mistake.judged).collect();
    assert_eq!(shown, surest);
}

#[test]
fn the_way_a_step_is_divided_changes_rounding_only() {
    let scene = Scene::new();
    let whole = losses(&scene, "whole", &["run.tokens_per_batch=100000"]);
    let divided = losses(&scene, "divided", &["run.tokens_per_batch=1"]);
    for (one, other) in whole.iter().zip(&divided) {
        assert!((one - other).abs() < 1e-4, "{whole:?} against {divided:?}");
    }
}

#[test]
fn recomputation_changes_no_bit() {
    let scene = Scene::new();
    let kept = losses(&scene, "kept", &["run.recompute=nothing"]);
    for what in ["layers", "groups"] {
        assert_eq!(losses(&scene, what, &[&format!("run.recompute={what}")]), kept, "{what}");
    }
}

#[test]
fn a_frozen_part_stays_as_it_is() {
    let scene = Scene::new();
    let recipe = scene.recipe(&[
        "trainable.vision.frozen=true",
        "trainable.merger.frozen=true",
        "run.steps=2",
    ]);
    let outcome = scene.run("run", &recipe).unwrap();
    let read = |folder: &std::path::Path| fs::read(folder.join("model.safetensors")).unwrap();
    let (before, after) = (read(&tiny_model()), read(&outcome.model));
    let (before, after) = (
        safetensors::SafeTensors::deserialize(&before).unwrap(),
        safetensors::SafeTensors::deserialize(&after).unwrap(),
    );
    let mut changed = 0;
    for (name, tensor) in after.tensors() {
        let same = before.tensor(&name).is_ok_and(|old| old.data() == tensor.data());
        assert!(same || !name.contains("visual"), "{name} changed");
        changed += usize::from(!same);
    }
    assert!(changed > 10, "the language model and the head are trained");
}

#[test]
fn the_written_folder_scores_as_the_model_did() {
    let scene = Scene::new();
    for (run, overrides) in [
        ("whole", vec!["run.compute_type=bf16", "data.validation_fraction=0.4"]),
        ("lora", vec!["run.compute_type=bf16", "data.validation_fraction=0.4", "lora.rank=2"]),
    ] {
        let recipe = scene.recipe(&overrides);
        let outcome = scene.run(run, &recipe).unwrap();
        let device = Device::cpu(Some(1)).unwrap();
        let model = RewardModel::load(&outcome.model, &device, DType::Bf16).unwrap();
        let data = train::run_data::RunData::open(&recipe.data, recipe.run.seed).unwrap();
        let (dataset, rows) = data.held_out();
        let preparer = train::prepare::Preparer::load(&outcome.model, &recipe.data).unwrap();
        let rows = train::held_out::HeldOutRows {
            dataset,
            rows,
            preparer: &preparer,
            tokens_per_batch: 64,
        };
        let options = recipe.loss.options();
        let sight = train::held_out::Sight::Pictures;
        let again = train::held_out::judge(&model, rows, &options, sight).unwrap();
        assert_eq!(again.pairs, outcome.held_out.unwrap().pairs, "{run}");
    }
}

#[test]
fn rows_over_the_limit_stop_the_run_or_are_listed() {
    let scene = Scene::new();
    let long = "very ".repeat(400);
    let row = format!(
        "{{\"id\":\"long\",\"prompt\":\"Why?\",\"chosen\":\"{long}\",\"rejected\":\"no\"}}\n"
    );
    let file = scene.path("pairs.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text + &row).unwrap();
    let epoch = ["run.comparisons_per_step=12", "run.steps=1", "data.max_tokens=200"];
    let error = scene.run("error", &scene.recipe(&epoch)).unwrap_err().to_string();
    assert!(error.contains("`long`") && error.contains("data.over_long"), "{error}");
    let skip: Vec<&str> = epoch.into_iter().chain(["data.over_long=skip", "run.steps=2"]).collect();
    let outcome = scene.run("skip", &scene.recipe(&skip)).unwrap();
    let lines = skipped(&scene, "skip");
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].id.as_str(), lines[0].fate.as_str()), ("long", "skipped"));
    assert_eq!(outcome.affected["skipped: over the limit of tokens"], 1);
}

#[test]
fn large_pictures_are_shrunk_until_they_fit_and_listed() {
    let scene = Scene::new();
    image::RgbImage::from_pixel(560, 560, image::Rgb([9, 200, 9]))
        .save(scene.path("large.png"))
        .unwrap();
    let row = "{\"id\":\"large\",\"images\":[\"large.png\"],\"prompt\":\"What?\",\"chosen\":\"green\",\"rejected\":\"no\"}\n";
    fs::write(scene.path("pairs.jsonl"), row).unwrap();
    let recipe =
        scene.recipe(&["data.over_long=shrink_image", "data.max_tokens=150", "run.steps=2"]);
    scene.run("run", &recipe).unwrap();
    let lines = skipped(&scene, "run");
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].id.as_str(), lines[0].fate.as_str()), ("large", "shrunk"));
}

#[test]
fn damaged_pictures_and_undecided_rows_are_listed() {
    let scene = Scene::new();
    fs::write(scene.path("red.png"), b"\x89PNG\r\n\x1a\nnot a picture").unwrap();
    let file = scene.path("pairs.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text + "{\"id\":\"same\",\"prompt\":\"Why?\",\"chosen\":\"a\",\"rejected\":\"a\"}\n",
    )
    .unwrap();
    let recipe = scene.recipe(&["run.steps=4"]);
    let error = scene.run("error", &recipe).unwrap_err();
    assert!(matches!(error, TrainError::Row(_)), "{error}");
    assert!(error.to_string().contains("data.bad_row"), "{error}");
    scene.run("skip", &scene.recipe(&["run.steps=4", "data.bad_row=skip"])).unwrap();
    let mut ids: Vec<String> = skipped(&scene, "skip").into_iter().map(|line| line.id).collect();
    ids.sort();
    assert_eq!(ids, ["n0", "p0", "same"]);
}

#[test]
fn numbers_out_of_range_stop_the_run_with_the_names_of_the_rows() {
    let scene = Scene::new();
    let recipe = scene.recipe(&[
        "optimizer.adamw.learning_rate=1e30",
        "optimizer.adamw.weight_decay=0",
        "run.save_every_steps=1",
    ]);
    let error = scene.run("run", &recipe).unwrap_err();
    let TrainError::NotFinite { step, ids, .. } = &error else { panic!("{error}") };
    assert!(*step > 1 && ids.starts_with('`'), "{error}");
    let (state, refused) = Checkpoints::new(&scene.path("run"), 1).newest().unwrap();
    assert!(state.step < *step && refused.is_empty());
}

#[test]
fn an_epoch_takes_every_row_once() {
    let scene = Scene::new();
    let recipe = scene.recipe(&["run.comparisons_per_step=5"]);
    let data = train::run_data::RunData::open(&recipe.data, 0).unwrap();
    let preparer = train::prepare::Preparer::load(&tiny_model(), &recipe.data).unwrap();
    let feed = train::stream::Feed {
        data: &data,
        preparer: &preparer,
        seed: 3,
        comparisons_per_step: 5,
        tokens_per_batch: 4096,
        skipped_file: "skipped".into(),
    };
    let mut ids = Vec::new();
    let mut steps = 0;
    feed.run(train::stream::Cursor::default(), |batch| {
        let batch = batch.unwrap();
        steps += 1;
        if steps == 3 {
            // The third step runs over the end of the epoch.
            assert_eq!((batch.cursor.epoch, batch.cursor.position), (1, 3));
        }
        ids.extend(batch.comparisons.iter().map(|one| one.comparison.id.clone()));
        steps < 12
    });
    assert_eq!(ids.len(), 60);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 12);
}

#[test]
fn rows_about_one_picture_stay_together_when_asked_to() {
    let scene = Scene::new();
    let line = |i: usize| {
        let color = ["red", "green", "blue", "gray"][i / 3 % 4];
        format!(
            "{{\"id\":\"{i}\",\"images\":[\"{color}.png\"],\"prompt\":\"{i}?\",\"chosen\":\"a\",\"rejected\":\"b\"}}\n"
        )
    };
    let lines: String = (0..24).map(line).collect::<Vec<_>>().concat();
    fs::write(scene.path("pairs.jsonl"), lines).unwrap();
    fs::write(
        scene.path("ranked.jsonl"),
        "{\"prompt\":\"?\",\"responses\":[\"a\",\"b\"],\"ranks\":[0,1]}\n",
    )
    .unwrap();
    let recipe = scene.recipe(&["data.keep_pictures_together=true"]);
    let data = train::run_data::RunData::open(&recipe.data, 0).unwrap();
    let found: Vec<usize> = data.train_groups().iter().map(std::ops::Range::len).collect();
    assert_eq!(found, [3, 3, 3, 3, 3, 3, 3, 3, 1]);
    let apart = train::run_data::RunData::open(&scene.recipe(&[]).data, 0).unwrap();
    assert_eq!(apart.train_groups().len(), 25);
}
