//! `doctor --data`: whether a model can learn the preferences of a file, and from what. The experiments are those of `train`.

use std::path::Path;

use engine::Device;
use serde::Serialize;
use train::diagnose::{DiagnoseOptions, Diagnosis, diagnose};
use train::recipe::Recipe;

use crate::train::model_folder;

/// What came out for the data.
#[derive(Debug, Serialize)]
pub(super) struct DataReport {
    pub(super) data: String,
    /// Comparisons that were learned by heart.
    comparisons: usize,
    learned_accuracy: f64,
    flipped_accuracy: f64,
    blind_accuracy: Option<f64>,
    longer_is_better: Option<f64>,
    pub(super) is_fine: bool,
    pub(super) findings: Vec<String>,
}

/// Runs the experiments on a recipe, or on a data file with the given model, or with a small random one.
pub(super) fn examine(
    data: &Path,
    model: Option<&Path>,
    device: &Device,
) -> anyhow::Result<DataReport> {
    let recipe = if data.extension().is_some_and(|extension| extension == "toml") {
        Recipe::read(data, &[])?
    } else {
        Recipe::parse("doctor".as_ref(), &recipe_text(data, model), &[])?
    };
    let scratch = tempfile::tempdir()?;
    let folder = model_folder(&recipe, &scratch.path().join("run"))?;
    let found = diagnose(&recipe, &folder, device, DiagnoseOptions::default())?;
    let Diagnosis { comparisons, learned, flipped, blind, longer_is_better, is_fine, findings } =
        found;
    Ok(DataReport {
        data: data.display().to_string(),
        comparisons,
        learned_accuracy: learned.pairwise_accuracy,
        flipped_accuracy: flipped.pairwise_accuracy,
        blind_accuracy: blind.map(|blind| blind.pairwise_accuracy),
        longer_is_better,
        is_fine,
        findings,
    })
}

/// A recipe for data without one: everything is trained, over-long and damaged rows are left out.
fn recipe_text(data: &Path, model: Option<&Path>) -> String {
    let quoted = |path: &Path| serde_json::Value::from(path.display().to_string()).to_string();
    let model = match model {
        Some(folder) => format!("[model.folder]\npath = {}\n", quoted(folder)),
        None => "[model.random]\npreset = \"demo\"\n".to_owned(),
    };
    format!(
        "{model}[data]\ntrain = [{}]\nover_long = \"skip\"\nbad_row = \"skip\"\nmax_pixels = 50176\n\
         [trainable]\nvision = {{}}\nmerger = {{}}\nlanguage = {{}}\n[optimizer.adamw]\nlearning_rate = 1e-3\n\
         [run]\noutput = \"unused\"\nsteps = 1\ncomparisons_per_step = 32\ncompute_type = \"f32\"\n",
        quoted(data)
    )
}
