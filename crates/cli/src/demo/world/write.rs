//! Writes a world to a folder: PNG files and one JSONL file for each part.
//!
//! Rows are comparisons of one right answer with up to three wrong ones; the questions about one picture are rows of
//! their own, next to each other, and stand in the order of [`super::lessons`]. The same seed gives the same bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use image::ImageFormat;
use rayon::prelude::*;
use serde::Serialize;

use super::questions::{Kind, Question};
use super::{Example, Part};

/// Pictures in one folder, so that no folder holds tens of thousands of files.
const PICTURES_PER_FOLDER: usize = 1000;
/// Pictures that are made in parallel before their rows are written.
const PICTURES_PER_BLOCK: usize = 2048;

/// How large a world is, and which one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorldOptions {
    /// Another seed, another world.
    pub(crate) seed: u64,
    /// Pictures to train on.
    pub(crate) num_train: usize,
    /// Held-out pictures.
    pub(crate) num_validation: usize,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WorldSummary {
    /// Rows to train on.
    pub(crate) train: PartSummary,
    /// Held-out rows.
    pub(crate) validation: PartSummary,
}

/// What was written of one part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PartSummary {
    /// Picture files.
    pub(crate) num_pictures: usize,
    /// Rows, each one question with its answers.
    pub(crate) num_comparisons: usize,
    /// Rows of each kind.
    pub(crate) comparisons_by_kind: BTreeMap<Kind, usize>,
    /// Wrong answers by their fault.
    pub(crate) wrong_answers_by_fault: BTreeMap<&'static str, usize>,
}

impl PartSummary {
    fn count(&mut self, questions: &[Question]) {
        self.num_pictures += 1;
        self.num_comparisons += questions.len();
        for question in questions {
            *self.comparisons_by_kind.entry(question.kind).or_default() += 1;
            for fault in question.answers.iter().filter_map(|answer| answer.fault) {
                *self.wrong_answers_by_fault.entry(fault.name()).or_default() += 1;
            }
        }
    }
}

/// One line of a JSONL file.
#[derive(Serialize)]
struct Row<'a> {
    id: String,
    /// The kind stands in it, so that reports tell kinds apart.
    source: String,
    /// For each response what is wrong with it, and nothing for the right one.
    fault: Vec<Option<&'static str>>,
    images: [&'a str; 1],
    prompt: &'a str,
    responses: Vec<&'a str>,
    /// 0 for the right response, 1 for the others.
    ranks: Vec<u32>,
}

/// Writes `train.jsonl`, `validation.jsonl` and the pictures under `images` into a folder, which is made if needed.
///
/// # Errors
/// When a file or folder cannot be written; the message names it.
pub(crate) fn write_world(folder: &Path, options: WorldOptions) -> io::Result<WorldSummary> {
    let WorldOptions { seed, num_train, num_validation } = options;
    let training = |number| Example::training(seed, number, num_train);
    let held_out = |number| Example::held_out(seed, number);
    Ok(WorldSummary {
        train: write_part(folder, Part::Train, num_train, training)?,
        validation: write_part(folder, Part::Validation, num_validation, held_out)?,
    })
}

fn write_part(
    folder: &Path,
    part: Part,
    num_pictures: usize,
    example: impl Fn(usize) -> Example + Sync,
) -> io::Result<PartSummary> {
    for shard in 0..num_pictures.div_ceil(PICTURES_PER_FOLDER) {
        let path = folder.join(shard_path(part, shard));
        fs::create_dir_all(&path).map_err(|error| named(&path, &error))?;
    }
    let rows_path = folder.join(format!("{}.jsonl", part.name()));
    let file = File::create(&rows_path).map_err(|error| named(&rows_path, &error))?;
    let mut rows = BufWriter::new(file);
    let mut summary = PartSummary::default();
    for first in (0..num_pictures).step_by(PICTURES_PER_BLOCK) {
        let block = first..num_pictures.min(first + PICTURES_PER_BLOCK);
        let written: Vec<(Vec<Question>, Vec<u8>)> = block
            .into_par_iter()
            .map(|number| write_example(folder, part, number, example(number)))
            .collect::<io::Result<_>>()?;
        for (questions, lines) in written {
            rows.write_all(&lines).map_err(|error| named(&rows_path, &error))?;
            summary.count(&questions);
        }
    }
    rows.flush().map_err(|error| named(&rows_path, &error))?;
    Ok(summary)
}

