//! Scoring that goes on from what earlier calls have computed: the beginnings of conversations and the pictures.
//!
//! The forward pass is that of every other scoring. What is decided here is what is worth keeping: prompts, which other
//! answers may follow, and not the answers themselves, which are as long and hardly ever come again.

use engine::{Tape, Var};
use prompt::Encoded;
use std::ops::Range;
use std::sync::Arc;

use super::{RewardModel, all_finite, in_groups};
use crate::carried::{Carried, Piece};
use crate::error::ScoreError;
use crate::identity::{Key, keys};
use crate::prefix_cache::PrefixCache;
use crate::prefix_tree::{Node, PrefixTree};
use crate::trace::Blind;

/// The reward of a conversation, and what it took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// As [`RewardModel::score`] gives it.
    pub reward: f32,
    /// All tokens of the conversation.
    pub tokens: usize,
    /// Those that were computed once for this and other conversations of the call.
    pub shared_tokens: usize,
    /// Those that were taken from the cache.
    pub cached_tokens: usize,
}

/// Part of a prompt that a call computes, to be kept.
struct Fresh {
    /// A conversation that has it.
    conversation: usize,
    tokens: Range<usize>,
    rows: Range<usize>,
}

impl RewardModel {
    /// As [`Self::score`], the same bits, with prompts and pictures that the cache holds taken from there, and new ones
    /// left in it.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn score_cached(
        &self,
        conversations: &[&Encoded],
        cache: &mut PrefixCache,
    ) -> Result<Vec<Scored>, ScoreError> {
        self.check(conversations)?;
        if conversations.is_empty() {
            return Ok(Vec::new());
        }
        let (rewards, tree) = self.device.run(|| self.go_on(conversations, cache));
        all_finite(&rewards)?;
        let scored = rewards.into_iter().enumerate().map(|(i, reward)| {
            let (cached_tokens, shared_tokens) = tree.known_and_shared(i);
            Scored { reward, tokens: conversations[i].len(), shared_tokens, cached_tokens }
        });
        Ok(scored.collect())
    }

    /// As [`Self::score_groups`], with a cache.
    pub fn score_groups_cached(
        &self,
        groups: &[Vec<&Encoded>],
        cache: &mut PrefixCache,
    ) -> Vec<Result<Vec<Scored>, ScoreError>> {
        in_groups(groups, |conversations| self.score_cached(conversations, cache))
    }

    /// Rewards, and the packed form in which they were computed.
    fn go_on(&self, conversations: &[&Encoded], cache: &mut PrefixCache) -> (Vec<f32>, PrefixTree) {
        let keys: Vec<Vec<Key>> =
            conversations.iter().map(|one| keys(one, |id| self.is_visual(id))).collect();
        let tokens: Vec<usize> = conversations.iter().map(|one| self.score_token(one)).collect();
        cache.begin(self.weights_id);
        // A token that is read has to be computed, whatever is known of it.
        let found: Vec<Vec<Piece>> =
            keys.iter().zip(&tokens).map(|(keys, &token)| cache.find(&keys[..token])).collect();
        let known: Vec<usize> = found.iter().map(|pieces| length(pieces)).collect();
        let tree = PrefixTree::beyond(conversations, &keys, &known);
        let taken: Vec<Piece> = tree
            .known()
            .flat_map(|node| {
                let tokens = node.tokens();
                found[node.members[0]].iter().filter_map(move |piece| piece.within(&tokens))
            })
            .collect();
        let fresh: Vec<Fresh> =
            tree.computed().filter_map(|node| prompt_of(node, conversations)).collect();
        cache.count(length(&taken), fresh.iter().map(|fresh| fresh.rows.len()).sum());

        let left = fresh.iter().map(|fresh| fresh.rows.clone()).collect();
        let carried = Arc::new(Carried::new(taken, left, self.language.num_layers()));
        let rewards = {
            let mut tape = Tape::computing(&self.device);
            let embedded = self.embed(&mut tape, &tree, |tape, visual| -> Var {
                cache.embedding(visual.hash, || self.vision.forward(tape, visual, &mut Blind))
            });
            let result = self.read(&mut tape, &tree, embedded, &tokens, &carried, &mut Blind);
            result.value().to_f32()
        };
        drop(found);
        let carried = Arc::into_inner(carried).expect("the pass has ended");
        for (fresh, layers) in fresh.into_iter().zip(carried.into_left()) {
            cache.keep(&keys[fresh.conversation][..fresh.tokens.end], layers);
        }
        (rewards, tree)
    }
}

fn length(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.rows.len()).sum()
}

/// The part of a node that is before the answer of some conversation.
fn prompt_of(node: &Node, conversations: &[&Encoded]) -> Option<Fresh> {
    let prompt_end = |&member: &usize| (conversations[member].prompt_tokens, member);
    let (prompt_end, conversation) = node.members.iter().map(prompt_end).max()?;
    let tokens = node.tokens().start..node.tokens().end.min(prompt_end);
    let rows = node.rows.start..node.rows.start + tokens.len();
    (!tokens.is_empty()).then_some(Fresh { conversation, tokens, rows })
}
