//! Questions to what the model reads: pictures opened, decoded and cut, texts rendered and tokenized.
//!
//! Runs on threads that may block, a bounded number at a time; only small requests over kept pictures need none of them. Decoded pictures are kept for later requests, and nothing else is.

use std::collections::BTreeSet;

use prompt::{
    Conversation, EncodeError, Encoded, Measured, Part, PictureCache, PictureCounts, PictureKey,
    Processor, Row, WrittenResponse,
};

use crate::batcher::shared_tokens;
use crate::config::Limits;
use crate::error::ApiError;
use crate::pictures::{self, Found, PictureRules};
use crate::request::Asked;

/// What questions are prepared with, the same for all requests.
pub(crate) struct Preparer {
    pub(crate) processor: Processor,
    pub(crate) rules: PictureRules,
    pictures: PictureCache,
    max_image_tokens: usize,
}

/// Questions that wait for the model.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// One conversation for each response of each question.
    pub(crate) conversations: Vec<Encoded>,
    /// Where the response of each conversation stands in the body.
    pub(crate) places: Vec<String>,
    /// Leading tokens that all conversations have.
    pub(crate) beginning: usize,
    /// Tokens of the conversation before the responses; of several questions, the fewest.
    pub(crate) prompt_tokens: usize,
    /// Tokens of each response, the marks of its turn among them: all after `prompt_tokens`.
    pub(crate) response_tokens: Vec<usize>,
    /// Tokens that stand for pictures, in the conversation that has most of them.
    pub(crate) image_tokens: usize,
}

impl Preparer {
    pub(crate) fn new(processor: Processor, rules: PictureRules, limits: &Limits) -> Self {
        let pictures = PictureCache::new(limits.picture_cache_bytes);
        Self { processor, rules, pictures, max_image_tokens: limits.max_image_tokens }
    }

    /// What has been found and kept of pictures.
    pub(crate) fn picture_counts(&self) -> PictureCounts {
        self.pictures.counts()
    }

    /// Encodes questions whose files are read here and whose addresses have been fetched.
    ///
    /// # Errors
    /// Whatever is wrong with their pictures, texts and lengths.
    pub(crate) fn prepare(
        &self,
        questions: &[Asked],
        files: &[(String, String)],
        mut found: Found,
    ) -> Result<Prepared, ApiError> {
        found.extend(self.rules.read(files)?);
        let decode = |measured: Measured<'_>| measured.decode(Some(&self.pictures));
        self.encode_all(questions, &found, |measured| decode(measured).map(Some))
            .map(|prepared| prepared.expect("every picture was decoded"))
    }

