//! A checkpoint's processor: conversations in, token ids, positions and patches out.
//!
//! Joins the chat template, the tokenizer and the image processor of one folder. Holds no state besides them, so one processor serves any
//! number of threads.
//!
//! # Source
//! `transformers` 5.23, `processing_utils.py` and `models/qwen2_5_vl/processing_qwen2_5_vl.py`.

use std::path::Path;
use std::sync::Arc;

use crate::conversation::{Conversation, Part};
use crate::error::{EncodeError, LoadError};
use crate::picture::{DEFAULT_MAX_DECODED_PIXELS, PixelRange, Visual};
use crate::picture_cache::{PictureCache, PictureKey};
use crate::positions::{VisualRun, mrope_positions, time_interval};
use crate::settings::{self, PixelSettings};
use crate::sources::{Located, Sources};
use crate::template::ChatTemplate;
use crate::tokenizer::ChatTokenizer;

/// What the model's `config.json` says about pictures in a conversation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VisionTokens {
    /// Token that stands for a piece of a picture.
    pub image_token_id: u32,
    /// Token that stands for a piece of a video.
    pub video_token_id: u32,
    /// Token before a picture or video.
    pub vision_start_token_id: u32,
    /// Token after a picture or video.
    pub vision_end_token_id: u32,
    /// Patches along each side of the square that becomes one token.
    pub spatial_merge_size: usize,
    /// Pixels along each side of a patch.
    pub patch_size: usize,
    /// Frames in a patch.
    pub temporal_patch_size: usize,
    /// Positions along time for each second of a video.
    pub tokens_per_second: f64,
}

/// Limits chosen by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessorOptions {
    /// Replaces the folder's upper bound on the pixels of a resized picture or frame. A lower bound above it is lowered to it.
    pub max_pixels: Option<u64>,
    /// Replaces the folder's lower bound on the pixels of a resized picture or frame.
    pub min_pixels: Option<u64>,
    /// Longest conversation that is encoded, in tokens.
    pub max_tokens: Option<usize>,
    /// Most pixels that are decoded from one file.
    pub max_decoded_pixels: u64,
}

impl Default for ProcessorOptions {
    fn default() -> Self {
        Self {
            max_pixels: None,
            min_pixels: None,
            max_tokens: None,
            max_decoded_pixels: DEFAULT_MAX_DECODED_PIXELS,
        }
    }
}

/// Conversation in the form that the model reads.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// `[tokens]` ids; each visual stands as a run of its placeholder token.
    pub token_ids: Vec<u32>,
    /// `[tokens]` positions in time, height and width.
    pub position_ids: Vec<[u32; 3]>,
    /// Pictures and videos in the order of their tokens.
    pub visuals: Vec<Arc<Visual>>,
    /// Number of tokens before the answer: everything up to its first token, the opening of its turn included. No score
    /// depends on it; it says what the other answers to the same prompt have in common with this one.
    pub prompt_tokens: usize,
    /// Index of the token that closes the last assistant turn.
    pub end_of_turn: usize,
}

impl Encoded {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.token_ids.len()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.token_ids.is_empty()
    }

    /// Number of tokens that stand for pictures and videos.
    pub fn visual_tokens(&self) -> usize {
        self.visuals.iter().map(|visual| visual.num_tokens()).sum()
    }
}

/// Chat template, tokenizer and image processor of one checkpoint folder.
pub struct Processor {
    template: ChatTemplate,
    tokenizer: ChatTokenizer,
    image: PixelSettings,
    video: PixelSettings,
    vision: VisionTokens,
    options: ProcessorOptions,
}

impl Processor {
    /// Reads the processor files of a checkpoint folder.
    ///
    /// # Errors
    /// When a file is missing or invalid, a setting is not implemented, or the tokenizer lacks one of the model's tokens.
    pub fn load(
        folder: &Path,
        vision: VisionTokens,
        options: ProcessorOptions,
    ) -> Result<Self, LoadError> {
        let template = ChatTemplate::load(folder)?;
        let tokenizer = ChatTokenizer::load(folder, &vision)?;
        let (image, video) = settings::load(folder, &vision, &options)?;
        Ok(Self { template, tokenizer, image, video, vision, options })
    }

    /// BLAKE3 hash of the chat template's text, in hexadecimal.
    pub fn template_hash(&self) -> &str {
        self.template.hash()
    }

