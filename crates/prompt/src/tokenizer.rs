//! The checkpoint's own `tokenizer.json`, and the special tokens on which the rest relies.
//!
//! No template, no pictures: text in, ids out.

use std::path::Path;

use serde::Deserialize;
use tokenizers::Tokenizer;

use crate::conversation::{Conversation, Part};
use crate::error::{EncodeError, LoadError};
use crate::files;
use crate::processor::VisionTokens;
use crate::turn_cache::TurnCache;

const FILE: &str = "tokenizer.json";
/// Token that opens a turn of a chat in Qwen's format.
pub const START_OF_TURN: &str = "<|im_start|>";
/// Token that closes a turn.
pub const END_OF_TURN: &str = "<|im_end|>";
/// What a template writes before an answer.
const ANSWER_OPENING: &str = "<|im_start|>assistant\n";
/// Tokens besides the model's own vision tokens that only the template may write.
const TEMPLATE_TOKENS: [&str; 3] = [START_OF_TURN, END_OF_TURN, "<|vision_pad|>"];

/// The library numbers added tokens by itself when one is missing before them: then every later one would be another.
fn check_added_tokens(tokenizer: &Tokenizer, text: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        added_tokens: Vec<Added>,
    }
    #[derive(Deserialize)]
    struct Added {
        id: u32,
        content: String,
    }
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for Added { id, content } in file.added_tokens {
        let found = tokenizer.token_to_id(&content);
        if found != Some(id) {
            let found = found.map_or("nothing".to_owned(), |found| found.to_string());
            return Err(format!(
                "its added token `{content}` has the number {id} but would be read as {found}; \
                 the numbers of `added_tokens` must follow the vocabulary without a gap"
            ));
        }
    }
    Ok(())
}

/// Reads a tokenizer file.
fn read(folder: &Path, file: &str) -> Result<Tokenizer, LoadError> {
    let path = folder.join(file);
    let Some(text) = files::read_text(folder, file)? else {
        return Err(LoadError::Missing { path });
    };
    let invalid = |error: tokenizers::Error| LoadError::Tokenizer {
        path: path.clone(),
        reason: error.to_string(),
    };
    let mut tokenizer = Tokenizer::from_bytes(&text).map_err(invalid)?;
    check_added_tokens(&tokenizer, &text).map_err(|reason| invalid(reason.into()))?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(invalid)?;
    Ok(tokenizer)
}

/// Counts the tokens of plain texts, without any that a template adds.
pub struct TokenCounter(Tokenizer);

impl TokenCounter {
    /// Reads the `tokenizer.json` of a checkpoint folder, or a file of that kind.
    ///
    /// # Errors
    /// When there is no such file or it is not a tokenizer.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(file) if path.is_file() => {
                Ok(Self(read(path.parent().unwrap_or(Path::new("")), file)?))
            }
            _ => Ok(Self(read(path, FILE)?)),
        }
    }

    /// Number of tokens of a text.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn count(&self, text: &str) -> Result<usize, EncodeError> {
        let encoding = self.0.encode_fast(text, false).map_err(|error| failed(&error))?;
        Ok(encoding.len())
    }
}

fn failed(error: &tokenizers::Error) -> EncodeError {
    EncodeError::Tokenizer { reason: error.to_string() }
}

/// Tokenizer of a chat model with pictures.
pub(crate) struct ChatTokenizer {
    tokenizer: Tokenizer,
    /// Text that a rendered conversation may begin with, in which case the tokenizer adds nothing to it.
    bos_token: Option<String>,
    end_of_turn_id: u32,
    /// Ids of [`ANSWER_OPENING`]; none where the vocabulary has no token for the start of a turn.
    answer_opening: Vec<u32>,
    /// Texts that a message must not hold.
    reserved: Vec<String>,
    /// Ids of turns; none where a turn has other ids alone than among others.
    turns: Option<TurnCache>,
}

