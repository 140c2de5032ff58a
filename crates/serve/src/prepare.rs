//! Questions to what the model reads: pictures opened, decoded and cut, texts rendered and tokenized.
//!
//! Runs on threads that may block, a bounded number at a time. Nothing is kept from one request to the next.

use prompt::{Conversation, EncodeError, Encoded, Part, Processor, Row, WrittenResponse};

use crate::batcher::shared_tokens;
use crate::error::ApiError;
use crate::pictures::{self, Found, PictureRules};
use crate::request::Asked;

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

/// Encodes questions whose files are read here and whose addresses have been fetched.
///
/// # Errors
/// Whatever is wrong with their pictures, texts and lengths.
pub(crate) fn prepare(
    processor: &Processor,
    rules: &PictureRules,
    questions: &[Asked],
    files: &[(String, String)],
    mut found: Found,
) -> Result<Prepared, ApiError> {
    found.extend(rules.read(files)?);
    let (mut conversations, mut places) = (Vec::new(), Vec::new());
    let mut prompt_tokens = usize::MAX;
    for Asked { row, names } in questions {
        let encoded = encode(processor, row, &found).map_err(|error| names.place(error))?;
        for (index, (one, response)) in encoded.iter().zip(&row.responses).enumerate() {
            prompt_tokens = prompt_tokens.min(before_turns(one, turns(response)));
            places.push(names.rename(&format!("responses[{index}]")));
        }
        conversations.extend(encoded);
    }
    let first = &conversations[0];
    let shared = conversations.iter().map(|one| shared_tokens(first, one)).min();
    Ok(Prepared {
        beginning: shared.unwrap_or_default().min(prompt_tokens),
        prompt_tokens,
        response_tokens: conversations.iter().map(|one| one.len() - prompt_tokens).collect(),
        image_tokens: conversations.iter().map(Encoded::visual_tokens).max().unwrap_or_default(),
        conversations,
        places,
    })
}

/// One conversation for each response of a row.
fn encode(processor: &Processor, row: &Row, found: &Found) -> Result<Vec<Encoded>, ApiError> {
    let conversations = pictures::conversations(row, found)?;
    let num_prompt_messages = conversations[0].messages.len() - turns(&row.responses[0]);
    processor
        .encode_all(&conversations)
        .map_err(|error| placed(error, &conversations, num_prompt_messages))
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
