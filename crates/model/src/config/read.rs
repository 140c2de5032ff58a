//! Takes a [`Config`] from the JSON of a config.json, with errors that name the dotted key.
//!
//! Which keys are needed and which have a default is told at [`Config::read`]. Nothing is read from
//! disk here.

use std::path::Path;

use serde_json::Value;

use super::{
    Activation, Config, INITIALIZER_RANGE, MAX_HEAD_LAYERS, MODEL_TYPE, RewardHeadConfig,
    TextConfig, VisionConfig,
    section::{MAX_SIZE, Section, plain},
};
use crate::error::LoadError;

/// Largest patch side in pixels that is believed.
const MAX_PATCH: u64 = 1 << 10;
/// Most channels, frames in a patch, or patches along a token's side that are believed.
const MAX_SIDE: u64 = 1 << 4;
/// Most layers that are believed.
const MAX_LAYERS: u64 = 1024;
/// Longest context that is believed.
const MAX_CONTEXT: u64 = 1 << 31;
/// The one activation of both feed-forward blocks.
const HIDDEN_ACT: &str = "silu";

/// Keys of the `reward_head` block.
const HEAD_KEYS: [&str; 5] = ["num_layers", "activation", "hidden_size", "bias", "position"];

/// Class defaults of `Qwen2_5_VLVisionConfig` on which published configs rely.
mod vision_default {
    pub(super) const DEPTH: usize = 32;
    pub(super) const NUM_HEADS: usize = 16;
    pub(super) const IN_CHANNELS: usize = 3;
    pub(super) const PATCH_SIZE: usize = 14;
    pub(super) const SPATIAL_MERGE_SIZE: usize = 2;
    pub(super) const TEMPORAL_PATCH_SIZE: usize = 2;
    pub(super) const WINDOW_SIZE: usize = 112;
    pub(super) const FULLATT_BLOCK_INDEXES: [usize; 4] = [7, 15, 23, 31];
}

/// Takes the whole configuration from the root value.
pub(super) fn config(file: &Path, root: &Value) -> Result<Config, LoadError> {
    let root = Section::root(file, root)?;
    let model_type = root.text("model_type")?.ok_or_else(|| root.missing("model_type"))?;
    if model_type != MODEL_TYPE {
        return Err(LoadError::UnsupportedArchitecture {
            file: file.to_owned(),
            model_type: model_type.to_owned(),
            supported: MODEL_TYPE,
        });
    }
    refuse_quantization(&root)?;
    let nested = root.section("text_config")?;
    let text_section = nested.as_ref().unwrap_or(&root);
    let text = text_config(text_section)?;
    let vision_section =
        root.section("vision_config")?.ok_or_else(|| root.missing("vision_config"))?;
    let vision = vision_config(&vision_section, &text)?;
    let token = |key, default| token_id(&root, text_section, key, default, text.vocab_size);
    let reward_head = match root.section("reward_head")? {
        Some(section) => Some(reward_head(&section, text.hidden_size)?),
        None => None,
    };
    Ok(Config {
        image_token_id: token("image_token_id", 151_655)?,
        video_token_id: token("video_token_id", 151_656)?,
        vision_start_token_id: token("vision_start_token_id", 151_652)?,
        vision_end_token_id: token("vision_end_token_id", 151_653)?,
        tie_word_embeddings: root.flag("tie_word_embeddings")?.unwrap_or(false)
            || text_section.flag("tie_word_embeddings")?.unwrap_or(false),
        initializer_range: match text_section.optional_number("initializer_range")? {
            Some(_) => text_section.positive("initializer_range")? as f32,
            None => INITIALIZER_RANGE,
        },
        num_labels: num_labels(&root)?,
        reward_head,
        text,
        vision,
    })
}

fn refuse_quantization(root: &Section<'_>) -> Result<(), LoadError> {
    let Some(section) = root.section("quantization_config")? else { return Ok(()) };
    let method = section.text("quant_method")?.unwrap_or("unknown").to_owned();
    Err(root.unsupported("quantization_config", method, "weights in F32, F16 or BF16"))
}

