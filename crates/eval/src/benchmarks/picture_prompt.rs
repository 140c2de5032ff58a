//! Prompts of benchmarks that put the pictures before the question.

use std::sync::Arc;

use prompt::{Draft, DraftContent, ImageSource, Piece};

/// How some files mark the place of a picture at the beginning of the question.
const LEADING_MARK: &str = "<image>";

/// A message from the user: the pieces that are seen, then the question. A mark at its beginning stands for a picture that precedes it
/// anyway; one further inside is a word like others.
pub(super) fn asked(seen: Vec<Piece>, question: &str) -> Vec<Draft> {
    let mut pieces = seen;
    pieces.push(Piece::Text(without_mark(question).to_owned()));
    vec![Draft { role: "user".to_owned(), content: DraftContent::Pieces(pieces) }]
}

/// Pictures as pieces.
pub(super) fn seen(images: Vec<Arc<ImageSource>>) -> Vec<Piece> {
    images.into_iter().map(Piece::Image).collect()
}

/// The question without the mark that it may begin with.
pub(super) fn without_mark(question: &str) -> &str {
    question.strip_prefix(LEADING_MARK).map_or(question, |rest| rest.trim_start_matches('\n'))
}

/// Path or name of the first picture, when the row gives one.
pub(super) fn picture_name(images: &[Arc<ImageSource>], key: &str) -> Option<String> {
    match images.first()?.as_ref() {
        ImageSource::Path(path) => Some(path.display().to_string()),
        // Without a name of its own, a picture is called by the key that it stands under.
        ImageSource::Bytes { label, .. } => (!label.starts_with(key)).then(|| label.clone()),
    }
}
