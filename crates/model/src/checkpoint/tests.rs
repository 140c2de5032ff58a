//! Tests of opening and reading weight files, with a sentence for each fault.

use std::fs;

use half::{bf16, f16};
use safetensors::Dtype;
use tempfile::{TempDir, tempdir};

use super::{
    testing::{Stored, counting, opened, tiny_config, two_layers, write_index, write_safetensors},
    *,
};

fn sentence(folder: &TempDir) -> String {
    Checkpoint::open(folder.path()).unwrap_err().to_string()
}

#[test]
fn both_namings_become_the_canonical_one_and_back() {
    for (published, canonical) in [
        ("model.embed_tokens.weight", "model.language_model.embed_tokens.weight"),
        ("model.layers.3.mlp.up_proj.weight", "model.language_model.layers.3.mlp.up_proj.weight"),
        ("visual.merger.ln_q.weight", "model.visual.merger.ln_q.weight"),
        ("lm_head.weight", "lm_head.weight"),
        ("score.0.weight", "score.0.weight"),
        ("v_head.summary.bias", "v_head.summary.bias"),
    ] {
        assert_eq!(canonical_name(published), canonical);
        assert_eq!(canonical_name(canonical), canonical);
        assert_eq!(published_name(canonical), published);
    }
}

#[test]
fn every_storage_type_is_read_as_f32_and_as_bf16() {
    let numbers = [0.0_f32, 1.0, -2.5, 0.333_333_34, 65_504.0, 6e-8];
    let f32s: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let f16s = numbers.iter().flat_map(|number| f16::from_f32(*number).to_le_bytes()).collect();
    let bf16s = numbers.iter().flat_map(|number| bf16::from_f32(*number).to_le_bytes()).collect();
    let shape = vec![3, 2];
    let (_folder, checkpoint) = opened(&[
        ("a".to_owned(), shape.clone(), Dtype::F32, f32s),
        ("b".to_owned(), shape.clone(), Dtype::F16, f16s),
        ("c".to_owned(), shape.clone(), Dtype::BF16, bf16s),
    ]);
    let rounded: Vec<f32> = numbers.iter().map(|number| f16::from_f32(*number).to_f32()).collect();
    let coarse: Vec<bf16> = numbers.iter().map(|number| bf16::from_f32(*number)).collect();
    let a = checkpoint.tensor("a", &shape).unwrap();
    assert_eq!(a.to_f32(), numbers);
    assert_eq!(a.to_bf16(), coarse);
    let b = checkpoint.tensor("b", &shape).unwrap();
    assert_eq!(b.to_f32(), rounded);
    let expected: Vec<bf16> = rounded.iter().map(|number| bf16::from_f32(*number)).collect();
    assert_eq!(b.to_bf16(), expected);
    let c = checkpoint.tensor("c", &shape).unwrap();
    assert_eq!(c.to_bf16(), coarse);
    assert_eq!((c.num_rows(), c.row_len(), c.num_elements()), (3, 2, 6));
    let mut row = [0.0; 2];
    a.rows_f32(2..3, &mut row);
    assert_eq!(row.to_vec(), numbers[4..6].to_vec());
    let mut rows = [bf16::ZERO; 4];
    c.rows_bf16(1..3, &mut rows);
    assert_eq!(rows, coarse[2..6]);
    checkpoint.finish().unwrap();
}

#[test]
fn a_released_tensor_can_be_read_again() {
    let (_folder, checkpoint) = opened(&[counting("a", &[5000], 1.0), counting("b", &[3], 7.0)]);
    let tensor = checkpoint.tensor("a", &[5000]).unwrap();
    let before = tensor.to_f32();
    tensor.release();
    assert_eq!(tensor.to_f32(), before);
    assert_eq!(checkpoint.tensor("b", &[3]).unwrap().to_f32(), [7.0, 8.0, 9.0]);
}

#[test]
fn an_empty_tensor_is_no_fault() {
    let (_folder, checkpoint) = opened(&[counting("a", &[0, 4], 0.0)]);
    let tensor = checkpoint.tensor("a", &[0, 4]).unwrap();
    assert!(tensor.to_f32().is_empty());
    tensor.release();
}

#[test]
fn missing_misshapen_and_unsupported_tensors_are_named() {
    let (_folder, checkpoint) = opened(&[
        counting("visual.a", &[2, 3], 0.0),
        ("b".to_owned(), vec![2], Dtype::I8, vec![1, 2]),
    ]);
    let said =
        |name: &str, shape: &[usize]| checkpoint.tensor(name, shape).unwrap_err().to_string();
    let missing = said("model.visual.z", &[4]);
    assert!(missing.contains("lacks the tensor `model.visual.z` with shape [4]"), "{missing}");
    let misshapen = said("model.visual.a", &[3, 2]);
    assert!(misshapen.contains("the tensor `visual.a` in `"), "{misshapen}");
    assert!(
        misshapen.contains("has shape [2, 3], but config.json asks for [3, 2]; take weights"),
        "{misshapen}"
    );
    let unsupported = said("b", &[2]);
    assert!(
        unsupported.contains("is stored as `I8`; supported are F32, F16 and BF16"),
        "{unsupported}"
    );
}

