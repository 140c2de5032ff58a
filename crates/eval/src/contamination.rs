//! Whether a model was trained on a benchmark's rows, as far as the manifests of its training data say.
//!
//! Only a manifest that names the very files of the benchmark makes it clean. No rows are compared here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use curate::manifest::{MANIFEST_FILE, SearchedFor};
use serde::{Deserialize, Serialize};

use crate::evaluation::Note;

/// What is known of a model's training on a benchmark's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Contamination {
    /// Every part of the training data was searched for these rows, and what was found was removed.
    #[serde(rename = "clean")]
    Clean,
    /// The training data is named, but its manifests do not say that it is clean of these rows.
    #[serde(rename = "not shown")]
    NotShown,
    /// The training data is not named.
    #[default]
    #[serde(rename = "unknown")]
    Unknown,
}

/// What is read of a manifest.
#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    decontaminated_against: Vec<SearchedFor>,
}

/// Why training data is not shown to be clean of a benchmark.
#[derive(Debug, thiserror::Error)]
pub enum NotClean {
    /// Files that say nothing of how they were made.
    #[error("`{}` has no `{MANIFEST_FILE}` of `basereward data curate`", path.display())]
    NoManifest {
        /// The training data.
        path: PathBuf,
    },
    /// A manifest that cannot be opened.
    #[error("`{}` cannot be read: {source}", file.display())]
    Unreadable {
        /// The manifest.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of another form.
    #[error("`{}` is no manifest of `basereward data curate`: {source}", file.display())]
    Malformed {
        /// The manifest.
        file: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The benchmark is not in the manifest.
    #[error("`{}` does not name `{benchmark}`", file.display())]
    NotNamed {
        /// The manifest.
        file: PathBuf,
        /// The benchmark.
        benchmark: String,
    },
    /// The manifest is about other rows.
    #[error(
        "`{}` names `{benchmark}` with other files: their BLAKE3 is `{named}`, that of the evaluated ones `{evaluated}`",
        file.display()
    )]
    OtherFiles {
        /// The manifest.
        file: PathBuf,
        /// The benchmark.
        benchmark: String,
        /// Hash in the manifest.
        named: String,
        /// Hash of the files that are evaluated.
        evaluated: String,
    },
    /// Rows of the benchmark were not searched for.
    #[error(
        "`{}` was made with {unreadable} unreadable rows of `{benchmark}`, and {without_pictures} whose pictures could not be read",
        file.display()
    )]
    NotSearched {
        /// The manifest.
        file: PathBuf,
        /// The benchmark.
        benchmark: String,
        /// Rows that could not be read.
        unreadable: u64,
        /// Rows that were searched for by their texts alone.
        without_pictures: u64,
    },
    /// Rows of the benchmark are still in the data.
    #[error("of {overlaps} overlaps with `{benchmark}`, `{}` has only {removed} removed", file.display())]
    OverlapsKept {
        /// The manifest.
        file: PathBuf,
        /// The benchmark.
        benchmark: String,
        /// Training rows that overlapped.
        overlaps: u64,
        /// Those that were removed.
        removed: u64,
    },
}

/// What the training data says of a benchmark whose files have the hash `rows_hash`, and the sentence for the reports.
pub fn judge(training: &[PathBuf], benchmark: &str, rows_hash: &str) -> (Contamination, Note) {
    if training.is_empty() {
        let text = "Whether the model was trained on these rows is unknown; curate its training data with `basereward data curate` \
                    against this benchmark, and name the folder with --training-data.";
        return (Contamination::Unknown, Note { is_warning: false, text: text.to_owned() });
    }
    let searched: Result<Vec<SearchedFor>, NotClean> =
        training.iter().map(|path| searched_for(path, benchmark, rows_hash)).collect();
    match searched {
        Ok(searched) => {
            let removed: u64 = searched.iter().map(|one| one.removed).sum();
            let text = format!(
                "The training data is clean of these rows, as its manifest says: it was searched for them, and all overlaps \
                 ({removed}) were removed."
            );
            (Contamination::Clean, Note { is_warning: false, text })
        }
        Err(reason) => {
            let text = format!(
                "The training data is not shown to be without these rows: {reason}. Curate it with `basereward data curate` \
                 against the files that are evaluated."
            );
            (Contamination::NotShown, Note { is_warning: true, text })
        }
    }
}

