//! `init`, `inspect` and `doctor` as a caller sees them: the real binary, its two streams and its exit code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use safetensors::tensor::{SafeTensors, TensorView};
use serde_json::Value;
use tempfile::TempDir;

/// What a run of the binary left.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_basereward"))
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run(arguments: &[&str]) -> Ended {
    run_with(arguments, &[])
}

/// Runs a command that must succeed.
fn succeed(arguments: &[&str]) -> String {
    let ended = run(arguments);
    assert_eq!(ended.code, 0, "{arguments:?}: {}{}", ended.out, ended.err);
    ended.out
}

/// Runs a command that must be refused with one sentence on stderr.
fn refused(arguments: &[&str]) -> String {
    let ended = run(arguments);
    assert_eq!(ended.code, 2, "{arguments:?}: {}{}", ended.out, ended.err);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    ended.err
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A tiny model in a folder of its own.
fn tiny_model(options: &[&str]) -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    succeed(&[&["init", "tiny", "-o", text(&folder)], options].concat());
    (parent, folder)
}

fn inspect(folder: &Path, options: &[&str]) -> Value {
    let out = succeed(&[&["inspect", text(folder), "--json"], options].concat());
    serde_json::from_str(&out).unwrap()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// Rewrites `model.safetensors`: `change` gives a tensor's new name and bytes, or drops it.
fn rewrite(folder: &Path, change: impl Fn(&str, &[u8]) -> Option<(String, Vec<u8>)>) {
    let file = folder.join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let changed: Vec<_> = tensors
        .iter()
        .filter_map(|(name, view)| {
            let (name, bytes) = change(name, view.data())?;
            Some((name, view.dtype(), view.shape().to_vec(), bytes))
        })
        .collect();
    let views = changed.iter().map(|(name, dtype, shape, bytes)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, &file).unwrap();
}

fn remove_head(folder: &Path) {
    rewrite(folder, |name, bytes| {
        (!name.starts_with("score.")).then(|| (name.to_owned(), bytes.to_vec()))
    });
    let file = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let root = config.as_object_mut().unwrap();
    for key in ["reward_head", "num_labels", "problem_type"] {
        root.remove(key).unwrap();
    }
    fs::write(&file, config.to_string()).unwrap();
}

/// Fills one tensor with copies of a number, little endian.
fn fill(folder: &Path, tensor: &str, number: &[u8]) {
    rewrite(folder, |name, bytes| {
        let filled = number.repeat(bytes.len() / number.len());
        Some((name.to_owned(), if name == tensor { filled } else { bytes.to_vec() }))
    });
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let (_first, first) = tiny_model(&["--seed", "7"]);
    let (_second, second) = tiny_model(&["--seed", "7"]);
    let (_third, third) = tiny_model(&["--seed", "8"]);
    assert_eq!(files(&first), files(&second));
    assert_ne!(files(&first)["model.safetensors"], files(&third)["model.safetensors"]);
}

#[test]
fn init_says_what_it_wrote_and_what_to_do_next() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    let out = succeed(&["init", "tiny", "-o", text(&folder)]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].contains("4,225 in the head"), "{out}");
    assert!(lines[0].contains("2 layers with biases, silu between, 64 wide, read at end_of_turn"));
    assert!(lines[1].starts_with(&format!("next: basereward score {}", folder.display())), "{out}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn the_head_is_the_one_that_was_asked_for() {
    for num_layers in 1..=5_u64 {
        let count = num_layers.to_string();
        let mut options = vec!["--head-layers", &count, "--position", "last_token", "--no-bias"];
        if num_layers > 1 {
            options.extend(["--activation", "gelu", "--hidden-size", "24"]);
        }
        let (_parent, folder) = tiny_model(&options);
        let head = inspect(&folder, &[])["head"].take();
        assert_eq!(head["num_layers"], num_layers);
        assert_eq!(head["activation"], if num_layers == 1 { "none" } else { "gelu" });
        assert_eq!(head["hidden_size"], if num_layers == 1 { 64 } else { 24 });
        assert_eq!(head["bias"], false);
        assert_eq!(head["position"], "last_token");
        assert_eq!(head["stated"], true);
        assert_eq!(head["tensors"].as_array().unwrap().len() as u64, num_layers);
    }
}

