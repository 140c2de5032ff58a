//! The report of a run, from what the run left in its folder and what it ended with.

use std::path::Path;

use anyhow::Context;
use engine::Device;
use train::metrics::read_metrics;
use train::recipe::{ModelRecipe, Recipe};
use train::report::{self, REPORT_FILE, ReportInput};
use train::run::Outcome;

/// Writes the report into the run folder.
pub(crate) fn write(
    recipe: &Recipe,
    folder: &Path,
    device: &Device,
    outcome: &Outcome,
) -> anyhow::Result<()> {
    let paths = |paths: &[std::path::PathBuf]| {
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    let model = match &recipe.model {
        ModelRecipe::Folder(folder) => folder.path.display().to_string(),
        ModelRecipe::Random(random) => format!("{}, random weights", random.preset),
    };
    let mut names = vec![
        ("Model".to_owned(), model),
        ("Training data".to_owned(), paths(&recipe.data.train)),
        ("Weights".to_owned(), outcome.model.display().to_string()),
    ];
    if !recipe.data.validation.is_empty() {
        names.push(("Held-out data".to_owned(), paths(&recipe.data.validation)));
    }
    let mut notes = Vec::new();
    if outcome.was_stopped {
        notes.push(format!(
            "The run was stopped after step {} of {}.",
            outcome.steps_done, outcome.total_steps
        ));
    }
    let cpu = device.as_cpu();
    let input = ReportInput {
        title: folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into()),
        names,
        notes,
        history: read_metrics(folder)
            .with_context(|| format!("cannot read the metrics in `{}`", folder.display()))?,
        held_out: outcome.held_out.as_ref().map(|found| found.pairs.clone()).unwrap_or_default(),
        image_blind: outcome.blind.as_ref().map(|found| found.pairs.clone()).unwrap_or_default(),
        mistakes: outcome.mistakes.clone(),
        recipe: recipe.to_toml(),
        versions: vec![
            ("basereward".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            (
                "device".to_owned(),
                format!("CPU, {} tier, {} threads", cpu.tier().name(), cpu.num_threads()),
            ),
            ("recipe (BLAKE3)".to_owned(), recipe.hash()),
        ],
        skipped: outcome
            .affected
            .iter()
            .map(|(reason, count)| (reason.clone(), *count as u64))
            .collect(),
    };
    let file = folder.join(REPORT_FILE);
    report::write(&file, &input).with_context(|| format!("cannot write `{}`", file.display()))
}
