//! Charts of judged pairs: rewards, calibration, margins, lengths, kinds of question.
//!
//! They draw bins and counts that were computed elsewhere. Pairs with a reward that is not finite are in none of them.

use page::Markup;
use page::axis::{Axis, extent, inner_extent};
use page::chart::{Caption, Plane, WIDTH, bar, drawing, figure, line, text, thinned};
use page::number::{count, percent, short};
use page::parts::clipped;

use crate::judged::{
    Calibration, Histogram, Judged, LengthRelation, MarginBin, Proportion, accuracy_by_kind,
    calibration, histogram, length_relation, margin_bins,
};

/// Most bins of a histogram; a bin is a round number wide.
const HISTOGRAM_BINS: usize = 32;
/// Bins of accuracy by margin.
const MARGIN_BINS: usize = 6;
/// Bins of margin against length difference.
const LENGTH_BINS: usize = 8;
/// Most pairs drawn as dots of their own.
const MAX_DOTS: usize = 500;
/// Part of the pairs at either end that may lie beyond the axes of the dots.
const OUTLIERS: f64 = 0.005;
/// Most kinds that get a bar.
const MAX_KINDS: usize = 40;

/// Draws everything that there is to draw of pairs. `image_blind` are the same pairs judged without their pictures, or nothing;
/// `length_unit` is what the lengths of the pairs count.
pub fn of_pairs(page: &mut Markup, pairs: &[Judged], image_blind: &[Judged], length_unit: &str) {
    kinds(page, &accuracy_by_kind(pairs), &accuracy_by_kind(image_blind));
    if let Some((chosen, rejected)) = reward_histograms(pairs) {
        rewards(page, &chosen, &rejected);
        calibration_curve(page, &calibration(pairs), "");
        accuracy_by_margin(page, &margin_bins(pairs, MARGIN_BINS));
        let points: Vec<(f64, f64)> = pairs
            .iter()
            .filter(|pair| pair.is_finite())
            .map(|pair| (pair.len_difference() as f64, pair.margin()))
            .collect();
        margin_by_length(page, &length_relation(pairs, LENGTH_BINS), &points, length_unit);
    }
}

/// Rewards of the chosen and of the rejected answers over the same edges, which are round numbers; `None` without a pair of
/// finite rewards.
pub fn reward_histograms(pairs: &[Judged]) -> Option<(Histogram, Histogram)> {
    let finite: Vec<&Judged> = pairs.iter().filter(|pair| pair.is_finite()).collect();
    let chosen = || finite.iter().map(|pair| f64::from(pair.chosen_reward));
    let rejected = || finite.iter().map(|pair| f64::from(pair.rejected_reward));
    let axis = Axis::round("reward", extent(chosen().chain(rejected()))?, HISTOGRAM_BINS);
    let num_bins = ((axis.high - axis.low) / axis.step()).round() as usize;
    let edges: Vec<f64> = (0..=num_bins).map(|i| axis.low + i as f64 * axis.step()).collect();
    Some((histogram(chosen(), edges.clone()), histogram(rejected(), edges)))
}

/// Draws the accuracy of each kind with its interval, and that without pictures where there is one.
pub fn kinds(page: &mut Markup, kinds: &[(String, Proportion)], blind: &[(String, Proportion)]) {
    const ROW: f64 = 42.0;
    const TOP: f64 = 8.0;
    const BAR_LEFT: f64 = 4.0;
    const BAR_WIDTH: f64 = WIDTH - 68.0;
    let shown = &kinds[..kinds.len().min(MAX_KINDS)];
    let mut legend = vec![("first", "model with its 95 % interval")];
    let mut sentences = vec!["Dashed: chance.".to_owned()];
    if !blind.is_empty() {
        legend.push(("blind", "image-blind"));
    }
    if shown.len() < kinds.len() {
        sentences.push(format!("The first {MAX_KINDS} of {} kinds.", kinds.len()));
    }
    let note = sentences.join(" ");
    let caption = Caption { title: "Accuracy by kind", legend: &legend, note: &note };
    let height = TOP + shown.len() as f64 * ROW;
    let x_of = |fraction: f64| BAR_LEFT + fraction * BAR_WIDTH;
    figure(page, &caption, |page| {
        drawing(page, height, &kinds_in_words(shown), |page| {
            for (row, (kind, accuracy)) in shown.iter().enumerate() {
                let y = TOP + row as f64 * ROW;
                let fraction = accuracy.fraction().unwrap_or(0.0);
                let counts =
                    format!("{} of {}", count(accuracy.num_right), count(accuracy.num_total));
                let hint = format!("{kind}: {} ({counts})", percent(fraction));
                text(
                    page,
                    "name",
                    (BAR_LEFT, y + 9.0),
                    format!("{} · {counts}", clipped(kind, 34)),
                );
                let size = (fraction * BAR_WIDTH, 11.0);
                bar(page, "track", (BAR_LEFT, y + 14.0), (BAR_WIDTH, 11.0), "");
                bar(page, "first kind", (BAR_LEFT, y + 14.0), size, hint);
                // In pieces, so that it does not cross the names.
                line(page, "reference", (x_of(0.5), y + 12.0), (x_of(0.5), y + 34.0));
                text(page, "value end", (WIDTH - 2.0, y + 24.0), percent(fraction));
                if let Some(interval) = accuracy.interval() {
                    let (low, high) = (x_of(interval.low), x_of(interval.high));
                    line(page, "whisker", (low, y + 19.5), (high, y + 19.5));
                }
                let found = blind.iter().find(|(name, _)| name == kind);
                if let Some(fraction) = found.and_then(|(_, blind)| blind.fraction()) {
                    let hint = format!("{kind}, image-blind: {}", percent(fraction));
                    let size = (fraction * BAR_WIDTH, 5.0);
                    bar(page, "blind", (BAR_LEFT, y + 27.0), size, hint);
                    text(page, "small end", (WIDTH - 2.0, y + 35.0), percent(fraction));
                }
            }
        });
    });
}

