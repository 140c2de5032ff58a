//! Keys and values that a pass of the decoder takes over from earlier passes, and those that it leaves to later ones.
//!
//! Where they are kept in between, and for how long, is not said here.

use engine::{Matrix, Tape, Var};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::identity::Key;

/// Keys and values of neighboring tokens in every layer. They belong to these tokens after those that came before them in the
/// conversation they were computed for, and to no others.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) keys: Vec<Key>,
    /// `[layers]` of `[tokens, key and value columns]` in the compute type, keys rotated.
    pub(crate) layers: Vec<Matrix>,
}

/// Part of a run, at its place in a conversation.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) run: Arc<Run>,
    /// Rows of the run.
    pub(crate) rows: Range<usize>,
    /// Token of the conversation that stands in the first of these rows.
    pub(crate) token: usize,
}

impl Piece {
    /// The part that stands for `tokens` of the conversation, if there is one.
    pub(crate) fn within(&self, tokens: &Range<usize>) -> Option<Self> {
        let start = tokens.start.max(self.token);
        let end = tokens.end.min(self.token + self.rows.len());
        let row = |token| self.rows.start + token - self.token;
        (start < end).then(|| Self {
            run: Arc::clone(&self.run),
            rows: row(start)..row(end),
            token: start,
        })
    }
}

/// What one pass takes and leaves; by default nothing.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// In the order of the rows behind those that the pass computes.
    taken: Vec<Piece>,
    /// Rows that the pass computes.
    left: Vec<Range<usize>>,
    /// `[layers]` of `[left]`, each written by its layer.
    copies: Vec<OnceLock<Vec<Matrix>>>,
}

impl Carried {
    pub(crate) fn new(taken: Vec<Piece>, left: Vec<Range<usize>>, num_layers: usize) -> Self {
        Self { taken, left, copies: (0..num_layers).map(|_| OnceLock::new()).collect() }
    }

    /// Keys and values of the rows that a layer has computed, followed by those of the rows that the pass has taken.
    pub(crate) fn complete(&self, tape: &mut Tape<'_>, layer_idx: usize, computed: Var) -> Var {
        if !self.left.is_empty() {
            let copy = |rows: &Range<usize>| computed.value().copy_of_rows(rows.clone());
            self.copies[layer_idx].get_or_init(|| self.left.iter().map(copy).collect());
        }
        if self.taken.is_empty() {
            return computed;
        }
        let taken: Vec<_> = self
            .taken
            .iter()
            .map(|piece| (&piece.run.layers[layer_idx], piece.rows.clone()))
            .collect();
        tape.append_rows(&computed, &taken)
    }

    /// The keys and values of each range of rows that was to be left, layer by layer; what was taken is let go.
    pub(crate) fn into_left(self) -> Vec<Vec<Matrix>> {
        let mut left: Vec<Vec<Matrix>> = self.left.iter().map(|_| Vec::new()).collect();
        for copies in self.copies {
            let copies = copies.into_inner().unwrap_or_default();
            for (layers, copy) in left.iter_mut().zip(copies) {
                layers.push(copy);
            }
        }
        left
    }
}
