//! `--dry-run`: the resolved recipe and what the run would take.

use std::time::Duration;

use engine::Device;
use model::config::{Config, RewardHeadConfig};
use model::preset;
use page::number;
use train::plan::{Sample, elements, memory, probe, sample};
use train::prepare::Preparer;
use train::recipe::{ModelRecipe, Recipe};
use train::run_data::RunData;

use super::start;
use crate::output::sentence;
use crate::sheet::{self, Sheet};

/// Comparisons that are read for the plan.
const SAMPLE: usize = 64;
/// Models of up to this many parameters are probed; a larger one would take minutes to load.
const PROBED_PARAMETERS: u64 = 500_000_000;

/// The whole text.
pub(super) fn text(recipe: &Recipe, device: &Device) -> anyhow::Result<String> {
    let mut sheet = Sheet::default();
    sheet.title("Plan");
    match prepared(recipe, &mut sheet) {
        Ok(found) => measured(recipe, device, &found, &mut sheet)?,
        // A plan for data that is not there yet still shows the recipe and the sizes.
        Err(reason) => {
            sizes(recipe, &mut sheet);
            sheet.row("data", format!("not measured: {}", sentence(&reason)));
        }
    }
    let text = sheet.into_text();
    Ok(format!("{}\n{text}", recipe.to_toml()))
}

/// A model folder, possibly a temporary one, with the data prepared for it.
struct Found {
    folder: std::path::PathBuf,
    _scratch: tempfile::TempDir,
    preparer: Preparer,
    steps: u64,
    sample: Sample,
    comparisons: Vec<train::prepare::Prepared>,
}

fn prepared(recipe: &Recipe, sheet: &mut Sheet) -> anyhow::Result<Found> {
    let scratch = tempfile::tempdir()?;
    let folder = start::model_folder(recipe, &scratch.path().join("run"))?;
    let data = RunData::open(&recipe.data, recipe.run.seed)?;
    let preparer = Preparer::load(&folder, &recipe.data)?;
    let (sample, comparisons) = sample(recipe, &data, &preparer, SAMPLE)?;
    let (train, held_out) = (data.train().1.len(), data.held_out().1.len());
    let steps = recipe.total_steps(train);
    sheet.row(
        "rows",
        format!(
            "{} to train on, {} held out",
            number::count(train as u64),
            number::count(held_out as u64)
        ),
    );
    sheet.row("format", data.format());
    sheet.row("steps", format!("{steps} of {} comparisons", recipe.run.comparisons_per_step));
    Ok(Found { folder, _scratch: scratch, preparer, steps, sample, comparisons })
}

fn row_of_parameters(recipe: &Recipe, config: &Config, head: &RewardHeadConfig, sheet: &mut Sheet) {
    let elements = elements(config, head, recipe);
    let (all, trained) = (number::count(elements.all), number::count(elements.trained));
    sheet.row("parameters", format!("{all}, of which {trained} are trained"));
}

/// What is known from the recipe and, where it is there, the model's configuration.
fn sizes(recipe: &Recipe, sheet: &mut Sheet) {
    let Some((config, head)) = shapes(recipe, sheet) else { return };
    row_of_parameters(recipe, &config, &head, sheet);
    let rows = recipe.run.tokens_per_batch;
    // Four patches make one token; a batch that is all pictures is the most that there can be.
    rows_of_memory("memory at most", &memory(&config, &head, recipe, rows, 4 * rows), sheet);
}

fn shapes(recipe: &Recipe, sheet: &mut Sheet) -> Option<(Config, RewardHeadConfig)> {
    match &recipe.model {
        ModelRecipe::Random(random) => {
            let config = preset::by_name(&random.preset)?;
            let head = random.head.config(config.text.hidden_size);
            Some((config, head))
        }
        ModelRecipe::Folder(folder) => {
            let config = Config::read(&folder.path).ok().or_else(|| {
                let name = folder.path.file_name()?.to_string_lossy().to_lowercase();
                let preset = preset::names().find(|preset| name.starts_with(preset))?;
                sheet
                    .row("model", format!("not there yet; sizes are those of the preset {preset}"));
                preset::by_name(preset)
            })?;
            let head = folder.head.as_ref().map(|head| head.config(config.text.hidden_size));
            Some((config.clone(), head.or(config.reward_head)?))
        }
    }
}

fn rows_of_memory(label: &str, memory: &train::plan::Memory, sheet: &mut Sheet) {
    sheet.row(
        label,
        format!(
            "{}: weights {}, masters {}, gradients {}, optimizer {}, activations {}",
            sheet::bytes(memory.total()),
            sheet::bytes(memory.weights),
            sheet::bytes(memory.masters),
            sheet::bytes(memory.gradients),
            sheet::bytes(memory.optimizer),
            sheet::bytes(memory.activations)
        ),
    );
}

fn measured(
    recipe: &Recipe,
    device: &Device,
    found: &Found,
    sheet: &mut Sheet,
) -> anyhow::Result<()> {
    let Sample {
        mean_packed_rows,
        mean_separate_tokens,
        mean_pairs,
        mean_patches,
        max_packed_rows,
        mean_micro_batches,
        comparisons,
        affected,
    } = &found.sample;
    let step = recipe.run.comparisons_per_step as f64;
    sheet.row("comparison", format!(
        "{mean_pairs:.1} pairs, {mean_packed_rows:.0} packed tokens ({mean_separate_tokens:.0} one by one), {mean_patches:.0} patches; the largest of {comparisons} has {max_packed_rows} packed tokens"
    ));
    if *affected > 0 {
        sheet.row("left out or changed", format!("{affected} of the sample"));
    }
    sheet.row(
        "step",
        format!("{:.0} packed tokens in {mean_micro_batches:.1} batches", step * mean_packed_rows),
    );
    let config = Config::read(&found.folder)?;
    let head = config
        .reward_head
        .unwrap_or_else(|| train::recipe::HeadRecipe::default().config(config.text.hidden_size));
    row_of_parameters(recipe, &config, &head, sheet);
    let batch = (step / mean_micro_batches.max(1.0)).ceil();
    let (rows, patches) = ((batch * mean_packed_rows) as usize, (batch * mean_patches) as usize);
    rows_of_memory("memory", &memory(&config, &head, recipe, rows, patches), sheet);
    if elements(&config, &head, recipe).all > PROBED_PARAMETERS {
        sheet.row("time", "not measured: the model is too large to be tried out here");
        return Ok(());
    }
    let Found { folder, preparer, steps, comparisons, .. } = found;
    let probe = probe(recipe, folder, device, preparer, comparisons.clone())?;
    let total = Duration::from_secs_f64(probe.step_secs * *steps as f64);
    sheet.row(
        "time",
        format!(
            "{} for all steps, {:.3} s each, {:.0} packed tokens/s (measured on one step)",
            sheet::seconds(total),
            probe.step_secs,
            probe.tokens_per_sec
        ),
    );
    Ok(())
}
