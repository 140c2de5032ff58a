//! Labels that models and people turn, with `basereward data judge` and `select`; and training from shards as from the rows they were made of.

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

use std::collections::{BTreeMap, BTreeSet};

use curate::labels::reward_line;
use curated::{counts, dropped, manifest, shard_rows};
use serde_json::{Value, json};
use support::{Workplace, lines, rows_of};

const NUM_ROWS: u64 = 20;
/// Rows whose better answer was written as the worse one.
const FLIPPED: [u64; 4] = [1, 6, 11, 16];

const RECIPE: &str = "\
[[source]]
path = ['pairs.jsonl']

[output]
shuffle = 'none'
";

/// Pairs of which some have the wrong label, curated into `set`, and what two noisy models say of them in `a.jsonl` and `b.jsonl`.
fn judged_set() -> Workplace {
    let place = Workplace::new();
    let row = |number: u64| {
        let mut pair = sets::pair(number);
        if FLIPPED.contains(&number) {
            std::mem::swap(&mut pair.chosen, &mut pair.rejected);
        }
        sets::row(&format!("row-{number}"), &pair)
    };
    place.write("pairs.jsonl", lines(&(0..NUM_ROWS).map(row).collect::<Vec<_>>()));
    place.write("recipe.toml", RECIPE);
    place.succeed(&["data", "curate", "recipe.toml", "-o", "set"]);
    for (model, wrong) in [("a", [3, 9]), ("b", [4, 14])] {
        let mut text = String::new();
        for row in shard_rows(&place, "set") {
            let number = number_of(&row.id);
            let is_against = FLIPPED.contains(&number) != wrong.contains(&number);
            // Both models are less sure the larger the number is.
            let margin = 4.0 - number as f32 / 10.0;
            let rewards = if is_against { [0.0, margin] } else { [margin, 0.0] };
            let key = u128::from_str_radix(&row.key, 16).unwrap();
            text.push_str(&reward_line(key, model, &rewards));
            text.push('\n');
        }
        place.write(&format!("{model}.jsonl"), text);
    }
    place
}

fn number_of(id: &str) -> u64 {
    id.strip_prefix("row-").unwrap().parse().unwrap()
}

fn curate_with(place: &Workplace, name: &str, labels: &str) {
    let recipe = format!("{name}.toml");
    place.write(&recipe, format!("{RECIPE}\n[labels]\n{labels}"));
    place.succeed(&["data", "curate", &recipe, "-o", name]);
}

/// Numbers of the rows whose first answer is not the better one in truth.
fn wrong_labels(place: &Workplace, set: &str) -> Vec<u64> {
    let rows = shard_rows(place, set);
    let wrong = rows.iter().filter(|row| {
        assert_eq!(row.answers.len(), 2);
        row.answers[0] != sets::pair(number_of(&row.id)).chosen
    });
    wrong.map(|row| number_of(&row.id)).collect()
}

#[test]
fn labels_that_all_models_are_against_are_turned_or_dropped_and_no_others() {
    let place = judged_set();
    assert_eq!(wrong_labels(&place, "set"), FLIPPED);
    let rewards = "rewards = ['a.jsonl', 'b.jsonl']\n";

    curate_with(&place, "flipped", &format!("{rewards}doubtful = 'flip'\n"));
    assert_eq!(wrong_labels(&place, "flipped"), [0; 0]);
    let rows = shard_rows(&place, "flipped");
    assert_eq!(rows.len() as u64, NUM_ROWS);
    let turned: Vec<u64> =
        rows.iter().filter(|row| row.flipped).map(|row| number_of(&row.id)).collect();
    assert_eq!(turned, FLIPPED);
    let list = rows_of(&place.read("flipped/report/flipped.jsonl"));
    let listed: Vec<&str> = list.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(listed, FLIPPED.map(|number| format!("row-{number}")));
    assert!(list.iter().all(|line| line["strength"].as_f64().unwrap() < 0.0), "{list:?}");
    assert_eq!(counts(&manifest(&place, "flipped"), "preferences")["flipped"], FLIPPED.len());

    curate_with(&place, "dropped", &format!("{rewards}doubtful = 'drop'\n"));
    assert_eq!(wrong_labels(&place, "dropped"), [0; 0]);
    let gone = dropped(&place, "dropped");
    let ids: Vec<&str> = gone.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids, FLIPPED.map(|number| format!("row-{number}")));
    assert!(gone.iter().all(|line| line["stage"] == "labels"), "{gone:?}");

    // Only the half that the models are most against.
    curate_with(&place, "half", &format!("{rewards}doubtful = 'flip'\nshare = 0.5\n"));
    assert_eq!(wrong_labels(&place, "half"), FLIPPED[2..]);
}