fn kinds_in_words(kinds: &[(String, Proportion)]) -> String {
    let parts: Vec<String> = kinds
        .iter()
        .map(|(kind, accuracy)| format!("{kind} {}", percent(accuracy.fraction().unwrap_or(0.0))))
        .collect();
    format!("Accuracy by kind: {}", parts.join(", "))
}

/// Draws the rewards of both sides over each other; both have the same edges.
pub fn rewards(page: &mut Markup, chosen: &Histogram, rejected: &Histogram) {
    let (low, high) = (chosen.edges[0], chosen.edges[chosen.edges.len() - 1]);
    let most = chosen.counts.iter().chain(&rejected.counts).max().copied().unwrap_or(0);
    let plane = Plane {
        x: Axis::exact("reward", (low, high), 6),
        y: Axis::round("answers", (0.0, most as f64), 4).whole(),
    };
    let caption = Caption {
        title: "Rewards",
        legend: &[("chosen", "chosen"), ("rejected", "rejected")],
        note: "The farther apart the two, the surer the model.",
    };
    let num_pairs = count(chosen.counts.iter().sum());
    let description = format!("Histogram of the rewards of {num_pairs} pairs");
    figure(page, &caption, |page| {
        plane.draw(page, &description, |page| {
            for (bin, edges) in chosen.edges.windows(2).enumerate() {
                let (of_chosen, of_rejected) = (chosen.counts[bin], rejected.counts[bin]);
                let (left, right) = (edges[0], edges[1]);
                for (class, counted) in [("chosen", of_chosen), ("rejected", of_rejected)] {
                    if counted > 0 {
                        plane.bar(page, class, (left, 0.0), (right, counted as f64), "");
                    }
                }
                let hint = format!(
                    "reward {} to {}: {} chosen, {} rejected",
                    short(left),
                    short(right),
                    count(of_chosen),
                    count(of_rejected)
                );
                plane.bar(page, "hint", (left, 0.0), (right, plane.y.high), hint);
            }
        });
    });
}

/// Draws how often the model is right against how sure it is. `remark` is a sentence to be said besides, or nothing.
pub fn calibration_curve(page: &mut Markup, measured: &Calibration, remark: &str) {
    let filled: Vec<_> = measured.bins.iter().filter(|bin| bin.num_total > 0).collect();
    let lowest = filled.iter().map(|bin| bin.accuracy).fold(0.5, f64::min);
    let num_pairs: u64 = filled.iter().map(|bin| bin.num_total).sum();
    let plane = Plane {
        x: Axis::round("confidence σ(|margin|), %", (0.5, 1.0), 5).percent(),
        y: Axis::round("pairs ranked right, %", (lowest, 1.0), 5).percent(),
    };
    let note = format!(
        "Expected calibration error {:.1} points. Below the dashed line the model is surer than it is right. Larger dots stand \
         for more pairs. {remark}",
        measured.expected_error * 100.0
    );
    let note = note.trim_end();
    let caption =
        Caption { title: "Calibration", legend: &[("first", "bins of confidence")], note };
    figure(page, &caption, |page| {
        plane.draw(page, "Accuracy against confidence", |page| {
            plane.reference(page, (0.5, 0.5), (1.0, 1.0));
            let points: Vec<_> = filled.iter().map(|bin| (bin.confidence, bin.accuracy)).collect();
            plane.polyline(page, "first", &points);
            for bin in &filled {
                let hint = format!(
                    "confidence {}: right {} of {} pairs",
                    percent(bin.confidence),
                    percent(bin.accuracy),
                    count(bin.num_total)
                );
                let radius = 3.0 + 6.0 * (bin.num_total as f64 / num_pairs as f64).sqrt();
                plane.dot(page, "first", (bin.confidence, bin.accuracy), radius, hint);
            }
        });
    });
}

