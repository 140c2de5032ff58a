//! Two models on the same rows: which of them is better, and whether that may be chance.
//!
//! A row is right or wrong as in [`Scored::is_right`], whatever the official metric makes of it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::interval::NUM_DRAWS;
use crate::item::Scored;
use crate::resample::{Random, groups, percentile_interval};

/// How two models compare on the rows that both have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Rows that both have, with the same name and ranks.
    pub num_rows: u64,
    /// Rows of one model alone, or that the two have with different names or ranks. They are not compared.
    pub num_not_shared: u64,
    /// Rows that only the first has right.
    pub num_wins: u64,
    /// Rows that only the second has right.
    pub num_losses: u64,
    /// Rows that both have right.
    pub num_both_right: u64,
    /// Two-sided p-value of the exact test of `McNemar`; see [`mcnemar`]. It takes rows as independent, which the interval does
    /// not.
    pub p_value: f64,
    /// Accuracy of the first minus accuracy of the second, from −1 to 1; absent without any row.
    pub difference: Option<f64>,
    /// 95 % bootstrap interval of the difference over groups of rows.
    pub interval: Option<(f64, f64)>,
}

/// Compares two models row by row. The same rows and seed give the same result.
pub fn paired(first: &[Scored], second: &[Scored], seed: u64) -> Paired {
    let of_row: HashMap<usize, &Scored> = second.iter().map(|row| (row.row, row)).collect();
    let same = |a: &Scored, b: &Scored| a.id == b.id && a.ranks == b.ranks;
    let shared: Vec<(&Scored, &Scored)> = first
        .iter()
        .filter_map(|row| Some((row, *of_row.get(&row.row)?)))
        .filter(|(a, b)| same(a, b))
        .collect();
    let count = |outcome: (bool, bool)| {
        shared.iter().filter(|(a, b)| (a.is_right(), b.is_right()) == outcome).count() as u64
    };
    let (num_rows, num_wins, num_losses) =
        (shared.len() as u64, count((true, false)), count((false, true)));
    let difference = num_wins as f64 - num_losses as f64;
    Paired {
        num_rows,
        num_not_shared: (first.len() + second.len() - 2 * shared.len()) as u64,
        num_wins,
        num_losses,
        num_both_right: count((true, true)),
        p_value: mcnemar(num_wins, num_losses),
        difference: (num_rows > 0).then(|| difference / num_rows as f64),
        interval: interval(&shared, seed),
    }
}

/// Two-sided p-value that of `num_wins + num_losses` rows on which two equal models differ, the numbers are at least as uneven:
/// min(1, 2 · P(X ≤ min(wins, losses))) for binomial X with probability ½.
///
/// # Source
/// Q. `McNemar`, "Note on the sampling error of the difference between correlated proportions or percentages", Psychometrika 12
/// (1947), with the binomial distribution in place of the normal one.
pub fn mcnemar(num_wins: u64, num_losses: u64) -> f64 {
    let (fewer, total) = (num_wins.min(num_losses), num_wins + num_losses);
    // The logarithm of the largest term; the others follow from it by their ratios, the smaller ones last.
    let log_choices: f64 =
        (1..=fewer).map(|i| ((total - fewer + i) as f64).ln() - (i as f64).ln()).sum();
    let mut term = (log_choices - total as f64 * std::f64::consts::LN_2).exp();
    let mut sum = 0.0;
    for place in (0..=fewer).rev() {
        sum += term;
        term *= place as f64 / (total - place + 1) as f64;
    }
    (2.0 * sum).min(1.0)
}

