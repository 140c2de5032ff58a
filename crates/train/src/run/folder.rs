//! The run folder: making it, and checking that a resumed run is the one that it holds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RunRequest;
use crate::durable;
use crate::error::TrainError;
use crate::recipe::{Recipe, changed_keys};

/// The resolved recipe.
pub const RECIPE_FILE: &str = "recipe.toml";
/// How the run began.
pub const RUN_FILE: &str = "run.json";

/// How a run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// Version of the program that began the run.
    pub version: String,
    /// Folder of the weights that it began with.
    pub start_model: PathBuf,
    /// Instructions of its matrix products.
    pub cpu_tier: String,
    /// Hash of the recipe that it began with.
    pub recipe_blake3: String,
}

/// Makes the folder of a new run. What the command line put there for the run (`start`) may be there.
pub(super) fn create(request: RunRequest<'_>, model: &Path) -> Result<(), TrainError> {
    let folder = request.folder;
    let occupied = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(Result::ok).any(|entry| !model.starts_with(entry.path())),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    };
    if occupied {
        return Err(TrainError::OutputOccupied { folder: folder.to_owned() });
    }
    fs::create_dir_all(folder).map_err(|source| TrainError::write(folder, source))?;
    let start_model =
        std::path::absolute(model).map_err(|source| TrainError::read(model, source))?;
    let file = RunFile {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        start_model,
        cpu_tier: request.device.as_cpu().tier().name().to_owned(),
        recipe_blake3: request.recipe.hash(),
    };
    let mut text = serde_json::to_vec_pretty(&file).expect("the file is plain data");
    text.push(b'\n');
    save_recipe(request)?;
    durable::write(&folder.join(RUN_FILE), &text)
}

/// Writes the resolved recipe into the folder.
pub(super) fn save_recipe(request: RunRequest<'_>) -> Result<(), TrainError> {
    durable::write(&request.folder.join(RECIPE_FILE), request.recipe.to_toml().as_bytes())
}

/// Checks that the folder holds a run by this recipe; gives the folder of the weights that it began with.
pub(super) fn check(request: RunRequest<'_>) -> Result<PathBuf, TrainError> {
    let folder = request.folder;
    let file = folder.join(RUN_FILE);
    let text = fs::read(&file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => TrainError::NothingToResume {
            folder: folder.to_owned(),
            reason: format!("`{RUN_FILE}` is missing"),
        },
        _ => TrainError::read(&file, error),
    })?;
    let run: RunFile = serde_json::from_slice(&text)
        .map_err(|error| TrainError::Damaged { file: file.clone(), reason: error.to_string() })?;
    let saved = Recipe::read(&folder.join(RECIPE_FILE), &[])?;
    let keys = changed_keys(&saved, request.recipe);
    if !keys.is_empty() {
        let keys = TrainError::list(keys.iter().map(String::as_str));
        return Err(TrainError::RecipeChanged { keys });
    }
    Ok(run.start_model)
}
