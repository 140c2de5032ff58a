//! Made-up texts, records and pictures that depend on a seed alone.

use std::path::PathBuf;
use std::sync::Arc;

use curate::look::Look;
use curate::record::{ImageId, Origin, Record};
use data::{Comparison, Preference};
use image::imageops::FilterType;
use image::{Rgb, RgbImage};
use prompt::picture::{DEFAULT_MAX_DECODED_PIXELS, Probe};
use prompt::{ImageSource, Message, Part};

/// Random numbers: the same for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Steps of `splitmix64`.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn between(&mut self, start: usize, end: usize) -> usize {
        start + self.below(end - start)
    }

    pub(crate) fn one_of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    /// A word; some are far more frequent than others, as in every language.
    fn word(&mut self) -> String {
        const ONSETS: [&str; 16] =
            ["b", "c", "d", "f", "g", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr", "pl"];
        const VOWELS: [&str; 8] = ["a", "e", "i", "o", "u", "ea", "ou", "ai"];
        let [first, second] = [self.below(2000), self.below(2000)];
        let mut number = first * second / 2000 * (1 + self.below(2));
        let mut word = String::new();
        loop {
            word.push_str(ONSETS[number % 16]);
            word.push_str(VOWELS[number / 16 % 8]);
            number /= 128;
            if number == 0 {
                return word;
            }
        }
    }

    /// Sentences of `num_words` words in all.
    pub(crate) fn text(&mut self, num_words: usize) -> String {
        let mut text = String::new();
        for at in 0..num_words {
            let mut word = self.word();
            if at % 11 == 0 {
                word[..1].make_ascii_uppercase();
            }
            text.push_str(if at == 0 { "" } else { " " });
            text.push_str(&word);
            if at % 11 == 10 {
                text.push('.');
            }
        }
        text
    }

    /// The text with `num_changed` of its words replaced, and in other white space and case.
    pub(crate) fn changed(&mut self, text: &str, num_changed: usize) -> String {
        let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        for _ in 0..num_changed {
            let at = self.below(words.len());
            words[at] = format!("{}ish", self.word());
        }
        words.join(if self.below(2) == 0 { " " } else { "  " })
    }

    /// The text in another case and with other white space.
    pub(crate) fn respaced(&mut self, text: &str) -> String {
        let spaced = text.replace(' ', self.one_of(&["  ", "\n", " \t", "\u{a0}"]));
        match self.below(3) {
            0 => spaced.to_uppercase(),
            1 => format!("\n{spaced} "),
            _ => spaced.to_lowercase(),
        }
    }
}

/// A record over pictures whose better answer is the first.
pub(crate) fn record(question: &str, answers: [&str; 2], images: &[ImageId]) -> Record {
    let image =
        |id: &ImageId| Part::Image(Arc::new(ImageSource::Path(PathBuf::from(format!("{id}.png")))));
    let mut content: Vec<Part> = images.iter().map(image).collect();
    content.push(Part::Text(question.to_owned()));
    let message = |role: &str, content| Message { role: role.to_owned(), content };
    let answer = |text: &str| vec![message("assistant", vec![Part::Text(text.to_owned())])];
    let preference = Preference { ranks: vec![0, 1], scores: None, margin: None, soft_label: None };
    Record {
        comparison: Comparison {
            id: "rows.jsonl:1".to_owned(),
            source: "made-up".to_owned(),
            prompt: vec![message("user", content)],
            responses: answers.map(answer).to_vec(),
            preference,
        },
        origin: Origin { source: 0, file: 0, row: 0, part: 0 },
        images: images.to_vec(),
    }
}

/// The text of the question and of both answers.
pub(crate) fn texts(record: &Record) -> [String; 3] {
    let text = |message: &Message| match message.content.last() {
        Some(Part::Text(text)) => text.clone(),
        other => panic!("{other:?}"),
    };
    let [first, second] = record.comparison.responses.as_slice() else { panic!("two answers") };
    [text(&record.comparison.prompt[0]), text(&first[0]), text(&second[0])]
}

/// The other order of answers, with the same one better.
pub(crate) fn swapped(mut record: Record) -> Record {
    record.comparison.responses.reverse();
    record.comparison.preference.ranks.reverse();
    record
}

/// A chart, a drawing of lines, or a scene, on a canvas of a size of its own. Charts have one style, with a title, axes and much white.
pub(crate) fn picture(seed: u64) -> RgbImage {
    let mut random = Random::new(seed);
    match seed % 3 {
        0 => chart(&mut random),
        1 => lines(&mut random),
        _ => scene(&mut random),
    }
}

