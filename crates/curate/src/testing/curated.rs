//! Small curated sets for the tests of what reads them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use data::{Comparison, Preference};
use prompt::{ImageSource, Message, Part};

use crate::manifest::Manifest;
use crate::manifest::tests::example;
use crate::recipe::{ImageOutput, OutputRecipe};
use crate::record::{ImageId, Origin, Record};
use crate::shard::{RowColumns, ShardRow, ShardWriter, Split, Written};

const PICTURES: [(&str, &[u8]); 2] =
    [("cat.png", b"\x89PNG cat"), ("dog.jpg", b"\xff\xd8\xff dog")];

pub(crate) fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

pub(crate) fn message(role: &str, content: Vec<Part>) -> Message {
    Message { role: role.to_owned(), content }
}

pub(crate) fn said(role: &str, words: &str) -> Message {
    message(role, vec![text(words)])
}

pub(crate) fn comparison(id: &str, prompt: Vec<Message>, answers: &[&str]) -> Comparison {
    let preference = Preference {
        ranks: (0..answers.len() as u32).collect(),
        scores: None,
        margin: None,
        soft_label: None,
    };
    Comparison {
        id: id.to_owned(),
        source: "test".to_owned(),
        prompt,
        responses: answers.iter().map(|answer| vec![said("assistant", answer)]).collect(),
        preference,
    }
}

/// Files of pictures, and a curated folder of comparisons that may show them.
pub(crate) struct Curated {
    pictures: tempfile::TempDir,
    folder: tempfile::TempDir,
}

impl Curated {
    pub(crate) fn new() -> Self {
        let pictures = tempfile::tempdir().unwrap();
        for (name, bytes) in PICTURES {
            fs::write(pictures.path().join(name), bytes).unwrap();
        }
        Self { pictures, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn image(&self, index: usize) -> Part {
        let path = self.pictures.path().join(PICTURES[index].0);
        Part::Image(Arc::new(ImageSource::Path(path)))
    }

    /// Writes train rows, and the same as validation rows.
    pub(crate) fn write(&self, images: ImageOutput, comparisons: &[Comparison]) {
        let folder = self.folder.path();
        let output = OutputRecipe { images, ..OutputRecipe::default() };
        let mut writer = ShardWriter::create(folder, &output, None).unwrap();
        for split in [Split::Train, Split::Validation] {
            for comparison in comparisons {
                writer.push(ShardRow { split, ..shard_row(comparison.clone()) }).unwrap();
            }
        }
        let Written { shards, pictures } = writer.finish().unwrap();
        Manifest { shards, pictures, ..example() }.write(folder).unwrap();
    }

    /// The curated folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

pub(crate) fn shard_row(comparison: Comparison) -> ShardRow {
    let messages = comparison.prompt.iter().chain(comparison.responses.iter().flatten());
    let parts = messages.flat_map(|message| &message.content);
    let id = |image: &ImageSource| ImageId::of(&fs::read(image.name()).unwrap());
    let images = parts
        .flat_map(|part| match part {
            Part::Text(_) => Vec::new(),
            Part::Image(image) => vec![id(image)],
            Part::Video(video) => video.frames.iter().map(id).collect(),
        })
        .collect();
    let origin = Origin { source: 0, file: 0, row: 0, part: 0 };
    ShardRow {
        key: "00".repeat(16),
        record: Record { comparison, origin, images },
        split: Split::Train,
        group: u64::MAX,
        columns: RowColumns { strength: Some(0.25), flipped: true, ..RowColumns::default() },
        copy: 0,
        file: "rows.jsonl".to_owned(),
        row: "line 3".to_owned(),
        license: "MIT".to_owned(),
    }
}
