//! What became of every row, for people: the counts of a manifest as Markdown and for a terminal.
//!
//! Nothing is counted here.

use std::fmt::Write;

use page::number::{count, percent};

use crate::ledger::{SourceCounts, Stage};
use crate::manifest::Manifest;
use crate::recipe::OverlapKind;
use crate::sheet::{Sheet, escaped};

/// A record and a row of a benchmark that have something in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlapLine {
    /// Name of the benchmark.
    pub benchmark: String,
    /// Its row.
    pub benchmark_row: String,
    /// Name of the record's source.
    pub source: String,
    /// The record's id, or its file and place.
    pub record: String,
    /// What they have in common.
    pub kinds: Vec<OverlapKind>,
    /// Whether the record was removed.
    pub is_removed: bool,
}

/// How a report is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Markdown,
    Text,
}

/// The counts as Markdown, every overlap among them.
pub fn markdown(manifest: &Manifest, overlaps: &[OverlapLine]) -> String {
    written(manifest, overlaps, Form::Markdown)
}

/// The counts for a terminal.
pub fn text(manifest: &Manifest, overlaps: &[OverlapLine]) -> String {
    written(manifest, overlaps, Form::Text)
}

fn written(manifest: &Manifest, overlaps: &[OverlapLine], form: Form) -> String {
    let mut report = Report { text: String::new(), form };
    report.heading("What became of every row");
    report.sheet(&stages(manifest));
    let reasons = reasons(manifest);
    if let Some(reasons) = reasons {
        report.heading("Why records left");
        report.sheet(&reasons);
    }
    if !manifest.decontaminated_against.is_empty() {
        report.heading("Benchmarks that were searched for");
        report.sheet(&benchmarks(manifest));
    }
    if !overlaps.is_empty() {
        report.heading("Overlaps with benchmarks");
        for overlap in overlaps {
            report.item(&sentence(overlap));
        }
    }
    report.text
}

struct Report {
    text: String,
    form: Form,
}

impl Report {
    fn heading(&mut self, title: &str) {
        let before = if self.text.is_empty() { "" } else { "\n" };
        let (mark, after) = match self.form {
            Form::Markdown => ("## ", "\n"),
            Form::Text => ("", ""),
        };
        self.write(&format!("{before}{mark}{title}\n{after}"));
    }

    fn sheet(&mut self, sheet: &Sheet) {
        let text = match self.form {
            Form::Markdown => sheet.markdown(),
            Form::Text => sheet.text(),
        };
        self.write(&text);
    }

    fn item(&mut self, sentence: &str) {
        let item = match self.form {
            Form::Markdown => format!("- {}\n", escaped(sentence)),
            Form::Text => format!("  {sentence}\n"),
        };
        self.write(&item);
    }

    fn write(&mut self, text: &str) {
        self.text.write_str(text).expect("a String takes any text");
    }
}

/// Stages after the records have been made, in order.
const STAGES: [(Stage, &str); 7] = [
    (Stage::Pictures, "pictures"),
    (Stage::Filter, "filter"),
    (Stage::Duplicates, "duplicates"),
    (Stage::Decontamination, "benchmarks"),
    (Stage::Labels, "labels"),
    (Stage::Caps, "caps"),
    (Stage::Mix, "mixture"),
];

/// What a stage is called.
pub(crate) fn stage_name(stage: Stage) -> &'static str {
    let known = STAGES.iter().find(|(one, _)| *one == stage);
    known.map_or("reading", |(_, name)| name)
}

/// Sources by stages, as far as anything left there.
fn stages(manifest: &Manifest) -> Sheet {
    let mut total = SourceCounts::default();
    for source in &manifest.sources {
        total.add(&source.counts);
    }
    let used: Vec<(Stage, &str)> =
        STAGES.into_iter().filter(|(stage, _)| total.dropped_at(*stage) > 0).collect();
    let repeats = repeated(&total) > 0;
    let mut columns = vec!["source", "rows", "comparisons", "records"];
    columns.extend(used.iter().map(|(_, name)| *name));
    if repeats {
        columns.push("repeated");
    }
    columns.extend(["kept", "share", "validation", "flipped"]);
    let mut sheet = Sheet::new(columns);
    let mut push = |name: &str, counts: &SourceCounts, share: f64| {
        let mut row = vec![name.to_owned()];
        row.extend([counts.rows, counts.comparisons, counts.records].map(count));
        row.extend(used.iter().map(|(stage, _)| signed('−', counts.dropped_at(*stage))));
        if repeats {
            row.push(signed('+', repeated(counts)));
        }
        row.push(count(counts.kept));
        row.push(percent(share));
        row.extend([counts.validation, counts.flipped].map(count));
        sheet.push(row);
    };
    for source in &manifest.sources {
        push(&source.name, &source.counts, source.share);
    }
    push("all", &total, if total.kept > 0 { 1.0 } else { 0.0 });
    sheet
}

