//! Rows as columns of Arrow, in the schema of rankings.
//!
//! A column of lists is built from the lengths of its lists and their values in a row; nothing here knows files.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, ListArray, StructArray,
    UInt32Array, UInt64Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use parquet::schema::types::ColumnPath;
use prompt::{Message, Part};

use super::ShardRow;
use super::pictures::PlacedPicture;

/// What the values of a list are called in Parquet.
const ELEMENT: &str = "element";

/// Whether the files of pictures stand in the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// Rows hold their bytes.
    Inside,
    /// Rows name them.
    Outside,
}

impl Stand {
    /// The columns that hold files of pictures.
    pub(super) fn columns_of_pictures(self) -> Vec<ColumnPath> {
        if self == Self::Outside {
            return Vec::new();
        }
        let messages = format!("list.{ELEMENT}.content.list.{ELEMENT}.frames");
        let lists = [
            "images".to_owned(),
            format!("prompt.{messages}"),
            format!("responses.list.{ELEMENT}.{messages}"),
        ];
        let path = |list: String| {
            let full = format!("{list}.list.{ELEMENT}.bytes");
            ColumnPath::new(full.split('.').map(str::to_owned).collect())
        };
        lists.into_iter().map(path).collect()
    }
}

/// The columns of a shard.
pub(super) fn schema(stand: Stand) -> SchemaRef {
    let messages = list(message_type(stand));
    let number = DataType::Float32;
    Arc::new(Schema::new(vec![
        field("id", DataType::Utf8),
        field("source", DataType::Utf8),
        field("images", list(picture_type(stand))),
        field("prompt", messages.clone()),
        field("responses", list(messages)),
        field("ranks", list(DataType::Int32)),
        field("scores", list(number.clone())),
        field("margin", number.clone()),
        field("soft_label", number.clone()),
        field("key", DataType::Utf8),
        field("group", DataType::UInt64),
        field("strength", number.clone()),
        field("agreement", number.clone()),
        field("difficulty", number),
        field("flipped", DataType::Boolean),
        field("copy", DataType::UInt32),
        field("file", DataType::Utf8),
        field("row", DataType::Utf8),
        field("license", DataType::Utf8),
    ]))
}

/// Every column may be null, because `datasets` knows pictures in such columns only.
fn field(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}

fn list(kind: DataType) -> DataType {
    DataType::List(Arc::new(field(ELEMENT, kind)))
}

fn picture_type(stand: Stand) -> DataType {
    match stand {
        Stand::Outside => DataType::Utf8,
        Stand::Inside => DataType::Struct(picture_fields()),
    }
}

/// As `datasets` writes pictures.
fn picture_fields() -> Fields {
    vec![field("bytes", DataType::Binary), field("path", DataType::Utf8)].into()
}

fn message_type(stand: Stand) -> DataType {
    DataType::Struct(message_fields(stand))
}

fn message_fields(stand: Stand) -> Fields {
    let parts = list(DataType::Struct(part_fields(stand)));
    vec![field("role", DataType::Utf8), field("content", parts)].into()
}

fn part_fields(stand: Stand) -> Fields {
    vec![
        field("type", DataType::Utf8),
        field("text", DataType::Utf8),
        field("frames", list(picture_type(stand))),
        field("fps", DataType::Float64),
    ]
    .into()
}

/// Lists of values that follow each other.
fn lists(lengths: Vec<usize>, values: ArrayRef, nulls: Option<Vec<bool>>) -> ArrayRef {
    let element = Arc::new(field(ELEMENT, values.data_type().clone()));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Arc::new(ListArray::new(element, offsets, values, nulls.map(NullBuffer::from)))
}

/// Rows that wait to be encoded.
pub(super) struct Batch {
    rows: usize,
    bytes: usize,
    ids: StringBuilder,
    sources: StringBuilder,
    image_lengths: Vec<usize>,
    images: Pictures,
    prompts: MessageLists,
    response_lengths: Vec<usize>,
    responses: MessageLists,
    rank_lengths: Vec<usize>,
    ranks: Vec<i32>,
    score_lengths: Vec<usize>,
    has_scores: Vec<bool>,
    scores: Vec<f32>,
    margins: Vec<Option<f32>>,
    soft_labels: Vec<Option<f32>>,
    keys: StringBuilder,
    groups: Vec<u64>,
    strengths: Vec<Option<f32>>,
    agreements: Vec<Option<f32>>,
    difficulties: Vec<Option<f32>>,
    flipped: Vec<bool>,
    copies: Vec<u32>,
    files: StringBuilder,
    places: StringBuilder,
    licenses: StringBuilder,
}