#[test]
fn a_preset_is_stored_in_the_type_that_was_asked_for() {
    for (dtype, stored_as) in [("f32", "F32"), ("bf16", "BF16")] {
        let (_parent, folder) = tiny_model(&["--dtype", dtype]);
        let types = inspect(&folder, &[])["storage"]["types"].take();
        assert!(types[stored_as]["tensors"].as_u64().unwrap() > 50, "{types}");
        assert!(types["F32"]["tensors"].as_u64().unwrap() >= 4, "{types}");
    }
}

#[test]
fn the_tiny_preset_takes_the_tokenizer_of_a_folder() {
    let (_source, source) = tiny_model(&[]);
    let (_parent, folder) = tiny_model(&["--tokenizer", text(&source)]);
    assert_eq!(files(&folder), files(&source));
}

#[test]
fn nothing_is_overwritten() {
    let (_parent, folder) = tiny_model(&[]);
    let before = files(&folder);
    let sentence = refused(&["init", "tiny", "-o", text(&folder), "--seed", "1"]);
    assert!(sentence.contains("is not an empty folder"), "{sentence}");
    assert_eq!(files(&folder), before);
}

#[test]
fn init_refuses_what_makes_no_sense_in_one_sentence() {
    let (_parent, model) = tiny_model(&[]);
    let model = text(&model);
    let out = tempfile::tempdir().unwrap();
    let out = text(out.path());
    for (arguments, expected) in [
        (vec!["qwen2.5-vl-1b"], "is neither a folder nor a preset"),
        (vec!["qwen2.5-vl-1b"], "`qwen2.5-vl-72b`"),
        (vec!["qwen2.5-vl-3b"], "needs --tokenizer DIR: its vocabulary is too large"),
        (vec!["qwen2.5-vl-3b", "--tokenizer", model], "`image_token_id` in `config.json`"),
        (vec!["tiny", "--tokenizer", "no/such"], "cannot read `no/such/tokenizer.json`"),
        (vec!["tiny", "--head-layers", "1", "--hidden-size", "8"], "leave out --hidden-size"),
        (vec!["tiny", "--head-layers", "1", "--activation", "relu"], "leave out --activation"),
        (vec![model, "--tokenizer", model], "--tokenizer belongs to presets"),
        (vec![model, "--dtype", "f32"], "--dtype belongs to presets"),
        (vec![model], "already has a reward head"),
    ] {
        let arguments = [vec!["init", "-o", out], arguments].concat();
        let sentence = refused(&arguments);
        assert!(sentence.contains(expected), "{arguments:?}: {sentence}");
        assert_eq!(fs::read_dir(out).unwrap().count(), 0);
    }
}

#[test]
fn usage_errors_name_what_is_possible() {
    for (arguments, expected) in [
        (vec!["--activation", "sigmoid"], "[possible values: none, relu, silu, tanh, gelu]"),
        (vec!["--position", "first"], "[possible values: end_of_turn, last_token]"),
        (vec!["--head-layers", "6"], "6 is not in 1..=5"),
        (vec!["--hidden-size", "0"], "0 is not in 1..=1048576"),
    ] {
        let ended = run(&[vec!["init", "tiny", "-o", "unused"], arguments].concat());
        assert_eq!(ended.code, 2);
        assert!(ended.err.contains(expected), "{}", ended.err);
    }
}

#[test]
fn a_backbone_gets_a_head_and_keeps_its_tensors() {
    let (parent, backbone) = tiny_model(&["--dtype", "f32"]);
    remove_head(&backbone);
    let before = inspect(&backbone, &["--tensors"]);
    assert_eq!(before["head"], Value::Null);
    assert!(succeed(&["inspect", text(&backbone)]).contains("`basereward init` attaches a head"));

    let folder = parent.path().join("with head");
    let out = succeed(&["init", text(&backbone), "-o", text(&folder), "--activation", "tanh"]);
    assert!(out.contains("the head is random (seed 0)"), "{out}");
    assert!(out.contains(&format!("score '{}'", folder.display())), "{out}");
    let after = inspect(&folder, &[]);
    assert_eq!(after["head"]["activation"], "tanh");
    assert_eq!(after["parameters"]["vision"], before["parameters"]["vision"]);
    assert_eq!(after["parameters"]["language"], before["parameters"]["language"]);
    assert_eq!(after["storage"]["files"].as_array().unwrap().len(), 2);
    succeed(&["doctor", text(&folder)]);
}