#[test]
fn people_are_asked_about_chosen_rows_and_their_word_counts() {
    let place = judged_set();
    let select = ["data", "select", "set", "--rewards", "a.jsonl", "--rewards", "b.jsonl"];
    let ask = [&select[..], &["--by", "doubt", "-n", "5", "-o", "sheet.jsonl"]].concat();
    place.succeed(&ask);
    assert!(place.refused(&ask).contains("`sheet.jsonl` is there"));
    let mut sheet = rows_of(&place.read("sheet.jsonl"));
    let ids: BTreeMap<String, u64> =
        shard_rows(&place, "set").into_iter().map(|row| (row.key, number_of(&row.id))).collect();
    let number = |line: &Value| ids[line["key"].as_str().unwrap()];
    let asked: BTreeSet<u64> = sheet.iter().map(number).collect();
    assert!(FLIPPED.iter().all(|number| asked.contains(number)), "{asked:?}");
    assert_eq!(asked.len(), 5);
    let tied = sheet.iter().map(number).find(|number| !FLIPPED.contains(number)).unwrap();
    for line in &mut sheet {
        let number = number(line);
        assert!(line.get("chosen").is_none() && line["verdict"] == "", "{line}");
        let is_a = line["a"].to_string().contains(&sets::pair(number).chosen);
        line["verdict"] = match number {
            number if number == tied => "tie",
            // Nobody knows about this one.
            1 => "skip",
            _ if is_a => "a",
            _ => "b",
        }
        .into();
    }
    place.write("sheet.jsonl", lines(&sheet));
    curate_with(&place, "people", "verdicts = ['sheet.jsonl']\n");
    assert_eq!(wrong_labels(&place, "people"), [1]);
    let gone = dropped(&place, "people");
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert_eq!(gone[0]["id"], format!("row-{tied}"));
    // What people say counts more than models that say the opposite.
    sheet.retain(|line| number(line) == 6);
    sheet[0]["verdict"] = "chosen".into();
    place.write("sheet.jsonl", lines(&sheet));
    let both = "rewards = ['a.jsonl', 'b.jsonl']\nverdicts = ['sheet.jsonl']\ndoubtful = 'flip'\n";
    curate_with(&place, "both", both);
    assert_eq!(wrong_labels(&place, "both"), [6]);
}

#[test]
fn verdicts_and_rewards_at_fault_are_named_with_their_line() {
    let place = judged_set();
    let key = &shard_rows(&place, "set")[0].key;
    for (line, reason) in [
        (json!({"key": key, "verdict": "c"}), "`verdict` is `c`; write"),
        (json!({"key": "12", "verdict": "a"}), "`key` is `12`"),
        (json!({"key": key}), "missing field `verdict`"),
    ] {
        place.write("verdicts.jsonl", lines(&[json!({"key": key, "verdict": "skip"}), line]));
        place.write("v.toml", format!("{RECIPE}\n[labels]\nverdicts = ['verdicts.jsonl']\n"));
        let ended = place.run(&["data", "curate", "v.toml", "-o", "v", "--overwrite"]);
        assert_eq!(ended.code, 2, "{}", ended.err);
        let place_and_reason = ["`verdicts.jsonl`, line 2", reason];
        assert!(place_and_reason.iter().all(|part| ended.err.contains(part)), "{}", ended.err);
    }
}

