//! Figures of a run, step by step: what is recorded and how one line of `metrics.jsonl` looks.
//!
//! [`MetricsLog`] keeps the lines in a file, [`EventFile`] writes the same figures for `TensorBoard`. Nothing here computes
//! a figure, and nothing decides when a step is recorded.

mod events;
mod log;

use std::fmt::Write;

use serde_json::{Map, Value};

pub use self::events::EventFile;
pub use self::log::{MetricsLog, read_metrics};

/// Name of the file in a run folder that [`MetricsLog`] writes.
pub const METRICS_FILE: &str = "metrics.jsonl";

const STEP: &str = "step";
/// Key that tells which numbers of a line stand as null because JSON cannot write them.
const NON_FINITE: &str = "non_finite";
/// What stands before the name of a part in the key of its gradient norm.
const PART_PREFIX: &str = "train/grad_norm/";

/// Figures of one step. A step without training figures was only evaluated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepMetrics {
    /// Optimizer steps done when the figures were taken; the first step is 1, an evaluation before training has 0.
    pub step: u64,
    /// Figures of the training step itself.
    pub train: Option<TrainMetrics>,
    /// Figures of an evaluation after this step.
    pub evaluation: Option<EvaluationMetrics>,
}

/// Figures of a training step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainMetrics {
    /// Mean loss of the step's comparisons.
    pub loss: f64,
    /// Part of the step's pairs in which the chosen answer got the higher reward, from 0 to 1.
    pub pairwise_accuracy: f64,
    /// Mean of reward of the chosen answer minus reward of the rejected one.
    pub margin_mean: f64,
    /// Learning rate of the step before any factor of a parameter group.
    pub learning_rate: f64,
    /// Norm of the whole gradient before clipping.
    pub grad_norm: f64,
    /// Norms of the gradients of the trained parts before clipping, such as `("vision", 0.3)`.
    pub grad_norm_by_part: Vec<(String, f64)>,
    /// Packed tokens per second.
    pub tokens_per_sec: f64,
    /// Pairs per second.
    pub pairs_per_sec: f64,
    /// Wall time of the step.
    pub step_secs: f64,
    /// Most memory that the process has had resident so far.
    pub peak_resident_bytes: u64,
    /// Rows skipped since the run began.
    pub skipped: u64,
    /// Image tokens of the step; a shared picture counts once.
    pub image_tokens: u64,
}

/// Figures of an evaluation on the held-out pairs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EvaluationMetrics {
    /// Mean loss.
    pub loss: f64,
    /// Part of the pairs in which the chosen answer got the higher reward, from 0 to 1; a tie is wrong.
    pub pairwise_accuracy: f64,
    /// Mean of reward of the chosen answer minus reward of the rejected one.
    pub margin_mean: f64,
    /// Pairs that were evaluated.
    pub pairs: u64,
    /// Wall time of the evaluation.
    pub secs: f64,
}

/// One recorded number: counts stay whole.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Count(u64),
    Real(f64),
}

impl Number {
    fn as_f64(self) -> f64 {
        match self {
            Self::Count(count) => count as f64,
            Self::Real(real) => real,
        }
    }
}

impl StepMetrics {
    /// Line of `metrics.jsonl` without its line feed. The keys have a fixed order.
    ///
    /// JSON has no NaN and no infinity: such a number is written as null, and the object `non_finite` at the end of the line says
    /// what it was. A line is never left out for it, because it is the one that explains why a run stopped.
    pub fn to_json_line(&self) -> String {
        let mut line = format!("{{\"{STEP}\":{}", self.step);
        let mut non_finite = Map::new();
        for (key, number) in self.entries() {
            let value = match number {
                Number::Count(count) => Value::from(count),
                // From an f64 that is not finite `Value` makes null.
                Number::Real(real) => Value::from(real),
            };
            if value.is_null() {
                non_finite.insert(key.clone(), Value::from(format!("{}", number.as_f64())));
            }
            write!(line, ",{}:{value}", Value::from(key)).expect("a String takes any text");
        }
        if !non_finite.is_empty() {
            write!(line, ",\"{NON_FINITE}\":{}", Value::Object(non_finite))
                .expect("a String takes any text");
        }
        line.push('}');
        line
    }

    /// Reads a line of `metrics.jsonl`. Unknown keys are passed over, absent numbers are 0.
    ///
    /// `None` when the line is no JSON object with a whole number `step`.
    pub fn from_json_line(line: &str) -> Option<Self> {
        let object: Map<String, Value> = serde_json::from_str(line).ok()?;
        let step = object.get(STEP)?.as_u64()?;
        let train = object.contains_key("train/loss").then(|| train_metrics(&object));
        let evaluation = object.contains_key("eval/loss").then(|| EvaluationMetrics {
            loss: real(&object, "eval/loss"),
            pairwise_accuracy: real(&object, "eval/pairwise_accuracy"),
            margin_mean: real(&object, "eval/margin_mean"),
            pairs: count(&object, "eval/pairs"),
            secs: real(&object, "eval/secs"),
        });
        Some(Self { step, train, evaluation })
    }

