//! What a curated set is made of: `manifest.json`, beside its shards.
//!
//! Everything follows from the recipe and the files that were read: it holds no time and nothing of the machine, so that the same curation
//! has the same manifest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ledger::SourceCounts;
use crate::shard::{PicturesWritten, ShardFile, Split};
use crate::unfinished;

/// Name of the manifest in its folder.
pub const MANIFEST_FILE: &str = "manifest.json";

/// Everything that is known of a curated set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the program that wrote it.
    pub version: String,
    /// The recipe with every default written out, as a table.
    pub recipe: serde_json::Value,
    /// BLAKE3 of the recipe, in hexadecimal.
    pub recipe_blake3: String,
    /// Every file that was read, in order.
    pub inputs: Vec<InputFile>,
    /// The sources, in the order of the recipe.
    pub sources: Vec<SourceEntry>,
    /// Benchmarks that were searched for.
    pub decontaminated_against: Vec<SearchedFor>,
    /// How the sources were mixed, in the order of the recipe.
    pub mixture: Vec<MixtureEntry>,
    /// How many rows are on each side.
    pub split: SplitEntry,
    /// The shards, in order.
    pub shards: Vec<ShardFile>,
    /// Distinct pictures.
    pub pictures: PicturesWritten,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// Its source's name in the recipe.
    pub source: String,
    /// Its path, as the recipe leads to it.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub blake3: String,
    /// Its rows, unusable ones included.
    pub rows: u64,
}

/// A source and what became of its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceEntry {
    /// Its name in the recipe.
    pub name: String,
    /// The published set whose schema it has.
    pub format: String,
    /// Where that is published.
    pub home: String,
    /// Its licence.
    pub license: String,
    /// What became of its rows.
    pub counts: SourceCounts,
    /// Its share of the records in the result.
    pub share: f64,
}

/// A benchmark that the set was searched for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchedFor {
    /// Its name.
    pub benchmark: String,
    /// Its rows.
    pub rows: u64,
    /// Hash of its files.
    pub rows_hash: String,
    /// Rows of it that could not be read, and so not be searched for.
    #[serde(default)]
    pub unreadable_rows: u64,
    /// Rows of it whose pictures could not be read, so that they were searched for by their texts alone.
    #[serde(default)]
    pub rows_without_pictures: u64,
    /// Records that overlapped with it.
    pub overlaps: u64,
    /// Those of them that were removed.
    pub removed: u64,
}

/// How a source went into the mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixtureEntry {
    /// The source's name in the recipe.
    pub source: String,
    /// Its weight.
    pub weight: f64,
    /// Records that could be taken.
    pub available: u64,
    /// The share that weight, number and temperature give it.
    pub wanted_share: f64,
    /// Records that were taken; repeated ones once for each time.
    pub taken: u64,
}

/// The two sides of a split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitEntry {
    /// Rows to train on.
    pub train: u64,
    /// Rows held back.
    pub validation: u64,
    /// Sets of records that had to stay together.
    pub groups: u64,
    /// Records of the largest set.
    pub largest_group: u64,
}