/// Writes one picture and returns its questions and their lines.
fn write_example(
    folder: &Path,
    part: Part,
    number: usize,
    example: Example,
) -> io::Result<(Vec<Question>, Vec<u8>)> {
    let Example { picture, questions } = example;
    let relative = picture_path(part, number);
    let path = folder.join(&relative);
    picture.save_with_format(&path, ImageFormat::Png).map_err(|error| match error {
        image::ImageError::IoError(error) => named(&path, &error),
        other => named(&path, &io::Error::other(other)),
    })?;
    let mut lines = Vec::new();
    for question in &questions {
        let row = row(part, number, question, &relative);
        serde_json::to_writer(&mut lines, &row)?;
        lines.push(b'\n');
    }
    Ok((questions, lines))
}

fn row<'a>(part: Part, number: usize, question: &'a Question, picture: &'a str) -> Row<'a> {
    let answers = &question.answers;
    Row {
        id: format!("{}-{number:06}-{}", part.name(), question.kind.name()),
        source: format!("demo/{}", question.kind.name()),
        fault: answers.iter().map(|answer| answer.fault.map(super::Fault::name)).collect(),
        images: [picture],
        prompt: &question.prompt,
        responses: answers.iter().map(|answer| answer.text.as_str()).collect(),
        ranks: answers.iter().map(|answer| u32::from(answer.fault.is_some())).collect(),
    }
}

/// A picture's path below the world's folder, with `/` on every system, as it stands in the rows.
fn picture_path(part: Part, number: usize) -> String {
    format!("{}/{number:06}.png", shard_path(part, number / PICTURES_PER_FOLDER))
}

fn shard_path(part: Part, shard: usize) -> String {
    format!("images/{}/{shard:03}", part.name())
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const OPTIONS: WorldOptions = WorldOptions { seed: 11, num_train: 60, num_validation: 20 };

    fn rows(folder: &Path, part: &str) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(folder.join(format!("{part}.jsonl"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_world_has_the_same_bytes_whenever_it_is_written() {
        let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let summaries = [&first, &second].map(|it| write_world(it.path(), OPTIONS).unwrap());
        assert_eq!(summaries[0], summaries[1]);
        let file =
            |folder: &tempfile::TempDir, name: &str| fs::read(folder.path().join(name)).unwrap();
        for name in ["train.jsonl", "validation.jsonl", "images/train/000/000059.png"] {
            assert!(file(&first, name) == file(&second, name), "{name}");
        }
    }

    #[test]
    fn another_seed_gives_another_world() {
        let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        write_world(first.path(), OPTIONS).unwrap();
        write_world(second.path(), WorldOptions { seed: 12, ..OPTIONS }).unwrap();
        assert_ne!(rows(first.path(), "train"), rows(second.path(), "train"));
    }

    #[test]
    fn every_row_has_one_right_response_and_names_the_faults_of_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let summary = write_world(folder.path(), OPTIONS).unwrap();
        let rows = rows(folder.path(), "train");
        assert_eq!(rows.len(), summary.train.num_comparisons);
        for row in rows {
            let array = |key: &str| row[key].as_array().unwrap().clone();
            let (ranks, faults) = (array("ranks"), array("fault"));
            assert_eq!(ranks.iter().filter(|rank| **rank == 0).count(), 1, "{row}");
            assert_eq!(array("responses").len(), ranks.len(), "{row}");
            assert!(
                ranks.iter().zip(&faults).all(|(rank, fault)| (*rank == 0) == fault.is_null()),
                "{row}"
            );
            let picture = folder.path().join(array("images")[0].as_str().unwrap());
            let picture = image::open(picture).unwrap();
            assert_eq!((picture.width(), picture.height()), (84, 84));
        }
    }

    #[test]
    fn no_held_out_picture_is_trained_on() {
        let pictures = |example: fn(usize) -> Example| {
            (0..3_000).map(|number| example(number).picture.into_raw()).collect::<BTreeSet<_>>()
        };
        let trained = pictures(|number| Example::training(5, number, 3_000));
        let held_out = pictures(|number| Example::held_out(5, number));
        assert!(trained.is_disjoint(&held_out));
        assert!(trained.len() > 2_990 && held_out.len() > 2_990, "pictures seldom repeat");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("images"), "a file").unwrap();
        let error = write_world(folder.path(), OPTIONS).unwrap_err().to_string();
        assert!(error.starts_with("cannot write `") && error.contains("images"), "{error}");
    }
}
