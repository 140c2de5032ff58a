//! Shares of the sources: how many records each gives, and which.
//!
//! A source that cannot give its share gives what it has; the others do not fill the gap, so that shares stay what the recipe says.

use serde::{Deserialize, Serialize};

use crate::chance;
use crate::recipe::{MixRecipe, SourceRecipe};

/// What a source gives to the mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixShare {
    /// Its name in the recipe.
    pub source: String,
    /// Records that it has.
    pub available: usize,
    /// Share of the result that the recipe asks for.
    pub share: f64,
    /// Records that this is.
    pub wanted: usize,
    /// Records in the result, repetitions counted.
    pub taken: usize,
    /// Of these, repetitions.
    pub repeated: usize,
}

impl MixShare {
    /// Why there are fewer records than wanted, when there are.
    pub fn shortage(&self) -> Option<String> {
        (self.taken < self.wanted).then(|| {
            format!(
                "`{}` gives {} of {} wanted records, because it has {} and may not give more; \
                 set `mix.repeat`, raise its `max_rows`, or lower its `weight` or `mix.rows`",
                self.source, self.taken, self.wanted, self.available
            )
        })
    }
}

/// How many records each source gives, of as many as are available.
///
/// # Panics
/// When there is not one number for each source.
pub fn mix(available: &[usize], recipe: &MixRecipe, sources: &[SourceRecipe]) -> Vec<MixShare> {
    assert_eq!(available.len(), sources.len(), "one number for each source");
    let most = |(available, source): (&usize, &SourceRecipe)| {
        source.max_rows.map_or(*available, |limit| limit.min(*available))
    };
    let most: Vec<usize> = available.iter().zip(sources).map(most).collect();
    let shares = shares(&most, sources, recipe.temperature);
    let wanted = match recipe.rows {
        Some(rows) => apportion(rows, &shares),
        None => largest(&most, &shares),
    };
    let give = |at: usize| {
        let limit = match sources[at].max_rows {
            _ if !recipe.repeat || most[at] == 0 => most[at],
            limit => limit.unwrap_or(usize::MAX),
        };
        let taken = wanted[at].min(limit);
        MixShare {
            source: sources[at].label().to_owned(),
            available: available[at],
            share: shares[at],
            wanted: wanted[at],
            taken,
            repeated: taken.saturating_sub(available[at]),
        }
    };
    (0..sources.len()).map(give).collect()
}

/// How often each record of a source is taken, so that `taken` are in all: everything as often as possible, then a drawn rest.
///
/// Of more records taken, those of fewer are a part.
pub fn draw(records: &[u128], taken: usize, seed: u64) -> Vec<u32> {
    if records.is_empty() {
        return Vec::new();
    }
    let passes = u32::try_from(taken / records.len()).unwrap_or(u32::MAX);
    let mut copies = vec![passes; records.len()];
    let order = chance::order(seed, "mix", records.iter().copied());
    for at in order.into_iter().take(taken % records.len()) {
        copies[at] += 1;
    }
    copies
}

/// Share of each source: its size times its weight, to the power of one over the temperature. They add up to 1, or are all 0.
fn shares(most: &[usize], sources: &[SourceRecipe], temperature: f64) -> Vec<f64> {
    let weights: Vec<f64> =
        most.iter().zip(sources).map(|(most, source)| *most as f64 * source.weight).collect();
    let largest = weights.iter().copied().fold(0.0, f64::max);
    // NUMERICS: relative to the largest, no power is too large.
    let tempered = |weight: &f64| match *weight {
        0.0 => 0.0,
        weight => (weight / largest).powf(1.0 / temperature),
    };
    let tempered: Vec<f64> = weights.iter().map(tempered).collect();
    let sum: f64 = tempered.iter().sum();
    tempered.iter().map(|share| if sum > 0.0 { share / sum } else { 0.0 }).collect()
}

/// Divides a total by shares with the method of the largest remainder; equal remainders go to the first.
fn apportion(total: usize, shares: &[f64]) -> Vec<usize> {
    let quotas: Vec<f64> = shares.iter().map(|share| share * total as f64).collect();
    let mut counts: Vec<usize> = quotas.iter().map(|quota| quota.floor() as usize).collect();
    let mut order: Vec<usize> = (0..shares.len()).filter(|at| shares[*at] > 0.0).collect();
    order.sort_by(|a, b| quotas[*b].fract().total_cmp(&quotas[*a].fract()));
    let given: usize = counts.iter().sum();
    for at in order.into_iter().take(total.saturating_sub(given)) {
        counts[at] += 1;
    }
    counts
}

