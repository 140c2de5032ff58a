//! The figures to read first: held-out accuracy beside chance and the baselines, and what the run cost.

use eval::judged::{
    Judged, Proportion, calibration, length_baseline, margin_mean, pairwise_accuracy,
};
use page::Markup;
use page::number::{count, percent, short};
use page::parts::Tile;

use super::ReportInput;
use crate::metrics::{StepMetrics, TrainMetrics};

/// Writes the row of figures.
pub(super) fn write(page: &mut Markup, input: &ReportInput) {
    let mut tiles = vec![accuracy_tile(&input.held_out)];
    if !input.held_out.is_empty() {
        tiles.push(Tile::new("Chance", percent(0.5), "a coin for each pair".to_owned()));
        tiles.push(length_tile(&length_baseline(&input.held_out)));
        tiles.push(blind_tile(&input.image_blind));
        if let Some(mean) = margin_mean(&input.held_out) {
            let error = calibration(&input.held_out).expected_error * 100.0;
            let detail = format!("calibration error {error:.1} points");
            tiles.push(Tile::new("Mean margin", short(mean), detail));
        }
    }
    tiles.extend(cost_tiles(&input.history));
    page::parts::tiles(page, &tiles);
}

fn accuracy_tile(held_out: &[Judged]) -> Tile {
    let accuracy = pairwise_accuracy(held_out);
    let name = "Held-out accuracy";
    let Some((fraction, interval)) = accuracy.fraction().zip(accuracy.interval()) else {
        return Tile::new(name, "–".to_owned(), "no held-out pair was judged".to_owned());
    };
    let mut facts = vec![format!(
        "{} of {} pairs; 95 % interval {:.1} to {:.1} %",
        count(accuracy.num_right),
        count(accuracy.num_total),
        interval.low * 100.0,
        interval.high * 100.0
    )];
    if accuracy.num_comparisons < accuracy.num_total {
        facts.push(format!("{} comparisons", count(accuracy.num_comparisons)));
    }
    facts.extend(counted_as_wrong(&accuracy));
    Tile::main(name, percent(fraction), facts.join("; "))
}

fn length_tile(longer: &Proportion) -> Tile {
    let fraction = longer.fraction_with_coin().unwrap_or(0.5);
    let counts = format!(
        "prefers the longer answer: right in {} of {}",
        count(longer.num_right),
        count(longer.num_total)
    );
    let ties = match longer.num_ties {
        0 => String::new(),
        ties => format!(", a coin for {} of one length", count(ties)),
    };
    Tile::new("Length baseline", percent(fraction), counts + &ties)
}

fn blind_tile(image_blind: &[Judged]) -> Tile {
    let blind = pairwise_accuracy(image_blind);
    let name = "Image-blind";
    let Some(fraction) = blind.fraction() else {
        return Tile::new(name, "–".to_owned(), "not measured".to_owned());
    };
    let mut facts =
        vec![format!("pictures hidden: {} of {}", count(blind.num_right), count(blind.num_total))];
    facts.extend(counted_as_wrong(&blind));
    Tile::new(name, percent(fraction), facts.join("; "))
}

fn counted_as_wrong(accuracy: &Proportion) -> Vec<String> {
    let mut facts = Vec::new();
    if accuracy.num_ties > 0 {
        facts.push(format!("ties, counted as wrong: {}", count(accuracy.num_ties)));
    }
    if accuracy.num_not_finite > 0 {
        let pairs = count(accuracy.num_not_finite);
        facts.push(format!("pairs without a finite reward, counted as wrong: {pairs}"));
    }
    facts
}

fn cost_tiles(history: &[StepMetrics]) -> Vec<Tile> {
    let trained: Vec<&TrainMetrics> =
        history.iter().filter_map(|step| step.train.as_ref()).collect();
    let (Some(last), Some(last_step)) = (trained.last(), history.last()) else { return Vec::new() };
    let secs: f64 =
        trained.iter().map(|train| train.step_secs).filter(|secs| secs.is_finite()).sum();
    let steps = Tile::new(
        "Steps",
        count(last_step.step),
        format!("{} of training; last loss {}", duration(secs), short(last.loss)),
    );
    let mut rates: Vec<f64> = trained.iter().map(|train| train.pairs_per_sec).collect();
    rates.sort_by(f64::total_cmp);
    let gibibytes = last.peak_resident_bytes as f64 / f64::from(1 << 30);
    let speed = Tile::new(
        "Pairs per second",
        short(rates[rates.len() / 2]),
        format!("median of the steps; {} GiB at the peak", short(gibibytes)),
    );
    vec![steps, speed]
}

fn duration(secs: f64) -> String {
    match secs as u64 {
        0..120 => format!("{secs:.0} s"),
        whole @ 120..7200 => format!("{} min {} s", whole / 60, whole % 60),
        whole => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_two_units_that_matter() {
        let texts = [3.4, 119.0, 120.0, 7199.0, 7260.0].map(duration);
        assert_eq!(texts, ["3 s", "119 s", "2 min 0 s", "119 min 59 s", "2 h 1 min"]);
    }
}
