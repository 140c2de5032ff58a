//! What a person sees of a run: a bar on a terminal, now and then a line otherwise.

use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use page::number;
use std::io::IsTerminal;
use train::metrics::{EvaluationMetrics, StepMetrics};
use train::run::{Begun, Progress};

use crate::output::complain;

/// Pause between lines when there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(20);
/// Weight of the newest step in the running means.
const SMOOTHING: f64 = 0.05;

/// Draws a run as it goes on.
#[derive(Default)]
pub(super) struct Bar {
    shown: Option<Shown>,
}

struct Shown {
    bar: ProgressBar,
    is_terminal: bool,
    start: Instant,
    last_line: Instant,
    steps_before: u64,
    means: Option<Means>,
}

/// Running means of what steps report.
#[derive(Clone, Copy)]
struct Means {
    loss: f64,
    accuracy: f64,
    margin: f64,
    tokens_per_sec: f64,
}

impl Means {
    /// Moves every mean toward the newest figures.
    fn follow(self, new: Self) -> Self {
        let toward = |old: f64, new: f64| old + SMOOTHING * (new - old);
        Self {
            loss: toward(self.loss, new.loss),
            accuracy: toward(self.accuracy, new.accuracy),
            margin: toward(self.margin, new.margin),
            tokens_per_sec: toward(self.tokens_per_sec, new.tokens_per_sec),
        }
    }

    fn text(&self) -> String {
        let Self { loss, accuracy, margin, tokens_per_sec } = self;
        let percent = 100.0 * accuracy;
        format!(
            "loss {loss:.4}  accuracy {percent:.1} %  margin {margin:.3}  {tokens_per_sec:.0} tokens/s"
        )
    }
}

impl Bar {
    /// Removes the bar.
    pub(super) fn finish(&self) {
        if let Some(shown) = &self.shown {
            shown.bar.finish_and_clear();
        }
    }

    fn say(&self, sentence: &str) {
        match &self.shown {
            Some(shown) => shown.bar.suspend(|| complain(sentence)),
            None => complain(sentence),
        }
    }
}

impl Progress for Bar {
    fn begun(&mut self, begun: &Begun) {
        complain(&format!(
            "{} rows to train on, {} held out ({}); {} parameters in {} tensors are trained; {} steps{}",
            number::count(begun.train_rows as u64),
            number::count(begun.held_out_rows as u64),
            begun.format,
            number::count(begun.trained_elements as u64),
            begun.trained_tensors,
            begun.total_steps,
            if begun.steps_done > 0 {
                format!(", {} done before", begun.steps_done)
            } else {
                String::new()
            },
        ));
        let is_terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::new(begun.total_steps);
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}  {eta} left");
        bar.set_style(style.expect("a valid template"));
        bar.set_draw_target(if is_terminal {
            ProgressDrawTarget::stderr_with_hz(5)
        } else {
            ProgressDrawTarget::hidden()
        });
        bar.set_position(begun.steps_done);
        bar.reset_eta();
        let (start, last_line) = (Instant::now(), Instant::now());
        let steps_before = begun.steps_done;
        self.shown = Some(Shown { bar, is_terminal, start, last_line, steps_before, means: None });
    }

    fn step(&mut self, metrics: &StepMetrics, total_steps: u64) {
        let Some(shown) = &mut self.shown else { return };
        if let Some(train) = &metrics.train {
            let new = Means {
                loss: train.loss,
                accuracy: train.pairwise_accuracy,
                margin: train.margin_mean,
                tokens_per_sec: train.tokens_per_sec,
            };
            let means = shown.means.map_or(new, |means| means.follow(new));
            shown.means = Some(means);
            shown.bar.set_message(means.text());
            shown.bar.set_position(metrics.step);
            if !shown.is_terminal && shown.last_line.elapsed() >= LINE_INTERVAL {
                shown.last_line = Instant::now();
                let secs = shown.start.elapsed().as_secs_f64();
                let per_step = secs / (metrics.step - shown.steps_before).max(1) as f64;
                let left = per_step * total_steps.saturating_sub(metrics.step) as f64;
                let left = HumanDuration(Duration::from_secs_f64(left));
                complain(&format!(
                    "step {}/{total_steps}, {}, {left} left",
                    metrics.step,
                    means.text()
                ));
            }
        }
        if let Some(EvaluationMetrics { loss, pairwise_accuracy, pairs, secs, .. }) =
            metrics.evaluation
        {
            self.say(&format!(
                "step {}: held-out accuracy {:.1} % of {pairs} pairs, loss {loss:.4} ({secs:.1} s)",
                metrics.step,
                100.0 * pairwise_accuracy
            ));
        }
    }

    fn saved(&mut self, step: u64, folder: &Path) {
        self.say(&format!("step {step}: saved `{}`", folder.display()));
    }

    fn warning(&mut self, sentence: &str) {
        self.say(&format!("warning: {sentence}"));
    }
}