/// Records that are in the result once more.
fn repeated(counts: &SourceCounts) -> u64 {
    let left: u64 = STAGES.iter().map(|(stage, _)| counts.dropped_at(*stage)).sum();
    (counts.kept + left).saturating_sub(counts.records)
}

fn signed(sign: char, number: u64) -> String {
    if number == 0 { "0".to_owned() } else { format!("{sign}{}", count(number)) }
}

/// Reasons by sources; none when nothing left.
fn reasons(manifest: &Manifest) -> Option<Sheet> {
    let mut total = SourceCounts::default();
    for source in &manifest.sources {
        total.add(&source.counts);
    }
    if total.dropped.is_empty() {
        return None;
    }
    let names = manifest.sources.iter().map(|source| source.name.as_str());
    let mut sheet = Sheet::new(["reason"].into_iter().chain(names).chain(["all"]));
    for (stage, reasons) in &total.dropped {
        for (reason, all) in reasons {
            let of_source = |counts: &SourceCounts| {
                let found = counts.dropped.get(stage).and_then(|reasons| reasons.get(reason));
                count(found.copied().unwrap_or(0))
            };
            let mut row = vec![format!("{}: {reason}", stage_name(*stage))];
            row.extend(manifest.sources.iter().map(|source| of_source(&source.counts)));
            row.push(count(*all));
            sheet.push(row);
        }
    }
    Some(sheet)
}

fn benchmarks(manifest: &Manifest) -> Sheet {
    let mut sheet = Sheet::new(["benchmark", "rows", "overlaps", "removed", "files"]);
    for searched in &manifest.decontaminated_against {
        let mut row = vec![searched.benchmark.clone()];
        row.extend([searched.rows, searched.overlaps, searched.removed].map(count));
        row.push(searched.rows_hash.chars().take(12).collect());
        sheet.push(row);
    }
    sheet
}

fn sentence(overlap: &OverlapLine) -> String {
    let kinds: Vec<String> = overlap.kinds.iter().map(OverlapKind::to_string).collect();
    let end = if overlap.is_removed { "removed" } else { "kept" };
    let OverlapLine { benchmark, benchmark_row, source, record, .. } = overlap;
    format!(
        "{source} `{record}` has the {} of {benchmark} `{benchmark_row}`: {end}",
        kinds.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::example;

    fn overlap() -> OverlapLine {
        OverlapLine {
            benchmark: "vl-rewardbench".to_owned(),
            benchmark_row: "12".to_owned(),
            source: "pictures".to_owned(),
            record: "<b>|7".to_owned(),
            kinds: vec![OverlapKind::Image, OverlapKind::Question],
            is_removed: true,
        }
    }

    #[test]
    fn the_numbers_of_every_line_add_up() {
        let text = text(&example(), &[]);
        let line = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            line("source"),
            [
                "source",
                "rows",
                "comparisons",
                "records",
                "filter",
                "duplicates",
                "benchmarks",
                "kept",
                "share",
                "validation",
                "flipped"
            ]
        );
        assert_eq!(
            line("pictures"),
            [
                "pictures", "1,200", "1,190", "2,380", "−500", "−300", "−80", "1,500", "75.0", "%",
                "15", "4"
            ]
        );
        assert_eq!(line("all")[1..4], ["1,700", "1,690", "2,880"]);
    }

    #[test]
    fn repeated_records_have_a_column_of_their_own() {
        let mut manifest = example();
        manifest.sources[1].counts.kept = 750;
        let text = text(&manifest, &[]);
        let line = text.lines().find(|line| line.starts_with("texts")).unwrap();
        assert!(line.contains("+250") && line.contains("750"), "{line}");
        assert!(!super::text(&example(), &[]).contains("repeated"));
    }

    #[test]
    fn reasons_stand_beside_the_sources_that_they_apply_to() {
        let text = markdown(&example(), &[]);
        assert!(text.contains("| filter: length | 500 | 0 | 500 |"), "{text}");
        assert!(text.contains("| reading: `chosen` is missing | 10 | 0 | 10 |"), "{text}");
    }

    #[test]
    fn every_overlap_is_listed_and_cannot_break_the_page() {
        let text = markdown(&example(), &[overlap(), overlap()]);
        let line =
            "- pictures `&lt;b&gt;\\|7` has the picture, question of vl-rewardbench `12`: removed";
        assert_eq!(text.lines().filter(|found| *found == line).count(), 2, "{text}");
    }
}
