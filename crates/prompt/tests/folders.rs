//! The forms in which a checkpoint folder may hold its template and settings, and the caller's options.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use std::fs;

use prompt::{Conversation, ImageSource, Processor, ProcessorOptions, Row};
use serde_json::json;
use support::{goldens, vision};
use tempfile::TempDir;

/// The golden folder without the files named in `without`, and with the `with` ones.
fn folder(without: &[&str], with: &[(&str, String)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in fs::read_dir(goldens().join("processor")).unwrap() {
        let entry = entry.unwrap();
        if !without.contains(&entry.file_name().to_str().unwrap()) {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    for (name, content) in with {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn load(folder: &TempDir, options: ProcessorOptions) -> Processor {
    Processor::load(folder.path(), vision(), options).unwrap()
}

fn conversation(prompt: &str) -> Conversation {
    let row = Row::new("", vec![], prompt, vec!["Yes.".to_owned()]);
    row.conversations().unwrap().remove(0)
}

fn large_picture() -> Conversation {
    let image = ImageSource::Path(goldens().join("pictures/large.png"));
    let row = Row::new("", vec![image], "What?", vec!["Yes.".to_owned()]);
    row.conversations().unwrap().remove(0)
}

fn grid(processor: &Processor) -> [usize; 3] {
    processor.encode(&large_picture()).unwrap().visuals[0].grid
}

#[test]
fn a_template_may_stand_in_a_legacy_file_or_in_the_tokenizers_config() {
    let template = "{{ messages[0].content }}{{ eos_token }}";
    let list =
        json!([{"name": "tools", "template": "x"}, {"name": "default", "template": template}]);
    let forms = [
        ("chat_template.json", json!({"chat_template": template})),
        ("tokenizer_config.json", json!({"chat_template": template, "eos_token": "<|im_end|>"})),
        (
            "tokenizer_config.json",
            json!({"chat_template": list, "eos_token": {"content": "<|im_end|>"}}),
        ),
    ];
    for (name, content) in forms {
        let folder = folder(&["chat_template.jinja"], &[(name, content.to_string())]);
        let processor = load(&folder, ProcessorOptions::default());
        assert_eq!(processor.render(&conversation("Hi")).unwrap(), "Hi<|im_end|>");
    }
}

#[test]
fn a_template_has_the_functions_of_transformers() {
    let template = "{%- for message in messages %}\n    {% if loop.first %}\n{{ message | tojson }}\n    {% endif %}\n\
                    {%- endfor %}{{ messages[0]['content'].split(' ')[0].strip() | upper }}<|im_end|>";
    let folder = folder(&[], &[("chat_template.jinja", template.to_owned())]);
    let processor = load(&folder, ProcessorOptions::default());
    assert_eq!(
        processor.render(&conversation("é <b>")).unwrap(),
        "{\"role\": \"user\", \"content\": \"é <b>\"}\nÉ<|im_end|>"
    );
}

#[test]
fn the_templates_hash_changes_with_its_text() {
    let one = folder(&[], &[]);
    let other = folder(&[], &[("chat_template.jinja", "<|im_end|>".to_owned())]);
    let [one, again, other] =
        [&one, &one, &other].map(|folder| load(folder, ProcessorOptions::default()));
    assert_eq!(one.template_hash(), again.template_hash());
    assert_ne!(one.template_hash(), other.template_hash());
}

#[test]
fn nested_settings_win_over_flat_ones() {
    let nested = json!({
        "image_processor": {"size": {"shortest_edge": 3136, "longest_edge": 7056}, "resample": 3},
        "video_processor": {"size": {"shortest_edge": 3136, "longest_edge": 7056}},
    });
    let folder = folder(&[], &[("processor_config.json", nested.to_string())]);
    assert_eq!(grid(&load(&folder, ProcessorOptions::default())), [1, 4, 6]);
}

#[test]
fn the_callers_pixel_limits_replace_those_of_the_folder() {
    let folder = folder(&[], &[]);
    let limited = |max_pixels, min_pixels| {
        grid(&load(&folder, ProcessorOptions { max_pixels, min_pixels, ..Default::default() }))
    };
    assert_eq!(limited(None, None), [1, 12, 18]);
    assert_eq!(limited(Some(7056), None), [1, 4, 6]);
    assert_eq!(limited(Some(1568), None), [1, 2, 2]);
    assert_eq!(limited(Some(1 << 20), Some(200_000)), [1, 28, 38]);
}

#[test]
fn the_length_limit_counts_every_token() {
    let folder = folder(&[], &[]);
    let whole = load(&folder, ProcessorOptions::default()).encode(&large_picture()).unwrap();
    let under = |max_tokens| {
        let options = ProcessorOptions { max_tokens: Some(max_tokens), ..Default::default() };
        load(&folder, options).encode(&large_picture()).is_ok()
    };
    assert_eq!(whole.visual_tokens(), 54);
    assert!(under(whole.len()) && !under(whole.len() - 1));
}

#[test]
fn one_picture_is_shared_by_all_conversations_of_a_call() {
    let processor = load(&folder(&[], &[]), ProcessorOptions::default());
    let encoded = processor.encode_all(&[large_picture(), large_picture()]).unwrap();
    assert!(std::sync::Arc::ptr_eq(&encoded[0].visuals[0], &encoded[1].visuals[0]));
}
