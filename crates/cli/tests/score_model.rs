//! `score` and model folders that are not whole: each is refused with one sentence before a row is touched.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::json;
use std::fs;
use support::{Stored, Workplace, good_row, lines};

/// Scores with a model that `change` has damaged; the sentence must hold every part of `expected`.
fn check(change: impl FnOnce(&Workplace), expected: &[&str]) {
    let place = Workplace::with_model();
    change(&place);
    place.write("rows.jsonl", lines(&[good_row("a")]));
    place.write("kept.jsonl", "scores of another day\n");
    let item = ["score", "model", "--prompt", "a", "--response", "b"];
    for arguments in [
        &["score", "model", "rows.jsonl", "-o", "out.jsonl"][..],
        &["score", "model", "rows.jsonl", "-o", "kept.jsonl", "--overwrite"],
        &item,
    ] {
        let sentence = place.refused(arguments);
        for part in expected {
            assert!(sentence.contains(part), "`{part}` is not in: {sentence}");
        }
    }
    assert!(!place.path("out.jsonl").exists() && !place.path("out.jsonl.run.json").exists());
    assert_eq!(place.read("kept.jsonl"), "scores of another day\n");
}

fn tensor<'a>(tensors: &'a mut [Stored], name: &str) -> &'a mut Stored {
    tensors.iter_mut().find(|one| one.name == name).unwrap()
}

#[test]
fn a_folder_that_is_not_there_or_no_folder_is_named() {
    check(
        |place| fs::remove_dir_all(place.path("model")).unwrap(),
        &["`model` does not exist", "give the path"],
    );
    check(
        |place| {
            fs::remove_dir_all(place.path("model")).unwrap();
            place.write("model", "");
        },
        &["`model` is not a folder", "give the folder"],
    );
}

#[test]
fn a_missing_tensor_is_named_with_its_shape() {
    check(
        |place| place.edit_tensors(|tensors| tensors.retain(|one| one.name != "model.norm.weight")),
        &[
            "`model` lacks the tensor `model.language_model.norm.weight` with shape [64]",
            "incomplete",
        ],
    );
}

#[test]
fn a_lost_head_is_never_made_up() {
    check(
        |place| place.edit_tensors(|tensors| tensors.retain(|one| !one.name.starts_with("score."))),
        &["`model` has no reward head", "basereward init model"],
    );
    check(
        |place| place.edit_tensors(|tensors| tensors.retain(|one| one.name != "score.2.weight")),
        &["the head in `model`", "a reward is 1 number", "a later layer of it is missing"],
    );
}

#[test]
fn a_tokenizer_with_more_tokens_than_the_embedding_table_is_refused() {
    check(
        |place| {
            place.edit("model/config.json", |config| config["vocab_size"] = json!(530));
            place.edit_tensors(|tensors| {
                let table = tensor(tensors, "model.embed_tokens.weight");
                let row_bytes = table.bytes.len() / table.shape[0];
                table.shape[0] = 530;
                table.bytes.truncate(530 * row_bytes);
            });
        },
        &["has 534 tokens", "embedding table has 530", "belongs to another model"],
    );
}

#[test]
fn an_extra_tensor_is_named() {
    check(
        |place| {
            place.edit_tensors(|tensors| {
                let bytes = tensor(tensors, "model.norm.weight").bytes.clone();
                let name = "model.layers.7.input_layernorm.weight".to_owned();
                tensors.push(Stored {
                    name,
                    dtype: safetensors::Dtype::BF16,
                    shape: vec![64],
                    bytes,
                });
            });
        },
        &[
            "tensors that this architecture does not have (1)",
            "`model.layers.7.input_layernorm.weight`",
        ],
    );
}

#[test]
fn a_misshapen_tensor_is_named_with_both_shapes() {
    check(
        |place| {
            place.edit_tensors(|tensors| {
                tensor(tensors, "model.layers.1.mlp.up_proj.weight").shape = vec![64, 96];
            });
        },
        &[
            "`model.layers.1.mlp.up_proj.weight`",
            "has shape [64, 96]",
            "config.json asks for [96, 64]",
        ],
    );
}

#[test]
fn a_truncated_weight_file_is_named_with_both_lengths() {
    let whole = fs::metadata(support::goldens().join("model/model.safetensors")).unwrap().len();
    let lengths = format!("should have {whole} bytes by its header but has {}", whole - 1);
    check(
        |place| cut(place, "model/model.safetensors", whole - 1),
        &["model.safetensors`", &lengths, "download or copy it again"],
    );
    for kept in [0, 5, 8, 1000] {
        check(
            |place| cut(place, "model/model.safetensors", kept),
            &["model.safetensors`", "download or copy it again"],
        );
    }
}

fn cut(place: &Workplace, name: &str, len: u64) {
    fs::OpenOptions::new().write(true).open(place.path(name)).unwrap().set_len(len).unwrap();
}

#[test]
fn files_that_are_missing_are_named() {
    for (file, expected) in [
        ("config.json", "config.json`"),
        ("model.safetensors", "holds no weights"),
        ("tokenizer.json", "tokenizer.json` is missing; copy it"),
        ("preprocessor_config.json", "preprocessor_config.json` is missing; copy it"),
        ("chat_template.json", "has no chat template; copy `chat_template.jinja`"),
    ] {
        check(
            |place| {
                fs::remove_file(place.path("model").join(file)).unwrap();
                place.edit("model/tokenizer_config.json", |config| {
                    config.as_object_mut().unwrap().remove("chat_template");
                });
            },
            &[expected],
        );
    }
}

#[test]
fn a_tokenizer_without_the_image_token_is_refused() {
    /// `image_token_id` of the golden model.
    const IMAGE_TOKEN: u64 = 524;
    check(
        |place| {
            place.edit("model/tokenizer.json", |tokenizer| {
                let tokens = tokenizer["added_tokens"].as_array_mut().unwrap();
                tokens.retain(|token| token["id"].as_u64().unwrap() < IMAGE_TOKEN);
            });
        },
        &[
            "tokenizer.json` has no",
            "`image_token_id` in `config.json`",
            "use the tokenizer that belongs",
        ],
    );
}

#[test]
fn an_unsupported_architecture_is_named_with_the_supported_one() {
    check(
        |place| place.edit("model/config.json", |config| config["model_type"] = json!("llava")),
        &["config.json`: unsupported architecture `llava`; supported is `qwen2_5_vl`"],
    );
}

#[test]
fn a_config_that_is_not_json_is_named_with_line_and_column() {
    check(
        |place| place.write("model/config.json", "{\n  \"model_type\": qwen\n}"),
        &["config.json` is not valid JSON at line 2, column "],
    );
}

#[test]
fn a_processor_of_impossible_bounds_is_refused() {
    check(
        |place| {
            place.edit("model/preprocessor_config.json", |config| {
                config["min_pixels"] = json!(1_u64 << 40);
            });
        },
        &["`min_pixels` is", "above `max_pixels`", "lower the one or raise the other"],
    );
}
