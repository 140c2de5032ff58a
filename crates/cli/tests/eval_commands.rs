//! `basereward eval` on every benchmark in its published form, from the command line to the reports.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

#[path = "support/benchmarks.rs"]
mod benchmarks;
mod support;

use std::fs;

use serde_json::Value;
use support::{Workplace, rows_of};

fn prepared() -> Workplace {
    let place = Workplace::with_model();
    benchmarks::write_all(&place, "data");
    place
}

fn evaluation(place: &Workplace, folder: &str) -> Value {
    serde_json::from_str(&place.read(&format!("{folder}/evaluation.json"))).unwrap()
}

/// The model's scores of the file of rewards, as the bits that they are written with.
fn rewards(place: &Workplace, folder: &str) -> Vec<Value> {
    rows_of(&place.read(&format!("{folder}/rewards.jsonl")))
}

#[test]
fn every_benchmark_runs_from_its_published_files_to_its_reports() {
    let place = prepared();
    let arguments = ["eval", "model", "--benchmark", "all", "--data", "data", "-o", "out"];
    let ended = place.succeed(&arguments);
    assert!(!ended.err.contains("left out"), "{}", ended.err);
    for (name, num_rows) in benchmarks::ROWS {
        let folder = format!("out/{name}");
        let found = evaluation(&place, &folder);
        assert_eq!(found["rows"]["found"], num_rows, "{name}");
        assert_eq!(found["rows"]["scored"], num_rows, "{name}");
        assert!(found["figures"][0]["value"].is_number(), "{name}: {}", found["figures"][0]);
        assert_eq!(rewards(&place, &folder).len() as u64, num_rows, "{name}");
        for file in ["figures.csv", "report.md", "report.html", "rewardbench/model.json"] {
            assert!(!place.read(&format!("{folder}/{file}")).is_empty(), "{name}: {file}");
        }
    }
    // Pictures were there, and were taken away and exchanged.
    let found = evaluation(&place, "out/vl-rewardbench");
    assert_eq!(found["probes"]["blind"]["num_rows"], 6);
    assert_eq!(found["probes"]["swapped"]["num_rows"], 5, "the first row has none before it");
}

#[test]
fn stored_rewards_give_the_figures_of_the_model() {
    let place = prepared();
    for (name, _) in benchmarks::ROWS {
        let data = format!("data/{name}");
        place.succeed(&[
            "eval",
            "model",
            "--benchmark",
            name,
            "--data",
            &data,
            "-o",
            "fresh",
            "--overwrite",
        ]);
        place.succeed(&[
            "eval",
            "--rewards",
            "fresh/rewards.jsonl",
            "--benchmark",
            name,
            "--data",
            &data,
            "-o",
            "stored",
            "--overwrite",
        ]);
        let (fresh, stored) = (evaluation(&place, "fresh"), evaluation(&place, "stored"));
        assert_eq!(fresh["figures"], stored["figures"], "{name}");
        assert_eq!(fresh["probes"], stored["probes"], "{name}");
        assert_eq!(place.read("fresh/rewards.jsonl"), place.read("stored/rewards.jsonl"));
    }
}

#[test]
fn the_rewards_are_those_of_score() {
    let place = prepared();
    place.succeed(&[
        "eval",
        "model",
        "--benchmark",
        "preferences",
        "--data",
        "data/preferences",
        "-o",
        "out",
    ]);
    let rows = rows_of(&place.read("data/preferences/pairs.jsonl"));
    let rows: Vec<Value> = rows
        .into_iter()
        .map(|row| {
            serde_json::json!({
                "id": row["id"], "images": ["data/preferences/images/1.png"], "prompt": row["prompt"],
                "responses": [row["chosen"], row["rejected"]],
            })
        })
        .collect();
    place.write("rows.jsonl", support::lines(&rows));
    let scored = place.succeed(&["score", "model", "rows.jsonl"]).rows();
    for (ours, theirs) in rewards(&place, "out").iter().zip(&scored) {
        assert_eq!(ours["scores"], theirs["scores"]);
        assert_ne!(ours["scores"], ours["blind_scores"]);
    }
}

#[test]
fn the_tables_of_one_benchmark_in_two_forms_give_the_same_rewards() {
    let place = prepared();
    benchmarks::vl_rewardbench_tsv(&place, "bench.tsv");
    let name = "vl-rewardbench";
    place.succeed(&[
        "eval",
        "model",
        "--benchmark",
        name,
        "--data",
        "data/vl-rewardbench",
        "-o",
        "a",
    ]);
    place.succeed(&["eval", "model", "--benchmark", name, "--data", "bench.tsv", "-o", "b"]);
    assert_eq!(place.read("a/rewards.jsonl"), place.read("b/rewards.jsonl"));
    assert_eq!(evaluation(&place, "a")["figures"], evaluation(&place, "b")["figures"]);
}

