//! Rows of data to what a step takes: encoded conversations, pairs and lengths; and what becomes of rows that do not fit.
//!
//! Reads and decodes pictures. Knows no weights, and does not decide in which order rows come.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use data::{Comparison, Dataset, RowError, RowFault};
use model::config::Config;
use model::vision_tokens;
use prompt::{
    Conversation, EncodeError, Encoded, Message, Part, Processor, ProcessorOptions, Visual,
};

use crate::error::TrainError;
use crate::loss::Judgment;
use crate::recipe::{BadRow, DataRecipe, OverLong};

/// A comparison as the model takes it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Number of the row in its data, from 0.
    pub row: usize,
    /// The comparison as it was read.
    pub comparison: Comparison,
    /// Each response after the prompt.
    pub encoded: Vec<Encoded>,
    /// `(better, worse)`.
    pub pairs: Vec<(usize, usize)>,
    /// Tokens that the last message of each response adds to the rendered conversation.
    pub response_tokens: Vec<usize>,
}

impl Prepared {
    /// What the loss has to know.
    pub fn judgment(&self) -> Judgment<'_> {
        Judgment {
            pairs: &self.pairs,
            response_tokens: &self.response_tokens,
            margin: self.comparison.preference.margin,
            soft_label: self.comparison.preference.soft_label,
        }
    }

    /// The same with every picture gray: what a model can know from the text alone.
    #[must_use]
    pub fn without_sight(mut self) -> Self {
        for encoded in &mut self.encoded {
            for visual in &mut encoded.visuals {
                *visual = Arc::new(gray(visual));
            }
        }
        self
    }
}

/// A picture of the same size without content.
fn gray(visual: &Visual) -> Visual {
    const MIDDLE_GRAY: u8 = 128;
    let mut blank = visual.clone();
    blank.pixels.fill(MIDDLE_GRAY);
    // One processor normalizes all pictures alike, so the grid tells gray ones apart.
    let identity = format!("gray {:?} {}", blank.grid, blank.is_video);
    blank.hash = *blake3::hash(identity.as_bytes()).as_bytes();
    blank
}

/// A row that was not used as it stands in the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// Number of the row in the data, counted from 0.
    pub row: usize,
    /// Its id, or its file and place.
    pub id: String,
    /// What became of it.
    pub fate: Fate,
    /// Why, without what differs from row to row.
    pub reason: String,
    /// Why, in full.
    pub detail: String,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was left out.
    Skipped,
    /// It was used with smaller pictures.
    Shrunk,
}

impl Fate {
    /// Name in `skipped.jsonl`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Shrunk => "shrunk",
        }
    }
}

/// A row that stops the run.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// It cannot be read.
    #[error(transparent)]
    Row(Box<RowError>),
    /// It cannot be encoded.
    #[error("the comparison `{id}` ({place}): {source}")]
    Encode {
        /// Id of the row.
        id: String,
        /// File and line.
        place: String,
        /// What is wrong.
        source: EncodeError,
    },
}

impl PrepareError {
    /// The recipe's way to leave such rows out.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Encode { source: EncodeError::TooLong { .. }, .. } => {
                "data.over_long = \"skip\" (or \"shrink_image\")"
            }
            _ => "data.bad_row = \"skip\"",
        }
    }
}

/// A row after preparation.
#[derive(Debug)]
pub enum Ready {
    /// To be used; listed too if it had to be changed.
    Used(Box<Prepared>, Option<Affected>),
    /// Left out.
    LeftOut(Affected),
}

/// Reads and encodes rows by the rules of a recipe.
pub struct Preparer {
    folder: PathBuf,
    config: Config,
    options: ProcessorOptions,
    over_long: OverLong,
    bad_row: BadRow,
    processor: Processor,
    /// Processors for half, a quarter, … of the pixels, made when first needed.
    smaller: Vec<OnceLock<Processor>>,
}

impl Preparer {
    /// Loads the processor of a model folder.
    ///
    /// # Errors
    /// A folder without a usable configuration, tokenizer, template or image processor.
    pub fn load(folder: &Path, data: &DataRecipe) -> Result<Self, TrainError> {
        let config = Config::read(folder)?;
        let options = ProcessorOptions {
            max_pixels: data.max_pixels,
            min_pixels: data.min_pixels,
            max_tokens: Some(data.max_tokens.min(config.text.max_position_embeddings)),
            ..ProcessorOptions::default()
        };
        let processor = Processor::load(folder, vision_tokens(&config), options)?;
        let side = config.vision.spatial_merge_size * config.vision.patch_size;
        let one_token = (side * side) as u64;
        let halvings = (processor.image_range().max_pixels / one_token).max(1).ilog2() as usize;
        Ok(Self {
            folder: folder.to_owned(),
            config,
            options,
            over_long: data.over_long,
            bad_row: data.bad_row,
            processor,
            smaller: (0..halvings).map(|_| OnceLock::new()).collect(),
        })
    }

