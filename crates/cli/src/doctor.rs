//! `basereward doctor`: does this machine compute what it should, and is a model fit to be used.
//!
//! Every check says what it found and, where it failed, what to do. Speed is `bench`'s business; only the machine's
//! peak is measured here.

mod check;
mod consistency;
mod data;
mod examine;
mod machine;
mod text;
mod tiers;

use std::path::PathBuf;

use engine::{DType, Device, TIER_VARIABLE, measure_peak};
use serde::Serialize;

use self::check::Check;
use self::data::DataReport;
use self::examine::Findings;
use self::machine::Machine;
use crate::arguments::{ComputeType, DeviceArgs};
use crate::output::{self, Outcome};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Model folder to examine, too
    model: Option<PathBuf>,

    /// Preferences to examine, too: a data file, or a recipe. Small experiments say whether, and from what, they can be
    /// learned; takes minutes
    #[arg(long, value_name = "FILE|RECIPE")]
    data: Option<PathBuf>,

    /// Compute type for the model [default: the one that its weights are stored in]
    #[arg(long, value_enum, value_name = "TYPE", requires = "model")]
    dtype: Option<ComputeType>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    device: DeviceArgs,
}

/// Everything that `doctor` says: the fields and names of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    passed: bool,
    machine: Machine,
    /// Absent when no device could be made.
    device: Option<DeviceFacts>,
    checks: Vec<Check>,
    model: Option<ModelReport>,
    data: Option<DataReport>,
}

/// The device that commands run on.
#[derive(Debug, Serialize)]
struct DeviceFacts {
    tier: &'static str,
    threads: usize,
    /// Floating-point operations per second, in 10⁹, with operands in cache.
    peak_gflop_per_sec: Peak,
}

/// Measured peak of each compute type.
#[derive(Debug, Serialize)]
struct Peak {
    f32: f64,
    bf16: f64,
}

/// What came out for the model.
#[derive(Debug, Serialize)]
struct ModelReport {
    folder: String,
    measured: Findings,
    checks: Vec<Check>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let (mut report, device) = examine_machine(args);
    if !args.json {
        output::print(&text::machine(&report))?;
    }
    if let (Some(folder), Some(device)) = (&args.model, &device) {
        let available = report.machine.available_memory_bytes;
        let (measured, checks) = examine::examine(folder, device, args.dtype, available);
        let folder = folder.display().to_string();
        report.model = Some(ModelReport { folder, measured, checks });
    }
    if let (Some(data), Some(device)) = (&args.data, &device) {
        report.data = Some(data::examine(data, args.model.as_deref(), device)?);
    }
    let data_is_fine = report.data.as_ref().is_none_or(|data| data.is_fine);
    let passed = data_is_fine && report.checks().all(|check| check.passed);
    report.passed = passed;
    if args.json {
        output::print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        output::print(&text::rest(&report))?;
    }
    Ok(if passed { Outcome::Fine } else { Outcome::CheckFailed })
}

impl Report {
    fn checks(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().chain(self.model.iter().flat_map(|model| &model.checks))
    }
}

/// Looks at the machine and lets every tier compute.
fn examine_machine(args: &Args) -> (Report, Option<Device>) {
    let machine = Machine::look();
    let mut checks = Vec::new();
    let threads = args.device.threads.map_or(machine.usable_cores, usize::from);
    let device = match Device::cpu(Some(threads)) {
        Ok(device) => Some(device),
        Err(error) => {
            checks.push(Check::failed(
                "device",
                error.to_string(),
                format!("unset {TIER_VARIABLE}, or set it to one of the tiers above; no model can be examined before"),
            ));
            None
        }
    };
    checks.extend(tiers::check(threads));
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        passed: false,
        machine,
        device: device.as_ref().map(device_facts),
        checks,
        model: None,
        data: None,
    };
    (report, device)
}

fn device_facts(device: &Device) -> DeviceFacts {
    DeviceFacts {
        tier: device.as_cpu().tier().name(),
        threads: device.as_cpu().num_threads(),
        peak_gflop_per_sec: Peak {
            f32: measure_peak(device, DType::F32),
            bf16: measure_peak(device, DType::Bf16),
        },
    }
}
