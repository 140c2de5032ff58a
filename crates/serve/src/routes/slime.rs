//! `POST /slime`: the address for the option `--rm-url` of slime, whose reply is the reward and nothing else.
//!
//! # Source
//! slime, `--rm-type remote_rm`, 2026.

use std::fmt;

use axum::Json;
use axum::extract::State;
use prompt::{END_OF_TURN, START_OF_TURN, WrittenMessage, WrittenResponse, WrittenRow};
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admission::Admitted;
use crate::error::{ApiError, ErrorBody};
use crate::protocol::options::{Optional, Posted, Protocol, describe, neutral};
use crate::protocol::texts::{OneOrMany, Pictures, Texts};
use crate::request::{self, Ask, Asked, Names};
use crate::server::Server;

pub(super) fn routes() -> OpenApiRouter<Server> {
    let mut router = OpenApiRouter::new().routes(routes!(slime));
    describe::<SlimeBody>(router.get_openapi_mut());
    router
}

/// A prompt and its response.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SlimeBody {
    /// Messages, a plain question, or the text before the response as the model's own chat template renders it.
    #[schema(value_type = schema::Prompt)]
    prompt: Prompt,
    /// The response, with or without the mark that closes its turn, which one lacks that was cut at its greatest length.
    response: String,
    /// Pictures for the places in `prompt`; an extension.
    #[serde(default)]
    images: Vec<String>,
}

impl Protocol for SlimeBody {
    const OPTIONS: &'static [&'static [Optional]] = &[&[neutral("label")]];
}

/// What was asked.
#[derive(Debug)]
enum Prompt {
    Text(String),
    Messages(Vec<WrittenMessage>),
}

/// Score one response
///
/// `prompt` is a list of messages, a plain question, or the text that the model's own chat template renders before the response; such a text
/// is known by the marks of its turns, and one that the template does not render is refused as `template_mismatch`. Pictures come in
/// `images` or in the messages. The reply is the reward itself, as a bare number.
#[utoipa::path(
    post,
    path = "/slime",
    tags = ["slime"],
    request_body(content = SlimeBody, example = json!({
        "prompt": [{"role": "user", "content": "How many is two and two?"}], "response": "Four.", "label": "4"
    })),
    responses(
        (status = 200, description = "The reward", body = f32, content_type = "application/json"),
        (status = 400, description = "The request cannot be scored as it is", body = ErrorBody),
    )
)]
async fn slime(
    State(server): State<Server>,
    request: Admitted<Posted<SlimeBody>>,
) -> Result<Json<f32>, ApiError> {
    let Admitted { body: Posted(SlimeBody { prompt, response, images }), place } = request;
    let scored = match prompt {
        Prompt::Text(text) if text.contains(START_OF_TURN) => {
            let texts = OneOrMany::One(format!("{text}{response}"));
            let pictures = Pictures::List(images);
            let texts = Texts { written: texts, pictures, keys: ["prompt", "images"] };
            texts.score(&server, &place, None).await?.scored
        }
        written => {
            let answer = response.strip_suffix(END_OF_TURN).unwrap_or(&response);
            let asked = vec![question(written, answer.to_owned(), images)];
            server.score(Ask::new(asked, None, "response", server.limits())?, &place).await?
        }
    };
    Ok(Json(scored.rewards[0]))
}

fn question(written: Prompt, response: String, images: Vec<String>) -> Asked {
    let (prompt, messages, key) = match written {
        Prompt::Text(text) => (Some(text), None, "messages[0]"),
        Prompt::Messages(messages) => (None, Some(messages), "messages"),
    };
    let names = [(key, "prompt".to_owned()), ("responses[0]", "response".to_owned())];
    let responses = vec![WrittenResponse::Text(response)];
    let written = WrittenRow { id: None, images, videos: Vec::new(), prompt, messages, responses };
    Asked::new(written, Names::new(names))
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PromptVisitor;
        impl<'de> Visitor<'de> for PromptVisitor {
            type Value = Prompt;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text or a list of messages")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Prompt, E> {
                Ok(Prompt::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Prompt, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Prompt::Messages)
            }
        }
        deserializer.deserialize_any(PromptVisitor)
    }
}

/// How the types of this file look in the `OpenAPI` document.
#[expect(dead_code, reason = "only their shapes are used")]
mod schema {
    use super::{ToSchema, request};

    /// What was asked.
    #[derive(ToSchema)]
    #[serde(untagged)]
    pub(super) enum Prompt {
        /// A plain question, or text that the model's chat template has rendered.
        Text(String),
        /// Messages.
        Messages(Vec<request::schema::Message>),
    }
}
