//! What a cache of prompts may not change, what it saves, and what it may hold.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/tiny.rs"]
mod tiny;

use engine::{DType, Device, Tier};
use model::{PrefixCache, RewardModel, Scored};
use prompt::{Encoded, SyntheticRow};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as RunnerConfig, TestRunner};
use tiny::{VOCABULARY, conversations, for_every_tier_and_type, model};

const LARGE: usize = 1 << 30;

/// The conversations of [`tiny::conversations`], and some that go on from them, leave them in the middle, or ask another question.
fn family() -> Vec<Encoded> {
    let mut all = conversations();
    let longer: Vec<Encoded> = [0, 6, 9].map(|index| with_next_turn(&all[index])).into();
    let parted: Vec<Encoded> = [(1, 30), (7, 20), (10, 300)]
        .map(|(index, token)| with_other_token(&all[index], token))
        .into();
    all.extend(longer);
    all.extend(parted);
    all
}

/// A conversation whose prompt is all of another one.
fn with_next_turn(first: &Encoded) -> Encoded {
    let mut longer = first.clone();
    let last = first.position_ids[first.len() - 1][0];
    for i in 1..=12 {
        longer.token_ids.push(10 + i);
        longer.position_ids.push([last + i; 3]);
    }
    longer.prompt_tokens = first.len() + 4;
    longer.end_of_turn = longer.len() - 1;
    longer
}

/// A conversation that parts from another one at the first text token from `token` on.
fn with_other_token(first: &Encoded, token: usize) -> Encoded {
    let mut other = first.clone();
    let token = (token..first.len()).find(|&token| first.token_ids[token] < 290).unwrap();
    other.token_ids[token] = (other.token_ids[token] + 1) % 290;
    other
}

fn bits(scored: &[Scored]) -> Vec<u32> {
    scored.iter().map(|scored| scored.reward.to_bits()).collect()
}

fn score(model: &RewardModel, conversations: &[&Encoded], cache: &mut PrefixCache) -> Vec<Scored> {
    let scored = model.score_cached(conversations, cache).unwrap();
    assert!(cache.counts().bytes <= cache.max_bytes(), "{:?}", cache.counts());
    scored
}

fn plain_bits(model: &RewardModel, conversations: &[&Encoded]) -> Vec<u32> {
    model.score(conversations).unwrap().into_iter().map(f32::to_bits).collect()
}

/// A question over one picture with answers of the given lengths.
fn question(model: &RewardModel, seed: u64, responses: &[usize]) -> Vec<Encoded> {
    let row = SyntheticRow {
        images: 1,
        image_size: 112,
        prompt_tokens: 20,
        response_tokens: responses.to_vec(),
        vocab_size: VOCABULARY as u32,
        seed,
    };
    row.encode(&model.vision_tokens())
}

fn f32_model() -> RewardModel {
    model(&Device::cpu(Some(2)).unwrap(), DType::F32)
}

#[test]
fn a_score_has_the_same_bits_with_an_empty_a_partly_filled_and_a_full_cache() {
    let family = family();
    let all: Vec<&Encoded> = family.iter().collect();
    for_every_tier_and_type(|tier, dtype| {
        let model_of = |threads| model(&Device::cpu_with_tier(tier, Some(threads)).unwrap(), dtype);
        let expected = plain_bits(&model_of(2), &all);
        for threads in [1, 2, 3] {
            let model = model_of(threads);
            let what = format!("{} {dtype}, {threads} threads", tier.name());
            let mut cache = PrefixCache::new(LARGE);
            assert_eq!(bits(&score(&model, &all, &mut cache)), expected, "{what}: empty");
            assert_eq!(bits(&score(&model, &all, &mut cache)), expected, "{what}: full");
            cache.clear();
            for (index, one) in all.iter().enumerate() {
                let scored = score(&model, &[one], &mut cache);
                assert_eq!(bits(&scored), expected[index..=index], "{what}: filling, {index}");
            }
            for (index, one) in all.iter().enumerate().rev() {
                let scored = score(&model, &[one], &mut cache);
                assert_eq!(bits(&scored), expected[index..=index], "{what}: one by one, {index}");
                assert!(scored[0].cached_tokens >= one.prompt_tokens.min(one.end_of_turn));
            }
        }
    });
}

