//! One page to leaf through the pairs of a curated set: what was kept, what left and why, whose label was turned.
//!
//! A single file that loads nothing. Without its script it shows all pairs below each other; texts of data sets are escaped wherever they
//! appear. Which records are shown is the caller's choice.

mod row;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use data::Comparison;
use page::Markup;
use page::document::{Behavior, document_with};
use page::number::{count, percent};
use page::parts::{self, Tile};

use crate::ledger::Stage;
use crate::manifest::Manifest;
use crate::shard::RowColumns;

/// Style and script of the page.
const BEHAVIOR: Behavior =
    Behavior { style: include_str!("view/view.css"), script: include_str!("view/view.js") };

/// A record to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewRow {
    /// Name of its source in the recipe.
    pub source: String,
    /// Its id, or none when it could not be read.
    pub id: Option<String>,
    /// Its file and its place there.
    pub origin: String,
    /// What it compares, with the label that it has in the result; none when it could not be read.
    pub comparison: Option<Comparison>,
    /// What was found out about it.
    pub columns: RowColumns,
    /// Why it left; none when it was kept.
    pub left: Option<ViewReason>,
}

/// Why a record left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewReason {
    /// Where.
    pub stage: Stage,
    /// Why, in words that all such records have in common.
    pub reason: String,
    /// What is particular to this record.
    pub detail: Option<String>,
}

/// The page.
pub fn page(manifest: &Manifest, kept: &[ViewRow], dropped: &[ViewRow]) -> String {
    let title = "Pairs of a curated set";
    document_with(title, BEHAVIOR, |page| {
        heading(page, title, manifest);
        controls(page, kept, dropped);
        page.element("main", &[("class", &"cards")], |page| {
            for shown in kept.iter().chain(dropped) {
                row::write(page, shown);
            }
        });
        page.leaf("p", &[("id", &"nothing"), ("class", &"note"), ("hidden", &"hidden")], NOTHING);
    })
}

const NOTHING: &str = "No pair is like this. Choose other filters.";

fn heading(page: &mut Markup, title: &str, manifest: &Manifest) {
    let recipe = manifest.recipe_blake3.chars().take(12).collect();
    let names =
        [("Recipe".to_owned(), recipe), ("basereward".to_owned(), manifest.version.clone())];
    parts::heading(page, title, &names, &[]);
    let counts = |of: fn(&crate::ledger::SourceCounts) -> u64| -> u64 {
        manifest.sources.iter().map(|source| of(&source.counts)).sum()
    };
    let (rows, kept, flipped) =
        (counts(|one| one.rows), counts(|one| one.kept), counts(|one| one.flipped));
    let removed: u64 = manifest.decontaminated_against.iter().map(|one| one.removed).sum();
    let sources = format!("of {} rows in {} sources", count(rows), manifest.sources.len());
    let share = if kept == 0 { 0.0 } else { flipped as f64 / kept as f64 };
    let benchmarks = format!("for {} benchmarks", manifest.decontaminated_against.len());
    parts::tiles(
        page,
        &[
            Tile::main("Kept", count(kept), sources),
            Tile::new("Labels turned", count(flipped), percent(share)),
            Tile::new("Overlaps removed", count(removed), benchmarks),
            Tile::new("Pictures", count(manifest.pictures.distinct), "distinct".to_owned()),
        ],
    );
}

/// What filters the cards; hidden until the script makes it work.
fn controls(page: &mut Markup, kept: &[ViewRow], dropped: &[ViewRow]) {
    let mut sources: BTreeMap<&str, usize> = BTreeMap::new();
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for shown in kept.iter().chain(dropped) {
        *sources.entry(&shown.source).or_default() += 1;
    }
    for shown in dropped {
        *states.entry(row::state(shown)).or_default() += 1;
    }
    let option = |value: &str, number: usize| (value.to_owned(), format!("{value} ({number})"));
    let sources = sources.into_iter().map(|(name, number)| option(name, number));
    let mut outcomes = vec![option(row::KEPT, kept.len())];
    outcomes.extend(states.iter().map(|(state, number)| option(state, *number)));
    let pictures = [("yes", "with pictures"), ("no", "without pictures")]
        .map(|(value, words)| (value.to_owned(), words.to_owned()));
    let labels = [("yes", "turned"), ("no", "as published")]
        .map(|(value, words)| (value.to_owned(), words.to_owned()));
    page.element("nav", &[("id", &"controls"), ("hidden", &"hidden")], |page| {
        choice(page, "source", "Source", "all sources", sources.collect());
        choice(page, "state", "Outcome", "kept and dropped", outcomes);
        choice(page, "pictures", "Pictures", "with and without", pictures.into());
        choice(page, "flipped", "Label", "any", labels.into());
        page.element("label", &[("class", &"search")], |page| {
            page.leaf("span", &[], "Text");
            page.void("input", &[("id", &"search"), ("type", &"search"), ("autocomplete", &"off")]);
        });
        page.element("div", &[("class", &"steps")], |page| {
            let button =
                [("id", "previous", "Previous pair", "←"), ("id", "next", "Next pair", "→")];
            for (id, name, words, arrow) in button {
                let attributes: page::markup::Attributes<'_> =
                    &[(id, &name), ("type", &"button"), ("aria-label", &words), ("title", &words)];
                page.leaf("button", attributes, arrow);
            }
            page.leaf("output", &[("id", &"position"), ("aria-live", &"polite")], "");
        });
    });
}

fn choice(page: &mut Markup, id: &str, name: &str, any: &str, options: Vec<(String, String)>) {
    page.element("label", &[], |page| {
        page.leaf("span", &[], name);
        page.element("select", &[("id", &id)], |page| {
            page.leaf("option", &[("value", &"")], any);
            for (value, words) in options {
                page.leaf("option", &[("value", &value)], words);
            }
        });
    });
}