#[test]
fn tensors_that_nothing_asked_for_are_listed() {
    let tensors: Vec<Stored> =
        (0..7).map(|step| counting(&format!("extra.{step}"), &[1], 0.0)).collect();
    let (_folder, checkpoint) = opened(&tensors);
    checkpoint.tensor("extra.0", &[1]).unwrap();
    let said = checkpoint.finish().unwrap_err().to_string();
    let listed = "`extra.1`, `extra.2`, `extra.3`, `extra.4`, `extra.5` and 1 more";
    let expected = format!("holds tensors that this architecture does not have (6): {listed}");
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn a_language_model_head_may_be_there_or_not_but_must_fit() {
    let (_folder, checkpoint) = opened(&[counting("lm_head.weight", &[4, 2], 0.0)]);
    assert!(matches!(checkpoint.skip(LM_HEAD, &[5, 2]), Err(LoadError::MisshapenTensor { .. })));
    checkpoint.skip(LM_HEAD, &[4, 2]).unwrap();
    checkpoint.finish().unwrap();
    let (_folder, checkpoint) = opened(&[]);
    checkpoint.skip(LM_HEAD, &[4, 2]).unwrap();
}

#[test]
fn shards_are_read_through_their_index() {
    let folder = tempdir().unwrap();
    write_safetensors(&folder.path().join("one.safetensors"), &[counting("model.a", &[2], 1.0)]);
    write_safetensors(
        &folder.path().join("two.safetensors"),
        &[counting("score.weight", &[1, 2], 5.0)],
    );
    write_index(
        folder.path(),
        &[("model.a", "one.safetensors"), ("score.weight", "two.safetensors")],
    );
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.files().count(), 2);
    assert_eq!(checkpoint.size_bytes(), 16);
    let tensor = checkpoint.tensor("score.weight", &[1, 2]).unwrap();
    assert_eq!(tensor.to_f32(), [5.0, 6.0]);
    let info = checkpoint.infos().next().unwrap();
    assert_eq!((info.name, info.original_name), ("model.language_model.a", "model.a"));
    assert_eq!((info.stored_as, info.shape, info.size_bytes), ("F32", [2].as_slice(), 8));
    assert!(info.file.unwrap().ends_with("one.safetensors"));
}

#[test]
fn an_index_that_contradicts_its_shards_is_refused() {
    let folder = tempdir().unwrap();
    let shard = folder.path().join("one.safetensors");
    write_safetensors(&shard, &[counting("a", &[2], 1.0), counting("b", &[1], 1.0)]);
    write_index(folder.path(), &[("a", "one.safetensors")]);
    let said = sentence(&folder);
    assert!(said.starts_with("`one.safetensors` holds the tensor `b`, which `"), "{said}");
    let places = [("a", "one.safetensors"), ("b", "one.safetensors"), ("c", "one.safetensors")];
    write_index(folder.path(), &places);
    let said = sentence(&folder);
    assert!(
        said.contains("places the tensor `c` in `one.safetensors`, which does not hold it"),
        "{said}"
    );
    write_index(folder.path(), &[("a", "two.safetensors")]);
    let said = sentence(&folder);
    assert!(
        said.contains("names the shard `two.safetensors`, which is not in the folder"),
        "{said}"
    );
    write_index(folder.path(), &[("a", "../one.safetensors")]);
    let said = sentence(&folder);
    assert!(said.contains("`../one.safetensors`, which is not a plain file name"), "{said}");
    fs::write(folder.path().join("model.safetensors.index.json"), "{}").unwrap();
    let said = sentence(&folder);
    assert!(said.contains("lacks the key `weight_map`"), "{said}");
}

#[test]
fn one_tensor_under_two_names_is_refused() {
    let folder = tempdir().unwrap();
    let tensors = [
        counting("model.norm.weight", &[2], 1.0),
        counting("model.language_model.norm.weight", &[2], 1.0),
    ];
    write_safetensors(&folder.path().join("model.safetensors"), &tensors);
    let said = sentence(&folder);
    assert!(
        said.starts_with(
            "the tensor `model.language_model.norm.weight` is there twice: as `model."
        ),
        "{said}"
    );
}

