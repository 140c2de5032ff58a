//! `basereward data` on planted sets: what is found and counted at each stage, the same bytes every time, and what the other commands say of the
//! result.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/curated.rs"]
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod curated;
#[path = "support/sets.rs"]
#[allow(dead_code, reason = "each test file uses its own part of this")]
mod sets;
mod support;
#[path = "../../curate/tests/planted/world.rs"]
#[allow(dead_code, reason = "the tests of curation use more of it")]
mod world;

use std::collections::BTreeMap;
use std::fs;

use curated::{assert_same, counts, dropped, manifest, shard_rows};
use serde_json::Value;
use sets::{CLEAN, PLANTED, ROWS};
use support::Workplace;

fn curated_set() -> Workplace {
    let place = Workplace::new();
    sets::write_all(&place);
    place.succeed(&["data", "curate", "curate.toml", "-o", "set"]);
    place
}

/// Number of what left at a stage.
fn left_at(counts: &Value, stage: &str) -> u64 {
    let reasons = counts["dropped"][stage].as_object();
    reasons.into_iter().flat_map(|all| all.values()).map(|count| count.as_u64().unwrap()).sum()
}

#[test]
fn the_numbers_of_every_stage_add_up_for_every_source() {
    let place = curated_set();
    let manifest = manifest(&place, "set");
    let lines = dropped(&place, "set");
    let mut kept = 0;
    for (source, rows) in ROWS {
        let counts = counts(&manifest, source);
        let number = |key: &str| counts[key].as_u64().unwrap();
        assert_eq!(number("rows"), rows, "{source}");
        // Two rows make a comparison of ratings; a ranking of three makes three pairs.
        let rows_of_one = if source == "rated" { 2 } else { 1 };
        let records_of_one = if source == "ranked" { 3 } else { 1 };
        let read = left_at(&counts, "read");
        assert_eq!(rows, read + rows_of_one * number("comparisons"), "{source}: {counts}");
        assert_eq!(number("records"), records_of_one * number("comparisons"), "{source}");
        let stages =
            ["pictures", "filter", "duplicates", "decontamination", "labels", "caps", "mix"];
        let left: u64 = stages.iter().map(|stage| left_at(&counts, stage)).sum();
        assert_eq!(number("records"), number("kept") + left, "{source}: {counts}");
        let listed = lines.iter().filter(|line| line["source"] == source).count() as u64;
        assert_eq!(listed, read + left, "{source}: {lines:#?}");
        kept += number("kept");
    }
    for line in &lines {
        let has = |key: &str| line[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(["file", "place", "stage", "reason"].into_iter().all(has), "{line}");
        assert!(place.path(line["file"].as_str().unwrap()).is_file(), "{line}");
    }
    let in_shards: u64 = manifest["shards"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["rows"].as_u64().unwrap())
        .sum();
    assert_eq!(in_shards, kept);
    assert_eq!(shard_rows(&place, "set").len() as u64, kept);
    let split = |side: &str| manifest["split"][side].as_u64().unwrap();
    assert_eq!(split("train") + split("validation"), kept);
    assert!(split("validation") > 0 && split("validation") < kept / 2, "{}", manifest["split"]);
    assert_eq!(manifest["sources"][1]["license"], "of our own");
}

#[test]
fn everything_planted_is_found_and_nothing_else() {
    let place = curated_set();
    let lines = dropped(&place, "set");
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let fits = |line: &Value, (source, id, stage, reason): (&str, &str, &str, &str)| {
        let why = text(line, "reason") + " " + &text(line, "detail");
        line["source"] == source
            && line["stage"] == stage
            && text(line, "id") == id
            && why.contains(reason)
    };
    for planted in PLANTED {
        assert!(lines.iter().any(|line| fits(line, planted)), "{planted:?}: {lines:#?}");
    }
    let limits = ["caps", "mix"];
    let mut limited = BTreeMap::new();
    for line in &lines {
        if limits.contains(&line["stage"].as_str().unwrap()) {
            *limited.entry(text(line, "source")).or_insert(0) += 1;
        } else {
            assert!(PLANTED.into_iter().any(|planted| fits(line, planted)), "{line}");
        }
    }
    // One pair of each clean ranking is over the cap, and two pairs over `max_rows`.
    assert_eq!(limited, BTreeMap::from([("pairs".to_owned(), 2), ("ranked".to_owned(), 6)]));
    let manifest = manifest(&place, "set");
    for (source, clean) in CLEAN {
        let kept = counts(&manifest, source)["kept"].as_u64().unwrap();
        assert_eq!(kept + limited.get(source).copied().unwrap_or(0), clean, "{source}");
    }
}

#[test]
fn every_overlap_is_listed_with_its_kinds() {
    let place = curated_set();
    // Markdown has a mark before letters that it would take for its own.
    let report = place.read("set/report/counts.md").replace('\\', "");
    for (line, kinds) in [
        ("pairs `mathverse_22` has the id of vl-rewardbench `mathverse_22`: removed", "id"),
        ("pairs `seen` has the picture of vl-rewardbench `RLAIF-V-14`: removed", "picture"),
        (
            "bytes `asked` has the picture, question of vl-rewardbench `wildvision-battle-5`: removed",
            "picture and question",
        ),
        ("ranked `asked#0` has the question of preferences `asked`: removed", "question"),
        ("rated `ratings:16` has the answers of preferences `answered`: removed", "answers"),
    ] {
        assert!(report.contains(line), "{kinds}: {report}");
    }
    let manifest = manifest(&place, "set");
    let searched = |at: usize, key: &str| manifest["decontaminated_against"][at][key].clone();
    assert_eq!((searched(0, "overlaps"), searched(0, "removed")), (3.into(), 3.into()));
    assert_eq!((searched(1, "overlaps"), searched(1, "removed")), (4.into(), 4.into()));
    assert_eq!((searched(0, "rows"), searched(0, "unreadable_rows")), (3.into(), 0.into()));
}

#[test]
fn the_same_recipe_gives_the_same_bytes_with_any_number_of_threads() {
    let place = curated_set();
    for threads in ["1", "2"] {
        let folder = format!("set-{threads}");
        place.succeed(&["data", "curate", "curate.toml", "-o", &folder, "--threads", threads]);
        assert_same(&place.path("set"), &place.path(&folder));
    }
    // Another seed is another order.
    place.succeed(&["data", "curate", "curate.toml", "-o", "other", "--set", "seed=4"]);
    let ids = |set: &str| -> Vec<String> {
        shard_rows(&place, set).into_iter().map(|row| row.id).collect()
    };
    assert_ne!(ids("set"), ids("other"));
}

#[test]
fn the_commands_over_a_finished_set_tell_what_is_in_it() {
    let place = curated_set();
    let out = |arguments: &[&str]| place.succeed(&[&["data"], arguments].concat()).out;
    for (arguments, parts) in [
        (&["inspect", "bytes"][..], &["rlaif-v", "15", "question"][..]),
        (&["inspect", "pairs/pairs.jsonl"], &["34", "prompt", "not valid JSON"]),
        (&["sources"], &["rlaif-v", "helpsteer2", "CC-BY-4.0"]),
        (&["sources", "--long"], &["One row for each response"]),
        (&["describe", "set"], &["pairs", "of our own", "bytes/rlaif-v.parquet"]),
        (&["stats", "set"], &["pairs", "ranked", "52"]),
    ] {
        let out = out(arguments);
        for part in parts {
            assert!(out.contains(part), "{arguments:?}: `{part}` is not in {out}");
        }
    }
    let described: Value = serde_json::from_str(&out(&["describe", "set", "--json"])).unwrap();
    assert_eq!(described, manifest(&place, "set"));
    place.succeed(&["data", "view", "set"]);
    let page = place.read("set/view.html");
    let pair = sets::pair(302);
    for part in ["<html", "length", "bench", pair.question.as_str()] {
        assert!(page.contains(part), "`{part}`");
    }
    let no_set = place.refused(&["data", "describe", "pairs"]);
    assert!(no_set.contains("`pairs` has no `manifest.json`"), "{no_set}");
}

#[test]
fn exports_are_read_back_as_the_same_number_of_pairs() {
    let place = curated_set();
    let kept = shard_rows(&place, "set").len();
    for format in ["trl", "llama-factory", "ms-swift"] {
        let ended = place.succeed(&["data", "export", "set", "--format", format, "-o", format]);
        let sentence = format!("{kept} pairs of {kept} comparisons in {format}");
        assert!(ended.out.contains(&sentence), "{}", ended.out);
        let out = place.succeed(&["data", "inspect", format, "--json"]).out;
        let found: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(found["counts"]["comparisons"], kept, "{format}: {out}");
        assert_eq!(found["counts"]["pairs"], kept, "{format}: {out}");
    }
}

#[test]
fn only_a_benchmark_that_the_manifest_names_is_clean() {
    let place = Workplace::with_model();
    sets::write_all(&place);
    place.succeed(&["data", "curate", "curate.toml", "-o", "set"]);
    fs::create_dir(place.path("unseen")).unwrap();
    place.write("unseen/pairs.jsonl", support::lines(&[sets::row("other", &sets::pair(950))]));
    for (data, judged) in [("seen/pairs.jsonl", "clean"), ("unseen/pairs.jsonl", "not shown")] {
        let eval = ["eval", "model", "--benchmark", "preferences", "--data", data, "--json"];
        let ended = place.succeed(&[&eval[..], &["--training-data", "set"]].concat());
        let found: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(found["contamination"], judged, "{data}: {}", found["notes"]);
        let unnamed: Value = serde_json::from_str(&place.succeed(&eval).out).unwrap();
        assert_eq!(unnamed["contamination"], "unknown");
    }
}