    /// Whether an id is the placeholder of a picture or video.
    pub fn is_visual(&self, id: u32) -> bool {
        id == self.config.image_token_id || id == self.config.video_token_id
    }

    /// Reads and encodes row `row`.
    ///
    /// # Errors
    /// A row that the recipe does not allow to leave out.
    pub fn prepare(&self, dataset: &Dataset, row: usize) -> Result<Ready, TrainError> {
        let comparison = match dataset.read(row) {
            Ok(comparison) => comparison,
            Err(error) => return self.refuse(row, error),
        };
        let affected = |fate, reason: &str, detail: String| Affected {
            row,
            id: comparison.id.clone(),
            fate,
            reason: reason.to_owned(),
            detail,
        };
        let fault = match encode(&self.processor, row, &comparison) {
            Ok(prepared) => return Ok(Ready::Used(Box::new(prepared), None)),
            Err(fault) => fault,
        };
        let is_over_long = matches!(fault, EncodeError::TooLong { .. });
        if is_over_long && self.over_long == OverLong::ShrinkImage {
            for halvings in 1..=self.smaller.len() {
                let processor = self.smaller_processor(halvings)?;
                if let Ok(prepared) = encode(processor, row, &comparison) {
                    let detail =
                        format!("{fault}; used at most {} pixels", self.max_pixels(halvings));
                    let note = affected(Fate::Shrunk, "over the limit of tokens", detail);
                    return Ok(Ready::Used(Box::new(prepared), Some(note)));
                }
            }
        }
        let (may_skip, reason) = if is_over_long {
            (self.over_long != OverLong::Error, "over the limit of tokens")
        } else {
            (self.bad_row == BadRow::Skip, "cannot be encoded")
        };
        if may_skip {
            return Ok(Ready::LeftOut(affected(Fate::Skipped, reason, fault.to_string())));
        }
        let (file, place) = dataset.place(row);
        let place = format!("{}, {place}", file.display());
        let id = comparison.id;
        Err(TrainError::Row(PrepareError::Encode { id, place, source: fault }))
    }

    /// A row that cannot be read. One that prefers nothing is no fault and always left out.
    fn refuse(&self, row: usize, error: RowError) -> Result<Ready, TrainError> {
        let undecided = matches!(error.fault, RowFault::NoPreference { .. });
        if self.bad_row == BadRow::Error && !undecided {
            return Err(TrainError::Row(PrepareError::Row(Box::new(error))));
        }
        let id = error
            .id
            .clone()
            .unwrap_or_else(|| format!("{}, {}", error.file.display(), error.place));
        let (reason, detail) = (error.fault.reason(), error.to_string());
        Ok(Ready::LeftOut(Affected { row, id, fate: Fate::Skipped, reason, detail }))
    }

    fn max_pixels(&self, halvings: usize) -> u64 {
        self.processor.image_range().max_pixels >> halvings
    }

    fn smaller_processor(&self, halvings: usize) -> Result<&Processor, TrainError> {
        let slot = &self.smaller[halvings - 1];
        if let Some(processor) = slot.get() {
            return Ok(processor);
        }
        let max_pixels = Some(self.max_pixels(halvings));
        let options = ProcessorOptions { max_pixels, min_pixels: None, ..self.options };
        let processor = Processor::load(&self.folder, vision_tokens(&self.config), options)?;
        Ok(slot.get_or_init(|| processor))
    }
}

/// Encodes all responses; each is encoded with an empty last message too, to count the tokens of the response.
fn encode(
    processor: &Processor,
    row: usize,
    comparison: &Comparison,
) -> Result<Prepared, EncodeError> {
    let mut conversations = comparison.conversations();
    let num_responses = conversations.len();
    let mut beginnings: Vec<&[Message]> = Vec::new();
    let mut beginning_of = Vec::with_capacity(num_responses);
    for response in &comparison.responses {
        let before = &response[..response.len() - 1];
        let known = beginnings.iter().position(|other| *other == before);
        beginning_of.push(known.unwrap_or_else(|| {
            beginnings.push(before);
            beginnings.len() - 1
        }));
    }
    conversations
        .extend(beginnings.iter().map(|before| without_answer(&comparison.prompt, before)));
    let mut encoded = processor.encode_all(&conversations)?;
    let unanswered = encoded.split_off(num_responses);
    let response_tokens = encoded
        .iter()
        .zip(&beginning_of)
        .map(|(full, &beginning)| full.len().saturating_sub(unanswered[beginning].len()).max(1))
        .collect();
    let pairs = comparison.pairs();
    Ok(Prepared { row, comparison: comparison.clone(), encoded, pairs, response_tokens })
}

fn without_answer(prompt: &[Message], before: &[Message]) -> Conversation {
    let answer = Message { role: "assistant".to_owned(), content: vec![Part::Text(String::new())] };
    let messages = prompt.iter().chain(before).cloned().chain([answer]).collect();
    Conversation { messages }
}
