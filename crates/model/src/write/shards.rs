//! Streams tensors into safetensors shards with an index.
//!
//! The header of a safetensors file comes before its data, so a plan of all names, types and shapes
//! is given first, and the bytes are asked for one tensor after the other.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use serde_json::{Map, Value, json};

use super::{write_error, write_json};
use crate::{
    checkpoint::{INDEX_FILE, SINGLE_FILE, StorageType},
    error::WriteError,
};

/// Largest shard, the size that transformers 4 wrote by default.
pub const MAX_SHARD_BYTES: u64 = 5_000_000_000;
/// The header's length is brought to a multiple of this, so that the data is aligned.
const HEADER_ALIGNMENT: usize = 8;
/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// A tensor whose bytes will follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTensor {
    /// Name in the file.
    pub name: String,
    /// Number type in the file.
    pub storage_type: StorageType,
    /// Sizes, outer to inner.
    pub shape: Vec<usize>,
}

impl PlannedTensor {
    fn size_bytes(&self) -> u64 {
        (self.shape.iter().product::<usize>() * self.storage_type.size_bytes()) as u64
    }
}

/// Which shard holds a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Name in the file.
    pub tensor: String,
    /// The shard's file name.
    pub shard: String,
    /// Bytes of the tensor.
    pub size_bytes: u64,
}

/// Writes tensors into as few shards as the limit allows, with an index where there are several.
///
/// `fill` gets a tensor's place in the plan and writes its bytes, little endian.
///
/// # Errors
/// Whatever the operating system or `fill` says, and a tensor that gets another number of bytes
/// than planned.
pub fn write_shards(
    folder: &Path,
    plan: &[PlannedTensor],
    max_shard_bytes: u64,
    mut fill: impl FnMut(usize, &mut dyn Write) -> io::Result<()>,
) -> Result<Vec<Placement>, WriteError> {
    let groups = group(plan, max_shard_bytes);
    let mut placements = Vec::new();
    let mut first = 0;
    for (shard_idx, group) in groups.iter().enumerate() {
        let shard = shard_name(shard_idx, groups.len());
        write_shard(&folder.join(&shard), group, |tensor_idx, sink| {
            fill(first + tensor_idx, sink)
        })?;
        placements.extend(group.iter().map(|tensor| Placement {
            tensor: tensor.name.clone(),
            shard: shard.clone(),
            size_bytes: tensor.size_bytes(),
        }));
        first += group.len();
    }
    if groups.len() > 1 {
        let size_bytes = placements.iter().map(|placement| placement.size_bytes).sum();
        write_index(folder, &placements, size_bytes)?;
    }
    Ok(placements)
}

/// Writes the index that says which shard holds which tensor.
pub(super) fn write_index(
    folder: &Path,
    placements: &[Placement],
    total_size_bytes: u64,
) -> Result<(), WriteError> {
    let weight_map: Map<String, Value> = placements
        .iter()
        .map(|placement| (placement.tensor.clone(), json!(placement.shard)))
        .collect();
    let index = json!({ "metadata": { "total_size": total_size_bytes }, "weight_map": weight_map });
    write_json(&folder.join(INDEX_FILE), &index)
}

/// Writes one safetensors file.
pub(super) fn write_shard(
    file: &Path,
    plan: &[PlannedTensor],
    mut fill: impl FnMut(usize, &mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    let mut write = || {
        let order = aligned_order(plan);
        let mut sink = BufWriter::with_capacity(BUFFER_BYTES, File::create_new(file)?);
        sink.write_all(&header(plan, &order))?;
        for tensor_idx in order {
            let tensor = &plan[tensor_idx];
            let mut counted = Counted { sink: &mut sink, written: 0 };
            fill(tensor_idx, &mut counted)?;
            let (written, planned) = (counted.written, tensor.size_bytes());
            if written != planned {
                let name = &tensor.name;
                let fact = format!("`{name}` got {written} bytes instead of {planned}");
                return Err(io::Error::other(fact));
            }
        }
        sink.flush()
    };
    write().map_err(|source| write_error(file, source))
}

/// Cuts the plan into consecutive runs; a tensor above the limit has a shard of its own.
fn group(plan: &[PlannedTensor], max_shard_bytes: u64) -> Vec<&[PlannedTensor]> {
    let mut groups = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    for (tensor_idx, tensor) in plan.iter().enumerate() {
        if tensor_idx > start && bytes + tensor.size_bytes() > max_shard_bytes {
            groups.push(&plan[start..tensor_idx]);
            start = tensor_idx;
            bytes = 0;
        }
        bytes += tensor.size_bytes();
    }
    groups.push(&plan[start..]);
    groups
}

fn shard_name(shard_idx: usize, num_shards: usize) -> String {
    if num_shards == 1 {
        return SINGLE_FILE.to_owned();
    }
    format!("model-{:05}-of-{num_shards:05}.safetensors", shard_idx + 1)
}

/// Wider number types first, so that every tensor begins at a multiple of its own width.
fn aligned_order(plan: &[PlannedTensor]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..plan.len()).collect();
    order.sort_by_key(|tensor_idx| std::cmp::Reverse(plan[*tensor_idx].storage_type.size_bytes()));
    order
}

fn header(plan: &[PlannedTensor], order: &[usize]) -> Vec<u8> {
    let mut entries = Map::new();
    // transformers refuses files without this mark.
    entries.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut offset = 0;
    for tensor_idx in order {
        let tensor = &plan[*tensor_idx];
        let end = offset + tensor.size_bytes();
        let entry = json!({
            "dtype": tensor.storage_type.name(),
            "shape": tensor.shape,
            "data_offsets": [offset, end],
        });
        entries.insert(tensor.name.clone(), entry);
        offset = end;
    }
    let mut text = Value::Object(entries).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(HEADER_ALIGNMENT), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.extend(text);
    header
}

/// Counts the bytes on their way.
struct Counted<'a> {
    sink: &'a mut dyn Write,
    written: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.sink.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
