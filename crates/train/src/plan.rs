//! What a run will take, before it begins: steps, tokens, memory by kind, time.
//!
//! Memory is an estimate from sizes; tokens are those of a sample of rows; time is that of a measured probe. Nothing is written.

use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use engine::{DType, Device, Recompute};
use model::checkpoint::tensor_shapes;
use model::config::{Config, RewardHeadConfig};
use model::training::{Part, TrainableModel};

use crate::batches::{divide, packed_rows};
use crate::error::TrainError;
use crate::prepare::{Prepared, Preparer, Ready};
use crate::recipe::Recipe;
use crate::run::training_options;
use crate::run_data::RunData;
use crate::step::Trainer;
use crate::stream::StepBatch;

/// Bytes of an f32.
const F32_BYTES: u64 = 4;

/// Estimated memory of a run, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Weights in the compute type.
    pub weights: u64,
    /// f32 masters of what is trained.
    pub masters: u64,
    /// f32 gradients.
    pub gradients: u64,
    /// Running means of the optimizer.
    pub optimizer: u64,
    /// What the forward pass of a micro-batch keeps for the backward pass.
    pub activations: u64,
}

impl Memory {
    /// Everything together.
    pub fn total(&self) -> u64 {
        self.weights + self.masters + self.gradients + self.optimizer + self.activations
    }
}

/// Sizes of a sample of the training rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// Comparisons looked at.
    pub comparisons: usize,
    /// Rows that would be left out or changed.
    pub affected: usize,
    /// Pairs of a comparison, on average.
    pub mean_pairs: f64,
    /// Packed rows of a comparison, on average: what its responses share counts once.
    pub mean_packed_rows: f64,
    /// Tokens of all its conversations one by one, on average.
    pub mean_separate_tokens: f64,
    /// Patches of its pictures, on average.
    pub mean_patches: f64,
    /// Packed rows of the largest comparison.
    pub max_packed_rows: usize,
    /// Micro-batches of a step, on average.
    pub mean_micro_batches: f64,
}

/// A measured step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// Seconds of one step, the first one aside.
    pub step_secs: f64,
    /// Packed rows per second.
    pub tokens_per_sec: f64,
}

/// Elements of the model, all and trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Elements {
    /// In the model.
    pub all: u64,
    /// Trained.
    pub trained: u64,
}

/// Counts the elements of a model and of what a recipe trains in it.
pub fn elements(config: &Config, head: &RewardHeadConfig, recipe: &Recipe) -> Elements {
    let options = training_options(recipe);
    let mut found = Elements::default();
    for (name, shape) in tensor_shapes(config) {
        let count: usize = shape.iter().product();
        found.all += count as u64;
        if !options.parts.contains(&Part::of(&name)) {
            continue;
        }
        found.trained += match &options.lora {
            None => count as u64,
            Some(lora) => {
                let module = name.strip_suffix(".weight").and_then(|name| name.rsplit('.').next());
                let is_target = lora.targets.iter().any(|target| Some(target.as_str()) == module);
                let width = shape[0] + count / shape[0].max(1);
                if is_target { (lora.rank * width) as u64 } else { 0 }
            }
        };
    }
    let head = head_elements(head, config.text.hidden_size);
    Elements { all: found.all + head, trained: found.trained + head }
}

fn head_elements(head: &RewardHeadConfig, input: usize) -> u64 {
    let mut width = input;
    let mut sum = 0;
    for layer in 1..=head.num_layers {
        let out = if layer == head.num_layers { 1 } else { head.hidden_size };
        sum += width * out + if head.bias { out } else { 0 };
        width = out;
    }
    sum as u64
}

/// Estimates the memory of a run whose micro-batches have `rows` packed rows and `patches` patches.
pub fn memory(
    config: &Config,
    head: &RewardHeadConfig,
    recipe: &Recipe,
    rows: usize,
    patches: usize,
) -> Memory {
    let dtype = DType::from(recipe.run.compute_type);
    let elements = elements(config, head, recipe);
    Memory {
        weights: elements.all * dtype.size_bytes() as u64,
        masters: elements.trained * F32_BYTES,
        gradients: elements.trained * F32_BYTES,
        optimizer: 2 * elements.trained * F32_BYTES,
        activations: activations(config, recipe, dtype, rows as u64, patches as u64),
    }
}