#[test]
fn no_sequence_of_calls_and_evictions_changes_a_bit() {
    let family = family();
    let all: Vec<&Encoded> = family.iter().collect();
    for_every_tier_and_type(|tier, dtype| {
        let model = model(&Device::cpu_with_tier(tier, Some(2)).unwrap(), dtype);
        let expected = plain_bits(&model, &all);
        let calls = vec(vec(0..all.len(), 1..4), 1..12);
        let settings = RunnerConfig { cases: 10, failure_persistence: None, ..Default::default() };
        let check = |(max_bytes, calls): (usize, Vec<Vec<usize>>)| {
            let mut cache = PrefixCache::new(max_bytes);
            for call in calls {
                let conversations: Vec<&Encoded> = call.iter().map(|&index| all[index]).collect();
                let scored = score(&model, &conversations, &mut cache);
                let expected: Vec<u32> = call.iter().map(|&index| expected[index]).collect();
                prop_assert_eq!(bits(&scored), expected, "{} {}: {:?}", tier.name(), dtype, call);
            }
            Ok(())
        };
        // From nothing to less than the size of all prompts.
        TestRunner::new(settings).run(&(0..1_500_000_usize, calls), check).unwrap();
    });
}

#[test]
fn a_prompt_is_computed_once_for_all_calls_and_answers_are_not_kept() {
    let model = f32_model();
    let answers = question(&model, 1, &[5, 6, 7]);
    let prompt_tokens = answers[0].prompt_tokens;
    assert_eq!(prompt_tokens, answers[0].len() - 5);
    let mut cache = PrefixCache::new(LARGE);
    let first = score(&model, &[&answers[0]], &mut cache)[0];
    assert_eq!((first.tokens, first.shared_tokens, first.cached_tokens), (prompt_tokens + 5, 0, 0));
    let held = cache.counts();
    assert_eq!((held.hit_tokens, held.missed_tokens), (0, prompt_tokens as u64));
    assert_eq!((held.hit_visuals, held.missed_visuals), (0, 1));

    let more = score(&model, &[&answers[1], &answers[2], &answers[2]], &mut cache);
    let taken: Vec<_> = more.iter().map(|one| (one.shared_tokens, one.cached_tokens)).collect();
    assert_eq!(taken, [(0, prompt_tokens), (7, prompt_tokens), (7, prompt_tokens)]);
    let counts = cache.counts();
    assert_eq!(counts.bytes, held.bytes, "answers are not kept");
    assert_eq!(
        (counts.hit_tokens, counts.missed_tokens),
        (prompt_tokens as u64, prompt_tokens as u64)
    );
    assert_eq!(
        (counts.hit_visuals, counts.missed_visuals),
        (0, 1),
        "the picture was not looked at"
    );
}

#[test]
fn a_picture_under_another_beginning_is_not_seen_again() {
    let model = f32_model();
    let first = question(&model, 1, &[5]).remove(0);
    let second = with_other_token(&first, 0);
    let mut cache = PrefixCache::new(LARGE);
    score(&model, &[&first], &mut cache);
    let scored = score(&model, &[&second], &mut cache);
    assert_eq!(scored[0].cached_tokens, 0);
    assert_eq!(bits(&scored), plain_bits(&model, &[&second]));
    let counts = cache.counts();
    assert_eq!((counts.hit_visuals, counts.missed_visuals), (1, 1));
}

#[test]
fn another_question_about_a_picture_goes_on_from_where_the_first_one_parts() {
    let model = f32_model();
    let first = question(&model, 1, &[5]).remove(0);
    let parting = first.prompt_tokens - 8;
    let second = with_other_token(&first, parting);
    let mut cache = PrefixCache::new(LARGE);
    score(&model, &[&first], &mut cache);
    for cached in [parting, second.prompt_tokens] {
        let scored = score(&model, &[&second], &mut cache);
        assert_eq!(scored[0].cached_tokens, cached);
        assert_eq!(bits(&scored), plain_bits(&model, &[&second]));
    }
    assert_eq!(score(&model, &[&first], &mut cache)[0].cached_tokens, first.prompt_tokens);
}

