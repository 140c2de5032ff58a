//! Files of rewards and verdicts.
//!
//! ```json
//! {"key": "00c4…", "model": "base-7b", "rewards": [1.5, -0.25]}
//! {"key": "00c4…", "verdict": "rejected"}
//! ```
//!
//! A reward is given for each response in the order of the record. A verdict is `chosen` or `rejected`, which speak of the record's label, `a`
//! or `b`, which speak of a sheet for people, `tie`, or `skip`, which says nothing, like an empty one; its line may hold more.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::select::shown_first;

/// Opinions that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpinionError {
    /// A file cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("`{}`, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u32,
        /// What is wrong, and what may stand there.
        reason: String,
    },
    /// A model has two opinions of one record.
    #[error(
        "`{}`, line {line}: `{model}` gives other rewards to `{key}` than in `{}`, line {first_line}; keep one of the two",
        path.display(), first_path.display()
    )]
    Conflict {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u32,
        /// The model.
        model: String,
        /// Fingerprint of the record.
        key: String,
        /// File of the other opinion.
        first_path: PathBuf,
        /// Line of the other opinion, counted from 1.
        first_line: u32,
    },
    /// Another number of responses than the record has.
    #[error(
        "`{}`, line {line}: speaks of {found} responses, but the record `{key}` has {responses}; judge it again",
        path.display()
    )]
    Responses {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u32,
        /// Fingerprint of the record.
        key: String,
        /// Responses of which the line speaks.
        found: usize,
        /// Responses of the record.
        responses: usize,
    },
}

/// What models and people said, by the fingerprint of the record.
#[derive(Debug, Default)]
pub struct Opinions {
    files: Vec<PathBuf>,
    models: Vec<String>,
    rewards: HashMap<u128, Vec<Rewards>>,
    votes: HashMap<u128, Vec<Ballot>>,
}

/// Rewards that a model gave to a record.
#[derive(Debug)]
pub(super) struct Rewards {
    /// Index of the model.
    pub(super) model: usize,
    /// One for each response.
    pub(super) values: Box<[f32]>,
    pub(super) place: Place,
}

/// What somebody said about a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ballot {
    pub(super) vote: Vote,
    pub(super) place: Place,
}

/// What somebody prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vote {
    /// The answer that the label prefers.
    Chosen,
    /// The other one.
    Rejected,
    /// The response with this index.
    Response(usize),
    /// Neither.
    Tie,
}

/// A line of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    file: u32,
    line: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RewardLine {
    key: String,
    model: String,
    rewards: Vec<f32>,
}

#[derive(Deserialize)]
struct VerdictLine {
    key: String,
    verdict: String,
}

/// A line of a file of rewards, without its end.
pub fn reward_line(key: u128, model: &str, rewards: &[f32]) -> String {
    let (model, rewards) = (model.to_owned(), rewards.to_vec());
    let line = RewardLine { key: format!("{key:032x}"), model, rewards };
    serde_json::to_string(&line).expect("texts and numbers can be written")
}

impl Opinions {
    /// Reads files of rewards and of verdicts.
    ///
    /// # Errors
    /// A file that cannot be read, a line that is not as it should be, or two opinions of one model about one record.
    pub fn read(rewards: &[PathBuf], verdicts: &[PathBuf]) -> Result<Self, OpinionError> {
        let mut opinions = Self::default();
        let mut models = BTreeMap::new();
        for path in rewards {
            opinions.read_file(path, |opinions, text, place| {
                opinions.add_rewards(parse(text)?, &mut models, place)
            })?;
        }
        for path in verdicts {
            opinions.read_file(path, |opinions, text, place| {
                opinions.add_verdict(&parse(text)?, place)
            })?;
        }
        Ok(opinions)
    }

    /// Names of the models, in the order in which they were met.
    pub fn models(&self) -> &[String] {
        &self.models
    }

    /// Whether a record has a reward or a verdict.
    pub fn has(&self, key: u128) -> bool {
        self.rewards.contains_key(&key) || self.votes.contains_key(&key)
    }

    pub(super) fn rewards(&self, key: u128) -> &[Rewards] {
        self.rewards.get(&key).map_or(&[], Vec::as_slice)
    }