fn text_config(section: &Section<'_>) -> Result<TextConfig, LoadError> {
    refuse_other_activation(section)?;
    let hidden_size = section.size("hidden_size")?;
    let num_attention_heads = section.size("num_attention_heads")?;
    let num_key_value_heads = section.size("num_key_value_heads")?;
    section.require_multiple(
        ("hidden_size", hidden_size),
        ("num_attention_heads", num_attention_heads),
    )?;
    section.require_multiple(
        ("num_attention_heads", num_attention_heads),
        ("num_key_value_heads", num_key_value_heads),
    )?;
    let head_dim = hidden_size / num_attention_heads;
    if section.present("head_dim") && section.size("head_dim")? != head_dim {
        return Err(section.inconsistent(
            "head_dim",
            section.size("head_dim")?,
            format!("`hidden_size / num_attention_heads`, which is {head_dim}"),
        ));
    }
    let num_hidden_layers = section.size_up_to("num_hidden_layers", MAX_LAYERS)?;
    refuse_sliding_window(section, num_hidden_layers)?;
    let (rope_theta, mrope_section) = rope(section, head_dim)?;
    Ok(TextConfig {
        hidden_size,
        intermediate_size: section.size("intermediate_size")?,
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        vocab_size: section.size("vocab_size")?,
        rms_norm_eps: section.positive("rms_norm_eps")? as f32,
        rope_theta,
        mrope_section,
        max_position_embeddings: section.size_up_to("max_position_embeddings", MAX_CONTEXT)?,
    })
}

fn refuse_other_activation(section: &Section<'_>) -> Result<(), LoadError> {
    match section.text("hidden_act")? {
        Some(name) if name != HIDDEN_ACT => {
            Err(section.unsupported("hidden_act", name.to_owned(), "silu"))
        }
        _ => Ok(()),
    }
}

/// Refuses a sliding window that would be in force in some layer.
///
/// A window that is configured but reaches no layer (`max_window_layers` at or above the number of
/// layers) changes nothing, exactly as in transformers.
fn refuse_sliding_window(section: &Section<'_>, num_hidden_layers: usize) -> Result<(), LoadError> {
    const SUPPORTED: &str = "full attention in every layer";
    if let Some(types) = section.list("layer_types")? {
        return match types.iter().find(|kind| kind.as_str() != Some("full_attention")) {
            Some(kind) => Err(section.unsupported("layer_types", plain(kind), SUPPORTED)),
            None => Ok(()),
        };
    }
    // PARITY: 80 is the class default of `max_window_layers`.
    let first_layer = section.optional_number("max_window_layers")?.unwrap_or(80.0);
    let windowed = section.flag("use_sliding_window")?.unwrap_or(false)
        && section.value("sliding_window").is_some()
        && first_layer < num_hidden_layers as f64;
    if windowed {
        return Err(section.unsupported("use_sliding_window", "true".to_owned(), SUPPORTED));
    }
    Ok(())
}

/// Reads `rope_theta` and `mrope_section` from `rope_scaling` or `rope_parameters`.
fn rope(section: &Section<'_>, head_dim: usize) -> Result<(f64, [usize; 3]), LoadError> {
    // PARITY: transformers prefers `rope_scaling` where both stand.
    let rope = match section.section("rope_scaling")? {
        Some(rope) => rope,
        None => section
            .section("rope_parameters")?
            .ok_or_else(|| section.missing("rope_scaling.mrope_section"))?,
    };
    let kind = match rope.text("rope_type")? {
        Some(kind) => Some(kind),
        None => rope.text("type")?,
    };
    if let Some(kind) = kind.filter(|kind| !matches!(*kind, "mrope" | "default")) {
        let key = if rope.present("rope_type") { "rope_type" } else { "type" };
        return Err(rope.unsupported(key, kind.to_owned(), "mrope or default"));
    }
    if rope.flag("mrope_interleaved")?.unwrap_or(false) {
        return Err(rope.unsupported("mrope_interleaved", "true".to_owned(), "false"));
    }
    let rope_theta = match rope.optional_number("rope_theta")? {
        Some(theta) => theta,
        None => section.positive("rope_theta")?,
    };
    let sizes = rope.sizes("mrope_section")?.ok_or_else(|| rope.missing("mrope_section"))?;
    let found = format!("{sizes:?}");
    let sections: [usize; 3] = sizes.try_into().map_err(|_| {
        rope.invalid("mrope_section", "three numbers (time, height, width)", found.clone())
    })?;
    if 2 * sections.iter().sum::<usize>() != head_dim {
        let requirement = format!("three numbers whose sum is half of the head's {head_dim}");
        return Err(rope.inconsistent("mrope_section", found, requirement));
    }
    Ok((rope_theta, sections))
}

