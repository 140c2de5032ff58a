//! Tests of every head layout, with a sentence for each fault.

use super::*;
use crate::checkpoint::testing::{Stored, counting, opened, tiny_config, two_layers};

/// The width of the tiny model, which every head here reads.
const HIDDEN: usize = 64;

fn linear(prefix: &str, outputs: usize, inputs: usize, bias: bool) -> Vec<Stored> {
    let mut tensors = vec![counting(&format!("{prefix}.weight"), &[outputs, inputs], 1.0)];
    if bias {
        tensors.push(counting(&format!("{prefix}.bias"), &[outputs], 100.0));
    }
    tensors
}

fn stack(prefixes: &[&str], bias: bool) -> Vec<Stored> {
    let (last, between) = prefixes.split_last().unwrap();
    let mut tensors: Vec<Stored> =
        between.iter().flat_map(|prefix| linear(prefix, HIDDEN, HIDDEN, bias)).collect();
    tensors.extend(linear(last, 1, HIDDEN, bias));
    tensors
}

fn read_with(
    tensors: &[Stored],
    block: Option<RewardHeadConfig>,
) -> Result<HeadTensors, LoadError> {
    let (_folder, checkpoint) = opened(tensors);
    let head = read(&checkpoint, &Config { reward_head: block, ..tiny_config() })?;
    checkpoint.finish()?;
    Ok(head)
}

fn sentence(tensors: &[Stored], block: Option<RewardHeadConfig>) -> String {
    read_with(tensors, block).unwrap_err().to_string()
}

#[test]
fn every_public_layout_is_read_with_its_own_defaults() {
    for (prefixes, bias, layout, activation) in [
        (&["score"][..], false, HeadLayout::Score, Activation::None),
        (&["score"], true, HeadLayout::Score, Activation::None),
        (&["v_head.summary"], true, HeadLayout::ValueHeadSummary, Activation::None),
        (&["v_head"], false, HeadLayout::ShortValueHead, Activation::None),
        (&["value_head"], false, HeadLayout::ValueHead, Activation::None),
        (&["score.0"], true, HeadLayout::ScoreSequential, Activation::None),
        (&["score.0", "score.2"], true, HeadLayout::ScoreSequential, Activation::Relu),
        (&["rm_head.dense", "rm_head.out_proj"], true, HeadLayout::RmHead, Activation::Tanh),
    ] {
        let head = read_with(&stack(prefixes, bias), None).unwrap();
        assert_eq!(head.source_layout, layout);
        assert_eq!(head.activation, activation, "{layout}");
        assert_eq!(head.position, ScorePosition::LastToken);
        assert_eq!(head.layers.len(), prefixes.len());
        let last = head.layers.last().unwrap();
        assert_eq!((last.outputs, last.inputs), (1, HIDDEN));
        assert_eq!((last.weight[0], last.weight[HIDDEN - 1]), (1.0, HIDDEN as f32));
        assert_eq!(last.bias, bias.then(|| vec![100.0]));
    }
}

#[test]
fn a_value_head_in_a_file_of_its_own_is_found() {
    let (folder, _) = opened(&[]);
    let file = folder.path().join("value_head.safetensors");
    crate::checkpoint::testing::write_safetensors(&file, &stack(&["v_head.summary"], true));
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let head = read(&checkpoint, &tiny_config()).unwrap();
    assert_eq!(head.source_layout, HeadLayout::ValueHeadSummary);
    std::fs::remove_file(&file).unwrap();
    std::fs::write(folder.path().join("value_head.bin"), "x").unwrap();
    let said = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(said.contains("value_head.bin` is a Python pickle"), "{said}");
}

#[test]
fn the_block_of_the_config_overrules_the_defaults() {
    for prefixes in [
        ["score.0", "score.2"],
        ["rm_head.dense", "rm_head.out_proj"],
        ["score.dense", "score.out_proj"],
    ] {
        let head = read_with(&stack(&prefixes, true), Some(two_layers())).unwrap();
        assert_eq!(head.activation, Activation::Silu);
        assert_eq!(head.position, ScorePosition::EndOfTurn);
        assert_eq!(head.config(), two_layers());
    }
}

