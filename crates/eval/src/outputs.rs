//! The files of a result besides the page: JSON with everything, CSV of the figures, Markdown to paste, and what the
//! `rewardbench` package writes.
//!
//! # Source
//! The names and keys of the last: allenai/reward-bench, version 0.1.4, `rewardbench/rewardbench.py`.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::evaluation::Evaluation;
use crate::figure::Figure;
use crate::item::{Labels, Scored};
use crate::judged::Shown;
use crate::probes::{Probes, Share};
use crate::rewards::{from_line, to_line};

/// Everything of the result.
pub const EVALUATION_FILE: &str = "evaluation.json";
/// The figures as a table.
pub const FIGURES_FILE: &str = "figures.csv";
/// The figures as text.
pub const MARKDOWN_FILE: &str = "report.md";
/// The page.
pub const REPORT_FILE: &str = "report.html";
/// How the benchmark sorts every row, and what became of it.
pub const ROWS_FILE: &str = "rows.jsonl";
/// The rewards of every row.
pub const REWARDS_FILE: &str = "rewards.jsonl";

/// The result as JSON.
pub fn json(evaluation: &Evaluation) -> String {
    serde_json::to_string_pretty(evaluation).expect("a result is plain JSON") + "\n"
}

/// The figures as CSV, one line each, values as fractions.
pub fn csv(evaluation: &Evaluation) -> String {
    let mut text = "benchmark,section,figure,value,right,total,ties,low,high\n".to_owned();
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for figure in &evaluation.figures {
        let (low, high) = figure.interval.unzip();
        writeln!(
            text,
            "{},{},{},{},{},{},{},{},{}",
            quoted(&evaluation.benchmark.name),
            quoted(&figure.section),
            quoted(&figure.name),
            number(figure.value),
            number(figure.num_right),
            figure.num_total,
            figure.num_ties,
            number(low),
            number(high),
        )
        .expect("a String takes any text");
    }
    text
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// A percentage with the fraction that it is, such as `82.16 % (1027/1250)`.
pub fn shown(figure: &Figure) -> String {
    let Some(value) = figure.value else { return format!("– (0 of {})", figure.num_total) };
    let over = match figure.num_right {
        Some(right) if right.fract() == 0.0 => format!("{right:.0}/{}", figure.num_total),
        Some(right) => format!("{right:.2}/{}", figure.num_total),
        None => format!("over {} rows", figure.num_total),
    };
    format!("{:.2} % ({over})", value * 100.0)
}

/// The interval in percent, such as `80.0–84.2`.
pub fn shown_interval(figure: &Figure) -> String {
    figure
        .interval
        .map_or_else(String::new, |(low, high)| format!("{:.1}–{:.1}", low * 100.0, high * 100.0))
}

/// The result as Markdown.
pub fn markdown(evaluation: &Evaluation) -> String {
    let Evaluation { benchmark, model, rows, .. } = evaluation;
    let mut text = format!("# {} — {model}\n\n", benchmark.title);
    let mut line = |sentence: &str| {
        text.push_str(sentence);
        text.push('\n');
    };
    line(&format!(
        "{} of {} rows scored. Source of the metric: {}.",
        rows.scored, rows.found, benchmark.source
    ));
    for note in &evaluation.notes {
        line(&format!("\n{}{}", if note.is_warning { "**Warning:** " } else { "" }, note.text));
    }
    let mut section = None;
    for figure in &evaluation.figures {
        if section != Some(&figure.section) {
            line(&format!("\n| {} | | 95 % interval | ties |", figure.section));
            line("|---|---:|---:|---:|");
            section = Some(&figure.section);
        }
        line(&format!(
            "| {} | {} | {} | {} |",
            figure.name,
            shown(figure),
            shown_interval(figure),
            figure.num_ties
        ));
    }
    if let Some(probes) = &evaluation.probes {
        line("\n| Whether to trust it | |");
        line("|---|---:|");
        for (name, value) in summary(probes) {
            line(&format!("| {name} | {value} |"));
        }
    }
    for caveat in &benchmark.caveats {
        line(&format!("\n{caveat}"));
    }
    line("\n| How it was made | |");
    line("|---|---|");
    for (name, value) in &evaluation.provenance {
        line(&format!("| {name} | {value} |"));
    }
    text
}

/// `MODEL.json` of `rewardbench`: accuracy and subsets. Figures of other sections than the headline's have their section before their
/// name, as sections share names.
pub fn rewardbench_summary(evaluation: &Evaluation, scored: &[Scored]) -> String {
    let headline = evaluation.figures.first().map(|figure| &figure.section);
    let subsets: serde_json::Map<_, _> = evaluation
        .figures
        .iter()
        .filter(|figure| figure.num_right.is_some())
        .map(|figure| {
            let Figure { section, name, value, .. } = figure;
            let is_plain = headline == Some(section);
            let key = if is_plain { name.clone() } else { format!("{section}/{name}") };
            (key, json!(value))
        })
        .collect();
    let right = scored.iter().filter(|row| row.is_right()).count();
    let object = json!({
        "accuracy": right as f64 / scored.len().max(1) as f64,
        "num_prompts": scored.len(),
        "model": evaluation.model,
        "ref_model": null,
        "extra_results": subsets,
    });
    serde_json::to_string_pretty(&object).expect("plain JSON") + "\n"
}

/// A line of `MODEL_outputs.jsonl` of `rewardbench`: a row of one better and one worse response.
pub fn rewardbench_line(shown: &Shown, scored: &Scored) -> String {
    let Shown { judged, prompt, chosen, rejected, .. } = shown;
    let Labels { category, subset, .. } = &scored.labels;
    let object = json!({
        "prompt": prompt,
        "results": u8::from(judged.is_right()),
        "scores_chosen": judged.chosen_reward,
        "scores_rejected": judged.rejected_reward,
        "text_chosen": chosen,
        "text_rejected": rejected,
        "id": scored.id,
        "subset": if subset.is_empty() { category } else { subset },
    });
    serde_json::to_string(&object).expect("plain JSON") + "\n"
}

/// Names and values of the probes, for tables.
pub fn summary(probes: &Probes) -> Vec<(String, String)> {
    let share = |share: &Share| match share.value() {
        Some(value) => format!("{:.2} % ({}/{})", value * 100.0, share.num_right, share.num_total),
        None => "–".to_owned(),
    };
    let mut rows = vec![
        ("Pairs ranked right".to_owned(), share(&probes.accuracy)),
        (
            format!("Longer answer ({}) always better", probes.length_unit),
            share(&probes.length_baseline),
        ),
    ];
    for (name, withheld) in
        [("Without pictures", probes.blind), ("Another row's pictures", probes.swapped)]
    {
        if let Some(withheld) = withheld {
            rows.push((name.to_owned(), share(&withheld.with_pictures)));
            rows.push(("The same rows with their pictures".to_owned(), share(&withheld.sighted)));
        }
    }
    if let Some(confidence) = &probes.confidence {
        let error = confidence.calibration.expected_error * 100.0;
        rows.push(("Expected calibration error".to_owned(), format!("{error:.1} points")));
        if let Some(temperature) = confidence.temperature {
            rows.push(("Best temperature".to_owned(), format!("{:.3}", temperature.value)));
        }
    }
    rows
}

/// A row with its labels and rewards, as a line of `rows.jsonl`.
#[derive(Serialize, Deserialize)]
struct RowLine {
    row: usize,
    id: String,
    category: String,
    subset: String,
    group: String,
    ranks: Vec<u32>,
    lengths: Vec<usize>,
    scores: Vec<Option<f32>>,
    is_right: bool,
}

/// A line of `rows.jsonl`.
pub fn row_line(scored: &Scored) -> String {
    let Labels { category, subset, group } = scored.labels.clone();
    let line = RowLine {
        row: scored.row,
        id: scored.id.clone(),
        category,
        subset,
        group,
        ranks: scored.ranks.clone(),
        lengths: scored.lengths.clone(),
        scores: to_line(&scored.scores),
        is_right: scored.is_right(),
    };
    serde_json::to_string(&line).expect("plain JSON") + "\n"
}

/// The rows of a `rows.jsonl`.
///
/// # Errors
/// A line of another form.
pub fn read_rows(text: &str) -> serde_json::Result<Vec<Scored>> {
    let read = |line: &str| {
        let line: RowLine = serde_json::from_str(line)?;
        let RowLine { category, subset, group, .. } = line;
        Ok(Scored {
            row: line.row,
            id: line.id,
            labels: Labels { category, subset, group },
            ranks: line.ranks,
            lengths: line.lengths,
            scores: from_line(&line.scores),
            ..Scored::default()
        })
    };
    text.lines().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contamination::Contamination;
    use crate::evaluation::{BenchmarkFacts, RowCounts};

    fn evaluation(figures: Vec<Figure>) -> Evaluation {
        let text = || "x".to_owned();
        Evaluation {
            benchmark: BenchmarkFacts {
                name: text(),
                title: text(),
                source: text(),
                caveats: Vec::new(),
            },
            model: text(),
            rows: RowCounts { found: 4, scored: 4, published: None, checked_reversed: 0 },
            figures,
            probes: None,
            contamination: Contamination::Unknown,
            notes: Vec::new(),
            failed: Vec::new(),
            provenance: Vec::new(),
        }
    }

    #[test]
    fn figures_of_one_name_in_two_sections_are_both_in_the_summary() {
        let figures = vec![
            Figure::ratio("official", "Overall", 3.0, 4, 0),
            Figure::ratio("official", "General", 1.0, 2, 0),
            Figure::ratio("r1_reward", "General", 3.0, 4, 0),
            Figure::derived("r1_reward", "Macro average", Some(0.5), 4),
        ];
        let summary = rewardbench_summary(&evaluation(figures), &[]);
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(
            summary["extra_results"],
            json!({"Overall": 0.75, "General": 0.5, "r1_reward/General": 0.75})
        );
    }
}