#[test]
fn the_same_command_gives_the_same_bytes_and_an_interrupted_one_goes_on_to_them() {
    let place = prepared();
    let command = |folder: &'static str, more: &'static str| {
        [
            "eval",
            "model",
            "--benchmark",
            "mm-rlhf-rewardbench",
            "--data",
            "data/mm-rlhf-rewardbench",
            "-o",
            folder,
            more,
        ]
    };
    place.succeed(&command("a", "--overwrite"));
    place.succeed(&command("b", "--overwrite"));
    let files = [
        "rewards.jsonl",
        "evaluation.json",
        "figures.csv",
        "report.md",
        "report.html",
        "rewardbench/model_outputs.jsonl",
    ];
    let all = |folder: &str| files.map(|file| place.read(&format!("{folder}/{file}")));
    assert_eq!(all("a"), all("b"));

    // As if the process had been killed within its third row.
    let rewards = place.read("b/rewards.jsonl");
    let third = rewards.match_indices('\n').nth(1).unwrap().0 + 9;
    fs::write(place.path("b/rewards.jsonl"), &rewards[..third]).unwrap();
    for file in &files[1..] {
        fs::remove_file(place.path("b").join(file)).unwrap();
    }
    place.succeed(&command("b", "--resume"));
    assert_eq!(all("a"), all("b"));
}

#[test]
fn what_is_there_is_neither_replaced_nor_mixed() {
    let place = prepared();
    let data = "data/llmbar";
    place.succeed(&["eval", "model", "--benchmark", "llmbar", "--data", data, "-o", "out"]);
    let said =
        place.refused(&["eval", "model", "--benchmark", "llmbar", "--data", data, "-o", "out"]);
    assert!(said.contains("`out` has an evaluation"), "{said}");
    let said = place.refused(&[
        "eval",
        "model",
        "--benchmark",
        "llmbar",
        "--data",
        data,
        "-o",
        "out",
        "--resume",
        "--max-tokens",
        "99",
    ]);
    assert!(
        said.contains("`longest conversation, tokens` was `the model's own` and is now `99`"),
        "{said}"
    );
    let said = place.refused(&[
        "eval",
        "--rewards",
        "out/rewards.jsonl",
        "--benchmark",
        "judgebench",
        "--data",
        "data/judgebench",
    ]);
    assert!(
        said.contains("the rewards belong to other files")
            || said.contains("they belong to other files"),
        "{said}"
    );
    let said = place.refused(&["eval", "model", "--benchmark", "llmbrr", "--data", data]);
    assert!(
        said.contains("there is no benchmark `llmbrr`") && said.contains("judgebench"),
        "{said}"
    );
}

