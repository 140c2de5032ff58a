//! What the operating system says about this machine. Whatever it does not say is left out.

use std::fs;

use engine::{TIER_VARIABLE, Tier};
use serde::Serialize;

/// The machine as far as scoring depends on it.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) system: String,
    pub(super) architecture: &'static str,
    pub(super) processor: Option<String>,
    /// Processors that this process may use.
    pub(super) usable_cores: usize,
    /// Memory of the machine, or of the container where that is limited to less.
    pub(super) memory_bytes: Option<u64>,
    pub(super) available_memory_bytes: Option<u64>,
    /// Best first.
    pub(super) tiers: Vec<TierFacts>,
    /// What the environment asks for.
    pub(super) forced_tier: Option<String>,
}

/// One way to compute products.
#[derive(Debug, Serialize)]
pub(super) struct TierFacts {
    pub(super) name: &'static str,
    pub(super) available: bool,
}

impl Machine {
    /// Asks the operating system.
    pub(super) fn look() -> Self {
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let limit = container_limit();
        let limited = |bytes: Option<u64>| match (bytes, limit) {
            (Some(bytes), Some(limit)) => Some(bytes.min(limit)),
            (bytes, limit) => bytes.or(limit),
        };
        let tier = |tier: Tier| TierFacts { name: tier.name(), available: tier.is_available() };
        Self {
            system: system(),
            architecture: std::env::consts::ARCH,
            processor: processor(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            usable_cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_bytes: limited(meminfo_bytes(&memory, "MemTotal:")),
            available_memory_bytes: limited(meminfo_bytes(&memory, "MemAvailable:")),
            tiers: Tier::ALL.into_iter().rev().map(tier).collect(),
            forced_tier: std::env::var(TIER_VARIABLE).ok(),
        }
    }
}

fn system() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| std::env::consts::OS.to_owned(), |name| name.trim_matches('"').to_owned())
}

fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn meminfo_bytes(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with(key))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The memory limit of a container, by the second version of control groups.
fn container_limit() -> Option<u64> {
    // Without a limit the file says `max`, which is no number.
    fs::read_to_string("/sys/fs/cgroup/memory.max").ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_names_are_read_from_the_kernels_tables() {
        let meminfo =
            "MemTotal:       16384 kB\nMemFree:          100 kB\nMemAvailable:    8192 kB\n";
        assert_eq!(meminfo_bytes(meminfo, "MemTotal:"), Some(16 << 20));
        assert_eq!(meminfo_bytes(meminfo, "MemAvailable:"), Some(8 << 20));
        assert_eq!(meminfo_bytes("", "MemTotal:"), None);
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n";
        assert_eq!(processor(cpuinfo).as_deref(), Some("Some CPU @ 2 GHz"));
    }
}
