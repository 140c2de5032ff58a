//! Times the preprocessing of one picture: `cargo run --release -p prompt --example preprocess -- FILE [MAX_PIXELS]`.

#![allow(clippy::print_stdout, reason = "an example talks to its user")]
fn main() {
    let path = std::env::args().nth(1).unwrap();
    prompt::picture::debug_time(&path);
}
