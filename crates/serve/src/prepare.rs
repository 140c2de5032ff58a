//! A row to what the model reads: pictures opened, decoded and cut, texts rendered and tokenized.
//!
//! Runs on threads that may block, a bounded number at a time. Nothing is kept from one row to the next.

use prompt::{Conversation, EncodeError, Encoded, Part, Processor, Row, WrittenResponse};

use crate::error::ApiError;
use crate::pictures::{self, Found, PictureRules};

/// A row that waits for the model.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// One conversation for each response.
    pub(crate) conversations: Vec<Encoded>,
    /// Tokens of the conversation before the responses.
    pub(crate) prompt_tokens: usize,
    /// Tokens of each response, the marks of its turn among them.
    pub(crate) response_tokens: Vec<usize>,
    /// Tokens that stand for pictures, in the conversation that has most of them.
    pub(crate) image_tokens: usize,
}

/// Encodes a row whose files are read here and whose addresses have been fetched.
///
/// # Errors
/// Whatever is wrong with its pictures, texts and lengths.
pub(crate) fn prepare(
    processor: &Processor,
    rules: &PictureRules,
    row: &Row,
    files: &[(String, String)],
    mut found: Found,
) -> Result<Prepared, ApiError> {
    found.extend(rules.read(files)?);
    let conversations = pictures::conversations(row, &found)?;
    let num_prompt_messages = conversations[0].messages.len() - turns(&row.responses[0]);
    let encoded = processor
        .encode_all(&conversations)
        .map_err(|error| placed(error, &conversations, num_prompt_messages))?;
    let lengths = encoded.iter().zip(&row.responses);
    let prompt_tokens = lengths.map(|(one, response)| before_turns(one, turns(response))).min();
    let prompt_tokens = prompt_tokens.unwrap_or_default();
    Ok(Prepared {
        prompt_tokens,
        response_tokens: encoded.iter().map(|one| one.len() - prompt_tokens).collect(),
        image_tokens: encoded.iter().map(Encoded::visual_tokens).max().unwrap_or_default(),
        conversations: encoded,
    })
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