/// What the layers keep: everything, or with recomputation inputs of layers and one whole layer.
fn activations(config: &Config, recipe: &Recipe, dtype: DType, rows: u64, patches: u64) -> u64 {
    let text = &config.text;
    let heads = (text.num_attention_heads + 2 * text.num_key_value_heads) * text.head_dim;
    let language = LayerWidths {
        stream: text.hidden_size,
        attention: heads + text.num_attention_heads * text.head_dim,
        feed_forward: 3 * text.intermediate_size,
    };
    let vision = &config.vision;
    let tower = LayerWidths {
        stream: vision.hidden_size,
        attention: 4 * vision.hidden_size,
        feed_forward: 3 * vision.intermediate_size,
    };
    let recompute = Recompute::from(recipe.run.recompute);
    let kept = |widths: LayerWidths, layers: usize, count: u64| {
        let whole = widths.bytes(dtype);
        let input = widths.stream as u64 * F32_BYTES;
        let of_row = match recompute {
            Recompute::Nothing => layers as u64 * whole,
            _ => recompute.kept_inputs(layers) as u64 * input + whole,
        };
        count * of_row
    };
    let sees = recipe.part_rates().vision.is_some();
    let of_tower =
        if sees { kept(tower, vision.depth, patches) } else { patches * tower.bytes(dtype) };
    kept(language, text.num_hidden_layers, rows) + of_tower
}

/// Features that one row has in a layer.
#[derive(Clone, Copy)]
struct LayerWidths {
    stream: usize,
    attention: usize,
    feed_forward: usize,
}

impl LayerWidths {
    /// The stream before both blocks in f32; the normalized stream, and what is inside of the blocks, in the compute type.
    fn bytes(self, dtype: DType) -> u64 {
        let narrow = 2 * self.stream + self.attention + self.feed_forward;
        2 * self.stream as u64 * F32_BYTES + (narrow * dtype.size_bytes()) as u64
    }
}

/// Reads and encodes up to `limit` comparisons in the order of the run, and measures them.
///
/// # Errors
/// A row that the recipe does not allow to leave out.
pub fn sample(
    recipe: &Recipe,
    data: &RunData,
    preparer: &Preparer,
    limit: usize,
) -> Result<(Sample, Vec<Prepared>), TrainError> {
    let mut found = Sample::default();
    let mut comparisons = Vec::new();
    for row in data.train_order(recipe.run.seed, 0) {
        if comparisons.len() == limit {
            break;
        }
        match preparer.prepare(data.train().0, row)? {
            Ready::Used(prepared, note) => {
                found.affected += usize::from(note.is_some());
                comparisons.push(*prepared);
            }
            Ready::LeftOut(_) => found.affected += 1,
        }
    }
    let is_visual = |id| preparer.is_visual(id);
    let packed: Vec<usize> =
        comparisons.iter().map(|one| packed_rows(std::slice::from_ref(one), is_visual)).collect();
    let mean = |sum: usize| sum as f64 / comparisons.len().max(1) as f64;
    let tokens = |one: &Prepared| one.encoded.iter().map(prompt::Encoded::len).sum::<usize>();
    let patches = |one: &Prepared| {
        let of_one = |encoded: &prompt::Encoded| {
            encoded.visuals.iter().map(|visual| visual.num_patches()).sum::<usize>()
        };
        one.encoded.iter().map(of_one).max().unwrap_or(0)
    };
    found.comparisons = comparisons.len();
    found.mean_pairs = mean(comparisons.iter().map(|one| one.pairs.len()).sum());
    found.mean_packed_rows = mean(packed.iter().sum());
    found.mean_separate_tokens = mean(comparisons.iter().map(tokens).sum());
    found.mean_patches = mean(comparisons.iter().map(patches).sum());
    found.max_packed_rows = packed.iter().copied().max().unwrap_or(0);
    let rows = |range: Range<usize>| packed_rows(&comparisons[range], is_visual);
    let batches = divide(comparisons.len(), recipe.run.tokens_per_batch, rows).len();
    let steps = comparisons.len() as f64 / recipe.run.comparisons_per_step as f64;
    found.mean_micro_batches = if comparisons.is_empty() { 0.0 } else { batches as f64 / steps };
    Ok((found, comparisons))
}

/// Measures a step over some comparisons: twice the same, of which the second counts. No file changes.
///
/// # Errors
/// A model that cannot be loaded, and whatever a step refuses.
pub fn probe(
    recipe: &Recipe,
    model: &Path,
    device: &Device,
    preparer: &Preparer,
    mut comparisons: Vec<Prepared>,
) -> Result<Probe, TrainError> {
    let options = training_options(recipe);
    let model = TrainableModel::load(model, device, recipe.run.compute_type.into(), &options)?;
    let mut trainer = Trainer::new(model, device, recipe, recipe.total_steps(comparisons.len()));
    comparisons.truncate(recipe.run.comparisons_per_step);
    let measured = comparisons.len();
    let is_visual = |id| preparer.is_visual(id);
    let batch = StepBatch::new(comparisons, recipe.run.tokens_per_batch, is_visual);
    trainer.step(0, &batch)?;
    let start = Instant::now();
    trainer.step(1, &batch)?;
    let secs = start.elapsed().as_secs_f64();
    let share = recipe.run.comparisons_per_step as f64 / measured.max(1) as f64;
    Ok(Probe { step_secs: secs * share, tokens_per_sec: batch.packed_rows as f64 / secs })
}
