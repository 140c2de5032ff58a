//! Where operations run, and on the CPU with which instructions.
//!
//! A [`Device`] is made once, from the command line's choice, and handed down. The CPU's tier is found
//! at run time, from what the processor is and never by timing, so that it is the same each time; the environment
//! variable `BASEREWARD_CPU_TIER` forces one, so that each tier can be tested on any machine that has it.

use crate::product::{Kernel, amx, avx512, portable};
use half::bf16;
use std::sync::Arc;

/// Name of the environment variable that forces a CPU tier: `amx`, `avx512_bf16`, `avx512` or `portable`.
pub const TIER_VARIABLE: &str = "BASEREWARD_CPU_TIER";

/// Which instructions the CPU's matrix products use; each needs more of the processor than the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// The `gemm` crate: whatever it finds (SSE, AVX2, AVX-512, NEON); bf16 is widened to f32.
    Portable,
    /// AVX-512; bf16 is widened to f32 in the kernel.
    Avx512,
    /// AVX-512 with the bf16 dot product (`vdpbf16ps`).
    Avx512Bf16,
    /// Advanced Matrix Extensions for bf16, AVX-512 for f32.
    Amx,
}

impl Tier {
    /// Every tier, the one that needs most of the processor last.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx512, Self::Avx512Bf16, Self::Amx];

    /// Name as the environment variable takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512_bf16",
            Self::Amx => "amx",
        }
    }

    /// Whether this machine, and its operating system, can run the tier.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Avx512 => avx512::is_available(),
            Self::Avx512Bf16 => avx512::has_pairs(),
            Self::Amx => avx512::is_available() && amx::is_available(),
        }
    }

    /// The fastest tier that this machine can run: the last one, unless that is the bf16 dot product of a processor on which
    /// widening is faster.
    pub fn best() -> Self {
        let worthwhile = |tier: &Self| *tier != Self::Avx512Bf16 || avx512::pairs_are_faster();
        Self::ALL
            .into_iter()
            .filter(worthwhile)
            .rfind(|tier| tier.is_available())
            .unwrap_or(Self::Portable)
    }
}

/// Why a device could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The forced tier has a name that no tier has.
    #[error(
        "unknown CPU tier `{name}` in {TIER_VARIABLE}; use `amx`, `avx512_bf16`, `avx512` or `portable`"
    )]
    UnknownTier {
        /// The name as given.
        name: String,
    },
    /// The forced tier cannot run here.
    #[error("this machine cannot run the CPU tier `{name}`; its best is `{best}`")]
    TierNotAvailable {
        /// The tier asked for.
        name: &'static str,
        /// The best tier that runs here.
        best: &'static str,
    },
    /// The operating system gave no threads.
    #[error("could not start {num_threads} threads: {reason}")]
    Threads {
        /// How many were asked for.
        num_threads: usize,
        /// The operating system's words.
        reason: String,
    },
}

/// A place where operations run. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Device {
    /// The processor of this machine.
    Cpu(Arc<Cpu>),
}

/// The processor: its tier, its kernels, its threads.
#[derive(Debug)]
pub struct Cpu {
    tier: Tier,
    pool: rayon::ThreadPool,
}

impl Device {
    /// The CPU with its best tier, or the one that the environment forces.
    ///
    /// `num_threads` of `None` takes every processor that this process may use.
    ///
    /// # Errors
    /// If the environment names a tier that does not exist or does not run here, or threads cannot start.
    pub fn cpu(num_threads: Option<usize>) -> Result<Self, DeviceError> {
        let tier = match std::env::var(TIER_VARIABLE) {
            Ok(name) => Tier::ALL
                .into_iter()
                .find(|tier| tier.name() == name)
                .ok_or(DeviceError::UnknownTier { name })?,
            Err(_) => Tier::best(),
        };
        Self::cpu_with_tier(tier, num_threads)
    }

    /// The CPU with a given tier.
    ///
    /// # Errors
    /// If the tier does not run here, or threads cannot start.
    pub fn cpu_with_tier(tier: Tier, num_threads: Option<usize>) -> Result<Self, DeviceError> {
        if !tier.is_available() {
            return Err(DeviceError::TierNotAvailable {
                name: tier.name(),
                best: Tier::best().name(),
            });
        }
        let num_threads = num_threads.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        });
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(num_threads)
            .thread_name(|idx| format!("engine-{idx}"))
            .build()
            .map_err(|error| DeviceError::Threads { num_threads, reason: error.to_string() })?;
        Ok(Self::Cpu(Arc::new(Cpu { tier, pool })))
    }

    /// Runs `work` on the device's threads: every operation inside splits its rows among them.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match self {
            Self::Cpu(cpu) => cpu.pool.install(work),
        }
    }

    /// The CPU behind the device.
    pub fn as_cpu(&self) -> &Cpu {
        match self {
            Self::Cpu(cpu) => cpu,
        }
    }
}

impl Cpu {
    /// The tier in use.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Number of threads that operations run on.
    pub fn num_threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    pub(crate) fn bf16_kernel(&self) -> &'static Kernel<bf16> {
        match self.tier {
            Tier::Portable => &portable::BF16,
            Tier::Avx512 => &avx512::BF16_WIDENED,
            Tier::Avx512Bf16 => &avx512::BF16_PAIRS,
            Tier::Amx => &amx::BF16,
        }
    }

    pub(crate) fn f32_kernel(&self) -> &'static Kernel<f32> {
        match self.tier {
            Tier::Portable => &portable::F32,
            Tier::Avx512 | Tier::Avx512Bf16 | Tier::Amx => &avx512::F32,
        }
    }
}
