//! Tensor names: the two namings of the architecture, and the list of all tensors with shapes.
//!
//! Canonical inside of this crate is the naming that transformers 5 has in memory
//! (`model.language_model.*`, `model.visual.*`); files mostly have the published one (`model.*`,
//! `visual.*`), which transformers 5 still writes. Names of reward heads are the same in both.
//!
//! # Source
//! `conversion_mapping.py`, `modeling_qwen2_5_vl.py` of transformers 5.23.0.

use crate::config::{Config, TextConfig, VisionConfig};

/// The language-model head, which a reward never needs.
pub const LM_HEAD: &str = "lm_head.weight";

const LANGUAGE: &str = "model.language_model.";
const VISUAL: &str = "model.visual.";
const PUBLISHED_LANGUAGE: &str = "model.";
const PUBLISHED_VISUAL: &str = "visual.";

/// Brings a name of either naming to the canonical one.
pub fn canonical_name(name: &str) -> String {
    if name.starts_with(LANGUAGE) || name.starts_with(VISUAL) {
        name.to_owned()
    } else if let Some(rest) = name.strip_prefix(PUBLISHED_VISUAL) {
        format!("{VISUAL}{rest}")
    } else if let Some(rest) = name.strip_prefix(PUBLISHED_LANGUAGE) {
        format!("{LANGUAGE}{rest}")
    } else {
        name.to_owned()
    }
}

/// Brings a canonical name to the published naming, which every version of transformers reads.
pub fn published_name(name: &str) -> String {
    if let Some(rest) = name.strip_prefix(VISUAL) {
        format!("{PUBLISHED_VISUAL}{rest}")
    } else if let Some(rest) = name.strip_prefix(LANGUAGE) {
        format!("{PUBLISHED_LANGUAGE}{rest}")
    } else {
        name.to_owned()
    }
}

/// Every tensor of the backbone by canonical name, in the order of the forward pass.
///
/// `lm_head.weight` is not among them, because a reward never needs it; nor is the reward head.
pub fn tensor_shapes(config: &Config) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Shapes(Vec::new());
    vision_shapes(&config.vision, &mut shapes);
    text_shapes(&config.text, &mut shapes);
    shapes.0
}

/// A list under construction.
struct Shapes(Vec<(String, Vec<usize>)>);

impl Shapes {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push((name.into(), shape.to_vec()));
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize, bias: bool) {
        self.add(format!("{name}.weight"), &[outputs, inputs]);
        if bias {
            self.add(format!("{name}.bias"), &[outputs]);
        }
    }

    fn mlp(&mut self, prefix: &str, hidden: usize, intermediate: usize, bias: bool) {
        self.linear(&format!("{prefix}.mlp.gate_proj"), intermediate, hidden, bias);
        self.linear(&format!("{prefix}.mlp.up_proj"), intermediate, hidden, bias);
        self.linear(&format!("{prefix}.mlp.down_proj"), hidden, intermediate, bias);
    }
}

fn vision_shapes(vision: &VisionConfig, shapes: &mut Shapes) {
    let hidden = vision.hidden_size;
    let patch = vision.patch_size;
    shapes.add(
        format!("{VISUAL}patch_embed.proj.weight"),
        &[hidden, vision.in_channels, vision.temporal_patch_size, patch, patch],
    );
    for block_idx in 0..vision.depth {
        let block = format!("{VISUAL}blocks.{block_idx}");
        shapes.add(format!("{block}.norm1.weight"), &[hidden]);
        shapes.linear(&format!("{block}.attn.qkv"), 3 * hidden, hidden, true);
        shapes.linear(&format!("{block}.attn.proj"), hidden, hidden, true);
        shapes.add(format!("{block}.norm2.weight"), &[hidden]);
        shapes.mlp(&block, hidden, vision.intermediate_size, true);
    }
    let merged = hidden * vision.merge_unit();
    shapes.add(format!("{VISUAL}merger.ln_q.weight"), &[hidden]);
    shapes.linear(&format!("{VISUAL}merger.mlp.0"), merged, merged, true);
    shapes.linear(&format!("{VISUAL}merger.mlp.2"), vision.out_hidden_size, merged, true);
}

fn text_shapes(text: &TextConfig, shapes: &mut Shapes) {
    let hidden = text.hidden_size;
    let key_value = text.num_key_value_heads * text.head_dim;
    shapes.add(format!("{LANGUAGE}embed_tokens.weight"), &[text.vocab_size, hidden]);
    for layer_idx in 0..text.num_hidden_layers {
        let layer = format!("{LANGUAGE}layers.{layer_idx}");
        shapes.add(format!("{layer}.input_layernorm.weight"), &[hidden]);
        shapes.linear(&format!("{layer}.self_attn.q_proj"), hidden, hidden, true);
        shapes.linear(&format!("{layer}.self_attn.k_proj"), key_value, hidden, true);
        shapes.linear(&format!("{layer}.self_attn.v_proj"), key_value, hidden, true);
        shapes.linear(&format!("{layer}.self_attn.o_proj"), hidden, hidden, false);
        shapes.add(format!("{layer}.post_attention_layernorm.weight"), &[hidden]);
        shapes.mlp(&layer, hidden, text.intermediate_size, false);
    }
    shapes.add(format!("{LANGUAGE}norm.weight"), &[hidden]);
}
