//! Ctrl-C: the first asks the work to stop as soon as nothing is lost, the second ends the program at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::output::complain;

/// Exit code of a program that a signal ended, as shells give it.
const INTERRUPTED: i32 = 130;

/// A flag that Ctrl-C raises; then `sentence` tells what goes on until the end.
pub(crate) fn flag(sentence: &'static str) -> anyhow::Result<&'static AtomicBool> {
    static STOP: AtomicBool = AtomicBool::new(false);
    static SENTENCE: OnceLock<&str> = OnceLock::new();
    if SENTENCE.set(sentence).is_ok() {
        ctrlc::set_handler(|| {
            if STOP.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
            complain(SENTENCE.get().copied().unwrap_or_default());
        })
        .context("cannot listen for Ctrl-C")?;
    }
    Ok(&STOP)
}
