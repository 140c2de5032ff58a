//! The report of a training run: one HTML file that needs no network, no script and no other file.
//!
//! It only shows: every figure comes from the metrics or from `eval::judged`. Texts of data sets are escaped wherever they appear.

mod axis;
mod chart;
mod curves;
mod headline;
mod held_out;
mod markup;
mod mistakes;
mod number;
mod thumbnail;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::markup::Markup;
use crate::metrics::StepMetrics;
use eval::judged::{Judged, Shown};

/// Name of the report in a run folder.
pub const REPORT_FILE: &str = "report.html";

/// Keeps a browser from loading anything, whatever a text of the data may say.
const CONTENT_POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

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
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let written = File::create(&unfinished)
        .and_then(|mut file| file.write_all(render(input).as_bytes()))
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // The first error is the one to tell; whether the rest can be removed changes nothing.
        drop(fs::remove_file(&unfinished));
    }
    written
}

/// The report as text.
pub fn render(input: &ReportInput) -> String {
    let mut page = Markup::default();
    page.element("html", &[("lang", &"en")], |page| {
        page.element("head", &[], |page| {
            page.void("meta", &[("charset", &"utf-8")]);
            page.void(
                "meta",
                &[("http-equiv", &"Content-Security-Policy"), ("content", &CONTENT_POLICY)],
            );
            let viewport = "width=device-width, initial-scale=1";
            page.void("meta", &[("name", &"viewport"), ("content", &viewport)]);
            page.void("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
            page.leaf("title", &[], &input.title);
            page.style(include_str!("style.css"));
        });
        page.element("body", &[], |page| {
            heading(page, input);
            headline::write(page, input);
            curves::write(page, &input.history);
            held_out::write(page, &input.held_out, &input.image_blind);
            mistakes::write(page, &input.held_out, &input.mistakes);
            skipped(page, &input.skipped);
            provenance(page, input);
        });
    });
    page.into_document()
}

fn heading(page: &mut Markup, input: &ReportInput) {
    page.element("header", &[], |page| {
        page.leaf("h1", &[], &input.title);
        page.element("p", &[("class", &"names")], |page| {
            for (label, name) in &input.names {
                page.element("span", &[], |page| {
                    page.text(format!("{label} "));
                    page.leaf("b", &[], name);
                });
                page.text(" ");
            }
        });
        for note in &input.notes {
            page.leaf("p", &[("class", &"remark")], note);
        }
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
        page.element("table", &[], |page| {
            for (name, version) in &input.versions {
                page.element("tr", &[], |page| {
                    page.leaf("th", &[], name);
                    page.leaf("td", &[], version);
                });
            }
        });
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
