//! The checkpoint's own chat template: messages to text.
//!
//! Rendering follows `transformers`: the same whitespace rules, the same extra functions. No tokens, and nothing is added to what the
//! template writes.
//!
//! # Source
//! `transformers` 5.23, `utils/chat_template_utils.py`, `_cached_compile_jinja_template` and `render_jinja_template`.

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};
use serde_json::{Map, Value as Json};

use crate::conversation::{Conversation, Message, Part};
use crate::error::LoadError;
use crate::files;

const NAME: &str = "chat_template";
/// Keys of `tokenizer_config.json` that templates may use as variables.
const SPECIAL_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Compiled chat template.
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    special_tokens: Value,
    hash: String,
}

impl ChatTemplate {
    /// Finds the template of a checkpoint folder: `chat_template.jinja`, else `chat_template.json`, else `tokenizer_config.json`.
    pub(crate) fn load(folder: &Path) -> Result<Self, LoadError> {
        let config = files::read_json(folder, "tokenizer_config.json")?.unwrap_or_default();
        let source = match files::read_text(folder, "chat_template.jinja")? {
            Some(text) => ("chat_template.jinja", Some(text)),
            None => match files::read_json(folder, "chat_template.json")? {
                Some(legacy) => ("chat_template.json", default_template(&legacy)),
                None => ("tokenizer_config.json", default_template(&config)),
            },
        };
        let (file, Some(text)) = source else {
            return Err(LoadError::NoChatTemplate { folder: folder.to_owned() });
        };
        Self::new(&text, special_tokens(&config)).map_err(|error| LoadError::ChatTemplate {
            path: folder.join(file),
            reason: describe(&error),
        })
    }

    fn new(text: &str, special_tokens: Value) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment
            .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", raise_exception);
        environment.add_template_owned(NAME, text.to_owned())?;
        let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
        Ok(Self { environment, special_tokens, hash })
    }

    /// BLAKE3 hash of the template's text, in hexadecimal.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    /// Text of a conversation, without a generation prompt.
    pub(crate) fn render(&self, conversation: &Conversation) -> Result<String, String> {
        let messages: Vec<Value> = conversation.messages.iter().map(message_value).collect();
        let template = self.environment.get_template(NAME).expect("added by the constructor");
        let variables = context! {
            messages,
            tools => (),
            documents => (),
            add_generation_prompt => false,
            ..self.special_tokens.clone()
        };
        template.render(variables).map_err(|error| describe(&error))
    }
}

/// A message as the template sees it: a single text as a string, everything else as typed parts.
fn message_value(message: &Message) -> Value {
    let content = match message.content.as_slice() {
        [] => Value::from(""),
        [Part::Text(text)] => Value::from(text.as_str()),
        parts => parts.iter().map(part_value).collect(),
    };
    context! { role => message.role.as_str(), content }
}

fn part_value(part: &Part) -> Value {
    match part {
        Part::Text(text) => context! { type => "text", text },
        Part::Image(_) => context! { type => "image" },
        Part::Video(_) => context! { type => "video" },
    }
}

/// The string under `chat_template`, or the one called `default` of a list of named templates.
fn default_template(config: &Map<String, Json>) -> Option<String> {
    match config.get("chat_template")? {
        Json::String(text) => Some(text.clone()),
        Json::Array(named) => named
            .iter()
            .find(|entry| entry["name"] == "default")
            .and_then(|entry| entry["template"].as_str().map(str::to_owned)),
        _ => None,
    }
}

/// Special tokens are strings, or objects with their text in `content`.
fn special_tokens(config: &Map<String, Json>) -> Value {
    Value::from_pairs(SPECIAL_TOKENS.into_iter().filter_map(|key| {
        let token = config.get(key)?;
        let text = token.as_str().or_else(|| token["content"].as_str())?;
        Some((key, text))
    }))
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// JSON as Python's `json.dumps(ensure_ascii=False)` writes it.
#[expect(clippy::needless_pass_by_value, reason = "the template engine calls filters this way")]
fn to_json(value: &Value, kwargs: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    let _ascii: Option<bool> = kwargs.get("ensure_ascii")?;
    kwargs.assert_all_used()?;
    let mut out = Vec::new();
    let written = match indent {
        Some(indent) => {
            let spaces = " ".repeat(indent);
            let formatter = PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
        }
        None => {
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, PythonSpacing))
        }
    };
    written.map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(String::from_utf8(out).expect("JSON is UTF-8"))
}

/// One line, with a space after each comma and colon.
struct PythonSpacing;

impl Formatter for PythonSpacing {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

fn describe(error: &Error) -> String {
    let place = error.line().map(|line| format!(" (line {line} of the template)"));
    format!("{}{}", error.detail().unwrap_or("it failed"), place.unwrap_or_default())
}
