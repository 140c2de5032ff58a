//! Compares a model folder with goldens that `reference/goldens.py --model` wrote for it, stage by stage.
//!
//! `cargo run --release -p model --example parity -- GOLDENS MODEL`

#![expect(clippy::print_stdout, reason = "its output is the point")]

#[path = "../tests/support/mod.rs"]
mod support;

use engine::{DType, Device};
use std::collections::BTreeMap;
use std::path::PathBuf;
use testkit::Goldens;

fn main() {
    let folders: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let [goldens, model] = folders.as_slice() else {
        panic!("usage: parity GOLDENS MODEL");
    };
    let goldens = Goldens::open(goldens);
    let device = Device::cpu(None).expect("a device");
    let loaded = support::load(model, &device, DType::F32);
    let mut worst: BTreeMap<String, f64> = BTreeMap::new();
    let mut worst_reward = 0.0_f32;
    for case in &goldens.cases {
        let encoded = support::encode(&loaded, &goldens, case);
        support::check_encoding(&goldens, case, &encoded);
        for (name, difference) in support::stage_differences(&loaded, &goldens, case, &encoded) {
            let stage = name.splitn(3, '.').nth(2).unwrap_or(&name).to_owned();
            let entry = worst.entry(stage).or_default();
            *entry = entry.max(difference.relative);
        }
        worst_reward = worst_reward.max(reward_difference(&loaded, case, &encoded));
    }
    for (stage, relative) in &worst {
        println!("{stage:<28} {relative:.1e} relative");
    }
    println!("{:<28} {worst_reward:.1e} absolute", "rewards, all cases");
    drop(loaded);
    let loaded = support::load(model, &device, DType::Bf16);
    let (ours, theirs) = support::bf16_distances(&loaded, &goldens);
    println!(
        "bf16 distance to the f32 reference, root mean square: {ours:.2e}, transformers {theirs:.2e}, ratio {:.2}",
        ours / theirs
    );
}

/// Largest difference of a reward, at both positions.
fn reward_difference(
    loaded: &support::Loaded,
    case: &testkit::Case,
    encoded: &[prompt::Encoded],
) -> f32 {
    let rewards = support::rewards_at_both(loaded, case, encoded);
    let expected =
        case.responses.iter().flat_map(|one| [one.rewards.end_of_turn, one.rewards.last_token]);
    rewards.iter().zip(expected).map(|(got, expected)| (got - expected).abs()).fold(0.0, f32::max)
}
