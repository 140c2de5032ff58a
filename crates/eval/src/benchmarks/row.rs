//! Rows of published files to items: the steps that the schemas have in common.

use std::sync::Arc;

use data::raw::{Value, apart, required, said, text};
use data::{Comparison, Preference, RowFault};
use prompt::{Draft, ImageSource};

use crate::benchmark::SourceRow;
use crate::item::{Item, Labels};

/// What a schema finds in a row.
pub(super) struct Found {
    pub(super) id: Option<String>,
    pub(super) prompt_key: &'static str,
    pub(super) prompt: Vec<Draft>,
    /// Key and messages of each response, in the order of the file.
    pub(super) responses: Vec<(String, Vec<Draft>)>,
    pub(super) images: Vec<Arc<ImageSource>>,
    /// Place of each response, 0 for the best.
    pub(super) ranks: Vec<u32>,
    pub(super) labels: Labels,
}

impl Found {
    /// The item, every picture in its place. A group that is empty becomes the row's own.
    pub(super) fn item(self, row: &SourceRow<'_>) -> Result<Item, RowFault> {
        let (prompt, responses) = apart(self.prompt_key, self.prompt, self.responses, self.images)?;
        let id = self.id.unwrap_or_else(|| row.fallback_id());
        let mut labels = self.labels;
        if labels.group.is_empty() {
            labels.group = format!("{}#{}", row.file.display(), row.number);
        }
        let preference =
            Preference { ranks: self.ranks, scores: None, margin: None, soft_label: None };
        let source = labels.category.clone();
        Ok(Item { comparison: Comparison { id, source, prompt, responses, preference }, labels })
    }
}

/// The text of a needed key.
pub(super) fn needed<'a>(row: &'a Value, key: &str) -> Result<&'a str, RowFault> {
    text(required(row, key)?, key)
}

/// A response that is a plain text.
pub(super) fn answer(key: impl Into<String>, text: &str) -> (String, Vec<Draft>) {
    (key.into(), vec![said("assistant", text)])
}

/// The text or whole number of a key that names something.
pub(super) fn name(row: &Value, key: &str) -> Option<String> {
    match row.get(key)? {
        Value::Text(text) => Some(text.clone()),
        Value::Whole(number) => Some(number.to_string()),
        _ => None,
    }
}
