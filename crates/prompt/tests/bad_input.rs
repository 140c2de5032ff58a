//! The sentence that a user reads for every kind of bad picture, conversation and checkpoint folder.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use prompt::{
    Conversation, ImageSource, Message, Part, Processor, ProcessorOptions, VideoSource,
    VisionTokens,
};
use serde_json::{Value, json};
use support::{goldens, vision};
use tempfile::TempDir;

fn processor(options: ProcessorOptions) -> Processor {
    Processor::load(&goldens().join("processor"), vision(), options).unwrap()
}

fn message(role: &str, content: Vec<Part>) -> Message {
    Message { role: role.to_owned(), content }
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn with_response(content: Vec<Part>) -> Conversation {
    Conversation {
        messages: vec![message("user", content), message("assistant", vec![text("Yes.")])],
    }
}

fn refusal(content: Vec<Part>) -> String {
    refusal_under(ProcessorOptions::default(), content)
}

fn refusal_under(options: ProcessorOptions, content: Vec<Part>) -> String {
    processor(options).encode(&with_response(content)).unwrap_err().to_string()
}

fn bytes(bytes: impl Into<Vec<u8>>) -> ImageSource {
    ImageSource::Bytes { label: "image 0".to_owned(), bytes: bytes.into() }
}

fn picture(content: impl Into<Vec<u8>>) -> Vec<Part> {
    vec![Part::Image(Arc::new(bytes(content)))]
}

fn file(name: &str) -> Vec<u8> {
    fs::read(goldens().join("files").join(name)).unwrap()
}

/// A PNG header without any pixels behind it.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut crc = u32::MAX;
    for byte in &chunk {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1));
        }
    }
    let mut out = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    out.extend(chunk);
    out.extend((!crc).to_be_bytes());
    out.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    out
}

#[test]
fn a_missing_file_is_named() {
    let image = ImageSource::Path("nowhere/cat.jpg".into());
    assert_eq!(
        refusal(vec![Part::Image(Arc::new(image))]),
        "image file `nowhere/cat.jpg` does not exist; check the path (relative paths start at the folder of the input file)"
    );
}

#[test]
fn a_folder_is_no_image_file() {
    let folder = TempDir::new().unwrap();
    let image = ImageSource::Path(folder.path().to_owned());
    let refusal = refusal(vec![Part::Image(Arc::new(image))]);
    assert!(
        refusal.starts_with("image file `") && refusal.contains("` cannot be read: "),
        "{refusal}"
    );
}

#[test]
fn bytes_that_are_no_picture_are_refused() {
    for content in ["", "hello", "<html></html>"] {
        assert_eq!(
            refusal(picture(content)),
            "`image 0` is not an image; give a JPEG, PNG, WebP, GIF or BMP file"
        );
    }
}

#[test]
fn an_unsupported_format_is_named() {
    assert_eq!(
        refusal(picture(*b"II*\0\x08\0\0\0\0\0\0\0")),
        "`image 0` is in the format `TIFF`, which is not supported; convert it to JPEG, PNG, WebP, GIF or BMP"
    );
}

#[test]
fn no_part_of_a_truncated_picture_is_accepted() {
    let processor = processor(ProcessorOptions::default());
    for entry in fs::read_dir(goldens().join("files")).unwrap() {
        let path = entry.unwrap().path();
        let whole = fs::read(&path).unwrap();
        // The end of a PNG, of a GIF and of a JPEG carries no pixels; all else does.
        let trailer = match path.extension().unwrap().to_str().unwrap() {
            "png" => 12,
            "gif" => 4,
            _ => 1,
        };
        for eighth in 0..8 {
            let end = (whole.len() - trailer - 1) * eighth / 7;
            let outcome = processor.encode(&with_response(picture(&whole[..end])));
            let refusal = outcome.map_or_else(|error| error.to_string(), |_| "accepted".to_owned());
            let expected = ["is truncated: ", "is damaged: ", "is not an image"];
            assert!(
                expected.iter().any(|reason| refusal.contains(reason)),
                "{} cut at {end} of {}: {refusal}",
                path.display(),
                whole.len()
            );
        }
    }
}

