//! Stopping, crashing and going on: the same bits as if nothing had happened, and no half checkpoint.

use std::fs;

use crate::scene::{Scene, tiny_model, weights_and_state};
use train::TrainError;
use train::checkpoint::Checkpoints;
use train::metrics::read_metrics;
use train::run::Begin;

#[test]
fn resumed_training_equals_uninterrupted_training() {
    let scene = Scene::new();
    let kinds: [&[&str]; 3] = [
        &["run.compute_type=f32"],
        &["run.compute_type=bf16", "data.validation_fraction=0.3", "run.evaluate_every_steps=2"],
        &["run.compute_type=bf16", "lora.rank=4"],
    ];
    for (i, overrides) in kinds.into_iter().enumerate() {
        let recipe = scene.recipe(overrides);
        let (straight, stopped) = (format!("straight{i}"), format!("stopped{i}"));
        scene.run(&straight, &recipe).unwrap();
        let model = tiny_model();
        let begin = Begin::New { model: &model };
        let (result, _) = scene.run_until(&stopped, &recipe, begin, 4);
        let outcome = result.unwrap();
        assert!(outcome.was_stopped && outcome.steps_done == 4);
        let outcome = scene.resume(&stopped, &recipe).unwrap();
        assert!(!outcome.was_stopped && outcome.steps_done == 6);
        let last = |run: &str| Checkpoints::new(&scene.path(run), 1).folder(6);
        let (one, other) =
            (weights_and_state(&last(&straight)), weights_and_state(&last(&stopped)));
        assert!(one == other, "{overrides:?}: the weights or the state differ");
        let losses = |run: &str| -> Vec<(u64, u64)> {
            let lines = read_metrics(&scene.path(run)).unwrap();
            lines
                .iter()
                .map(|line| (line.step, line.train.as_ref().unwrap().loss.to_bits()))
                .collect()
        };
        assert_eq!(losses(&straight), losses(&stopped));
        let steps: Vec<u64> = losses(&stopped).iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, [1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn a_crash_while_a_checkpoint_is_written_costs_only_the_steps_since_the_last_one() {
    let scene = Scene::new();
    let recipe = scene.recipe(&["run.save_every_steps=2"]);
    scene.run("whole", &recipe).unwrap();
    // What a crash leaves: a half checkpoint under its other name, lines of steps that were not saved, a torn last line.
    let model = tiny_model();
    scene.run_until("crashed", &recipe, Begin::New { model: &model }, 4).0.unwrap();
    let checkpoints = scene.path("crashed").join("checkpoints");
    let half = checkpoints.join(".step-000006.partial");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("state.safetensors"), b"half").unwrap();
    let metrics = scene.path("crashed").join("metrics.jsonl");
    let text = fs::read_to_string(&metrics).unwrap();
    fs::write(&metrics, format!("{text}{{\"step\":5,\"train/loss\":0.5}}\n{{\"step\":6,\"tr"))
        .unwrap();
    scene.resume("crashed", &recipe).unwrap();
    assert!(!half.exists());
    let last = |run: &str| Checkpoints::new(&scene.path(run), 1).folder(6);
    assert!(weights_and_state(&last("whole")) == weights_and_state(&last("crashed")));
    let steps: Vec<u64> =
        read_metrics(&scene.path("crashed")).unwrap().iter().map(|line| line.step).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_damaged_checkpoint_is_named_and_an_older_one_used() {
    let scene = Scene::new();
    let recipe = scene.recipe(&["run.save_every_steps=2", "run.keep_last_checkpoints=3"]);
    let model = tiny_model();
    scene.run_until("run", &recipe, Begin::New { model: &model }, 4).0.unwrap();
    let checkpoints = Checkpoints::new(&scene.path("run"), 3);
    assert_eq!(checkpoints.steps().unwrap(), [2, 4]);
    let file = checkpoints.folder(4).join("state.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (result, heard) = scene.run_until("run", &recipe, Begin::Resume, u64::MAX);
    result.unwrap();
    assert_eq!(heard.losses.len(), 4, "steps 3 to 6 are done again");
    assert!(
        heard.warnings[0].contains("its content is not what was written"),
        "{:?}",
        heard.warnings
    );
    for step in checkpoints.steps().unwrap() {
        fs::remove_file(checkpoints.folder(step).join("model/config.json")).unwrap();
    }
    let error = scene.resume("run", &recipe).unwrap_err();
    assert!(matches!(error, TrainError::Damaged { .. }), "{error}");
}

#[test]
fn a_changed_recipe_is_refused_by_the_names_of_its_keys() {
    let scene = Scene::new();
    let model = tiny_model();
    let recipe = scene.recipe(&[]);
    scene.run_until("run", &recipe, Begin::New { model: &model }, 2).0.unwrap();
    let other = scene.recipe(&[
        "optimizer.adamw.learning_rate=0.5",
        "run.seed=9",
        "run.save_every_steps=1",
    ]);
    let error = scene.resume("run", &other).unwrap_err().to_string();
    assert_eq!(
        error,
        "the recipe differs from that of the run in `optimizer.adamw.learning_rate`, `run.seed`; put them back, or begin a new run"
    );
    scene.resume("run", &scene.recipe(&["run.save_every_steps=1"])).unwrap();
}

#[test]
fn changed_data_and_an_occupied_folder_are_refused() {
    let scene = Scene::new();
    let model = tiny_model();
    let recipe = scene.recipe(&[]);
    scene.run_until("run", &recipe, Begin::New { model: &model }, 2).0.unwrap();
    let error = scene.run("run", &recipe).unwrap_err();
    assert!(matches!(error, TrainError::OutputOccupied { .. }), "{error}");
    let file = scene.path("pairs.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let longer = format!("{text}{}\n", text.lines().next().unwrap().replace("p0", "p9"));
    fs::write(&file, longer).unwrap();
    let error = scene.resume("run", &recipe).unwrap_err().to_string();
    assert!(error.starts_with("the data files now have 13 rows in "), "{error}");
    fs::write(&file, text.replace("What color?", "Which color?")).unwrap();
    let error = scene.resume("run", &recipe).unwrap_err().to_string();
    assert!(error.starts_with("the data files now have 12 rows in "), "{error}");
    let error = scene.resume("nowhere", &recipe).unwrap_err();
    assert!(matches!(error, TrainError::NothingToResume { .. }), "{error}");
}

#[test]
fn only_the_newest_checkpoints_and_the_best_one_are_kept() {
    let scene = Scene::new();
    let recipe = scene.recipe(&[
        "run.save_every_steps=1",
        "run.keep_last_checkpoints=1",
        "data.validation_fraction=0.4",
        "run.evaluate_every_steps=1",
    ]);
    let outcome = scene.run("run", &recipe).unwrap();
    let best = outcome.best.unwrap();
    let found = Checkpoints::new(&scene.path("run"), 1).steps().unwrap();
    let mut expected = vec![best.step, 6];
    expected.dedup();
    assert_eq!(found, expected);
    let accuracies: Vec<(u64, f64)> = read_metrics(&scene.path("run"))
        .unwrap()
        .iter()
        .map(|line| (line.step, line.evaluation.as_ref().unwrap().pairwise_accuracy))
        .collect();
    let highest = accuracies.iter().map(|(_, accuracy)| *accuracy).fold(0.0, f64::max);
    let first =
        accuracies.iter().find(|(_, accuracy)| accuracy.to_bits() == highest.to_bits()).unwrap();
    assert_eq!((best.step, best.pairwise_accuracy), *first);
}
