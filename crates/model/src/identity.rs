//! What makes two tokens of conversations the same, in one call and across calls.
//!
//! Texts and pixels are not compared here: a token is its id, a picture the hash that `prompt` gave it.

use prompt::Encoded;

/// A token as the model sees it. Two conversations whose first keys are equal have the same hidden states there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// Its position follows from the keys before it.
    Token(u32),
    /// A placeholder token of a picture or video.
    Visual {
        /// Of the pixels.
        hash: [u8; 32],
        /// Place in the visual.
        token: u32,
        /// Equal frames of a video stand at other positions when they are shown at another speed.
        position: [u32; 3],
    },
}

/// Keys of the tokens of a conversation; `is_visual(id)` tells the placeholder tokens of images and videos.
///
/// # Panics
/// If the conversation has another number of placeholder tokens than its visuals have tokens, which `prompt`
/// never makes.
pub(crate) fn keys(conversation: &Encoded, is_visual: impl Fn(u32) -> bool) -> Vec<Key> {
    let mut visual_tokens = conversation
        .visuals
        .iter()
        .flat_map(|visual| (0..visual.num_tokens()).map(|token| (visual.hash, token as u32)));
    let ids = conversation.token_ids.iter().zip(&conversation.position_ids);
    let keys = ids
        .map(|(&id, &position)| {
            if !is_visual(id) {
                return Key::Token(id);
            }
            let (hash, token) = visual_tokens.next().expect("a visual for every placeholder token");
            Key::Visual { hash, token, position }
        })
        .collect();
    assert!(visual_tokens.next().is_none(), "a placeholder token for every visual token");
    keys
}