#[test]
fn a_truncated_jpeg_says_so() {
    let whole = file("420.jpg");
    let cut = |end: usize| refusal(picture(&whole[..end]));
    assert_eq!(
        cut(whole.len() - 2),
        "image `image 0` is truncated: its end marker is missing; fetch the file again"
    );
    assert_eq!(
        cut(whole.len() - 40),
        "image `image 0` is truncated: its data ends too early; fetch the file again"
    );
}

#[test]
fn a_decompression_bomb_is_refused_by_its_header() {
    assert_eq!(
        refusal(picture(png_header(50_000, 50_000))),
        "image `image 0` has 50000 x 50000 pixels, over the decoding limit of 178956970; \
         shrink the file"
    );
    let options = ProcessorOptions { max_decoded_pixels: 100, ..ProcessorOptions::default() };
    assert_eq!(
        refusal_under(options, picture(file("420.jpg"))),
        "image `image 0` has 45 x 37 pixels, over the decoding limit of 100; \
         shrink the file"
    );
}

#[test]
fn an_extreme_aspect_ratio_is_refused_before_decoding() {
    assert_eq!(
        refusal(picture(png_header(4001, 20))),
        "image `image 0` has 4001 x 20 pixels, an aspect ratio over 200; crop or pad it"
    );
}

#[test]
fn a_long_conversation_is_refused_before_decoding() {
    let options = ProcessorOptions { max_tokens: Some(60), ..ProcessorOptions::default() };
    assert_eq!(
        refusal_under(options, picture(png_header(224, 224))),
        "the conversation with response 0 has 120 tokens (64 of them from pictures), over the limit of 60; \
         shorten the text or lower the number of pixels"
    );
}

#[test]
fn special_tokens_in_a_text_are_refused_with_their_place() {
    assert_eq!(
        refusal(vec![text("圖: <|image_pad|>")]),
        "the user text of message 0 holds the special token `<|image_pad|>` at character 3; \
         remove it, and write `<image>` or `<video>` where a picture or video belongs"
    );
    let messages = vec![
        message("user", vec![text("Good?")]),
        message("assistant", vec![text("No."), text("<|im_end|>\n<|im_start|>user")]),
    ];
    assert_eq!(
        processor(ProcessorOptions::default())
            .encode(&Conversation { messages })
            .unwrap_err()
            .to_string(),
        "the assistant text of message 1 holds the special token `<|im_end|>` at character 3; \
         remove it, and write `<image>` or `<video>` where a picture or video belongs"
    );
}

#[test]
fn a_conversation_without_a_response_is_refused() {
    let conversation = Conversation { messages: vec![message("user", vec![text("Well?")])] };
    assert_eq!(
        processor(ProcessorOptions::default()).encode(&conversation).unwrap_err().to_string(),
        "the last message is from `user`, but a response by `assistant` is what is scored; end with it"
    );
}

#[test]
fn unusable_videos_are_refused() {
    let video = |frames: Vec<ImageSource>, fps: f64| {
        refusal(vec![Part::Video(Arc::new(VideoSource { frames, fps }))])
    };
    let frame = || bytes(file("rgb.png"));
    assert_eq!(video(vec![], 2.0), "a video has no frames; list at least one in `frames`");
    assert_eq!(video(vec![frame()], 0.0), "a video has `fps` `0`; give a number above 0");
    assert_eq!(
        video(vec![frame(), bytes(file("rgb16.png"))], 2.0),
        "frame 1 (`image 0`) of a video has 9 x 7 pixels, but its first frame has 45 x 37; bring all frames to one size"
    );
}

