//! Pictures to their places in a row: over a prompt and its responses, or over whole conversations.
//!
//! Where a place is inside one conversation is decided by `prompt::place`; here, which conversation a listed picture belongs to.

use std::sync::Arc;

use prompt::{Draft, DraftContent, ImageSource, Message, Part, Piece, count_places, place};

use crate::comparison::says_the_same;
use crate::error::RowFault;
use crate::messages::{literal, literal_draft};

/// Pictures of a row, listed beside its messages.
pub(super) type Listed = Vec<Arc<ImageSource>>;

/// A response and the key that it stands under.
pub(super) struct DraftResponse {
    pub(super) key: String,
    pub(super) messages: Vec<Draft>,
}

/// How a row is divided into what is asked and what is answered.
pub(super) enum Layout {
    /// The prompt stands apart from the responses, and all share the listed pictures.
    Apart {
        prompt_key: &'static str,
        prompt: Vec<Draft>,
        responses: Vec<DraftResponse>,
        images: Listed,
    },
    /// Two whole conversations, whose common beginning is the prompt.
    Whole { keys: [&'static str; 2], conversations: [Vec<Draft>; 2], images: [Listed; 2] },
}

type PromptAndResponses = (Vec<Message>, Vec<Vec<Message>>);

impl Layout {
    /// The prompt and the responses, every picture in its place.
    pub(super) fn place(self) -> Result<PromptAndResponses, RowFault> {
        match self {
            Self::Apart { prompt_key, prompt, responses, images } => {
                check_prompt(&prompt, &responses, prompt_key)?;
                for response in &responses {
                    check_end(&response.messages, &response.key)?;
                }
                let (keys, drafts): (Vec<_>, Vec<_>) =
                    responses.into_iter().map(|response| (response.key, response.messages)).unzip();
                let placed = place_apart(&prompt, drafts, &images)?;
                check_contents(&placed.1, &keys)?;
                Ok(if placed.0.is_empty() { with_common_prompt(placed.1) } else { placed })
            }
            Self::Whole { keys, conversations, images } => {
                for (messages, key) in conversations.iter().zip(keys) {
                    check_end(messages, key)?;
                }
                let own_pictures = images[0] != images[1];
                let [first, second] = conversations;
                let first = place_whole(first, &images[0], own_pictures)?;
                let second = place_whole(second, &images[1], own_pictures)?;
                let common = common_beginning(&first, &second);
                if common == 0 && !own_pictures {
                    return Err(RowFault::NoCommonPrompt { chosen: keys[0], rejected: keys[1] });
                }
                let responses = vec![first[common..].to_vec(), second[common..].to_vec()];
                check_contents(&responses, &keys.map(str::to_owned))?;
                Ok((first[..common].to_vec(), responses))
            }
        }
    }
}

/// Gives the listed pictures to the prompt, then to the responses, if they have places of their own.
///
/// Three ways are in use. The prompt takes all pictures, and a mark in a response is plain text. Or every place, from the prompt's first to the
/// last response's last, has a picture of its own. Or, in TRL and LLaMA-Factory, the list is written for one prompt and one response, and each
/// response takes the pictures after the prompt's.
///
/// Models write `<image>` in their answers, too. Under a prompt without a place, marks are places only if every response has some and they are
/// as many as the pictures; otherwise the pictures precede the prompt. Parts without a picture are always places.
fn place_apart(
    prompt: &[Draft],
    responses: Vec<Vec<Draft>>,
    images: &Listed,
) -> Result<PromptAndResponses, RowFault> {
    let in_prompt = count_places(prompt).0;
    let in_responses: Vec<usize> = responses.iter().map(|drafts| count_places(drafts).0).collect();
    let in_all = in_prompt + in_responses.iter().sum::<usize>();
    let given = images.len();
    let serves_all = given == in_all && !in_responses.contains(&0);
    let is_for_prompt = given == in_prompt || (in_prompt == 0 && !serves_all);
    let is_marked = |drafts: &Vec<Draft>| drafts.iter().any(has_part_places);
    if in_all == in_prompt || (is_for_prompt && !responses.iter().any(is_marked)) {
        let placed = place(prompt, images, &[])?;
        let plain = |drafts| Ok(place(&literal(drafts), &[], &[])?);
        let responses = responses.into_iter().map(plain).collect::<Result<_, RowFault>>()?;
        return Ok((placed, responses));
    }
    if given == in_all {
        return Ok(place_one_after_another(prompt, &responses, images)?);
    }
    let is_shared = in_responses.iter().all(|places| in_prompt + places == given);
    if !is_shared {
        let (kind, placeholders) = ("image", in_all);
        return Err(prompt::RowError::PictureCount { kind, placeholders, given }.into());
    }
    let placed = place(prompt, &images[..in_prompt], &[])?;
    let with_rest = |drafts: &Vec<Draft>| place(drafts, &images[in_prompt..], &[]);
    let responses = responses.iter().map(with_rest).collect::<Result<_, _>>()?;
    Ok((placed, responses))
}

fn place_one_after_another(
    prompt: &[Draft],
    responses: &[Vec<Draft>],
    mut images: &[Arc<ImageSource>],
) -> Result<PromptAndResponses, prompt::RowError> {
    let mut next = |drafts: &[Draft]| {
        let (own, rest) = images.split_at(count_places(drafts).0);
        images = rest;
        place(drafts, own, &[])
    };
    let prompt = next(prompt)?;
    let responses = responses.iter().map(|drafts| next(drafts)).collect::<Result<_, _>>()?;
    Ok((prompt, responses))
}

/// A conversation with its pictures. A mark in an answer is plain text when what is asked takes all pictures, or has no place for any of those
/// that both conversations share.
fn place_whole(
    drafts: Vec<Draft>,
    images: &Listed,
    own_pictures: bool,
) -> Result<Vec<Message>, prompt::RowError> {
    let (answers, asked): (Vec<Draft>, Vec<Draft>) =
        drafts.iter().cloned().partition(|draft| draft.role == "assistant");
    let asked_places = count_places(&asked).0;
    let is_for_asked = asked_places == images.len() || (asked_places == 0 && !own_pictures);
    if !is_for_asked || answers.iter().any(has_part_places) {
        return place(&drafts, images, &[]);
    }
    let plain = |draft: Draft| if draft.role == "assistant" { literal_draft(draft) } else { draft };
    place(&drafts.into_iter().map(plain).collect::<Vec<_>>(), images, &[])
}

/// Whether a message has parts that wait for a listed picture.
fn has_part_places(draft: &Draft) -> bool {
    matches!(&draft.content, DraftContent::Pieces(pieces) if pieces.contains(&Piece::ImagePlace))
}

/// Messages that both conversations begin with; the last message of each is left to its response.
fn common_beginning(first: &[Message], second: &[Message]) -> usize {
    let longest = first.len().min(second.len()) - 1;
    (0..longest).take_while(|index| says_the_same(&first[*index], &second[*index])).count()
}

/// Whole conversations, divided where they begin to differ.
fn with_common_prompt(mut conversations: Vec<Vec<Message>>) -> PromptAndResponses {
    let Some((first, others)) = conversations.split_first() else { return Default::default() };
    let common = others.iter().map(|other| common_beginning(first, other)).min().unwrap_or(0);
    let prompt = first[..common].to_vec();
    for conversation in &mut conversations {
        conversation.drain(..common);
    }
    (prompt, conversations)
}

/// An empty prompt is none unless every response brings its own.
fn check_prompt(
    prompt: &[Draft],
    responses: &[DraftResponse],
    key: &'static str,
) -> Result<(), RowFault> {
    let has_own_prompt = |response: &DraftResponse| {
        response.messages.first().is_some_and(|first| first.role != "assistant")
    };
    match prompt.last() {
        None if responses.iter().all(has_own_prompt) => Ok(()),
        None => Err(RowFault::EmptyPrompt { key }),
        Some(last) if last.role == "assistant" => Err(RowFault::PromptEndsWithAssistant { key }),
        Some(_) => Ok(()),
    }
}

fn check_end(response: &[Draft], key: &str) -> Result<(), RowFault> {
    let key = key.to_owned();
    match response.last() {
        None => Err(RowFault::EmptyResponse { key }),
        Some(last) if last.role != "assistant" => {
            Err(RowFault::ResponseEnd { key, role: last.role.clone() })
        }
        Some(_) => Ok(()),
    }
}

fn check_contents(responses: &[Vec<Message>], keys: &[String]) -> Result<(), RowFault> {
    let says_nothing = |part: &Part| matches!(part, Part::Text(text) if text.is_empty());
    for (response, key) in responses.iter().zip(keys) {
        if response.last().is_none_or(|last| last.content.iter().all(says_nothing)) {
            return Err(RowFault::EmptyResponse { key: key.clone() });
        }
    }
    Ok(())
}
