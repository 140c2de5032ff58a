//! The vision tower of Qwen2.5-VL: patches of one picture or video to embeddings of the language model's width.
//!
//! # Shapes
//! `patches` = t · h · w of the grid; `merged` = `patches / merge_unit`; rows stand in window order between the patch
//! embedding and the merger, as in the reference.
//!
//! # Source
//! transformers 5.23.0 `modeling_qwen2_5_vl.py`, `Qwen2_5_VisionTransformerPretrainedModel`.

use engine::{
    AttentionLayout, DType, GatedLinear, Heads, Linear, Matrix, RmsNorm, RotaryTable, Segment,
    Tape, Var, Visible,
};
use prompt::Visual;
use std::sync::Arc;

use crate::config::{VISION_RMS_NORM_EPS, VisionConfig};
use crate::error::LoadError;
use crate::trace::Observer;
use crate::weights::{LayerMut, Named, Weights};

/// Base of the rotary angles; fixed in the reference.
const ROPE_THETA: f32 = 10_000.0;
/// Patches that are normalized and embedded at a time.
const PATCH_CHUNK: usize = 4096;

/// The vision tower with packed weights.
#[derive(Debug)]
pub(crate) struct VisionTower {
    config: VisionConfig,
    dtype: DType,
    patch_embed: Named<Linear>,
    blocks: Vec<Block>,
    merger: Merger,
}

#[derive(Debug)]
struct Block {
    norm1: Named<RmsNorm>,
    qkv: Named<Linear>,
    proj: Named<Linear>,
    norm2: Named<RmsNorm>,
    gate_up: Named<GatedLinear>,
    down: Named<Linear>,
}

#[derive(Debug)]
struct Merger {
    ln_q: Named<RmsNorm>,
    hidden: Named<Linear>,
    out: Named<Linear>,
}

/// What the blocks of one pass over a visual share.
#[derive(Clone, Debug)]
struct Pass {
    dtype: DType,
    heads: Heads,
    table: Arc<RotaryTable>,
    layout: Arc<AttentionLayout>,
}

impl VisionTower {
    pub(crate) fn load(weights: &Weights<'_>, config: &VisionConfig) -> Result<Self, LoadError> {
        let hidden = config.hidden_size;
        let patch = config.patch_size;
        let patch_embed = weights.linear(
            &[("model.visual.patch_embed.proj", hidden)],
            &[config.in_channels, config.temporal_patch_size, patch, patch],
            false,
        )?;
        let blocks = (0..config.depth)
            .map(|block_idx| Block::load(weights, config, block_idx))
            .collect::<Result<_, _>>()?;
        let merged = hidden * config.merge_unit();
        let merger = Merger {
            ln_q: weights.norm("model.visual.merger.ln_q", hidden, VISION_RMS_NORM_EPS)?,
            hidden: weights.linear(&[("model.visual.merger.mlp.0", merged)], &[merged], true)?,
            out: weights.linear(
                &[("model.visual.merger.mlp.2", config.out_hidden_size)],
                &[merged],
                true,
            )?,
        };
        Ok(Self { config: config.clone(), dtype: weights.dtype, patch_embed, blocks, merger })
    }