    /// Smallest size of an embedding table that has a row for every token of the tokenizer.
    pub fn vocabulary_len(&self) -> usize {
        self.tokenizer.vocabulary_len()
    }

    /// The tokens that only the template may write, with their ids.
    pub fn special_tokens(&self) -> Vec<(String, u32)> {
        self.tokenizer.special_tokens()
    }

    /// Texts of the tokens before a picture, for an image, for a video, and after a picture.
    pub(crate) fn vision_texts(&self) -> [String; 4] {
        let VisionTokens {
            vision_start_token_id,
            image_token_id,
            video_token_id,
            vision_end_token_id,
            ..
        } = self.vision;
        [vision_start_token_id, image_token_id, video_token_id, vision_end_token_id]
            .map(|id| self.tokenizer.text(id))
    }

    /// Bounds on the pixels of a resized picture.
    pub fn image_range(&self) -> PixelRange {
        self.image.range
    }

    /// Bounds on the pixels of each resized frame of a video.
    pub fn video_range(&self) -> PixelRange {
        self.video.range
    }

    /// Text of a conversation as the chat template writes it, with one placeholder token for each picture or video.
    ///
    /// # Errors
    /// When a text holds a special token, the last message is not the assistant's, or the template fails.
    pub fn render(&self, conversation: &Conversation) -> Result<String, EncodeError> {
        let role = conversation.messages.last().map_or("nobody", |message| message.role.as_str());
        if role != "assistant" {
            return Err(EncodeError::NoResponse { role: role.to_owned() });
        }
        self.tokenizer.check_texts(conversation)?;
        self.template.render(conversation).map_err(|reason| EncodeError::Template { reason })
    }

    /// Encodes one conversation.
    ///
    /// # Errors
    /// When a picture is unusable, the template or the tokenizer fails, or the conversation is too long.
    pub fn encode(&self, conversation: &Conversation) -> Result<Encoded, EncodeError> {
        let mut encoded = self.encode_all(std::slice::from_ref(conversation))?;
        Ok(encoded.pop().expect("one result for one conversation"))
    }

    /// Encodes conversations that belong together; each distinct picture is read and decoded once and shared by all of them.
    ///
    /// Lengths are checked before any picture is decoded.
    ///
    /// # Errors
    /// As [`Processor::encode`], for the first conversation at fault.
    pub fn encode_all(&self, conversations: &[Conversation]) -> Result<Vec<Encoded>, EncodeError> {
        self.measure(conversations)?.decode(None)
    }

