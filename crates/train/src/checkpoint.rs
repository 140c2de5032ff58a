//! Checkpoints of a run: a whole model folder, the optimizer's state, and where the run stands.
//!
//! `checkpoints/step-000123/` holds `model/`, `state.safetensors` and `state.json`. It is written under another name, flushed and
//! renamed, so that a crash at any moment leaves the older ones and no half one under a final name. `state.json` lists the
//! other files with their hashes; what does not match is damaged and never loaded.

mod manifest;
mod state;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::manifest::FileHash;
pub(crate) use self::state::StateTensors;
use crate::durable;
use crate::error::TrainError;
use crate::step::Trainer;
use crate::stream::Cursor;

const STATE_FILE: &str = "state.json";
const TENSORS_FILE: &str = "state.safetensors";
const MODEL_FOLDER: &str = "model";
const BEST_FILE: &str = "best.json";
const PREFIX: &str = "step-";

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    /// Version of this file's form.
    pub form: u32,
    /// Version of the program that wrote it.
    pub version: String,
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Epoch of the next row.
    pub epoch: u64,
    /// Place of the next row in its epoch's order.
    pub position: usize,
    /// Steps of the optimizer.
    pub optimizer_steps: u64,
    /// Rows of the data, unusable ones included.
    pub data_rows: usize,
    /// Bytes of the data files.
    pub data_bytes: u64,
    /// Hash of the recipe.
    pub recipe_blake3: String,
    /// The other files of the checkpoint.
    pub files: Vec<FileHash>,
}

/// Form of `state.json`.
pub(crate) const FORM: u32 = 2;

impl RunState {
    /// Where the next step begins.
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch, position: self.position }
    }
}

/// The best checkpoint by the held-out pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Its step.
    pub step: u64,
    /// Its accuracy on the held-out pairs.
    pub pairwise_accuracy: f64,
}

/// The checkpoints of a run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    keep_last: usize,
    /// A checkpoint whose model folder the running model still reads.
    in_use: Option<u64>,
}

impl Checkpoints {
    /// The checkpoints of the run in `run_folder`.
    pub fn new(run_folder: &Path, keep_last: usize) -> Self {
        Self { folder: run_folder.join("checkpoints"), keep_last, in_use: None }
    }

    /// Keeps the checkpoint of a step until [`Checkpoints::release`]: a model reads its frozen weights and its tokenizer from the
    /// folder that it was loaded from whenever it is written.
    pub(crate) fn hold(&mut self, step: u64) {
        self.in_use = Some(step);
    }

    /// Ends [`Checkpoints::hold`].
    pub(crate) fn release(&mut self) {
        self.in_use = None;
    }

    /// Folder of the checkpoint of a step.
    pub fn folder(&self, step: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{step:06}"))
    }

    /// Model folder of the checkpoint of a step.
    pub fn model_folder(&self, step: u64) -> PathBuf {
        self.folder(step).join(MODEL_FOLDER)
    }