fn vision_config(section: &Section<'_>, text: &TextConfig) -> Result<VisionConfig, LoadError> {
    refuse_other_activation(section)?;
    // PARITY: transformers reads `in_channels` only; `in_chans` of the published files is ignored.
    let vision = VisionConfig {
        depth: section.size_or("depth", vision_default::DEPTH, MAX_LAYERS)?,
        hidden_size: section.size("hidden_size")?,
        intermediate_size: section.size("intermediate_size")?,
        num_heads: section.size_or("num_heads", vision_default::NUM_HEADS, MAX_SIZE)?,
        in_channels: section.size_or("in_channels", vision_default::IN_CHANNELS, MAX_SIDE)?,
        patch_size: section.square_or("patch_size", vision_default::PATCH_SIZE, MAX_PATCH)?,
        spatial_merge_size: section.size_or(
            "spatial_merge_size",
            vision_default::SPATIAL_MERGE_SIZE,
            MAX_SIDE,
        )?,
        temporal_patch_size: section.square_or(
            "temporal_patch_size",
            vision_default::TEMPORAL_PATCH_SIZE,
            MAX_SIDE,
        )?,
        window_size: section.size_or("window_size", vision_default::WINDOW_SIZE, MAX_SIZE)?,
        out_hidden_size: section.size("out_hidden_size")?,
        fullatt_block_indexes: section
            .sizes("fullatt_block_indexes")?
            .unwrap_or_else(|| vision_default::FULLATT_BLOCK_INDEXES.to_vec()),
        tokens_per_second: section.positive("tokens_per_second")?,
    };
    check_vision(section, &vision, text)?;
    Ok(vision)
}

fn check_vision(
    section: &Section<'_>,
    vision: &VisionConfig,
    text: &TextConfig,
) -> Result<(), LoadError> {
    section
        .require_multiple(("hidden_size", vision.hidden_size), ("num_heads", vision.num_heads))?;
    if !vision.head_dim().is_multiple_of(4) {
        let requirement = format!(
            "such that each of the {} heads has a multiple of 4 numbers for its two rotary axes",
            vision.num_heads
        );
        return Err(section.inconsistent("hidden_size", vision.hidden_size, requirement));
    }
    if vision.out_hidden_size != text.hidden_size {
        let requirement =
            format!("the language model's `hidden_size`, which is {}", text.hidden_size);
        return Err(section.inconsistent("out_hidden_size", vision.out_hidden_size, requirement));
    }
    let token_side = vision.spatial_merge_size * vision.patch_size;
    if !vision.window_size.is_multiple_of(token_side) {
        let requirement =
            format!("a multiple of `spatial_merge_size · patch_size`, which is {token_side}");
        return Err(section.inconsistent("window_size", vision.window_size, requirement));
    }
    if let Some(block) = vision.fullatt_block_indexes.iter().find(|block| **block >= vision.depth) {
        let requirement = format!("a list of blocks below `depth`, which is {}", vision.depth);
        return Err(section.inconsistent("fullatt_block_indexes", block, requirement));
    }
    Ok(())
}

/// Reads a token id at the top level or, as transformers 4.5x wrote some of them, beside the text keys.
fn token_id(
    root: &Section<'_>,
    text: &Section<'_>,
    key: &'static str,
    default: u32,
    vocab_size: usize,
) -> Result<u32, LoadError> {
    let section = if root.present(key) { root } else { text };
    let id = section.whole_number(key)?.unwrap_or(u64::from(default));
    if id >= vocab_size as u64 {
        let requirement = format!("below `vocab_size`, which is {vocab_size}");
        return Err(section.inconsistent(key, id, requirement));
    }
    Ok(id as u32)
}

fn num_labels(root: &Section<'_>) -> Result<Option<usize>, LoadError> {
    if let Some(count) = root.whole_number("num_labels")? {
        return Ok(Some(count as usize));
    }
    Ok(root.section("id2label")?.map(|labels| labels.map.len()))
}

fn reward_head(
    section: &Section<'_>,
    backbone_hidden_size: usize,
) -> Result<RewardHeadConfig, LoadError> {
    if let Some(key) = section.map.keys().find(|key| !HEAD_KEYS.contains(&key.as_str())) {
        return Err(LoadError::UnknownConfigKey {
            file: section.file.to_owned(),
            key: section.dotted(key),
            known: HEAD_KEYS.join(", "),
        });
    }
    let num_layers = section.size_up_to("num_layers", MAX_HEAD_LAYERS as u64)?;
    let activation = match section.text("activation")? {
        Some(name) => section.named("activation", name.parse())?,
        None if num_layers == 1 => Activation::None,
        None => return Err(section.missing("activation")),
    };
    let position = section.text("position")?.ok_or_else(|| section.missing("position"))?;
    Ok(RewardHeadConfig {
        num_layers,
        activation,
        hidden_size: section.size_or("hidden_size", backbone_hidden_size, MAX_SIZE)?,
        bias: section.flag("bias")?.ok_or_else(|| section.missing("bias"))?,
        position: section.named("position", position.parse())?,
    })
}
