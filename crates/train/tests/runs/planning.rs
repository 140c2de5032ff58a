//! What is said before a run: plans, and the diagnosis of data.

use std::fs;

use engine::Device;
use model::config::Config;
use train::diagnose::{DiagnoseOptions, diagnose};
use train::plan::{elements, memory, probe, sample};
use train::prepare::Preparer;
use train::run_data::RunData;

use crate::scene::{Scene, tiny_model};

#[test]
fn a_plan_counts_the_elements_that_a_run_trains() {
    let scene = Scene::new();
    let config = Config::read(&tiny_model()).unwrap();
    let head = config.reward_head.unwrap();
    let device = Device::cpu(Some(1)).unwrap();
    for overrides in [
        &["run.steps=1"][..],
        &["trainable.vision.frozen=true"],
        &["lora.rank=3", "trainable.vision.frozen=true", "trainable.merger.frozen=true"],
    ] {
        let recipe = scene.recipe(overrides);
        let options = train::run::training_options(&recipe);
        let dtype = recipe.run.compute_type.into();
        let model =
            model::training::TrainableModel::load(&tiny_model(), &device, dtype, &options).unwrap();
        let trained: usize = model.parameters().iter().map(|info| info.rows * info.cols).sum();
        assert_eq!(elements(&config, &head, &recipe).trained, trained as u64, "{overrides:?}");
    }
}

#[test]
fn recomputation_and_frozen_parts_lower_the_planned_memory() {
    let scene = Scene::new();
    let config = Config::read(&tiny_model()).unwrap();
    let head = config.reward_head.unwrap();
    let planned = |overrides: &[&str]| memory(&config, &head, &scene.recipe(overrides), 1000, 1000);
    let plain = planned(&[]);
    let recomputed = planned(&["run.recompute=layers"]);
    assert!(recomputed.activations < plain.activations && recomputed.masters == plain.masters);
    let frozen = planned(&["trainable.vision.frozen=true", "trainable.merger.frozen=true"]);
    assert!(frozen.gradients < plain.gradients && frozen.weights == plain.weights);
    assert_eq!(plain.optimizer, 2 * plain.gradients);
    let half = planned(&["run.compute_type=bf16"]);
    assert_eq!((2 * half.weights, half.masters), (plain.weights, plain.masters));
}

#[test]
fn a_sample_counts_what_responses_share_once_and_a_probe_takes_time() {
    let scene = Scene::new();
    let recipe = scene.recipe(&[]);
    let data = RunData::open(&recipe.data, 0).unwrap();
    let preparer = Preparer::load(&tiny_model(), &recipe.data).unwrap();
    let (found, comparisons) = sample(&recipe, &data, &preparer, 100).unwrap();
    assert_eq!((found.comparisons, found.affected), (12, 0));
    assert!((found.mean_pairs - 16.0 / 12.0).abs() < 1e-9);
    assert!(found.mean_packed_rows < found.mean_separate_tokens);
    assert!(found.max_packed_rows as f64 >= found.mean_packed_rows);
    let device = Device::cpu(Some(1)).unwrap();
    let probe = probe(&recipe, &tiny_model(), &device, &preparer, comparisons).unwrap();
    assert!(probe.step_secs > 0.0 && probe.tokens_per_sec > 0.0);
}

#[test]
fn a_diagnosis_finds_sound_data_learnable_and_contradictions_not() {
    let scene = Scene::new();
    let device = Device::cpu(Some(2)).unwrap();
    let options = DiagnoseOptions { steps: 40, learning_rate: 2e-3 };
    let recipe = scene.recipe(&[]);
    let sound = diagnose(&recipe, &tiny_model(), &device, options).unwrap();
    assert!(sound.learned.pairwise_accuracy >= 0.9, "{sound:?}");
    assert!(sound.flipped.pairwise_accuracy <= 0.1, "{sound:?}");
    assert!(sound.blind.is_some());
    // Each pair stands there with both labels: nothing can learn that.
    let both = |one: &str, other: &str| {
        format!("{{\"prompt\":\"Which?\",\"chosen\":\"{one}\",\"rejected\":\"{other}\"}}\n")
    };
    let lines: String = (0..8)
        .map(|i| {
            both(&format!("a{i}"), &format!("b{i}")) + &both(&format!("b{i}"), &format!("a{i}"))
        })
        .collect();
    fs::write(scene.path("pairs.jsonl"), &lines).unwrap();
    fs::write(
        scene.path("ranked.jsonl"),
        "{\"prompt\":\"?\",\"responses\":[\"a\",\"b\"],\"ranks\":[0,1]}\n",
    )
    .unwrap();
    let contradicting = diagnose(&recipe, &tiny_model(), &device, options).unwrap();
    assert!(!contradicting.is_fine);
    assert!(
        contradicting.findings[0].contains("cannot be learned by heart"),
        "{:?}",
        contradicting.findings
    );
}
