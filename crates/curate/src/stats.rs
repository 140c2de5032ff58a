//! What a curated set holds, counted over its shards: sizes, pictures, lengths, margins, and whether the longer answer is the better one.
//!
//! One row at a time; of each only numbers are kept.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use data::raw::{Names, RowFile, Value, comparison_of, optional_number};
use data::{Comparison, DataError, RowError, RowFault};
use page::number::{count, percent, short};
use prompt::{Message, Part};

use crate::manifest::{Manifest, ManifestError};
use crate::sheet::Sheet;

/// Widest bar of a histogram, in characters.
const BAR_WIDTH: u64 = 40;

/// Counts over a curated set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Over all rows.
    pub all: SourceStats,
    /// By source.
    pub sources: BTreeMap<String, SourceStats>,
}

/// Counts over the rows of one source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceStats {
    /// Comparisons.
    pub rows: u64,
    /// Pairs of a better and a worse answer.
    pub pairs: u64,
    /// Comparisons by their number of answers.
    pub answers: BTreeMap<usize, u64>,
    /// Comparisons with a picture or a video.
    pub with_pictures: u64,
    /// Pictures, frames of videos among them, each as often as it is shown.
    pub pictures: u64,
    /// Comparisons whose label was turned.
    pub flipped: u64,
    /// Characters of prompts.
    pub prompt_chars: Lengths,
    /// Characters of the better answers, once for each pair.
    pub better_chars: Lengths,
    /// Characters of the worse answers, once for each pair.
    pub worse_chars: Lengths,
    /// Pairs whose better answer is the longer one.
    pub better_is_longer: u64,
    /// Pairs whose better answer is the shorter one.
    pub better_is_shorter: u64,
    /// Margins in the unit of the data.
    pub margin: Numbers,
    /// Mean margins of the models that judged the labels.
    pub strength: Numbers,
}

/// How often each length occurs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lengths(BTreeMap<usize, u64>);

/// Numbers of some rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers(Vec<f32>);

/// Set that cannot be counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// The folder is not a curated one.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A shard cannot be opened.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A row of a shard cannot be read.
    #[error(transparent)]
    Row(#[from] RowError),
}

impl Stats {
    /// Counts over the shards of a curated folder.
    ///
    /// # Errors
    /// When the folder is no curated set, or a row of it cannot be read.
    pub fn read(folder: &Path) -> Result<Self, StatsError> {
        let manifest = Manifest::read(folder)?;
        let mut stats = Self::default();
        for shard in &manifest.shards {
            stats.add_shard(&folder.join(&shard.name))?;
        }
        Ok(stats)
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut text = self.sheet().text();
        for (name, lengths) in [
            ("characters of prompts", &self.all.prompt_chars),
            ("characters of better answers", &self.all.better_chars),
            ("characters of worse answers", &self.all.worse_chars),
        ] {
            write!(text, "\n{name}\n{}", lengths.histogram()).expect("a String takes any text");
        }
        text
    }

    fn add_shard(&mut self, path: &Path) -> Result<(), StatsError> {
        let file = RowFile::open(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for (row, value) in file.scan().enumerate() {
            let counted = value.and_then(|value| {
                let comparison = comparison_of(&value, folder, Names::default())?;
                let source = self.sources.entry(comparison.source.clone()).or_default();
                self.all.add(&comparison, &value)?;
                source.add(&comparison, &value)
            });
            counted.map_err(|fault| RowError {
                file: path.to_owned(),
                place: file.place(row),
                id: None,
                fault,
            })?;
        }
        Ok(())
    }

    fn sheet(&self) -> Sheet {
        let mut sheet = Sheet::new([
            "source",
            "rows",
            "pairs",
            "answers",
            "with pictures",
            "pictures",
            "prompt",
            "better",
            "worse",
            "longer is better",
            "margin",
            "strength",
            "flipped",
        ]);
        let named = self.sources.iter().map(|(name, stats)| (name.as_str(), stats));
        for (name, stats) in named.chain([("all", &self.all)]) {
            sheet.push(stats.line(name));
        }
        sheet
    }
}

impl SourceStats {
    /// Share of the pairs of different lengths whose better answer is the longer one.
    pub fn longer_is_better(&self) -> Option<f64> {
        share(self.better_is_longer, self.better_is_longer + self.better_is_shorter)
    }