/// Manifest that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// There is none.
    #[error(
        "`{}` has no `{MANIFEST_FILE}`; name a folder that `basereward data curate` wrote",
        folder.display()
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// It cannot be opened.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The manifest.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It has another form.
    #[error("`{}` is no manifest of this version: {source}; curate again", path.display())]
    Malformed {
        /// The manifest.
        path: PathBuf,
        /// What is wrong, with the line.
        source: serde_json::Error,
    },
    /// It cannot be written.
    #[error("`{}` cannot be written: {source}", path.display())]
    Unwritable {
        /// The manifest.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Manifest {
    /// Reads the manifest of a folder.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        let path = folder.join(MANIFEST_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ManifestError::Missing { folder: folder.to_owned() });
            }
            Err(source) => return Err(ManifestError::Unreadable { path, source }),
        };
        serde_json::from_str(&text).map_err(|source| ManifestError::Malformed { path, source })
    }

    /// Writes the manifest into its folder, which makes the set whole: it is the last file that is written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ManifestError> {
        let path = folder.join(MANIFEST_FILE);
        let mut text =
            serde_json::to_string_pretty(self).expect("a manifest has only values that JSON has");
        text.push('\n');
        match unfinished::write(&path, text.as_bytes()) {
            Ok(_) => Ok(()),
            Err(source) => Err(ManifestError::Unwritable { path, source }),
        }
    }

    /// Paths of all shards in `folder`, in order.
    pub fn all_shards(&self, folder: &Path) -> Vec<PathBuf> {
        self.shards.iter().map(|shard| folder.join(&shard.name)).collect()
    }

    /// Paths of the shards of a split in `folder`, in order.
    pub fn shards_of(&self, folder: &Path, split: Split) -> Vec<PathBuf> {
        let shards = self.shards.iter().filter(|shard| shard.split == split);
        shards.map(|shard| folder.join(&shard.name)).collect()
    }

    /// Rows of the result.
    pub fn rows(&self) -> u64 {
        self.shards.iter().map(|shard| shard.rows).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ledger::Stage;

    /// Two sources, of which one lost records everywhere.
    pub(crate) fn example() -> Manifest {
        let mut first = SourceCounts {
            rows: 1200,
            comparisons: 1190,
            records: 2380,
            kept: 1500,
            validation: 15,
            flipped: 4,
            ..SourceCounts::default()
        };
        let drops = [
            (Stage::Read, "`chosen` is missing", 10),
            (Stage::Filter, "length", 500),
            (Stage::Duplicates, "exact", 300),
            (Stage::Decontamination, "vl-rewardbench: image", 80),
        ];
        for (stage, reason, count) in drops {
            first.dropped.entry(stage).or_default().insert(reason.to_owned(), count);
        }
        let second = SourceCounts {
            rows: 500,
            comparisons: 500,
            records: 500,
            kept: 500,
            ..SourceCounts::default()
        };
        let source = |name: &str, counts: SourceCounts, share| SourceEntry {
            name: name.to_owned(),
            format: name.to_owned(),
            home: format!("example/{name}"),
            license: "CC-BY-4.0".to_owned(),
            counts,
            share,
        };
        let input = |source: &str, path: &str, rows| InputFile {
            source: source.to_owned(),
            path: path.to_owned(),
            bytes: 3 << 20,
            blake3: blake3::hash(path.as_bytes()).to_hex().to_string(),
            rows,
        };
        let mixed = |source: &str, available, wanted_share| MixtureEntry {
            source: source.to_owned(),
            weight: 1.0,
            available,
            wanted_share,
            taken: available,
        };
        let shard = |split: Split, rows| ShardFile {
            name: format!("{}/00000.parquet", split.name()),
            split,
            rows,
            bytes: 12_345,
            blake3: blake3::hash(split.name().as_bytes()).to_hex().to_string(),
        };
        Manifest {
            version: "0.1.0".to_owned(),
            recipe: serde_json::json!({"seed": 7}),
            recipe_blake3: blake3::hash(b"recipe").to_hex().to_string(),
            inputs: vec![
                input("pictures", "data/one.parquet", 700),
                input("pictures", "data/two.parquet", 500),
                input("texts", "data/texts.jsonl", 500),
            ],
            sources: vec![source("pictures", first, 0.75), source("texts", second, 0.25)],
            decontaminated_against: vec![SearchedFor {
                benchmark: "vl-rewardbench".to_owned(),
                rows: 1250,
                rows_hash: blake3::hash(b"rows").to_hex().to_string(),
                overlaps: 80,
                removed: 80,
                ..SearchedFor::default()
            }],
            mixture: vec![mixed("pictures", 1500, 0.75), mixed("texts", 500, 0.25)],
            split: SplitEntry { train: 1985, validation: 15, groups: 900, largest_group: 31 },
            shards: vec![shard(Split::Train, 1985), shard(Split::Validation, 15)],
            pictures: PicturesWritten { distinct: 900, bytes: 5_000_000 },
        }
    }

    #[test]
    fn a_manifest_is_read_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = example();
        manifest.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
        assert_eq!(
            manifest.shards_of(folder.path(), Split::Validation),
            [folder.path().join("validation/00000.parquet")]
        );
        assert_eq!(manifest.rows(), 2000);
    }

    #[test]
    fn a_folder_without_a_manifest_and_a_damaged_manifest_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = || Manifest::read(folder.path()).unwrap_err().to_string();
        let missing = refusal();
        assert!(
            missing.ends_with("name a folder that `basereward data curate` wrote"),
            "{missing}"
        );
        fs::write(folder.path().join(MANIFEST_FILE), "{\n  \"version\": 3}").unwrap();
        assert!(
            refusal().contains("is no manifest of this version: invalid type"),
            "{}",
            refusal()
        );
        assert!(refusal().contains("line 2"), "{}", refusal());
    }
}
