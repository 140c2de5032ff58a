//! What a score may not depend on: its batch, the sharing of prefixes, the number of threads.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/tiny.rs"]
mod tiny;

use engine::{DType, Device, Tier};
use model::{RewardModel, ScoreError};
use prompt::{Encoded, SyntheticRow};
use tiny::{VOCABULARY, conversations, for_every_tier_and_type, model};

fn bits(model: &RewardModel, conversations: &[&Encoded]) -> Vec<u32> {
    model.score(conversations).unwrap().into_iter().map(f32::to_bits).collect()
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
