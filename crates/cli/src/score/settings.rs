//! What the scores in an output file depend on, kept in a small file beside it, so that a resumed file never mixes two
//! ways of scoring.

use anyhow::{Context, bail};
use page::document::replace;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use super::lines::InputMark;

/// How a file was scored.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) basereward: String,
    pub(super) model: String,
    pub(super) fingerprint: String,
    pub(super) dtype: String,
    pub(super) tier: String,
    pub(super) max_pixels: Option<u64>,
    pub(super) max_tokens: Option<u64>,
    /// Not known of a stream.
    pub(super) input: Option<InputMark>,
}

/// A setting that must agree.
struct Field {
    name: &'static str,
    value: String,
    /// The value as a message shows it.
    shown: String,
}

impl Settings {
    /// Writes `OUTPUT.run.json`, which at every moment is either the old file or the whole new one.
    ///
    /// # Errors
    /// If the folder takes no more files.
    pub(super) fn write_beside(&self, output: &Path) -> anyhow::Result<()> {
        let path = path_beside(output);
        let json = serde_json::to_string_pretty(self).expect("settings are plain JSON") + "\n";
        replace(&path, &json).with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Checks that the rows of an output were scored in this way, and from this input.
    ///
    /// # Errors
    /// If they were not, or nothing says how they were.
    pub(super) fn check_those_beside(&self, output: &Path, input: &Path) -> anyhow::Result<()> {
        let path = path_beside(output);
        let name = path.display();
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("cannot resume without `{name}`, which says how the rows were scored; begin again with --overwrite")
        })?;
        let before: Self = serde_json::from_str(&text).with_context(|| {
            format!("cannot resume: `{name}` is damaged; begin again with --overwrite")
        })?;
        for (before, now) in before.fields().into_iter().zip(self.fields()) {
            if before.value != now.value {
                bail!(
                    "cannot resume: {} was {} and is now {}; use the same again, or begin again with --overwrite",
                    now.name,
                    before.shown,
                    now.shown
                );
            }
        }
        before.check_input(self, input)
    }

    /// Rows that were added at the end are no contradiction.
    fn check_input(&self, now: &Self, path: &Path) -> anyhow::Result<()> {
        let (Some(before), Some(_)) = (&self.input, &now.input) else { return Ok(()) };
        let name = path.display();
        let beginning = InputMark::read(path, Some(before.rows))
            .with_context(|| format!("cannot read `{name}`"))?;
        if beginning != *before {
            bail!(
                "cannot resume: the input `{name}` does not have the {} rows that the output was begun with; \
                 give the same input, or begin again with --overwrite",
                before.rows
            );
        }
        Ok(())
    }

    fn fields(&self) -> [Field; 6] {
        let plain = |name, value: &str| Field {
            name,
            value: value.to_owned(),
            shown: format!("`{value}`"),
        };
        let limit = |name, value: Option<u64>| match value {
            Some(value) => plain(name, &value.to_string()),
            None => Field { name, value: String::new(), shown: "the model's own".to_owned() },
        };
        let model = Field {
            name: "the model",
            // A model may have moved.
            value: self.fingerprint.clone(),
            shown: format!("`{}` with the fingerprint `{}`", self.model, self.fingerprint),
        };
        [
            model,
            plain("the compute type", &self.dtype),
            plain("the CPU tier", &self.tier),
            limit("--max-pixels", self.max_pixels),
            limit("--max-tokens", self.max_tokens),
            plain("the version of basereward", &self.basereward),
        ]
    }
}

/// `scores.jsonl` → `scores.jsonl.run.json`.
fn path_beside(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".run.json");
    PathBuf::from(name)
}
