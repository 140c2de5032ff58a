//! A model small enough for every tier and type, and conversations that share their beginnings. Nothing is compared here.

use engine::{DType, Device, Tier};
use model::checkpoint::{Checkpoint, StorageType};
use model::config::{Activation, Config, RewardHeadConfig, ScorePosition};
use model::preset::SpecialTokens;
use model::{RewardModel, head_layout, preset};
use prompt::{Encoded, SyntheticRow};

pub(crate) const VOCABULARY: usize = 300;

pub(crate) fn config() -> Config {
    let tokens = SpecialTokens { image: 296, video: 297, vision_start: 298, vision_end: 299 };
    let head = RewardHeadConfig {
        num_layers: 2,
        activation: Activation::Silu,
        hidden_size: 32,
        bias: true,
        position: ScorePosition::EndOfTurn,
    };
    Config { reward_head: Some(head), ..preset::tiny(VOCABULARY, tokens) }
}

pub(crate) fn model(device: &Device, dtype: DType) -> RewardModel {
    let config = config();
    let head = config.reward_head.as_ref().unwrap();
    let checkpoint = Checkpoint::random(&config, head, 7, StorageType::F32);
    let tensors = head_layout::read(&checkpoint, &config).unwrap();
    RewardModel::from_checkpoint(&checkpoint, &config, &tensors, device, dtype).unwrap()
}

/// Questions with and without pictures, short and longer than a block of keys, with several answers each.
pub(crate) fn conversations() -> Vec<Encoded> {
    let vision = model::vision_tokens(&config());
    let row = |images, image_size, prompt_tokens, response_tokens: &[usize], seed| {
        let response_tokens = response_tokens.to_vec();
        let vocab_size = VOCABULARY as u32;
        SyntheticRow { images, image_size, prompt_tokens, response_tokens, vocab_size, seed }
            .encode(&vision)
    };
    [
        row(1, 140, 30, &[1, 17, 40, 90], 1),
        row(0, 0, 5, &[3, 12], 2),
        row(2, 84, 500, &[150, 40, 7], 3),
        row(1, 364, 700, &[33, 64, 200], 4),
        row(0, 0, 380, &[4, 5, 6, 400], 5),
    ]
    .concat()
}

pub(crate) fn for_every_tier_and_type(check: impl Fn(Tier, DType)) {
    for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
        for dtype in [DType::F32, DType::Bf16] {
            check(tier, dtype);
        }
    }
}
