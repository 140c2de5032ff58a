//! The weights of a model folder: every tensor by its canonical name, read strictly.
//!
//! Shards are memory-mapped, and a tensor is converted only when it is asked for. The reader keeps
//! account of what was asked, so that [`Checkpoint::finish`] can refuse what nothing used. A
//! checkpoint can also hold random weights that exist nowhere ([`Checkpoint::random`]); they are
//! made on the fly by the same calls. What the tensors mean is not known here.

mod files;
mod mapped;
mod names;
mod random;
mod tensor;
#[cfg(test)]
pub(crate) mod testing;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

pub(crate) use self::files::{INDEX_FILE, SINGLE_FILE};
use self::mapped::MappedFile;
pub use self::{
    names::{LM_HEAD, canonical_name, published_name, tensor_shapes},
    tensor::{StorageType, Tensor},
};
use crate::{
    config::{Config, RewardHeadConfig},
    error::LoadError,
};

/// How many tensors an error lists by name.
const LISTED: usize = 5;

/// The weights of one model.
#[derive(Debug)]
pub struct Checkpoint {
    folder: PathBuf,
    files: Vec<MappedFile>,
    /// In the order of the files, and inside of a file in the order of its bytes.
    entries: Vec<Entry>,
    by_name: BTreeMap<String, usize>,
}

/// One tensor of the checkpoint.
#[derive(Debug)]
struct Entry {
    name: String,
    original_name: String,
    shape: Vec<usize>,
    data: Data,
    asked: AtomicBool,
}

/// Where the numbers of a tensor come from.
#[derive(Debug)]
enum Data {
    /// Bytes of a mapped file.
    Mapped { file_idx: usize, stored_as: safetensors::Dtype, offset: usize, size_bytes: usize },
    /// Numbers that are computed from a seed.
    Random { generator: random::Generator, storage_type: StorageType },
}

/// What is known of a tensor without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// Canonical name.
    pub name: &'a str,
    /// Name as written in the file.
    pub original_name: &'a str,
    /// Sizes, outer to inner.
    pub shape: &'a [usize],
    /// Number type as safetensors names it, such as `BF16`; types that cannot be loaded are named, too.
    pub stored_as: &'a str,
    /// File that holds it; none for random weights.
    pub file: Option<&'a Path>,
    /// Bytes in the file, or that it would have there.
    pub size_bytes: u64,
}

impl Checkpoint {
    /// Maps all weight files of a folder and brings the tensor names to the form of transformers 5.
    ///
    /// Reads `model.safetensors`, or `model.safetensors.index.json` with its shards, and besides
    /// `value_head.safetensors` where that lies beside them. No tensor is read yet.
    ///
    /// # Errors
    /// Missing, truncated or corrupt files, an index that contradicts its shards, one tensor under
    /// two names, pickles, Git LFS pointers and adapters that are not merged.
    pub fn open(folder: &Path) -> Result<Self, LoadError> {
        let mut checkpoint = Self::empty(folder.to_owned());
        for file in files::open_all(folder)? {
            checkpoint.add_file(file)?;
        }
        Ok(checkpoint)
    }

    /// Random weights for a whole reward model, without any file.
    ///
    /// The numbers depend on the seed and on each tensor's name only. The backbone has
    /// `storage_type`, the head is f32. Matrices are normal with the deviation
    /// [`Config::initializer_range`] (for the head see [`Checkpoint::random_head`]), norms are ones, biases
    /// zeros.
    pub fn random(
        config: &Config,
        head: &RewardHeadConfig,
        seed: u64,
        storage_type: StorageType,
    ) -> Self {
        let mut checkpoint = Self::random_head(head, config.text.hidden_size, seed);
        let deviation = config.initializer_range;
        for (name, shape) in tensor_shapes(config) {
            let generator = random::Generator::for_backbone(seed, &name, &shape, deviation);
            checkpoint.add_random(name, shape, generator, storage_type);
        }
        checkpoint
    }

    /// Random weights for a reward head alone, in f32.
    ///
    /// Each matrix is normal with deviation `1 / sqrt(inputs + 1)`, biases are zero.
    ///
    /// # Source
    /// Stiennon et al. 2020, arXiv 2009.01325, for the linear head; Huang et al. 2024,
    /// arXiv 2403.17031, spells out that it is the deviation and not the variance. The same rule is
    /// used for every layer.
    pub fn random_head(head: &RewardHeadConfig, backbone_hidden_size: usize, seed: u64) -> Self {
        let mut checkpoint = Self::empty(PathBuf::from("(random weights)"));
        for (name, shape) in crate::head_layout::tensor_shapes(head, backbone_hidden_size) {
            let generator = random::Generator::for_head(seed, &name, &shape);
            checkpoint.add_random(name, shape, generator, StorageType::F32);
        }
        checkpoint
    }

    /// A random matrix `[rows, cols]`, row-major, by the rule of [`Checkpoint::random_head`].
    pub(crate) fn random_matrix(seed: u64, name: &str, rows: usize, cols: usize) -> Vec<f32> {
        let mut values = vec![0.0; rows * cols];
        random::Generator::for_head(seed, name, &[rows, cols]).fill(0, &mut values);
        values
    }

    fn empty(folder: PathBuf) -> Self {
        Self { folder, files: Vec::new(), entries: Vec::new(), by_name: BTreeMap::new() }
    }