/// As many records as there are without a source that falls short of its share.
fn largest(most: &[usize], shares: &[f64]) -> Vec<usize> {
    let most_of = |(most, share): (&usize, &f64)| (*share > 0.0).then(|| *most as f64 / share);
    let total = most.iter().zip(shares).filter_map(most_of).fold(f64::INFINITY, f64::min);
    if !total.is_finite() {
        return vec![0; most.len()];
    }
    // NUMERICS: the quotient may lie a little on either side of a whole number.
    let mut total = total.round() as usize + 1;
    loop {
        let counts = apportion(total, shares);
        if counts.iter().zip(most).all(|(count, most)| count <= most) {
            return counts;
        }
        total -= 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(name: &str, weight: f64, max_rows: Option<usize>) -> SourceRecipe {
        let toml =
            serde_json::json!({"name": name, "path": [], "weight": weight, "max_rows": max_rows});
        serde_json::from_value(toml).unwrap()
    }

    fn sources(weights: &[f64]) -> Vec<SourceRecipe> {
        let named = |(at, weight): (usize, &f64)| source(&format!("s{at}"), *weight, None);
        weights.iter().enumerate().map(named).collect()
    }

    fn recipe(rows: Option<usize>, temperature: f64, repeat: bool) -> MixRecipe {
        MixRecipe { rows, temperature, repeat }
    }

    fn taken(shares: &[MixShare]) -> Vec<usize> {
        shares.iter().map(|share| share.taken).collect()
    }

    #[test]
    fn without_wishes_everything_is_taken() {
        let mixed = mix(&[7, 0, 100_003], &MixRecipe::default(), &sources(&[1.0; 3]));
        assert_eq!(taken(&mixed), [7, 0, 100_003]);
        assert!(mixed.iter().all(|share| share.shortage().is_none()));
        assert_eq!(taken(&mix(&[0, 0], &MixRecipe::default(), &sources(&[1.0; 2]))), [0, 0]);
        let ten = recipe(Some(10), 1.0, true);
        assert_eq!(taken(&mix(&[0, 0], &ten, &sources(&[1.0; 2]))), [0, 0]);
    }

    #[test]
    fn weights_alone_take_as_much_as_their_ratio_allows() {
        let mixed = mix(&[100, 100], &MixRecipe::default(), &sources(&[1.0, 0.5]));
        assert_eq!(taken(&mixed), [100, 50]);
    }

    #[test]
    fn limits_of_rows_hold_with_and_without_repetition() {
        let limited = [source("a", 1.0, Some(30)), source("b", 1.0, None)];
        assert_eq!(taken(&mix(&[100, 70], &MixRecipe::default(), &limited)), [30, 70]);
        let repeated = mix(&[100, 70], &recipe(Some(1000), 1.0, true), &limited);
        assert_eq!(taken(&repeated), [30, 700]);
        assert_eq!(repeated[1].repeated, 630);
        assert!(repeated[0].shortage().unwrap().starts_with("`a` gives 30 of 300 wanted records"));
    }

    #[test]
    fn a_small_source_falls_short_or_is_repeated() {
        let short = mix(&[10, 990], &recipe(Some(200), 1e9, false), &sources(&[1.0; 2]));
        assert_eq!(taken(&short), [10, 100]);
        assert_eq!(
            short[0].shortage().unwrap().split(',').next(),
            Some("`s0` gives 10 of 100 wanted records")
        );
        let repeated = mix(&[10, 990], &recipe(Some(200), 1e9, true), &sources(&[1.0; 2]));
        assert_eq!((taken(&repeated), repeated[0].repeated), (vec![100, 100], 90));
    }

    #[test]
    fn a_temperature_of_two_takes_roots() {
        let mixed = mix(&[100, 400, 900], &recipe(Some(60), 2.0, false), &sources(&[1.0; 3]));
        assert_eq!(taken(&mixed), [10, 20, 30]);
    }

    #[test]
    fn more_records_contain_fewer_and_repetition_is_even() {
        let records: Vec<u128> = (0..20).map(|at| at * 7919).collect();
        let (few, more) = (draw(&records, 5, 3), draw(&records, 9, 3));
        assert_eq!((few.iter().sum::<u32>(), more.iter().sum::<u32>()), (5, 9));
        assert!(few.iter().zip(&more).all(|(few, more)| few <= more));
        assert_ne!(few, draw(&records, 5, 4));
        let repeated = draw(&records, 47, 3);
        assert_eq!(repeated.iter().sum::<u32>(), 47);
        assert!(repeated.iter().all(|copies| (2..=3).contains(copies)));
        assert!(draw(&[], 3, 0).is_empty());
    }

    proptest! {
        #[test]
        fn totals_are_exact_when_records_repeat(
            available in prop::collection::vec(1_usize..5000, 1..8),
            weight in 0.1_f64..10.0,
            rows in 0_usize..100_000,
            temperature in 0.2_f64..20.0,
        ) {
            let mut weights = vec![1.0; available.len()];
            weights[0] = weight;
            let mixed = mix(&available, &recipe(Some(rows), temperature, true), &sources(&weights));
            prop_assert_eq!(taken(&mixed).iter().sum::<usize>(), rows);
        }

        #[test]
        fn a_temperature_of_one_is_proportional_and_a_large_one_equal(
            available in prop::collection::vec(1_usize..5000, 1..8),
            rows in 0_usize..10_000,
        ) {
            let all: usize = available.iter().sum();
            let sources = sources(&vec![1.0; available.len()]);
            let proportional = mix(&available, &recipe(Some(rows), 1.0, true), &sources);
            let equal = mix(&available, &recipe(Some(rows), 1e12, true), &sources);
            for (at, available) in available.iter().enumerate() {
                let exact = rows as f64 * *available as f64 / all as f64;
                prop_assert!((proportional[at].taken as f64 - exact).abs() <= 1.0);
                let even = rows as f64 / sources.len() as f64;
                prop_assert!((equal[at].taken as f64 - even).abs() <= 1.0);
            }
        }

        #[test]
        fn nothing_is_repeated_unless_asked(
            available in prop::collection::vec(0_usize..500, 1..8),
            rows in prop::option::of(0_usize..5000),
            temperature in 0.2_f64..20.0,
        ) {
            let sources = sources(&vec![1.0; available.len()]);
            for (share, available) in mix(&available, &recipe(rows, temperature, false), &sources).iter().zip(&available) {
                prop_assert!(share.taken <= *available && share.repeated == 0);
                prop_assert_eq!(share.shortage().is_some(), share.taken < share.wanted);
            }
        }
    }
}
