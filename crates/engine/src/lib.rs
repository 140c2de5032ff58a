//! The arithmetic of `basereward`: packed rows, a closed list of operations, CPU kernels.
//!
//! This is not a tensor library: every activation is a [`Matrix`] `[rows, features]`, and the operations are the
//! ones that the models need. What is promised of them: a row of a result has the same bits whichever other rows
//! are computed beside it and however many threads compute it.
//!
//! # Shapes
//! Legend: `rows` are tokens or patches of all sequences of a call, packed without padding; `in` and `out` are
//! features; `k` is the summed dimension of a product.

#![expect(
    clippy::inline_always,
    reason = "loops are compiled for each instruction set, which needs their bodies inlined"
)]

mod buffers;
mod device;
mod math;
mod matrix;
mod ops;
mod parallel;
mod parameters;
mod peak;
mod product;
mod tape;

pub use buffers::give_back_large_blocks;
pub use device::{Cpu, Device, DeviceError, TIER_VARIABLE, Tier};
pub use matrix::{DType, Element, Matrix};
pub use ops::activation::{Activation, activate};
pub use ops::attention::{AttentionLayout, Heads, Segment, Visible, attention};
pub use ops::embedding::Embedding;
pub use ops::linear::{GatedLinear, Linear};
pub use ops::log_prob::LogProb;
pub use ops::rms_norm::RmsNorm;
pub use ops::rotary::{RotaryTable, rotate};
pub use ops::rows::{append_rows, copy_rows, gather_rows};
pub use ops::weight::RowSource;
pub use parameters::{Gradient, Gradients, Link, LowRank, ParameterId, RowGradient, Trainable};
pub use peak::measure_peak;
pub use tape::{Recompute, Tape, Var};
