//! The small presets and their tokenizer, chat template and image processor, built into the program.
//!
//! The files are those that `reference/make_tokenizer.py --vocabulary tiny` writes: 256 bytes, 256 merges and the
//! special tokens of Qwen2.5-VL. With a real tokenizer a preset takes that one's vocabulary.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use model::config::Config;
use model::preset::{self, SpecialTokens};
use serde_json::Value;

const TOKENIZER: &str = "tokenizer.json";

/// The embedded files by name.
const FILES: [(&str, &[u8]); 4] = [
    (TOKENIZER, include_bytes!("../../assets/tiny/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../../assets/tiny/tokenizer_config.json")),
    ("chat_template.json", include_bytes!("../../assets/tiny/chat_template.json")),
    ("preprocessor_config.json", include_bytes!("../../assets/tiny/preprocessor_config.json")),
];

/// Tokens of the embedded tokenizer, rounded up to [`VOCABULARY_MULTIPLE`].
pub(crate) const VOCAB_SIZE: usize = 544;
/// Embedding tables are padded to a multiple of this, as the published ones are.
const VOCABULARY_MULTIPLE: usize = 32;

/// Special tokens of the embedded tokenizer.
const TOKENS: SpecialTokens =
    SpecialTokens { image: 524, video: 525, vision_start: 521, vision_end: 522 };

/// Names of the presets that have a tokenizer of their own.
pub(crate) const SMALL: [&str; 2] = ["tiny", "demo"];

/// Whether a preset has a tokenizer of its own.
pub(crate) fn is_small(preset: &str) -> bool {
    SMALL.contains(&preset)
}

/// The tiny preset with the vocabulary of the embedded tokenizer, without a head.
pub(crate) fn config() -> Config {
    preset::tiny(VOCAB_SIZE, TOKENS)
}

/// Writes the embedded files into a folder.
pub(super) fn write_files(folder: &Path) -> std::io::Result<()> {
    FILES.iter().try_for_each(|(name, content)| fs::write(folder.join(name), content))
}

/// A small preset with the vocabulary of a tokenizer folder, without a head.
pub(super) fn config_for(preset: &str, folder: &Path) -> anyhow::Result<Config> {
    let file = folder.join(TOKENIZER);
    let text = fs::read(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let tokenizer: Value = serde_json::from_slice(&text)
        .with_context(|| format!("`{}` is not valid JSON", file.display()))?;
    let id = |content: &str| {
        let found = added_tokens(&tokenizer).find(|(token, _)| *token == content);
        match found.and_then(|(_, id)| u32::try_from(id).ok()) {
            Some(id) => Ok(id),
            None => bail!(
                "the tokenizer in `{}` has no special token `{content}`; use one of the Qwen2.5-VL family",
                file.display()
            ),
        }
    };
    let tokens = SpecialTokens {
        image: id("<|image_pad|>")?,
        video: id("<|video_pad|>")?,
        vision_start: id("<|vision_start|>")?,
        vision_end: id("<|vision_end|>")?,
    };
    let words =
        tokenizer["model"]["vocab"].as_object().into_iter().flat_map(|words| words.values());
    let ids = words.filter_map(Value::as_u64).chain(added_tokens(&tokenizer).map(|(_, id)| id));
    let vocab_size = ids.max().map_or(0, |id| id as usize + 1);
    let vocab_size = vocab_size.next_multiple_of(VOCABULARY_MULTIPLE);
    Ok(match preset {
        "demo" => preset::demo(vocab_size, tokens),
        _ => preset::tiny(vocab_size, tokens),
    })
}

/// The tokens of a `tokenizer.json` that stand outside of its vocabulary, with their ids.
fn added_tokens(tokenizer: &Value) -> impl Iterator<Item = (&str, u64)> {
    let tokens = tokenizer["added_tokens"].as_array().into_iter().flatten();
    tokens.filter_map(|token| Some((token["content"].as_str()?, token["id"].as_u64()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::vision_tokens;
    use prompt::{Processor, ProcessorOptions};

    #[test]
    fn the_embedded_tokenizer_fits_the_tiny_preset() {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path()).unwrap();
        let config = config();
        let processor =
            Processor::load(folder.path(), vision_tokens(&config), ProcessorOptions::default())
                .unwrap();
        assert_eq!(
            processor.vocabulary_len().next_multiple_of(VOCABULARY_MULTIPLE),
            config.text.vocab_size
        );
    }

    #[test]
    fn a_tokenizer_folder_gives_the_preset_its_own_vocabulary() {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path()).unwrap();
        assert_eq!(config_for("tiny", folder.path()).unwrap(), config());
    }

    #[test]
    fn the_embedded_files_are_those_of_the_goldens() {
        let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/goldens/tiny/model");
        for (name, content) in FILES {
            assert!(fs::read(goldens.join(name)).unwrap() == content, "{name}");
        }
    }
}
