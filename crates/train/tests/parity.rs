//! Twenty steps of training beside a plain loop of transformers and PyTorch: the same weights, pairs and order.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use data::{Dataset, DatasetOptions};
use engine::{DType, Device};
use model::training::TrainableModel;
use serde_json::Value;
use std::path::{Path, PathBuf};
use train::prepare::{Prepared, Preparer, Ready};
use train::recipe::Recipe;
use train::run::training_options;
use train::step::Trainer;
use train::stream::{Cursor, StepBatch};

/// Largest distance of a loss. Leaving out the weight decay alone moves one by 3e-4.
const LOSS_TOLERANCE: f64 = 1e-4;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/goldens/tiny")
}

/// The settings of `reference/training_goldens.py`.
fn recipe(settings: &Value) -> Recipe {
    let steps = settings["steps"].as_u64().unwrap();
    let warmup = settings["warmup_steps"].as_f64().unwrap() / steps as f64;
    let adamw = &settings["optimizer"];
    let text = format!(
        "[model.folder]\npath = 'model'\n[data]\ntrain = ['pairs.jsonl']\n\
         [trainable]\nvision = {{}}\nmerger = {{}}\nlanguage = {{}}\n\
         [optimizer.adamw]\nlearning_rate = {}\nbeta1 = {}\nbeta2 = {}\nepsilon = {}\nweight_decay = {}\nmax_gradient_norm = {}\n\
         [schedule.cosine]\nwarmup_fraction = {warmup}\nfloor = {}\n\
         [run]\noutput = 'unused'\nsteps = {steps}\ncomparisons_per_step = {}\ncompute_type = 'f32'\n",
        settings["learning_rate"],
        adamw["betas"][0],
        adamw["betas"][1],
        adamw["eps"],
        adamw["weight_decay"],
        settings["max_grad_norm"],
        settings["floor"],
        settings["pairs_per_step"],
    );
    Recipe::parse("parity".as_ref(), &text, &[]).unwrap()
}

fn batch(comparisons: Vec<Prepared>) -> StepBatch {
    // Two micro-batches: accumulation is part of what is compared.
    let half = comparisons.len() / 2;
    let micro_batches = vec![0..half, half..comparisons.len()];
    let (affected, cursor) = (Vec::new(), Cursor::default());
    StepBatch { comparisons, micro_batches, packed_rows: 0, affected, cursor }
}

#[test]
fn twenty_steps_equal_those_of_pytorch() {
    let folder = goldens();
    let text = std::fs::read_to_string(folder.join("training/steps.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let recipe = recipe(&golden["settings"]);
    let pairs = folder.join("training/pairs.jsonl");
    let dataset = Dataset::open(&[pairs], &DatasetOptions::default()).unwrap();
    let model_folder = folder.join("model");
    let preparer = Preparer::load(&model_folder, &recipe.data).unwrap();
    let device = Device::cpu(Some(2)).unwrap();
    let options = training_options(&recipe);
    let model = TrainableModel::load(&model_folder, &device, DType::F32, &options).unwrap();
    let steps = golden["steps"].as_array().unwrap();
    let mut trainer = Trainer::new(model, &device, &recipe, steps.len() as u64);
    let per_step = recipe.run.comparisons_per_step;
    assert_eq!(steps.len() * per_step, dataset.len());
    for (step, expected) in steps.iter().enumerate() {
        let rows = step * per_step..(step + 1) * per_step;
        let comparisons = rows
            .map(|row| match preparer.prepare(&dataset, row).unwrap() {
                Ready::Used(prepared, None) => *prepared,
                other => panic!("{other:?}"),
            })
            .collect();
        let figures = trainer.step(step as u64, &batch(comparisons)).unwrap();
        let distance = |got: f64, key: &str| (got - expected[key].as_f64().unwrap()).abs();
        let loss = distance(figures.loss, "loss");
        assert!(loss <= LOSS_TOLERANCE, "step {step}: the loss is {loss:.1e} off");
        let rate = distance(figures.learning_rate, "learning_rate");
        assert!(rate <= 1e-9, "step {step}: the learning rate is {rate:.1e} off");
        let norm = expected["grad_norm"].as_f64().unwrap();
        let relative = distance(figures.gradient_norm, "grad_norm") / norm;
        assert!(relative <= 1e-3, "step {step}: the gradient's norm is {relative:.1e} off");
    }
}
