//! An [`Inspection`] as text for a terminal.

use std::fmt;

use super::{Histogram, Inspection};

/// Keys and languages that are named; the rest is counted in one line.
const MAX_LINES: usize = 30;

/// Bad rows that are shown.
const MAX_BAD_ROWS: usize = 5;

/// Characters of the longest bar.
const BAR_CHARS: usize = 30;

impl fmt::Display for Inspection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_sources(out)?;
        writeln!(out, "\nfiles: {}", self.files)?;
        for reason in &self.unreadable_files {
            writeln!(out, "  not read: {reason}")?;
        }
        write!(out, "{}", self.counts)?;
        for error in self.counts.examples.iter().take(MAX_BAD_ROWS) {
            writeln!(out, "  {error}")?;
        }
        self.write_fields(out)?;
        self.write_languages(out)?;
        self.write_pictures(out)?;
        let lengths = [
            ("characters of prompts", &self.prompt_chars),
            ("characters of chosen responses", &self.chosen_chars),
            ("characters of rejected responses", &self.rejected_chars),
            ("margins", &self.margins),
        ];
        for (title, histogram) in lengths {
            write_histogram(out, title, histogram)?;
        }
        let Self { responses, responses_with_html, .. } = self;
        let html = percent(*responses_with_html, *responses);
        writeln!(out, "\nresponses with HTML: {responses_with_html} of {responses} ({html})")?;
        let (longer, shorter) = (self.longer_preferred, self.shorter_preferred);
        let share = percent(longer, longer + shorter);
        writeln!(
            out,
            "the longer response is preferred in {longer} of {} pairs of unequal length ({share})",
            longer + shorter
        )
    }
}

impl Inspection {
    fn write_sources(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "read as: {}", self.read_as)?;
        if self.candidates.is_empty() {
            writeln!(out, "no source knows the keys of the first rows")?;
        }
        for candidate in &self.candidates {
            let super::Candidate { name, title, home, license, recognized_rows, sampled_rows } =
                candidate;
            writeln!(
                out,
                "may be {name}: {title} ({home}, {license}); {recognized_rows} of the first {sampled_rows} rows have its keys"
            )?;
        }
        for (format, rows) in &self.formats {
            writeln!(out, "format of {rows} rows: {format}")?;
        }
        Ok(())
    }

    fn write_fields(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\nfields of {} rows:", self.fields.rows)?;
        for (key, field) in self.fields.keys.iter().take(MAX_LINES) {
            let kinds: Vec<&str> = field.kinds.keys().copied().collect();
            let share = percent(field.rows, self.fields.rows);
            writeln!(out, "  {key}: {} ({share})", kinds.join(", "))?;
        }
        let rest = self.fields.keys.len().saturating_sub(MAX_LINES);
        if rest > 0 || self.fields.uncounted > 0 {
            writeln!(out, "  and {rest} more; {} values not counted", self.fields.uncounted)?;
        }
        Ok(())
    }

    fn write_languages(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut languages: Vec<(&str, usize)> =
            self.languages.iter().map(|(name, count)| (*name, *count)).collect();
        languages.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        let all = languages.iter().map(|(_, count)| count).sum();
        writeln!(out, "\nlanguages of {all} prompts:")?;
        for (name, count) in languages.iter().take(MAX_LINES) {
            writeln!(out, "  {name}: {count} ({})", percent(*count, all))?;
        }
        let rest: usize = languages.iter().skip(MAX_LINES).map(|(_, count)| count).sum();
        if rest > 0 {
            writeln!(out, "  others: {rest} ({})", percent(rest, all))?;
        }
        Ok(())
    }

    fn write_pictures(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pictures = &self.pictures;
        writeln!(
            out,
            "\npictures: none in {} comparisons, one in {}, several in {}; {} in the rows, {} files, {} videos",
            pictures.none,
            pictures.one,
            pictures.several,
            pictures.in_rows,
            pictures.files,
            pictures.videos
        )?;
        if pictures.missing_files > 0 {
            writeln!(out, "  files that do not exist: {}, as", pictures.missing_files)?;
        }
        for name in &pictures.missing_examples {
            writeln!(out, "    {name}")?;
        }
        Ok(())
    }
}

fn write_histogram(
    out: &mut fmt::Formatter<'_>,
    title: &str,
    histogram: &Histogram,
) -> fmt::Result {
    let (Some(min), Some(max), Some(mean)) = (histogram.min, histogram.max, histogram.mean())
    else {
        return Ok(());
    };
    writeln!(out, "\n{title}: {} to {}, in the mean {}", short(min), short(max), short(mean))?;
    if histogram.not_positive > 0 {
        writeln!(out, "  not above 0: {}", histogram.not_positive)?;
    }
    let bins = histogram.bins();
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1);
    for bin in bins {
        let range = format!("{} to {}", short(bin.from), short(bin.to));
        let bar = "#".repeat((bin.count * BAR_CHARS).div_ceil(most));
        writeln!(out, "  {range:>20} {:>9} {bar}", bin.count)?;
    }
    Ok(())
}

/// A number with as many places as it needs, at most three; those that this would make zero by their power of ten.
fn short(number: f64) -> String {
    if number != 0.0 && number.abs() < 0.001 {
        return format!("{number:.1e}");
    }
    let written = format!("{number:.3}");
    written.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn percent(part: usize, all: usize) -> String {
    if all == 0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * part as f64 / all as f64) }
}
