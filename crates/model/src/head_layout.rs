//! Finds the reward head among the tensors of a folder and brings it to one form.
//!
//! Public reward models name the same few linear layers in many ways. Each layout that is known has
//! its layers, its activation and its score position here; the forward pass sees only
//! [`HeadTensors`]. A `reward_head` block in config.json overrules every default, so any layout can be
//! corrected by adding one. Mean and deviation that `OpenRLHF` keeps in config.json are not applied,
//! as they are not by default there: they shift and scale all rewards alike.
//!
//! # Source
//! Qwen2.5-Math-RM and jina-reranker-m0 (`score.0`, `score.2`), MM-RLHF-Reward (`rm_head`), trl and
//! LLaMA-Factory (`v_head.summary`), InternLM2-Reward (`v_head`), `OpenRLHF` (`score`, before that
//! `value_head`), transformers' sequence classification (`score`).

use std::fmt;

use crate::{
    checkpoint::{Checkpoint, LM_HEAD, listed},
    config::{Activation, Config, MAX_HEAD_LAYERS, RewardHeadConfig, ScorePosition},
    error::LoadError,
};

/// A reward head in the one form that the forward pass knows.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadTensors {
    /// The linear layers from the backbone's hidden state to the reward.
    pub layers: Vec<HeadLayer>,
    /// What stands between two layers.
    pub activation: Activation,
    /// Which token's hidden state is scored.
    pub position: ScorePosition,
    /// How the tensors were named in the folder.
    pub source_layout: HeadLayout,
}

/// One linear layer of a head: `weight · x + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadLayer {
    /// Row-major `[outputs, inputs]`.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Option<Vec<f32>>,
    /// Numbers that the layer gives.
    pub outputs: usize,
    /// Numbers that the layer takes.
    pub inputs: usize,
}

/// How the tensors of a head are named in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeadLayout {
    /// `score.0`, `score.2`, …: layers with activations between them.
    ScoreSequential,
    /// `score`: one layer.
    Score,
    /// `score.dense` and `score.out_proj`.
    ScoreDense,
    /// `rm_head.dense` and `rm_head.out_proj`.
    RmHead,
    /// `v_head.summary`: one layer, often in a file of its own.
    ValueHeadSummary,
    /// `v_head`: one layer.
    ShortValueHead,
    /// `value_head`: one layer.
    ValueHead,
}

/// All layouts with the words that stand for them in messages.
const LAYOUTS: [(HeadLayout, &str); 7] = [
    (HeadLayout::ScoreSequential, "score.0, score.2, …"),
    (HeadLayout::Score, "score"),
    (HeadLayout::ScoreDense, "score.dense, score.out_proj"),
    (HeadLayout::RmHead, "rm_head.dense, rm_head.out_proj"),
    (HeadLayout::ValueHeadSummary, "v_head.summary"),
    (HeadLayout::ShortValueHead, "v_head"),
    (HeadLayout::ValueHead, "value_head"),
];

impl fmt::Display for HeadLayout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = LAYOUTS.iter().find(|(layout, _)| layout == self);
        formatter.write_str(words.expect("the table lists every layout").1)
    }
}

impl HeadTensors {
    /// The head's shape, as the block of a written config.json.
    pub fn config(&self) -> RewardHeadConfig {
        RewardHeadConfig {
            num_layers: self.layers.len(),
            activation: self.activation,
            hidden_size: self.layers[0].shape_between(self.layers.len()),
            bias: self.layers[0].bias.is_some(),
            position: self.position,
        }
    }
}

impl HeadLayer {
    /// Width between the layers of a head that begins with this layer.
    fn shape_between(&self, num_layers: usize) -> usize {
        if num_layers == 1 { self.inputs } else { self.outputs }
    }
}

/// Every tensor of a head in the layout that is written, `[outputs, inputs]` and `[outputs]`.
pub fn tensor_shapes(
    head: &RewardHeadConfig,
    backbone_hidden_size: usize,
) -> Vec<(String, Vec<usize>)> {
    let prefixes = written_prefixes(head.num_layers);
    let mut shapes = Vec::new();
    for (prefix, [outputs, inputs]) in prefixes.iter().zip(head.layer_shapes(backbone_hidden_size))
    {
        shapes.push((format!("{prefix}.weight"), vec![outputs, inputs]));
        if head.bias {
            shapes.push((format!("{prefix}.bias"), vec![outputs]));
        }
    }
    shapes
}

/// Whether a tensor is part of a head, of whichever layout.
pub(crate) fn is_head_tensor(name: &str) -> bool {
    layout_of(name).is_some()
}

