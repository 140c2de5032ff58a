//! What leaves the program: data on stdout, errors on stderr, an exit code.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// How a command ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done.
    Fine,
    /// It ran to its end, but a check failed or a row could not be scored.
    CheckFailed,
}

/// Turns the end of a command into an exit code, and says what went wrong.
pub(crate) fn exit_code(outcome: anyhow::Result<Outcome>) -> ExitCode {
    match outcome {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::CheckFailed) => ExitCode::from(1),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(if is_environment(&error) { 3 } else { 2 })
        }
    }
}

/// One sentence on stderr.
pub(crate) fn complain(sentence: &str) {
    // Nothing is left to do when stderr itself is gone.
    let _ = writeln!(std::io::stderr(), "basereward: {sentence}");
}

/// Writes a finished text to stdout.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// A reader such as `head` that has seen enough is no error.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

/// The machine's fault rather than the caller's: no threads, no tier, a disk that is full.
fn is_environment(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<engine::DeviceError>()
            || cause.downcast_ref::<std::io::Error>().is_some_and(|cause| {
                matches!(
                    cause.kind(),
                    ErrorKind::StorageFull
                        | ErrorKind::QuotaExceeded
                        | ErrorKind::ReadOnlyFilesystem
                        | ErrorKind::OutOfMemory
                )
            })
    })
}
