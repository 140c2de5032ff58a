//! The last words of a run on stdout.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use eval::judged::{Proportion, length_baseline, pairwise_accuracy};
use train::report::REPORT_FILE;
use train::run::Outcome;

use crate::sheet::{self, Sheet};

/// What came out, where it lies, and what can be done with it.
pub(super) fn text(folder: &Path, outcome: &Outcome) -> String {
    let mut sheet = Sheet::default();
    sheet.title("Run");
    let steps = format!("{} of {}", outcome.steps_done, outcome.total_steps);
    sheet.row("steps", steps);
    sheet.row("time", sheet::seconds(Duration::from_secs_f64(outcome.secs)));
    if let Some(held_out) = &outcome.held_out {
        sheet.row("held-out accuracy", words(&pairwise_accuracy(&held_out.pairs)));
        sheet.row("longer is better", coin_words(&length_baseline(&held_out.pairs)));
    }
    if let Some(blind) = &outcome.blind {
        sheet.row("without pictures", words(&pairwise_accuracy(&blind.pairs)));
    }
    if let Some(best) = &outcome.best {
        let percent = 100.0 * best.pairwise_accuracy;
        sheet.row("best checkpoint", format!("step {}, {percent:.1} %", best.step));
    }
    for (reason, count) in &outcome.affected {
        sheet.row(reason, format!("{count} rows"));
    }
    sheet.row("model", outcome.model.display().to_string());
    sheet.row("report", folder.join(REPORT_FILE).display().to_string());
    let mut text = sheet.into_text();
    let run = sheet::shell_word(folder);
    let next = if outcome.was_stopped {
        format!("basereward train --resume {run}")
    } else {
        format!(
            "basereward score {} --image PICTURE --prompt QUESTION --response ANSWER",
            sheet::shell_word(&outcome.model)
        )
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\nnext: {next}");
    text
}

/// A rule's accuracy when it throws a coin for what it cannot decide, such as answers of equal length.
pub(crate) fn coin_words(proportion: &Proportion) -> String {
    let Some(fraction) = proportion.fraction_with_coin() else { return "no pairs".to_owned() };
    let Proportion { num_ties, num_total, .. } = proportion;
    format!(
        "{:.1} %, with a coin for the {num_ties} of {num_total} that are equally long",
        100.0 * fraction
    )
}

/// A proportion as percentage, fraction and interval.
pub(crate) fn words(proportion: &Proportion) -> String {
    let Some(fraction) = proportion.fraction() else { return "no pairs".to_owned() };
    let exact =
        format!("{:.1} % ({}/{})", 100.0 * fraction, proportion.num_right, proportion.num_total);
    match proportion.interval() {
        Some(interval) => {
            format!(
                "{exact}, 95 % interval {:.1} to {:.1} %",
                100.0 * interval.low,
                100.0 * interval.high
            )
        }
        None => exact,
    }
}