#[test]
fn a_model_judges_every_record_once_and_goes_on_to_the_same_bytes() {
    let place = Workplace::with_model();
    place.write("pairs.jsonl", lines(&training_rows()));
    // More rows than there are, so that some stand in the shards twice.
    place.write("recipe.toml", format!("{RECIPE}\n[mix]\nrows = 16\nrepeat = true\n"));
    place.succeed(&["data", "curate", "recipe.toml", "-o", "set"]);
    assert_eq!(shard_rows(&place, "set").len(), 16);
    let judge = ["data", "judge", "set", "--model", "model", "-o", "rewards.jsonl"];
    place.succeed(&judge);
    let whole = place.read("rewards.jsonl");
    let found = rows_of(&whole);
    let keys: BTreeSet<String> = shard_rows(&place, "set").into_iter().map(|row| row.key).collect();
    let judged: Vec<&str> = found.iter().map(|line| line["key"].as_str().unwrap()).collect();
    assert_eq!(judged.len(), training_rows().len());
    assert!(judged.iter().copied().collect::<BTreeSet<_>>().into_iter().eq(&keys));
    assert!(found.iter().all(|line| line["model"] == "model"), "{found:?}");
    assert!(place.refused(&judge).contains("`rewards.jsonl` is there; go on with --resume"));
    for length in [0, 30, whole.len() / 2, whole.len() - 1, whole.len()] {
        place.write("rewards.jsonl", &whole[..length]);
        place.succeed(&[&judge[..], &["--resume"]].concat());
        assert!(place.read("rewards.jsonl") == whole, "cut after {length} bytes");
    }
    curate_with(&place, "labeled", "rewards = ['rewards.jsonl']\ndrop_unjudged = true\n");
    assert_eq!(dropped(&place, "labeled").len(), 0);
}

/// Pairs over the golden pictures, and one row without any.
fn training_rows() -> Vec<Value> {
    let pictures = ["circle.png", "square.png", "odd_tall.png", "odd_wide.png"];
    let mut rows: Vec<Value> = (0..10)
        .map(|number| {
            let mut row = json!({
                "id": format!("pair-{number}"), "prompt": format!("What is shown, {number}?"),
                "chosen": "A shape.", "rejected": format!("{number} dogs."),
            });
            row["images"] = json!([format!("images/{}", pictures[number % 4])]);
            row
        })
        .collect();
    rows.push(json!({
        "id": "text", "chosen": "Four.", "rejected": "Five, or so.", "margin": 1.5,
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}],
    }));
    rows
}

/// Answers to a question about a golden picture.
fn ranking() -> Value {
    json!({
        "id": "ranking", "prompt": "What is <image>?", "images": ["images/circle.png"],
        "responses": ["A square.", "A round circle.", "It is a circle."], "ranks": [3, 1, 2],
    })
}

const TRAINING: &str = "\
[model.folder]
path = 'model'

[data]
train = ['pairs.jsonl']
shuffle = false

[trainable]
vision = {}
merger = {}
language = {}

[optimizer.adamw]
learning_rate = 1e-3

[run]
output = 'raw'
steps = 4
comparisons_per_step = 3
compute_type = 'f32'
";

#[test]
fn training_from_shards_and_from_the_rows_has_the_same_losses() {
    let place = Workplace::with_model();
    place.write("pairs.jsonl", lines(&training_rows()));
    place.write("ranking.jsonl", lines(&[ranking()]));
    place.write("train.toml", TRAINING);
    let both = RECIPE.replace("'pairs.jsonl'", "'pairs.jsonl', 'ranking.jsonl'");
    place.write("recipe.toml", both);
    let files = ["pairs.jsonl", "ranking.jsonl"];
    let convert = ["data", "convert", "--source", "preferences", "-o", "converted"];
    place.succeed(&[&convert[..], &files].concat());
    let embedded = ["data", "curate", "recipe.toml", "--set", "output.images=embedded"];
    place.succeed(&[&embedded[..], &["-o", "embedded"]].concat());
    let losses = |data: &[&str], run: &str| -> Vec<Value> {
        let (data, run_set) = (format!("data.train={data:?}"), format!("run.output={run}"));
        place.succeed(&["train", "train.toml", "--set", &data, "--set", &run_set]);
        let rows = rows_of(&place.read(&format!("{run}/metrics.jsonl")));
        rows.iter().map(|row| json!([row["train/loss"], row["train/grad_norm"]])).collect()
    };
    let raw = losses(&files, "raw");
    assert_eq!(raw.len(), 4);
    assert!(raw.iter().all(|step| step[0].as_f64().is_some()), "{raw:?}");
    assert_eq!(losses(&["converted/train"], "run-files"), raw);
    assert_eq!(losses(&["embedded/train"], "run-embedded"), raw);
    // The order matters, so that equal losses show equal rows.
    let turned: Vec<Value> = training_rows().into_iter().rev().collect();
    place.write("turned.jsonl", lines(&turned));
    assert_ne!(losses(&["turned.jsonl", "ranking.jsonl"], "run-turned"), raw);
}
