//! Comparisons of more than two answers to pairs.
//!
//! Which pairs are made depends on the comparison and the seed only. Which of them are too alike is for the filters.

use data::{Comparison, Preference};

use crate::chance;
use crate::recipe::Expansion;

/// What a recipe makes of a comparison. One of two answers stays as it is; one whose answers are all equal or of the same rank gives no pair.
///
/// A pair has the better answer first, the scores of its two answers with their difference as its margin, and the comparison's name with a `#`
/// and its number. `max_pairs` keeps the pairs with the largest gap, or says how many are drawn.
pub fn expand(
    comparison: Comparison,
    how: Expansion,
    max_pairs: Option<usize>,
    seed: u64,
) -> Vec<Comparison> {
    if how == Expansion::Keep || comparison.responses.len() <= 2 {
        return vec![comparison];
    }
    let mut pairs = comparison.pairs();
    match how {
        Expansion::RandomPairs => draw(&mut pairs, &comparison, seed),
        _ => by_gap(&mut pairs, &comparison.preference),
    }
    let limit = if how == Expansion::LargestGap { Some(1) } else { max_pairs };
    pairs.truncate(limit.unwrap_or(usize::MAX));
    pairs.sort_unstable_by_key(|&(better, worse)| (better.min(worse), better.max(worse)));
    let number = |(part, pair)| pair_of(&comparison, part, pair);
    pairs.into_iter().enumerate().map(number).collect()
}

/// Puts the pairs with the largest gap first: of scores, then of ranks. Equal gaps stay in the order of the answers.
fn by_gap(pairs: &mut [(usize, usize)], preference: &Preference) {
    let gap = |&(better, worse): &(usize, usize)| {
        let scores = preference.scores.as_ref();
        let of_scores = scores.map_or(0.0, |scores| scores[better] - scores[worse]);
        (of_scores, preference.ranks[worse] - preference.ranks[better])
    };
    pairs.sort_by(|first, second| {
        let ((first_scores, first_ranks), (second_scores, second_ranks)) =
            (gap(first), gap(second));
        second_scores.total_cmp(&first_scores).then(second_ranks.cmp(&first_ranks))
    });
}

/// Puts the pairs into a drawn order.
fn draw(pairs: &mut [(usize, usize)], comparison: &Comparison, seed: u64) {
    let [source, id] = [&comparison.source, &comparison.id].map(|text| chance::of_text(text));
    pairs.sort_by_cached_key(|&(better, worse)| {
        chance::number(seed, "pairs", &[source, id, better as u128, worse as u128])
    });
}

fn pair_of(comparison: &Comparison, part: usize, (better, worse): (usize, usize)) -> Comparison {
    let scores = comparison.preference.scores.as_ref();
    let scores = scores.map(|scores| vec![scores[better], scores[worse]]);
    Comparison {
        id: format!("{}#{part}", comparison.id),
        source: comparison.source.clone(),
        prompt: comparison.prompt.clone(),
        responses: [better, worse].map(|at| comparison.responses[at].clone()).to_vec(),
        preference: Preference {
            ranks: vec![0, 1],
            margin: scores.as_ref().map(|scores| scores[0] - scores[1]),
            scores,
            soft_label: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prompt::{ImageSource, Message, Part};

    use super::*;

    fn comparison(ranks: &[u32], scores: Option<&[f32]>) -> Comparison {
        let message = |role: &str, text: String| Message {
            role: role.to_owned(),
            content: vec![
                Part::Image(Arc::new(ImageSource::Path(format!("{text}.png").into()))),
                Part::Text(text),
            ],
        };
        let response = |at: usize| vec![message("assistant", format!("answer {at}"))];
        Comparison {
            id: "x".to_owned(),
            source: "set".to_owned(),
            prompt: vec![message("user", "Which?".to_owned())],
            responses: (0..ranks.len()).map(response).collect(),
            preference: Preference {
                ranks: ranks.to_vec(),
                scores: scores.map(<[f32]>::to_vec),
                margin: None,
                soft_label: None,
            },
        }
    }

    /// Numbers of the better and the worse answer of each pair.
    fn numbers(pairs: &[Comparison]) -> Vec<(String, String)> {
        let number = |messages: &[Message]| match &messages[0].content[..] {
            [Part::Image(_), Part::Text(text)] => text.trim_start_matches("answer ").to_owned(),
            other => panic!("{other:?}"),
        };
        pairs.iter().map(|pair| (number(&pair.responses[0]), number(&pair.responses[1]))).collect()
    }

    fn texts(pairs: &[(u8, u8)]) -> Vec<(String, String)> {
        pairs.iter().map(|(first, second)| (first.to_string(), second.to_string())).collect()
    }

    #[test]
    fn all_pairs_of_different_rank_are_made_with_their_scores() {
        let comparison = comparison(&[1, 0, 1, 2], Some(&[3.0, 5.0, 3.0, 1.0]));
        let pairs = expand(comparison, Expansion::AllPairs, None, 0);
        assert_eq!(numbers(&pairs), texts(&[(1, 0), (0, 3), (1, 2), (1, 3), (2, 3)]));
        let ids: Vec<&str> = pairs.iter().map(|pair| pair.id.as_str()).collect();
        assert_eq!(ids, ["x#0", "x#1", "x#2", "x#3", "x#4"]);
        let first = &pairs[0].preference;
        assert_eq!((first.scores.as_deref(), first.margin), (Some(&[5.0, 3.0][..]), Some(2.0)));
        assert_eq!(first.ranks, [0, 1]);
    }

    #[test]
    fn a_limit_keeps_the_largest_gaps() {
        let scores = Some(&[3.0, 5.0, 3.5, 1.0][..]);
        let pairs = expand(comparison(&[2, 0, 1, 3], scores), Expansion::AllPairs, Some(2), 0);
        assert_eq!(numbers(&pairs), texts(&[(1, 3), (2, 3)]));
        let by_rank = expand(comparison(&[1, 0, 2], None), Expansion::AllPairs, Some(2), 0);
        assert_eq!(numbers(&by_rank), texts(&[(1, 0), (1, 2)]));
    }

    #[test]
    fn the_largest_gap_is_one_pair() {
        let pairs = expand(comparison(&[2, 1, 0, 2], None), Expansion::LargestGap, Some(3), 0);
        assert_eq!(numbers(&pairs), texts(&[(2, 0)]));
        assert_eq!(pairs[0].preference.margin, None);
    }

    #[test]
    fn drawn_pairs_depend_on_the_seed_and_the_row_alone() {
        let ranks: Vec<u32> = (0..8).collect();
        let draw = |seed| {
            numbers(&expand(comparison(&ranks, None), Expansion::RandomPairs, Some(5), seed))
        };
        assert_eq!(draw(1), draw(1));
        assert_eq!(draw(1).len(), 5);
        assert_ne!(draw(1), draw(2));
        let other = Comparison { id: "y".to_owned(), ..comparison(&ranks, None) };
        assert_ne!(numbers(&expand(other, Expansion::RandomPairs, Some(5), 1)), draw(1));
    }

    #[test]
    fn pairs_pass_unchanged_and_ties_give_none() {
        let pair = comparison(&[1, 0], None);
        for how in [Expansion::AllPairs, Expansion::LargestGap, Expansion::RandomPairs] {
            assert_eq!(expand(pair.clone(), how, Some(1), 0), std::slice::from_ref(&pair));
            assert_eq!(expand(comparison(&[0, 0, 0], None), how, Some(1), 0), []);
        }
        let three = comparison(&[0, 1, 2], None);
        assert_eq!(expand(three.clone(), Expansion::Keep, None, 0), [three]);
    }
}