    /// Steps that have a checkpoint, oldest first.
    ///
    /// # Errors
    /// A folder that cannot be read. Without a folder there are none.
    pub fn steps(&self) -> Result<Vec<u64>, TrainError> {
        let fault = |source| TrainError::read(&self.folder, source);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fault(error)),
        };
        let mut steps = Vec::new();
        for entry in entries {
            let name = entry.map_err(fault)?.file_name();
            let step =
                name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u64>().ok());
            steps.extend(step);
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// Writes the checkpoint of `state.step`; what is there of that step already is kept.
    ///
    /// # Errors
    /// Whatever the operating system says. Nothing else is changed then.
    pub(crate) fn save(
        &self,
        trainer: &Trainer,
        has_masters: bool,
        state: &RunState,
    ) -> Result<(), TrainError> {
        let place = self.folder(state.step);
        if place.exists() {
            return Ok(());
        }
        let partial = self.folder.join(format!(".{PREFIX}{:06}.partial", state.step));
        remove(&partial)?;
        let written = write_into(&partial, trainer, has_masters, state).and_then(|()| {
            fs::rename(&partial, &place)
                .and_then(|()| durable::sync_parent(&place))
                .map_err(|source| TrainError::write(&place, source))
        });
        if written.is_err() {
            // The error that led here is on its way to the caller; a leftover is removed by the next run.
            let _ = fs::remove_dir_all(&partial);
        }
        written
    }

    /// Removes all but the newest checkpoints, the best one and the one in use.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub(crate) fn prune(&self) -> Result<(), TrainError> {
        let best = self.best()?.map(|best| best.step);
        let steps = self.steps()?;
        let surplus = steps.len().saturating_sub(self.keep_last);
        let is_kept = |step: u64| Some(step) == best || Some(step) == self.in_use;
        for &step in steps[..surplus].iter().filter(|step| !is_kept(**step)) {
            // Renamed first: a crash in between leaves no half checkpoint under a final name.
            let place = self.folder(step);
            let doomed = self.folder.join(format!(".{PREFIX}{step:06}.removed"));
            fs::rename(&place, &doomed).map_err(|source| TrainError::write(&place, source))?;
            remove(&doomed)?;
        }
        Ok(())
    }

    /// Removes what interrupted runs left behind, and checkpoints after `step`.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub(crate) fn clean(&self, step: u64) -> Result<(), TrainError> {
        let fault = |source| TrainError::read(&self.folder, source);
        for entry in fs::read_dir(&self.folder).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(&format!(".{PREFIX}")) {
                remove(&entry.path())?;
            }
        }
        for later in self.steps()?.into_iter().filter(|later| *later > step) {
            remove(&self.folder(later))?;
        }
        if self.best()?.is_some_and(|best| best.step > step) {
            remove(&self.folder.join(BEST_FILE))?;
        }
        Ok(())
    }

    /// The best checkpoint, if any was judged.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn best(&self) -> Result<Option<Best>, TrainError> {
        let file = self.folder.join(BEST_FILE);
        match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| TrainError::Damaged { file, reason: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(TrainError::read(&file, error)),
        }
    }

    /// Says which checkpoint is the best.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub(crate) fn set_best(&self, best: Best) -> Result<(), TrainError> {
        let text = serde_json::to_vec(&best).expect("two numbers are JSON");
        durable::write(&self.folder.join(BEST_FILE), &text)
    }

    /// The newest whole checkpoint, and why newer ones are not used.
    ///
    /// # Errors
    /// No whole checkpoint.
    pub fn newest(&self) -> Result<(RunState, Vec<TrainError>), TrainError> {
        let mut refused = Vec::new();
        for step in self.steps()?.into_iter().rev() {
            match self.read_state(step) {
                Ok(state) => return Ok((state, refused)),
                Err(error) => refused.push(error),
            }
        }
        Err(refused.into_iter().next().unwrap_or_else(|| TrainError::NothingToResume {
            folder: self.folder.clone(),
            reason: "there is no checkpoint; begin a new run".to_owned(),
        }))
    }

    /// State of a checkpoint whose files are all as they were written.
    fn read_state(&self, step: u64) -> Result<RunState, TrainError> {
        let folder = self.folder(step);
        let file = folder.join(STATE_FILE);
        let text = fs::read(&file).map_err(|source| TrainError::read(&file, source))?;
        let damaged = |reason: String| TrainError::Damaged { file: file.clone(), reason };
        let state: RunState =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if state.form != FORM || state.step != step {
            return Err(damaged(format!(
                "it is of form {} and step {}, not {FORM} and {step}",
                state.form, state.step
            )));
        }
        manifest::verify(&folder, &state.files)?;
        Ok(state)
    }

    /// The tensors of the state of a checkpoint.
    ///
    /// # Errors
    /// A file that cannot be read, or tensors that are not those of the model.
    pub(crate) fn read_tensors(
        &self,
        step: u64,
        trainer: &Trainer,
    ) -> Result<StateTensors, TrainError> {
        state::read(&self.folder(step).join(TENSORS_FILE), trainer)
    }
}

fn write_into(
    partial: &Path,
    trainer: &Trainer,
    has_masters: bool,
    state: &RunState,
) -> Result<(), TrainError> {
    fs::create_dir_all(partial).map_err(|source| TrainError::write(partial, source))?;
    trainer.model.write(&partial.join(MODEL_FOLDER))?;
    state::write(&partial.join(TENSORS_FILE), trainer, has_masters)?;
    let state = RunState { files: manifest::of_folder(partial)?, ..state.clone() };
    let file = partial.join(STATE_FILE);
    let mut text = serde_json::to_vec_pretty(&state).expect("the state is plain data");
    text.push(b'\n');
    fs::write(&file, text).map_err(|source| TrainError::write(&file, source))?;
    durable::sync_tree(partial)
}

/// Removes a file or folder that may not be there.
fn remove(path: &Path) -> Result<(), TrainError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TrainError::write(path, error))
        }
        _ => Ok(()),
    }
}