impl Batch {
    pub(super) fn new(stand: Stand) -> Self {
        Self {
            rows: 0,
            bytes: 0,
            ids: StringBuilder::new(),
            sources: StringBuilder::new(),
            image_lengths: Vec::new(),
            images: Pictures::new(stand),
            prompts: MessageLists::new(stand),
            response_lengths: Vec::new(),
            responses: MessageLists::new(stand),
            rank_lengths: Vec::new(),
            ranks: Vec::new(),
            score_lengths: Vec::new(),
            has_scores: Vec::new(),
            scores: Vec::new(),
            margins: Vec::new(),
            soft_labels: Vec::new(),
            keys: StringBuilder::new(),
            groups: Vec::new(),
            strengths: Vec::new(),
            agreements: Vec::new(),
            difficulties: Vec::new(),
            flipped: Vec::new(),
            copies: Vec::new(),
            files: StringBuilder::new(),
            places: StringBuilder::new(),
            licenses: StringBuilder::new(),
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of texts and pictures, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row whose pictures are, in order, `placed`.
    pub(super) fn push(&mut self, row: ShardRow, placed: Vec<PlacedPicture>) {
        let ShardRow { key, record, split: _, group, columns, copy, file, row, license } = row;
        let comparison = record.comparison;
        let mut placed = placed.into_iter();
        let mut images = Vec::new();
        self.bytes += self.prompts.push(&comparison.prompt, &mut placed, &mut images);
        for response in &comparison.responses {
            self.bytes += self.responses.push(response, &mut placed, &mut images);
        }
        self.response_lengths.push(comparison.responses.len());
        self.image_lengths.push(images.len());
        self.bytes += images.into_iter().map(|image| self.images.push(image)).sum::<usize>();
        self.rows += 1;
        self.ids.append_value(&comparison.id);
        self.sources.append_value(&comparison.source);
        let preference = comparison.preference;
        self.rank_lengths.push(preference.ranks.len());
        self.ranks.extend(preference.ranks.iter().map(|rank| *rank as i32));
        self.has_scores.push(preference.scores.is_some());
        let scores = preference.scores.unwrap_or_default();
        self.score_lengths.push(scores.len());
        self.scores.extend(scores);
        self.margins.push(preference.margin);
        self.soft_labels.push(preference.soft_label);
        self.keys.append_value(key);
        self.groups.push(group);
        self.strengths.push(columns.strength);
        self.agreements.push(columns.agreement);
        self.difficulties.push(columns.difficulty);
        self.flipped.push(columns.flipped);
        self.copies.push(copy);
        self.files.append_value(file);
        self.places.append_value(row);
        self.licenses.append_value(license);
    }

    /// The columns, in the order of the schema.
    pub(super) fn finish(mut self) -> Vec<ArrayRef> {
        let numbers = |values: Vec<Option<f32>>| Arc::new(Float32Array::from(values)) as ArrayRef;
        let scores = Arc::new(Float32Array::from(self.scores));
        vec![
            Arc::new(self.ids.finish()),
            Arc::new(self.sources.finish()),
            lists(self.image_lengths, self.images.finish(), None),
            self.prompts.finish(),
            lists(self.response_lengths, self.responses.finish(), None),
            lists(self.rank_lengths, Arc::new(Int32Array::from(self.ranks)), None),
            lists(self.score_lengths, scores, Some(self.has_scores)),
            numbers(self.margins),
            numbers(self.soft_labels),
            Arc::new(self.keys.finish()),
            Arc::new(UInt64Array::from(self.groups)),
            numbers(self.strengths),
            numbers(self.agreements),
            numbers(self.difficulties),
            Arc::new(BooleanArray::from(self.flipped)),
            Arc::new(UInt32Array::from(self.copies)),
            Arc::new(self.files.finish()),
            Arc::new(self.places.finish()),
            Arc::new(self.licenses.finish()),
        ]
    }
}

/// Pictures that follow each other.
enum Pictures {
    Named(StringBuilder),
    Held { bytes: BinaryBuilder, names: StringBuilder },
}

impl Pictures {
    fn new(stand: Stand) -> Self {
        match stand {
            Stand::Outside => Self::Named(StringBuilder::new()),
            Stand::Inside => {
                Self::Held { bytes: BinaryBuilder::new(), names: StringBuilder::new() }
            }
        }
    }

    /// Adds a picture and returns its size.
    fn push(&mut self, picture: PlacedPicture) -> usize {
        let size = picture.path.len() + picture.bytes.as_ref().map_or(0, Vec::len);
        match self {
            Self::Named(names) => names.append_value(picture.path),
            Self::Held { bytes, names } => {
                bytes.append_option(picture.bytes);
                names.append_value(picture.path);
            }
        }
        size
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Named(mut names) => Arc::new(names.finish()),
            Self::Held { mut bytes, mut names } => {
                let columns: Vec<ArrayRef> =
                    vec![Arc::new(bytes.finish()), Arc::new(names.finish())];
                Arc::new(StructArray::new(picture_fields(), columns, None))
            }
        }
    }
}

/// Lists of messages that follow each other.
struct MessageLists {
    stand: Stand,
    lengths: Vec<usize>,
    roles: StringBuilder,
    part_lengths: Vec<usize>,
    kinds: StringBuilder,
    texts: StringBuilder,
    frame_lengths: Vec<usize>,
    has_frames: Vec<bool>,
    frames: Pictures,
    rates: Vec<Option<f64>>,
}

impl MessageLists {
    fn new(stand: Stand) -> Self {
        Self {
            stand,
            lengths: Vec::new(),
            roles: StringBuilder::new(),
            part_lengths: Vec::new(),
            kinds: StringBuilder::new(),
            texts: StringBuilder::new(),
            frame_lengths: Vec::new(),
            has_frames: Vec::new(),
            frames: Pictures::new(stand),
            rates: Vec::new(),
        }
    }