#[test]
fn a_backbone_without_a_usable_tokenizer_gets_no_head() {
    let (parent, backbone) = tiny_model(&[]);
    remove_head(&backbone);
    fs::remove_file(backbone.join("tokenizer.json")).unwrap();
    let out = parent.path().join("out");
    let sentence = refused(&["init", text(&backbone), "-o", text(&out)]);
    assert!(sentence.contains("tokenizer.json` is missing"), "{sentence}");
    assert!(!out.exists());
}

#[test]
fn inspect_shows_the_golden_model_as_it_is() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/goldens/tiny/model");
    let report = inspect(&golden, &["--tensors"]);
    assert_eq!(report["architecture"], "qwen2_5_vl");
    assert_eq!(report["storage"]["naming"], "published");
    assert_eq!(report["vision"]["depth"], 4);
    assert_eq!(report["language"]["max_position_embeddings"], 128_000);
    assert_eq!(report["processor"]["special_tokens"]["<|image_pad|>"], 524);
    assert_eq!(report["processor"]["vocabulary_fits"], true);
    let image = &report["processor"]["image"];
    assert_eq!(
        (image["min_tokens"].as_u64(), image["max_tokens"].as_u64()),
        (Some(4), Some(16_384))
    );
    let tensors = report["tensors"].as_array().unwrap();
    let stored = report["storage"]["types"]["BF16"]["tensors"].as_u64().unwrap();
    assert_eq!(tensors.len() as u64, stored);
    assert_eq!(report["model_hash"], Value::Null);
    assert_eq!(report["problem"], Value::Null);
}

#[test]
fn hashes_depend_on_the_numbers_and_not_on_names_in_the_file() {
    let (_parent, folder) = tiny_model(&[]);
    let before = inspect(&folder, &["--hash"]);
    rewrite(&folder, |name, bytes| {
        Some((name.replace("visual.", "model.visual."), bytes.to_vec()))
    });
    let renamed = inspect(&folder, &["--hash"]);
    assert_eq!(renamed["storage"]["naming"], "mixed");
    assert_eq!(renamed["model_hash"], before["model_hash"]);
    assert_eq!(renamed["head"]["hash"], before["head"]["hash"]);

    fill(&folder, "model.norm.weight", &[0x80, 0x3f, 0x00, 0x40]);
    let changed = inspect(&folder, &["--hash"]);
    assert_ne!(changed["model_hash"], before["model_hash"]);
    assert_eq!(changed["head"]["hash"], before["head"]["hash"]);

    fill(&folder, "score.2.bias", &1.5_f32.to_le_bytes());
    let changed = inspect(&folder, &["--hash"]);
    assert_ne!(changed["head"]["hash"], before["head"]["hash"]);
    let tensors = changed["head"]["tensors"].as_array().unwrap();
    let bias = tensors.iter().find(|tensor| tensor["name"] == "score.2.bias").unwrap();
    assert_eq!((bias["min"].as_f64(), bias["std"].as_f64()), (Some(1.5), Some(0.0)));
}

#[test]
fn inspect_refuses_what_score_would_refuse() {
    let (_parent, folder) = tiny_model(&[]);
    rewrite(&folder, |name, bytes| {
        (name != "model.norm.weight").then(|| (name.to_owned(), bytes.to_vec()))
    });
    let sentence = refused(&["inspect", text(&folder)]);
    assert!(sentence.contains("lacks the tensor `model.language_model.norm.weight`"), "{sentence}");
    let sentence = refused(&["inspect", "no/such/folder"]);
    assert!(sentence.contains("`no/such/folder` does not exist"), "{sentence}");
}

