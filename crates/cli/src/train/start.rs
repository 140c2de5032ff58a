//! The reward-model folder that a run begins with: the one that the recipe names, or one made beside the run.

use std::path::{Path, PathBuf};

use anyhow::bail;
use model::checkpoint::StorageType;
use model::config::Config;
use model::write;
use train::recipe::{FolderModel, ModelRecipe, Recipe};

use crate::init::{self, RandomModel};

/// Folder inside of a run for weights that were made for it.
const START_FOLDER: &str = "start";

/// Makes what the recipe asks for, if it is not a finished folder; `run_folder` must not hold anything else yet.
pub(crate) fn model_folder(recipe: &Recipe, run_folder: &Path) -> anyhow::Result<PathBuf> {
    let out = run_folder.join(START_FOLDER);
    match &recipe.model {
        ModelRecipe::Folder(FolderModel { path, head: None }) => return Ok(path.clone()),
        ModelRecipe::Folder(FolderModel { path, head: Some(head) }) => {
            refuse_occupied(run_folder)?;
            let config = Config::read(path)?;
            let head = head.config(config.text.hidden_size);
            write::attach_head(path, &head, recipe.run.seed, &out)?;
        }
        ModelRecipe::Random(random) => {
            if !init::is_preset(&random.preset) {
                let known = init::preset_list();
                bail!("`model.random.preset` is `{}`; use one of {known}", random.preset);
            }
            refuse_occupied(run_folder)?;
            let preset = RandomModel {
                preset: &random.preset,
                side_files: random.processor.as_deref(),
                seed: recipe.run.seed,
                storage_type: StorageType::F32,
                out: &out,
            };
            preset.write(|config| Ok(random.head.config(config.text.hidden_size)))?;
        }
    }
    Ok(out)
}

/// A run that was begun before must not get other weights under it.
fn refuse_occupied(run_folder: &Path) -> anyhow::Result<()> {
    if write::is_occupied(run_folder) {
        bail!(
            "`{}` is not empty; resume the run in it with --resume, or give another `run.output`",
            run_folder.display()
        );
    }
    Ok(())
}