/// Draws how often the model is right for small and for large margins.
pub fn accuracy_by_margin(page: &mut Markup, bins: &[MarginBin]) {
    let widest = bins.last().map_or(1.0, |bin| bin.high);
    let plane = Plane {
        x: Axis::exact("|margin|, reward", (0.0, widest), 5),
        y: Axis::round("pairs ranked right, %", (0.0, 1.0), 5).percent(),
    };
    let caption = Caption {
        title: "Accuracy by margin",
        legend: &[("first", "bins with equally many pairs")],
        note: "A good model errs where its two rewards are close. Dashed: chance.",
    };
    figure(page, &caption, |page| {
        plane.draw(page, "Accuracy for small and large margins", |page| {
            for bin in bins {
                let accuracy = bin.num_right as f64 / bin.num_total as f64;
                let hint = format!(
                    "|margin| {} to {}: right {} of {} pairs",
                    short(bin.low),
                    short(bin.high),
                    percent(accuracy),
                    count(bin.num_total)
                );
                plane.bar(page, "first step", (bin.low, 0.0), (bin.high, accuracy), hint);
            }
            plane.reference(page, (0.0, 0.5), (widest, 0.5));
        });
    });
}

/// Draws margins against differences in length. `points` are single pairs as differences and margins, or none.
pub fn margin_by_length(
    page: &mut Markup,
    relation: &LengthRelation,
    points: &[(f64, f64)],
    length_unit: &str,
) {
    let means: Vec<(f64, f64)> =
        relation.bins.iter().map(|bin| (bin.difference_mean, bin.margin_mean)).collect();
    let shown = if points.is_empty() { &means } else { points };
    // Zero belongs on both axes: it is where neither side is longer, or better.
    let range = |of: fn(&(f64, f64)) -> f64| {
        let (low, high) = inner_extent(shown.iter().map(of), OUTLIERS).unwrap_or((0.0, 0.0));
        (low.min(0.0), high.max(0.0))
    };
    let plane = Plane {
        x: Axis::round(&difference_label(length_unit), range(|point| point.0), 5).whole(),
        y: Axis::round("margin, reward", range(|point| point.1), 4),
    };
    let note = match relation.correlation {
        Some(correlation) => {
            format!("Correlation {correlation:+.2}. A rising line: longer answers get more reward.")
        }
        None => "All pairs have one difference in length or one margin.".to_owned(),
    };
    let legend = [("dots", "pairs"), ("second", "mean of bins")];
    let legend = if points.is_empty() { &legend[1..] } else { &legend[..] };
    let caption = Caption { title: "Margin against length difference", legend, note: &note };
    figure(page, &caption, |page| {
        plane.draw(page, &note, |page| {
            plane.reference(page, (plane.x.low, 0.0), (plane.x.high, 0.0));
            plane.reference(page, (0.0, plane.y.low), (0.0, plane.y.high));
            for &point in &thinned(points, MAX_DOTS) {
                let hint = format!("{} {length_unit}, margin {}", short(point.0), short(point.1));
                plane.dot(page, "dots", point, 2.2, hint);
            }
            plane.polyline(page, "second", &means);
            for (bin, &mean) in relation.bins.iter().zip(&means) {
                let hint = format!(
                    "difference {} to {} {length_unit}: mean margin {}, right {} of {}",
                    bin.low,
                    bin.high,
                    short(bin.margin_mean),
                    count(bin.num_right),
                    count(bin.num_total)
                );
                plane.dot(page, "second", mean, 4.0, hint);
            }
        });
    });
}

/// Draws how often the model is right where the better answer is shorter, and where it is longer.
pub fn accuracy_by_length(page: &mut Markup, relation: &LengthRelation, length_unit: &str) {
    let accuracy = |right: u64, total: u64| right as f64 / total as f64;
    let points: Vec<(f64, f64)> = relation
        .bins
        .iter()
        .map(|bin| (bin.difference_mean, accuracy(bin.num_right, bin.num_total)))
        .collect();
    let Some((low, high)) = extent(points.iter().map(|point| point.0)) else { return };
    let plane = Plane {
        x: Axis::round(&difference_label(length_unit), (low.min(0.0), high.max(0.0)), 5).whole(),
        y: Axis::round("pairs ranked right, %", (0.0, 1.0), 5).percent(),
    };
    let caption = Caption {
        title: "Accuracy by length difference",
        legend: &[("first", "bins with about equally many pairs")],
        note: "To the left the better answer is the shorter one. A model that goes by length fails there and is right to the \
               right. Dashed: chance.",
    };
    figure(page, &caption, |page| {
        plane.draw(page, "Accuracy where the better answer is shorter or longer", |page| {
            plane.reference(page, (plane.x.low, 0.5), (plane.x.high, 0.5));
            plane.reference(page, (0.0, 0.0), (0.0, 1.0));
            plane.polyline(page, "first", &points);
            for (bin, &point) in relation.bins.iter().zip(&points) {
                let hint = format!(
                    "difference {} to {} {length_unit}: right {} of {} pairs",
                    bin.low,
                    bin.high,
                    count(bin.num_right),
                    count(bin.num_total)
                );
                plane.dot(page, "first", point, 4.0, hint);
            }
        });
    });
}

fn difference_label(length_unit: &str) -> String {
    format!("length difference, {length_unit}, chosen − rejected")
}