    /// The folder, for messages.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The weight files in use.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(MappedFile::path)
    }

    /// Bytes of all tensors.
    pub fn size_bytes(&self) -> u64 {
        self.infos().map(|info| info.size_bytes).sum()
    }

    /// Everything that is known without reading, in file order.
    pub fn infos(&self) -> impl Iterator<Item = TensorInfo<'_>> {
        self.entries.iter().map(|entry| self.info(entry))
    }

    /// Canonical names, in file order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// Whether a tensor of this canonical name is there. Does not count as asking for it.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The shape of a tensor, where it is there. Does not count as asking for it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.by_name.get(name).map(|entry_idx| self.entries[*entry_idx].shape.as_slice())
    }

    /// Hands out a tensor that must have exactly this shape.
    ///
    /// # Errors
    /// A missing or misshapen tensor, or one whose number type is not F32, F16 or BF16.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>, LoadError> {
        let Some(entry_idx) = self.by_name.get(name) else {
            return Err(LoadError::MissingTensor {
                folder: self.folder.clone(),
                name: name.to_owned(),
                expected: shape.to_vec(),
            });
        };
        let entry = &self.entries[*entry_idx];
        entry.asked.store(true, Ordering::Relaxed);
        if entry.shape != shape {
            return Err(LoadError::MisshapenTensor {
                name: entry.original_name.clone(),
                file: self.file_of(entry).to_owned(),
                expected: shape.to_vec(),
                found: entry.shape.clone(),
            });
        }
        self.open_tensor(entry)
    }

    /// Accepts a tensor that the model has but a reward never needs. It may be absent.
    ///
    /// # Errors
    /// A misshapen tensor, which shows that the weights are those of another model.
    pub fn skip(&self, name: &str, shape: &[usize]) -> Result<(), LoadError> {
        if self.contains(name) { self.tensor(name, shape).map(drop) } else { Ok(()) }
    }

    /// Checks that every tensor of the folder was asked for.
    ///
    /// # Errors
    /// Tensors that nothing used, the first few by name.
    pub fn finish(&self) -> Result<(), LoadError> {
        let unused: Vec<&str> = self
            .entries
            .iter()
            .filter(|entry| !entry.asked.load(Ordering::Relaxed))
            .map(|entry| entry.original_name.as_str())
            .collect();
        if unused.is_empty() {
            return Ok(());
        }
        Err(LoadError::UnexpectedTensors {
            folder: self.folder.clone(),
            count: unused.len(),
            listed: listed(&unused),
        })
    }

    fn add_file(&mut self, file: MappedFile) -> Result<(), LoadError> {
        let file_idx = self.files.len();
        let found = file.tensors().to_vec();
        self.files.push(file);
        for tensor in found {
            self.add(Entry {
                name: canonical_name(&tensor.name),
                original_name: tensor.name,
                shape: tensor.shape,
                data: Data::Mapped {
                    file_idx,
                    stored_as: tensor.stored_as,
                    offset: tensor.offset,
                    size_bytes: tensor.size_bytes,
                },
                asked: AtomicBool::new(false),
            })?;
        }
        Ok(())
    }

    fn add(&mut self, entry: Entry) -> Result<(), LoadError> {
        let entry_idx = self.entries.len();
        if let Some(first_idx) = self.by_name.insert(entry.name.clone(), entry_idx) {
            let first = &self.entries[first_idx];
            return Err(LoadError::DuplicateTensor {
                first: first.original_name.clone(),
                first_file: self.file_of(first).to_owned(),
                second_file: self.file_of(&entry).to_owned(),
                second: entry.original_name,
                name: entry.name,
            });
        }
        self.entries.push(entry);
        Ok(())
    }

    fn add_random(
        &mut self,
        name: String,
        shape: Vec<usize>,
        generator: random::Generator,
        storage_type: StorageType,
    ) {
        let data = Data::Random { generator, storage_type };
        let asked = AtomicBool::new(false);
        self.add(Entry { original_name: name.clone(), name, shape, data, asked })
            .expect("the architecture and the head name each tensor once");
    }

    fn file_of(&self, entry: &Entry) -> &Path {
        match entry.data {
            Data::Mapped { file_idx, .. } => self.files[file_idx].path(),
            Data::Random { .. } => &self.folder,
        }
    }

    fn info<'a>(&'a self, entry: &'a Entry) -> TensorInfo<'a> {
        let count = entry.shape.iter().product::<usize>();
        let (stored_as, file, size_bytes) = match &entry.data {
            Data::Mapped { file_idx, stored_as, size_bytes, .. } => {
                (mapped::dtype_name(*stored_as), Some(self.files[*file_idx].path()), *size_bytes)
            }
            Data::Random { storage_type, .. } => {
                (storage_type.name(), None, count * storage_type.size_bytes())
            }
        };
        TensorInfo {
            name: &entry.name,
            original_name: &entry.original_name,
            shape: &entry.shape,
            stored_as,
            file,
            size_bytes: size_bytes as u64,
        }
    }

    fn open_tensor<'a>(&'a self, entry: &'a Entry) -> Result<Tensor<'a>, LoadError> {
        match &entry.data {
            Data::Mapped { file_idx, stored_as, offset, size_bytes } => {
                let file = &self.files[*file_idx];
                let storage_type = StorageType::from_safetensors(*stored_as).ok_or_else(|| {
                    LoadError::UnsupportedStorageType {
                        name: entry.original_name.clone(),
                        file: file.path().to_owned(),
                        found: mapped::dtype_name(*stored_as).to_owned(),
                    }
                })?;
                let span = file.span(*offset, *size_bytes);
                Ok(Tensor::mapped(&entry.name, &entry.shape, storage_type, span))
            }
            Data::Random { generator, storage_type } => {
                Ok(Tensor::random(&entry.name, &entry.shape, *storage_type, generator))
            }
        }
    }
}

/// The first few names of a list, and how many more there are.
pub(crate) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(LISTED) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

#[cfg(test)]
mod tests;
