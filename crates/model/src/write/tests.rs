//! Tests of written folders: they read back, and nothing is half written or overwritten.

use std::fs;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::*;
use crate::{
    checkpoint::testing::{backbone_folder, tiny_config, two_layers},
    config::{Activation, ScorePosition},
    head_layout::HeadLayout,
};

fn load_strictly(folder: &Path) -> head_layout::HeadTensors {
    let config = Config::read(folder).unwrap();
    let checkpoint = Checkpoint::open(folder).unwrap();
    for (name, shape) in tensor_shapes(&config) {
        checkpoint.tensor(&name, &shape).unwrap();
    }
    let head = head_layout::read(&checkpoint, &config).unwrap();
    checkpoint.finish().unwrap();
    head
}

#[test]
fn a_written_random_model_reads_back_strictly_with_the_numbers_it_has_in_memory() {
    let parent = tempdir().unwrap();
    for storage_type in [StorageType::F32, StorageType::F16, StorageType::Bf16] {
        let out = parent.path().join(storage_type.name());
        let config = tiny_config();
        write_random(&config, &two_layers(), 11, storage_type, None, &out).unwrap();
        let head = load_strictly(&out);
        assert_eq!(head.config(), two_layers());
        assert_eq!(head.source_layout, HeadLayout::ScoreSequential);
        let memory = Checkpoint::random(&config, &two_layers(), 11, storage_type);
        let disk = Checkpoint::open(&out).unwrap();
        for info in memory.infos() {
            let one = memory.tensor(info.name, info.shape).unwrap();
            let other = disk.tensor(info.name, info.shape).unwrap();
            assert_eq!(one.storage_type(), other.storage_type(), "{}", info.name);
            assert_eq!(one.to_f32(), other.to_f32(), "{}", info.name);
            assert_eq!(one.to_bf16(), other.to_bf16(), "{}", info.name);
        }
        assert_eq!(memory.size_bytes(), disk.size_bytes());
    }
}

#[test]
fn heads_of_every_depth_read_back() {
    let parent = tempdir().unwrap();
    for num_layers in 1..=5 {
        for bias in [false, true] {
            let head = RewardHeadConfig {
                num_layers,
                activation: Activation::Gelu,
                hidden_size: if num_layers == 1 { 64 } else { 24 },
                bias,
                position: ScorePosition::LastToken,
            };
            let out = parent.path().join(format!("{num_layers}-{bias}"));
            write_random(&tiny_config(), &head, 0, StorageType::Bf16, None, &out).unwrap();
            assert_eq!(load_strictly(&out).config(), head);
        }
    }
}

#[test]
fn an_attached_head_leaves_the_backbone_as_it_was() {
    let config = tiny_config();
    let backbone = backbone_folder(&config);
    let parent = tempdir().unwrap();
    let out = parent.path().join("reward");
    let written = attach_head(backbone.path(), &two_layers(), 5, &out).unwrap();
    assert_eq!(
        written.files,
        [
            "config.json",
            "model-00001-of-00001.safetensors",
            "model-reward-head.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json"
        ]
    );
    assert_eq!(load_strictly(&out).config(), two_layers());
    let before = fs::read(backbone.path().join("model.safetensors")).unwrap();
    assert_eq!(fs::read(out.join("model-00001-of-00001.safetensors")).unwrap(), before);
}

#[test]
fn an_attached_head_keeps_the_keys_of_the_config_and_replaces_its_labels() {
    let backbone = backbone_folder(&tiny_config());
    let file = backbone.path().join(CONFIG_FILE);
    let mut json: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    json["bos_token_id"] = json!(7);
    json["id2label"] = json!({"0": "a", "1": "b"});
    fs::write(&file, json.to_string()).unwrap();
    let parent = tempdir().unwrap();
    let out = parent.path().join("reward");
    attach_head(backbone.path(), &two_layers(), 5, &out).unwrap();
    let json: Value = serde_json::from_slice(&fs::read(out.join(CONFIG_FILE)).unwrap()).unwrap();
    assert_eq!(json["bos_token_id"], 7);
    assert_eq!(json["num_labels"], 1);
    assert_eq!(json["problem_type"], "regression");
    assert_eq!(json["reward_head"], two_layers().to_json());
    load_strictly(&out);
}

