//! Which keys two recipes differ in, for resuming a run.

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
    let free_length = [saved, given].iter().all(
        |one| matches!(&one.schedule, ScheduleRecipe::Constant(w) if w.warmup_fraction == 0.0),
    );
    recipe::differing_keys(saved, given)
        .into_iter()
        .filter(|key| !CHANGEABLE_KEYS.contains(&key.as_str()))
        .filter(|key| !(free_length && (key == "run.steps" || key == "run.epochs")))
        .collect()
}
