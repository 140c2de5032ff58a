//! The repository's own tool: `cargo run -p xtask -- tidy` checks what no compiler checks.
//!
//! Nothing here is needed to build, test or run `basereward`.

mod tidy;

use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- tidy";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments != ["tidy"] {
        writeln!(std::io::stderr(), "{USAGE}")?;
        return Ok(ExitCode::from(2));
    }
    tidy()
}

fn tidy() -> anyhow::Result<ExitCode> {
    let files = tidy::files::of_repository()?;
    let findings = tidy::check(&files);
    let mut stdout = std::io::stdout().lock();
    for finding in &findings {
        writeln!(stdout, "{finding}")?;
    }
    writeln!(std::io::stderr(), "tidy: {} files, {} findings", files.len(), findings.len())?;
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