#[test]
fn a_second_head_is_refused() {
    let backbone = backbone_folder(&tiny_config());
    let parent = tempdir().unwrap();
    let reward = parent.path().join("reward");
    attach_head(backbone.path(), &two_layers(), 5, &reward).unwrap();
    let error = attach_head(&reward, &two_layers(), 5, &parent.path().join("again")).unwrap_err();
    assert!(
        error.to_string().contains("already has a reward head (score.0, score.2, …)"),
        "{error}"
    );
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_behind() {
    let parent = tempdir().unwrap();
    let out = parent.path().join("full");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("precious"), "x").unwrap();
    let write =
        |out: &Path| write_random(&tiny_config(), &two_layers(), 0, StorageType::F32, None, out);
    let error = write(&out).unwrap_err().to_string();
    assert!(error.contains("is not an empty folder; nothing is overwritten"), "{error}");
    let file = out.join("precious");
    assert!(matches!(write(&file), Err(WriteError::OutputNotEmpty { .. })));
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    let empty = parent.path().join("empty");
    fs::create_dir(&empty).unwrap();
    write(&empty).unwrap();
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 2);
}

#[test]
fn a_head_of_an_impossible_depth_is_refused() {
    let parent = tempdir().unwrap();
    for num_layers in [0, 6] {
        let head = RewardHeadConfig { num_layers, ..two_layers() };
        let out = parent.path().join("out");
        let error = write_random(&tiny_config(), &head, 0, StorageType::F32, None, &out);
        let said = error.unwrap_err().to_string();
        assert_eq!(said, format!("a reward head cannot have {num_layers} layers; give 1 to 5"));
    }
}

#[test]
fn tokenizer_and_processor_files_travel_along() {
    let source = backbone_folder(&tiny_config());
    fs::write(source.path().join("preprocessor_config.json"), "{}").unwrap();
    fs::write(source.path().join("README.md"), "x").unwrap();
    let parent = tempdir().unwrap();
    let out = parent.path().join("out");
    let written =
        write_random(&tiny_config(), &two_layers(), 0, StorageType::F32, Some(source.path()), &out);
    assert_eq!(
        written.unwrap().files,
        ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"]
    );
}

#[test]
fn a_failure_leaves_no_folder() {
    let config = tiny_config();
    let backbone = backbone_folder(&config);
    fs::write(backbone.path().join("model.safetensors"), "short").unwrap();
    let parent = tempdir().unwrap();
    attach_head(backbone.path(), &two_layers(), 5, &parent.path().join("out")).unwrap_err();
    let staged = StagedFolder::create(&parent.path().join("out")).unwrap();
    fs::write(staged.path.join("half"), "x").unwrap();
    drop(staged);
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn large_plans_are_cut_into_indexed_shards() {
    let folder = tempdir().unwrap();
    let tensor = |name: &str, storage_type, count| PlannedTensor {
        name: name.to_owned(),
        storage_type,
        shape: vec![count],
    };
    let plan = [
        tensor("score.weight", StorageType::Bf16, 3),
        tensor("model.a", StorageType::F32, 4),
        tensor("model.b", StorageType::F32, 100),
        tensor("visual.c", StorageType::Bf16, 5),
    ];
    let placements = write_shards(folder.path(), &plan, 40, |tensor_idx, sink| {
        let size = plan[tensor_idx].storage_type.size_bytes() * plan[tensor_idx].shape[0];
        sink.write_all(&vec![tensor_idx as u8; size])
    })
    .unwrap();
    let shards: Vec<&str> = placements.iter().map(|placement| placement.shard.as_str()).collect();
    let first = "model-00001-of-00003.safetensors";
    let (second, third) = ("model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors");
    assert_eq!(shards, [first, first, second, third]);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let tensor = checkpoint.tensor("model.language_model.a", &[4]).unwrap();
    assert_eq!(tensor.to_f32()[0].to_bits(), 0x0101_0101);
    let tensor = checkpoint.tensor("model.visual.c", &[5]).unwrap();
    assert_eq!(tensor.to_bf16()[4].to_bits(), 0x0303);
    assert_eq!(checkpoint.size_bytes(), 6 + 16 + 400 + 10);
}

#[test]
fn a_tensor_with_too_few_bytes_is_an_error() {
    let folder = tempdir().unwrap();
    let plan =
        [PlannedTensor { name: "a".to_owned(), storage_type: StorageType::F32, shape: vec![2] }];
    let error = write_shards(folder.path(), &plan, 100, |_, sink| sink.write_all(&[0; 4]));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("`a` got 4 bytes instead of 8"), "{error}");
}
