//! What a benchmark shares with training data: pictures with the same bytes, prompts with the same words.
//!
//! A picture that was encoded again or resized has other bytes and is not found, nor is a prompt in other words: what is found
//! is shared, what is not found may be. Only the benchmark's hashes are kept in memory; training data of any size pass by.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use prompt::ImageSource;
use serde::{Deserialize, Serialize};

/// Names of training rows that are kept for one shared picture or prompt; the others are only counted.
pub const MAX_TRAINING_NAMES: usize = 10;

/// A picture or prompt that the benchmark and the training data both have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// BLAKE3 of the picture's file or of the prompt's words, in hexadecimal.
    pub hash: String,
    /// Rows of the benchmark that have it.
    pub benchmark: Vec<String>,
    /// The first [`MAX_TRAINING_NAMES`] rows of the training data that have it.
    pub training: Vec<String>,
    /// All rows of the training data that have it.
    pub num_training: u64,
}

/// Pictures of a benchmark and of training data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedImages {
    /// Pictures of the benchmark that were read, each as often as it was named.
    pub num_benchmark: u64,
    /// Pictures of the training data that were read.
    pub num_training: u64,
    /// The shared ones, in the order of the benchmark.
    pub shared: Vec<Shared>,
    /// Pictures that could not be read. Whether they are shared is not known.
    pub unreadable: Vec<Unreadable>,
}

/// A picture that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// Whose picture it is.
    pub side: Side,
    /// The row that names it.
    pub name: String,
    /// Its file.
    pub image: String,
    /// Why.
    pub cause: String,
}

/// One of the two sets that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The benchmark.
    Benchmark,
    /// The training data.
    Training,
}

/// Finds the pictures that both sides have, by BLAKE3 of their files' bytes. Each comes with the name of its row.
pub fn shared_images<B: Borrow<ImageSource>, T: Borrow<ImageSource>>(
    benchmark: impl IntoIterator<Item = (String, B)>,
    training: impl IntoIterator<Item = (String, T)>,
) -> SharedImages {
    let (mut index, mut unreadable) = (Index::default(), Vec::new());
    let (mut num_benchmark, mut num_training) = (0, 0);
    let mut reader = Reader::default();
    for (name, image) in benchmark {
        match reader.hash(image.borrow()) {
            Ok(hash) => {
                index.add_benchmark(hash, name);
                num_benchmark += 1;
            }
            Err(cause) => unreadable.push(failed(Side::Benchmark, name, image.borrow(), &cause)),
        }
    }
    for (name, image) in training {
        match reader.hash(image.borrow()) {
            Ok(hash) => {
                index.add_training(hash, name);
                num_training += 1;
            }
            Err(cause) => unreadable.push(failed(Side::Training, name, image.borrow(), &cause)),
        }
    }
    SharedImages { num_benchmark, num_training, shared: index.shared(), unreadable }
}

/// Finds the prompts that both sides have, whatever their case and white space. Prompts without a word are left out.
pub fn shared_prompts<B: AsRef<str>, T: AsRef<str>>(
    benchmark: impl IntoIterator<Item = (String, B)>,
    training: impl IntoIterator<Item = (String, T)>,
) -> Vec<Shared> {
    let mut index = Index::default();
    for (name, prompt) in benchmark {
        if let Some(hash) = hash_of_words(prompt.as_ref()) {
            index.add_benchmark(hash, name);
        }
    }
    for (name, prompt) in training {
        if let Some(hash) = hash_of_words(prompt.as_ref()) {
            index.add_training(hash, name);
        }
    }
    index.shared()
}

/// What the benchmark has, by hash, and who else has it.
#[derive(Default)]
struct Index {
    places: HashMap<blake3::Hash, usize>,
    entries: Vec<Shared>,
}

impl Index {
    fn add_benchmark(&mut self, hash: blake3::Hash, name: String) {
        let next = self.entries.len();
        let place = *self.places.entry(hash).or_insert(next);
        if place == next {
            let hash = hash.to_hex().to_string();
            self.entries.push(Shared {
                hash,
                benchmark: Vec::new(),
                training: Vec::new(),
                num_training: 0,
            });
        }
        self.entries[place].benchmark.push(name);
    }

    fn add_training(&mut self, hash: blake3::Hash, name: String) {
        if let Some(&place) = self.places.get(&hash) {
            let entry = &mut self.entries[place];
            entry.num_training += 1;
            if entry.training.len() < MAX_TRAINING_NAMES {
                entry.training.push(name);
            }
        }
    }

