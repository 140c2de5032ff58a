//! One memory-mapped safetensors file: its header, and the bytes of each tensor.
//!
//! The only place of this crate that maps files. Names are left as they are written.
#![expect(unsafe_code, reason = "mapping a file and giving its pages back are unsafe calls")]

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::error::LoadError;

/// First line of the small text file that stands for a large one until `git lfs pull`.
const GIT_LFS_MARK: &[u8] = b"version https://git-lfs";
/// Bytes of the header's length at the start of a safetensors file.
const LENGTH_BYTES: usize = 8;

/// A mapped weight file.
#[derive(Debug)]
pub(super) struct MappedFile {
    path: PathBuf,
    map: Mmap,
    tensors: Vec<FileTensor>,
}

/// One tensor as its file's header describes it.
#[derive(Debug, Clone)]
pub(super) struct FileTensor {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) stored_as: Dtype,
    /// From the start of the file.
    pub(super) offset: usize,
    pub(super) size_bytes: usize,
}

/// The bytes of one tensor, and the means to give their memory back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'a> {
    file: &'a MappedFile,
    offset: usize,
    size_bytes: usize,
}

impl MappedFile {
    /// Maps a file and checks its header against its length.
    pub(super) fn open(path: PathBuf) -> Result<Self, LoadError> {
        let map = match File::open(&path).and_then(|file| map_file(&file)) {
            Ok(map) => map,
            Err(source) => return Err(LoadError::Read { file: path, source }),
        };
        if map.starts_with(GIT_LFS_MARK) {
            return Err(LoadError::GitLfsPointer { file: path });
        }
        let (header_bytes, metadata) = match SafeTensors::read_metadata(&map) {
            Ok(parsed) => parsed,
            Err(error) => return Err(header_error(path, &map, &error)),
        };
        let data_start = LENGTH_BYTES + header_bytes;
        let mut tensors: Vec<FileTensor> = metadata
            .tensors()
            .into_iter()
            .map(|(name, info)| FileTensor {
                name,
                shape: info.shape.clone(),
                stored_as: info.dtype,
                offset: data_start + info.data_offsets.0,
                size_bytes: info.data_offsets.1 - info.data_offsets.0,
            })
            .collect();
        tensors.sort_by(|one, other| (one.offset, &one.name).cmp(&(other.offset, &other.name)));
        Ok(Self { path, map, tensors })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The tensors in the order of their bytes.
    pub(super) fn tensors(&self) -> &[FileTensor] {
        &self.tensors
    }

    pub(super) fn span(&self, offset: usize, size_bytes: usize) -> Span<'_> {
        Span { file: self, offset, size_bytes }
    }
}

impl<'a> Span<'a> {
    pub(super) fn bytes(&self) -> &'a [u8] {
        &self.file.map[self.offset..self.offset + self.size_bytes]
    }

    /// Asks the kernel for all pages at once: reading them one by one costs a fault for every few.
    pub(super) fn prefetch(&self) {
        #[cfg(target_os = "linux")]
        if self.size_bytes > 0 {
            let map = &self.file.map;
            // Only advice: older kernels refuse it, and the pages come as they are read.
            drop(map.advise_range(memmap2::Advice::PopulateRead, self.offset, self.size_bytes));
        }
    }

    /// Tells the kernel that these pages are not needed in memory; reading them again is allowed.
    pub(super) fn release(&self) {
        #[cfg(unix)]
        if self.size_bytes > 0 {
            // SAFETY: the mapping is read-only and backed by a file, so a dropped page is read from the
            // file again with the same bytes. Nothing can have been written to it.
            let advised = unsafe {
                self.file.map.unchecked_advise_range(
                    memmap2::UncheckedAdvice::DontNeed,
                    self.offset,
                    self.size_bytes,
                )
            };
            // Only advice: when it is refused, the memory stays in use and the result is the same.
            drop(advised);
        }
    }
}

/// The type's name in a safetensors header.
pub(super) fn dtype_name(stored_as: Dtype) -> &'static str {
    match stored_as {
        Dtype::BOOL => "BOOL",
        Dtype::U8 => "U8",
        Dtype::I8 => "I8",
        Dtype::I16 => "I16",
        Dtype::U16 => "U16",
        Dtype::F16 => "F16",
        Dtype::BF16 => "BF16",
        Dtype::I32 => "I32",
        Dtype::U32 => "U32",
        Dtype::F32 => "F32",
        Dtype::F64 => "F64",
        Dtype::I64 => "I64",
        Dtype::U64 => "U64",
        Dtype::F8_E4M3 => "F8_E4M3",
        Dtype::F8_E5M2 => "F8_E5M2",
        _ => "another type",
    }
}

fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is only read, as bytes, for which every value is valid. A model file that is
    // truncated or rewritten while it is in use can end the process or change the weights; this is the
    // common contract of every loader that maps model files.
    unsafe { Mmap::map(file) }
}

/// Tells a file of the wrong length, which the reader's own error only implies, from a corrupt one.
fn header_error(file: PathBuf, bytes: &[u8], error: &SafeTensorError) -> LoadError {
    let found_bytes = bytes.len() as u64;
    match expected_length(bytes) {
        Some(expected_bytes) if expected_bytes != found_bytes => {
            LoadError::WrongFileLength { file, expected_bytes, found_bytes }
        }
        _ => LoadError::CorruptSafetensors { file, reason: error.to_string() },
    }
}

/// The file's length by its own header, as far as the header can be read.
fn expected_length(bytes: &[u8]) -> Option<u64> {
    /// Headers above 100 MB are refused by the safetensors crate, too.
    const MAX_HEADER_BYTES: u64 = 100_000_000;
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else {
        return Some(LENGTH_BYTES as u64);
    };
    let header_bytes = u64::from_le_bytes(*length);
    if header_bytes > MAX_HEADER_BYTES {
        return None;
    }
    let data_start = LENGTH_BYTES as u64 + header_bytes;
    let Some(header) = bytes.get(LENGTH_BYTES..data_start as usize) else {
        return Some(data_start);
    };
    let header: serde_json::Value = serde_json::from_slice(header).ok()?;
    let ends = header.as_object()?.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    data_start.checked_add(ends.max().unwrap_or(0))
}
