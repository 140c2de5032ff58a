//! Chance that depends on a seed and a record only: not on order, threads, or which other records there are.

/// A number from all of a type's, drawn by the seed, the use that it is for, and what it is drawn for.
pub(crate) fn number(seed: u64, purpose: &str, parts: &[u128]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(&(purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    for part in parts {
        hasher.update(&part.to_le_bytes());
    }
    crate::record::half(hasher.finalize())
}

/// A text as something that chance can be drawn for.
pub(crate) fn of_text(text: &str) -> u128 {
    crate::record::half(blake3::hash(text.as_bytes()))
}

/// Indices of keys in a drawn order. Equal keys stay in their order.
pub(crate) fn order(seed: u64, purpose: &str, keys: impl IntoIterator<Item = u128>) -> Vec<usize> {
    let drawn = keys.into_iter().enumerate().map(|(at, key)| (number(seed, purpose, &[key]), at));
    let mut order: Vec<(u128, usize)> = drawn.collect();
    order.sort_unstable();
    order.into_iter().map(|(_, at)| at).collect()
}
