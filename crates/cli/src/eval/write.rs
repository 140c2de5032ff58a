//! The files of an evaluation, and what the terminal shows of it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use eval::evaluation::Evaluation;
use eval::item::Scored;
use eval::judged::{Judged, Shown, surest_mistakes};
use eval::outputs::{
    EVALUATION_FILE, FIGURES_FILE, MARKDOWN_FILE, REPORT_FILE, REWARDS_FILE, ROWS_FILE, csv, json,
    markdown, rewardbench_line, rewardbench_summary, row_line, shown, shown_interval,
};
use eval::probes::judged_pairs;
use eval::rewards::{RewardLine, RewardsWriter};
use eval::rows::BenchmarkRows;
use page::document::replace;

use crate::sheet::{Sheet, columns};

/// The surest mistakes of a report.
const SHOWN_MISTAKES: usize = 12;

/// Writes every file but the rewards, which are there unless they were given.
pub(super) fn all(
    folder: &Path,
    rows: &BenchmarkRows,
    evaluation: &Evaluation,
    scored: &[Scored],
    lines: &[RewardLine],
    with_rewards: bool,
) -> anyhow::Result<()> {
    let put = |name: &str, content: &str| {
        let file = folder.join(name);
        replace(&file, content).with_context(|| format!("cannot write `{}`", file.display()))
    };
    if with_rewards {
        RewardsWriter::create(&folder.join(REWARDS_FILE))?.write(lines)?;
    }
    let pairs = judged_pairs(scored);
    let mistakes: Vec<Shown> =
        surest_mistakes(&pairs, SHOWN_MISTAKES).into_iter().map(|pair| show(rows, pair)).collect();
    put(ROWS_FILE, &scored.iter().map(row_line).collect::<String>())?;
    put(FIGURES_FILE, &csv(evaluation))?;
    put(MARKDOWN_FILE, &markdown(evaluation))?;
    put(REPORT_FILE, &eval::report::html(evaluation, &mistakes))?;
    rewardbench(folder, rows, evaluation, scored)?;
    put(EVALUATION_FILE, &json(evaluation))
}

fn show(rows: &BenchmarkRows, pair: &Judged) -> Shown {
    match rows.read(pair.row) {
        // A pair is known by its group, which may be a long key; people know the row.
        Ok(item) => {
            let id = item.comparison.id.clone();
            Shown::new(&item.comparison, Judged { id, ..pair.clone() })
        }
        Err(error) => Shown::without_row(pair.clone(), &error.to_string()),
    }
}

/// The files of the `rewardbench` package: pairs only, as it knows nothing else.
fn rewardbench(
    folder: &Path,
    rows: &BenchmarkRows,
    evaluation: &Evaluation,
    scored: &[Scored],
) -> anyhow::Result<()> {
    let folder = folder.join("rewardbench");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make `{}`", folder.display()))?;
    let model = Path::new(&evaluation.model)
        .file_name()
        .map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned());
    let summary = rewardbench_summary(evaluation, scored);
    let file = folder.join(format!("{model}.json"));
    replace(&file, &summary).with_context(|| format!("cannot write `{}`", file.display()))?;
    let file = folder.join(format!("{model}_outputs.jsonl"));
    pair_lines(&file, rows, scored).with_context(|| format!("cannot write `{}`", file.display()))
}

/// A line for each pair, written as the rows are read: their texts may not fit into memory together.
fn pair_lines(file: &Path, rows: &BenchmarkRows, scored: &[Scored]) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    let mut next = scored.iter().peekable();
    for (row, item) in rows.scan().enumerate() {
        let Some(scored) = next.next_if(|scored| scored.row == row) else { continue };
        let pairs = judged_pairs(std::slice::from_ref(scored));
        let (Ok(item), [pair]) = (item, pairs.as_slice()) else { continue };
        let shown = Shown::new(&item.comparison, pair.clone());
        out.write_all(rewardbench_line(&shown, scored).as_bytes())?;
    }
    out.flush()
}

/// The figures, for a terminal.
pub(super) fn text(evaluation: &Evaluation, output: Option<&Path>) -> String {
    let mut sheet = Sheet::default();
    sheet.line(&format!("{} — {}", evaluation.benchmark.title, evaluation.model));
    for note in &evaluation.notes {
        sheet.line(&format!("{}{}", if note.is_warning { "warning: " } else { "" }, note.text));
    }
    let mut rows = Vec::new();
    let mut section = None;
    for figure in &evaluation.figures {
        if section != Some(&figure.section) {
            rows.push(vec![String::new()]);
            rows.push(vec![figure.section.to_string()]);
            section = Some(&figure.section);
        }
        let ties = match figure.num_ties {
            0 => String::new(),
            1 => "1 tie".to_owned(),
            ties => format!("{ties} ties"),
        };
        let interval = shown_interval(figure);
        let interval = if interval.is_empty() { interval } else { format!("[{interval}]") };
        rows.push(vec![format!("  {}", figure.name), shown(figure), interval, ties]);
    }
    for line in columns(&rows) {
        sheet.line(&line);
    }
    if let Some(probes) = &evaluation.probes {
        sheet.title("whether to trust it");
        let rows: Vec<Vec<String>> = eval::outputs::summary(probes)
            .into_iter()
            .map(|(name, value)| vec![format!("  {name}"), value])
            .collect();
        for line in columns(&rows) {
            sheet.line(&line);
        }
    }
    if let Some(folder) = output {
        sheet.title(&format!("report: {}", folder.join(REPORT_FILE).display()));
    }
    sheet.into_text()
}