impl ChatTokenizer {
    /// Reads `tokenizer.json` and finds the model's tokens in it.
    pub(crate) fn load(folder: &Path, vision: &VisionTokens) -> Result<Self, LoadError> {
        let path = folder.join(FILE);
        let tokenizer = read(folder, FILE)?;
        let named = [
            ("image_token_id", vision.image_token_id),
            ("video_token_id", vision.video_token_id),
            ("vision_start_token_id", vision.vision_start_token_id),
            ("vision_end_token_id", vision.vision_end_token_id),
        ];
        let mut reserved = Vec::new();
        for (name, id) in named {
            let added =
                tokenizer.get_added_tokens_decoder().get(&id).map(|token| token.content.clone());
            reserved.push(added.ok_or_else(|| LoadError::MissingToken {
                path: path.clone(),
                token: format!("special token with the number `{id}` (`{name}` in `config.json`)"),
            })?);
        }
        let end_of_turn_id = tokenizer.token_to_id(END_OF_TURN).ok_or_else(|| {
            LoadError::MissingToken { path: path.clone(), token: format!("token `{END_OF_TURN}`") }
        })?;
        let answer_opening = match tokenizer.token_to_id(START_OF_TURN) {
            Some(_) => tokenizer
                .encode_fast(ANSWER_OPENING, false)
                .map_err(|error| LoadError::Tokenizer {
                    path: path.clone(),
                    reason: error.to_string(),
                })?
                .get_ids()
                .to_vec(),
            None => Vec::new(),
        };
        let present = TEMPLATE_TOKENS.iter().filter(|token| tokenizer.token_to_id(token).is_some());
        reserved.extend(present.map(|token| (*token).to_owned()));
        let config = files::read_json(folder, "tokenizer_config.json")?.unwrap_or_default();
        let bos_token = config.get("bos_token").and_then(|token| token.as_str()).map(str::to_owned);
        let turns = TurnCache::new(&tokenizer);
        Ok(Self { tokenizer, bos_token, end_of_turn_id, answer_opening, reserved, turns })
    }

    /// One more than the largest id.
    pub(crate) fn vocabulary_len(&self) -> usize {
        self.tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }

    /// Texts that a message must not hold, with their ids, in the order of the ids.
    pub(crate) fn special_tokens(&self) -> Vec<(String, u32)> {
        let with_id = |token: &String| Some((token.clone(), self.tokenizer.token_to_id(token)?));
        let mut tokens: Vec<(String, u32)> = self.reserved.iter().filter_map(with_id).collect();
        tokens.sort_by_key(|(_, id)| *id);
        tokens
    }

