//! How well rewards order more than two responses: pairs, the best of all, rank correlation, discounted gain.
//!
//! A row with a reward that is not finite is ordered by nothing, and gets the lowest value of each measure.

use crate::figure::Figure;
use crate::item::Scored;

const RANKING: &str = "ranking";

/// Whether the highest reward belongs to a best response. One that it shares with a worse response is wrong.
pub fn picks_a_best(row: &Scored) -> bool {
    let others = row.others();
    row.best().into_iter().any(|best| others.iter().all(|&other| row.prefers(best, other)))
}

/// Kendall's tau-b between the ranks and the rewards, from -1 for the reversed order to 1 for the same. Without any difference among the
/// rewards it is 0: they say nothing about the order.
///
/// # Source
/// Kendall 1945, *The treatment of ties in ranking problems*.
pub fn tau_b(row: &Scored) -> f64 {
    if row.scores.iter().any(|score| !score.is_finite()) {
        return -1.0;
    }
    let (mut balance, mut by_rank, mut by_reward) = (0_i64, 0_u64, 0_u64);
    for first in 0..row.ranks.len() {
        for second in first + 1..row.ranks.len() {
            let rank = row.ranks[second].cmp(&row.ranks[first]);
            let margin = row.margin(first, second);
            let reward = margin.partial_cmp(&0.0).expect("the rewards are finite");
            by_rank += u64::from(rank.is_ne());
            by_reward += u64::from(reward.is_ne());
            if rank.is_ne() && reward.is_ne() {
                balance += if rank == reward { 1 } else { -1 };
            }
        }
    }
    if by_rank == 0 || by_reward == 0 {
        return 0.0;
    }
    balance as f64 / ((by_rank as f64) * (by_reward as f64)).sqrt()
}

/// Normalized discounted cumulative gain over all responses, from 0 to 1: gain 2^r − 1, where r counts the ranks below that of the
/// response, discount log2(place + 1). Responses with equal rewards share the mean of their discounts, so that the order of the file
/// does not matter.
///
/// # Source
/// Järvelin and Kekäläinen 2002; Burges et al. 2005 for the gain; `McSherry` and Najork 2008 for ties.
pub fn ndcg(row: &Scored) -> f64 {
    if row.scores.iter().any(|score| !score.is_finite()) {
        return 0.0;
    }
    let lowest = row.ranks.iter().copied().max().unwrap_or(0);
    let gains: Vec<f64> =
        row.ranks.iter().map(|rank| f64::from(lowest - rank).exp2() - 1.0).collect();
    let ideal: f64 = discounted(&gains, &gains);
    let scores: Vec<f64> = row.scores.iter().map(|score| f64::from(*score)).collect();
    if ideal > 0.0 { discounted(&gains, &scores) / ideal } else { 0.0 }
}

/// Sum of the discounted gains in the order of the scores, the highest first.
fn discounted(gains: &[f64], scores: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&first, &second| scores[second].total_cmp(&scores[first]));
    let mut place = 0;
    let mut sum = 0.0;
    for equal in order.chunk_by(|&first, &second| scores[first] - scores[second] == 0.0) {
        let discount: f64 =
            (place..place + equal.len()).map(|place| 1.0 / (place as f64 + 2.0).log2()).sum();
        let gain: f64 = equal.iter().map(|&response| gains[response]).sum();
        sum += discount * gain / equal.len() as f64;
        place += equal.len();
    }
    sum
}

/// Accuracy over all pairs of responses with different ranks. Of rows with two responses it is their accuracy.
pub fn pair_accuracy<'a>(
    section: &'static str,
    name: &str,
    rows: impl IntoIterator<Item = &'a Scored>,
) -> Figure {
    let (mut num_right, mut num_total, mut num_ties) = (0_u64, 0, 0);
    for row in rows {
        for (better, worse) in row.pairs() {
            num_right += u64::from(row.prefers(better, worse));
            num_ties += u64::from(row.margin(better, worse) == 0.0);
            num_total += 1;
        }
    }
    Figure::ratio(section, name, num_right as f64, num_total, num_ties)
}

/// Best-of-N accuracy, mean tau-b and mean NDCG over all rows.
pub fn figures(rows: &[&Scored]) -> Vec<Figure> {
    let num_best = rows.iter().filter(|row| picks_a_best(row)).count();
    let num_rows = rows.len() as u64;
    let ties = rows.iter().filter(|row| shares_top(row)).count() as u64;
    let mean = |measure: fn(&Scored) -> f64| {
        let sum: f64 = rows.iter().map(|row| measure(row)).sum();
        (!rows.is_empty()).then(|| sum / rows.len() as f64)
    };
    vec![
        Figure::ratio(RANKING, "Best of N", num_best as f64, num_rows, ties),
        Figure::derived(RANKING, "Kendall's tau-b", mean(tau_b), num_rows),
        Figure::derived(RANKING, "NDCG", mean(ndcg), num_rows),
    ]
}

