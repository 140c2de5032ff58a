//! A reward model whose parameters can be changed: forward, backward, update, and writing it back as a folder.
//!
//! The loss, the optimizer and the data are the caller's. The forward pass is that of [`RewardModel::score`], on a tape that
//! records.
//!
//! NUMERICS: every trained parameter has an f32 master here, whatever the compute type; layers hold it packed and rounded. A low-rank
//! addition is trained without ever running beside its weight: the packed weight is the sum, so what is trained is what
//! is written.

mod masters;
mod write;

use engine::{DType, Device, Gradients, Matrix, Recompute, Tape};
use prompt::Encoded;
use std::path::{Path, PathBuf};

use self::masters::Masters;
pub use self::masters::{LoraOptions, ParameterInfo, Part, TrainingOptions};
use crate::checkpoint::{Checkpoint, LM_HEAD};
use crate::config::Config;
use crate::error::{LoadError, ScoreError, WriteError};
use crate::head_layout;
use crate::reward_model::RewardModel;
use crate::trace::Blind;
use crate::write::Written;

/// A model and the masters of what is trained in it.
#[derive(Debug)]
pub struct TrainableModel {
    model: RewardModel,
    masters: Masters,
    /// Frozen weights are read from here again, when something is packed with them or written.
    checkpoint: Checkpoint,
    folder: PathBuf,
    device: Device,
    dtype: DType,
    recompute: Recompute,
}

/// Why a gradient could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum GradientError<E> {
    /// A conversation that the model cannot take.
    #[error(transparent)]
    Score(ScoreError),
    /// The loss refused the rewards.
    #[error(transparent)]
    Loss(E),
}

impl TrainableModel {
    /// Loads a folder as strictly as [`RewardModel::load`].
    ///
    /// # Errors
    /// As there, and LoRA targets that no trained part of the model has.
    pub fn load(
        folder: &Path,
        device: &Device,
        dtype: DType,
        options: &TrainingOptions,
    ) -> Result<Self, LoadError> {
        let config = Config::read(folder)?;
        let checkpoint = Checkpoint::open(folder)?;
        let head = head_layout::read(&checkpoint, &config)?;
        let mut model = RewardModel::from_checkpoint(&checkpoint, &config, &head, device, dtype)?;
        checkpoint.skip(LM_HEAD, &[config.text.vocab_size, config.text.hidden_size])?;
        checkpoint.finish()?;
        let masters = Masters::new(&mut model, &checkpoint, &head, options)?;
        // The embedding table shares its master's memory; all else is packed already.
        masters.share_tables(&mut model);
        // What has been read of the mapped files stays in memory for as long as they are mapped: only frozen tensors are
        // looked at again.
        drop(checkpoint);
        let checkpoint = Checkpoint::open(folder)?;
        Ok(Self {
            model,
            masters,
            checkpoint,
            folder: folder.to_owned(),
            device: device.clone(),
            dtype,
            recompute: options.recompute,
        })
    }

    /// The model as it is now.
    pub fn model(&self) -> &RewardModel {
        &self.model
    }

    /// Storage type of activations and packed weights.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// What is trained, by id.
    pub fn parameters(&self) -> &[ParameterInfo] {
        &self.masters.infos
    }

    /// The f32 master of a parameter, by its place in [`Self::parameters`].
    pub fn value(&self, index: usize) -> &Matrix {
        &self.masters.values[index]
    }

    /// Zero gradients for all parameters.
    pub fn gradients(&self) -> Gradients {
        let shapes: Vec<(usize, usize)> =
            self.masters.infos.iter().map(|info| (info.rows, info.cols)).collect();
        let tables = self.masters.tables.iter().copied();
        tables.fold(Gradients::new(&shapes), Gradients::with_table)
    }

    /// Scores conversations, asks `loss` for the gradient of a loss by each reward, and adds the gradients by all trained parameters to
    /// `gradients`. Returns the rewards.
    ///
    /// Equal beginnings and pictures are computed once, forward and backward.
    ///
    /// # Errors
    /// As [`RewardModel::score`], except that rewards which are not finite are the loss's to judge; and
    /// whatever the loss says.
    ///
    /// # Panics
    /// If the loss gives another number of gradients than it got rewards.
    pub fn rewards_and_gradients<E: Send>(
        &self,
        conversations: &[&Encoded],
        loss: impl FnOnce(&[f32]) -> Result<Vec<f32>, E> + Send,
        gradients: &mut Gradients,
    ) -> Result<Vec<f32>, GradientError<E>> {
        self.model.check(conversations).map_err(GradientError::Score)?;
        if conversations.is_empty() {
            return Ok(Vec::new());
        }
        self.device.run(|| {
            let tree = self.model.pack(conversations);
            let tokens: Vec<usize> =
                conversations.iter().map(|one| self.model.score_token(one)).collect();
            let mut tape = Tape::recording(&self.device, self.recompute);
            let result = self.model.forward(&mut tape, &tree, &tokens, &mut Blind);
            let rewards = result.value().to_f32();
            let gradient = loss(&rewards).map_err(GradientError::Loss)?;
            let gradient = Matrix::from_vec(rewards.len(), 1, gradient);
            tape.backward(&result, gradient, gradients);
            Ok(rewards)
        })
    }

    /// Changes the masters, and packs what they are part of again.
    pub fn update(&mut self, change: impl FnOnce(&mut [Matrix])) {
        let Self { model, masters, checkpoint, device, .. } = self;
        masters.change(model, change);
        masters.pack(model, checkpoint, device);
    }

    /// Writes the model as a folder, low-rank additions merged and the head included; a frozen tensor keeps its stored type, a
    /// trained matrix is stored in the compute type, everything else in f32, so that the folder scores with the same bits.
    ///
    /// # Errors
    /// An output that is not empty, and whatever the operating system says.
    pub fn write(&self, folder: &Path) -> Result<Written, WriteError> {
        write::write(self, folder)
    }
}