#[test]
fn damaged_files_are_named_with_their_damage() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    write_safetensors(&file, &[counting("a", &[100], 1.0)]);
    let whole = fs::read(&file).unwrap();
    for length in [whole.len() - 1, whole.len() - 300, 20, 8, 3, 0] {
        fs::write(&file, &whole[..length]).unwrap();
        let said = sentence(&folder);
        assert!(said.contains(&format!("by its header but has {length}; download")), "{said}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    fs::write(&file, longer).unwrap();
    let said = sentence(&folder);
    let (expected, found) = (whole.len(), whole.len() + 1);
    assert!(
        said.contains(&format!("should have {expected} bytes by its header but has {found}")),
        "{said}"
    );
    let mut broken = whole.clone();
    broken[9] = b'!';
    fs::write(&file, broken).unwrap();
    assert!(sentence(&folder).contains("is not a valid safetensors file ("));
    fs::write(&file, [0xff; 64]).unwrap();
    assert!(sentence(&folder).contains("is not a valid safetensors file ("));
    fs::write(&file, "version https://git-lfs.github.com/spec/v1\noid sha256:00\n").unwrap();
    assert!(sentence(&folder).contains("is a Git LFS pointer"));
}

#[test]
fn folders_without_usable_weights_say_why() {
    let folder = tempdir().unwrap();
    let said = sentence(&folder);
    assert!(said.contains("holds no weights; expected `model.safetensors`"), "{said}");
    fs::write(folder.path().join("pytorch_model.bin"), "x").unwrap();
    assert!(sentence(&folder).contains("pytorch_model.bin` is a Python pickle"));
    fs::write(folder.path().join("adapter_config.json"), "{}").unwrap();
    assert!(sentence(&folder).contains("adapter_config.json` belongs to a LoRA adapter"));
    let missing = Checkpoint::open(&folder.path().join("x")).unwrap_err().to_string();
    assert!(missing.contains("x` does not exist"), "{missing}");
}

#[test]
fn a_single_file_beside_an_index_is_ambiguous() {
    let folder = tempdir().unwrap();
    write_safetensors(&folder.path().join("model.safetensors"), &[counting("a", &[1], 1.0)]);
    write_index(folder.path(), &[("a", "model.safetensors")]);
    assert!(sentence(&folder).contains("remove the one that is out of date"));
}

#[test]
fn adapter_tensors_are_recognized_by_their_names() {
    let folder = tempdir().unwrap();
    let tensors = [counting("base_model.model.score.weight", &[1, 2], 1.0)];
    write_safetensors(&folder.path().join("model.safetensors"), &tensors);
    assert!(sentence(&folder).contains("merge it into its base model first"));
}

#[test]
fn the_whole_architecture_has_the_names_and_shapes_of_transformers() {
    // Counted in a model of this shape made with transformers 5.23.0.
    let shapes = tensor_shapes(&tiny_config());
    assert_eq!(shapes.len(), 1 + 2 * 12 + 5 + 1 + 2 * 12 + 1);
    let shape_of = |wanted: &str| {
        shapes.iter().find(|(name, _)| name == wanted).map(|(_, shape)| shape.clone()).unwrap()
    };
    assert_eq!(shape_of("model.visual.patch_embed.proj.weight"), [32, 3, 2, 14, 14]);
    assert_eq!(shape_of("model.visual.blocks.1.attn.qkv.bias"), [96]);
    assert_eq!(shape_of("model.visual.merger.mlp.2.weight"), [64, 128]);
    assert_eq!(shape_of("model.language_model.embed_tokens.weight"), [300, 64]);
    assert_eq!(shape_of("model.language_model.layers.1.self_attn.v_proj.weight"), [32, 64]);
    assert_eq!(shape_of("model.language_model.layers.0.mlp.down_proj.weight"), [64, 128]);
}

#[test]
fn random_weights_do_not_depend_on_how_they_are_asked_for() {
    let config = tiny_config();
    let checkpoint = Checkpoint::random(&config, &two_layers(), 9, StorageType::Bf16);
    let tensor = checkpoint.tensor("model.visual.blocks.0.attn.qkv.weight", &[96, 32]).unwrap();
    let whole = tensor.to_f32();
    let mut rows = vec![0.0; 5 * 32];
    tensor.rows_f32(7..12, &mut rows);
    assert_eq!(rows, whole[7 * 32..12 * 32]);
    let rounded: Vec<f32> = tensor.to_bf16().into_iter().map(bf16::to_f32).collect();
    assert_eq!(rounded, whole);
    let norm = checkpoint.tensor("model.language_model.norm.weight", &[64]).unwrap();
    assert_eq!(norm.to_f32(), vec![1.0; 64]);
    let bias = checkpoint.tensor("score.0.bias", &[64]).unwrap();
    assert_eq!(bias.to_f32(), vec![0.0; 64]);
    let head = checkpoint.tensor("score.0.weight", &[64, 64]).unwrap();
    assert_eq!(head.storage_type(), StorageType::F32);
    let square = head.to_f32().iter().map(|number| number * number).sum::<f32>() / 4096.0;
    assert!((square * 65.0 - 1.0).abs() < 0.1, "{square}");
}