    /// Encodes conversations that belong together but for their pixels: tokens and sizes are known, and no picture is decoded.
    ///
    /// # Errors
    /// As [`Processor::encode`], but for what only the pixels of a picture show.
    pub fn measure<'a>(
        &self,
        conversations: &'a [Conversation],
    ) -> Result<Measured<'a>, EncodeError> {
        let mut sources = Sources::new(self.image, self.video, self.options.max_decoded_pixels);
        let mut drafts = Vec::with_capacity(conversations.len());
        for (index, conversation) in conversations.iter().enumerate() {
            let text = self.render(conversation)?;
            let located = locate(conversation, &mut sources)?;
            drafts.push(self.draft(&text, located, index)?);
        }
        Ok(Measured { drafts, sources })
    }

    /// Everything but the pixels.
    fn draft(
        &self,
        text: &str,
        located: Vec<Located>,
        conversation: usize,
    ) -> Result<Draft, EncodeError> {
        let short = self.tokenizer.encode(text)?;
        self.check_placeholders(&short, &located)?;
        let visual_tokens: usize =
            located.iter().map(|one| one.tokens.iter().product::<usize>()).sum();
        let tokens = short.len() - located.len() + visual_tokens;
        if let Some(limit) = self.options.max_tokens
            && tokens > limit
        {
            return Err(EncodeError::TooLong { conversation, tokens, visual_tokens, limit });
        }
        let mut token_ids = Vec::with_capacity(tokens);
        let mut runs = Vec::with_capacity(located.len());
        let mut waiting = located.iter();
        for id in short {
            if !self.is_placeholder(id) {
                token_ids.push(id);
                continue;
            }
            let one = waiting.next().expect("placeholders have been counted");
            runs.push(VisualRun {
                start: token_ids.len(),
                tokens: one.tokens,
                time_interval: one.fps.map_or(1.0, |fps| self.time_interval(fps)),
            });
            token_ids.extend(std::iter::repeat_n(id, one.tokens.iter().product()));
        }
        let position_ids = mrope_positions(token_ids.len(), &runs);
        let end_of_turn = self.tokenizer.end_of_turn(&token_ids)?;
        let prompt_tokens = self.tokenizer.answer_start(&token_ids[..end_of_turn]);
        Ok(Draft { token_ids, position_ids, located, prompt_tokens, end_of_turn })
    }

    fn time_interval(&self, fps: f64) -> f32 {
        time_interval(self.vision.tokens_per_second, self.vision.temporal_patch_size, fps)
    }

    fn is_placeholder(&self, id: u32) -> bool {
        id == self.vision.image_token_id || id == self.vision.video_token_id
    }

    /// The template must have written one placeholder of the right kind for each picture and video, in their order.
    fn check_placeholders(&self, ids: &[u32], located: &[Located]) -> Result<(), EncodeError> {
        let written: Vec<u32> = ids.iter().copied().filter(|id| self.is_placeholder(*id)).collect();
        let expected: Vec<u32> = located
            .iter()
            .map(|one| match one.fps {
                Some(_) => self.vision.video_token_id,
                None => self.vision.image_token_id,
            })
            .collect();
        if written == expected {
            return Ok(());
        }
        let count = |ids: &[u32], id: u32| ids.iter().filter(|other| **other == id).count();
        let (image, video) = (self.vision.image_token_id, self.vision.video_token_id);
        let id = if count(&written, image) == count(&expected, image) { video } else { image };
        Err(EncodeError::Placeholders {
            token: self.tokenizer.text(id),
            written: count(&written, id),
            given: count(&expected, id),
        })
    }
}

/// Conversations whose tokens are known and whose pictures have not been decoded.
pub struct Measured<'a> {
    drafts: Vec<Draft>,
    sources: Sources<'a>,
}

/// What is known of a picture or video from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure<'a> {
    /// Path or label; of a video, that of its first frame.
    pub name: &'a str,
    /// Equal for equal files only.
    pub key: PictureKey,
    /// Number of tokens that stand for it.
    pub tokens: usize,
}

impl Measured<'_> {
    /// The distinct pictures and videos, in the order in which they stand in the conversations.
    pub fn visuals(&self) -> impl Iterator<Item = Measure<'_>> {
        self.sources.measures()
    }

    /// Whether the cache holds every picture, so that nothing needs to be decoded.
    pub fn are_kept(&self, cache: &PictureCache) -> bool {
        self.sources.measures().all(|visual| cache.holds(&visual.key))
    }

    /// The conversations with their pixels. Pictures that the cache holds are not decoded, the others are left in it.
    ///
    /// # Errors
    /// When a picture is damaged.
    pub fn decode(self, cache: Option<&PictureCache>) -> Result<Vec<Encoded>, EncodeError> {
        let visuals = self.sources.decode(cache)?;
        Ok(self.drafts.into_iter().map(|draft| draft.finish(&visuals)).collect())
    }
}

/// Encoded conversation that still waits for its pixels.
struct Draft {
    token_ids: Vec<u32>,
    position_ids: Vec<[u32; 3]>,
    located: Vec<Located>,
    prompt_tokens: usize,
    end_of_turn: usize,
}

impl Draft {
    fn finish(self, visuals: &[Arc<Visual>]) -> Encoded {
        let Self { token_ids, position_ids, located, prompt_tokens, end_of_turn } = self;
        let visuals = located.iter().map(|one| Arc::clone(&visuals[one.source_idx])).collect();
        Encoded { token_ids, position_ids, visuals, prompt_tokens, end_of_turn }
    }
}

/// Finds every picture and video of a conversation among the sources, in order.
fn locate<'a>(
    conversation: &'a Conversation,
    sources: &mut Sources<'a>,
) -> Result<Vec<Located>, EncodeError> {
    let parts = conversation.messages.iter().flat_map(|message| &message.content);
    parts
        .filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Image(image) => Some(sources.image(image)),
            Part::Video(video) => Some(sources.video(video)),
        })
        .collect()
}
