//! Tables of figures: value, exact fraction, interval and ties of each, with a bar.
//!
//! The same table shows official figures and probes. Bars begin at zero, so that their lengths can be compared.

use page::Markup;
use page::chart::{bar, line, strip};
use page::number::count;

use crate::figure::Figure;
use crate::probes::Share;

/// Ends of a bar in units of its drawing.
const FULL: f64 = 100.0;

/// One line of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// What it is.
    pub(super) name: String,
    /// From 0 to 1; absent without any item.
    pub(super) value: Option<f64>,
    /// Numerator of a ratio; absent for a value that is none.
    pub(super) num_right: Option<f64>,
    /// Items behind it.
    pub(super) num_total: u64,
    /// Ties among them.
    pub(super) num_ties: u64,
    /// 95 % interval.
    pub(super) interval: Option<(f64, f64)>,
    /// Style class of the bar.
    pub(super) class: &'static str,
}

impl Line {
    /// The line of an official figure.
    pub(super) fn of_figure(figure: &Figure) -> Self {
        Self {
            name: figure.name.clone(),
            value: figure.value,
            num_right: figure.num_right,
            num_total: figure.num_total,
            num_ties: figure.num_ties,
            interval: figure.interval,
            class: "first",
        }
    }

    /// The line of a count of pairs.
    pub(super) fn of_share(name: &str, share: &Share, class: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            value: share.value(),
            num_right: Some(share.num_right as f64),
            num_total: share.num_total,
            num_ties: share.num_ties,
            interval: share.interval,
            class,
        }
    }

    /// What the value is over.
    fn over(&self) -> String {
        let total = count(self.num_total);
        match self.num_right {
            Some(right) => format!("{} of {total}", exact(right)),
            None => format!("mean, over {total}"),
        }
    }
}

/// Writes all figures, a table for each section.
pub(super) fn write(page: &mut Markup, figures: &[Figure]) {
    page.element("section", &[], |page| {
        page.leaf("h2", &[], "Figures");
        if figures.is_empty() {
            page.leaf("p", &[], "None.");
            return;
        }
        let lead = "Percent of the items that are right, with the exact fraction. Ties count as wrong unless the official metric says \
                    otherwise. The dark line in a bar is the 95 % interval.";
        page.leaf("p", &[("class", &"note")], lead);
        for of_section in figures.chunk_by(|one, next| one.section == next.section) {
            let lines: Vec<Line> = of_section.iter().map(Line::of_figure).collect();
            table(page, &of_section[0].section, &lines);
        }
    });
}

/// Writes one table.
pub(super) fn table(page: &mut Markup, title: &str, lines: &[Line]) {
    page.element("table", &[("class", &"figures")], |page| {
        page.element("tr", &[], |page| {
            page.leaf("th", &[], title);
            page.leaf("th", &[("class", &"number")], "%");
            page.leaf("th", &[], "");
            page.leaf("th", &[("class", &"number")], "right of all");
            page.leaf("th", &[("class", &"number")], "95 % interval");
            page.leaf("th", &[("class", &"number")], "ties");
        });
        for of_line in lines {
            write_line(page, of_line);
        }
    });
}

fn write_line(page: &mut Markup, of_line: &Line) {
    page.element("tr", &[], |page| {
        page.leaf("td", &[], &of_line.name);
        let value = of_line.value.map_or("–".to_owned(), |value| format!("{:.2}", value * 100.0));
        page.leaf("td", &[("class", &"number value")], value);
        page.element("td", &[("class", &"bar")], |page| write_bar(page, of_line));
        let number: &str = "number";
        page.leaf("td", &[("class", &number)], of_line.over());
        let interval = of_line.interval.map_or("–".to_owned(), ends);
        page.leaf("td", &[("class", &number), ("data-label", &"95 %: ")], interval);
        page.leaf("td", &[("class", &number), ("data-label", &"ties: ")], count(of_line.num_ties));
    });
}

fn write_bar(page: &mut Markup, of_line: &Line) {
    let Some(value) = of_line.value else { return };
    let place = |fraction: f64| fraction.clamp(0.0, 1.0) * FULL;
    let description = format!("{}: {}", of_line.name, hundredths(Some(value)));
    strip(page, &description, |page, height| {
        bar(page, "track", (0.0, 0.0), (FULL, height), "");
        bar(page, of_line.class, (0.0, 0.0), (place(value), height), detail(of_line));
        if let Some((low, high)) = of_line.interval {
            let middle = height / 2.0;
            line(page, "whisker", (place(low), middle), (place(high), middle));
        }
    });
}

/// What belongs to a value, in words: what it is over, its interval, its ties.
pub(super) fn detail(of_line: &Line) -> String {
    let mut facts = vec![of_line.over()];
    if let Some(interval) = of_line.interval {
        facts.push(format!("95 % interval {} %", ends(interval)));
    }
    if of_line.num_ties > 0 {
        facts.push(format!("ties: {}", count(of_line.num_ties)));
    }
    facts.join("; ")
}

/// A fraction as a percentage with the two decimals that papers give.
pub(super) fn hundredths(fraction: Option<f64>) -> String {
    fraction.map_or("–".to_owned(), |fraction| format!("{:.2} %", fraction * 100.0))
}

fn ends((low, high): (f64, f64)) -> String {
    format!("{:.1} to {:.1}", low * 100.0, high * 100.0)
}

/// A numerator: whole unless ties are shared.
fn exact(number: f64) -> String {
    if number.fract() == 0.0 {
        count(number as u64)
    } else {
        let text = format!("{number:.4}");
        text.trim_end_matches('0').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_ties_keep_the_parts_of_a_numerator() {
        assert_eq!([1027.0, 12.5, 1.0 / 3.0].map(exact), ["1,027", "12.5", "0.3333"]);
    }

    #[test]
    fn a_mean_is_not_passed_off_as_a_fraction() {
        let mean = Figure::derived("official", "Macro", Some(0.7951), 1250);
        assert_eq!(detail(&Line::of_figure(&mean)), "mean, over 1,250");
        let ratio = Figure::ratio("official", "Overall", 1027.0, 1250, 3);
        assert_eq!(detail(&Line::of_figure(&ratio)), "1,027 of 1,250; ties: 3");
        assert_eq!(hundredths(ratio.value), "82.16 %");
    }
}
