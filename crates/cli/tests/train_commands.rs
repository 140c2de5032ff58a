//! `train`, `bench train`, `doctor --data` and `demo` as a person runs them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use support::{Workplace, rows_of};

/// A run of the tiny golden model on a few pairs, in seconds.
const RECIPE: &str = "\
[model.folder]
path = 'model'

[data]
train = ['pairs.jsonl']
validation_fraction = 0.2

[trainable]
vision = {}
merger = {}
language = {}

[optimizer.adamw]
learning_rate = 1e-3

[run]
output = 'run'
steps = 8
comparisons_per_step = 3
compute_type = 'f32'
save_every_steps = 1
keep_last_checkpoints = 3
";

fn workplace() -> Workplace {
    let place = Workplace::with_model();
    place.write("recipe.toml", RECIPE);
    let pictures = ["circle.png", "square.png", "odd_tall.png", "odd_wide.png"];
    let mut pairs = String::new();
    for i in 0..16 {
        let picture = pictures[i % pictures.len()];
        let row = serde_json::json!({
            "id": format!("pair-{i}"), "images": [format!("images/{picture}")],
            "prompt": format!("What is shown, {i}?"), "chosen": "A shape.", "rejected": format!("{i} dogs."),
        });
        pairs += &row.to_string();
        pairs.push('\n');
    }
    place.write("pairs.jsonl", pairs);
    place
}

fn last_model(place: &Workplace, run: &str) -> Vec<u8> {
    fs::read(place.path(run).join("checkpoints/step-000008/model/model.safetensors")).unwrap()
}

