//! Optional fields and bodies that several of vLLM's routes have.
//!
//! # Source
//! vLLM 0.33.

use prompt::WrittenMessage;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::admission::Place;
use crate::error::ApiError;
use crate::protocol::content;
use crate::protocol::either::Told;
use crate::protocol::options::{Optional, Protocol, neutral, only};
use crate::protocol::texts::{OneOrMany, Pictures, Texts, schema};
use crate::request::{self, Ask};
use crate::server::{Scored, Server};

const WHOLE: &str = "a reward is that of the whole conversation, which is never cut";
const OWN_PICTURES: &str = "pictures are prepared as the checkpoint says";
const OWN_TEMPLATE: &str = "the chat template is that of the checkpoint";

/// Fields of every body.
pub(crate) const COMMON: &[Optional] = &[
    neutral("truncation_side"),
    neutral("padding"),
    neutral("priority"),
    neutral("request_id"),
    neutral("user"),
    neutral("cache_salt"),
    neutral("add_special_tokens"),
    only("truncate_prompt_tokens", &[], WHOLE),
    only("mm_processor_kwargs", &["{}"], OWN_PICTURES),
];

/// Fields of bodies with messages.
pub(crate) const CHAT: &[Optional] = &[
    only(
        "add_generation_prompt",
        &["false"],
        "the last message is the answer, and none is generated",
    ),
    only(
        "continue_final_message",
        &["false"],
        "the reward is read where the last message is closed",
    ),
    only("chat_template", &[], OWN_TEMPLATE),
    only("chat_template_kwargs", &["{}"], OWN_TEMPLATE),
    only("media_io_kwargs", &["{}"], OWN_PICTURES),
];

/// Fields of bodies that ask for numbers.
pub(crate) const NUMBERS: &[Optional] = &[
    only("dimensions", &[], "a reward is one number"),
    only("embed_dtype", &["\"float32\""], "rewards are f32"),
    only(
        "endianness",
        &["\"native\"", "\"little\""],
        "base64 has the least significant byte first",
    ),
];

/// Fields of bodies with pairs.
pub(crate) const PAIRS: &[Optional] = &[
    only("instruction", &[], "the question is what the query says"),
    only("chat_template_kwargs", &["{}"], OWN_TEMPLATE),
    only("max_tokens_per_query", &["0"], WHOLE),
    only("max_tokens_per_doc", &["0"], WHOLE),
];

/// What a body has to score.
pub(crate) enum Input {
    Texts { input: OneOrMany, images: Pictures },
    Messages(Vec<WrittenMessage>),
}

impl Input {
    /// Rewards of the conversations.
    ///
    /// # Errors
    /// As [`Texts::score`] and [`Server::score`].
    pub(crate) async fn score(
        self,
        server: &Server,
        place: &Place,
        model: Option<String>,
    ) -> Result<Scored, ApiError> {
        match self {
            Self::Texts { input, images } => {
                let keys = ["input", "images"];
                let texts = Texts { written: input, pictures: images, keys };
                Ok(texts.score(server, place, model).await?.scored)
            }
            Self::Messages(messages) => {
                let asked = content::conversation(messages)?;
                let ask = Ask::new(vec![asked], model, "messages", server.limits())?;
                server.score(ask, place).await
            }
        }
    }
}

/// Completion form of a classification.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassifyCompletion {
    /// Name of the model.
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// Whole conversations as the model's own chat template renders them. The template is checked.
    #[schema(value_type = schema::Texts)]
    pub(crate) input: OneOrMany,
    /// Pictures for the places in `input`; an extension.
    #[serde(default)]
    #[schema(value_type = Option<schema::Pictures>)]
    pub(crate) images: Pictures,
    /// False for the reward itself; else its sigmoid.
    #[serde(default)]
    pub(crate) use_activation: Option<bool>,
}

impl Protocol for ClassifyCompletion {
    const OPTIONS: &'static [&'static [Optional]] = &[COMMON];
}

/// Chat form of a classification.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassifyChat {
    /// Name of the model.
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// The conversation; its last message, from `assistant`, is the answer.
    #[schema(value_type = Vec<request::schema::Message>)]
    pub(crate) messages: Vec<WrittenMessage>,
    /// False for the reward itself; else its sigmoid.
    #[serde(default)]
    pub(crate) use_activation: Option<bool>,
}

impl Protocol for ClassifyChat {
    const OPTIONS: &'static [&'static [Optional]] = &[COMMON, CHAT];
}

impl Told for ClassifyChat {
    const KEYS: &'static [&'static str] = &["messages"];
}