/// Interval of the mean difference over draws of groups.
fn interval(shared: &[(&Scored, &Scored)], seed: u64) -> Option<(f64, f64)> {
    let difference = |&row: &usize| {
        let (a, b) = shared[row];
        f64::from(u8::from(a.is_right())) - f64::from(u8::from(b.is_right()))
    };
    let sums: Vec<(f64, f64)> = groups(shared.iter().map(|(a, _)| a.labels.group.as_str()))
        .iter()
        .map(|rows| (rows.iter().map(difference).sum(), rows.len() as f64))
        .collect();
    if sums.len() < 2 {
        return None;
    }
    let (mut random, mut times) = (Random::new(seed), vec![0; sums.len()]);
    let mean_of_draw = |_| {
        random.draw_groups(&mut times);
        let (mut sum, mut total) = (0.0, 0.0);
        for (&(of_group, rows), &times) in sums.iter().zip(&times) {
            sum += of_group * f64::from(times);
            total += rows * f64::from(times);
        }
        sum / total
    };
    percentile_interval(&mut (0..NUM_DRAWS).map(mean_of_draw).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Labels;

    fn rows(group_size: usize, outcomes: &[bool]) -> Vec<Scored> {
        let row = |(row, &is_right): (usize, &bool)| Scored {
            row,
            id: format!("row {row}"),
            labels: Labels { group: (row / group_size).to_string(), ..Labels::default() },
            ranks: vec![0, 1],
            scores: if is_right { vec![1.0, 0.0] } else { vec![1.0, 1.0] },
            ..Scored::default()
        };
        outcomes.iter().enumerate().map(row).collect()
    }

    fn assert_close(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-12 * expected, "{value} is not {expected}");
    }

    #[test]
    fn p_values_are_those_of_the_binomial_distribution() {
        assert_close(mcnemar(0, 0), 1.0);
        assert_close(mcnemar(7, 7), 1.0);
        assert_close(mcnemar(1, 0), 1.0);
        assert_close(mcnemar(0, 6), 2.0 / 64.0);
        // 1 + 20 + 190 + 1140 + 4845 + 15504 ways of 2^20, on both sides.
        assert_close(mcnemar(5, 15), 2.0 * 21_700.0 / 1_048_576.0);
        assert_close(mcnemar(15, 5), mcnemar(5, 15));
    }

    #[test]
    fn large_counts_neither_overflow_nor_vanish() {
        // The normal approximation with a continuity correction: z = (|600 − 400| − 1) / √1000 = 6.293, two-sided 3.1e-10.
        let p = mcnemar(400, 600);
        assert!((2e-10..4e-10).contains(&p), "{p}");
        // z = 199 / √100,000 = 0.6293, two-sided 0.5292.
        let p = mcnemar(50_100, 49_900);
        assert!((p - 0.5292).abs() < 5e-4, "{p}");
    }

    #[test]
    fn wins_losses_and_shared_rows_are_counted() {
        let first = rows(1, &[true, true, true, false, false, true]);
        let mut second = rows(1, &[true, false, false, true, false]);
        second[4].id = "another".to_owned();
        let result = paired(&first, &second, 0);
        assert_eq!((result.num_rows, result.num_not_shared), (4, 3));
        assert_eq!((result.num_wins, result.num_losses, result.num_both_right), (2, 1, 1));
        assert_eq!(result.difference, Some(0.25));
        assert_close(result.p_value, 1.0);
    }

    #[test]
    fn exchanging_the_models_turns_the_difference_around() {
        let outcomes = |step: usize| (0..80).map(|i| i * step % 7 > 2).collect::<Vec<_>>();
        let (first, second) = (rows(1, &outcomes(3)), rows(1, &outcomes(5)));
        let (there, back) = (paired(&first, &second, 9), paired(&second, &first, 9));
        assert_eq!(there.difference.map(|difference| -difference), back.difference);
        assert_close(there.p_value, back.p_value);
        let ((low, high), (back_low, back_high)) =
            (there.interval.unwrap(), back.interval.unwrap());
        assert!((low + back_high).abs() < 1e-12 && (high + back_low).abs() < 1e-12);
    }

    #[test]
    fn the_interval_of_a_clear_difference_leaves_out_zero_and_groups_widen_it() {
        let better: Vec<bool> = (0..120).map(|i| i / 4 % 5 > 0).collect();
        let worse: Vec<bool> = (0..120).map(|i| i / 4 % 5 > 2).collect();
        let interval =
            |size| paired(&rows(size, &better), &rows(size, &worse), 2).interval.unwrap();
        let (apart, alike) = (interval(1), interval(4));
        assert!(apart.0 > 0.25 && apart.1 < 0.55, "{apart:?}");
        assert!(alike.1 - alike.0 > 1.5 * (apart.1 - apart.0), "{alike:?} and {apart:?}");
    }

    #[test]
    fn no_shared_row_gives_no_difference() {
        let result = paired(&rows(1, &[true, false]), &[], 0);
        assert_eq!((result.num_rows, result.num_not_shared), (0, 2));
        assert_eq!((result.difference, result.interval), (None, None));
    }
}
