//! What can go wrong when a processor is loaded, and when a conversation is encoded.

use std::io;
use std::path::PathBuf;

use crate::picture::ImageError;

/// Checkpoint folder from which no processor can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A needed file is not there.
    #[error("`{}` is missing; copy it from the model's original folder", path.display())]
    Missing {
        /// Path of the file.
        path: PathBuf,
    },
    /// A file is there but cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is not the JSON object it should be.
    #[error("`{}` is not valid JSON: {reason}", path.display())]
    Json {
        /// Path of the file.
        path: PathBuf,
        /// What the parser said, with line and column.
        reason: String,
    },
    /// A setting has a value that is not implemented.
    #[error("`{key}` is `{found}` in `{}`, but only {supported} is supported", path.display())]
    Setting {
        /// Path of the file.
        path: PathBuf,
        /// The setting.
        key: String,
        /// Its value in the file.
        found: String,
        /// What would be accepted.
        supported: String,
    },
    /// The least number of pixels is above the greatest.
    #[error(
        "`min_pixels` is `{min_pixels}`, above `max_pixels`, which is `{max_pixels}`; lower the one or raise the other"
    )]
    PixelRange {
        /// Lower bound.
        min_pixels: u64,
        /// Upper bound.
        max_pixels: u64,
    },
    /// No chat template in any of the three places.
    #[error(
        "`{}` has no chat template; copy `chat_template.jinja` (or a `tokenizer_config.json` that holds one) from the model's original folder",
        folder.display()
    )]
    NoChatTemplate {
        /// The checkpoint folder.
        folder: PathBuf,
    },
    /// The chat template is not a valid template.
    #[error("the chat template in `{}` cannot be compiled: {reason}", path.display())]
    ChatTemplate {
        /// File that holds the template.
        path: PathBuf,
        /// What the template engine said.
        reason: String,
    },
    /// The tokenizer file is not valid.
    #[error("the tokenizer in `{}` cannot be used: {reason}", path.display())]
    Tokenizer {
        /// Path of the file.
        path: PathBuf,
        /// What the tokenizer library said.
        reason: String,
    },
    /// The tokenizer lacks a token that the model needs.
    #[error("the tokenizer in `{}` has no {token}; use the tokenizer that belongs to this model", path.display())]
    MissingToken {
        /// Path of the file.
        path: PathBuf,
        /// The token: its text, or its name and number in the model's config.
        token: String,
    },
}

/// Conversation that cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A picture is unusable.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The chat template refused the conversation.
    #[error("the chat template refused the conversation: {reason}")]
    Template {
        /// What the template said.
        reason: String,
    },
    /// A text holds one of the tokens that only the template may write.
    #[error(
        "the {role} text of message {message} holds the special token `{token}` at character {character}; \
         remove it, and write `<image>` or `<video>` where a picture or video belongs"
    )]
    SpecialToken {
        /// Role of the message.
        role: String,
        /// Index of the message, counted from 0.
        message: usize,
        /// The token.
        token: String,
        /// Position in the message's text, in characters counted from 0.
        character: usize,
    },
    /// The template wrote another number of placeholders than there are pictures or videos.
    #[error(
        "the chat template wrote {written} of the placeholder `{token}` for {given} in the conversation; \
         it does not fit this model"
    )]
    Placeholders {
        /// The placeholder token.
        token: String,
        /// Placeholders in the rendered text.
        written: usize,
        /// Pictures or videos in the conversation.
        given: usize,
    },
    /// The conversation is longer than allowed.
    #[error(
        "the conversation with response {conversation} has {tokens} tokens ({visual_tokens} of them from pictures), over the limit of {limit}; \
         shorten the text or lower the number of pixels"
    )]
    TooLong {
        /// Index of the conversation in the call, counted from 0.
        conversation: usize,
        /// All its tokens.
        tokens: usize,
        /// Those that stand for pictures and videos.
        visual_tokens: usize,
        /// The limit.
        limit: usize,
    },
    /// The last message is not the assistant's.
    #[error(
        "the last message is from `{role}`, but a response by `assistant` is what is scored; end with it"
    )]
    NoResponse {
        /// Role of the last message.
        role: String,
    },
    /// The rendered conversation does not close its last turn.
    #[error(
        "the chat template closed the last turn without `{token}`, so there is no position to score; it does not fit this model"
    )]
    NoEndOfTurn {
        /// The token that closes a turn.
        token: String,
    },
    /// Frames of one video differ in size.
    #[error(
        "frame {frame} (`{name}`) of a video has {width} x {height} pixels, but its first frame has {first_width} x {first_height}; \
         bring all frames to one size"
    )]
    FrameSize {
        /// Index of the frame, counted from 0.
        frame: usize,
        /// Path or label of the frame.
        name: String,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// Width of the first frame.
        first_width: u32,
        /// Height of the first frame.
        first_height: u32,
    },
    /// A video without frames.
    #[error("a video has no frames; list at least one in `frames`")]
    NoFrames,
    /// A frame rate that is not a positive number.
    #[error("a video has `fps` `{fps}`; give a number above 0")]
    FrameRate {
        /// The rate.
        fps: f64,
    },
    /// The tokenizer failed.
    #[error("the conversation cannot be tokenized: {reason}")]
    Tokenizer {
        /// What the tokenizer library said.
        reason: String,
    },
}