    /// Embeds one visual.
    ///
    /// # Shapes
    /// Result: `[merged, out_hidden_size]` in the compute type, in the order of the placeholder tokens.
    pub(crate) fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        visual: &Visual,
        observer: &mut dyn Observer,
    ) -> Var {
        let plan = WindowPlan::new(visual.grid, &self.config);
        let hidden = self.embed_patches(tape, visual, &plan);
        observer.stage("vision.patch_embed", hidden.value());
        let table = Arc::new(self.rotary_table(visual.grid, &plan));
        let pass = |layout| Pass {
            dtype: self.dtype,
            heads: self.heads(),
            table: Arc::clone(&table),
            layout: Arc::new(layout),
        };
        let (windows, frames) = (pass(plan.window_layout()), pass(plan.frame_layout()));
        let blocks: Vec<_> = self
            .blocks
            .iter()
            .enumerate()
            .map(|(block_idx, block)| {
                let full = self.config.fullatt_block_indexes.contains(&block_idx);
                let pass = if full { frames.clone() } else { windows.clone() };
                move |tape: &mut Tape<'a>, hidden| block.forward(tape, &pass, hidden)
            })
            .collect();
        let hidden = tape.layers(hidden, &blocks, |block_idx, hidden| {
            observer.stage(&format!("vision.blocks.{block_idx}"), hidden);
        });
        let (merger, dtype, unit) = (&self.merger, self.dtype, self.config.merge_unit());
        let inverse = plan.inverse();
        let merged = tape.layer(hidden, move |tape, hidden| {
            let merged = merger.forward(tape, dtype, unit, hidden);
            tape.gather_rows(&merged, &inverse)
        });
        observer.stage("vision.merged", merged.value());
        merged
    }

    /// Every layer that has parameters.
    pub(crate) fn layers_mut(&mut self) -> Vec<LayerMut<'_>> {
        let mut layers = vec![LayerMut::Linear(&mut self.patch_embed)];
        for block in &mut self.blocks {
            layers.extend([
                LayerMut::Norm(&mut block.norm1),
                LayerMut::Linear(&mut block.qkv),
                LayerMut::Linear(&mut block.proj),
                LayerMut::Norm(&mut block.norm2),
                LayerMut::Gated(&mut block.gate_up),
                LayerMut::Linear(&mut block.down),
            ]);
        }
        layers.extend([
            LayerMut::Norm(&mut self.merger.ln_q),
            LayerMut::Linear(&mut self.merger.hidden),
            LayerMut::Linear(&mut self.merger.out),
        ]);
        layers
    }

    fn heads(&self) -> Heads {
        let hidden = self.config.hidden_size;
        Heads {
            num_heads: self.config.num_heads,
            num_key_value_heads: self.config.num_heads,
            head_dim: self.config.head_dim(),
            query_col: 0,
            key_col: hidden,
            value_col: 2 * hidden,
        }
    }

    /// `[patches, hidden]` f32, in window order.
    fn embed_patches<'a>(&'a self, tape: &mut Tape<'a>, visual: &Visual, plan: &WindowPlan) -> Var {
        let unit = self.config.merge_unit();
        let (width, features) = (self.config.hidden_size, self.config.patch_features());
        let zeros = |rows| Var::constant(Matrix::zeros(rows, width, DType::F32));
        let mut hidden = zeros(visual.num_patches());
        for (chunk_idx, groups) in plan.order.chunks(PATCH_CHUNK / unit).enumerate() {
            let rows = groups.len() * unit;
            let mut pixels = Matrix::zeros(rows, features, DType::F32);
            let rows_of_groups = pixels.as_mut_slice::<f32>().chunks_exact_mut(unit * features);
            for (group, out) in groups.iter().zip(rows_of_groups) {
                visual.write_rows(group * unit..(group + 1) * unit, out);
            }
            let pixels = Var::constant(pixels.cast(self.dtype));
            let embedded = tape.linear_add(&pixels, &self.patch_embed, zeros(rows));
            let start = chunk_idx * (PATCH_CHUNK / unit) * unit;
            hidden = tape.copy_rows(&embedded, 0..rows, hidden, start);
        }
        hidden
    }

    /// Angles of (row, column) of each patch; time is not used.
    fn rotary_table(&self, grid: [usize; 3], plan: &WindowPlan) -> RotaryTable {
        let [_, height, width] = grid;
        let half = self.config.head_dim() / 2;
        let quarter = half / 2;
        let inv_freq: Vec<f32> =
            (0..quarter).map(|i| 1.0 / ROPE_THETA.powf((2 * i) as f32 / half as f32)).collect();
        let side = self.config.spatial_merge_size;
        let unit = self.config.merge_unit();
        let merged_width = width / side;
        RotaryTable::new(plan.order.len() * unit, half, |row, angles| {
            let group = plan.order[row / unit] % (height * width / unit);
            let within = row % unit;
            let y = group / merged_width * side + within / side;
            let x = group % merged_width * side + within % side;
            for (i, frequency) in inv_freq.iter().enumerate() {
                angles[i] = y as f32 * frequency;
                angles[quarter + i] = x as f32 * frequency;
            }
        })
    }
}

