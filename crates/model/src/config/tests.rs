//! Tests of reading config.json: both forms, defaults, and a sentence for each fault.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::*;
use crate::{checkpoint::testing::two_layers, preset};

fn read(value: &Value) -> Result<Config, LoadError> {
    Config::from_json(Path::new("m/config.json"), value)
}

fn sentence(value: &Value) -> String {
    read(value).unwrap_err().to_string()
}

/// What the Qwen team published for the 3B size, without the keys that change nothing.
fn published() -> Value {
    json!({
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "attention_dropout": 0.0,
        "bos_token_id": 151_643,
        "eos_token_id": 151_645,
        "vision_start_token_id": 151_652,
        "vision_end_token_id": 151_653,
        "vision_token_id": 151_654,
        "image_token_id": 151_655,
        "video_token_id": 151_656,
        "hidden_act": "silu",
        "hidden_size": 2048,
        "initializer_range": 0.02,
        "intermediate_size": 11_008,
        "max_position_embeddings": 128_000,
        "max_window_layers": 70,
        "model_type": "qwen2_5_vl",
        "num_attention_heads": 16,
        "num_hidden_layers": 36,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1_000_000.0,
        "sliding_window": 32_768,
        "tie_word_embeddings": true,
        "torch_dtype": "bfloat16",
        "use_cache": true,
        "use_sliding_window": false,
        "vision_config": {
            "depth": 32,
            "hidden_act": "silu",
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "in_chans": 3,
            "out_hidden_size": 2048,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31],
            "tokens_per_second": 2,
            "temporal_patch_size": 2
        },
        "rope_scaling": { "type": "mrope", "mrope_section": [16, 24, 24] },
        "vocab_size": 151_936
    })
}

/// The same model as transformers 5 writes it.
fn nested() -> Value {
    json!({
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "dtype": "bfloat16",
        "image_token_id": 151_655,
        "model_type": "qwen2_5_vl",
        "text_config": {
            "hidden_act": "silu",
            "hidden_size": 2048,
            "intermediate_size": 11_008,
            "layer_types": ["full_attention", "full_attention"],
            "max_position_embeddings": 128_000,
            "max_window_layers": 70,
            "model_type": "qwen2_5_vl_text",
            "num_attention_heads": 16,
            "num_hidden_layers": 36,
            "num_key_value_heads": 2,
            "pad_token_id": null,
            "rms_norm_eps": 1e-06,
            "rope_parameters": {
                "mrope_section": [16, 24, 24],
                "rope_theta": 1_000_000.0,
                "rope_type": "default"
            },
            "sliding_window": null,
            "use_sliding_window": false,
            "vocab_size": 151_936
        },
        "tie_word_embeddings": true,
        "transformers_version": "5.23.0",
        "video_token_id": 151_656,
        "vision_config": {
            "depth": 32,
            "fullatt_block_indexes": [7, 15, 23, 31],
            "hidden_act": "silu",
            "hidden_size": 1280,
            "in_channels": 3,
            "intermediate_size": 3420,
            "model_type": "qwen2_5_vl_vision",
            "num_heads": 16,
            "out_hidden_size": 2048,
            "patch_size": [14, 14],
            "rope_parameters": { "rope_theta": 10_000.0, "rope_type": "axial" },
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "tokens_per_second": 2,
            "window_size": 112
        },
        "vision_end_token_id": 151_653,
        "vision_start_token_id": 151_652
    })
}

fn with(mut value: Value, pointer: &str, replacement: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[key] = replacement;
    value
}

fn without(mut value: Value, pointer: &str) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
    value
}

#[test]
fn the_published_and_the_nested_form_give_the_same_model() {
    let expected = preset::by_name("qwen2.5-vl-3b").unwrap();
    assert_eq!(read(&published()).unwrap(), expected);
    assert_eq!(read(&nested()).unwrap(), expected);
}

#[test]
fn the_rope_block_of_transformers_4_is_read() {
    let rope = json!({"mrope_section": [16, 24, 24], "rope_type": "default", "type": "default"});
    let value = with(published(), "/rope_scaling", rope);
    assert_eq!(read(&value).unwrap(), read(&published()).unwrap());
}

#[test]
fn token_ids_beside_the_text_keys_are_read() {
    let value = with(nested(), "/text_config/vision_start_token_id", json!(99));
    let value = without(value, "/vision_start_token_id");
    assert_eq!(read(&value).unwrap().vision_start_token_id, 99);
}

#[test]
fn class_defaults_stand_in_where_published_files_rely_on_them() {
    let mut value = published();
    for key in ["depth", "num_heads", "in_chans", "patch_size", "spatial_merge_size"] {
        value = without(value, &format!("/vision_config/{key}"));
    }
    for key in ["window_size", "fullatt_block_indexes", "temporal_patch_size", "hidden_act"] {
        value = without(value, &format!("/vision_config/{key}"));
    }
    for key in ["image_token_id", "video_token_id", "vision_start_token_id", "hidden_act"] {
        value = without(value, &format!("/{key}"));
    }
    assert_eq!(read(&value).unwrap(), read(&published()).unwrap());
}

