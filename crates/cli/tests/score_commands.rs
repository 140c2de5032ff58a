//! `bench score` on the tiny model, the help of every command, and the examples in it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};
use support::{Ended, Workplace, good_row, jpeg, lines};

const BENCH: [&str; 14] = [
    "bench",
    "score",
    "--model",
    "model",
    "--json",
    "--repeats",
    "3",
    "--responses",
    "3",
    "--words",
    "5-9",
    "--image-size",
    "56",
    "--threads",
];

fn bench(place: &Workplace, options: &[&str]) -> Value {
    let out = place.succeed(&[&BENCH[..], &["2"], options].concat()).out;
    serde_json::from_str(&out).unwrap()
}

#[test]
fn a_bench_report_has_every_number_and_they_agree() {
    let place = Workplace::with_model();
    for dtype in ["f32", "bf16"] {
        let report = bench(&place, &["--dtype", dtype]);
        let number = |key: &str| {
            let number = report[key].as_f64().unwrap_or_else(|| panic!("{key}: {report}"));
            assert!(number.is_finite() && number > 0.0, "{key}: {number}");
            number
        };
        let text = |key: &str| report[key].as_str().unwrap().to_owned();
        assert_eq!(text("basereward"), env!("CARGO_PKG_VERSION"));
        assert_eq!((text("model"), text("dtype")), ("model".to_owned(), dtype.to_owned()));
        assert!(["amx", "avx512_bf16", "avx512", "portable"].contains(&text("tier").as_str()));
        assert_eq!((report["threads"].as_u64(), report["responses"].as_u64()), (Some(2), Some(3)));
        // A picture of 56 x 56 pixels has 4 x 4 patches and 2 x 2 tokens.
        assert_eq!(report["patches"].as_u64(), Some(16));
        assert!(number("computed_tokens") < number("tokens"));
        let secs: Vec<f64> =
            report["secs"].as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect();
        assert_eq!(secs.len(), 3);
        let median = number("median_secs");
        assert!(secs.contains(&median) && secs.iter().filter(|one| **one <= median).count() >= 2);
        let close =
            |one: f64, other: f64| assert!((one / other - 1.0).abs() < 1e-9, "{one} {other}");
        close(number("responses_per_sec"), 3.0 / median);
        close(number("tokens_per_sec"), number("tokens") / median);
        close(number("gflop_per_sec"), number("gflop") / median);
        close(number("share_of_peak"), number("gflop_per_sec") / number("peak_gflop_per_sec"));
        assert!(number("share_of_peak") < 1.5);
        number("load_secs");
        if cfg!(target_os = "linux") {
            assert!(number("peak_resident_bytes") > 1e6);
        }
        assert_eq!(report.as_object().unwrap().len(), 19, "{report}");
    }
}

#[test]
fn a_bench_takes_its_load_from_a_row() {
    let place = Workplace::with_model();
    place.write("rows.jsonl", lines(&[good_row("a")]));
    let report = bench(&place, &["--rows", "rows.jsonl"]);
    let scored = place.succeed(&["score", "model", "rows.jsonl"]).rows();
    let tokens: u64 =
        scored[0]["tokens"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((report["responses"].as_u64(), report["tokens"].as_u64()), (Some(2), Some(tokens)));
}

#[test]
fn a_bench_table_names_model_time_and_speed() {
    let place = Workplace::with_model();
    let arguments: Vec<&str> = BENCH.into_iter().filter(|argument| *argument != "--json").collect();
    let out = place.succeed(&[&arguments[..], &["1"]].concat()).out;
    for label in ["model", "device", "load", "time", "responses/s", "tokens/s", "GFLOP/s"] {
        assert!(out.lines().any(|line| line.starts_with(&format!("{label} "))), "{label}: {out}");
    }
}

#[test]
fn a_bench_that_cannot_be_run_says_why() {
    let place = Workplace::with_model();
    for (arguments, expected) in [
        (vec!["--preset", "gpt"], "unknown preset `gpt`; use one of "),
        (vec!["--model", "no"], "`no` does not exist"),
        (vec!["--model", "model", "--rows", "no.jsonl"], "cannot read `no.jsonl`"),
    ] {
        let sentence = place.refused(&[vec!["bench", "score"], arguments].concat());
        assert!(sentence.contains(expected), "{sentence}");
    }
    for words in ["0", "9-5", "many", "5-"] {
        let ended = place.run(&["bench", "score", "--words", words]);
        assert_eq!(ended.code, 2);
        assert!(ended.err.contains("'--words <N|N-M>'"), "{}", ended.err);
    }
}

/// Every command and subcommand, found by asking for help.
fn commands(place: &Workplace, parent: &[String]) -> Vec<Vec<String>> {
    let help = help(place, parent);
    let names = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = names.take_while(|line| line.starts_with("  "));
    let mut all = vec![parent.to_vec()];
    for name in names.filter_map(|line| line.split_whitespace().next()) {
        if name != "help" {
            all.extend(commands(place, &[parent, &[name.to_owned()]].concat()));
        }
    }
    all
}

fn help(place: &Workplace, command: &[String]) -> String {
    let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    arguments.push("--help");
    let ended = place.succeed(&arguments);
    assert_eq!(ended.err, "");
    assert!(ended.out.contains("Usage: basereward"), "{}", ended.out);
    ended.out
}

#[test]
fn every_command_has_help() {
    let place = Workplace::new();
    let commands = commands(&place, &[]);
    let named: Vec<String> = commands.iter().map(|command| command.join(" ")).collect();
    for expected in ["score", "init", "inspect", "doctor", "bench score"] {
        assert!(named.iter().any(|name| name == expected), "{named:?}");
    }
    assert_eq!(
        place.succeed(&["--version"]).out.trim(),
        concat!("basereward ", env!("CARGO_PKG_VERSION"))
    );
    let nothing = place.run(&[]);
    assert_eq!(nothing.code, 2);
    assert!(nothing.err.contains("Usage: basereward"), "{}", nothing.err);
}

#[test]
fn the_examples_of_score_work_as_they_stand() {
    let place = Workplace::with_model();
    fs::rename(place.path("model"), place.path("MODEL")).unwrap();
    place.write("photo.jpg", jpeg());
    place.write("rows.jsonl", lines(&[good_row("a"), good_row("b")]));
    let help = help(&place, &["score".to_owned()]);
    let examples: Vec<&str> =
        help.lines().skip_while(|line| *line != "Examples:").skip(1).map(str::trim).collect();
    assert!(examples.len() >= 3, "{help}");
    assert!(
        help.contains("A row is a line of JSON") && help.contains("\"error\": sentence"),
        "{help}"
    );
    for example in examples {
        let ended = shell(&place, example);
        assert_eq!(ended.code, 0, "{example}: {}", ended.err);
    }
    assert_eq!(place.read("scores.jsonl").lines().count(), 2);
}

/// Runs a line of help as a person would.
fn shell(place: &Workplace, line: &str) -> Ended {
    let line = line.replace("basereward", env!("CARGO_BIN_EXE_basereward"));
    let mut command = Command::new("sh");
    command.args(["-c", &line]).current_dir(place.path(".")).stdin(Stdio::null());
    Ended::of(command.output().unwrap())
}

#[test]
fn every_example_uses_options_that_exist() {
    let place = Workplace::new();
    for command in commands(&place, &[]) {
        let help = help(&place, &command);
        for line in help.lines().filter(|line| line.starts_with("  basereward ")) {
            // Parsed up to --help, nothing is run.
            let ended = shell(&place, &format!("{line} --help"));
            assert_eq!(ended.code, 0, "{line}: {}", ended.err);
        }
    }
}
