//! Ids of turns that came lately: answers to one question repeat its turns, and tokenizing costs more than looking up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokenizers::{PostProcessor, Tokenizer};

use crate::tokenizer::START_OF_TURN;

/// Bytes of text in one generation.
const GENERATION_BYTES: usize = 4 << 20;

/// Ids by the text of a turn, bounded: the older of two generations is forgotten when the younger is full.
#[derive(Default)]
pub(crate) struct TurnCache(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Arc<[u32]>>,
    young_bytes: usize,
    old: HashMap<Box<str>, Arc<[u32]>>,
}

impl Generations {
    fn get(&mut self, turn: &str) -> Option<Arc<[u32]>> {
        if let Some(ids) = self.young.get(turn) {
            return Some(Arc::clone(ids));
        }
        let (turn, ids) = self.old.remove_entry(turn)?;
        self.put(turn, Arc::clone(&ids));
        Some(ids)
    }

    fn put(&mut self, turn: Box<str>, ids: Arc<[u32]>) {
        if self.young_bytes + turn.len() > GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += turn.len();
        self.young.insert(turn, ids);
    }
}

impl TurnCache {
    /// Cache for a tokenizer whose ids of a conversation are those of its turns, one after the other; none for another, where a turn may
    /// have other ids alone than among others.
    pub(crate) fn new(tokenizer: &Tokenizer) -> Option<Self> {
        let added = tokenizer.get_added_tokens_decoder();
        let start = added.get(&tokenizer.token_to_id(START_OF_TURN)?)?;
        let cut_anywhere = !(start.normalized || start.lstrip || start.single_word);
        let hidden = added.values().any(|token| runs_into_a_start(&token.content));
        let ends = tokenizer.get_post_processor().map_or(0, |ends| ends.added_tokens(false));
        (cut_anywhere && !hidden && ends == 0).then(Self::default)
    }

    /// Ids of a text: those of its turns, which `encode` finds where they are not known.
    pub(crate) fn encode<E>(
        &self,
        text: &str,
        encode: impl Fn(&str) -> Result<Vec<u32>, E>,
    ) -> Result<Vec<u32>, E> {
        let mut ids = Vec::new();
        let mut begin = 0;
        let starts = text.match_indices(START_OF_TURN).map(|(start, _)| start).filter(|&at| at > 0);
        for end in starts.chain([text.len()]) {
            let turn = &text[begin..end];
            begin = end;
            let known = self.generations().get(turn);
            if let Some(known) = known {
                ids.extend_from_slice(&known);
                continue;
            }
            let found = encode(turn)?;
            ids.extend_from_slice(&found);
            self.generations().put(turn.into(), found.into());
        }
        Ok(ids)
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a token other than the start of a turn could take a part of one.
fn runs_into_a_start(token: &str) -> bool {
    let overlaps = |(at, _)| {
        let rest: &str = &token[at..];
        rest.starts_with(START_OF_TURN) || (at > 0 && START_OF_TURN.starts_with(rest))
    };
    token != START_OF_TURN && token.char_indices().any(overlaps)
}
