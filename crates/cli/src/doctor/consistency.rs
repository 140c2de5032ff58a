//! Whether a model gives the same bits alone, in company and with a shared prefix.

use model::RewardModel;
use prompt::Encoded;

/// Scores every conversation of `related` in three ways and compares the bits; `other` is their company.
///
/// `related` are answers to one question, so that they share a prefix when they are scored together. Gives the
/// rewards of `related`.
///
/// # Errors
/// A sentence about the first reward that differs, or that could not be computed.
pub(super) fn check(
    model: &RewardModel,
    related: &[Encoded],
    other: &Encoded,
) -> Result<Vec<f32>, String> {
    let alone = related.iter().map(|one| score(model, &[one])).collect::<Result<Vec<_>, _>>()?;
    let alone: Vec<f32> = alone.into_iter().flatten().collect();
    let together: Vec<&Encoded> = related.iter().collect();
    compare(&alone, &score(model, &together)?, "with a shared prefix")?;
    let company: Vec<&Encoded> =
        related.iter().rev().flat_map(|one| [other, one]).chain([other]).collect();
    let rewards = score(model, &company)?;
    let rewards: Vec<f32> = rewards.into_iter().skip(1).step_by(2).collect();
    compare(&alone, &rewards.into_iter().rev().collect::<Vec<_>>(), "in a batch")?;
    Ok(alone)
}

/// Compares the bits of rewards that were computed in two ways.
///
/// # Errors
/// A sentence about the first reward that differs.
pub(super) fn compare(alone: &[f32], rewards: &[f32], way: &str) -> Result<(), String> {
    let pairs = alone.iter().zip(rewards).enumerate();
    for (index, (alone, other)) in pairs {
        if alone.to_bits() != other.to_bits() {
            return Err(format!("response {index} gets {alone} alone, but {other} {way}"));
        }
    }
    Ok(())
}

fn score(model: &RewardModel, conversations: &[&Encoded]) -> Result<Vec<f32>, String> {
    model.score(conversations).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_is_a_difference_and_is_named_with_its_response() {
        let reward = 0.75_f32;
        let neighbor = f32::from_bits(reward.to_bits() + 1);
        assert_eq!(compare(&[0.5, reward], &[0.5, reward], "in a batch"), Ok(()));
        let sentence = compare(&[0.5, reward], &[0.5, neighbor], "in a batch").unwrap_err();
        assert_eq!(sentence, "response 1 gets 0.75 alone, but 0.75000006 in a batch");
    }
}
