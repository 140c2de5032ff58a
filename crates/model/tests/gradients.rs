//! Gradients of a whole model: against PyTorch, between ways to compute them, and what an update does to scores.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use engine::{DType, Device, Gradients, ParameterId, Recompute};
use model::training::{LoraOptions, Part, TrainableModel, TrainingOptions};
use model::{PrefixCache, RewardModel};
use prompt::{Encoded, Processor, ProcessorOptions, Row};
use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use testkit::{Goldens, compare};

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/goldens/tiny")
}

const EVERY_WAY: [Recompute; 3] = [Recompute::Nothing, Recompute::Layers, Recompute::Groups];

fn options() -> TrainingOptions {
    TrainingOptions {
        parts: Part::ALL.to_vec(),
        lora: None,
        recompute: Recompute::Nothing,
        seed: 0,
    }
}

fn load(options: &TrainingOptions, dtype: DType, num_threads: usize) -> TrainableModel {
    let device = Device::cpu(Some(num_threads)).unwrap();
    TrainableModel::load(&tiny().join("model"), &device, dtype, options).unwrap()
}

/// Conversations of the golden pairs, chosen before rejected.
fn golden_pairs(model: &RewardModel, golden: &Value) -> Vec<Encoded> {
    let folder = tiny();
    let processor =
        Processor::load(&folder.join("model"), model.vision_tokens(), ProcessorOptions::default())
            .unwrap();
    let mut encoded = Vec::new();
    for pair in golden["pairs"].as_array().unwrap() {
        let pair = &pair["pair"];
        let mut row = serde_json::json!({
            "id": pair["id"], "prompt": pair["prompt"],
            "responses": [pair["chosen"], pair["rejected"]],
        });
        if let Some(images) = pair.get("images") {
            row["images"] = images.clone();
        }
        let row = Row::parse(&row.to_string(), 1, &folder).unwrap();
        encoded.extend(processor.encode_all(&row.conversations().unwrap()).unwrap());
    }
    encoded
}

fn golden() -> Value {
    serde_json::from_str(&std::fs::read_to_string(tiny().join("gradients.json")).unwrap()).unwrap()
}

/// The gradient of the mean of −log σ(chosen − rejected) over pairs that stand side by side.
fn bradley_terry(rewards: &[f32]) -> Vec<f32> {
    let pairs = (rewards.len() / 2) as f32;
    rewards
        .chunks(2)
        .flat_map(|pair| {
            let slope = -1.0 / (1.0 + (pair[0] - pair[1]).exp()) / pairs;
            [slope, -slope]
        })
        .collect()
}

fn run(model: &TrainableModel, encoded: &[Encoded]) -> (Vec<f32>, Gradients) {
    let conversations: Vec<&Encoded> = encoded.iter().collect();
    let mut gradients = model.gradients();
    let loss = |rewards: &[f32]| Ok::<_, Infallible>(bradley_terry(rewards));
    let rewards = model.rewards_and_gradients(&conversations, loss, &mut gradients).unwrap();
    (rewards, gradients)
}

fn by_name(model: &TrainableModel, gradients: &Gradients) -> BTreeMap<String, Vec<f32>> {
    let names = model.parameters().iter().map(|info| info.name.clone());
    names.zip(gradients.iter().map(engine::Gradient::to_f32)).collect()
}

/// A margin does not change when both rewards are shifted alike: the gradient is zero.
fn is_without_effect(name: &str) -> bool {
    name == "score.2.bias"
}

/// Largest difference of any gradient, each relative to its largest element.
fn worst(got: &BTreeMap<String, Vec<f32>>, expected: &BTreeMap<String, Vec<f32>>) -> (f64, String) {
    let keys: Vec<_> = got.keys().collect();
    assert_eq!(keys, expected.keys().collect::<Vec<_>>());
    got.iter()
        .filter(|(name, _)| !is_without_effect(name))
        .map(|(name, got)| (compare(got, &expected[name]).relative, name.clone()))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap()
}

#[test]
fn the_gradient_of_every_parameter_equals_pytorchs() {
    let golden = golden();
    for recompute in EVERY_WAY {
        let model = load(&TrainingOptions { recompute, ..options() }, DType::F32, 2);
        let encoded = golden_pairs(model.model(), &golden);
        let (rewards, gradients) = run(&model, &encoded);
        for (pair, rewards) in golden["pairs"].as_array().unwrap().iter().zip(rewards.chunks(2)) {
            let expected = ["chosen", "rejected"].map(|key| pair["rewards"][key].as_f64().unwrap());
            for (reward, expected) in rewards.iter().zip(expected) {
                assert!((f64::from(*reward) - expected).abs() < 2e-4, "{reward} {expected}");
            }
        }
        let expected: BTreeMap<String, Vec<f32>> = Goldens::open(&tiny())
            .tensors("gradients.safetensors")
            .into_iter()
            .map(|(name, stage)| (name, stage.values))
            .collect();
        let (distance, name) = worst(&by_name(&model, &gradients), &expected);
        assert!(distance <= 1e-3, "recompute {recompute:?}: {name} is {distance:.1e} off");
    }
}