/// The manifest's entry for a benchmark, when it makes the data clean.
fn searched_for(path: &Path, benchmark: &str, rows_hash: &str) -> Result<SearchedFor, NotClean> {
    let file = path.join(MANIFEST_FILE);
    if !file.is_file() {
        return Err(NotClean::NoManifest { path: path.to_owned() });
    }
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(source) => return Err(NotClean::Unreadable { file, source }),
    };
    let manifest: Manifest = match serde_json::from_str(&text) {
        Ok(manifest) => manifest,
        Err(source) => return Err(NotClean::Malformed { file, source }),
    };
    let benchmark = benchmark.to_owned();
    let mut named: Vec<SearchedFor> = manifest.decontaminated_against;
    named.retain(|one| one.benchmark == benchmark);
    let Some(first) = named.first() else { return Err(NotClean::NotNamed { file, benchmark }) };
    let (named_hash, evaluated) = (first.rows_hash.clone(), rows_hash.to_owned());
    let Some(found) = named.into_iter().find(|one| one.rows_hash == rows_hash) else {
        return Err(NotClean::OtherFiles { file, benchmark, named: named_hash, evaluated });
    };
    let (unreadable, without_pictures) = (found.unreadable_rows, found.rows_without_pictures);
    if unreadable + without_pictures > 0 {
        return Err(NotClean::NotSearched { file, benchmark, unreadable, without_pictures });
    }
    let SearchedFor { overlaps, removed, .. } = found;
    if removed == overlaps {
        Ok(found)
    } else {
        Err(NotClean::OverlapsKept { file, benchmark, overlaps, removed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "00ff";

    fn folder(manifest: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MANIFEST_FILE), manifest).unwrap();
        folder
    }

    fn entry(benchmark: &str, hash: &str, overlaps: u64, removed: u64) -> String {
        let rows = 1250;
        let entry = SearchedFor {
            benchmark: benchmark.to_owned(),
            rows,
            rows_hash: hash.to_owned(),
            overlaps,
            removed,
            ..SearchedFor::default()
        };
        serde_json::to_string(&entry).unwrap()
    }

    fn naming(entries: &[String]) -> tempfile::TempDir {
        folder(&format!(r#"{{"seed": 1, "decontaminated_against": [{}]}}"#, entries.join(", ")))
    }

    fn judged(folders: &[&tempfile::TempDir]) -> (Contamination, bool, String) {
        let paths: Vec<PathBuf> = folders.iter().map(|folder| folder.path().to_owned()).collect();
        let (contamination, note) = judge(&paths, "vl-rewardbench", HASH);
        (contamination, note.is_warning, note.text)
    }

    #[test]
    fn without_training_data_nothing_is_known_and_the_sentence_says_what_to_do() {
        let (contamination, is_warning, text) = judged(&[]);
        assert_eq!((contamination, is_warning), (Contamination::Unknown, false));
        assert!(text.contains("trained on these rows is unknown"), "{text}");
        assert!(text.contains("--training-data"), "{text}");
    }

    #[test]
    fn only_manifests_that_name_the_same_files_and_keep_no_overlap_make_data_clean() {
        let clean = naming(&[
            entry("rewardbench", "aa", 3, 1),
            entry("vl-rewardbench", "other part", 9, 0),
            entry("vl-rewardbench", HASH, 12, 12),
        ]);
        let (contamination, is_warning, text) = judged(&[&clean]);
        assert_eq!((contamination, is_warning), (Contamination::Clean, false));
        assert!(text.contains("all overlaps (12) were removed"), "{text}");
        assert_eq!(judged(&[&clean, &clean]).0, Contamination::Clean);

        for (entries, reason) in [
            (vec![], "does not name `vl-rewardbench`"),
            (vec![entry("rewardbench", HASH, 0, 0)], "does not name `vl-rewardbench`"),
            (vec![entry("vl-rewardbench", "aa", 0, 0)], "with other files: their BLAKE3 is `aa`"),
            (vec![entry("vl-rewardbench", HASH, 12, 11)], "of 12 overlaps"),
        ] {
            let other = naming(&entries);
            for folders in [vec![&other], vec![&clean, &other]] {
                let (contamination, is_warning, text) = judged(&folders);
                assert_eq!((contamination, is_warning), (Contamination::NotShown, true), "{text}");
                assert!(text.contains(reason), "{text}");
            }
        }
    }

    #[test]
    fn data_without_a_manifest_and_a_damaged_manifest_show_nothing() {
        let empty = tempfile::tempdir().unwrap();
        let (contamination, _, text) = judged(&[&empty]);
        assert_eq!(contamination, Contamination::NotShown);
        assert!(text.contains("has no `manifest.json`"), "{text}");
        for damaged in ["", "3", r#"{"decontaminated_against": [{"benchmark": "vl-rewardbench"}]}"#]
        {
            let (contamination, _, text) = judged(&[&folder(damaged)]);
            assert_eq!(contamination, Contamination::NotShown, "{damaged}");
            assert!(text.contains("is no manifest"), "{damaged}: {text}");
        }
        // Of a manifest without the key nothing is known but that it names no benchmark.
        assert!(judged(&[&folder("{}")]).2.contains("does not name"));
    }

    #[test]
    fn the_words_of_the_result_are_those_of_the_file() {
        let words = [Contamination::Clean, Contamination::NotShown, Contamination::Unknown]
            .map(|one| serde_json::to_string(&one).unwrap());
        assert_eq!(words, [r#""clean""#, r#""not shown""#, r#""unknown""#]);
    }
}
