//! The golden folder, and the model's tokens as its `conversations.json` numbers them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use prompt::VisionTokens;
use serde_json::Value;

pub(crate) fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

pub(crate) fn vision() -> VisionTokens {
    let text = fs::read_to_string(goldens().join("conversations.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let id = |token: &str| golden["token_ids"][token].as_u64().unwrap() as u32;
    VisionTokens {
        image_token_id: id("<|image_pad|>"),
        video_token_id: id("<|video_pad|>"),
        vision_start_token_id: id("<|vision_start|>"),
        vision_end_token_id: id("<|vision_end|>"),
        spatial_merge_size: 2,
        patch_size: 14,
        temporal_patch_size: 2,
        tokens_per_second: 2.0,
    }
}