    /// Adds a list and returns the size of its texts and frames. Pictures come from `placed`; those that are no frames go to `images`, and
    /// the message keeps their places.
    fn push(
        &mut self,
        messages: &[Message],
        placed: &mut impl Iterator<Item = PlacedPicture>,
        images: &mut Vec<PlacedPicture>,
    ) -> usize {
        let mut size = 0;
        for message in messages {
            self.roles.append_value(&message.role);
            self.part_lengths.push(message.content.len());
            for part in &message.content {
                size += self.push_part(part, placed, images);
            }
        }
        self.lengths.push(messages.len());
        size
    }

    fn push_part(
        &mut self,
        part: &Part,
        placed: &mut impl Iterator<Item = PlacedPicture>,
        images: &mut Vec<PlacedPicture>,
    ) -> usize {
        let mut size = 0;
        let (kind, text, num_frames, rate) = match part {
            Part::Text(text) => {
                size += text.len();
                ("text", Some(text), None, None)
            }
            Part::Image(_) => {
                images.extend(placed.next());
                ("image", None, None, None)
            }
            Part::Video(video) => {
                let frames = placed.by_ref().take(video.frames.len());
                size += frames.map(|frame| self.frames.push(frame)).sum::<usize>();
                ("video", None, Some(video.frames.len()), Some(video.fps))
            }
        };
        self.kinds.append_value(kind);
        self.texts.append_option(text);
        self.frame_lengths.push(num_frames.unwrap_or(0));
        self.has_frames.push(num_frames.is_some());
        self.rates.push(rate);
        size
    }

    fn finish(mut self) -> ArrayRef {
        let parts = StructArray::new(
            part_fields(self.stand),
            vec![
                Arc::new(self.kinds.finish()),
                Arc::new(self.texts.finish()),
                lists(self.frame_lengths, self.frames.finish(), Some(self.has_frames)),
                Arc::new(Float64Array::from(self.rates)),
            ],
            None,
        );
        let contents = lists(self.part_lengths, Arc::new(parts), None);
        let messages = StructArray::new(
            message_fields(self.stand),
            vec![Arc::new(self.roles.finish()), contents],
            None,
        );
        lists(self.lengths, Arc::new(messages), None)
    }
}