impl Block {
    fn load(weights: &Weights<'_>, config: &VisionConfig, idx: usize) -> Result<Self, LoadError> {
        let hidden = config.hidden_size;
        let name = |part: &str| format!("model.visual.blocks.{idx}.{part}");
        Ok(Self {
            norm1: weights.norm(&name("norm1"), hidden, VISION_RMS_NORM_EPS)?,
            qkv: weights.linear(&[(&name("attn.qkv"), 3 * hidden)], &[hidden], true)?,
            proj: weights.linear(&[(&name("attn.proj"), hidden)], &[hidden], true)?,
            norm2: weights.norm(&name("norm2"), hidden, VISION_RMS_NORM_EPS)?,
            gate_up: weights.gated(&name("mlp"), config.intermediate_size, hidden, true)?,
            down: weights.linear(
                &[(&name("mlp.down_proj"), hidden)],
                &[config.intermediate_size],
                true,
            )?,
        })
    }

    fn forward<'a>(&'a self, tape: &mut Tape<'a>, pass: &Pass, hidden: Var) -> Var {
        let Pass { dtype, heads, table, layout } = pass;
        let normed = tape.rms_norm(&hidden, &self.norm1, *dtype);
        let qkv = tape.linear(&normed, &self.qkv);
        let qkv = tape.rotate(qkv, heads.query_col, 2 * heads.num_heads, table);
        let attended = tape.attention(&qkv, &qkv, *heads, layout);
        let hidden = tape.linear_add(&attended, &self.proj, hidden);
        let normed = tape.rms_norm(&hidden, &self.norm2, *dtype);
        let gated = tape.gated(&normed, &self.gate_up);
        tape.linear_add(&gated, &self.down, hidden)
    }
}

impl Merger {
    fn forward<'a>(
        &'a self,
        tape: &mut Tape<'a>,
        dtype: DType,
        merge_unit: usize,
        hidden: Var,
    ) -> Var {
        let (patches, width) = hidden.value().dims();
        let normed = tape.rms_norm(&hidden, &self.ln_q, dtype);
        drop(hidden);
        let blocks = tape.reshape(normed, patches / merge_unit, width * merge_unit);
        let between = tape.linear_gelu(&blocks, &self.hidden);
        tape.linear(&between, &self.out)
    }
}

/// The order in which merged tokens stand in windows, and where windows and frames end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WindowPlan {
    /// Merged token (in reading order) at each place.
    pub(crate) order: Vec<usize>,
    /// Patches of each window.
    windows: Vec<usize>,
    num_frames: usize,
    merge_unit: usize,
}

impl WindowPlan {
    /// Cuts each frame into windows of `window_tokens` × `window_tokens` merged tokens, smaller at the right
    /// and lower edge.
    pub(crate) fn new(grid: [usize; 3], config: &VisionConfig) -> Self {
        let [num_frames, height, width] = grid;
        let side = config.window_tokens();
        let (height, width) =
            (height / config.spatial_merge_size, width / config.spatial_merge_size);
        let mut order = Vec::with_capacity(num_frames * height * width);
        let mut windows = Vec::new();
        for frame in 0..num_frames {
            for top in (0..height).step_by(side) {
                for left in (0..width).step_by(side) {
                    let before = order.len();
                    for y in top..height.min(top + side) {
                        let line = (frame * height + y) * width;
                        order.extend(line + left..line + width.min(left + side));
                    }
                    windows.push((order.len() - before) * config.merge_unit());
                }
            }
        }
        Self { order, windows, num_frames, merge_unit: config.merge_unit() }
    }

    /// Place of each merged token, in reading order.
    pub(crate) fn inverse(&self) -> Vec<usize> {
        let mut inverse = vec![0; self.order.len()];
        for (place, &token) in self.order.iter().enumerate() {
            inverse[token] = place;
        }
        inverse
    }

    pub(crate) fn window_layout(&self) -> AttentionLayout {
        layout_of_lengths(&self.windows)
    }

    pub(crate) fn frame_layout(&self) -> AttentionLayout {
        let patches = self.order.len() * self.merge_unit / self.num_frames;
        layout_of_lengths(&vec![patches; self.num_frames])
    }
}

/// Consecutive runs of rows, each attending to all of itself.
fn layout_of_lengths(lengths: &[usize]) -> AttentionLayout {
    let mut start = 0;
    let segments: Vec<Segment> = lengths
        .iter()
        .map(|len| {
            let rows = start..start + len;
            start = rows.end;
            Segment { queries: rows.clone(), keys: vec![rows], visible: Visible::All }
        })
        .collect();
    AttentionLayout::new(&segments)
}
