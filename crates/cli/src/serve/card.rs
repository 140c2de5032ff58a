//! The model card of a folder: size and head, and the figures of the run that it is a checkpoint of.
//!
//! Reads what is there; a folder that was copied out of its run has no figures.

use std::path::Path;

use ::serve::{Card, Training};
use train::metrics::read_metrics;

use crate::inspect::report::{Head, Report, Wanted};

/// What stands before the number of steps in a checkpoint's folder name.
const STEP_PREFIX: &str = "step-";

/// Reads the card of a model folder.
pub(super) fn read(folder: &Path) -> anyhow::Result<Card> {
    let report = Report::read(folder, Wanted { model_hash: false, tensors: false })?;
    Ok(Card {
        parameters: report.parameters.total,
        size_bytes: report.storage.size_bytes,
        head: report.head.as_ref().map_or_else(|| "none".to_owned(), in_words),
        training: training(folder),
    })
}

fn in_words(head: &Head) -> String {
    let Head { num_layers, activation, hidden_size, position, .. } = head;
    match num_layers {
        1 => format!("1 layer, read at {position}"),
        _ => format!("{num_layers} layers, {activation}, {hidden_size} wide, read at {position}"),
    }
}

/// Figures of the evaluation at the step of `RUN/checkpoints/step-N/model`.
fn training(folder: &Path) -> Option<Training> {
    let folder = folder.canonicalize().ok()?;
    let checkpoint = folder.parent()?;
    let step: u64 = checkpoint.file_name()?.to_str()?.strip_prefix(STEP_PREFIX)?.parse().ok()?;
    let metrics = read_metrics(checkpoint.parent()?.parent()?).ok()?;
    let evaluation = metrics.into_iter().rev().find(|metrics| metrics.step == step)?.evaluation?;
    Some(Training {
        step,
        pairwise_accuracy: evaluation.pairwise_accuracy,
        loss: evaluation.loss,
        margin_mean: evaluation.margin_mean,
        pairs: evaluation.pairs,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_checkpoint_has_the_figures_of_its_own_step_and_a_copy_has_none() {
        let run = tempfile::tempdir().unwrap();
        let folder = |step: u64| run.path().join(format!("checkpoints/step-{step:06}/model"));
        for step in [10, 20] {
            fs::create_dir_all(folder(step)).unwrap();
        }
        let line = |step: u64, accuracy: f64| {
            format!(
                "{{\"step\":{step},\"eval/loss\":0.5,\"eval/pairwise_accuracy\":{accuracy},\"eval/margin_mean\":1.5,\"eval/pairs\":8,\"eval/secs\":1.0}}\n"
            )
        };
        let log = [line(10, 0.625), line(20, 0.75)].concat();
        fs::write(run.path().join("metrics.jsonl"), log).unwrap();
        let figures = |step, pairwise_accuracy| {
            Some(Training { step, pairwise_accuracy, loss: 0.5, margin_mean: 1.5, pairs: 8 })
        };
        assert_eq!(training(&folder(10)), figures(10, 0.625));
        assert_eq!(training(&folder(20)), figures(20, 0.75));
        let copy = run.path().join("copy");
        fs::create_dir(&copy).unwrap();
        assert_eq!(training(&copy), None);
    }
}
