//! The report of `doctor` for people: first the machine, then, when it is examined, the model.

use engine::TIER_VARIABLE;

use super::Report;
use super::check::Check;
use super::machine::Machine;
use crate::sheet::{self, Sheet};

/// The part that is known before a model is loaded.
pub(super) fn machine(report: &Report) -> String {
    let mut page = Sheet::default();
    page.title("machine");
    page.row("basereward", report.version);
    let Machine { system, architecture, usable_cores, .. } = &report.machine;
    page.row("system", format!("{system}, {architecture}"));
    let processor = report.machine.processor.as_deref().unwrap_or("unknown");
    page.row("processor", format!("{processor}, {usable_cores} cores usable"));
    page.row("memory", memory(&report.machine));
    page.row("tiers", tiers(&report.machine));
    if let Some(device) = &report.device {
        let forced = if report.machine.forced_tier.is_some() {
            format!(", forced by {TIER_VARIABLE}")
        } else {
            String::new()
        };
        page.row("in use", format!("{}{forced}, {} threads", device.tier, device.threads));
        let peak = &device.peak_gflop_per_sec;
        page.row("peak", format!("f32 {:.0} GFLOP/s, bf16 {:.0} GFLOP/s", peak.f32, peak.bf16));
    }
    page.title("self-check, with a tiny random model");
    checks(&mut page, &report.checks);
    page.into_text()
}

/// The model, and how it all ended.
pub(super) fn rest(report: &Report) -> String {
    let mut page = Sheet::default();
    page.line("");
    if let Some(model) = &report.model {
        page.line(&model.folder);
        checks(&mut page, &model.checks);
        page.line("");
    }
    if let Some(data) = &report.data {
        page.line(&data.data);
        for finding in &data.findings {
            page.line(&format!("  - {finding}"));
        }
        page.line(if data.is_fine {
            "  nothing is wrong with it"
        } else {
            "  look at the first sentences"
        });
        page.line("");
    }
    let failed = report.checks().filter(|check| !check.passed).count();
    let all = report.checks().count();
    page.line(&match failed {
        0 => format!("all {all} checks passed"),
        _ => format!("{failed} of {all} checks FAILED"),
    });
    page.into_text()
}

fn memory(machine: &Machine) -> String {
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), sheet::bytes);
    let (all, available) = (size(machine.memory_bytes), size(machine.available_memory_bytes));
    format!("{all}, available {available}")
}

fn tiers(machine: &Machine) -> String {
    let tiers = machine.tiers.iter().map(|tier| {
        if tier.available {
            tier.name.to_owned()
        } else {
            format!("{} (not on this machine)", tier.name)
        }
    });
    tiers.collect::<Vec<_>>().join(", ")
}

fn checks(page: &mut Sheet, checks: &[Check]) {
    let width = checks.iter().map(|check| check.subject.len()).max().unwrap_or(0);
    for check in checks {
        let Check { subject, passed, detail, advice } = check;
        let verdict = if *passed { "ok" } else { "FAILED" };
        page.line(&format!("  {verdict:<6}  {subject:<width$}  {detail}"));
        if let Some(advice) = advice {
            page.line(&format!("  {:<6}  {:<width$}  what to do: {advice}", "", ""));
        }
    }
}