#[test]
fn an_activation_that_cannot_be_known_is_asked_for() {
    for (prefixes, bias) in [
        (&["score.0", "score.2", "score.4"][..], true),
        (&["score.0", "score.2"], false),
        (&["score.dense", "score.out_proj"], true),
    ] {
        let said = sentence(&stack(prefixes, bias), None);
        assert!(said.contains("does not say which activation is between its layers"), "{said}");
        assert!(said.contains("\"reward_head\": {"), "{said}");
    }
}

#[test]
fn a_block_that_contradicts_the_tensors_is_refused() {
    let tensors = stack(&["score.0", "score.2"], true);
    for (block, expected) in [
        (
            RewardHeadConfig { num_layers: 3, ..two_layers() },
            "`reward_head.num_layers` in the config.json of",
        ),
        (
            RewardHeadConfig { bias: false, ..two_layers() },
            "is `false`, but the tensors of the head (`score.0, score.2, …`) have `true`",
        ),
        (
            RewardHeadConfig { hidden_size: 32, ..two_layers() },
            "is `32`, but the tensors of the head (`score.0, score.2, …`) have `64`",
        ),
    ] {
        let said = sentence(&tensors, Some(block));
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn several_outputs_are_refused() {
    let said = sentence(&linear("score", 2, HIDDEN, false), None);
    assert!(said.contains("gives 2 numbers for each response"), "{said}");
    let (_folder, checkpoint) = opened(&stack(&["score"], false));
    let config = Config { num_labels: Some(5), ..tiny_config() };
    let said = read(&checkpoint, &config).unwrap_err().to_string();
    assert!(said.contains("gives 5 numbers"), "{said}");
}

#[test]
fn two_heads_are_refused() {
    let mut tensors = stack(&["score"], false);
    tensors.extend(stack(&["v_head.summary"], true));
    let said = sentence(&tensors, None);
    assert!(said.contains("several reward heads: `score`, `v_head.summary`"), "{said}");
}

#[test]
fn a_folder_without_a_head_names_the_command_that_makes_one() {
    let said = sentence(&[counting("model.norm.weight", &[2], 0.0)], None);
    assert!(said.contains("has no reward head") && said.contains("`basereward init "), "{said}");
    assert!(!said.contains("outside of the backbone"), "{said}");
    let said = sentence(&[counting("classifier.weight", &[1, 64], 0.0)], None);
    assert!(said.contains("tensors outside of the backbone: `classifier.weight`"), "{said}");
}

#[test]
fn a_head_of_another_width_is_misshapen() {
    let said = sentence(&linear("score", 1, 32, false), None);
    assert!(said.contains("has shape [1, 32], but config.json asks for [1, 64]"), "{said}");
}

#[test]
fn gaps_and_leftovers_in_a_head_are_named() {
    let said = sentence(&stack(&["score.0", "score.3"], true), None);
    assert!(said.contains("lacks the tensor `score.2.weight`"), "{said}");
    let said = sentence(&[counting("score.2.bias", &[1], 0.0)], None);
    assert!(said.contains("lacks the tensor `score.0.weight`"), "{said}");
    let mut tensors = stack(&["score"], false);
    tensors.push(counting("score.extra", &[1], 0.0));
    let said = sentence(&tensors, None);
    assert!(said.contains("does not have (1): `score.extra`"), "{said}");
    let prefixes = ["score.0", "score.2", "score.4", "score.6", "score.8", "score.10"];
    let said = sentence(&stack(&prefixes, true), None);
    assert!(said.contains("has 6 layers; supported are 1 to 5"), "{said}");
}

#[test]
fn written_names_follow_the_number_of_layers() {
    let names = |num_layers, bias| -> Vec<String> {
        let head = RewardHeadConfig { num_layers, bias, ..two_layers() };
        tensor_shapes(&head, HIDDEN).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(1, false), ["score.weight"]);
    assert_eq!(
        names(2, true),
        ["score.0.weight", "score.0.bias", "score.2.weight", "score.2.bias"]
    );
    assert_eq!(names(3, false), ["score.0.weight", "score.2.weight", "score.4.weight"]);
}
