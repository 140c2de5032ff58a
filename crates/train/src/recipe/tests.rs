//! Recipes as text: defaults, overrides, every fault with its exact place.

use std::path::Path;

use super::*;

const PLAIN: &str = r#"
[model.folder]
path = "a-model"

[data]
train = ["pairs.jsonl"]

[optimizer.adamw]
learning_rate = 3e-6

[run]
output = "runs/one"
steps = 10
comparisons_per_step = 4
"#;

fn parse(text: &str, overrides: &[&str]) -> Result<Recipe, RecipeError> {
    let overrides: Vec<String> = overrides.iter().map(|&one| one.to_owned()).collect();
    Recipe::parse(Path::new("r.toml"), text, &overrides)
}

fn sentence(text: &str, overrides: &[&str]) -> String {
    parse(text, overrides).expect_err("a fault").to_string()
}

#[test]
fn a_short_recipe_has_the_documented_defaults() {
    let recipe = parse(PLAIN, &[]).unwrap();
    assert_eq!(recipe.data.max_tokens, 4096);
    assert_eq!(recipe.data.over_long, OverLong::Error);
    assert_eq!(recipe.loss.options(), crate::loss::LossOptions::default());
    assert_eq!(recipe.lora, None);
    assert!(recipe.trainable.vision.frozen && recipe.trainable.merger.frozen);
    let rates = recipe.part_rates();
    assert_eq!((rates.vision, rates.language, rates.head), (None, Some(3e-6), 3e-6));
    assert_eq!(recipe.adamw().clip_norm(), Some(1.0));
    assert_eq!(recipe.run.tokens_per_batch, 8192);
}

#[test]
fn the_resolved_recipe_reads_back_as_itself() {
    let overrides = [
        "lora.rank=8",
        "schedule.cosine.floor=0.1",
        "trainable.vision.learning_rate=1e-6",
        "data.max_pixels=1003520",
        "model.folder.head.num_layers=1",
    ];
    let recipe = parse(PLAIN, &overrides).unwrap();
    let again = parse(&recipe.to_toml(), &[]).unwrap();
    assert_eq!(recipe, again);
    assert_eq!(recipe.hash(), again.hash());
    assert_ne!(recipe.hash(), parse(PLAIN, &[]).unwrap().hash());
}