#[test]
fn every_key_without_a_default_is_named_when_it_is_missing() {
    for key in [
        "model_type",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "vocab_size",
        "rms_norm_eps",
        "rope_theta",
        "max_position_embeddings",
        "vision_config",
    ] {
        let said = sentence(&without(published(), &format!("/{key}")));
        assert!(said.starts_with(&format!("`m/config.json` lacks the key `{key}`;")), "{said}");
    }
    for key in ["hidden_size", "intermediate_size", "out_hidden_size", "tokens_per_second"] {
        let said = sentence(&without(published(), &format!("/vision_config/{key}")));
        assert!(said.contains(&format!("lacks the key `vision_config.{key}`")), "{said}");
    }
    for pointer in ["/rope_scaling", "/rope_scaling/mrope_section"] {
        let said = sentence(&without(published(), pointer));
        assert!(said.contains("lacks the key `rope_scaling.mrope_section`"), "{said}");
    }
    let said = sentence(&without(nested(), "/text_config/rope_parameters/mrope_section"));
    assert!(said.contains("`text_config.rope_parameters.mrope_section`"), "{said}");
    let said = sentence(&without(nested(), "/text_config/hidden_size"));
    assert!(said.contains("lacks the key `text_config.hidden_size`"), "{said}");
}

#[test]
fn other_architectures_and_settings_are_named_with_what_is_supported() {
    for (pointer, replacement, expected) in [
        (
            "/model_type",
            json!("qwen2_vl"),
            "unsupported architecture `qwen2_vl`; supported is `qwen2_5_vl`",
        ),
        (
            "/hidden_act",
            json!("gelu"),
            "`hidden_act` is `gelu`, which is not supported; supported is silu",
        ),
        (
            "/vision_config/hidden_act",
            json!("quick_gelu"),
            "`vision_config.hidden_act` is `quick_gelu`",
        ),
        ("/use_sliding_window", json!(true), "ok"),
        (
            "/rope_scaling/type",
            json!("yarn"),
            "`rope_scaling.type` is `yarn`, which is not supported; supported is mrope or default",
        ),
        (
            "/rope_scaling/mrope_interleaved",
            json!(true),
            "`rope_scaling.mrope_interleaved` is `true`",
        ),
        ("/quantization_config", json!({"quant_method": "awq"}), "`quantization_config` is `awq`"),
        (
            "/layer_types",
            json!(["full_attention", "sliding_attention"]),
            "`layer_types` is `sliding_attention`",
        ),
    ] {
        let read = read(&with(published(), pointer, replacement));
        let said = read.map_or_else(|error| error.to_string(), |_| "ok".to_owned());
        assert!(said.contains(expected), "{pointer}: {said}");
    }
    let value = with(published(), "/use_sliding_window", json!(true));
    let said = sentence(&with(value, "/max_window_layers", json!(28)));
    assert!(said.contains("`use_sliding_window` is `true`"), "{said}");
}

#[test]
fn wrong_values_are_named_with_what_was_expected() {
    for (pointer, replacement, expected) in [
        (
            "/hidden_size",
            json!("2048"),
            "`hidden_size` is `2048`, expected a whole number from 1 to 2097152",
        ),
        ("/hidden_size", json!(0), "`hidden_size` is `0`"),
        ("/num_hidden_layers", json!(-1), "`num_hidden_layers` is `-1`"),
        ("/num_hidden_layers", json!(1e18), "`num_hidden_layers` is `1e+18`"),
        ("/rms_norm_eps", json!(0), "`rms_norm_eps` is `0`, expected a number above 0"),
        ("/rope_scaling", json!([1]), "`rope_scaling` is `[1]`, expected an object"),
        (
            "/rope_scaling/mrope_section",
            json!([32, 32]),
            "expected three numbers (time, height, width)",
        ),
        (
            "/rope_scaling/mrope_section",
            json!([16, 24, 25]),
            "must be three numbers whose sum is half of the head's 128",
        ),
        (
            "/num_attention_heads",
            json!(15),
            "`hidden_size` is `2048`, but it must be a multiple of `num_attention_heads`, which is 15",
        ),
        (
            "/num_key_value_heads",
            json!(3),
            "must be a multiple of `num_key_value_heads`, which is 3",
        ),
        (
            "/head_dim",
            json!(64),
            "`head_dim` is `64`, but it must be `hidden_size / num_attention_heads`, which is 128",
        ),
        (
            "/image_token_id",
            json!(151_936),
            "`image_token_id` is `151936`, but it must be below `vocab_size`, which is 151936",
        ),
        (
            "/tie_word_embeddings",
            json!("no"),
            "`tie_word_embeddings` is `no`, expected true or false",
        ),
        (
            "/vision_config/out_hidden_size",
            json!(3584),
            "must be the language model's `hidden_size`, which is 2048",
        ),
        (
            "/vision_config/window_size",
            json!(100),
            "must be a multiple of `spatial_merge_size · patch_size`, which is 28",
        ),
        (
            "/vision_config/fullatt_block_indexes",
            json!([7, 32]),
            "`vision_config.fullatt_block_indexes` is `32`",
        ),
        (
            "/vision_config/patch_size",
            json!([14, 16]),
            "expected one number, or one number repeated",
        ),
        ("/vision_config/num_heads", json!(40), "ok"),
        ("/vision_config/num_heads", json!(128), "a multiple of 4 numbers for its two rotary axes"),
        ("/vision_config", json!("x".repeat(100)), "…`, expected an object"),
    ] {
        let read = read(&with(published(), pointer, replacement));
        let said = read.map_or_else(|error| error.to_string(), |_| "ok".to_owned());
        assert!(said.contains(expected), "{pointer}: {said}");
    }
    assert!(sentence(&json!([])).contains("`the whole file` is `[]`, expected an object"));
}