    /// Ids of a rendered conversation.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, EncodeError> {
        // PARITY: the processor lets the tokenizer add its special tokens unless the template has begun with the first of them.
        let begun = self.bos_token.as_ref().is_some_and(|bos| text.starts_with(bos.as_str()));
        let encode = |text: &str| {
            let encoding =
                self.tokenizer.encode_fast(text, !begun).map_err(|error| failed(&error))?;
            Ok(encoding.get_ids().to_vec())
        };
        let Some(turns) = &self.turns else { return encode(text) };
        turns.encode(text, encode)
    }

    /// Index of the last token that closes a turn.
    pub(crate) fn end_of_turn(&self, ids: &[u32]) -> Result<usize, EncodeError> {
        ids.iter()
            .rposition(|id| *id == self.end_of_turn_id)
            .ok_or_else(|| EncodeError::NoEndOfTurn { token: END_OF_TURN.to_owned() })
    }

    /// Index of the first token of the last turn's text, for the ids before the end of that turn; 0 where no turn opens.
    ///
    /// An answer that begins with a line break shares a token with the opening of its turn, and starts there.
    pub(crate) fn answer_start(&self, ids: &[u32]) -> usize {
        let Some(start_of_turn) = self.answer_opening.first() else { return 0 };
        let Some(opening) = ids.iter().rposition(|id| id == start_of_turn) else { return 0 };
        let same = ids[opening..].iter().zip(&self.answer_opening).take_while(|(a, b)| a == b);
        opening + same.count()
    }

    /// Text of a token.
    pub(crate) fn text(&self, id: u32) -> String {
        self.tokenizer.id_to_token(id).unwrap_or_else(|| id.to_string())
    }

    /// Refuses texts that hold a token of the template: they would move the score position or ask for a picture that is not there.
    pub(crate) fn check_texts(&self, conversation: &Conversation) -> Result<(), EncodeError> {
        for (message_idx, message) in conversation.messages.iter().enumerate() {
            let mut before = 0;
            for part in &message.content {
                let Part::Text(text) = part else { continue };
                let found = self
                    .reserved
                    .iter()
                    .filter_map(|token| Some((text.find(token.as_str())?, token)));
                if let Some((at, token)) = found.min() {
                    return Err(EncodeError::SpecialToken {
                        role: message.role.clone(),
                        message: message_idx,
                        token: token.clone(),
                        character: before + text[..at].chars().count(),
                    });
                }
                before += text.chars().count();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_its_file_count_the_same_tokens() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/processor");
        let of_folder = TokenCounter::load(&folder).unwrap();
        let of_file = TokenCounter::load(&folder.join(FILE)).unwrap();
        let count = of_folder.count("What is in the picture?").unwrap();
        assert!((2..=23).contains(&count), "{count}");
        assert_eq!(of_file.count("What is in the picture?").unwrap(), count);
        assert_eq!(of_file.count("").unwrap(), 0);
    }

    #[test]
    fn ids_of_turns_looked_up_are_those_of_the_whole_text() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/processor");
        let tokenizer = read(&folder, FILE).unwrap();
        let turns = TurnCache::new(&tokenizer).expect("turns of this tokenizer stand alone");
        let encode = |text: &str| -> Result<Vec<u32>, EncodeError> {
            let encoding = tokenizer.encode_fast(text, true).map_err(|error| failed(&error))?;
            Ok(encoding.get_ids().to_vec())
        };
        let question = "<|im_start|>user\nHow many?  é e\u{301} \n\n<|im_end|>\n";
        let texts = [
            "",
            "no turn at all ",
            "before <|im_start|>user\n",
            "<|im_start|>",
            "<|im_start|><|im_start|> \n <|im_start|>",
            &format!("{question}<|im_start|>assistant\nThree.<|im_end|>\n"),
            &format!("{question}<|im_start|>assistant\n\n  Four<|im_end|>\n"),
            &format!("<|im_start|>system\nBe short.<|im_end|>\n{question}"),
        ];
        for text in texts.iter().chain(&texts) {
            assert_eq!(turns.encode(text, encode).unwrap(), encode(text).unwrap(), "{text:?}");
        }
        let known = |_: &str| -> Result<Vec<u32>, ()> { panic!("every turn has come before") };
        turns.encode(texts[5], known).unwrap();
    }

    #[test]
    fn turns_that_others_would_change_are_not_looked_up() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/processor");
        let text = std::fs::read_to_string(folder.join(FILE)).unwrap();
        let kept = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
            change(&mut file);
            TurnCache::new(&Tokenizer::from_bytes(file.to_string()).unwrap()).is_some()
        };
        let set = |file: &mut serde_json::Value, of: &str, key: &str, value: serde_json::Value| {
            let mut added = file["added_tokens"].as_array_mut().unwrap().iter_mut();
            added.find(|token| token["content"] == of).unwrap()[key] = value;
        };
        assert!(kept(&|_| ()));
        for flag in ["normalized", "lstrip", "single_word"] {
            assert!(!kept(&|file| set(file, START_OF_TURN, flag, true.into())), "{flag}");
        }
        for other in ["<|im_start|>user", "of<|im"] {
            let overlaps = |file: &mut _| set(file, "<|vision_pad|>", "content", other.into());
            assert!(!kept(&overlaps), "{other}");
        }
        assert!(!kept(&|file| file["post_processor"] = serde_json::json!({
            "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": END_OF_TURN, "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { END_OF_TURN: { "id": END_OF_TURN, "ids": [1], "tokens": [END_OF_TURN] } },
        })));
    }

    #[test]
    fn a_folder_without_a_tokenizer_is_named() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let error = TokenCounter::load(&folder).err().unwrap().to_string();
        assert!(error.contains("src/tokenizer.json` is missing"), "{error}");
    }
}