    fn shared(self) -> Vec<Shared> {
        self.entries.into_iter().filter(|entry| entry.num_training > 0).collect()
    }
}

/// Reads pictures; one that follows itself, as in the pairs of one question, is read once.
#[derive(Default)]
struct Reader {
    last: Option<(PathBuf, blake3::Hash)>,
}

impl Reader {
    fn hash(&mut self, image: &ImageSource) -> io::Result<blake3::Hash> {
        let path = match image {
            ImageSource::Bytes { bytes, .. } => return Ok(blake3::hash(bytes)),
            ImageSource::Path(path) => path,
        };
        if let Some((last, hash)) = &self.last
            && last == path
        {
            return Ok(*hash);
        }
        let hash = blake3::Hasher::new().update_reader(File::open(path)?)?.finalize();
        self.last = Some((path.clone(), hash));
        Ok(hash)
    }
}

fn failed(side: Side, name: String, image: &ImageSource, cause: &io::Error) -> Unreadable {
    Unreadable { side, name, image: image.name(), cause: cause.to_string() }
}

/// Hash of the words in lower case, with one space between them; `None` without any.
fn hash_of_words(prompt: &str) -> Option<blake3::Hash> {
    let words: Vec<String> = prompt.split_whitespace().map(str::to_lowercase).collect();
    (!words.is_empty()).then(|| blake3::hash(words.join(" ").as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn bytes(content: &[u8]) -> ImageSource {
        ImageSource::Bytes { label: "in the row".to_owned(), bytes: content.to_vec() }
    }

    fn named<T>(name: &str, thing: T) -> (String, T) {
        (name.to_owned(), thing)
    }

    #[test]
    fn a_picture_with_the_same_bytes_is_found_in_a_file_and_in_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            Arc::new(ImageSource::Path(path))
        };
        let benchmark = [
            named("row 0", file("a.png", b"one")),
            named("row 1", file("b.png", b"two")),
            named("row 2", file("c.png", b"one")),
        ];
        let training = [
            named("t 0", bytes(b"three")),
            named("t 1", bytes(b"one")),
            named("t 2", bytes(b"three")),
        ];
        let found = shared_images(benchmark, training);
        assert_eq!((found.num_benchmark, found.num_training), (3, 3));
        assert_eq!(found.unreadable, []);
        let [shared] = found.shared.as_slice() else { panic!("{:?}", found.shared) };
        assert_eq!(shared.hash, blake3::hash(b"one").to_hex().as_str());
        assert_eq!(shared.benchmark, ["row 0", "row 2"]);
        assert_eq!((shared.training.as_slice(), shared.num_training), (&["t 1".to_owned()][..], 1));
    }

    #[test]
    fn a_file_that_is_missing_is_listed_on_its_side_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let missing = |name: &str| ImageSource::Path(folder.path().join(name));
        let benchmark = [named("row 0", missing("a.png")), named("row 1", bytes(b"one"))];
        let training = [named("t 0", missing("b.png")), named("t 1", bytes(b"one"))];
        let found = shared_images(benchmark, training);
        let listed: Vec<_> =
            found.unreadable.iter().map(|entry| (entry.side, entry.name.as_str())).collect();
        assert_eq!(listed, [(Side::Benchmark, "row 0"), (Side::Training, "t 0")]);
        assert!(found.unreadable[0].image.ends_with("a.png"));
        assert_eq!(found.shared.len(), 1);
        assert_eq!((found.num_benchmark, found.num_training), (1, 1));
    }

    #[test]
    fn a_picture_that_follows_itself_counts_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        std::fs::write(&path, b"one").unwrap();
        let image = ImageSource::Path(path);
        let training: Vec<_> = (0..25).map(|i| (format!("t {i}"), &image)).collect();
        let found = shared_images([named("row 0", &image)], training);
        assert_eq!(found.shared[0].num_training, 25);
        assert_eq!(found.shared[0].training.len(), MAX_TRAINING_NAMES);
    }

    #[test]
    fn prompts_are_equal_whatever_their_case_and_white_space() {
        let benchmark =
            [named("row 0", "What is\n this?"), named("row 1", "Where?"), named("", " ")];
        let training =
            [named("t 0", " what IS this? "), named("t 1", "What is that?"), named("", "")];
        let shared = shared_prompts(benchmark, training);
        let [shared] = shared.as_slice() else { panic!("{shared:?}") };
        assert_eq!((&shared.benchmark[0], &shared.training[0]), (&"row 0".into(), &"t 0".into()));
    }
}
