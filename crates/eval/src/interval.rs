//! 95 % intervals for the figures of a benchmark, by drawing its groups of rows again.
//!
//! The official metric itself is measured on every draw, so that macro averages and rules over groups get intervals as well as
//! plain ratios do. The intervals say how far the figure would move with other rows of the same kind, not how far it would
//! with another training run.

use crate::figure::Figure;
use crate::item::Scored;
use crate::resample::{Random, groups, percentile_interval};

/// Draws behind every interval.
pub const NUM_DRAWS: usize = 1000;

/// Fills in the interval of each figure, which `measure` gave for `items`.
///
/// Whole groups are drawn with replacement, as many as there are, [`NUM_DRAWS`] times; see
/// [`Labels::group`](crate::item::Labels::group). A group that a draw holds twice comes with two names, so that a rule over
/// groups counts it twice. A figure that most draws leave undefined, or that is the same in all, gets no interval; nor does any
/// with fewer than two groups. The same items and seed give the same intervals.
pub fn add_intervals(
    figures: &mut [Figure],
    items: &[&Scored],
    seed: u64,
    measure: impl Fn(&[&Scored]) -> Vec<Figure>,
) {
    for figure in figures.iter_mut() {
        figure.interval = None;
    }
    let groups = groups(items.iter().map(|item| item.labels.group.as_str()));
    if groups.len() < 2 {
        return;
    }
    let copies = copies(items, &groups, seed);
    let mut values: Vec<Vec<f64>> = vec![Vec::with_capacity(NUM_DRAWS); figures.len()];
    let mut drawn: Vec<&Scored> = Vec::with_capacity(items.len() * 2);
    let (mut random, mut times) = (Random::new(seed), vec![0; groups.len()]);
    for _ in 0..NUM_DRAWS {
        random.draw_groups(&mut times);
        drawn.clear();
        for (copies, &times) in copies.iter().zip(&times) {
            drawn.extend(copies[..times as usize].iter().flatten());
        }
        let measured = measure(&drawn);
        for (place, (figure, values)) in figures.iter().zip(&mut values).enumerate() {
            values.extend(value_of(figure, place, &measured).filter(|value| value.is_finite()));
        }
    }
    for (figure, mut values) in figures.iter_mut().zip(values) {
        figure.interval = percentile_interval(&mut values);
    }
}

/// `[groups][copies][rows]`: the rows of each group, as many copies as the fullest draw needs.
fn copies(items: &[&Scored], groups: &[Vec<usize>], seed: u64) -> Vec<Vec<Vec<Scored>>> {
    let (mut random, mut times) = (Random::new(seed), vec![0; groups.len()]);
    let mut most = vec![0; groups.len()];
    for _ in 0..NUM_DRAWS {
        random.draw_groups(&mut times);
        for (most, &times) in most.iter_mut().zip(&times) {
            *most = times.max(*most);
        }
    }
    let copy = |rows: &[usize], number: u32| {
        let rename = |&row: &usize| {
            let mut item = items[row].clone();
            item.labels.group = format!("{}#{number}", item.labels.group);
            item
        };
        rows.iter().map(rename).collect::<Vec<_>>()
    };
    let of_group =
        |(rows, most): (&Vec<usize>, u32)| (0..most).map(|number| copy(rows, number)).collect();
    groups.iter().zip(most).map(of_group).collect()
}

