//! Published model sizes by name, and a tiny one for tests.
//!
//! A preset is only a [`Config`]; weights are read or made elsewhere.
//!
//! # Source
//! The config.json of Qwen/Qwen2.5-VL-{3B,7B,32B,72B}-Instruct. 3B and 7B were compared with the
//! files. For 32B and 72B no file was at hand: their sizes are from secondary descriptions, and the
//! intermediate size of their vision tower (3456) and the 72B's vocabulary are the least certain.
//! Nothing is loaded through a preset, so a slip there could only change a benchmark's shape.

use crate::config::{Config, INITIALIZER_RANGE, TextConfig, VisionConfig};

/// Special tokens of the Qwen2.5 vocabulary.
pub const QWEN_TOKENS: SpecialTokens =
    SpecialTokens { image: 151_655, video: 151_656, vision_start: 151_652, vision_end: 151_653 };

/// Token ids that stand around and for images and videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialTokens {
    /// `<|image_pad|>`
    pub image: u32,
    /// `<|video_pad|>`
    pub video: u32,
    /// `<|vision_start|>`
    pub vision_start: u32,
    /// `<|vision_end|>`
    pub vision_end: u32,
}

/// What differs between the published sizes.
struct Published {
    name: &'static str,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    vocab_size: usize,
    vision_intermediate_size: usize,
    tie_word_embeddings: bool,
}

const SIZES: [Published; 4] = [
    Published {
        name: "qwen2.5-vl-3b",
        hidden_size: 2048,
        intermediate_size: 11_008,
        num_hidden_layers: 36,
        num_attention_heads: 16,
        num_key_value_heads: 2,
        vocab_size: 151_936,
        vision_intermediate_size: 3420,
        tie_word_embeddings: true,
    },
    Published {
        name: "qwen2.5-vl-7b",
        hidden_size: 3584,
        intermediate_size: 18_944,
        num_hidden_layers: 28,
        num_attention_heads: 28,
        num_key_value_heads: 4,
        vocab_size: 152_064,
        vision_intermediate_size: 3420,
        tie_word_embeddings: false,
    },
    Published {
        name: "qwen2.5-vl-32b",
        hidden_size: 5120,
        intermediate_size: 27_648,
        num_hidden_layers: 64,
        num_attention_heads: 40,
        num_key_value_heads: 8,
        vocab_size: 152_064,
        vision_intermediate_size: 3456,
        tie_word_embeddings: false,
    },
    Published {
        name: "qwen2.5-vl-72b",
        hidden_size: 8192,
        intermediate_size: 29_568,
        num_hidden_layers: 80,
        num_attention_heads: 64,
        num_key_value_heads: 8,
        vocab_size: 152_064,
        vision_intermediate_size: 3456,
        tie_word_embeddings: false,
    },
];

/// Names of the published sizes, smallest first.
pub fn names() -> impl Iterator<Item = &'static str> {
    SIZES.iter().map(|size| size.name)
}

/// Deviation of the demo's fresh matrices: about one over the root of their inputs.
const DEMO_INITIALIZER_RANGE: f32 = 0.08;

/// The configuration of a published size, without a head.
pub fn by_name(name: &str) -> Option<Config> {
    SIZES.iter().find(|size| size.name == name).map(published)
}

/// A model of about 160,000 parameters besides its embeddings, with every part of a large one.
///
/// It has windows and whole-frame blocks, grouped heads, and unequal rotary sections.
///
/// # Panics
/// When a special token is not inside of the vocabulary.
pub fn tiny(vocab_size: usize, tokens: SpecialTokens) -> Config {
    let ids = [tokens.image, tokens.video, tokens.vision_start, tokens.vision_end];
    assert!(ids.iter().all(|id| (*id as usize) < vocab_size), "tokens {ids:?} below {vocab_size}");
    let text = TextConfig {
        hidden_size: 64,
        intermediate_size: 128,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 16,
        vocab_size,
        rms_norm_eps: 1e-6,
        rope_theta: 1_000_000.0,
        mrope_section: [2, 3, 3],
        max_position_embeddings: 32_768,
    };
    let vision = VisionConfig {
        depth: 2,
        hidden_size: 32,
        intermediate_size: 64,
        num_heads: 2,
        fullatt_block_indexes: vec![1],
        ..published_vision(64, text.hidden_size)
    };
    assemble(text, vision, tokens, true)
}

