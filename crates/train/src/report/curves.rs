//! Curves of the training: figures of each step against the step, those of the held-out pairs beside them.

use page::Markup;
use page::axis::{Axis, extent, inner_extent};
use page::chart::{Caption, Plane, figure, thinned};
use page::number::{count, percent, short};

use crate::metrics::{EvaluationMetrics, StepMetrics, TrainMetrics};

/// Most points of a drawn line: two for each unit of a chart's width would not show.
const MAX_POINTS: usize = 600;
/// Most points of a line that say their numbers when pointed at.
const MAX_HINTS: usize = 120;
/// Most evaluations that are drawn as dots on their line.
const MAX_DOTS: usize = 50;
/// Part of the unsmoothed numbers at either end that may lie beyond the axis, so that one spike does not flatten a curve.
const SPIKES: f64 = 0.01;

/// One chart: which numbers it draws.
struct Curve {
    title: &'static str,
    unit: &'static str,
    train: fn(&TrainMetrics) -> f64,
    held_out: Option<fn(&EvaluationMetrics) -> f64>,
    /// What a model that knows nothing has.
    chance: Option<f64>,
    is_smoothed: bool,
    is_percent: bool,
    /// Numbers that the axis holds in any case.
    always: &'static [f64],
    note: &'static str,
}

const CURVES: [Curve; 5] = [
    Curve {
        title: "Loss",
        unit: "loss",
        train: |train| train.loss,
        held_out: Some(|evaluation| evaluation.loss),
        chance: None,
        is_smoothed: true,
        is_percent: false,
        always: &[],
        note: "A plain Bradley–Terry loss begins near ln 2 = 0.693.",
    },
    Curve {
        title: "Pairwise accuracy",
        unit: "pairs ranked right, %",
        train: |train| train.pairwise_accuracy,
        held_out: Some(|evaluation| evaluation.pairwise_accuracy),
        chance: Some(0.5),
        is_smoothed: true,
        is_percent: true,
        always: &[0.4, 1.0],
        note: "Dashed: chance.",
    },
    Curve {
        title: "Mean margin",
        unit: "reward, chosen − rejected",
        train: |train| train.margin_mean,
        held_out: Some(|evaluation| evaluation.margin_mean),
        chance: Some(0.0),
        is_smoothed: true,
        is_percent: false,
        always: &[0.0],
        note: "Dashed: no preference.",
    },
    Curve {
        title: "Learning rate",
        unit: "learning rate",
        train: |train| train.learning_rate,
        held_out: None,
        chance: None,
        is_smoothed: false,
        is_percent: false,
        always: &[0.0],
        note: "Before the factors of parameter groups.",
    },
    Curve {
        title: "Gradient norm",
        unit: "norm before clipping",
        train: |train| train.grad_norm,
        held_out: None,
        chance: None,
        is_smoothed: true,
        is_percent: false,
        always: &[0.0],
        note: "",
    },
];

/// Writes all curves, or that there are none.
pub(super) fn write(page: &mut Markup, history: &[StepMetrics]) {
    page.element("section", &[], |page| {
        page.leaf("h2", &[], "Training");
        if history.is_empty() {
            page.leaf("p", &[], "No step was recorded.");
            return;
        }
        page.element("div", &[("class", &"charts")], |page| {
            for curve in &CURVES {
                curve.write(page, history);
            }
        });
    });
}

impl Curve {
    fn write(&self, page: &mut Markup, history: &[StepMetrics]) {
        let train = finite(history, |step| step.train.as_ref().map(self.train));
        let held_out = finite(history, |step| step.evaluation.as_ref().map(self.held_out?));
        if train.is_empty() && held_out.is_empty() {
            return;
        }
        let window = (train.len() / 40).max(1);
        let is_smoothed = self.is_smoothed && window > 1;
        let smooth = if is_smoothed { smoothed(&train, window) } else { train.clone() };
        let plane = self.plane(&train, &smooth, &held_out);
        let mut legend = Vec::new();
        if !train.is_empty() {
            legend.push(("first", if is_smoothed { "training, smoothed" } else { "training" }));
        }
        if is_smoothed {
            legend.push(("raw", "each step"));
        }
        if !held_out.is_empty() {
            legend.push(("second", "held out"));
        }
        let note = self.note(is_smoothed.then_some(window), &plane, &train);
        let caption = Caption { title: self.title, legend: &legend, note: &note };
        figure(page, &caption, |page| {
            plane.draw(page, &self.description(&smooth, &held_out), |page| {
                if let Some(chance) = self.chance {
                    plane.reference(page, (plane.x.low, chance), (plane.x.high, chance));
                }
                if is_smoothed {
                    plane.polyline(page, "raw", &with_spikes(&train));
                }
                plane.polyline(page, "first", &thinned(&smooth, MAX_POINTS));
                plane.polyline(page, "second", &thinned(&held_out, MAX_POINTS));
                for &(step, number) in &thinned(&smooth, MAX_HINTS) {
                    plane.dot(
                        page,
                        "hint",
                        (step, number),
                        6.0,
                        self.hint("training", step, number),
                    );
                }
                // Many dots would hide the line.
                let class = if held_out.len() > MAX_DOTS { "hint" } else { "second" };
                for &(step, number) in &thinned(&held_out, MAX_HINTS) {
                    let hint = self.hint("held out", step, number);
                    plane.dot(page, class, (step, number), 3.0, hint);
                }
            });
        });
    }