#[test]
fn overrides_are_toml_values_or_bare_words() {
    let recipe = parse(
        PLAIN,
        &[
            "data.over_long=skip",
            "run.output=runs/two words",
            "data.train=[\"a\", \"b\"]",
            "run.steps=3",
        ],
    )
    .unwrap();
    assert_eq!(recipe.data.over_long, OverLong::Skip);
    assert_eq!(recipe.run.output, Path::new("runs/two words"));
    assert_eq!(recipe.data.train.len(), 2);
    assert_eq!(recipe.run.steps, Some(3));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_a_mark() {
    let text = PLAIN.replace("learning_rate", "lerning_rate");
    assert_eq!(
        sentence(&text, &[]),
        "`optimizer.adamw.lerning_rate`: unknown field `lerning_rate`, expected one of \
         `learning_rate`, `beta1`, `beta2`, `epsilon`, `weight_decay`, `max_gradient_norm`\n   \
         --> r.toml:9:1\n   |\n9 | lerning_rate = 3e-6\n  | ^^^^^^^^^^^^"
            .replace("\n   -->", "\n  -->")
            .replace("\n   |", "\n  |")
    );
}

#[test]
fn missing_mistyped_and_impossible_values_are_refused_with_their_place() {
    let missing = sentence(&PLAIN.replace("comparisons_per_step = 4\n", ""), &[]);
    assert!(missing.starts_with("`run`: missing field `comparisons_per_step`\n"), "{missing}");
    assert!(missing.contains("r.toml:11:2"), "{missing}");
    let mistyped = sentence(&PLAIN.replace("steps = 10", "steps = \"ten\""), &[]);
    assert!(mistyped.starts_with("`run.steps`: invalid type: string \"ten\""), "{mistyped}");
    assert!(mistyped.contains("13 | steps = \"ten\"\n   | ^^^^^"), "{mistyped}");
    let impossible = sentence(&PLAIN.replace("3e-6", "-1.0"), &[]);
    assert!(
        impossible.starts_with("`optimizer.adamw.learning_rate`: is `-1`; give a number above 0\n"),
        "{impossible}"
    );
    assert!(impossible.contains("r.toml:9:1"), "{impossible}");
    let choice = sentence(&PLAIN.replace("optimizer.adamw", "optimizer.sgd"), &[]);
    assert!(choice.contains("unknown variant `sgd`, expected `adamw`"), "{choice}");
    assert!(choice.contains("r.toml:8:"), "{choice}");
    let no_word = sentence(PLAIN, &["run.recompute=true"]);
    assert!(
        no_word.starts_with(
            "`run.recompute`: unknown variant `true`, expected one of `nothing`, `layers`, `groups`"
        ),
        "{no_word}"
    );
}

#[test]
fn text_that_is_no_toml_is_refused_with_its_place() {
    let found = sentence("[run\noutput = 1\n", &[]);
    assert!(found.starts_with("the recipe is not valid TOML: "), "{found}");
    assert!(found.contains("r.toml:1:"), "{found}");
    let twice = sentence(&format!("{PLAIN}steps = 3\n"), &[]);
    assert!(twice.contains("r.toml:15:1") && twice.contains("duplicate key"), "{twice}");
}

#[test]
fn a_fault_of_an_override_names_the_override() {
    assert_eq!(
        sentence(PLAIN, &["run.stepz=3"])
            .split(';')
            .next()
            .unwrap()
            .split(", expected")
            .next()
            .unwrap(),
        "`run.stepz`: unknown field `stepz`"
    );
    assert!(sentence(PLAIN, &["run.stepz=3"]).ends_with("(from `--set run.stepz=3`)"));
    assert_eq!(
        sentence(PLAIN, &["run.steps=0"]),
        "`run.steps`: is `0`; give at least 1 (from `--set run.steps=0`)"
    );
    assert_eq!(
        sentence(PLAIN, &["run.steps"]),
        "`--set run.steps`: there is no `=`; write it as `section.key=value`"
    );
    assert_eq!(
        sentence(PLAIN, &["run.steps.more=1"]),
        "`--set run.steps.more=1`: `run.steps` is a value and has no keys"
    );
}

#[test]
fn keys_that_exclude_each_other_are_refused() {
    for (overrides, key) in [
        (&["run.epochs=1"][..], "`run.steps`"),
        (&["trainable.head.frozen=true"], "`trainable.head.frozen`"),
        (
            &["trainable.vision.frozen=true", "trainable.vision.learning_rate=1e-5"],
            "`trainable.vision.learning_rate`",
        ),
        (
            &["data.validation=[\"v\"]", "data.validation_fraction=0.1"],
            "`data.validation_fraction`",
        ),
        (&["loss.objective=plackett_luce", "loss.label_smoothing=0.1"], "`loss.label_smoothing`"),
        (&["model.folder.head.activation=swish"], "`model.folder.head.activation`"),
        (&["run.comparisons_per_step=0"], "`run.comparisons_per_step`"),
        (&["optimizer.adamw.learning_rate=nan"], "`optimizer.adamw.learning_rate`"),
        (&["lora.rank=0"], "`lora.rank`"),
    ] {
        let found = sentence(PLAIN, overrides);
        assert!(found.starts_with(key), "{overrides:?}: {found}");
    }
}

#[test]
fn changed_keys_are_named_unless_they_may_change() {
    let saved = parse(PLAIN, &[]).unwrap();
    let changed = |overrides: &[&str]| changed_keys(&saved, &parse(PLAIN, overrides).unwrap());
    assert!(changed(&["run.save_every_steps=7", "run.output=elsewhere"]).is_empty());
    assert_eq!(changed(&["run.seed=1", "lora.rank=4"]), ["lora", "run.seed"]);
    assert!(changed(&["run.steps=20"]).is_empty());
    assert_eq!(
        changed(&["schedule.cosine.floor=0", "run.steps=20"]),
        ["run.steps", "schedule.constant", "schedule.cosine"]
    );
}

#[test]
fn the_length_of_a_run_follows_epochs_and_comparisons() {
    let recipe = parse(
        &PLAIN.replace("steps = 10", "epochs = 1.5"),
        &["schedule.linear.warmup_fraction=0.05"],
    )
    .unwrap();
    assert_eq!(recipe.total_steps(100), 38);
    assert_eq!(recipe.total_steps(1), 1);
    assert_eq!(recipe.schedule(38).warmup_steps, 2);
}

#[test]
fn every_recipe_of_the_repository_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    for name in ["tiny.toml", "demo.toml", "scratch.toml", "basereward_7b.toml"] {
        let recipe =
            Recipe::read(&folder.join(name), &[]).unwrap_or_else(|error| panic!("{error}"));
        let rates = recipe.part_rates();
        assert!(rates.merger.is_some() && rates.language.is_some(), "{name}: {rates:?}");
        assert_eq!(rates.vision.is_none(), name == "basereward_7b.toml", "{name}");
    }
}