/// The modules of a head in the layout that is written.
pub(crate) fn written_prefixes(num_layers: usize) -> Vec<String> {
    let layout = if num_layers == 1 { HeadLayout::Score } else { HeadLayout::ScoreSequential };
    layer_prefixes(layout, num_layers)
}

/// The layout of the head that a checkpoint holds, if it holds one.
///
/// # Errors
/// Tensors of more than one layout.
pub fn detect(checkpoint: &Checkpoint) -> Result<Option<HeadLayout>, LoadError> {
    let mut layouts: Vec<HeadLayout> = checkpoint.names().filter_map(layout_of).collect();
    layouts.sort_unstable();
    layouts.dedup();
    match layouts.as_slice() {
        [] => Ok(None),
        [layout] => Ok(Some(*layout)),
        several => {
            let several: Vec<String> = several.iter().map(|layout| format!("`{layout}`")).collect();
            Err(LoadError::SeveralRewardHeads {
                folder: checkpoint.folder().to_owned(),
                layouts: several.join(", "),
            })
        }
    }
}

/// Reads the head of a checkpoint.
///
/// Without a `reward_head` block in config.json the reward is read at the last token, which is where
/// the public heads of every known layout were trained, and the activation is that of the layout's
/// public model: tanh for `rm_head`, `ReLU` for exactly two `score.N` layers with biases.
///
/// # Errors
/// No head, several heads, more than one output, an activation that cannot be known, tensors that
/// contradict the block, missing or misshapen tensors.
pub fn read(checkpoint: &Checkpoint, config: &Config) -> Result<HeadTensors, LoadError> {
    let layout = detect(checkpoint)?.ok_or_else(|| no_head(checkpoint))?;
    let num_layers = count_layers(checkpoint, layout);
    if num_layers > MAX_HEAD_LAYERS {
        return Err(LoadError::TooManyHeadLayers {
            folder: checkpoint.folder().to_owned(),
            layout: layout.to_string(),
            found: num_layers,
            max: MAX_HEAD_LAYERS,
        });
    }
    let prefixes = layer_prefixes(layout, num_layers);
    check_num_labels(checkpoint, config, &prefixes)?;
    let head = resolve(checkpoint, config, layout, &prefixes)?;
    let layers = prefixes
        .iter()
        .zip(head.layer_shapes(config.text.hidden_size))
        .map(|(prefix, shape)| read_layer(checkpoint, prefix, shape, head.bias))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(HeadTensors {
        layers,
        activation: head.activation,
        position: head.position,
        source_layout: layout,
    })
}

/// The layout that a canonical tensor name belongs to.
fn layout_of(name: &str) -> Option<HeadLayout> {
    let layer = name.strip_suffix(".weight").or_else(|| name.strip_suffix(".bias"))?;
    match layer {
        "score" => Some(HeadLayout::Score),
        "score.dense" | "score.out_proj" => Some(HeadLayout::ScoreDense),
        "rm_head.dense" | "rm_head.out_proj" => Some(HeadLayout::RmHead),
        "v_head.summary" => Some(HeadLayout::ValueHeadSummary),
        "v_head" => Some(HeadLayout::ShortValueHead),
        "value_head" => Some(HeadLayout::ValueHead),
        _ => layer.strip_prefix("score.")?.parse::<u32>().ok().map(|_| HeadLayout::ScoreSequential),
    }
}

fn no_head(checkpoint: &Checkpoint) -> LoadError {
    let others: Vec<&str> =
        checkpoint.names().filter(|name| !name.starts_with("model.") && *name != LM_HEAD).collect();
    let known: Vec<String> = LAYOUTS.iter().map(|(_, words)| format!("`{words}`")).collect();
    LoadError::NoRewardHead {
        folder: checkpoint.folder().to_owned(),
        known: known.join(" or "),
        found: (!others.is_empty()).then(|| listed(&others)),
    }
}

fn count_layers(checkpoint: &Checkpoint, layout: HeadLayout) -> usize {
    match layout {
        HeadLayout::ScoreSequential => checkpoint
            .names()
            .filter(|name| name.ends_with(".weight") && layout_of(name) == Some(layout))
            .count()
            .max(1),
        HeadLayout::ScoreDense | HeadLayout::RmHead => 2,
        HeadLayout::Score
        | HeadLayout::ValueHeadSummary
        | HeadLayout::ShortValueHead
        | HeadLayout::ValueHead => 1,
    }
}

