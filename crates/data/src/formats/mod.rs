//! The published schemas of preference data: how they are recognized, and one file for each.
//!
//! A schema turns a row into drafts and an order; `placing` then puts the pictures where they belong. Keys that a schema does not know are
//! tolerated, and counted by the summary.

mod implicit;
mod llama_factory_alpaca;
mod llama_factory_sharegpt;
mod ms_swift;
mod nemo_rl;
mod pair;
mod placing;
mod ranked;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use prompt::{Draft, ImageSource, Message};

use crate::comparison::Preference;
use crate::error::RowFault;
use crate::fields::optional_number;
use crate::messages::is_messages;
use crate::pictures::IMAGE_KEYS;
use crate::value::Value;
pub(crate) use implicit::transcript;
use placing::{DraftResponse, Layout};
pub(crate) use ranked::check_agreement;
pub use ranked::{check_ranking, ranks_from_best};

/// Keys of a pair that every schema for pairs may have.
const PAIR_KEYS: [&str; 2] = ["margin", "soft_label"];

/// Keys that name a row.
const NAME_KEYS: [&str; 2] = ["id", "source"];

/// Keys whose media cannot be trained on.
const OTHER_MEDIA_KEYS: [&str; 4] = ["videos", "video", "audios", "audio"];

/// Schema of a file's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `prompt` (or `question`), `chosen` and `rejected`; the prompt is a text.
    Pair,
    /// The same, where the prompt is a list of messages.
    ConversationalPair,
    /// `chosen` and `rejected` hold whole conversations.
    Implicit,
    /// `instruction`, `input`, `history`, `chosen` and `rejected`.
    LlamaFactoryAlpaca,
    /// `conversations`, `chosen` and `rejected`.
    LlamaFactoryShareGpt,
    /// `messages` with `rejected_response`, `rejected_messages` or `rejected_images`.
    MsSwift,
    /// `context` and ranked `completions`.
    NemoRl,
    /// `prompt` and `responses` with `ranks` or `scores`.
    Ranked,
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Pair => "pairs with a text as prompt (TRL, explicit prompt): `prompt`, `chosen`, `rejected`",
            Self::ConversationalPair => {
                "pairs with messages as prompt (TRL, conversational, explicit prompt): `prompt`, `chosen`, `rejected`"
            }
            Self::Implicit => {
                "pairs of whole conversations (TRL, implicit prompt): `chosen`, `rejected`"
            }
            Self::LlamaFactoryAlpaca => {
                "LLaMA-Factory ranking, alpaca: `instruction`, `chosen`, `rejected`"
            }
            Self::LlamaFactoryShareGpt => {
                "LLaMA-Factory ranking, sharegpt: `conversations`, `chosen`, `rejected`"
            }
            Self::MsSwift => {
                "ms-swift: `messages` with `rejected_response`, `rejected_messages` or `rejected_images`"
            }
            Self::NemoRl => "NeMo-RL: `context`, ranked `completions`",
            Self::Ranked => "rankings: `prompt`, `responses`, `ranks` or `scores`",
        })
    }
}

/// A row in the shape that all schemas have in common.
struct Written {
    layout: Layout,
    preference: Preference,
}

/// What a row says, its pictures in their places.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// Messages that all responses have in common.
    pub prompt: Vec<Message>,
    /// `[responses, messages]`.
    pub responses: Vec<Vec<Message>>,
    /// Which responses are better.
    pub preference: Preference,
}

impl Format {
    /// The schema that a row's keys belong to.
    pub(crate) fn recognize(row: &Value) -> Option<Self> {
        if row.has(&["context", "completions"]) {
            return Some(Self::NemoRl);
        }
        if row.has(&["responses"]) && (row.has(&["ranks"]) || row.has(&["scores"])) {
            return Some(Self::Ranked);
        }
        if row.has(&["messages"]) && ms_swift::REJECTED_KEYS.iter().any(|key| row.has(&[key])) {
            return Some(Self::MsSwift);
        }
        if !row.has(&["chosen", "rejected"]) {
            return None;
        }
        if row.has(&["conversations"]) {
            return Some(Self::LlamaFactoryShareGpt);
        }
        if row.has(&["instruction"]) {
            return Some(Self::LlamaFactoryAlpaca);
        }
        match pair::PROMPT_KEYS.iter().find_map(|key| row.get(key)) {
            Some(prompt) if is_messages(prompt) => Some(Self::ConversationalPair),
            Some(_) if !implicit::is_whole(row) => Some(Self::Pair),
            _ => Some(Self::Implicit),
        }
    }