#[test]
fn a_shared_prefix_gives_the_gradient_of_separate_sequences() {
    let model = load(&options(), DType::F32, 2);
    let encoded = golden_pairs(model.model(), &golden());
    let (rewards, together) = run(&model, &encoded);
    let slopes = bradley_terry(&rewards);
    let mut apart = model.gradients();
    for (one, slope) in encoded.iter().zip(slopes) {
        let loss = |_: &[f32]| Ok::<_, Infallible>(vec![slope]);
        model.rewards_and_gradients(&[one], loss, &mut apart).unwrap();
    }
    let (distance, name) = worst(&by_name(&model, &together), &by_name(&model, &apart));
    assert!(distance <= 1e-5, "{name} is {distance:.1e} off");
}

#[test]
fn recomputation_and_threads_change_no_bit() {
    for dtype in [DType::F32, DType::Bf16] {
        let kept = load(&options(), dtype, 1);
        let encoded = golden_pairs(kept.model(), &golden());
        let (rewards, gradients) = run(&kept, &encoded);
        let expected = by_name(&kept, &gradients);
        let others = [
            (Recompute::Layers, 1),
            (Recompute::Groups, 1),
            (Recompute::Nothing, 3),
            (Recompute::Layers, 2),
            (Recompute::Groups, 2),
        ];
        for (recompute, num_threads) in others {
            let other = load(&TrainingOptions { recompute, ..options() }, dtype, num_threads);
            let (other_rewards, gradients) = run(&other, &encoded);
            assert_eq!(rewards, other_rewards);
            assert!(by_name(&other, &gradients) == expected, "{recompute:?} {num_threads} {dtype}");
        }
    }
}

#[test]
fn a_bf16_gradient_points_where_that_in_f32_does() {
    let f32_model = load(&options(), DType::F32, 2);
    let encoded = golden_pairs(f32_model.model(), &golden());
    let exact = by_name(&f32_model, &run(&f32_model, &encoded).1);
    let bf16_model = load(&options(), DType::Bf16, 2);
    let rounded = by_name(&bf16_model, &run(&bf16_model, &encoded).1);
    for (name, exact) in exact.iter().filter(|(name, _)| !is_without_effect(name)) {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let rounded = &rounded[name];
        let cosine = dot(exact, rounded) / (dot(exact, exact) * dot(rounded, rounded)).sqrt();
        assert!(cosine > 0.98, "{name}: {cosine}");
    }
}

#[test]
fn frozen_parts_change_no_gradient_of_the_others() {
    let all = load(&options(), DType::F32, 2);
    let encoded = golden_pairs(all.model(), &golden());
    let expected = by_name(&all, &run(&all, &encoded).1);
    for parts in [vec![], vec![Part::Merger], vec![Part::Language], vec![Part::Vision]] {
        for recompute in EVERY_WAY {
            let some = load(
                &TrainingOptions { parts: parts.clone(), recompute, ..options() },
                DType::F32,
                2,
            );
            let gradients = by_name(&some, &run(&some, &encoded).1);
            for name in expected.keys() {
                let part = Part::of(name);
                let trained = part == Part::Head || parts.contains(&part);
                assert_eq!(gradients.contains_key(name), trained, "{parts:?} {name}");
            }
            for (name, gradient) in gradients {
                assert!(gradient == expected[&name], "{parts:?} {name}");
            }
        }
    }
}

