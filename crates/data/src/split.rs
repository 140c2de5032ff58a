//! Rows held back for validation, such that no picture is on both sides.
//!
//! A picture is known by the BLAKE3 hash of its file's bytes, whatever its name; a row without pictures by the texts of its prompt. Rows that
//! share any picture stay together. Pictures that look alike in different bytes are different here. [`Sides::draw`] does the same for rows
//! whose keys the caller knows.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use prompt::{ImageSource, Message, Part, pictures};

use crate::comparison::Comparison;
use crate::dataset::Dataset;
use crate::error::{DataError, RowError, RowFault};

/// Rows of a [`Dataset`] on both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Rows to train on, in order.
    pub train: Vec<usize>,
    /// Rows held back, in order.
    pub validation: Vec<usize>,
    /// Rows on neither side, because they or their pictures cannot be read or they prefer nothing.
    pub unusable: Vec<(usize, RowError)>,
    /// Sets of rows that had to stay together.
    pub groups: usize,
    /// Rows of the largest set.
    pub largest_group: usize,
}

impl Dataset {
    /// Divides the rows, about `validation_fraction` of the groups to validation.
    ///
    /// Each group of rows that share pictures is drawn by the smallest hash of its pictures and the seed, so the fraction is met on average only,
    /// and a picture stays on its side when rows with other pictures come or go.
    ///
    /// # Errors
    /// When the fraction is not between 0 and 1.
    pub fn split(&self, validation_fraction: f64, seed: u64) -> Result<Split, DataError> {
        if !(0.0..=1.0).contains(&validation_fraction) {
            return Err(DataError::Fraction { fraction: validation_fraction });
        }
        let mut hashes = FileHashes::default();
        let mut rows = Vec::new();
        let mut keys = Vec::new();
        let mut unusable = Vec::new();
        for (index, row) in self.rows().enumerate() {
            let found = row.and_then(|comparison| {
                let keys = row_keys(&comparison, &mut hashes);
                keys.map_err(|fault| self.error(index, Some(comparison.id), fault))
            });
            match found {
                Ok(found) => {
                    rows.push(index);
                    keys.push(found);
                }
                Err(error) => unusable.push((index, error)),
            }
        }
        let sides = Sides::draw(&keys, validation_fraction, seed);
        let side = |wanted: bool| {
            let rows = rows.iter().zip(&sides.in_validation);
            rows.filter(|(_, side)| **side == wanted).map(|(row, _)| *row).collect()
        };
        let (train, validation) = (side(false), side(true));
        let Sides { groups, largest_group, .. } = sides;
        Ok(Split { train, validation, unusable, groups, largest_group })
    }
}

/// Hash of a picture or of a prompt.
type FileKey = [u8; 32];

/// Hashes of the files that have been read.
#[derive(Default)]
struct FileHashes(HashMap<PathBuf, FileKey>);

impl FileHashes {
    fn hash(&mut self, path: &Path) -> Result<FileKey, RowFault> {
        if let Some(known) = self.0.get(path) {
            return Ok(*known);
        }
        let bytes = fs::read(path).map_err(|error| RowFault::UnreadablePicture {
            name: path.display().to_string(),
            reason: error.to_string(),
        })?;
        let key = *blake3::hash(&bytes).as_bytes();
        self.0.insert(path.to_owned(), key);
        Ok(key)
    }
}

/// Keys of all pictures of a row, or the key of its prompt.
fn row_keys(comparison: &Comparison, hashes: &mut FileHashes) -> Result<Vec<FileKey>, RowFault> {
    let mut keys = Vec::new();
    let messages = comparison.prompt.iter().chain(comparison.responses.iter().flatten());
    for picture in pictures(messages) {
        keys.push(match picture {
            ImageSource::Path(path) => hashes.hash(path)?,
            ImageSource::Bytes { bytes, .. } => *blake3::hash(bytes).as_bytes(),
        });
    }
    if keys.is_empty() {
        keys.push(prompt_key(&comparison.prompt));
    }
    Ok(keys)
}