#[test]
fn equal_frames_at_another_speed_are_another_conversation() {
    let model = f32_model();
    let first = question(&model, 1, &[5]).remove(0);
    let mut second = first.clone();
    let image = model.config().image_token_id;
    for (position, id) in second.position_ids.iter_mut().zip(&first.token_ids) {
        position[0] += u32::from(*id == image);
    }
    let expected = [plain_bits(&model, &[&first])[0], plain_bits(&model, &[&second])[0]];
    assert_ne!(expected[0], expected[1]);
    assert_eq!(plain_bits(&model, &[&first, &second]), expected);
    let mut cache = PrefixCache::new(LARGE);
    score(&model, &[&first], &mut cache);
    assert_eq!(bits(&score(&model, &[&second], &mut cache)), expected[1..]);
}

#[test]
fn what_was_not_used_for_longest_is_dropped_first() {
    let model = f32_model();
    let prompts: Vec<Encoded> = (0..4).map(|seed| question(&model, seed, &[3]).remove(0)).collect();
    let mut cache = PrefixCache::new(LARGE);
    score(&model, &[&prompts[0]], &mut cache);
    let one = cache.counts().bytes;
    let mut cache = PrefixCache::new(3 * one + one / 2);
    let cached = |cache: &mut PrefixCache, index: usize| {
        score(&model, &[&prompts[index]], cache)[0].cached_tokens > 0
    };
    let asked: Vec<bool> =
        [0, 1, 2, 0, 3, 0, 2, 3, 1].map(|index| cached(&mut cache, index)).into();
    assert_eq!(asked, [false, false, false, true, false, true, true, true, false]);
    assert!(cache.counts().evictions > 0);
}

#[test]
fn a_prompt_that_does_not_fit_drops_nothing() {
    let model = f32_model();
    let small = question(&model, 1, &[3]).remove(0);
    let mut cache = PrefixCache::new(LARGE);
    score(&model, &[&small], &mut cache);
    let held = cache.counts().bytes;
    let mut cache = PrefixCache::new(2 * held);
    score(&model, &[&small], &mut cache);
    let large = &conversations()[12];
    assert_eq!(bits(&score(&model, &[large], &mut cache)), plain_bits(&model, &[large]));
    assert_eq!((cache.counts().bytes, cache.counts().evictions), (held, 0));
    assert_eq!(score(&model, &[&small], &mut cache)[0].cached_tokens, small.prompt_tokens);
}

#[test]
fn what_another_model_has_computed_is_not_used() {
    let conversations = conversations();
    let conversations: Vec<&Encoded> = conversations.iter().collect();
    let model_of = |dtype| model(&Device::cpu_with_tier(Tier::Portable, Some(2)).unwrap(), dtype);
    let (first, second) = (model_of(DType::F32), model_of(DType::Bf16));
    let mut cache = PrefixCache::new(LARGE);
    for model in [&first, &second, &first] {
        let scored = score(model, &conversations, &mut cache);
        assert!(scored.iter().all(|one| one.cached_tokens == 0));
        assert_eq!(bits(&scored), plain_bits(model, &conversations));
    }
}

#[test]
fn a_group_that_is_refused_costs_no_other_group_its_scores() {
    let model = f32_model();
    let answers = question(&model, 1, &[5, 6]);
    let mut unknown = answers[1].clone();
    unknown.token_ids[0] = VOCABULARY as u32;
    let mut cache = PrefixCache::new(LARGE);
    let groups = [vec![&answers[0]], vec![&unknown], vec![&answers[1]]];
    let scored = model.score_groups_cached(&groups, &mut cache);
    let [one, refused, two] = scored.as_slice() else { panic!("{scored:?}") };
    assert_eq!(refused.as_ref().unwrap_err().index(), 0);
    let both = [one.as_ref().unwrap()[0], two.as_ref().unwrap()[0]];
    assert_eq!(bits(&both), plain_bits(&model, &[&answers[0], &answers[1]]));
    assert_eq!(both[1].cached_tokens, answers[1].prompt_tokens);
}