/// Names of the layers without `.weight` and `.bias`, first to last.
fn layer_prefixes(layout: HeadLayout, num_layers: usize) -> Vec<String> {
    let fixed: &[&str] = match layout {
        // The odd places of the sequence are the activations, which have no tensors.
        HeadLayout::ScoreSequential => {
            return (0..num_layers).map(|layer_idx| format!("score.{}", 2 * layer_idx)).collect();
        }
        HeadLayout::Score => &["score"],
        HeadLayout::ScoreDense => &["score.dense", "score.out_proj"],
        HeadLayout::RmHead => &["rm_head.dense", "rm_head.out_proj"],
        HeadLayout::ValueHeadSummary => &["v_head.summary"],
        HeadLayout::ShortValueHead => &["v_head"],
        HeadLayout::ValueHead => &["value_head"],
    };
    fixed.iter().map(|prefix| (*prefix).to_owned()).collect()
}

fn check_num_labels(
    checkpoint: &Checkpoint,
    config: &Config,
    prefixes: &[String],
) -> Result<(), LoadError> {
    let last = prefixes.last().expect("every layout has a layer");
    let outputs = checkpoint.shape(&format!("{last}.weight")).and_then(|shape| shape.first());
    let counts = [config.num_labels, outputs.copied()];
    match counts.into_iter().flatten().find(|count| *count != 1) {
        Some(found) => Err(LoadError::NumLabels { folder: checkpoint.folder().to_owned(), found }),
        None => Ok(()),
    }
}

/// What the tensors show, completed by the block of config.json or by the layout's defaults.
fn resolve(
    checkpoint: &Checkpoint,
    config: &Config,
    layout: HeadLayout,
    prefixes: &[String],
) -> Result<RewardHeadConfig, LoadError> {
    let backbone = config.text.hidden_size;
    let first = &prefixes[0];
    let num_layers = prefixes.len();
    let outputs = checkpoint.shape(&format!("{first}.weight")).and_then(|shape| shape.first());
    let found = RewardHeadConfig {
        num_layers,
        activation: Activation::None,
        hidden_size: if num_layers == 1 { backbone } else { outputs.copied().unwrap_or(backbone) },
        bias: checkpoint.contains(&format!("{first}.bias")),
        position: ScorePosition::LastToken,
    };
    if let Some(block) = config.reward_head {
        check_block(checkpoint, layout, &block, &found)?;
        return Ok(block);
    }
    let activation = match (layout, num_layers) {
        (_, 1) => Activation::None,
        (HeadLayout::RmHead, _) => Activation::Tanh,
        (HeadLayout::ScoreSequential, 2) if found.bias => Activation::Relu,
        _ => return Err(unknown_activation(checkpoint, layout, found)),
    };
    Ok(RewardHeadConfig { activation, ..found })
}

fn unknown_activation(
    checkpoint: &Checkpoint,
    layout: HeadLayout,
    found: RewardHeadConfig,
) -> LoadError {
    let block = RewardHeadConfig { activation: Activation::Silu, ..found }.to_json();
    LoadError::UnknownHeadActivation {
        folder: checkpoint.folder().to_owned(),
        layout: layout.to_string(),
        block: format!("\"reward_head\": {block}"),
    }
}

fn check_block(
    checkpoint: &Checkpoint,
    layout: HeadLayout,
    block: &RewardHeadConfig,
    found: &RewardHeadConfig,
) -> Result<(), LoadError> {
    let mismatch = |key, configured: String, found: String| {
        Err(LoadError::HeadMismatch {
            folder: checkpoint.folder().to_owned(),
            key,
            configured,
            layout: layout.to_string(),
            found,
        })
    };
    if block.num_layers != found.num_layers {
        return mismatch("num_layers", block.num_layers.to_string(), found.num_layers.to_string());
    }
    if block.bias != found.bias {
        return mismatch("bias", block.bias.to_string(), found.bias.to_string());
    }
    if block.num_layers > 1 && block.hidden_size != found.hidden_size {
        return mismatch(
            "hidden_size",
            block.hidden_size.to_string(),
            found.hidden_size.to_string(),
        );
    }
    Ok(())
}

fn read_layer(
    checkpoint: &Checkpoint,
    prefix: &str,
    [outputs, inputs]: [usize; 2],
    bias: bool,
) -> Result<HeadLayer, LoadError> {
    let weight = checkpoint.tensor(&format!("{prefix}.weight"), &[outputs, inputs])?.to_f32();
    let bias = if bias {
        Some(checkpoint.tensor(&format!("{prefix}.bias"), &[outputs])?.to_f32())
    } else {
        None
    };
    Ok(HeadLayer { weight, bias, outputs, inputs })
}

#[cfg(test)]
mod tests;
