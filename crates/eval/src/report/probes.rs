//! What tells whether to trust the figures: baselines beside the model, and how margins, lengths and errors go together.
//!
//! Judgment is left to the reader; each chart says how it is read.

use page::Markup;
use page::number::{count, short};
use page::parts::Tile;

use super::charts;
use super::figures::{Line, detail, hundredths, table};
use crate::probes::{Confidence, Probes, Withheld};

/// The figures to see at once.
pub(super) fn tiles(probes: &Probes) -> Vec<Tile> {
    let longer = &probes.length_baseline;
    let counts = format!(
        "the longer response wins: right in {} of {} pairs",
        count(longer.num_right),
        count(longer.num_total)
    );
    let ties = match longer.num_ties {
        0 => String::new(),
        ties => format!(", a coin for {} of one length", count(ties)),
    };
    let length = hundredths(probes.length_baseline_with_coin);
    let mut tiles = vec![Tile::new("Length baseline", length, counts + &ties)];
    for (name, what, withheld) in [
        ("Without pictures", "pictures removed", &probes.blind),
        ("Other pictures", "pictures of another row", &probes.swapped),
    ] {
        tiles.push(match withheld {
            Some(Withheld { with_pictures, sighted, .. }) => {
                let line = Line::of_share(name, with_pictures, "blind");
                let own = hundredths(sighted.value());
                let words = format!("{what}: {}; with their own {own}", detail(&line));
                Tile::new(name, hundredths(with_pictures.value()), words)
            }
            None => Tile::new(name, "–".to_owned(), "not measured, or no pictures".to_owned()),
        });
    }
    if let Some(confidence) = &probes.confidence {
        let error = format!("{:.1}", confidence.calibration.expected_error * 100.0);
        let detail = format!("points, expected. {}", after_temperature(confidence));
        tiles.push(Tile::new("Calibration error", error, detail));
    }
    tiles
}

/// Writes all probes, or that there are none.
pub(super) fn write(page: &mut Markup, probes: Option<&Probes>) {
    page.element("section", &[], |page| {
        page.leaf("h2", &[], "Whether to trust them");
        let Some(probes) = probes else {
            page.leaf("p", &[], "No pair of responses was judged, so there is nothing to check the figures by.");
            return;
        };
        let lead = format!(
            "Over all {} pairs of responses with different ranks in {} rows, whatever the official metric is; ties count as wrong.",
            count(probes.num_pairs),
            count(probes.num_rows)
        );
        page.leaf("p", &[("class", &"note")], lead);
        table(page, "pairs", &lines(probes));
        if probes.blind.is_none() && probes.swapped.is_none() {
            let nothing = "What the pictures add was not measured, or no row has pictures.";
            page.leaf("p", &[("class", &"note")], nothing);
        }
        page.element("div", &[("class", &"charts")], |page| write_charts(page, probes));
    });
}

fn lines(probes: &Probes) -> Vec<Line> {
    let mut lines = vec![
        Line::of_share("the model", &probes.accuracy, "first"),
        Line::of_share("the longer response", &probes.length_baseline, "blind"),
    ];
    let withheld =
        [("without pictures", &probes.blind), ("with pictures of another row", &probes.swapped)];
    for (name, withheld) in withheld {
        let Some(withheld) = withheld else { continue };
        lines.push(Line::of_share(&format!("{name}, all rows"), &withheld.all, "blind"));
        let rows = format!("{} rows with pictures", count(withheld.num_rows));
        let only = format!("{name}, only {rows}");
        lines.push(Line::of_share(&only, &withheld.with_pictures, "blind"));
        let own = format!("the model on these {rows}");
        lines.push(Line::of_share(&own, &withheld.sighted, "first"));
    }
    lines
}

fn write_charts(page: &mut Markup, probes: &Probes) {
    let unit = &probes.length_unit;
    if let Some(rewards) = &probes.rewards {
        charts::rewards(page, &rewards.better, &rewards.worse);
    }
    if let Some(confidence) = &probes.confidence {
        let remark = format!("{}.", after_temperature(confidence));
        charts::calibration_curve(page, &confidence.calibration, &remark);
    }
    if !probes.margin_bins.is_empty() {
        charts::accuracy_by_margin(page, &probes.margin_bins);
    }
    if !probes.length_relation.bins.is_empty() {
        charts::accuracy_by_length(page, &probes.length_relation, unit);
        charts::margin_by_length(page, &probes.length_relation, &[], unit);
    }
}

fn after_temperature(confidence: &Confidence) -> String {
    match &confidence.temperature {
        Some(temperature) => format!(
            "Margins divided by {} fit best: an error of {:.1} points",
            short(temperature.value),
            temperature.expected_error * 100.0
        ),
        None => "No temperature fits: there is no mistake, or no skill".to_owned(),
    }
}
