//! What the rewards of an evaluation depend on: kept beside them, so that a resumed evaluation never mixes two ways of scoring,
//! and told in every report.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use eval::outputs::{EVALUATION_FILE, REWARDS_FILE};
use eval::rows::BenchmarkRows;
use page::document::replace;

use super::{Args, Model};

/// File that holds the settings.
const SETTINGS_FILE: &str = "run.json";

/// Names and values.
pub(super) struct Settings {
    model: String,
    rows_hash: String,
    values: Vec<(String, String)>,
}

/// Whether an evaluation begins or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Fresh,
    Resumed,
}

impl Settings {
    pub(super) fn new(
        args: &Args,
        model: Option<&Model>,
        rows: &BenchmarkRows,
    ) -> anyhow::Result<Self> {
        let limit = |value: Option<u64>| {
            value.map_or_else(|| "the model's own".to_owned(), |value| value.to_string())
        };
        let given = |left_out: bool| if left_out { "no" } else { "yes" }.to_owned();
        let mut values = vec![("basereward".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
        let mut add = |name: &str, value: String| values.push((name.to_owned(), value));
        let name = if let Some(Model { name, loaded, device }) = model {
            add("model", name.clone());
            add("model fingerprint (BLAKE3)", loaded.fingerprint.clone());
            add("chat template (hash)", loaded.processor.template_hash().to_owned());
            add("compute type", loaded.dtype.to_string());
            add("CPU tier", device.as_cpu().tier().name().to_owned());
            add("largest picture, pixels", limit(args.options.max_pixels));
            add("longest conversation, tokens", limit(args.options.max_tokens));
            add("scored without pictures, too", given(args.no_blind));
            add("scored with other pictures, too", given(args.no_swapped));
            name.clone()
        } else {
            let file = args.rewards.as_deref().unwrap_or(Path::new(""));
            let bytes =
                std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
            add("rewards", file.display().to_string());
            add("rewards (BLAKE3)", blake3::hash(&bytes).to_hex()[..32].to_owned());
            file.display().to_string()
        };
        let files: Vec<String> = rows.files().map(|file| file.display().to_string()).collect();
        add("benchmark", rows.benchmark().name().to_owned());
        add("files", files.join(", "));
        let rows_hash = rows.hash().context("cannot read the benchmark's files")?;
        add("files (BLAKE3)", rows_hash.clone());
        Ok(Self { model: name, rows_hash, values })
    }

    /// Name of what is evaluated.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// Hash of the benchmark's files.
    pub(super) fn rows_hash(&self) -> &str {
        &self.rows_hash
    }

    pub(super) fn provenance(&self) -> Vec<(String, String)> {
        self.values.clone()
    }

    /// Makes the folder ready: refuses what is there, checks that it goes on in the same way, or begins.
    ///
    /// # Errors
    /// A folder that has an evaluation, and settings that are not those of the interrupted one.
    pub(super) fn start(
        &self,
        folder: &Path,
        resume: bool,
        overwrite: bool,
        is_scored: bool,
    ) -> anyhow::Result<Start> {
        let shown = folder.display();
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{shown}`"))?;
        let has_rewards = folder.join(REWARDS_FILE).exists();
        let settings = folder.join(SETTINGS_FILE);
        if resume && has_rewards && is_scored {
            self.check(&settings)?;
            return Ok(Start::Resumed);
        }
        let is_used = has_rewards || folder.join(EVALUATION_FILE).exists();
        if is_used && !overwrite {
            bail!(
                "`{shown}` has an evaluation; continue it with --resume, replace it with --overwrite, or choose another -o"
            );
        }
        // First the rewards go: whenever this ends, none are beside settings that are not their own.
        if is_scored && has_rewards {
            std::fs::remove_file(folder.join(REWARDS_FILE))
                .with_context(|| format!("cannot replace the rewards in `{shown}`"))?;
        }
        let values: BTreeMap<&str, &str> =
            self.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let json = serde_json::to_string_pretty(&values).context("settings are plain JSON")? + "\n";
        replace(&settings, &json)
            .with_context(|| format!("cannot write `{}`", settings.display()))?;
        Ok(Start::Fresh)
    }

    fn check(&self, file: &Path) -> anyhow::Result<()> {
        let shown = file.display();
        let text = std::fs::read_to_string(file).with_context(|| {
            format!("cannot resume without `{shown}`, which says how the rows were scored; begin again with --overwrite")
        })?;
        let before: BTreeMap<String, String> = serde_json::from_str(&text).with_context(|| {
            format!("cannot resume: `{shown}` is damaged; begin again with --overwrite")
        })?;
        for (name, now) in &self.values {
            // Model and files may have been moved; their hashes tell whether they are the same.
            if name == "model" || name == "files" {
                continue;
            }
            let was = before.get(name).map_or("not there", String::as_str);
            if was != now {
                bail!(
                    "cannot resume: `{name}` was `{was}` and is now `{now}`; use the same again, or begin again with --overwrite"
                );
            }
        }
        Ok(())
    }
}
