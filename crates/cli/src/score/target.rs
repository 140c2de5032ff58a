//! Where output rows go: standard output, a pipe, a new file, or the end of an interrupted one.

use anyhow::{Context, bail};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::settings::Settings;

/// What is to be done with an output file that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Refuse,
    Resume,
    Overwrite,
}

/// An output that can probably be written, found out before a model is loaded for it.
pub(super) enum Plan {
    Stdout,
    /// A pipe or a device, which keeps nothing that could be resumed.
    Stream(PathBuf),
    File {
        path: PathBuf,
        input: PathBuf,
        existing: Existing,
    },
}

/// An open output.
pub(super) struct Target {
    name: String,
    writer: Box<dyn Write>,
    can_resume: bool,
    /// The rows that are already there, in order.
    pub(super) done: Vec<Done>,
}

/// A row that an earlier run has written.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    pub(super) id: String,
    /// Present where the row could not be scored.
    #[serde(rename = "error")]
    failure: Option<IgnoredAny>,
}

impl Done {
    pub(super) fn is_failed(&self) -> bool {
        self.failure.is_some()
    }
}

impl Plan {
    /// Looks at the output, and changes nothing.
    ///
    /// # Errors
    /// If it is there and must not be touched, is the input itself, or lies where nothing can be written.
    pub(super) fn new(
        output: Option<&Path>,
        input: &Path,
        existing: Existing,
    ) -> anyhow::Result<Self> {
        let Some(path) = output.filter(|path| *path != Path::new("-")) else {
            if existing == Existing::Resume {
                bail!("standard output cannot be resumed; give a file as -o");
            }
            return Ok(Self::Stdout);
        };
        let name = path.display();
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                bail!(
                    "the output `{name}` is a folder; give the name of a file, such as `{name}/scores.jsonl`"
                )
            }
            Ok(metadata) if !metadata.is_file() => {
                if existing == Existing::Resume {
                    bail!(
                        "`{name}` is a pipe or a device and cannot be resumed; give a file as -o"
                    );
                }
                return Ok(Self::Stream(path.to_owned()));
            }
            Ok(metadata) => {
                if is_same_file(path, input) {
                    bail!("`{name}` is both the input and the output; choose another -o");
                }
                if existing == Existing::Refuse && metadata.len() > 0 {
                    bail!(
                        "`{name}` exists; continue it with --resume, replace it with --overwrite, or choose another -o"
                    );
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot write `{name}`; choose another -o"));
            }
        }
        check_folder(path)?;
        Ok(Self::File { path: path.to_owned(), input: input.to_owned(), existing })
    }

    /// Opens the output for a run with these settings.
    ///
    /// # Errors
    /// If it cannot be written, or what is there was made in another way.
    pub(super) fn open(self, settings: &Settings) -> anyhow::Result<Target> {
        let (path, existing, input) = match self {
            Self::Stdout => {
                return Ok(Target::stream("standard output", Box::new(std::io::stdout())));
            }
            Self::Stream(path) => {
                let name = path.display().to_string();
                let file = OpenOptions::new().write(true).open(&path);
                let file = file.with_context(|| format!("cannot write `{name}`"))?;
                return Ok(Target::stream(&format!("`{name}`"), Box::new(file)));
            }
            Self::File { path, input, existing } => (path, existing, input),
        };
        let has_content = path.metadata().is_ok_and(|metadata| metadata.len() > 0);
        if existing == Existing::Resume && has_content {
            settings.check_those_beside(&path, &input)?;
            return Target::continued(&path)
                .with_context(|| format!("cannot resume `{}`", path.display()));
        }
        Target::begun(&path, settings)
    }
}

impl Target {
    fn stream(name: &str, writer: Box<dyn Write>) -> Self {
        Self { name: name.to_owned(), writer, can_resume: false, done: Vec::new() }
    }

    fn file(path: &Path, file: File, done: Vec<Done>) -> Self {
        let name = format!("`{}`", path.display());
        Self { name, writer: Box::new(file), can_resume: true, done }
    }

    /// Empties the file before its settings are replaced: whenever this ends, no row is beside settings that are not its own.
    fn begun(path: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
        settings.write_beside(path)?;
        Ok(Self::file(path, file, Vec::new()))
    }

    /// Reads the whole lines of an interrupted file and cuts off what follows them.
    fn continued(path: &Path) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut done = Vec::new();
        let mut end = 0;
        let mut reader = BufReader::new(&mut file);
        let mut line = Vec::new();
        // Bytes, not text: the cut may be inside of a character.
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            let row: Done = serde_json::from_slice(&line)
                .with_context(|| format!("its line {} is not an output row", done.len() + 1))?;
            done.push(row);
            end += line.len() as u64;
            line.clear();
        }
        file.set_len(end)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self::file(path, file, done))
    }

    /// Writes whole lines; what was written survives the end of the process.
    ///
    /// # Errors
    /// If the disk is full, or the reader of a pipe has gone.
    pub(super) fn write(&mut self, lines: &str) -> anyhow::Result<()> {
        let written = self.writer.write_all(lines.as_bytes()).and_then(|()| self.writer.flush());
        written.with_context(|| {
            let advice =
                if self.can_resume { "; make room, then continue with --resume" } else { "" };
            format!("cannot write the scores to {}{advice}", self.name)
        })
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// The folder of a file must be there and take new files.
fn check_folder(path: &Path) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let name = folder.display();
    if !folder.is_dir() {
        bail!("the folder `{name}` of the output does not exist; make it, or choose another -o");
    }
    tempfile::tempfile_in(folder)
        .with_context(|| format!("cannot write into the folder `{name}`; choose another -o"))?;
    Ok(())
}