#[test]
fn the_head_block_is_read_and_strict() {
    let block = two_layers().to_json();
    let value = with(published(), "/reward_head", block.clone());
    assert_eq!(read(&value).unwrap().reward_head, Some(two_layers()));
    for (key, replacement, expected) in [
        (
            "num_layers",
            json!(6),
            "`reward_head.num_layers` is `6`, expected a whole number from 1 to 5",
        ),
        (
            "activation",
            json!("swish"),
            "`reward_head.activation` is `swish`, expected one of none, relu, silu, tanh, gelu",
        ),
        ("activation", json!(null), "lacks the key `reward_head.activation`"),
        ("position", json!("eos"), "expected one of end_of_turn, last_token"),
        ("position", json!(null), "lacks the key `reward_head.position`"),
        ("bias", json!(null), "lacks the key `reward_head.bias`"),
        (
            "act",
            json!("silu"),
            "unknown key `reward_head.act`; known here are num_layers, activation, hidden_size, bias, position",
        ),
    ] {
        let value = with(
            published(),
            "/reward_head",
            with(json!({"b": block}), &format!("/b/{key}"), replacement)["b"].clone(),
        );
        let said = sentence(&value);
        assert!(said.contains(expected), "{key}: {said}");
    }
}

#[test]
fn a_linear_head_needs_no_activation() {
    let block = json!({"num_layers": 1, "bias": false, "position": "last_token"});
    let head = read(&with(published(), "/reward_head", block)).unwrap().reward_head.unwrap();
    assert_eq!(head.activation, Activation::None);
    assert_eq!(head.hidden_size, 2048);
    assert_eq!(head.layer_shapes(2048), [[1, 2048]]);
}

#[test]
fn labels_are_counted_from_either_key() {
    assert_eq!(read(&published()).unwrap().num_labels, None);
    let labels = json!({"0": "a", "1": "b"});
    let value = with(published(), "/id2label", labels);
    assert_eq!(read(&value).unwrap().num_labels, Some(2));
    assert_eq!(read(&with(value, "/num_labels", json!(1))).unwrap().num_labels, Some(1));
}

#[test]
fn a_written_config_with_a_head_is_the_task_of_a_reward_model() {
    let config =
        Config { reward_head: Some(two_layers()), ..preset::by_name("qwen2.5-vl-7b").unwrap() };
    let json = config.to_json(StorageType::Bf16);
    assert_eq!(json["rms_norm_eps"].to_string(), "1e-6");
    assert_eq!(json["vision_config"]["tokens_per_second"].to_string(), "2");
    assert_eq!(json["torch_dtype"], "bfloat16");
    assert_eq!(json["num_labels"], 1);
    assert_eq!(json["problem_type"], "regression");
    assert_eq!(read(&json).unwrap(), Config { num_labels: Some(1), ..config });
}

#[test]
fn faults_outside_of_the_values_are_named_too() {
    let folder = tempdir().unwrap();
    let missing = Config::read(&folder.path().join("none")).unwrap_err().to_string();
    assert!(
        missing.contains("none` does not exist; give the path of a Hugging Face folder"),
        "{missing}"
    );
    let missing = Config::read(folder.path()).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read `") && missing.contains("config.json`"), "{missing}");
    std::fs::write(folder.path().join("config.json"), "{\n  \"model_type\": }").unwrap();
    let broken = Config::read(folder.path()).unwrap_err().to_string();
    assert!(broken.ends_with("is not valid JSON at line 2, column 17: expected value"), "{broken}");
    let file = Config::read(&folder.path().join("config.json")).unwrap_err().to_string();
    assert!(file.contains("is not a folder; give the folder"), "{file}");
}