#[test]
fn a_row_without_its_picture_is_listed_and_the_figures_say_what_they_are_over() {
    let place = prepared();
    fs::remove_file(place.path("data/mm-rlhf-rewardbench/long/2.png")).unwrap();
    let ended = place.run(&[
        "eval",
        "model",
        "--benchmark",
        "mm-rlhf-rewardbench",
        "--data",
        "data/mm-rlhf-rewardbench",
        "-o",
        "out",
    ]);
    assert_eq!(ended.code, 1, "{}", ended.err);
    assert!(ended.err.contains("long/2.png"), "{}", ended.err);
    let found = evaluation(&place, "out");
    assert_eq!((&found["rows"]["found"], &found["rows"]["scored"]), (&6.into(), &5.into()));
    assert_eq!(found["failed"][0]["row"], 2);
    assert_eq!(found["figures"][0]["num_total"], 5);
    let warnings: Vec<&str> = found["notes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|note| note["is_warning"] == true)
        .map(|note| note["text"].as_str().unwrap())
        .collect();
    assert!(warnings.iter().any(|text| text.contains("over 5 of 6 rows")), "{warnings:?}");
    assert!(
        warnings.iter().any(|text| text.contains("the published revisions have 170")),
        "{warnings:?}"
    );
}

#[test]
fn training_data_that_holds_the_benchmarks_pictures_is_told() {
    let place = prepared();
    let ended = place.succeed(&[
        "eval",
        "model",
        "--benchmark",
        "mr2bench",
        "--data",
        "data/mr2bench",
        "--training-data",
        "data/preferences/pairs.jsonl",
    ]);
    assert!(ended.out.contains("no picture"), "{}", ended.out);
    let ended = place.succeed(&[
        "eval",
        "model",
        "--benchmark",
        "vl-rewardbench",
        "--data",
        "data/vl-rewardbench",
        "--training-data",
        "data/preferences/pairs.jsonl",
    ]);
    // Three of the rows show the circle that the pairs are about.
    assert!(ended.out.contains("2 of 6 rows"), "{}", ended.out);
}

#[test]
fn evaluations_stand_beside_each_other_and_beside_published_numbers() {
    let place = prepared();
    let data = "data/vl-rewardbench";
    for (folder, pixels) in [("a", "100000"), ("b", "3136")] {
        place.succeed(&[
            "eval",
            "model",
            "--benchmark",
            "vl-rewardbench",
            "--data",
            data,
            "-o",
            folder,
            "--max-pixels",
            pixels,
        ]);
    }
    let ended = place.succeed(&["eval", "compare", "a", "b"]);
    for word in ["Overall", "McNemar", "BaseReward", "82.16"] {
        assert!(ended.out.contains(word), "`{word}` is not in\n{}", ended.out);
    }
    let said = place.refused(&["eval", "compare", "a", "data"]);
    assert!(said.contains("data/evaluation.json"), "{said}");
}

#[test]
fn a_benchmark_is_called_clean_only_by_a_manifest_that_names_its_very_files() {
    let place = prepared();
    let name = "mr2bench";
    let data = format!("data/{name}");
    let judged = |training: &[&str]| {
        let mut arguments = vec!["eval", "model", "--benchmark", name, "--data", &data];
        arguments.extend(["-o", "out", "--overwrite", "--no-blind", "--no-swapped"]);
        arguments.extend(training.iter().flat_map(|path| ["--training-data", *path]));
        let printed = place.succeed(&arguments).out;
        let found = evaluation(&place, "out");
        let (markdown, page) = (place.read("out/report.md"), place.read("out/report.html"));
        let said = |sentence: &str| {
            [&printed, &markdown, &page].iter().all(|text| text.contains(sentence))
        };
        (
            found["contamination"].as_str().unwrap().to_owned(),
            ["is unknown", "is clean of", "is not shown"].map(said),
            printed,
        )
    };
    let (word, said, _) = judged(&[]);
    assert_eq!((word.as_str(), said), ("unknown", [true, false, false]));
    let (word, _, printed) = judged(&["data/preferences"]);
    assert_eq!(word, "not shown");
    assert!(printed.contains("has no `manifest.json`"), "{printed}");

    let rows_hash = evaluation(&place, "out")["provenance"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry[0] == "files (BLAKE3)")
        .unwrap()[1]
        .clone();
    let manifest = |benchmark: &str, removed: u64| {
        let entry = serde_json::json!({
            "benchmark": benchmark, "rows": 2, "rows_hash": rows_hash, "overlaps": 3, "removed": removed,
        });
        serde_json::json!({"decontaminated_against": [entry], "seed": 0}).to_string()
    };
    fs::create_dir(place.path("curated")).unwrap();
    place.write(
        "curated/pairs.jsonl",
        place
            .read("data/preferences/pairs.jsonl")
            .replace("images/", "../data/preferences/images/"),
    );
    for (benchmark, removed, expected) in
        [(name, 3, "clean"), (name, 2, "not shown"), ("llmbar", 3, "not shown")]
    {
        place.write("curated/manifest.json", manifest(benchmark, removed));
        let (word, said, printed) = judged(&["curated"]);
        assert_eq!(word, expected, "{printed}");
        assert_eq!(said, [false, expected == "clean", expected == "not shown"], "{printed}");
    }
    // The same name for other rows is not enough.
    place.write("curated/manifest.json", manifest(name, 3));
    let rows = place.read("data/mr2bench/test.jsonl");
    place.write("data/mr2bench/test.jsonl", rows.replace("Describe it.", "Describe this."));
    let (word, _, printed) = judged(&["curated"]);
    assert_eq!(word, "not shown");
    assert!(printed.contains("with other files"), "{printed}");
}

#[test]
fn rows_that_cannot_be_compared_with_training_data_are_counted() {
    let place = prepared();
    let pairs = place.read("data/preferences/pairs.jsonl");
    place.write(
        "data/preferences/trained.jsonl",
        format!("{pairs}{{\"id\": \"d\", \"prompt\": 3}}\n"),
    );
    let ended = place.succeed(&[
        "eval",
        "model",
        "--benchmark",
        "llmbar",
        "--data",
        "data/llmbar",
        "--training-data",
        "data/preferences/trained.jsonl",
    ]);
    assert!(
        ended.out.contains("1 of 4 rows of the training data could not be read"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("trained.jsonl"), "{}", ended.out);
}

#[test]
fn a_row_without_rewards_for_its_withheld_pictures_is_counted_and_keeps_its_own() {
    let place = prepared();
    let data = "data/vl-rewardbench";
    let name = "vl-rewardbench";
    place.succeed(&["eval", "model", "--benchmark", name, "--data", data, "-o", "whole"]);
    let mut lines = rewards(&place, "whole");
    lines[2].as_object_mut().unwrap().remove("blind_scores").unwrap();
    place.write("rewards.jsonl", support::lines(&lines));
    place.succeed(&[
        "eval",
        "--rewards",
        "rewards.jsonl",
        "--benchmark",
        name,
        "--data",
        data,
        "-o",
        "out",
    ]);
    let (whole, found) = (evaluation(&place, "whole"), evaluation(&place, "out"));
    assert_eq!(found["figures"], whole["figures"]);
    assert_eq!(found["probes"]["blind"]["num_rows"], 5);
    let said = |folder: &str| {
        place
            .read(&format!("{folder}/report.md"))
            .contains("1 of 6 rows with pictures have no rewards without them")
    };
    assert_eq!((said("whole"), said("out")), (false, true));
}