#[test]
fn an_update_is_scored_and_written_with_the_same_bits() {
    let lora = LoraOptions {
        rank: 3,
        alpha: 6.0,
        targets: vec!["qkv".into(), "k_proj".into(), "gate_proj".into()],
    };
    for dtype in [DType::F32, DType::Bf16] {
        for lora in [None, Some(lora.clone())] {
            let mut model = load(&TrainingOptions { lora, ..options() }, dtype, 2);
            let encoded = golden_pairs(model.model(), &golden());
            let conversations: Vec<&Encoded> = encoded.iter().collect();
            let mut cache = PrefixCache::new(1 << 26);
            let mut cached = |model: &RewardModel| -> Vec<f32> {
                let scored = model.score_cached(&conversations, &mut cache).unwrap();
                scored.iter().map(|scored| scored.reward).collect()
            };
            let before = model.model().score(&conversations).unwrap();
            assert_eq!(cached(model.model()), before);
            let gradients = run(&model, &encoded).1;
            model.update(|values| {
                for (index, value) in values.iter_mut().enumerate() {
                    let gradient = gradients.get(ParameterId(index)).to_f32();
                    for (value, slope) in value.as_mut_slice::<f32>().iter_mut().zip(gradient) {
                        *value -= 0.05 * slope;
                    }
                }
            });
            let after = model.model().score(&conversations).unwrap();
            assert_ne!(before, after);
            assert_eq!(cached(model.model()), after, "{dtype}: with a cache from before");
            let folder = tempfile::tempdir().unwrap();
            let written = folder.path().join("written");
            model.write(&written).unwrap();
            let device = Device::cpu(Some(2)).unwrap();
            let loaded = RewardModel::load(&written, &device, dtype).unwrap();
            assert_eq!(loaded.score(&conversations).unwrap(), after, "{dtype}");
        }
    }
}

#[test]
fn low_rank_gradients_follow_from_those_of_the_whole_weight() {
    let encoded_by = |model: &TrainableModel| golden_pairs(model.model(), &golden());
    let target = "model.language_model.layers.0.self_attn.v_proj";
    let lora =
        LoraOptions { rank: 2, alpha: 4.0, targets: vec!["v_proj".into(), "up_proj".into()] };
    let mut low_rank = load(&TrainingOptions { lora: Some(lora), ..options() }, DType::F32, 2);
    let index = |model: &TrainableModel, name: &str| {
        model.parameters().iter().position(|info| info.name == name).unwrap()
    };
    let (a, b) = (
        index(&low_rank, &format!("{target}.lora_A.weight")),
        index(&low_rank, &format!("{target}.lora_B.weight")),
    );
    // B begins as zeros: with some values the gradient by A does not vanish either.
    low_rank.update(|values| {
        for (i, value) in values[b].as_mut_slice::<f32>().iter_mut().enumerate() {
            *value = ((i * 7 % 11) as f32 - 5.0) * 0.01;
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let merged = folder.path().join("merged");
    low_rank.write(&merged).unwrap();
    let device = Device::cpu(Some(2)).unwrap();
    let whole = TrainableModel::load(&merged, &device, DType::F32, &options()).unwrap();
    let encoded = encoded_by(&whole);
    let whole_gradients = run(&whole, &encoded).1;
    let weight = index(&whole, &format!("{target}.weight"));
    let (rows, cols) = (whole.value(weight).rows(), whole.value(weight).cols());
    let gradients = run(&low_rank, &encoded).1;
    let (rank, scale) = (2, 2.0_f64);
    let dw = whole_gradients.get(ParameterId(weight)).to_f32();
    let (a_value, b_value) = (low_rank.value(a).to_f32(), low_rank.value(b).to_f32());
    let sum = |terms: &mut dyn Iterator<Item = (f32, f32)>| -> f32 {
        (scale * terms.map(|(x, y)| f64::from(x) * f64::from(y)).sum::<f64>()) as f32
    };
    let mut expected_a = vec![0.0; rank * cols];
    let mut expected_b = vec![0.0; rows * rank];
    for r in 0..rank {
        for i in 0..cols {
            let mut terms = (0..rows).map(|o| (b_value[o * rank + r], dw[o * cols + i]));
            expected_a[r * cols + i] = sum(&mut terms);
        }
        for o in 0..rows {
            let mut terms = (0..cols).map(|i| (dw[o * cols + i], a_value[r * cols + i]));
            expected_b[o * rank + r] = sum(&mut terms);
        }
    }
    for (id, expected) in [(a, expected_a), (b, expected_b)] {
        let difference = compare(&gradients.get(ParameterId(id)).to_f32(), &expected);
        assert!(difference.relative <= 1e-4, "{difference:?}");
    }
}

#[test]
fn an_unknown_lora_target_is_named() {
    let lora = LoraOptions { rank: 2, alpha: 2.0, targets: vec!["q_projj".into()] };
    let device = Device::cpu(Some(1)).unwrap();
    let options = TrainingOptions { lora: Some(lora), ..options() };
    let folder = tiny().join("model");
    let error = TrainableModel::load(&folder, &device, DType::F32, &options).unwrap_err();
    assert!(error.to_string().contains("`q_projj`"), "{error}");
}
