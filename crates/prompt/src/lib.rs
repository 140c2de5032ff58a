//! Conversations and pictures to token ids, positions and patches.
//!
//! [`Processor`] is the way in: it reads the processor files of a checkpoint folder and turns [`Conversation`]s into [`Encoded`] ones, equal to
//! what `transformers` makes of them. [`Row`] is a line of an input file. Everything stays in host memory; tensors and weights are other
//! crates' business, and nothing here touches the network.
//!
//! Shapes are written in words, from the outer to the inner axis: `[patches, channels, frames, patch, patch]`.

pub mod picture;

mod conversation;
mod error;
mod files;
mod picture_cache;
mod positions;
mod processor;
mod rendered;
mod row;
mod sample;
mod settings;
mod sources;
mod synthetic;
mod template;
mod tokenizer;
mod turn_cache;

pub use conversation::{Conversation, ImageSource, Message, Part, VideoSource, pictures};
pub use error::{EncodeError, LoadError};
pub use picture::{ImageError, Visual};
pub use picture_cache::{PictureCache, PictureCounts, PictureKey};
pub use processor::{Encoded, Measure, Measured, Processor, ProcessorOptions, VisionTokens};
pub use rendered::{ReadBack, TemplateMismatch};
pub use row::{
    Draft, DraftContent, Open, Picture, Piece, Place, Row, RowError, WrittenContent, WrittenDetail,
    WrittenFrames, WrittenMessage, WrittenPart, WrittenResponse, WrittenRow, WrittenUrl,
    WrittenVideo, count_places, place,
};
pub use sample::Sample;
pub use synthetic::SyntheticRow;
pub use tokenizer::{END_OF_TURN, START_OF_TURN, TokenCounter};
