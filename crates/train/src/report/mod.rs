//! The report of a training run: one HTML file that needs no network, no script and no other file.
//!
//! It only shows: every figure comes from the metrics or from `eval::judged`. Texts of data sets are escaped wherever they appear.

mod curves;
mod headline;

use std::io;
use std::path::Path;

use eval::judged::{Judged, Shown};
use eval::report::{charts, mistakes};
use page::document::document;
use page::{Markup, number, parts};

use crate::metrics::StepMetrics;

/// Name of the report in a run folder.
pub const REPORT_FILE: &str = "report.html";

/// Everything that a report shows.
#[derive(Debug, Clone, Default)]
pub struct ReportInput {
    /// Heading, such as the name of the run.
    pub title: String,
    /// Labels and names under the heading, such as `("model", "tiny")`, `("recipe", "tiny.toml")` and one for each data set.
    pub names: Vec<(String, String)>,
    /// Sentences under the heading, such as why the run stopped early.
    pub notes: Vec<String>,
    /// Figures of the steps, in order.
    pub history: Vec<StepMetrics>,
    /// Held-out pairs with the rewards of the model that the run ends with; empty when there is no held-out set.
    pub held_out: Vec<Judged>,
    /// The same pairs judged without their pictures; empty when that was not measured.
    pub image_blind: Vec<Judged>,
    /// The surest mistakes among the held-out pairs, with their texts and pictures.
    pub mistakes: Vec<Shown>,
    /// The resolved recipe.
    pub recipe: String,
    /// Names and versions of programs, data hashes and the like.
    pub versions: Vec<(String, String)>,
    /// Reasons for which rows were skipped, with their numbers.
    pub skipped: Vec<(String, u64)>,
}

/// Writes a report. The file is replaced at once: a reader never sees half of it.
///
/// A picture that cannot be read is replaced by the reason; the report is written all the same.
///
/// # Errors
/// Whatever the operating system says.
pub fn write(path: &Path, input: &ReportInput) -> io::Result<()> {
    page::document::replace(path, &render(input))
}

/// The report as text.
pub fn render(input: &ReportInput) -> String {
    document(&input.title, |page| {
        parts::heading(page, &input.title, &input.names, &input.notes);
        headline::write(page, input);
        curves::write(page, &input.history);
        held_out(page, &input.held_out, &input.image_blind);
        let reason = if input.held_out.is_empty() { "No pair was judged." } else { "None." };
        mistakes::write(page, &input.mistakes, reason);
        skipped(page, &input.skipped);
        provenance(page, input);
    })
}

/// Writes the charts of the held-out pairs, or that there is nothing to draw. `image_blind` are the same pairs judged without
/// their pictures, or nothing.
fn held_out(page: &mut Markup, pairs: &[Judged], image_blind: &[Judged]) {
    page.element("section", &[], |page| {
        page.leaf("h2", &[], "Held-out pairs");
        if pairs.is_empty() {
            let nothing = "No held-out pair was judged, so nothing is known beyond training.";
            page.leaf("p", &[], nothing);
            return;
        }
        page.element("div", &[("class", &"charts")], |page| {
            charts::of_pairs(page, pairs, image_blind, "tokens");
        });
    });
}

fn skipped(page: &mut Markup, reasons: &[(String, u64)]) {
    page.element("section", &[], |page| {
        page.leaf("h2", &[], "Skipped rows");
        if reasons.iter().all(|(_, rows)| *rows == 0) {
            page.leaf("p", &[], "None.");
            return;
        }
        page.element("table", &[], |page| {
            page.element("tr", &[], |page| {
                page.leaf("th", &[], "reason");
                page.leaf("th", &[("class", &"number")], "rows");
            });
            for (reason, rows) in reasons {
                page.element("tr", &[], |page| {
                    page.leaf("td", &[], reason);
                    page.leaf("td", &[("class", &"number")], number::count(*rows));
                });
            }
        });
    });
}

fn provenance(page: &mut Markup, input: &ReportInput) {
    page.element("section", &[], |page| {
        page.leaf("h2", &[], "How it was made");
        parts::facts(page, &input.versions);
        if !input.recipe.is_empty() {
            page.element("details", &[("open", &"")], |page| {
                page.leaf("summary", &[], "Recipe, with every default");
                page.leaf("pre", &[], &input.recipe);
            });
        }
    });
}

#[cfg(test)]
mod tests;
