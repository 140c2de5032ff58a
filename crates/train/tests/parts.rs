//! Parts of a micro-batch that are run side by side: how it is divided, and that threads change nothing.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};

use data::{Dataset, DatasetOptions};
use engine::{DType, Device};
use model::training::TrainableModel;
use train::batches::{arrange, parts};
use train::prepare::{Prepared, Preparer, Ready};
use train::recipe::Recipe;
use train::run::training_options;
use train::step::{StepFigures, Trainer};
use train::stream::{Cursor, StepBatch};

const RECIPE: &str = "
[model.folder]
path = 'model'
[data]
train = ['pairs.jsonl']
[trainable]
vision = {}
merger = {}
language = {}
[optimizer.adamw]
learning_rate = 1e-3
[run]
output = 'unused'
steps = 1
comparisons_per_step = 2
compute_type = 'f32'
";

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/goldens/tiny")
}

/// The golden pairs, `times` over, pairs of one picture next to each other.
fn comparisons(times: usize) -> Vec<Prepared> {
    let recipe = Recipe::parse("parts".as_ref(), RECIPE, &[]).unwrap();
    let pairs = goldens().join("training/pairs.jsonl");
    let dataset = Dataset::open(&[pairs], &DatasetOptions::default()).unwrap();
    let preparer = Preparer::load(&goldens().join("model"), &recipe.data).unwrap();
    let rows = (0..times).flat_map(|_| 0..dataset.len());
    let prepared = rows.map(|row| match preparer.prepare(&dataset, row).unwrap() {
        Ready::Used(prepared, None) => *prepared,
        other => panic!("{other:?}"),
    });
    arrange(prepared.collect())
}

fn tokens(comparisons: &[Prepared]) -> usize {
    comparisons.iter().flat_map(|one| &one.encoded).map(prompt::Encoded::len).sum()
}

/// Figures of one step and the weights after it.
fn step(threads: usize, times: usize, num_micro_batches: usize) -> (StepFigures, Vec<Vec<f32>>) {
    let recipe = Recipe::parse("parts".as_ref(), RECIPE, &[]).unwrap();
    let device = Device::cpu(Some(threads)).unwrap();
    let options = training_options(&recipe);
    let folder = goldens().join("model");
    let model = TrainableModel::load(&folder, &device, DType::F32, &options).unwrap();
    let mut trainer = Trainer::new(model, &device, &recipe, 1);
    let comparisons = comparisons(times);
    let len = comparisons.len().div_ceil(num_micro_batches);
    let micro_batches =
        (0..comparisons.len()).step_by(len).map(|i| i..(i + len).min(comparisons.len())).collect();
    let (affected, cursor) = (Vec::new(), Cursor::default());
    let batch = StepBatch { comparisons, micro_batches, packed_rows: 0, affected, cursor };
    let figures = trainer.step(0, &batch).unwrap();
    let weights = (0..trainer.model.parameters().len()).map(|id| trainer.model.value(id).to_f32());
    (figures, weights.collect())
}

#[test]
fn parts_are_alike_in_length_and_leave_the_rows_of_a_picture_together() {
    let comparisons = comparisons(3);
    let picture = |one: &Prepared| {
        one.encoded.iter().find_map(|one| one.visuals.first()).map(|picture| picture.hash)
    };
    let total = tokens(&comparisons);
    let found = parts(&comparisons, total / 3);
    assert_eq!(found.len(), 3);
    let mut next = 0;
    for part in &found {
        assert_eq!(part.start, next, "no comparison is left out");
        next = part.end;
        let share = tokens(&comparisons[part.clone()]) as f64 / total as f64;
        assert!((0.2..0.5).contains(&share), "a part of {share:.2} of the tokens");
        if let Some(after) = comparisons.get(part.end) {
            let last = picture(&comparisons[part.end - 1]);
            assert!(last.is_none() || last != picture(after), "a picture is in two parts");
        }
    }
    assert_eq!(next, comparisons.len());
    assert_eq!(parts(&comparisons, total).len(), 1);
    assert_eq!(parts(&comparisons[..1], 1).len(), 1);
    assert!(parts(&[], 1).is_empty());
}

#[test]
fn a_step_in_parts_has_the_same_bits_for_any_number_of_threads() {
    let times = 1 + 3 * 2048 / tokens(&comparisons(1));
    assert!(parts(&comparisons(times), 2048).len() > 2, "several parts are what is tested");
    let (figures, weights) = step(1, times, 1);
    for threads in [2, 3] {
        assert_eq!(
            step(threads, times, 1),
            (figures.clone(), weights.clone()),
            "{threads} threads"
        );
    }
}

#[test]
fn a_step_in_parts_is_a_step_in_micro_batches_but_for_rounding() {
    let times = 1 + 3 * 2048 / tokens(&comparisons(1));
    let in_parts = step(2, times, 1).0;
    let one_by_one = step(2, times, comparisons(times).len()).0;
    assert_eq!(in_parts.pairs, one_by_one.pairs);
    assert_eq!(in_parts.right_pairs, one_by_one.right_pairs);
    assert!((in_parts.loss - one_by_one.loss).abs() <= 1e-6);
    let norms = in_parts.gradient_norm / one_by_one.gradient_norm;
    assert!((norms - 1.0).abs() <= 1e-5, "norms of the gradients: {norms}");
}