fn chart(random: &mut Random) -> RgbImage {
    let mut canvas = RgbImage::from_pixel(400, 300, Rgb([255; 3]));
    fill(&mut canvas, [40, 20, 2, 250], [0; 3]);
    fill(&mut canvas, [40, 270, 340, 2], [0; 3]);
    fill(&mut canvas, [120, 6, 160, 8], [90; 3]);
    let num_bars = random.between(5, 9);
    for bar in 0..num_bars {
        let height = random.between(10, 240) as u32;
        let left = 55 + bar as u32 * 38;
        fill(&mut canvas, [left, 270 - height, 24, height], [70, 110, 180]);
    }
    canvas
}

fn lines(random: &mut Random) -> RgbImage {
    let (width, height) = (random.between(240, 480) as u32, random.between(240, 480) as u32);
    let mut canvas = RgbImage::from_pixel(width, height, Rgb([255; 3]));
    for _ in 0..random.between(4, 9) {
        let mut end =
            || [random.below(width as usize) as f32, random.below(height as usize) as f32];
        let (from, to) = (end(), end());
        for step in 0..=800 {
            let at = |axis: usize| from[axis] + (to[axis] - from[axis]) * step as f32 / 800.0;
            fill(&mut canvas, [at(0) as u32, at(1) as u32, 3, 3], [20; 3]);
        }
    }
    canvas
}

fn scene(random: &mut Random) -> RgbImage {
    let (width, height) = (random.between(200, 500) as u32, random.between(200, 500) as u32);
    let mut waves = [[0.0; 5]; 9];
    for wave in waves.as_flattened_mut() {
        *wave = random.below(1000) as f32 / 1000.0;
    }
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
        Rgb([0, 3, 6].map(|first| {
            let wave = |[a, b, c, d, _]: [f32; 5]| {
                (8.0 * (a * x + b * y) + 20.0 * c * x * y + 6.0 * d).sin()
            };
            let sum: f32 = waves[first..first + 3].iter().map(|of| wave(*of)).sum();
            (128.0 + 40.0 * sum) as u8
        }))
    })
}

/// Fills a rectangle `[left, top, width, height]`, as far as it is on the canvas.
fn fill(canvas: &mut RgbImage, [left, top, width, height]: [u32; 4], color: [u8; 3]) {
    for y in top..(top + height).min(canvas.height()) {
        for x in left..(left + width).min(canvas.width()) {
            canvas.put_pixel(x, y, Rgb(color));
        }
    }
}

/// The picture as a PNG file.
pub(crate) fn png(picture: &RgbImage) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, image::ImageFormat::Png).unwrap();
    file.into_inner()
}

/// The picture as a JPEG file.
pub(crate) fn jpeg(picture: &RgbImage, quality: u8) -> Vec<u8> {
    let mut file = Vec::new();
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    jpeg_encoder::Encoder::new(&mut file, quality)
        .encode(picture.as_raw(), width, height, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    file
}

/// A copy scaled by 0.5 to 2, as JPEG of quality 50 to 95 or as PNG.
pub(crate) fn copy(picture: &RgbImage, random: &mut Random) -> Vec<u8> {
    let scale = random.between(50, 201) as f32 / 100.0;
    let [width, height] =
        [picture.width(), picture.height()].map(|side| (side as f32 * scale).round() as u32);
    let filter =
        [FilterType::Triangle, FilterType::CatmullRom, FilterType::Lanczos3][random.below(3)];
    let scaled = image::imageops::resize(picture, width, height, filter);
    if random.below(4) == 0 { png(&scaled) } else { jpeg(&scaled, random.between(50, 96) as u8) }
}

/// What curation knows of a picture file.
pub(crate) fn known(bytes: Vec<u8>) -> (ImageId, Look) {
    let id = ImageId::of(&bytes);
    let source = ImageSource::Bytes { label: "made-up".to_owned(), bytes };
    let probe = Probe::new(&source, DEFAULT_MAX_DECODED_PIXELS).unwrap();
    (id, Look::of(&probe, true).unwrap())
}

/// Found and planted things, and how many of the found ones were planted.
pub(crate) struct Tally {
    pub(crate) planted: usize,
    pub(crate) found: usize,
    pub(crate) right: usize,
}

impl Tally {
    /// Checks the shares of planted things that were found, and of found things that were planted.
    pub(crate) fn check(&self, what: &str, least_recall: f64, least_precision: f64) {
        let Self { planted, found, right } = *self;
        assert!(planted > 0, "{what}: nothing was planted");
        let recall = right as f64 / planted as f64;
        let precision = right as f64 / found.max(1) as f64;
        let counts = format!("{what}: {right} right of {found} found and {planted} planted");
        assert!(recall >= least_recall, "{counts}");
        assert!(precision >= least_precision, "{counts}");
    }
}