#[test]
fn a_run_leaves_a_model_metrics_and_a_report() {
    let place = workplace();
    let ended = place.succeed(&["train", "recipe.toml"]);
    assert!(ended.out.contains("held-out accuracy"), "{}", ended.out);
    let metrics = rows_of(&place.read("run/metrics.jsonl"));
    let steps: Vec<u64> = metrics.iter().map(|row| row["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, (1..=8).collect::<Vec<_>>());
    for key in ["train/loss", "train/grad_norm", "train/learning_rate", "perf/tokens_per_sec"] {
        assert!(metrics.iter().all(|row| row[key].as_f64().is_some()), "{key}");
    }
    assert!(metrics[7]["eval/pairwise_accuracy"].as_f64().is_some());
    let report = place.read("run/report.html");
    assert!(report.contains("<svg") && report.contains("comparisons_per_step"), "{report}");
    let model = "run/checkpoints/step-000008/model";
    let picture = "images/circle.png";
    let score =
        ["score", model, "--image", picture, "--prompt", "What?", "--response", "A circle."];
    place.succeed(&score);
}

#[test]
fn a_killed_run_goes_on_to_the_same_bits() {
    let place = workplace();
    place.succeed(&["train", "recipe.toml", "--set", "run.output=whole"]);
    let mut command = place.command(&["train", "recipe.toml"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    // SIGKILL somewhere after the third checkpoint, whatever the run does at that moment.
    let third = lines.map_while(Result::ok).find(|line| line.contains("step 3: saved"));
    assert!(third.is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    place.succeed(&["train", "--resume", "run"]);
    assert!(last_model(&place, "run") == last_model(&place, "whole"), "other weights");
    let losses = |run: &str| -> Vec<Value> {
        let rows = rows_of(&place.read(&format!("{run}/metrics.jsonl")));
        rows.iter().map(|row| row["train/loss"].clone()).collect()
    };
    assert_eq!(losses("run"), losses("whole"));
}

#[test]
fn mistakes_in_a_recipe_are_shown_where_they_stand() {
    let place = workplace();
    place.write("recipe.toml", RECIPE.replace("learning_rate", "learning_rat"));
    let ended = place.run(&["train", "recipe.toml"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    for part in ["recipe.toml:14", "learning_rat = 1e-3", "^^^"] {
        assert!(ended.err.contains(part), "`{part}` is not in {}", ended.err);
    }
    place.write("recipe.toml", RECIPE);
    let ended = place.run(&["train", "recipe.toml", "--set", "run.stepps=3"]);
    assert!(ended.code == 2 && ended.err.contains("run.stepps"), "{}", ended.err);
}

#[test]
fn a_resumed_run_with_another_recipe_is_refused_by_the_key() {
    let place = workplace();
    place.succeed(&["train", "recipe.toml"]);
    let set = "optimizer.adamw.learning_rate=2e-3";
    let sentence = place.refused(&["train", "recipe.toml", "--resume", "run", "--set", set]);
    assert!(sentence.contains("optimizer.adamw.learning_rate"), "{sentence}");
    let sentence = place.refused(&["train", "recipe.toml"]);
    assert!(sentence.contains("`run`"), "{sentence}");
}

#[test]
fn a_dry_run_prints_the_recipe_and_a_plan_and_writes_nothing() {
    let place = workplace();
    let ended = place.succeed(&["train", "recipe.toml", "--dry-run", "--set", "run.steps=5"]);
    for part in ["steps = 5", "beta2 = 0.999", "packed tokens", "activations", "each"] {
        assert!(ended.out.contains(part), "`{part}` is not in {}", ended.out);
    }
    assert!(!place.path("run").exists());
}

#[test]
fn the_recipe_of_the_paper_has_a_plan_before_its_data_is_there() {
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/basereward_7b.toml");
    let ended = Workplace::new().succeed(&["train", recipe, "--dry-run"]);
    for part in
        ["learning_rate = 0.000003", "comparisons_per_step = 128", "qwen2.5-vl-7b", "optimizer"]
    {
        assert!(ended.out.contains(part), "`{part}` is not in {}", ended.out);
    }
}

#[test]
fn a_bench_of_training_reports_time_and_memory() {
    let place = Workplace::with_model();
    let options = ["--pairs", "2", "--image-size", "56", "--words", "5", "--steps", "1", "--json"];
    for recompute in [&[][..], &["--recompute"], &["--recompute=groups"]] {
        let out =
            place.succeed(&[&["bench", "train", "model"], &options[..], recompute].concat()).out;
        let report: Value = serde_json::from_str(&out).unwrap();
        for key in ["pairs_per_second", "step_seconds", "peak_resident_bytes", "computed_tokens"] {
            assert!(report[key].as_f64().is_some_and(|number| number > 0.0), "{key}: {report}");
        }
        assert!(report["computed_tokens"].as_u64() < report["tokens"].as_u64(), "{report}");
    }
}

#[test]
fn doctor_says_whether_preferences_can_be_learned() {
    let place = workplace();
    let ended = place.run(&["doctor", "--data", "recipe.toml", "--json"]);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    let found = &report["data"];
    assert!(found["learned_accuracy"].as_f64().unwrap() > 0.9, "{found}");
    assert!(found["flipped_accuracy"].as_f64().unwrap() < 0.1, "{found}");
    assert!(!found["findings"].as_array().unwrap().is_empty());
}

#[test]
fn a_demo_of_a_few_pictures_goes_all_its_way() {
    let place = Workplace::new();
    let small =
        ["demo", "--pictures", "40", "--held-out", "6", "--set", "run.comparisons_per_step=8"];
    let ended = place.succeed(&small);
    for part in ["color", "without picture", "(right)", "report.html", "basereward score"] {
        assert!(ended.out.contains(part), "`{part}` is not in {}", ended.out);
    }
    assert!(place.path("demo/run/report.html").is_file());
    let again = place.succeed(&[&small[..], &["--out", "again"]].concat());
    let table = |out: &str| out.split("time").next().unwrap().to_owned();
    assert_eq!(table(&ended.out), table(&again.out), "the figures are the same on every run");
    assert!(place.refused(&small).contains("`demo`"));
}