    /// Encodes questions all of whose pictures are in them and have been kept; nothing where a picture would have to be decoded.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub(crate) fn prepare_kept(&self, questions: &[Asked]) -> Result<Option<Prepared>, ApiError> {
        let pictures = &self.pictures;
        self.encode_all(questions, &Found::new(), |measured| {
            measured.are_kept(pictures).then(|| measured.decode(Some(pictures))).transpose()
        })
    }

    /// Questions with the pixels that `decode` gives, or nothing once it gives nothing.
    fn encode_all(
        &self,
        questions: &[Asked],
        found: &Found,
        decode: impl Fn(Measured<'_>) -> Result<Option<Vec<Encoded>>, EncodeError>,
    ) -> Result<Option<Prepared>, ApiError> {
        let mut budget = ImageTokens::new(self.max_image_tokens);
        let (mut conversations, mut places) = (Vec::new(), Vec::new());
        let mut prompt_tokens = usize::MAX;
        for Asked { row, names } in questions {
            let encoded = self.encode(row, found, &mut budget, &decode);
            let Some(encoded) = encoded.map_err(|error| names.place(error))? else {
                return Ok(None);
            };
            for (index, (one, response)) in encoded.iter().zip(&row.responses).enumerate() {
                prompt_tokens = prompt_tokens.min(before_turns(one, turns(response)));
                places.push(names.rename(&format!("responses[{index}]")));
            }
            conversations.extend(encoded);
        }
        Ok(Some(Prepared::new(conversations, places, prompt_tokens)))
    }

    /// One conversation for each response of a row.
    fn encode(
        &self,
        row: &Row,
        found: &Found,
        budget: &mut ImageTokens,
        decode: impl Fn(Measured<'_>) -> Result<Option<Vec<Encoded>>, EncodeError>,
    ) -> Result<Option<Vec<Encoded>>, ApiError> {
        let conversations = pictures::conversations(row, found)?;
        let num_prompt_messages = conversations[0].messages.len() - turns(&row.responses[0]);
        let place = |error| placed(error, &conversations, num_prompt_messages);
        let measured = self.processor.measure(&conversations).map_err(place)?;
        budget.spend(&measured)?;
        decode(measured).map_err(place)
    }
}

impl Prepared {
    fn new(conversations: Vec<Encoded>, places: Vec<String>, prompt_tokens: usize) -> Self {
        let first = &conversations[0];
        let shared = conversations.iter().map(|one| shared_tokens(first, one)).min();
        Self {
            beginning: shared.unwrap_or_default().min(prompt_tokens),
            prompt_tokens,
            response_tokens: conversations.iter().map(|one| one.len() - prompt_tokens).collect(),
            image_tokens: conversations
                .iter()
                .map(Encoded::visual_tokens)
                .max()
                .unwrap_or_default(),
            conversations,
            places,
        }
    }
}

/// Tokens of the distinct pictures of a request, counted before any of them is decoded: what the vision tower makes of a picture grows
/// with the square of its size, and everybody waits meanwhile.
struct ImageTokens {
    limit: usize,
    seen: BTreeSet<PictureKey>,
    tokens: usize,
}

impl ImageTokens {
    fn new(limit: usize) -> Self {
        Self { limit, seen: BTreeSet::new(), tokens: 0 }
    }

    fn spend(&mut self, measured: &Measured<'_>) -> Result<(), ApiError> {
        for visual in measured.visuals() {
            if !self.seen.insert(visual.key) {
                continue;
            }
            self.tokens += visual.tokens;
            let (name, tokens, limit) = (visual.name, self.tokens, self.limit);
            if tokens > limit {
                let message = format!(
                    "with `{name}` the pictures of the request take {tokens} tokens, but at most {limit} are taken; resize them to fewer \
                     pixels, or start the server with a larger --max-image-tokens, or with --max-pixels, which shrinks every picture"
                );
                return Err(ApiError::invalid("too_many_image_tokens", message).at(name));
            }
        }
        Ok(())
    }
}

/// Messages of a response.
fn turns(response: &WrittenResponse) -> usize {
    match response {
        WrittenResponse::Text(_) | WrittenResponse::Message(_) => 1,
        WrittenResponse::Messages(messages) => messages.len(),
    }
}

/// Tokens before the last `turns` turns: up to and with the token that closes the turn before them.
fn before_turns(conversation: &Encoded, turns: usize) -> usize {
    let end = conversation.token_ids[conversation.end_of_turn];
    let before = &conversation.token_ids[..=conversation.end_of_turn];
    let ends = before.iter().enumerate().rev().filter(|(_, id)| **id == end);
    ends.map(|(index, _)| index + 1).nth(turns).unwrap_or(0)
}

/// The failure with the place of the text that is at fault.
fn placed(
    error: EncodeError,
    conversations: &[Conversation],
    num_prompt_messages: usize,
) -> ApiError {
    let EncodeError::SpecialToken { message, token, .. } = &error else { return error.into() };
    let place = if *message < num_prompt_messages {
        format!("messages[{message}]")
    } else {
        let holds = |part: &Part| matches!(part, Part::Text(text) if text.contains(token.as_str()));
        let at_fault = conversations.iter().position(|conversation| {
            conversation.messages[num_prompt_messages..]
                .iter()
                .any(|message| message.content.iter().any(holds))
        });
        at_fault.map_or_else(|| "responses".to_owned(), |index| format!("responses[{index}]"))
    };
    ApiError::from(error).at(place)
}