fn prompt_key(prompt: &[Message]) -> FileKey {
    let mut hasher = blake3::Hasher::new();
    for message in prompt {
        hasher.update(message.role.as_bytes());
        for part in &message.content {
            let Part::Text(text) = part else { continue };
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
    *hasher.finalize().as_bytes()
}

/// The side of each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// Whether the row is held back.
    pub in_validation: Vec<bool>,
    /// Sets of rows that had to stay together.
    pub groups: usize,
    /// Rows of the largest set.
    pub largest_group: usize,
}

impl Sides {
    /// Draws a side for each group of rows that are linked by keys, by the group's smallest key and the seed. A row without a key is a group
    /// of its own that is never held back.
    pub fn draw<const N: usize, R: AsRef<[[u8; N]]>>(
        rows: impl IntoIterator<Item = R>,
        fraction: f64,
        seed: u64,
    ) -> Self {
        let mut numbers: HashMap<[u8; N], usize> = HashMap::new();
        let mut names: Vec<[u8; N]> = Vec::new();
        let mut groups = Groups::default();
        let mut first_keys = Vec::new();
        for row in rows {
            let mut first_key = None;
            for key in row.as_ref() {
                let number = *numbers.entry(*key).or_insert_with(|| {
                    names.push(*key);
                    groups.add()
                });
                groups.join(*first_key.get_or_insert(number), number);
            }
            first_keys.push(first_key);
        }
        let mut smallest = names.clone();
        for (number, name) in names.iter().enumerate() {
            let root = groups.root(number);
            smallest[root] = smallest[root].min(*name);
        }
        let mut sizes = vec![0; names.len()];
        let mut in_validation = Vec::with_capacity(first_keys.len());
        let mut alone = 0;
        for key in first_keys {
            in_validation.push(key.is_some_and(|key| {
                let root = groups.root(key);
                sizes[root] += 1;
                is_drawn(&smallest[root], fraction, seed)
            }));
            alone += usize::from(key.is_none());
        }
        let largest_group = sizes.iter().copied().max().unwrap_or(0).max(alone.min(1));
        let groups = sizes.iter().filter(|size| **size > 0).count() + alone;
        Self { in_validation, groups, largest_group }
    }
}

/// Whether a key is among the given share of all keys, for this seed.
fn is_drawn(key: &[u8], fraction: f64, seed: u64) -> bool {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(key);
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    let number = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    // NUMERICS: 53 bits are exact in f64, so that 1 is never reached and a fraction of 1 draws every key.
    ((number >> 11) as f64) / ((1_u64 << 53) as f64) < fraction
}

/// Disjoint sets, by union and find.
#[derive(Default)]
struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    fn add(&mut self) -> usize {
        self.parents.push(self.parents.len());
        self.parents.len() - 1
    }

    fn root(&mut self, mut member: usize) -> usize {
        while self.parents[member] != member {
            self.parents[member] = self.parents[self.parents[member]];
            member = self.parents[member];
        }
        member
    }

    fn join(&mut self, first: usize, second: usize) {
        let (first, second) = (self.root(first), self.root(second));
        self.parents[first.max(second)] = first.min(second);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u32) -> FileKey {
        *blake3::hash(&number.to_le_bytes()).as_bytes()
    }

    #[test]
    fn the_fraction_is_met_on_average() {
        let keys: Vec<Vec<FileKey>> = (0..4000).map(|number| vec![key(number)]).collect();
        let sides = Sides::draw(&keys, 0.25, 7);
        let held_back = sides.in_validation.iter().filter(|side| **side).count();
        // Six standard deviations of a binomial count around 1000.
        assert!((836..=1164).contains(&held_back), "{held_back}");
        assert_eq!((sides.groups, sides.largest_group), (4000, 1));
        assert!(!Sides::draw(&keys, 0.0, 7).in_validation.contains(&true));
        assert!(!Sides::draw(&keys, 1.0, 7).in_validation.contains(&false));
        assert_ne!(Sides::draw(&keys, 0.25, 8).in_validation, sides.in_validation);
    }

    #[test]
    fn rows_without_keys_stay_alone_and_are_not_held_back() {
        let sides = Sides::draw([vec![key(0)], Vec::new(), Vec::new()], 1.0, 0);
        assert_eq!(sides.in_validation, [true, false, false]);
        assert_eq!((sides.groups, sides.largest_group), (3, 1));
    }

    #[test]
    fn chains_of_shared_pictures_are_one_group() {
        let keys = [vec![key(0), key(1)], vec![key(3)], vec![key(2)], vec![key(2), key(1)]];
        let sides = Sides::draw(&keys, 0.5, 0);
        assert_eq!((sides.groups, sides.largest_group), (2, 3));
    }

    proptest! {
        #[test]
        fn a_split_never_crosses(
            rows in prop::collection::vec(prop::collection::vec(0_u32..40, 1..4), 1..60),
            fraction in 0.0..1.0,
            seed: u64,
        ) {
            let keys: Vec<Vec<FileKey>> =
                rows.iter().map(|row| row.iter().map(|number| key(*number)).collect()).collect();
            let sides = Sides::draw(&keys, fraction, seed);
            for (first, first_side) in rows.iter().zip(&sides.in_validation) {
                for (second, second_side) in rows.iter().zip(&sides.in_validation) {
                    if first.iter().any(|number| second.contains(number)) {
                        prop_assert_eq!(first_side, second_side);
                    }
                }
            }
        }

        #[test]
        fn a_split_does_not_depend_on_the_order_of_the_rows(
            rows in prop::collection::vec(prop::collection::vec(0_u32..40, 1..3), 1..40),
            seed: u64,
        ) {
            let mut keys: Vec<Vec<FileKey>> =
                rows.iter().map(|row| row.iter().map(|number| key(*number)).collect()).collect();
            let mut forward = Sides::draw(&keys, 0.5, seed).in_validation;
            keys.reverse();
            let backward = Sides::draw(&keys, 0.5, seed).in_validation;
            forward.reverse();
            prop_assert_eq!(forward, backward);
        }
    }
}
