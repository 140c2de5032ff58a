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
            complain(&sentence(&error));
            ExitCode::from(if is_environment(&error) { 3 } else { 2 })
        }
    }
}

/// An error with its causes. A cause that the words before it have told is not told again.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let join = |told: String, cause: String| {
        if told.contains(&cause) { told } else { format!("{told}: {cause}") }
    };
    error.chain().map(ToString::to_string).reduce(join).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;
    use ::serve::server::StartError;
    use std::io;

    #[test]
    fn a_cause_is_told_once() {
        let cause = || io::Error::other("no such thing");
        let told = StartError::Thread { source: cause() };
        let expected = "cannot start the thread of the model: no such thing";
        assert_eq!(sentence(&anyhow::Error::new(told)), expected);
        let within = anyhow::Error::new(StartError::Root { source: cause() }).context("here");
        assert_eq!(
            sentence(&within),
            "here: a folder of --allow-path cannot be used: no such thing; give folders that exist"
        );
        let plain = anyhow::Error::new(cause()).context("cannot go on");
        assert_eq!(sentence(&plain), "cannot go on: no such thing");
    }
}