/// The model that `basereward demo` trains: small enough for minutes on a CPU, every layer of the large ones.
///
/// # Panics
/// When a special token is not inside of the vocabulary.
pub fn demo(vocab_size: usize, tokens: SpecialTokens) -> Config {
    let Config { text, vision, .. } = tiny(vocab_size, tokens);
    let text = TextConfig {
        hidden_size: 128,
        intermediate_size: 256,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 32,
        // Pictures of three by three tokens and short texts: places differ by few, so slow rotations would tell them apart badly.
        rope_theta: 30.0,
        mrope_section: [2, 7, 7],
        ..text
    };
    let vision = VisionConfig {
        depth: 2,
        hidden_size: 96,
        intermediate_size: 192,
        num_heads: 4,
        fullatt_block_indexes: vec![1],
        out_hidden_size: 128,
        ..vision
    };
    // Small widths need larger weights for the same size of signal.
    Config { initializer_range: DEMO_INITIALIZER_RANGE, ..assemble(text, vision, tokens, true) }
}

fn published(size: &Published) -> Config {
    let text = TextConfig {
        hidden_size: size.hidden_size,
        intermediate_size: size.intermediate_size,
        num_hidden_layers: size.num_hidden_layers,
        num_attention_heads: size.num_attention_heads,
        num_key_value_heads: size.num_key_value_heads,
        head_dim: size.hidden_size / size.num_attention_heads,
        vocab_size: size.vocab_size,
        rms_norm_eps: 1e-6,
        rope_theta: 1_000_000.0,
        mrope_section: [16, 24, 24],
        max_position_embeddings: 128_000,
    };
    let vision = published_vision(size.vision_intermediate_size, size.hidden_size);
    assemble(text, vision, QWEN_TOKENS, size.tie_word_embeddings)
}

fn published_vision(intermediate_size: usize, out_hidden_size: usize) -> VisionConfig {
    VisionConfig {
        depth: 32,
        hidden_size: 1280,
        intermediate_size,
        num_heads: 16,
        in_channels: 3,
        patch_size: 14,
        spatial_merge_size: 2,
        temporal_patch_size: 2,
        window_size: 112,
        out_hidden_size,
        fullatt_block_indexes: vec![7, 15, 23, 31],
        tokens_per_second: 2.0,
    }
}

fn assemble(
    text: TextConfig,
    vision: VisionConfig,
    tokens: SpecialTokens,
    tie_word_embeddings: bool,
) -> Config {
    Config {
        text,
        vision,
        image_token_id: tokens.image,
        video_token_id: tokens.video,
        vision_start_token_id: tokens.vision_start,
        vision_end_token_id: tokens.vision_end,
        tie_word_embeddings,
        initializer_range: INITIALIZER_RANGE,
        reward_head: None,
        num_labels: None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::checkpoint::{StorageType, tensor_shapes};

    fn num_parameters(config: &Config) -> usize {
        tensor_shapes(config).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    #[test]
    fn every_preset_survives_being_written_and_read() {
        let tiny =
            tiny(300, SpecialTokens { image: 259, video: 260, vision_start: 257, vision_end: 258 });
        for config in names().filter_map(by_name).chain([tiny]) {
            let json = config.to_json(StorageType::Bf16);
            assert_eq!(Config::from_json(Path::new("config.json"), &json).unwrap(), config);
        }
    }

    #[test]
    fn parameter_counts_are_those_of_the_published_files() {
        // The hub counts every tensor, so lm_head where it is a tensor of its own.
        let lm_head = |config: &Config| {
            let untied = usize::from(!config.tie_word_embeddings);
            untied * config.text.vocab_size * config.text.hidden_size
        };
        for (name, billions, half_of_the_last_digit) in [
            ("qwen2.5-vl-3b", 3.75, 0.005),
            ("qwen2.5-vl-7b", 8.29, 0.005),
            ("qwen2.5-vl-32b", 33.5, 0.05),
            ("qwen2.5-vl-72b", 73.4, 0.05),
        ] {
            let config = by_name(name).unwrap();
            let found = (num_parameters(&config) + lm_head(&config)) as f64 / 1e9;
            assert!((found - billions).abs() <= half_of_the_last_digit, "{name}: {found}");
        }
    }

    #[test]
    fn an_unknown_name_is_no_preset() {
        assert_eq!(by_name("qwen2.5-vl-1b"), None);
    }
}