    fn add(&mut self, comparison: &Comparison, row: &Value) -> Result<(), RowFault> {
        self.rows += 1;
        *self.answers.entry(comparison.responses.len()).or_default() += 1;
        let pictures: usize = pictures(&comparison.prompt)
            + comparison.responses.iter().map(|one| pictures(one)).sum::<usize>();
        self.pictures += pictures as u64;
        self.with_pictures += u64::from(pictures > 0);
        self.flipped += u64::from(row.get("flipped") == Some(&Value::Bool(true)));
        self.prompt_chars.add(chars(&comparison.prompt));
        let lengths: Vec<usize> = comparison.responses.iter().map(|one| chars(one)).collect();
        for (better, worse) in comparison.pairs() {
            self.pairs += 1;
            self.better_chars.add(lengths[better]);
            self.worse_chars.add(lengths[worse]);
            self.better_is_longer += u64::from(lengths[better] > lengths[worse]);
            self.better_is_shorter += u64::from(lengths[better] < lengths[worse]);
        }
        self.margin.0.extend(comparison.preference.margin);
        self.strength.0.extend(optional_number(row, "strength")?);
        Ok(())
    }

    fn line(&self, name: &str) -> Vec<String> {
        let share = |share: Option<f64>| share.map_or("–".to_owned(), percent);
        let number =
            |number: Option<f32>| number.map_or("–".to_owned(), |one| short(f64::from(one)));
        let length = |lengths: &Lengths| {
            lengths.quantile(0.5).map_or("–".to_owned(), |one| count(one as u64))
        };
        let sizes: Vec<String> = self.answers.keys().map(usize::to_string).collect();
        vec![
            name.to_owned(),
            count(self.rows),
            count(self.pairs),
            sizes.join(", "),
            share(self::share(self.with_pictures, self.rows)),
            count(self.pictures),
            length(&self.prompt_chars),
            length(&self.better_chars),
            length(&self.worse_chars),
            share(self.longer_is_better()),
            number(self.margin.quantile(0.5)),
            number(self.strength.quantile(0.5)),
            count(self.flipped),
        ]
    }
}

impl Lengths {
    fn add(&mut self, length: usize) {
        *self.0.entry(length).or_default() += 1;
    }

    /// The length that this share of all is not longer than; none without any.
    pub fn quantile(&self, share: f64) -> Option<usize> {
        let total: u64 = self.0.values().sum();
        let wanted = ((total as f64 * share).ceil() as u64).max(1);
        let mut passed = 0;
        let reached = self.0.iter().find(|(_, number)| {
            passed += **number;
            passed >= wanted
        });
        reached.map(|(length, _)| *length)
    }