    fn plane(&self, train: &[(f64, f64)], smooth: &[(f64, f64)], held_out: &[(f64, f64)]) -> Plane {
        let steps = train.iter().chain(held_out).map(|point| point.0);
        let steps = extent(steps).expect("a curve has a point");
        let inner = inner_extent(train.iter().map(|point| point.1), SPIKES);
        let drawn = smooth.iter().chain(held_out).map(|point| point.1);
        let ends = inner.into_iter().flat_map(|(low, high)| [low, high]);
        let numbers = extent(drawn.chain(ends).chain(self.always.iter().copied()));
        let y = Axis::round(self.unit, numbers.expect("a curve has a point"), 4);
        let y = if self.is_percent { y.percent() } else { y };
        Plane { x: Axis::exact("step", steps, 5).whole(), y }
    }

    fn note(&self, window: Option<usize>, plane: &Plane, train: &[(f64, f64)]) -> String {
        let mut sentences = vec![self.note.to_owned()];
        if let Some(window) = window {
            sentences.push(format!("Smoothed over about {} steps.", count(window as u64)));
        }
        let num_beyond =
            train.iter().filter(|(_, y)| *y < plane.y.low || *y > plane.y.high).count();
        if num_beyond > 0 {
            let steps = if num_beyond == 1 { "step lies" } else { "steps lie" };
            sentences.push(format!("{num_beyond} {steps} beyond the axis, drawn at its edge."));
        }
        sentences.join(" ").trim().to_owned()
    }

    fn hint(&self, whose: &str, step: f64, number: f64) -> String {
        format!("{whose}, step {}: {}", count(step as u64), self.number(number))
    }

    fn number(&self, number: f64) -> String {
        if self.is_percent { percent(number) } else { short(number) }
    }

    fn description(&self, train: &[(f64, f64)], held_out: &[(f64, f64)]) -> String {
        let mut parts = vec![format!("{} against step", self.title)];
        for (whose, points) in [("training", train), ("held out", held_out)] {
            if let (Some(first), Some(last)) = (points.first(), points.last()) {
                let (first, last) = (self.number(first.1), self.number(last.1));
                parts.push(format!("{whose}: from {first} to {last}"));
            }
        }
        parts.join("; ")
    }
}

/// Points of a number that some steps have; numbers that are not finite are left out.
fn finite(
    history: &[StepMetrics],
    number: impl Fn(&StepMetrics) -> Option<f64>,
) -> Vec<(f64, f64)> {
    history
        .iter()
        .filter_map(|step| Some((step.step as f64, number(step)?)))
        .filter(|point| point.1.is_finite())
        .collect()
}

/// Exponential mean with the weight 2 / (window + 1), divided by the weight seen so far, so that it begins at the first number.
fn smoothed(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    let kept = 1.0 - 2.0 / (window as f64 + 1.0);
    let (mut sum, mut weight) = (0.0, 0.0);
    points
        .iter()
        .map(|&(step, number)| {
            sum = kept * sum + number;
            weight = kept * weight + 1.0;
            (step, sum / weight)
        })
        .collect()
}

/// Fewer points that still show every spike: lowest and highest of each run of neighbors, in their order.
fn with_spikes(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MAX_POINTS {
        return points.to_vec();
    }
    let run_len = (points.len() * 2).div_ceil(MAX_POINTS);
    let mut drawn = Vec::new();
    for run in points.chunks(run_len) {
        let by_number = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let lowest = *run.iter().min_by(by_number).expect("a chunk is not empty");
        let highest = *run.iter().max_by(by_number).expect("a chunk is not empty");
        if lowest.0 <= highest.0 {
            drawn.extend([lowest, highest]);
        } else {
            drawn.extend([highest, lowest]);
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_begins_at_the_first_number_and_keeps_constants() {
        let constant: Vec<_> = (0..9).map(|i| (f64::from(i), 3.0)).collect();
        assert!(smoothed(&constant, 4).iter().all(|point| (point.1 - 3.0).abs() < 1e-12));
        let step: Vec<_> =
            (0..200).map(|i| (f64::from(i), if i < 100 { 0.0 } else { 1.0 })).collect();
        let smooth = smoothed(&step, 10);
        assert!(smooth[99].1.abs() < 1e-12 && smooth[101].1 < 0.5 && smooth[199].1 > 0.99);
    }

    #[test]
    fn fewer_points_keep_every_spike() {
        let mut points: Vec<_> = (0..5000).map(|i| (f64::from(i), 0.0)).collect();
        points[1234].1 = 9.0;
        points[4321].1 = -9.0;
        let drawn = with_spikes(&points);
        assert!(drawn.len() <= MAX_POINTS);
        assert!(drawn.contains(&points[1234]) && drawn.contains(&points[4321]));
        assert!(drawn.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }
}
