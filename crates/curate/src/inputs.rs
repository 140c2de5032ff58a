//! The files of all sources: opened, counted, hashed, and divided into chunks of rows that are read independently of each other.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use data::sources::{Source, SourceFile, SourceRows};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::CurateError;
use crate::recipe::{CurationRecipe, SourceRecipe};

/// Rows of a chunk. A chunk is the unit of parallel work and of resuming.
const CHUNK_ROWS: usize = 4096;

/// All files that a recipe names.
pub(crate) struct Inputs {
    /// Files in the order of the recipe.
    pub(crate) files: Vec<InputFile>,
    /// Chunks in the order of reading.
    pub(crate) chunks: Vec<Chunk>,
}

/// A file of a source.
pub(crate) struct InputFile {
    /// Index of its source in the recipe.
    pub(crate) source: usize,
    pub(crate) rows: SourceRows,
    pub(crate) about: FileIdentity,
}

/// What a file is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileIdentity {
    /// Path as it was found.
    pub(crate) path: String,
    /// Its size.
    pub(crate) size_bytes: u64,
    /// BLAKE3 hash of its bytes.
    pub(crate) blake3: String,
    /// Its rows.
    pub(crate) rows: u64,
}

/// Rows of one file that are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) file: usize,
    pub(crate) rows: Range<usize>,
}

impl Inputs {
    /// Opens and hashes all files.
    pub(crate) fn open(recipe: &CurationRecipe) -> Result<Self, CurateError> {
        let mut named = Vec::new();
        for (index, source) in recipe.source.iter().enumerate() {
            named.extend(files_of(source)?.into_iter().map(|file| (index, file)));
        }
        let files: Vec<InputFile> = named
            .into_par_iter()
            .map(|(index, file)| open(index, &recipe.source[index], &file))
            .collect::<Result<_, _>>()?;
        let chunks =
            files.iter().enumerate().flat_map(|(index, file)| chunks_of(index, &file.rows));
        Ok(Self { chunks: chunks.collect(), files })
    }
}

fn files_of(recipe: &SourceRecipe) -> Result<Vec<SourceFile>, CurateError> {
    let source = Source::named(&recipe.format).expect("the recipe has been checked");
    let mut files = Vec::new();
    for path in &recipe.path {
        files.extend((source.files)(path).map_err(|error| fault(recipe, error))?);
    }
    if let Some(image_dir) = &recipe.image_dir {
        for file in &mut files {
            file.image_dir.clone_from(image_dir);
        }
    }
    Ok(files)
}

fn open(index: usize, recipe: &SourceRecipe, file: &SourceFile) -> Result<InputFile, CurateError> {
    let source = Source::named(&recipe.format).expect("the recipe has been checked");
    let rows = SourceRows::open(source, file).map_err(|error| fault(recipe, error))?;
    let (size_bytes, blake3) = hash_file(&file.path).map_err(CurateError::reading(&file.path))?;
    let path = file.path.display().to_string();
    let about = FileIdentity { path, size_bytes, blake3, rows: rows.len() as u64 };
    Ok(InputFile { source: index, rows, about })
}

fn fault(recipe: &SourceRecipe, error: data::DataError) -> CurateError {
    CurateError::Source { source_name: recipe.label().to_owned(), error }
}

/// Rows that belong together are never divided; then a file is one chunk.
fn chunks_of(file: usize, rows: &SourceRows) -> Vec<Chunk> {
    let size = if rows.is_divisible() { CHUNK_ROWS } else { rows.len() };
    let chunk = |start| Chunk { file, rows: start..(start + size).min(rows.len()) };
    (0..rows.len()).step_by(size).map(chunk).collect()
}

/// Size and BLAKE3 hash of a file.
pub(crate) fn hash_file(path: &Path) -> io::Result<(u64, String)> {
    let mut hasher = blake3::Hasher::new();
    let size =
        io::copy(&mut io::BufReader::with_capacity(1 << 18, File::open(path)?), &mut hasher)?;
    Ok((size, hasher.finalize().to_hex().to_string()))
}