/// Whether the highest reward is shared by a best response and a worse one.
fn shares_top(row: &Scored) -> bool {
    let highest = |responses: &[usize]| {
        responses.iter().map(|&response| row.scores[response]).reduce(f32::max)
    };
    let (best, others) = (highest(&row.best()), highest(&row.others()));
    best.is_some() && best == others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ranks: &[u32], scores: &[f32]) -> Scored {
        Scored { ranks: ranks.to_vec(), scores: scores.to_vec(), ..Scored::default() }
    }

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
    }

    #[test]
    fn tau_is_one_for_the_order_and_minus_one_for_its_reverse() {
        near(tau_b(&row(&[0, 1, 2, 3], &[4.0, 3.0, 2.0, 1.0])), 1.0);
        near(tau_b(&row(&[0, 1, 2, 3], &[1.0, 2.0, 3.0, 4.0])), -1.0);
        // One of six pairs is swapped: (5 − 1) / 6.
        near(tau_b(&row(&[0, 1, 2, 3], &[3.0, 4.0, 2.0, 1.0])), 4.0 / 6.0);
    }

    #[test]
    fn tau_with_ties_divides_by_the_pairs_that_each_side_tells_apart() {
        // Ranks tell 5 of 6 pairs apart, rewards 5; four agree, none is against, one is tied on each side.
        near(tau_b(&row(&[0, 1, 1, 2], &[3.0, 2.0, 1.0, 1.0])), 4.0 / 5.0);
        // Ranks tell 2 of 3 pairs apart, rewards all, and both agree.
        near(tau_b(&row(&[0, 1, 1], &[3.0, 2.0, 1.0])), 2.0 / 6.0_f64.sqrt());
        near(tau_b(&row(&[0, 1, 2], &[1.0, 1.0, 1.0])), 0.0);
        near(tau_b(&row(&[0, 1], &[0.0, -0.0])), 0.0);
    }

    #[test]
    fn ndcg_is_one_for_the_ideal_order_and_follows_its_formula_otherwise() {
        near(ndcg(&row(&[2, 0, 1], &[-1.0, 5.0, 0.5])), 1.0);
        // Gains 3, 1, 0 stand in the order 0, 1, 3.
        let ideal = 3.0 + 1.0 / 3.0_f64.log2();
        near(ndcg(&row(&[0, 1, 2], &[1.0, 2.0, 3.0])), (1.0 / 3.0_f64.log2() + 3.0 / 2.0) / ideal);
        // Equal rewards share the mean discount.
        let mean_discount = (1.0 + 1.0 / 3.0_f64.log2() + 0.5) / 3.0;
        near(ndcg(&row(&[0, 1, 2], &[7.0, 7.0, 7.0])), 4.0 * mean_discount / ideal);
    }

    #[test]
    fn rows_with_ties_on_both_sides_have_the_values_of_scipy_and_scikit_learn() {
        // scipy 1.17.1 `kendalltau` of the negated ranks, scikit-learn 1.9.1 `ndcg_score` of 2^r − 1, on made-up rows.
        let cases: [(&[u32], &[f32], f64, f64); 5] = [
            (&[1, 0, 1, 1], &[0.0, 3.0, 1.0, 0.0], 0.774_596_669_241_483_4, 1.0),
            (&[0, 1, 1], &[1.0, 3.0, 0.0], 0.0, 0.630_929_753_571_457_3),
            (&[0, 1, 0], &[3.0, 2.0, 1.0], 0.0, 0.919_720_789_148_187_7),
            (&[0, 0, 0, 1, 1], &[3.0, 1.0, 1.0, 0.0, 0.0], 0.866_025_403_784_438_7, 1.0),
            (
                &[1, 0, 1, 1, 0],
                &[1.0, 2.0, 0.0, 2.0, 2.0],
                0.617_213_399_848_367_6,
                0.871_049_064_255_152_7,
            ),
        ];
        for (ranks, scores, tau, gain) in cases {
            near(tau_b(&row(ranks, scores)), tau);
            near(ndcg(&row(ranks, scores)), gain);
        }
    }

    #[test]
    fn equal_ranks_in_either_order_are_ideal() {
        near(ndcg(&row(&[0, 0, 1], &[1.0, 2.0, 0.0])), 1.0);
        near(ndcg(&row(&[0, 0, 1], &[2.0, 1.0, 0.0])), 1.0);
    }

    #[test]
    fn a_top_that_a_worse_response_shares_is_wrong_and_one_that_two_best_share_is_right() {
        assert!(picks_a_best(&row(&[0, 1, 2], &[2.0, 1.0, 1.0])));
        assert!(!picks_a_best(&row(&[0, 1, 2], &[2.0, 2.0, 1.0])));
        assert!(picks_a_best(&row(&[0, 0, 1], &[2.0, 2.0, 1.0])));
        assert!(picks_a_best(&row(&[0, 0, 1], &[0.0, 2.0, 1.0])));
        let figures = figures(&[&row(&[0, 1], &[2.0, 2.0]), &row(&[0, 0, 1], &[2.0, 2.0, 1.0])]);
        assert_eq!(
            (figures[0].num_right, figures[0].num_total, figures[0].num_ties),
            (Some(1.0), 2, 1)
        );
    }

    #[test]
    fn a_reward_that_is_not_finite_gets_the_lowest_value_of_each_measure() {
        let broken = row(&[0, 1, 2], &[3.0, 2.0, f32::NAN]);
        near(tau_b(&broken), -1.0);
        near(ndcg(&broken), 0.0);
        assert!(!picks_a_best(&broken));
        let pairs = pair_accuracy("s", "n", [&broken]);
        assert_eq!((pairs.num_right, pairs.num_total), (Some(1.0), 3));
    }

    #[test]
    fn pairs_are_counted_over_all_rows() {
        let rows = [row(&[0, 1, 1], &[2.0, 1.0, 3.0]), row(&[1, 0], &[0.5, 0.5])];
        let figure = pair_accuracy("s", "n", &rows);
        assert_eq!((figure.num_right, figure.num_total, figure.num_ties), (Some(1.0), 3, 1));
    }
}