    pub(super) fn votes(&self, key: u128) -> &[Ballot] {
        self.votes.get(&key).map_or(&[], Vec::as_slice)
    }

    /// An opinion about another number of responses than the record has.
    pub(super) fn misfit(&self, place: Place, key: u128, found: usize, has: usize) -> OpinionError {
        let (path, line, key) = (self.path(place), place.line, format!("{key:032x}"));
        OpinionError::Responses { path, line, key, found, responses: has }
    }

    fn path(&self, place: Place) -> PathBuf {
        self.files[place.file as usize].clone()
    }

    fn read_file(
        &mut self,
        path: &Path,
        mut add: impl FnMut(&mut Self, &str, Place) -> Result<(), Refusal>,
    ) -> Result<(), OpinionError> {
        let unreadable = |source| OpinionError::Unreadable { path: path.to_owned(), source };
        let lines = BufReader::new(File::open(path).map_err(unreadable)?).lines();
        let file = self.files.len() as u32;
        self.files.push(path.to_owned());
        for (line, text) in (1_u32..).zip(lines) {
            let text = text.map_err(unreadable)?;
            if text.trim().is_empty() {
                continue;
            }
            add(self, &text, Place { file, line }).map_err(|refusal| match refusal {
                Refusal::Line(reason) => OpinionError::Line { path: path.to_owned(), line, reason },
                Refusal::Conflict { model, key, first } => OpinionError::Conflict {
                    path: path.to_owned(),
                    line,
                    model,
                    key,
                    first_path: self.path(first),
                    first_line: first.line,
                },
            })?;
        }
        Ok(())
    }

    fn add_rewards(
        &mut self,
        line: RewardLine,
        models: &mut BTreeMap<String, usize>,
        place: Place,
    ) -> Result<(), Refusal> {
        let key = parse_key(&line.key)?;
        if line.rewards.len() < 2 || line.rewards.iter().any(|reward| !reward.is_finite()) {
            let reason = "`rewards` must be a finite number for each of at least 2 responses";
            return Err(Refusal::Line(reason.to_owned()));
        }
        let model = *models.entry(line.model.clone()).or_insert_with(|| {
            self.models.push(line.model.clone());
            self.models.len() - 1
        });
        let known = self.rewards.entry(key).or_default();
        match known.iter().find(|known| known.model == model) {
            Some(first) if *first.values != *line.rewards => {
                Err(Refusal::Conflict { model: line.model, key: line.key, first: first.place })
            }
            Some(_) => Ok(()),
            None => {
                known.push(Rewards { model, values: line.rewards.into(), place });
                known.sort_by_key(|rewards| rewards.model);
                Ok(())
            }
        }
    }

    fn add_verdict(&mut self, line: &VerdictLine, place: Place) -> Result<(), Refusal> {
        let key = parse_key(&line.key)?;
        let vote = match line.verdict.as_str() {
            "chosen" => Vote::Chosen,
            "rejected" => Vote::Rejected,
            "a" => Vote::Response(shown_first(key)),
            "b" => Vote::Response(1 - shown_first(key)),
            "tie" => Vote::Tie,
            "skip" | "" => return Ok(()),
            other => {
                return Err(Refusal::Line(format!(
                    "`verdict` is `{other}`; write `a`, `b`, `chosen`, `rejected`, `tie` or `skip`"
                )));
            }
        };
        self.votes.entry(key).or_default().push(Ballot { vote, place });
        Ok(())
    }
}

/// Why a line is not taken.
enum Refusal {
    Line(String),
    Conflict { model: String, key: String, first: Place },
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|error| {
        let full = error.to_string();
        let reason = full.split(" at line ").next().unwrap_or(&full);
        Refusal::Line(format!("column {}: {reason}", error.column()))
    })
}

fn parse_key(text: &str) -> Result<u128, Refusal> {
    let is_key = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let key = is_key.then(|| u128::from_str_radix(text, 16).ok()).flatten();
    key.ok_or_else(|| {
        Refusal::Line(format!("`key` is `{text}`; it must be 32 hexadecimal digits of a record"))
    })
}
