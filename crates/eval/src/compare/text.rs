//! Runs side by side as Markdown and as CSV. It measures nothing.

use std::fmt::Write;

use super::{Against, SideBySide};
use crate::figure::Figure;
use crate::published::Published;

/// What stands where a run or a paper has no such figure.
const ABSENT: &str = "–";

const CSV_HEADER: &str =
    "kind,name,section,figure,percent,num_right,num_total,num_ties,low,high,source,caveats\n";

pub(super) fn markdown(result: &SideBySide) -> String {
    let mut out = format!("# {}\n\n", result.benchmark);
    for warning in &result.warnings {
        line(&mut out, &format!("**Warning:** {}\n", cell(warning)));
    }
    line(&mut out, "Percent, with the counts behind it and the 95 % interval.\n");
    figures(&mut out, result);
    if !result.against_first.is_empty() {
        against(&mut out, &result.against_first);
    }
    if !result.published.is_empty() {
        published(&mut out, &result.published);
    }
    out
}

fn figures(out: &mut String, result: &SideBySide) {
    let names = result.runs.iter().map(String::as_str);
    let columns: Vec<&str> = ["section", "figure"].into_iter().chain(names).collect();
    header(out, &columns);
    for row in &result.lines {
        let values = row.figures.iter().map(|figure| value(figure.as_ref()));
        let cells: Vec<String> =
            [row.section.clone(), row.name.clone()].into_iter().chain(values).collect();
        table_row(out, &cells);
    }
}

/// `82.16 (1027/1250) [80.00, 84.24], 3 ties`.
fn value(figure: Option<&Figure>) -> String {
    let Some((figure, part)) = figure.and_then(|figure| Some((figure, figure.value?))) else {
        return ABSENT.to_owned();
    };
    let value = format!("{:.2}", 100.0 * part);
    let over = match figure.num_right {
        Some(num_right) => format!(" ({}/{})", count(num_right), figure.num_total),
        None => format!(" (over {})", figure.num_total),
    };
    let interval = figure
        .interval
        .map(|(low, high)| format!(" [{:.2}, {:.2}]", 100.0 * low, 100.0 * high))
        .unwrap_or_default();
    let ties = match figure.num_ties {
        0 => String::new(),
        num_ties => format!(", {num_ties} ties"),
    };
    [value, over, interval, ties].concat()
}

/// A whole number without decimals; a shared tie with two.
fn count(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.2}") }
}

fn against(out: &mut String, runs: &[Against]) {
    line(out, "\n## Row by row\n");
    line(
        out,
        "A row is right when every better response has the strictly higher reward. The p-value is that of the exact two-sided \
         McNemar test, which takes rows as independent; the interval takes groups of rows as such.\n",
    );
    header(
        out,
        &["first", "other", "rows", "only first right", "only other right", "difference", "p"],
    );
    for Against { first, other, paired } in runs {
        let mean = paired
            .difference
            .map_or(ABSENT.to_owned(), |difference| format!("{:+.2}", 100.0 * difference));
        let interval = paired
            .interval
            .map(|(low, high)| format!(" [{:+.2}, {:+.2}]", 100.0 * low, 100.0 * high))
            .unwrap_or_default();
        let counts = [paired.num_rows, paired.num_wins, paired.num_losses];
        let mut cells = vec![first.clone(), other.clone()];
        cells.extend(counts.map(|count| count.to_string()));
        cells.extend([mean + &interval, probability(paired.p_value)]);
        table_row(out, &cells);
    }
}

/// Two digits that count, so that a small probability does not read as none.
fn probability(p: f64) -> String {
    if p < 0.001 { format!("{p:.1e}") } else { format!("{p:.4}") }
}

