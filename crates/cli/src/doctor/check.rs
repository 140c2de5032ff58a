//! One thing that was examined, and what came out.

use serde::Serialize;

/// A check with its result.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    /// What was examined.
    pub(super) subject: String,
    pub(super) passed: bool,
    /// What was found.
    pub(super) detail: String,
    /// What to do about it.
    pub(super) advice: Option<String>,
}

impl Check {
    pub(super) fn passed(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { subject: subject.into(), passed: true, detail: detail.into(), advice: None }
    }

    pub(super) fn failed(
        subject: impl Into<String>,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { subject: subject.into(), passed: false, detail: detail.into(), advice }
    }
}
