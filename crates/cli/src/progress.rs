//! What a person sees of a running file: a bar on a terminal, now and then a line otherwise.

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::output::complain;

/// Pause between lines when there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

pub(crate) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    total: Option<u64>,
    skipped: u64,
    done: u64,
    start: Instant,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new(total: Option<u64>, skipped: u64) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match total {
            Some(_) => "{bar:32} {pos}/{len} rows  {rate}  {left}",
            None => "{spinner} {pos} rows  {rate}",
        };
        let style = ProgressStyle::with_template(template).expect("a valid template");
        bar.set_style(style.with_key("rate", rate).with_key("left", left));
        bar.set_draw_target(if is_terminal {
            ProgressDrawTarget::stderr_with_hz(5)
        } else {
            ProgressDrawTarget::hidden()
        });
        bar.set_position(skipped);
        bar.reset_eta();
        let now = Instant::now();
        Self { bar, is_terminal, total, skipped, done: 0, start: now, last_line: now }
    }

    pub(crate) fn add(&mut self, rows: u64) {
        self.done += rows;
        self.bar.inc(rows);
        if !self.is_terminal && self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            let rate = self.done as f64 / self.start.elapsed().as_secs_f64();
            let position = self.skipped + self.done;
            complain(&match self.total {
                Some(total) => {
                    // The file may have grown since its rows were counted.
                    let left = total.saturating_sub(position) as f64 / rate;
                    format!("{position}/{total} rows, {rate:.2} rows/s, {left:.0} s left")
                }
                None => format!("{position} rows, {rate:.2} rows/s"),
            });
        }
    }

    /// A sentence above the bar.
    pub(crate) fn say(&self, sentence: &str) {
        self.bar.suspend(|| complain(sentence));
    }

    /// Removes the bar; a sentence about the whole run.
    pub(crate) fn finish(&self) -> String {
        self.bar.finish_and_clear();
        let (rows, seconds) = (self.done, self.start.elapsed().as_secs_f64());
        let before = match self.skipped {
            0 => String::new(),
            skipped => format!(" ({skipped} were there before)"),
        };
        match rows {
            0 if self.skipped > 0 => {
                format!("nothing left to score: all {} rows are there", self.skipped)
            }
            0 if self.total.is_none() => format!("{seconds:.1} s"),
            1 => format!("1 row in {seconds:.1} s{before}"),
            _ => format!(
                "{rows} rows in {seconds:.1} s{before}, {:.2} rows/s",
                rows as f64 / seconds.max(1e-9)
            ),
        }
    }
}

fn rate(state: &ProgressState, out: &mut dyn Write) {
    // Writing to the bar's own string cannot fail.
    let _ = match state.per_sec() {
        rate if rate > 0.0 => write!(out, "{rate:.2} rows/s"),
        _ => Ok(()),
    };
}

fn left(state: &ProgressState, out: &mut dyn Write) {
    // Before the first row nothing is known, and the bar would say zero seconds.
    let _ = match state.eta() {
        left if left.is_zero() => Ok(()),
        left => write!(out, "{} left", HumanDuration(left)),
    };
}