fn published(out: &mut String, entries: &[Published]) {
    line(out, "\n## Published\n");
    let mut figures: Vec<(&str, &str)> = Vec::new();
    let mut caveats: Vec<&str> = Vec::new();
    for entry in entries {
        for figure in &entry.figures {
            let key = (figure.section.as_str(), figure.name.as_str());
            if !figures.contains(&key) {
                figures.push(key);
            }
        }
        for caveat in &entry.caveats {
            if !caveats.contains(&caveat.as_str()) {
                caveats.push(caveat);
            }
        }
    }
    let mut columns = vec!["model".to_owned()];
    columns.extend(figures.iter().map(|(section, name)| match *section {
        "official" => (*name).to_owned(),
        section => format!("{name} ({section})"),
    }));
    columns.push("source".to_owned());
    header(out, &columns.iter().map(String::as_str).collect::<Vec<_>>());
    for entry in entries {
        let number_of = |caveat: &String| caveats.iter().position(|known| known == caveat);
        let notes: Vec<String> = entry
            .caveats
            .iter()
            .filter_map(number_of)
            .map(|place| format!("[^{}]", place + 1))
            .collect();
        let mut cells = vec![format!("{}{}", entry.model, notes.concat())];
        cells.extend(figures.iter().map(|key| printed(entry, *key)));
        cells.push(entry.source.clone());
        table_row(out, &cells);
    }
    out.push('\n');
    for (place, caveat) in caveats.iter().enumerate() {
        line(out, &format!("[^{}]: {caveat}", place + 1));
    }
}

fn printed(entry: &Published, (section, name): (&str, &str)) -> String {
    let is_it = |figure: &&crate::published::PublishedFigure| {
        figure.section == section && figure.name == name
    };
    match entry.figures.iter().find(is_it) {
        None => ABSENT.to_owned(),
        Some(figure) => match figure.ratio {
            None => figure.percent.to_string(),
            Some((part, whole)) => format!("{} ({part}/{whole})", figure.percent),
        },
    }
}

fn header(out: &mut String, columns: &[&str]) {
    table_row(out, columns);
    table_row(out, &vec!["---"; columns.len()]);
}

fn table_row(out: &mut String, cells: &[impl AsRef<str>]) {
    let cells: Vec<String> = cells.iter().map(|text| cell(text.as_ref())).collect();
    line(out, &format!("| {} |", cells.join(" | ")));
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes everything");
}

/// A text that ends no cell and no line of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

pub(super) fn csv(result: &SideBySide) -> String {
    let mut out = CSV_HEADER.to_owned();
    for (place, run) in result.runs.iter().enumerate() {
        for figure in result.lines.iter().filter_map(|line| line.figures[place].as_ref()) {
            csv_run(&mut out, run, figure);
        }
    }
    for entry in &result.published {
        csv_published(&mut out, entry);
    }
    out
}

fn csv_run(out: &mut String, run: &str, figure: &Figure) {
    let percent = |part: f64| format!("{:.4}", 100.0 * part);
    let value = figure.value.map(percent).unwrap_or_default();
    let num_right = figure.num_right.map(count).unwrap_or_default();
    let (num_total, num_ties) = (figure.num_total.to_string(), figure.num_ties.to_string());
    let low = figure.interval.map(|(low, _)| percent(low)).unwrap_or_default();
    let high = figure.interval.map(|(_, high)| percent(high)).unwrap_or_default();
    let numbers = [&value, &num_right, &num_total, &num_ties, &low, &high].map(String::as_str);
    csv_row(out, ["run", run, &figure.section, &figure.name], numbers, ["", ""]);
}

fn csv_published(out: &mut String, entry: &Published) {
    let caveats = entry.caveats.join(" ");
    for figure in &entry.figures {
        let percent = figure.percent.to_string();
        let part = figure.ratio.map(|(part, _)| part.to_string()).unwrap_or_default();
        let whole = figure.ratio.map(|(_, whole)| whole.to_string()).unwrap_or_default();
        let names = ["published", &entry.model, &figure.section, &figure.name];
        csv_row(out, names, [&percent, &part, &whole, "", "", ""], [&entry.source, &caveats]);
    }
}