    /// Reads a row by this schema; relative paths of pictures start at `base_dir`.
    pub(crate) fn parse(self, row: &Value, base_dir: &Path) -> Result<Parsed, RowFault> {
        refuse_other_media(row)?;
        let written = match self {
            Self::Pair | Self::ConversationalPair => pair::read(row, base_dir),
            Self::Implicit => implicit::read(row, base_dir),
            Self::LlamaFactoryAlpaca => llama_factory_alpaca::read(row, base_dir),
            Self::LlamaFactoryShareGpt => llama_factory_sharegpt::read(row, base_dir),
            Self::MsSwift => ms_swift::read(row, base_dir),
            Self::NemoRl => nemo_rl::read(row, base_dir),
            Self::Ranked => ranked::read(row, base_dir),
        }?;
        let (prompt, responses) = written.layout.place()?;
        Ok(Parsed { prompt, responses, preference: written.preference })
    }

    /// Whether this schema uses the key.
    pub(crate) fn knows(self, key: &str) -> bool {
        let own: &[&str] = match self {
            Self::Pair | Self::ConversationalPair => pair::KEYS,
            Self::Implicit => implicit::KEYS,
            Self::LlamaFactoryAlpaca => llama_factory_alpaca::KEYS,
            Self::LlamaFactoryShareGpt => llama_factory_sharegpt::KEYS,
            Self::MsSwift => ms_swift::KEYS,
            Self::NemoRl => nemo_rl::KEYS,
            Self::Ranked => ranked::KEYS,
        };
        let is_pair = self != Self::NemoRl;
        own.contains(&key)
            || NAME_KEYS.contains(&key)
            || IMAGE_KEYS.contains(&key)
            || OTHER_MEDIA_KEYS.contains(&key)
            || (is_pair && PAIR_KEYS.contains(&key))
    }
}

/// A prompt and responses with the pictures that are listed beside them, every picture in its place. Each response comes with the
/// key that it stands under.
///
/// # Errors
/// When prompt or responses are empty or end with the wrong speaker, or pictures do not match their places.
pub fn apart(
    prompt_key: &'static str,
    prompt: Vec<Draft>,
    responses: Vec<(String, Vec<Draft>)>,
    images: Vec<Arc<ImageSource>>,
) -> Result<(Vec<Message>, Vec<Vec<Message>>), RowFault> {
    let responses =
        responses.into_iter().map(|(key, messages)| DraftResponse { key, messages }).collect();
    Layout::Apart { prompt_key, prompt, responses, images }.place()
}

/// Two whole conversations, divided into what both begin with and the rest of each. All share the pictures.
pub(crate) fn whole(
    keys: [&'static str; 2],
    conversations: [Vec<Draft>; 2],
    images: Vec<Arc<ImageSource>>,
) -> Result<(Vec<Message>, Vec<Vec<Message>>), RowFault> {
    Layout::Whole { keys, conversations, images: [images.clone(), images] }.place()
}

/// The preference of a pair whose first response is the chosen one.
fn pair_preference(row: &Value) -> Result<Preference, RowFault> {
    let (margin, soft_label) = pair_label(row)?;
    Ok(Preference { ranks: vec![0, 1], scores: None, margin, soft_label })
}

/// The margin and the soft label of a pair.
fn pair_label(row: &Value) -> Result<(Option<f32>, Option<f32>), RowFault> {
    let soft_label = optional_number(row, "soft_label")?;
    if let Some(label) = soft_label.filter(|label| !(0.0..=1.0).contains(label)) {
        let (key, expected) = ("soft_label".to_owned(), "a probability from 0 to 1");
        return Err(RowFault::Number { key, number: f64::from(label), expected });
    }
    Ok((optional_number(row, "margin")?, soft_label))
}

/// Refuses a row that comes with media that cannot be trained on.
pub(crate) fn refuse_other_media(row: &Value) -> Result<(), RowFault> {
    let is_given = |value: &Value| match value {
        Value::List(values) => !values.is_empty(),
        Value::Text(text) => !text.is_empty(),
        _ => true,
    };
    match OTHER_MEDIA_KEYS.iter().find(|key| row.get(key).is_some_and(is_given)) {
        Some(key) => Err(RowFault::OtherMedia { key: (*key).to_owned() }),
        None => Ok(()),
    }
}
