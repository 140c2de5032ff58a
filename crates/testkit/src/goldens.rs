//! A folder of goldens: cases with what each must give, and stages as tensors.

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One input row and what the reference makes of it.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// Name, also the prefix of its stages.
    pub name: String,
    /// A row as `score` reads it; paths are relative to the folder.
    pub row: serde_json::Value,
    /// `grid_thw` of each picture and video, in order of appearance.
    pub grids: Vec<[usize; 3]>,
    /// Whether its stages were kept.
    pub staged: bool,
    /// One for each response.
    pub responses: Vec<Expected>,
}

/// What the reference makes of one conversation.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// The rendered template, one placeholder for each picture.
    pub text: String,
    /// Token ids with the placeholders repeated.
    pub token_ids: Vec<u32>,
    /// Time, height and width position of each token.
    pub position_ids: Vec<[u32; 3]>,
    /// Index of the scored token under each rule.
    pub positions: Positions,
    /// Rewards in f32.
    pub rewards: Rewards,
    /// Rewards of the backbone in bf16 under an f32 head.
    pub rewards_bf16: Rewards,
}

/// Index of the scored token under each rule.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Positions {
    /// The `<|im_end|>` of the last assistant turn.
    pub end_of_turn: usize,
    /// The last token.
    pub last_token: usize,
}

/// The reward under each rule.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Rewards {
    /// At the `<|im_end|>` of the last assistant turn.
    pub end_of_turn: f32,
    /// At the last token.
    pub last_token: f32,
}

/// A tensor of a golden file, widened to f32.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Sizes, outer to inner.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub values: Vec<f32>,
}

/// An opened folder of goldens.
#[derive(Debug)]
pub struct Goldens {
    /// The folder.
    pub folder: PathBuf,
    /// All cases.
    pub cases: Vec<Case>,
    /// Stages by name.
    pub stages: BTreeMap<String, Stage>,
}

#[derive(Deserialize)]
struct CasesFile {
    cases: Vec<Case>,
}

impl Goldens {
    /// Reads `cases.json` and `stages.safetensors`.
    ///
    /// # Panics
    /// If the folder is not one that `reference/goldens.py` wrote.
    pub fn open(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join("cases.json")).expect("cases.json");
        let file: CasesFile =
            serde_json::from_str(&text).expect("cases.json as goldens.py writes it");
        let stages = read_tensors(&folder.join("stages.safetensors"));
        Self { folder: folder.to_owned(), cases: file.cases, stages }
    }

    /// A stage by name.
    ///
    /// # Panics
    /// If there is none.
    pub fn stage(&self, name: &str) -> &Stage {
        self.stages.get(name).unwrap_or_else(|| panic!("no golden `{name}`"))
    }

    /// Tensors of another golden file in the folder.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn tensors(&self, file: &str) -> BTreeMap<String, Stage> {
        read_tensors(&self.folder.join(file))
    }
}

fn read_tensors(path: &Path) -> BTreeMap<String, Stage> {
    let bytes = std::fs::read(path).expect("a golden tensor file");
    let tensors = SafeTensors::deserialize(&bytes).expect("a valid safetensors file");
    tensors
        .iter()
        .map(|(name, view)| {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => {
                    data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
                }
                Dtype::I64 => {
                    data.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect()
                }
                Dtype::U8 => data.iter().map(|&byte| f32::from(byte)).collect(),
                other => panic!("golden `{name}` has the type {other:?}"),
            };
            (name.to_owned(), Stage { shape: view.shape().to_vec(), values })
        })
        .collect()
}