/// A line in the quoting of RFC 4180, ended by a line feed alone.
fn csv_row(out: &mut String, names: [&str; 4], numbers: [&str; 6], texts: [&str; 2]) {
    let quoted = |field: &str| {
        if field.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.to_owned()
        }
    };
    let fields = names.into_iter().chain(numbers).chain(texts).map(quoted);
    line(out, &fields.collect::<Vec<_>>().join(","));
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn figures_show_their_counts_intervals_and_ties() {
        let mut figure = Figure::ratio("official", "Overall", 1027.0, 1250, 3);
        figure.interval = Some((0.8, 0.8424));
        assert_eq!(value(Some(&figure)), "82.16 (1027/1250) [80.00, 84.24], 3 ties");
        assert_eq!(
            value(Some(&Figure::derived("official", "Macro", Some(0.5), 7))),
            "50.00 (over 7)"
        );
        assert_eq!(value(Some(&Figure::ratio("official", "x", 1.25, 2, 0))), "62.50 (1.25/2)");
        assert_eq!(value(Some(&Figure::derived("official", "Macro", None, 0))), ABSENT);
        assert_eq!(value(None), ABSENT);
    }

    #[test]
    fn markdown_has_the_runs_the_published_numbers_and_every_caveat_as_a_footnote() {
        let runs = [run("a|b", &[true, false, true]), run("c", &[true, true, true])];
        let result = SideBySide::of("vl-rewardbench", &runs);
        let text = result.markdown();
        assert!(
            text.contains("| section | figure | a\\|b | c |\n| --- | --- | --- | --- |"),
            "{text}"
        );
        assert!(text.contains("| official | Overall | 66.67 (2/3)"), "{text}");
        assert!(text.contains("| a\\|b | c | 3 | 0 | 1 | -33.33"), "{text}");
        assert!(text.contains("82.16 (1027/1250)"), "{text}");
        let mut num_notes = 0;
        for entry in &result.published {
            assert!(text.contains(&entry.source));
            for caveat in &entry.caveats {
                let note = text.lines().find(|line| line.ends_with(caveat.as_str())).unwrap();
                let mark = note.split_once(':').unwrap().0;
                let row = text.lines().find(|line| {
                    line.starts_with(&format!("| {}[", entry.model)) && line.contains(&entry.source)
                });
                assert!(row.unwrap().contains(mark), "{mark} {entry:?}");
                num_notes += 1;
            }
        }
        assert!(num_notes > 10);
    }

    #[test]
    fn every_row_of_a_table_has_as_many_cells_as_its_head() {
        let runs = [run("a", &[true, false]), run("b", &[true, true])];
        for benchmark in ["mm-rlhf-rewardbench", "multimodal-rewardbench", "rm-bench", "llmbar"] {
            let text = SideBySide::of(benchmark, &runs).markdown();
            for table in text.split("\n\n").filter(|part| part.starts_with("| ")) {
                let counts: Vec<usize> =
                    table.lines().map(|row| row.matches(" |").count()).collect();
                assert!(
                    counts.len() > 2 && counts.iter().all(|count| *count == counts[0]),
                    "{table}"
                );
            }
        }
    }

    #[test]
    fn csv_quotes_what_it_must_and_has_one_line_for_each_number() {
        let runs = [run("a, \"first\"", &[true, false])];
        let result = SideBySide::of("mm-rlhf-rewardbench", &runs);
        let text = result.csv();
        let num_published: usize = result.published.iter().map(|entry| entry.figures.len()).sum();
        assert!(num_published > 50);
        assert_eq!(text.lines().count(), 1 + 1 + num_published);
        assert!(
            text.contains("run,\"a, \"\"first\"\"\",official,Overall,50.0000,1,2,0,,,,\n"),
            "{text}"
        );
        assert!(text.contains(",Acc,91.76,156,170,"), "{text}");
    }

    #[test]
    fn small_probabilities_do_not_read_as_none() {
        assert_eq!(probability(0.041_389), "0.0414");
        assert_eq!(probability(3.1e-10), "3.1e-10");
    }
}
