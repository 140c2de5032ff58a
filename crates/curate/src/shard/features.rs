//! What `datasets` reads from a shard's metadata to show its pictures as pictures.
//!
//! Shards that only name their pictures need none: their columns are what they seem.
//!
//! # Source
//! `datasets` 4, `arrow_writer.py` and `features.py`: the key `huggingface` holds the features as JSON, `_type` names the class of each.

use serde_json::{Value, json};

use super::columns::Stand;

/// Key in the metadata of the file.
pub(super) const KEY: &str = "huggingface";

/// The features of shards that hold pictures.
pub(super) fn of(stand: Stand) -> Option<String> {
    if stand == Stand::Outside {
        return None;
    }
    let text = || value("string");
    let number = || value("float32");
    let pictures = || list(&json!({"_type": "Image"}));
    let part = json!({
        "type": text(), "text": text(), "frames": pictures(), "fps": value("float64"),
    });
    let message = json!({"role": text(), "content": list(&part)});
    let messages = list(&message);
    let features = json!({
        "id": text(), "source": text(), "images": pictures(), "prompt": messages, "responses": list(&messages),
        "ranks": list(&value("int32")), "scores": list(&number()), "margin": number(), "soft_label": number(),
        "key": text(), "group": value("uint64"), "strength": number(), "agreement": number(),
        "difficulty": number(), "flipped": value("bool"), "copy": value("uint32"), "file": text(),
        "row": text(), "license": text(),
    });
    Some(json!({"info": {"features": features}}).to_string())
}

fn value(kind: &str) -> Value {
    json!({"dtype": kind, "_type": "Value"})
}

fn list(feature: &Value) -> Value {
    json!({"feature": feature, "_type": "List"})
}
