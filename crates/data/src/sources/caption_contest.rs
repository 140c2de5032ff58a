//! New Yorker caption contests: thousands of captions of one cartoon, each with the ratings of readers. One file for each contest.
//!
//! A file could be one comparison with millions of pairs, nearly all of them within the noise of a few votes. Instead each caption is compared
//! once, with the one half a file below it: files are sorted by the mean rating. Pairs that differ by less than three standard errors are
//! ties.
//!
//! # Source
//! The repository `nextml/caption-contest-data`: `summaries/*.csv` with `rank, caption, mean, precision, votes, not_funny, somewhat_funny,
//! funny`, where `mean` is from 1 to 3 and `precision` its standard error; the name of a file begins with the number of the contest. The
//! cartoon is `cartoons/<number>.jpg`.

use std::path::{Path, PathBuf};

use super::{Reading, Source, SourceFile, plain_files};
use crate::comparison::Preference;
use crate::error::{DataError, RowFault};
use crate::fields::{required, text, written_number};
use crate::formats::{Parsed, apart};
use crate::messages::said;
use crate::value::Value;
use prompt::ImageSource;

/// The question that the captions answer; the published files have none.
const QUESTION: &str = "Write a funny caption for this cartoon.";

/// Standard errors of a difference below which nobody can say which caption is funnier.
const DECIDED: f64 = 3.0;

pub(super) static SOURCE: Source = Source {
    name: "caption-contest",
    title: "New Yorker caption contest ratings",
    home: "github.com/nextml/caption-contest-data",
    license: "CC-BY-4.0",
    about: "Tables of rated captions; each caption is compared with the one half a file below it, and differences under 3 standard errors are ties.",
    id_key: None,
    recognizes: |row| row.has(&["caption", "mean", "precision", "votes"]),
    files,
    reading: Reading::Spread { num_rows: 2, read },
};

/// The tables; what each calls its folder of pictures is the path of its cartoon without the ending.
fn files(path: &Path) -> Result<Vec<SourceFile>, DataError> {
    let with_cartoon = |file: SourceFile| {
        let stem = file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let end = stem.find(|character: char| !character.is_ascii_digit()).unwrap_or(stem.len());
        let image_dir = cartoons(&file.image_dir).join(&stem[..end]);
        SourceFile { image_dir, ..file }
    };
    Ok(plain_files(path)?.into_iter().map(with_cartoon).collect())
}

/// The folder of the cartoons: that in the folder of the tables, or the published one beside it.
fn cartoons(tables: &Path) -> PathBuf {
    let inside = tables.join("cartoons");
    if inside.is_dir() { inside } else { tables.join("..").join("cartoons") }
}

/// A caption with its mean rating and the standard error of that.
struct Rated<'a> {
    caption: &'a str,
    mean: f64,
    error: f64,
}

fn read(rows: &[Value], image_dir: &Path) -> Result<Parsed, RowFault> {
    let rated = rows.iter().map(rated).collect::<Result<Vec<_>, _>>()?;
    let [first, second] = rated.as_slice() else {
        return Err(RowFault::TooFewResponses { key: "caption", found: rows.len() });
    };
    let (better, worse) = if first.mean >= second.mean { (first, second) } else { (second, first) };
    let margin = better.mean - worse.mean;
    let is_decided = margin > 0.0 && margin >= DECIDED * better.error.hypot(worse.error);
    let order = if is_decided { Preference::first_of_two() } else { Preference::tie_of_two() };
    let preference = Preference {
        scores: Some(vec![better.mean as f32, worse.mean as f32]),
        margin: Some(margin as f32),
        ..order
    };
    let response =
        |rated: &Rated<'_>| ("caption".to_owned(), vec![said("assistant", rated.caption)]);
    let cartoon = ImageSource::Path(image_dir.with_extension("jpg"));
    let question = vec![said("user", QUESTION)];
    let responses = vec![response(better), response(worse)];
    let (prompt, responses) = apart("caption", question, responses, vec![cartoon.into()])?;
    Ok(Parsed { prompt, responses, preference })
}

fn rated(row: &Value) -> Result<Rated<'_>, RowFault> {
    let of = |key| written_number(required(row, key)?, key);
    let caption = text(required(row, "caption")?, "caption")?;
    Ok(Rated { caption, mean: of("mean")?, error: of("precision")? })
}
