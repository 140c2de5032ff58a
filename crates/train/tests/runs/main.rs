//! Whole runs with the tiny model: what they learn, what they list, and how they go on after a stop.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod planning;
mod resuming;
mod running;
mod scene;
