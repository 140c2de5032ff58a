//! The `basereward` binary: arguments become one call, errors become an exit code.
//!
//! Exit codes: 0 fine, 1 a check failed or a row could not be scored, 2 usage or configuration, 3 environment.

mod arguments;
mod bench;
mod data;
mod demo;
mod doctor;
mod eval;
mod init;
mod inspect;
mod interrupt;
mod loaded;
mod memory;
mod output;
mod progress;
mod random;
mod score;
mod serve;
mod sheet;
mod train;

use arguments::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    engine::give_back_large_blocks();
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Command::Demo(args) => demo::run(args),
        Command::Data(args) => data::run(args),
        Command::Train(args) => train::run(args),
        Command::Score(args) => score::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Init(args) => init::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Bench(args) => bench::run(args),
    };
    output::exit_code(outcome)
}