    /// All numbers under their keys, in the order of a line.
    fn entries(&self) -> Vec<(String, Number)> {
        use Number::{Count, Real};
        let mut entries = Vec::new();
        let mut add = |key: &str, number| entries.push((key.to_owned(), number));
        if let Some(train) = &self.train {
            add("train/loss", Real(train.loss));
            add("train/pairwise_accuracy", Real(train.pairwise_accuracy));
            add("train/margin_mean", Real(train.margin_mean));
            add("train/learning_rate", Real(train.learning_rate));
            add("train/grad_norm", Real(train.grad_norm));
            for (part, norm) in &train.grad_norm_by_part {
                add(&format!("{PART_PREFIX}{part}"), Real(*norm));
            }
            add("perf/tokens_per_sec", Real(train.tokens_per_sec));
            add("perf/pairs_per_sec", Real(train.pairs_per_sec));
            add("perf/step_secs", Real(train.step_secs));
            add("perf/peak_resident_bytes", Count(train.peak_resident_bytes));
            add("data/skipped", Count(train.skipped));
            add("data/image_tokens", Count(train.image_tokens));
        }
        if let Some(evaluation) = &self.evaluation {
            add("eval/loss", Real(evaluation.loss));
            add("eval/pairwise_accuracy", Real(evaluation.pairwise_accuracy));
            add("eval/margin_mean", Real(evaluation.margin_mean));
            add("eval/pairs", Count(evaluation.pairs));
            add("eval/secs", Real(evaluation.secs));
        }
        entries
    }
}

fn train_metrics(object: &Map<String, Value>) -> TrainMetrics {
    let parts = object.keys().filter_map(|key| Some((key, key.strip_prefix(PART_PREFIX)?)));
    TrainMetrics {
        loss: real(object, "train/loss"),
        pairwise_accuracy: real(object, "train/pairwise_accuracy"),
        margin_mean: real(object, "train/margin_mean"),
        learning_rate: real(object, "train/learning_rate"),
        grad_norm: real(object, "train/grad_norm"),
        grad_norm_by_part: parts.map(|(key, part)| (part.to_owned(), real(object, key))).collect(),
        tokens_per_sec: real(object, "perf/tokens_per_sec"),
        pairs_per_sec: real(object, "perf/pairs_per_sec"),
        step_secs: real(object, "perf/step_secs"),
        peak_resident_bytes: count(object, "perf/peak_resident_bytes"),
        skipped: count(object, "data/skipped"),
        image_tokens: count(object, "data/image_tokens"),
    }
}

/// The number under a key; for a null, the number that JSON could not write.
fn real(object: &Map<String, Value>, key: &str) -> f64 {
    match object.get(key) {
        Some(Value::Null) => {
            let written = object.get(NON_FINITE).and_then(|names| names.get(key)?.as_str());
            written.and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
        }
        value => value.and_then(Value::as_f64).unwrap_or(0.0),
    }
}

fn count(object: &Map<String, Value>, key: &str) -> u64 {
    object.get(key).and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn trained(step: u64) -> StepMetrics {
        let train = TrainMetrics {
            loss: 0.5,
            pairwise_accuracy: 0.75,
            margin_mean: 0.25,
            learning_rate: 3e-6,
            grad_norm: 1.5,
            grad_norm_by_part: vec![("head".into(), 1.25), ("vision".into(), 0.5)],
            tokens_per_sec: 1000.5,
            pairs_per_sec: 12.0,
            step_secs: 0.125,
            peak_resident_bytes: 1 << 33,
            skipped: 2,
            image_tokens: 64,
        };
        StepMetrics { step, train: Some(train), evaluation: None }
    }

    #[test]
    fn a_line_has_its_keys_in_a_fixed_order() {
        let mut metrics = trained(7);
        metrics.evaluation = Some(EvaluationMetrics {
            loss: 0.4,
            pairwise_accuracy: 0.8,
            margin_mean: 1.0,
            pairs: 10,
            secs: 2.5,
        });
        assert_eq!(
            metrics.to_json_line(),
            concat!(
                r#"{"step":7,"train/loss":0.5,"train/pairwise_accuracy":0.75,"train/margin_mean":0.25,"#,
                r#""train/learning_rate":3e-6,"train/grad_norm":1.5,"train/grad_norm/head":1.25,"#,
                r#""train/grad_norm/vision":0.5,"perf/tokens_per_sec":1000.5,"perf/pairs_per_sec":12.0,"#,
                r#""perf/step_secs":0.125,"perf/peak_resident_bytes":8589934592,"data/skipped":2,"#,
                r#""data/image_tokens":64,"eval/loss":0.4,"eval/pairwise_accuracy":0.8,"#,
                r#""eval/margin_mean":1.0,"eval/pairs":10,"eval/secs":2.5}"#
            )
        );
    }

    #[test]
    fn a_line_is_read_back_as_it_was_written() {
        let mut metrics = trained(3);
        assert_eq!(StepMetrics::from_json_line(&metrics.to_json_line()), Some(metrics.clone()));
        metrics.evaluation = Some(EvaluationMetrics { loss: 0.1, pairs: 4, ..Default::default() });
        metrics.train = None;
        assert_eq!(StepMetrics::from_json_line(&metrics.to_json_line()), Some(metrics));
    }

    #[test]
    fn a_number_that_json_cannot_write_is_null_and_named() {
        let mut metrics = trained(1);
        let train = metrics.train.as_mut().unwrap();
        train.loss = f64::NAN;
        train.grad_norm = f64::NEG_INFINITY;
        let line = metrics.to_json_line();
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(value["train/loss"].is_null() && value["train/grad_norm"].is_null());
        assert_eq!(value["non_finite"]["train/loss"], "NaN");
        let read = StepMetrics::from_json_line(&line).unwrap().train.unwrap();
        assert!(read.loss.is_nan());
        assert_eq!(read.grad_norm.to_bits(), f64::NEG_INFINITY.to_bits());
        assert_eq!(read.margin_mean.to_bits(), 0.25f64.to_bits());
    }

    #[test]
    fn text_that_is_no_line_of_metrics_is_refused() {
        for line in ["", "{", "[1]", "{\"train/loss\":1}", "{\"step\":-1}", "{\"step\":1"] {
            assert_eq!(StepMetrics::from_json_line(line), None, "{line}");
        }
    }
}