#[test]
fn inspect_shows_the_tensors_even_where_the_processor_is_not_usable() {
    let (_parent, folder) = tiny_model(&[]);
    fs::remove_file(folder.join("preprocessor_config.json")).unwrap();
    let ended = run(&["inspect", text(&folder), "--json"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("preprocessor_config.json` is missing"), "{}", ended.err);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(report["head"]["num_layers"], 2);
    assert_eq!(report["processor"], Value::Null);
    assert!(ended.err.contains(report["problem"].as_str().unwrap()));
}

#[test]
fn doctor_finds_this_machine_in_order() {
    let ended = run(&["doctor"]);
    assert_eq!(ended.code, 0, "{}", ended.out);
    assert!(ended.out.contains("portable f32"), "{}", ended.out);
    assert!(ended.out.ends_with("checks passed\n"), "{}", ended.out);
    assert!(!ended.out.contains("FAILED"));
}

#[test]
fn doctor_examines_a_model_from_loading_to_rewards() {
    let (_parent, folder) = tiny_model(&[]);
    for dtype in ["f32", "bf16"] {
        let out = succeed(&["doctor", text(&folder), "--dtype", dtype, "--threads", "1", "--json"]);
        let report: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(report["passed"], true);
        assert_eq!(report["device"]["threads"], 1);
        assert!(report["device"]["peak_gflop_per_sec"]["bf16"].as_f64().unwrap() > 0.0);
        assert_eq!(report["model"]["measured"]["dtype"], dtype);
        assert_eq!(report["model"]["measured"]["rewards"].as_array().unwrap().len(), 3);
        let checks = report["model"]["checks"].as_array().unwrap();
        let subjects: Vec<&str> =
            checks.iter().map(|check| check["subject"].as_str().unwrap()).collect();
        assert_eq!(
            subjects,
            ["memory", "load", "tokenizer", "head", "encode", "numbers", "bits", "rewards"]
        );
    }
}

/// The failed checks that `doctor` reports for a model.
fn failed_checks(folder: &Path) -> BTreeMap<String, String> {
    let ended = run(&["doctor", text(folder), "--json"]);
    assert_eq!(ended.code, 1, "{}{}", ended.out, ended.err);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(report["passed"], false);
    let checks = report["model"]["checks"].as_array().unwrap().iter();
    checks
        .filter(|check| check["passed"] == false)
        .map(|check| {
            assert!(check["advice"].is_string(), "{check}");
            let word = |key: &str| check[key].as_str().unwrap().to_owned();
            (word("subject"), word("detail"))
        })
        .collect()
}

#[test]
fn doctor_names_a_head_that_cannot_tell_responses_apart() {
    let (_parent, folder) = tiny_model(&[]);
    fill(&folder, "score.2.weight", &0.0_f32.to_le_bytes());
    let failed = failed_checks(&folder);
    assert_eq!(failed["head"], "the weight of layer 1 is all zeros");
    assert_eq!(failed.len(), 1);
}

#[test]
fn doctor_names_the_stage_where_numbers_stop_being_finite() {
    let (_parent, folder) = tiny_model(&[]);
    // NaN in bf16.
    fill(&folder, "model.layers.0.mlp.down_proj.weight", &[0xc0, 0x7f]);
    let failed = failed_checks(&folder);
    assert!(failed["numbers"].contains("the first in the stage `language.layers.0`"), "{failed:?}");
    assert_eq!(failed.len(), 1);
}

#[test]
fn doctor_says_why_a_model_does_not_load() {
    let (_parent, folder) = tiny_model(&[]);
    remove_head(&folder);
    assert!(failed_checks(&folder)["load"].contains("has no reward head"));
    fs::remove_file(folder.join("model.safetensors")).unwrap();
    assert!(failed_checks(&folder)["load"].contains("holds no weights"));
}

#[test]
fn doctor_reports_a_tier_that_cannot_be_forced() {
    let ended = run_with(&["doctor"], &[("BASEREWARD_CPU_TIER", "abacus")]);
    assert_eq!(ended.code, 1, "{}", ended.out);
    assert!(ended.out.contains("FAILED  device"), "{}", ended.out);
    assert!(ended.out.contains("unknown CPU tier `abacus`"), "{}", ended.out);
}
