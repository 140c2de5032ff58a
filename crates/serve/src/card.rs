//! What people are told of a model besides its name and its hashes.
//!
//! Plain data; whoever starts the server knows where it stands.

use serde::Serialize;
use utoipa::ToSchema;

/// Facts on a model.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Card {
    /// Numbers in its tensors.
    pub parameters: u64,
    /// Bytes of its tensors.
    pub size_bytes: u64,
    /// Its reward head in words.
    #[schema(examples("2 layers, silu, read at end_of_turn"))]
    pub head: String,
    /// Figures of its training run; absent when its folder is not the checkpoint of a run that was evaluated at this step.
    pub training: Option<Training>,
}

/// Figures of the training run at the step that is served.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Training {
    /// Optimizer steps.
    pub step: u64,
    /// Part of the held-out pairs whose better answer got the higher reward, from 0 to 1.
    pub pairwise_accuracy: f64,
    /// Mean loss on the held-out pairs.
    pub loss: f64,
    /// Mean difference of the rewards of a held-out pair.
    pub margin_mean: f64,
    /// Held-out pairs.
    pub pairs: u64,
}