/// The value of a figure among those of a draw, which mostly has it in the same place.
fn value_of(figure: &Figure, place: usize, measured: &[Figure]) -> Option<f64> {
    let same = |other: &&Figure| other.section == figure.section && other.name == figure.name;
    measured.get(place).filter(same).or_else(|| measured.iter().find(same))?.value
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::item::Labels;

    fn row(group: impl std::fmt::Display, is_right: bool) -> Scored {
        Scored {
            labels: Labels { group: format!("{group}"), ..Labels::default() },
            ranks: vec![0, 1],
            scores: if is_right { vec![1.0, 0.0] } else { vec![0.0, 1.0] },
            ..Scored::default()
        }
    }

    fn accuracy(items: &[&Scored]) -> Vec<Figure> {
        vec![Figure::accuracy("official", "Overall", items.iter().copied())]
    }

    /// Part of the groups that are right in all rows.
    fn groups_right(items: &[&Scored]) -> Vec<Figure> {
        let mut groups: BTreeMap<&str, bool> = BTreeMap::new();
        for item in items {
            *groups.entry(&item.labels.group).or_insert(true) &= item.is_right();
        }
        let num_right = groups.values().filter(|right| **right).count();
        vec![Figure::ratio("official", "Groups", num_right as f64, groups.len() as u64, 0)]
    }

    fn measured(rows: &[Scored], measure: fn(&[&Scored]) -> Vec<Figure>) -> Vec<Figure> {
        let items: Vec<&Scored> = rows.iter().collect();
        let mut figures = measure(&items);
        add_intervals(&mut figures, &items, 1, measure);
        figures
    }

    fn interval(rows: &[Scored], measure: fn(&[&Scored]) -> Vec<Figure>) -> Option<(f64, f64)> {
        measured(rows, measure)[0].interval
    }

    #[test]
    fn intervals_of_thrown_coins_hold_the_truth_about_95_times_of_100() {
        let mut random = Random::new(5);
        let mut num_held = 0;
        for _ in 0..200 {
            let rows: Vec<Scored> = (0..100).map(|i| row(i, random.below(10) < 7)).collect();
            let (low, high) = interval(&rows, accuracy).expect("coins differ");
            num_held += u32::from(low <= 0.7 && 0.7 <= high);
        }
        // Two standard deviations of 200 draws at 0.95 are 6.
        assert!((182..=197).contains(&num_held), "{num_held} of 200");
    }

    #[test]
    fn one_group_gives_no_interval() {
        let rows: Vec<Scored> = (0..20).map(|i| row("only", i % 2 == 0)).collect();
        assert_eq!(interval(&rows, accuracy), None);
        assert_eq!(interval(&[], accuracy), None);
    }

    #[test]
    fn rows_that_are_all_right_give_no_interval() {
        let rows: Vec<Scored> = (0..20).map(|i| row(i, true)).collect();
        assert_eq!(interval(&rows, accuracy), None);
    }

    #[test]
    fn the_same_rows_and_seed_give_the_same_bits() {
        let rows: Vec<Scored> = (0..90).map(|i| row(i / 2, i % 3 > 0)).collect();
        let bits = || interval(&rows, accuracy).map(|(low, high)| (low.to_bits(), high.to_bits()));
        assert!(bits().is_some());
        assert_eq!(bits(), bits());
    }

    #[test]
    fn rows_that_repeat_each_other_give_the_interval_of_one_of_them() {
        let repeated: Vec<Scored> = (0..160).map(|i| row(i / 4, i / 4 % 5 > 1)).collect();
        let once: Vec<Scored> = (0..40).map(|i| row(i, i % 5 > 1)).collect();
        let apart: Vec<Scored> = (0..160).map(|i| row(i, i / 4 % 5 > 1)).collect();
        let width = |rows: &[Scored]| {
            let (low, high) = interval(rows, accuracy).expect("rows differ");
            high - low
        };
        assert!((width(&repeated) - width(&once)).abs() < 1e-12);
        assert!(width(&repeated) > 1.6 * width(&apart), "four alike should double the width");
    }

    #[test]
    fn a_group_that_is_drawn_twice_counts_twice_in_a_rule_over_groups() {
        let rows: Vec<Scored> = (0..60).map(|i| row(i, i % 3 > 0)).collect();
        assert_eq!(interval(&rows, groups_right), interval(&rows, accuracy));
    }

    #[test]
    fn figures_are_found_by_name_and_draws_without_one_are_left_out() {
        fn by_subset(items: &[&Scored]) -> Vec<Figure> {
            let mut names: Vec<&str> = items.iter().map(|i| i.labels.subset.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let of = |name: &str| {
                let rows = items.iter().copied().filter(|i| i.labels.subset == name);
                Figure::accuracy("official", name, rows)
            };
            names.into_iter().map(of).collect()
        }
        let mut rows: Vec<Scored> = (0..50).map(|i| row(i, i % 2 == 0)).collect();
        for (place, row) in rows.iter_mut().enumerate() {
            // One row of `a` is missing in 37 % of the draws, and then `b` comes first.
            row.labels.subset = if place == 0 { "a" } else { "b" }.to_owned();
        }
        let figures = measured(&rows, by_subset);
        assert_eq!(figures[0].interval, None, "one row is the same in all draws that have it");
        let (low, high) = figures[1].interval.expect("b varies");
        assert!(low > 0.3 && high < 0.7, "{low} to {high}");
    }
}
