//! Where output rows go: standard output, a new file, or the end of an interrupted one.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// An open output.
pub(super) struct Target {
    writer: Box<dyn Write>,
    /// Ids of the rows that are already there, in order.
    pub(super) done: Vec<String>,
}

/// What the scores in a file depend on; kept beside it so that a resumed file never mixes two settings.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) basereward: String,
    pub(super) model: String,
    pub(super) fingerprint: String,
    pub(super) dtype: String,
    pub(super) tier: String,
    pub(super) max_pixels: Option<u64>,
    pub(super) max_tokens: Option<u64>,
}

impl Settings {
    /// What must agree; a model may have moved.
    fn fields(&self) -> [(&'static str, String); 6] {
        let limit = |value: Option<u64>| value.map_or("the model's own".to_owned(), |n| n.to_string());
        [
            ("the version", self.basereward.clone()),
            ("the model's fingerprint", self.fingerprint.clone()),
            ("--dtype", self.dtype.clone()),
            ("the CPU tier", self.tier.clone()),
            ("--max-pixels", limit(self.max_pixels)),
            ("--max-tokens", limit(self.max_tokens)),
        ]
    }
}

/// The start of every output row.
#[derive(Deserialize)]
struct Head {
    id: String,
}

impl Target {
    pub(super) fn stdout() -> Self {
        Self { writer: Box::new(std::io::stdout()), done: Vec::new() }
    }

    /// Opens a file for a run with these settings.
    pub(super) fn file(
        path: &Path,
        settings: &Settings,
        resume: bool,
        overwrite: bool,
    ) -> anyhow::Result<Self> {
        let name = path.display();
        if path.exists() && !resume && !overwrite {
            bail!("`{name}` exists; continue it with --resume, replace it with --overwrite, or choose another -o");
        }
        let settings_path = settings_path(path);
        if resume && path.exists() {
            check_settings(&settings_path, settings)?;
            return Self::continued(path).with_context(|| format!("cannot resume `{name}`"));
        }
        let json = serde_json::to_string_pretty(settings).expect("settings are plain JSON");
        std::fs::write(&settings_path, json + "\n")
            .with_context(|| format!("cannot write `{}`", settings_path.display()))?;
        let file = File::create(path).with_context(|| format!("cannot write `{name}`"))?;
        Ok(Self { writer: Box::new(file), done: Vec::new() })
    }

    /// Reads the whole lines of an interrupted file and cuts off what follows them.
    fn continued(path: &Path) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut done = Vec::new();
        let mut end = 0;
        let mut reader = BufReader::new(&mut file);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            let head: Head = serde_json::from_str(&line)
                .with_context(|| format!("its line {} is not an output row", done.len() + 1))?;
            done.push(head.id);
            end += line.len() as u64;
            line.clear();
        }
        file.set_len(end)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { writer: Box::new(file), done })
    }

    /// Writes whole lines; what was written survives the end of the process.
    pub(super) fn write(&mut self, lines: &str) -> std::io::Result<()> {
        self.writer.write_all(lines.as_bytes())?;
        self.writer.flush()
    }
}

/// `scores.jsonl` → `scores.jsonl.run.json`.
fn settings_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".run.json");
    PathBuf::from(name)
}

fn check_settings(path: &Path, settings: &Settings) -> anyhow::Result<()> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot resume without `{name}`, which says how its rows were scored"))?;
    let before: Settings =
        serde_json::from_str(&text).with_context(|| format!("`{name}` is damaged"))?;
    for ((key, before), (_, now)) in before.fields().into_iter().zip(settings.fields()) {
        if before != now {
            bail!("cannot resume: {key} was `{before}` and is now `{now}`; use the same settings, or --overwrite");
        }
    }
    Ok(())
}