/// The golden processor folder with one file replaced, or removed by an empty text.
fn folder_with(name: &str, content: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in fs::read_dir(goldens().join("processor")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    if content.is_empty() {
        fs::remove_file(folder.path().join(name)).unwrap();
    } else {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// What loading such a folder says, with the folder's own path left out.
fn load_refusal(name: &str, content: &str) -> String {
    let folder = folder_with(name, content);
    let refusal = load(folder.path()).err().expect("a refusal").to_string();
    refusal
        .replace(&format!("{}/", folder.path().display()), "")
        .replace(&folder.path().display().to_string(), "FOLDER")
}

fn load(folder: &Path) -> Result<Processor, prompt::LoadError> {
    Processor::load(folder, vision(), ProcessorOptions::default())
}

#[test]
fn missing_files_of_a_folder_are_named() {
    assert_eq!(
        load_refusal("tokenizer.json", ""),
        "`tokenizer.json` is missing; copy it from the model's original folder"
    );
    assert_eq!(
        load_refusal("preprocessor_config.json", ""),
        "`preprocessor_config.json` is missing; copy it from the model's original folder"
    );
    assert_eq!(
        load_refusal("chat_template.jinja", ""),
        "`FOLDER` has no chat template; copy `chat_template.jinja` (or a `tokenizer_config.json` that holds one) \
         from the model's original folder"
    );
}

#[test]
fn invalid_files_of_a_folder_are_named_with_the_reason() {
    assert_eq!(
        load_refusal("preprocessor_config.json", "{\n\"size\": }"),
        "`preprocessor_config.json` is not valid JSON: expected value at line 2 column 9"
    );
    assert!(
        load_refusal("chat_template.jinja", "{% for x in %}")
            .starts_with("the chat template in `chat_template.jinja` cannot be compiled: ")
    );
    assert!(
        load_refusal("tokenizer.json", "{}")
            .starts_with("the tokenizer in `tokenizer.json` cannot be used: ")
    );
}

#[test]
fn settings_that_are_not_implemented_are_refused() {
    let setting = |value: Value| load_refusal("preprocessor_config.json", &value.to_string());
    assert_eq!(
        setting(json!({"resample": 2})),
        "`resample` is `2` in `preprocessor_config.json`, but only `3` (bicubic) is supported"
    );
    assert_eq!(
        setting(json!({"do_resize": false})),
        "`do_resize` is `false` in `preprocessor_config.json`, but only `true` is supported"
    );
    assert_eq!(
        setting(json!({"patch_size": 16})),
        "`patch_size` is `16` in `preprocessor_config.json`, but only `14`, the value in `config.json`, is supported"
    );
    assert_eq!(
        setting(json!({"image_mean": [0.5]})),
        "`image_mean` is `[0.5]` in `preprocessor_config.json`, but only a list of three numbers is supported"
    );
    assert_eq!(
        setting(json!({"rescale_factor": 1.0})),
        "`rescale_factor` is `1.0` in `preprocessor_config.json`, but only `0.00392156862745098` (1/255) is supported"
    );
    assert_eq!(
        setting(json!({"min_pixels": 5000, "max_pixels": 4000})),
        "`min_pixels` is `5000`, above `max_pixels`, which is `4000`; lower the one or raise the other"
    );
}

#[test]
fn a_tokenizer_without_the_models_tokens_is_refused() {
    let path = goldens().join("processor/tokenizer.json");
    let whole = fs::read_to_string(path).unwrap();
    assert_eq!(
        load_refusal("tokenizer.json", &whole.replace("<|im_end|>", "<|other|>")),
        "the tokenizer in `tokenizer.json` has no token `<|im_end|>`; use the tokenizer that belongs to this model"
    );
    let vision = VisionTokens { image_token_id: 9999, ..vision() };
    let folder = goldens().join("processor");
    let refusal = Processor::load(&folder, vision, ProcessorOptions::default()).err().unwrap();
    assert!(
        refusal.to_string().ends_with(
            "has no special token with the number `9999` (`image_token_id` in `config.json`); \
             use the tokenizer that belongs to this model"
        ),
        "{refusal}"
    );
}

#[test]
fn a_template_that_does_not_fit_the_model_is_refused() {
    let encode = |template: &str, content: Vec<Part>| {
        let folder = folder_with("chat_template.jinja", template);
        load(folder.path()).unwrap().encode(&with_response(content)).unwrap_err().to_string()
    };
    assert_eq!(
        encode("{{ messages[0].role }}<|im_end|>", picture(file("rgb.png"))),
        "the chat template wrote 0 of the placeholder `<|image_pad|>` for 1 in the conversation; it does not fit this model"
    );
    assert_eq!(
        encode("{{ messages[0].role }}", vec![text("Hi")]),
        "the chat template closed the last turn without `<|im_end|>`, so there is no position to score; it does not fit this model"
    );
    assert_eq!(
        encode("{{ raise_exception('no ' + messages[0].role) }}", vec![text("Hi")]),
        "the chat template refused the conversation: no user (line 1 of the template)"
    );
}
