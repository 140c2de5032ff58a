//! Training of reward models: losses, optimizer, recipes, and runs that can be stopped and resumed.
//!
//! A [`recipe::Recipe`] says everything about a run, and [`run::run`] does it. Models, data files and prompts are other crates'
//! business; arguments, drawing and signals are the command line's.

pub mod batches;
pub mod checkpoint;
pub mod diagnose;
mod durable;
mod error;
pub mod held_out;
pub mod loss;
pub mod metrics;
pub mod optimizer;
pub mod plan;
pub mod prepare;
pub mod recipe;
pub mod report;
pub mod run;
pub mod run_data;
pub mod schedule;
mod skipped;
pub mod step;
pub mod stream;

pub use error::TrainError;
pub use skipped::{SKIPPED_FILE, SkippedLine};
