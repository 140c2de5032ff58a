//! Pictures as data sets write them: a path, a data: URL, base64, or an object of `bytes` and `path`.
//!
//! Files are named and not opened; nothing is decoded.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prompt::ImageSource;

use crate::error::RowFault;
use crate::fields::text;
use crate::value::Value;

/// Keys under which a row lists its pictures.
pub(crate) const IMAGE_KEYS: [&str; 2] = ["images", "image"];

/// How base64 begins when a JPEG, PNG, GIF, WebP or BMP file is encoded.
const BASE64_BEGINNINGS: [&str; 5] = ["/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR", "Qk"];

/// Shortest text that is taken for base64: no file of these formats is smaller.
const MIN_BASE64_LENGTH: usize = 36;

/// The pictures that a row lists under `images` or `image`; none when it has neither key.
///
/// # Errors
/// A value that is no picture in any of these forms.
pub fn listed(row: &Value, base_dir: &Path) -> Result<Vec<Arc<ImageSource>>, RowFault> {
    for key in IMAGE_KEYS {
        if let Some(value) = row.get(key) {
            return pictures(value, key, base_dir);
        }
    }
    Ok(Vec::new())
}

/// One picture or a list of them.
///
/// # Errors
/// A value that is no picture in any of these forms.
pub fn pictures(
    value: &Value,
    key: &str,
    base_dir: &Path,
) -> Result<Vec<Arc<ImageSource>>, RowFault> {
    match value {
        Value::List(values) => {
            let read = |(index, value)| picture(value, &format!("{key}[{index}]"), base_dir);
            values.iter().enumerate().map(read).collect()
        }
        // An empty text is how tables of texts say that there is no picture.
        Value::Text(text) if text.is_empty() => Ok(Vec::new()),
        one => Ok(vec![picture(one, key, base_dir)?]),
    }
}

/// One picture; `key` names it in messages.
///
/// # Errors
/// A value that is no picture in any of these forms.
pub fn picture(value: &Value, key: &str, base_dir: &Path) -> Result<Arc<ImageSource>, RowFault> {
    let fault = |reason: &str| RowFault::Image { key: key.to_owned(), reason: reason.to_owned() };
    let source = match value {
        Value::Text(written) if written.is_empty() => return Err(fault("the text is empty")),
        Value::Text(written) if is_base64(written) => from_base64(written, key, key)?,
        Value::Text(written) => ImageSource::parse(written, key.to_owned(), base_dir)?,
        Value::Bytes(bytes) => ImageSource::Bytes { label: key.to_owned(), bytes: bytes.clone() },
        Value::Object(_) => from_object(value, key, base_dir)?,
        other => return Err(fault(&format!("it is {}", other.kind()))),
    };
    match &source {
        ImageSource::Bytes { bytes, .. } if bytes.is_empty() => Err(fault("it has no bytes")),
        _ => Ok(Arc::new(source)),
    }
}

/// The form that `datasets` gives to a picture: the file's content, its path, or both.
fn from_object(value: &Value, key: &str, base_dir: &Path) -> Result<ImageSource, RowFault> {
    let path = value.get("path").map(|path| text(path, &format!("{key}.path"))).transpose()?;
    let label = path.filter(|path| !path.is_empty()).unwrap_or(key);
    match (value.get("bytes"), path) {
        (Some(Value::Bytes(bytes)), _) => {
            Ok(ImageSource::Bytes { label: label.to_owned(), bytes: bytes.clone() })
        }
        (Some(bytes), _) => {
            let bytes_key = format!("{key}.bytes");
            from_base64(text(bytes, &bytes_key)?, &bytes_key, label)
        }
        (None, Some(path)) => Ok(ImageSource::parse(path, key.to_owned(), base_dir)?),
        (None, None) => {
            let reason = "the object has neither `bytes` nor `path`".to_owned();
            Err(RowFault::Image { key: key.to_owned(), reason })
        }
    }
}

/// Whether a text is the content of a picture and not its path. No path with a dot in it is.
fn is_base64(written: &str) -> bool {
    let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(&byte);
    written.len() >= MIN_BASE64_LENGTH
        && BASE64_BEGINNINGS.iter().any(|beginning| written.starts_with(beginning))
        && written.bytes().all(in_alphabet)
}

fn from_base64(written: &str, key: &str, label: &str) -> Result<ImageSource, RowFault> {
    let content: String = written.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(content).map_err(|error| {
        let reason = format!("its base64 is damaged ({error})");
        RowFault::Image { key: key.to_owned(), reason }
    })?;
    Ok(ImageSource::Bytes { label: label.to_owned(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::parse_json;

    fn read(json: &str) -> Result<Vec<Arc<ImageSource>>, RowFault> {
        pictures(&parse_json(json).unwrap(), "images", Path::new("data"))
    }

    fn only(json: &str) -> ImageSource {
        let pictures = read(json).unwrap();
        assert_eq!(pictures.len(), 1);
        pictures[0].as_ref().clone()
    }

    #[test]
    fn all_four_forms_are_read() {
        let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 30]].concat();
        let encoded = STANDARD.encode(&png);
        let bytes =
            |label: &str| ImageSource::Bytes { label: label.to_owned(), bytes: png.clone() };
        assert_eq!(only(r#""a/b.png""#), ImageSource::Path("data/a/b.png".into()));
        assert_eq!(only(r#"["/9j/folder.jpg"]"#), ImageSource::Path("/9j/folder.jpg".into()));
        assert_eq!(only(&format!(r#"["{encoded}"]"#)), bytes("images[0]"));
        assert_eq!(only(&format!(r#"["data:image/png;base64,{encoded}"]"#)), bytes("images[0]"));
        assert_eq!(only(&format!(r#"[{{"bytes":"{encoded}","path":null}}]"#)), bytes("images[0]"));
        assert_eq!(only(&format!(r#"{{"bytes":"{encoded}","path":"x.png"}}"#)), bytes("x.png"));
        assert_eq!(
            only(r#"{"bytes":null,"path":"x.png"}"#),
            ImageSource::Path("data/x.png".into())
        );
    }

    #[test]
    fn no_picture_is_no_picture() {
        assert_eq!(read("[]").unwrap(), []);
        assert_eq!(read(r#""""#).unwrap(), []);
    }

    #[test]
    fn what_is_no_picture_is_refused_with_its_key() {
        let refusal = |json: &str| read(json).unwrap_err().to_string();
        let forms = "give a path, a data: URL, base64, or `bytes` and `path`";
        assert_eq!(
            refusal("[3]"),
            format!("`images[0]` is not a picture: it is a whole number; {forms}")
        );
        assert_eq!(
            refusal("[{}]"),
            format!(
                "`images[0]` is not a picture: the object has neither `bytes` nor `path`; {forms}"
            )
        );
        assert_eq!(
            refusal(r#"[""]"#),
            format!("`images[0]` is not a picture: the text is empty; {forms}")
        );
        assert_eq!(
            refusal(r#"{"bytes":""}"#),
            format!("`images` is not a picture: it has no bytes; {forms}")
        );
        assert_eq!(
            refusal(r#"{"bytes":7}"#),
            "`images.bytes` is a whole number, but must be a text"
        );
        assert_eq!(
            refusal(r#"{"bytes":"*"}"#),
            format!(
                "`images.bytes` is not a picture: its base64 is damaged (Invalid symbol 42, offset 0.); {forms}"
            )
        );
    }
}
