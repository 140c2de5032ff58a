//! What the operating system knows of this process's memory.

/// Largest resident memory so far, in bytes; `None` where the system does not tell.
pub(crate) fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_some_memory() {
        assert!(peak_resident_bytes().is_some_and(|bytes| bytes > 100_000));
    }
}
