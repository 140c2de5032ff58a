//! Whether the server is ready, stopping, or has lost its model.
//!
//! Flags only; who raises them and why is decided elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};

/// Where a server is in its life.
#[derive(Debug, Default)]
pub struct Lifecycle {
    draining: AtomicBool,
    model_lost: AtomicBool,
}

impl Lifecycle {
    /// Says that no new requests are taken.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether no new requests are taken.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Says that the thread of the model has ended.
    pub(crate) fn lose_model(&self) {
        self.model_lost.store(true, Ordering::Release);
    }

    /// Whether a request would be scored.
    pub fn is_ready(&self) -> bool {
        !self.is_draining() && !self.model_lost.load(Ordering::Acquire)
    }
}
