//! Pages about judged pairs and benchmarks: the page of an evaluation, and the charts and mistakes that other pages show, too.
//!
//! They only show: every figure was computed elsewhere. Texts of data sets are escaped wherever they appear.

pub mod charts;
mod figures;
pub mod mistakes;
mod probes;

use page::document::document;
use page::number::count;
use page::parts::{self, Tile};
use page::{Markup, number};

use self::figures::{Line, detail, hundredths};
use crate::evaluation::{Evaluation, FailedRow, Note, RowCounts};
use crate::judged::Shown;

/// Most rows without rewards that the page lists; `evaluation.json` has all of them.
const MAX_FAILED: usize = 100;

/// The page of an evaluation: one file that needs no network, no script and no other file. `mistakes` are its surest mistakes, in
/// the order in which they are shown.
pub fn html(evaluation: &Evaluation, mistakes: &[Shown]) -> String {
    let title = format!("{}: {}", evaluation.benchmark.title, evaluation.model);
    document(&title, |page| {
        heading(page, evaluation);
        parts::tiles(page, &tiles(evaluation));
        figures::write(page, &evaluation.figures);
        caveats(page, &evaluation.benchmark.caveats);
        probes::write(page, evaluation.probes.as_ref());
        mistakes::write(page, mistakes, "None.");
        rows(page, evaluation);
        provenance(page, evaluation);
    })
}

fn heading(page: &mut Markup, evaluation: &Evaluation) {
    let RowCounts { found, scored, .. } = evaluation.rows;
    let names = [
        ("Model".to_owned(), evaluation.model.clone()),
        ("Benchmark".to_owned(), evaluation.benchmark.name.clone()),
        ("Rows".to_owned(), format!("{} of {}", count(scored), count(found))),
    ];
    let warnings: Vec<String> = evaluation
        .notes
        .iter()
        .filter(|note| note.is_warning)
        .map(|note| note.text.clone())
        .collect();
    parts::heading(page, &evaluation.benchmark.title, &names, &warnings);
}

/// The headline figure, then what tells at once whether to trust it.
fn tiles(evaluation: &Evaluation) -> Vec<Tile> {
    let mut tiles = vec![match evaluation.figures.first() {
        Some(figure) => {
            let line = Line::of_figure(figure);
            Tile::main(&figure.name, hundredths(figure.value), detail(&line))
        }
        None => Tile::main("No figure", "–".to_owned(), "nothing was scored".to_owned()),
    }];
    if let Some(probes) = &evaluation.probes {
        tiles.extend(probes::tiles(probes));
    }
    tiles
}

fn caveats(page: &mut Markup, caveats: &[String]) {
    if caveats.is_empty() {
        return;
    }
    page.element("section", &[], |page| {
        page.leaf("h2", &[], "What these figures can stand beside");
        list(page, caveats.iter().map(String::as_str));
    });
}

fn rows(page: &mut Markup, evaluation: &Evaluation) {
    let counts = evaluation.rows;
    page.element("section", &[], |page| {
        page.leaf("h2", &[], "Rows");
        let mut facts = vec![
            ("Rows of the files".to_owned(), count(counts.found)),
            ("Rows that the figures are over".to_owned(), count(counts.scored)),
        ];
        if let Some(published) = counts.published {
            facts.push(("Rows of the nearest published revision".to_owned(), count(published)));
        }
        let reversed = "Rows scored in reversed order of responses, too, with the same rewards";
        facts.push((reversed.to_owned(), count(counts.checked_reversed)));
        facts.push(("Rows without rewards".to_owned(), count(evaluation.failed.len() as u64)));
        parts::facts(page, &facts);
        let remarks: Vec<&Note> = evaluation.notes.iter().filter(|note| !note.is_warning).collect();
        if !remarks.is_empty() {
            list(page, remarks.iter().map(|note| note.text.as_str()));
        }
        failed(page, &evaluation.failed);
    });
}

fn failed(page: &mut Markup, failed: &[FailedRow]) {
    if failed.is_empty() {
        return;
    }
    page.element("details", &[], |page| {
        page.leaf("summary", &[], "Rows without rewards");
        page.element("table", &[], |page| {
            page.element("tr", &[], |page| {
                for name in ["row", "id", "reason"] {
                    page.leaf("th", &[], name);
                }
            });
            for row in failed.iter().take(MAX_FAILED) {
                page.element("tr", &[], |page| {
                    page.leaf("td", &[], row.row);
                    page.leaf("td", &[], &row.id);
                    page.leaf("td", &[], &row.error);
                });
            }
        });
        if failed.len() > MAX_FAILED {
            let more = number::count((failed.len() - MAX_FAILED) as u64);
            let rest = format!("And {more} more; `evaluation.json` has all of them.");
            page.leaf("p", &[("class", &"note")], rest);
        }
    });
}

fn provenance(page: &mut Markup, evaluation: &Evaluation) {
    page.element("section", &[], |page| {
        page.leaf("h2", &[], "How it was made");
        let source = ("metric".to_owned(), evaluation.benchmark.source.clone());
        let facts: Vec<_> =
            std::iter::once(source).chain(evaluation.provenance.iter().cloned()).collect();
        parts::facts(page, &facts);
    });
}

fn list<'a>(page: &mut Markup, sentences: impl Iterator<Item = &'a str>) {
    page.element("ul", &[("class", &"sentences")], |page| {
        for sentence in sentences {
            page.leaf("li", &[], sentence);
        }
    });
}

#[cfg(test)]
mod tests;
