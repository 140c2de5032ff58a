//! What a score may not depend on: its batch, the sharing of prefixes, the number of threads.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use engine::{DType, Device, Tier};
use model::checkpoint::{Checkpoint, StorageType};
use model::config::{Activation, Config, RewardHeadConfig, ScorePosition};
use model::preset::SpecialTokens;
use model::{RewardModel, ScoreError, head_layout, preset};
use prompt::{Encoded, SyntheticRow};

const VOCABULARY: usize = 300;

fn config() -> Config {
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

fn model(device: &Device, dtype: DType) -> RewardModel {
    let config = config();
    let head = config.reward_head.as_ref().unwrap();
    let checkpoint = Checkpoint::random(&config, head, 7, StorageType::F32);
    let tensors = head_layout::read(&checkpoint, &config).unwrap();
    RewardModel::from_checkpoint(&checkpoint, &config, &tensors, device, dtype).unwrap()
}

/// Questions with and without pictures, short and longer than a block of keys, with several answers each.
fn conversations() -> Vec<Encoded> {
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

fn bits(model: &RewardModel, conversations: &[&Encoded]) -> Vec<u32> {
    model.score(conversations).unwrap().into_iter().map(f32::to_bits).collect()
}

fn for_every_tier_and_type(check: impl Fn(Tier, DType)) {
    for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
        for dtype in [DType::F32, DType::Bf16] {
            check(tier, dtype);
        }
    }
}

#[test]
fn a_score_does_not_depend_on_its_batch_or_on_shared_prefixes() {
    let conversations = conversations();
    for_every_tier_and_type(|tier, dtype| {
        let model = model(&Device::cpu_with_tier(tier, Some(2)).unwrap(), dtype);
        let alone: Vec<u32> = conversations.iter().flat_map(|one| bits(&model, &[one])).collect();
        let together = bits(&model, &conversations.iter().collect::<Vec<_>>());
        assert_eq!(alone, together, "{} {dtype}: all together", tier.name());
        let mut backwards = bits(&model, &conversations.iter().rev().collect::<Vec<_>>());
        backwards.reverse();
        assert_eq!(alone, backwards, "{} {dtype}: in another order", tier.name());
        for (index, pair) in conversations.windows(2).enumerate() {
            let both = bits(&model, &[&pair[0], &pair[1], &pair[0]]);
            let expected = [alone[index], alone[index + 1], alone[index]];
            assert_eq!(both, expected, "{} {dtype}: pair {index}", tier.name());
        }
        let distinct: std::collections::BTreeSet<u32> = alone.iter().copied().collect();
        assert_eq!(distinct.len(), alone.len(), "scores tell the conversations apart");
    });
}

#[test]
fn a_group_that_is_refused_costs_no_other_group_its_scores() {
    let model = model(&Device::cpu(Some(2)).unwrap(), DType::F32);
    let conversations = conversations();
    let mut unknown = conversations[5].clone();
    unknown.token_ids[0] = VOCABULARY as u32;
    let first: Vec<&Encoded> = conversations[..4].iter().collect();
    let last: Vec<&Encoded> = conversations[6..9].iter().collect();
    let of = |refused: &Encoded| {
        model.score_groups(&[first.clone(), vec![&conversations[4], refused], vec![], last.clone()])
    };
    let bits_of = |scores: &[f32]| scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>();
    for (scores, has_refused) in [(of(&conversations[5]), false), (of(&unknown), true)] {
        let [one, two, none, three] = scores.as_slice() else { panic!("{scores:?}") };
        assert_eq!(bits_of(one.as_ref().unwrap()), bits(&model, &first));
        assert_eq!(two.as_ref().err().map(ScoreError::index), has_refused.then_some(1));
        assert_eq!(none.as_deref().ok(), Some(&[][..]));
        assert_eq!(bits_of(three.as_ref().unwrap()), bits(&model, &last));
    }
}

#[test]
fn a_score_does_not_depend_on_the_number_of_threads() {
    let conversations = conversations();
    let conversations: Vec<&Encoded> = conversations.iter().collect();
    for_every_tier_and_type(|tier, dtype| {
        let score = |threads| {
            let device = Device::cpu_with_tier(tier, Some(threads)).unwrap();
            bits(&model(&device, dtype), &conversations)
        };
        let one = score(1);
        for threads in [2, 3, 8] {
            assert_eq!(score(threads), one, "{} {dtype}: {threads} threads", tier.name());
        }
    });
}

#[test]
fn all_tiers_agree_closely() {
    let conversations = conversations();
    let conversations: Vec<&Encoded> = conversations.iter().collect();
    let score = |tier, dtype| {
        let device = Device::cpu_with_tier(tier, Some(2)).unwrap();
        model(&device, dtype).score(&conversations).unwrap()
    };
    let reference = score(Tier::Portable, DType::F32);
    for_every_tier_and_type(|tier, dtype| {
        let tolerance = if dtype == DType::F32 { 1e-5 } else { 2e-2 };
        for (got, expected) in score(tier, dtype).iter().zip(&reference) {
            let distance = (got - expected).abs();
            assert!(distance < tolerance, "{} {dtype}: {got} not {expected}", tier.name());
        }
    });
}

#[test]
fn shared_tokens_and_pictures_are_computed_once() {
    let model = model(&Device::cpu(Some(1)).unwrap(), DType::F32);
    let vision = model.vision_tokens();
    let row = SyntheticRow {
        images: 1,
        image_size: 112,
        prompt_tokens: 20,
        response_tokens: vec![5, 6, 7],
        vocab_size: VOCABULARY as u32,
        seed: 1,
    };
    let conversations = row.encode(&vision);
    let tree = model.pack(&conversations.iter().collect::<Vec<_>>());
    let prefix = conversations[0].len() - 5;
    assert_eq!(tree.num_rows(), prefix + 5 + 6 + 7);
    assert_eq!(tree.num_patches(), conversations[0].visuals[0].num_patches());
    for (index, conversation) in conversations.iter().enumerate() {
        assert_eq!(tree.row_of(index, 0), 0);
        assert_eq!(
            tree.row_of(index, conversation.len() - 1) - tree.row_of(index, prefix),
            conversation.len() - 1 - prefix
        );
    }
}

#[test]
fn another_picture_under_the_same_tokens_is_another_conversation() {
    let model = model(&Device::cpu(Some(1)).unwrap(), DType::F32);
    let vision = model.vision_tokens();
    let encode = |seed| {
        let row = SyntheticRow {
            images: 1,
            image_size: 112,
            prompt_tokens: 20,
            response_tokens: vec![5],
            vocab_size: VOCABULARY as u32,
            seed,
        };
        row.encode(&vision).remove(0)
    };
    let first = encode(1);
    let mut second = first.clone();
    second.visuals = encode(2).visuals;
    let tree = model.pack(&[&first, &second]);
    assert_eq!(tree.num_patches(), 2 * first.visuals[0].num_patches());
    let scores = model.score(&[&first, &second]).unwrap();
    assert_ne!(scores[0].to_bits(), scores[1].to_bits());
}
