//! What the tests of the benchmarks have in common: rows from JSON, rewards, and a look at one figure.

use std::path::Path;

use data::raw::parse_json;
use prompt::{ImageSource, Message, Part};

use crate::benchmark::{Benchmark, SourceRow};
use crate::figure::Figure;
use crate::item::{Item, Labels, Scored};

/// The item of row 1 of `folder/file`, or the words of its fault.
pub(super) fn read_in(
    benchmark: &dyn Benchmark,
    folder: &Path,
    file: &str,
    json: &str,
) -> Result<Item, String> {
    let value = parse_json(json).unwrap();
    let row = SourceRow { value: &value, file: Path::new(file), image_dir: folder, number: 1 };
    benchmark.read(&row).map_err(|fault| fault.to_string())
}

/// The same in a folder that nothing is read from.
pub(super) fn read(benchmark: &dyn Benchmark, json: &str) -> Result<Item, String> {
    read_in(benchmark, Path::new("pictures"), "bench/rows.json", json)
}

/// A pair whose first response is the better one, judged right or wrong.
pub(super) fn judged(row: usize, id: &str, labels: &Labels, is_right: bool) -> Scored {
    Scored {
        row,
        id: id.to_owned(),
        labels: labels.clone(),
        ranks: vec![0, 1],
        lengths: vec![1, 1],
        scores: if is_right { vec![1.0, 0.0] } else { vec![0.0, 1.0] },
        ..Scored::default()
    }
}

/// The figures over all rows.
pub(super) fn measure(benchmark: &dyn Benchmark, rows: &[Scored]) -> Vec<Figure> {
    benchmark.measure(&rows.iter().collect::<Vec<_>>())
}

/// The figure of a name in a section.
pub(super) fn figure<'a>(figures: &'a [Figure], section: &str, name: &str) -> &'a Figure {
    let mut found =
        figures.iter().filter(|figure| figure.section == section && figure.name == name);
    let figure = found.next().unwrap_or_else(|| panic!("no figure {section}/{name}"));
    assert!(found.next().is_none(), "two figures {section}/{name}");
    figure
}

/// Numerator and denominator of a figure.
pub(super) fn fraction(figures: &[Figure], section: &str, name: &str) -> (u64, u64) {
    let figure = figure(figures, section, name);
    (figure.num_right.unwrap() as u64, figure.num_total)
}

/// A figure in percent with two decimals.
pub(super) fn percent(figures: &[Figure], section: &str, name: &str) -> String {
    format!("{:.2}", figure(figures, section, name).value.unwrap() * 100.0)
}

/// Messages as text: `role: part|part`.
pub(super) fn shown(messages: &[Message]) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Image(image) => match image.as_ref() {
            ImageSource::Path(path) => format!("<{}>", path.display()),
            ImageSource::Bytes { label, bytes } => format!("<{label}, {} bytes>", bytes.len()),
        },
        Part::Video(video) => format!("<{} frames at {}>", video.frames.len(), video.fps),
    };
    let message = |message: &Message| {
        let parts: Vec<String> = message.content.iter().map(part).collect();
        format!("{}: {}", message.role, parts.join("|"))
    };
    messages.iter().map(message).collect::<Vec<_>>().join("\n")
}

/// Numbers from a seed, for properties that hold for any rewards.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    /// The next number of a linear congruential generator, its high bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}
