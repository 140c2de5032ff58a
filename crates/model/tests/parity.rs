//! The tiny model beside the reference implementation, stage by stage.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use engine::{DType, Device, Matrix, Tier};
use model::RewardHead;
use model::config::{Activation, ScorePosition};
use model::head_layout::{HeadLayer, HeadLayout, HeadTensors};
use std::path::Path;
use testkit::{Goldens, compare, tiny_folder};

/// Of a stage's own scale; the issue of parity is decided far below this.
const STAGE_TOLERANCE: f64 = 1e-4;
/// Absolute, of a reward.
const REWARD_TOLERANCE: f32 = 2e-4;

fn tiers() -> impl Iterator<Item = Tier> {
    Tier::ALL.into_iter().filter(|tier| tier.is_available())
}

fn device(tier: Tier) -> Device {
    Device::cpu_with_tier(tier, Some(2)).unwrap()
}

fn model_folder() -> std::path::PathBuf {
    tiny_folder().join("model")
}

#[test]
fn every_stage_equals_the_reference() {
    let goldens = Goldens::open(&tiny_folder());
    for tier in tiers() {
        let loaded = support::load(&model_folder(), &device(tier), DType::F32);
        for case in &goldens.cases {
            let encoded = support::encode(&loaded, &goldens, case);
            support::check_encoding(&goldens, case, &encoded);
            for (stage, difference) in support::stage_differences(&loaded, &goldens, case, &encoded)
            {
                let name = tier.name();
                assert!(difference.relative < STAGE_TOLERANCE, "{name}: {stage}: {difference:?}");
            }
        }
    }
}

#[test]
fn every_reward_equals_the_reference_at_both_positions() {
    let goldens = Goldens::open(&tiny_folder());
    for tier in tiers() {
        let loaded = support::load(&model_folder(), &device(tier), DType::F32);
        for case in &goldens.cases {
            let encoded = support::encode(&loaded, &goldens, case);
            let rewards = support::rewards_at_both(&loaded, case, &encoded);
            for (pair, expected) in rewards.chunks_exact(2).zip(&case.responses) {
                let expected = [expected.rewards.end_of_turn, expected.rewards.last_token];
                for (got, expected) in pair.iter().zip(expected) {
                    let distance = (got - expected).abs();
                    assert!(distance < REWARD_TOLERANCE, "{}: {got} not {expected}", case.name);
                }
            }
        }
    }
}

#[test]
fn bf16_is_no_farther_from_f32_than_the_reference_in_bf16() {
    let goldens = Goldens::open(&tiny_folder());
    for tier in tiers() {
        let loaded = support::load(&model_folder(), &device(tier), DType::Bf16);
        let (ours, theirs) = support::bf16_distances(&loaded, &goldens);
        assert!(ours <= 1.5 * theirs, "{}: {ours} against {theirs}", tier.name());
    }
}

#[test]
fn the_rendered_text_equals_the_reference() {
    let goldens = Goldens::open(&tiny_folder());
    let loaded = support::load(&model_folder(), &device(Tier::Portable), DType::F32);
    for case in &goldens.cases {
        let line = case.row.to_string();
        let row = prompt::Row::parse(&line, 1, &goldens.folder).unwrap();
        for (conversation, expected) in row.conversations().unwrap().iter().zip(&case.responses) {
            assert_eq!(loaded.processor.render(conversation).unwrap(), expected.text);
        }
    }
}

#[test]
fn heads_of_every_depth_and_activation_equal_the_reference() {
    let goldens = Goldens::open(&tiny_folder());
    let tensors = goldens.tensors("heads.safetensors");
    let device = device(Tier::best());
    let hidden = &tensors["hidden"];
    let hidden = Matrix::from_vec(hidden.shape[0], hidden.shape[1], hidden.values.clone());
    let activations = [
        ("none", Activation::None),
        ("relu", Activation::Relu),
        ("silu", Activation::Silu),
        ("tanh", Activation::Tanh),
        ("gelu", Activation::Gelu),
    ];
    for num_layers in 1..=5 {
        let layers: Vec<HeadLayer> = (0..num_layers)
            .map(|layer_idx| {
                let prefix = if num_layers == 1 {
                    "1.score".to_owned()
                } else {
                    format!("{num_layers}.score.{}", 2 * layer_idx)
                };
                let weight = &tensors[&format!("{prefix}.weight")];
                HeadLayer {
                    weight: weight.values.clone(),
                    bias: tensors.get(&format!("{prefix}.bias")).map(|bias| bias.values.clone()),
                    outputs: weight.shape[0],
                    inputs: weight.shape[1],
                }
            })
            .collect();
        for (name, activation) in activations {
            let head = HeadTensors {
                layers: layers.clone(),
                activation,
                position: ScorePosition::EndOfTurn,
                source_layout: HeadLayout::ScoreSequential,
            };
            let rewards = RewardHead::new(&device, &head).score(&device, hidden.clone());
            let expected = &tensors[&format!("{num_layers}.{name}.rewards")].values;
            let difference = compare(&rewards, expected);
            assert!(difference.relative < 1e-5, "{num_layers} layers, {name}: {difference:?}");
        }
    }
}

#[test]
fn both_config_forms_and_both_namings_give_the_same_bits() {
    let goldens = Goldens::open(&tiny_folder());
    let device = device(Tier::best());
    let published = all_rewards(&model_folder(), &goldens, &device);
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&model_folder(), folder.path());
    std::fs::copy(tiny_folder().join("config.nested.json"), folder.path().join("config.json"))
        .unwrap();
    assert_eq!(all_rewards(folder.path(), &goldens, &device), published, "nested config");
    rename_tensors(&folder.path().join("model.safetensors"));
    assert_eq!(all_rewards(folder.path(), &goldens, &device), published, "new tensor names");
}

fn all_rewards(folder: &Path, goldens: &Goldens, device: &Device) -> Vec<u32> {
    let loaded = support::load(folder, device, DType::F32);
    goldens
        .cases
        .iter()
        .flat_map(|case| {
            let encoded = support::encode(&loaded, goldens, case);
            support::rewards_at_both(&loaded, case, &encoded)
        })
        .map(f32::to_bits)
        .collect()
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Brings the published names to those that transformers 5 has in memory, and adds the unused language-model head.
fn rename_tensors(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let renamed: Vec<_> = tensors
        .iter()
        .flat_map(|(name, view)| {
            let new = model::checkpoint::canonical_name(name);
            let untied = new.ends_with("embed_tokens.weight").then(|| "lm_head.weight".to_owned());
            [Some(new), untied].into_iter().flatten().map(move |name| (name, view.clone()))
        })
        .collect();
    std::fs::write(path, safetensors::serialize(renamed, None).unwrap()).unwrap();
}
