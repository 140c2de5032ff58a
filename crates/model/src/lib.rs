//! Reward models: a Qwen2.5-VL backbone, a reward head, and the exact sharing of common prefixes.
//!
//! [`RewardModel::load`] reads a Hugging Face folder strictly, [`RewardModel::score`] turns encoded conversations into
//! rewards. Files other than safetensors and JSON configurations are unknown here; so are datasets.
//!
//! # Shapes
//! Legend: `rows` are packed tokens of all conversations of a call; `patches` are of one picture; `hidden` is the
//! width of the residual stream.

mod carried;
pub mod checkpoint;
pub mod config;
mod error;
mod flops;
mod head;
pub mod head_layout;
mod identity;
mod language;
mod prefix_cache;
mod prefix_tree;
pub mod preset;
pub mod probe;
mod reward_model;
mod trace;
pub mod training;
mod vision;
mod weights;
pub mod write;

pub use error::{LoadError, ScoreError, WriteError};
pub use head::RewardHead;
pub use prefix_cache::{CacheCounts, PrefixCache};
pub use prefix_tree::PrefixTree;
pub use reward_model::{RewardModel, Scored, vision_tokens};
pub use trace::Observer;