    /// One line for every doubling of the length.
    fn histogram(&self) -> String {
        let mut doublings: BTreeMap<u32, u64> = BTreeMap::new();
        for (length, number) in &self.0 {
            *doublings.entry(length.checked_ilog2().map_or(0, |power| power + 1)).or_default() +=
                number;
        }
        let most = doublings.values().max().copied().unwrap_or(1);
        let mut sheet = Sheet::new(["from", "to", "number", ""]);
        let (first, last) = (doublings.keys().next(), doublings.keys().next_back());
        for doubling in first.copied().unwrap_or(1)..=last.copied().unwrap_or(0) {
            let number = doublings.get(&doubling).copied().unwrap_or(0);
            let (from, to) = if doubling == 0 {
                (0, 0)
            } else {
                (1_u64 << (doubling - 1), (1_u64 << doubling) - 1)
            };
            let bar = "█".repeat((number * BAR_WIDTH).div_ceil(most) as usize);
            sheet.push(vec![count(from), count(to), count(number), format!("{bar:<40}")]);
        }
        sheet.text()
    }
}

impl Numbers {
    /// Number of the rows that have one.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no row has one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number that this share of all is not above; none without any.
    pub fn quantile(&self, share: f64) -> Option<f32> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f32::total_cmp);
        let place = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
        sorted.get(place).copied()
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn chars(messages: &[Message]) -> usize {
    let parts = messages.iter().flat_map(|message| &message.content);
    parts.map(|part| if let Part::Text(text) = part { text.chars().count() } else { 0 }).sum()
}

fn pictures(messages: &[Message]) -> usize {
    let parts = messages.iter().flat_map(|message| &message.content);
    let number = |part: &Part| match part {
        Part::Text(_) => 0,
        Part::Image(_) => 1,
        Part::Video(video) => video.frames.len(),
    };
    parts.map(number).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::ImageOutput;
    use crate::testing::curated::{Curated, comparison, message, said, text};

    fn stats() -> Stats {
        let curated = Curated::new();
        let mut first = comparison("1", vec![said("user", "Which?")], &["longer", "short"]);
        first.preference.margin = Some(0.5);
        let seen = vec![message("user", vec![curated.image(0), text("süß?"), curated.image(1)])];
        let mut second = comparison("2", seen, &["a", "bb", "ccc"]);
        second.source = "other".to_owned();
        curated.write(ImageOutput::Files, &[first, second]);
        Stats::read(curated.folder()).unwrap()
    }

    #[test]
    fn every_number_is_of_the_rows_of_its_source() {
        let stats = stats();
        let (all, other) = (&stats.all, &stats.sources["other"]);
        // Each comparison is there twice: to train on, and for validation.
        assert_eq!((all.rows, all.pairs), (4, 8));
        assert_eq!((other.rows, other.pairs, other.with_pictures, other.pictures), (2, 6, 2, 4));
        assert_eq!(all.answers, BTreeMap::from([(2, 2), (3, 2)]));
        assert_eq!((all.better_is_longer, all.better_is_shorter), (2, 6));
        assert_eq!(all.longer_is_better(), Some(0.25));
        assert_eq!(other.prompt_chars.quantile(0.5), Some(4), "characters, not bytes");
        assert_eq!((all.margin.len(), all.margin.quantile(0.5)), (2, Some(0.5)));
        assert!(all.strength.len() == 4 && other.margin.is_empty());
        assert_eq!(all.flipped, 4);
    }

    #[test]
    fn the_text_has_a_line_for_every_source_and_every_doubling_of_lengths() {
        let text = stats().text();
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
        assert!(line("other ").contains("100.0 %") && line("all ").contains("25.0 %"), "{text}");
        let words: Vec<&str> = line("4 ").split_whitespace().collect();
        assert_eq!(words[..3], ["4", "7", "4"], "{text}");
        assert!(text.contains("characters of worse answers"), "{text}");
    }

    #[test]
    fn quantiles_are_numbers_that_occur() {
        let mut lengths = Lengths::default();
        assert_eq!(lengths.quantile(0.5), None);
        for length in [1, 2, 2, 9] {
            lengths.add(length);
        }
        let quantiles = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| lengths.quantile(share));
        assert_eq!(quantiles, [1, 1, 2, 2, 9].map(Some));
        let numbers = Numbers(vec![3.0, -1.0, 2.0]);
        assert_eq!(
            [0.0, 0.5, 1.0].map(|share| numbers.quantile(share)),
            [-1.0, 2.0, 3.0].map(Some)
        );
        assert_eq!(Numbers::default().quantile(0.5), None);
    }

    #[test]
    fn a_shard_that_cannot_be_read_is_told() {
        let curated = Curated::new();
        let pair = comparison("1", vec![said("user", "Which?")], &["a", "b"]);
        curated.write(ImageOutput::Files, &[pair]);
        std::fs::write(curated.folder().join("train/00000.parquet"), "nothing").unwrap();
        let error = Stats::read(curated.folder()).unwrap_err().to_string();
        assert!(error.contains("train/00000.parquet` cannot be read as Parquet: "), "{error}");
    }
}
