//! Which keys two recipes differ in, for resuming a run.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::{Recipe, ScheduleRecipe};

/// Keys that may change when a run is resumed: none of them changes a weight. With `[schedule.constant]` and no warm-up, the
/// length of the run may change too.
pub const CHANGEABLE_KEYS: [&str; 6] = [
    "run.output",
    "run.evaluate_every_steps",
    "run.save_every_steps",
    "run.keep_last_checkpoints",
    "run.prefetch_steps",
    "data.max_validation_comparisons",
];

/// Dotted keys that differ and may not, sorted.
pub fn changed_keys(saved: &Recipe, given: &Recipe) -> Vec<String> {
    let mut differing = BTreeSet::new();
    collect("", &Value::Table(table_of(saved)), &Value::Table(table_of(given)), &mut differing);
    let free_length = [saved, given].iter().all(
        |one| matches!(&one.schedule, ScheduleRecipe::Constant(w) if w.warmup_fraction == 0.0),
    );
    differing
        .into_iter()
        .filter(|key| !CHANGEABLE_KEYS.contains(&key.as_str()))
        .filter(|key| !(free_length && (key == "run.steps" || key == "run.epochs")))
        .collect()
}

fn table_of(recipe: &Recipe) -> Table {
    Table::try_from(recipe).expect("a recipe has only values that TOML has")
}

fn collect(path: &str, one: &Value, other: &Value, differing: &mut BTreeSet<String>) {
    if one == other {
        return;
    }
    let (Value::Table(one), Value::Table(other)) = (one, other) else {
        differing.insert(path.to_owned());
        return;
    };
    for key in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (one.get(key), other.get(key)) {
            (Some(one), Some(other)) => collect(&path, one, other, differing),
            _ => {
                differing.insert(path);
            }
        }
    }
}
