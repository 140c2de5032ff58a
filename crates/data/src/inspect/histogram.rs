//! Counts of numbers by their size, in bins that grow with it: 1 to 2, 2 to 5, 5 to 10, and so on in both directions.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// Where the bins of a power of ten begin.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

/// Counts of numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// Numbers.
    pub count: usize,
    /// Numbers that are not above zero, which no bin holds.
    pub not_positive: usize,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    sum: f64,
    /// Numbers in each bin, by the place of the bin.
    places: BTreeMap<i32, usize>,
}

/// Numbers between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Lower bound, which belongs to the bin.
    pub from: f64,
    /// Upper bound, which does not.
    pub to: f64,
    /// Numbers in it.
    pub count: usize,
}

impl Histogram {
    /// Counts a number.
    pub fn add(&mut self, number: f64) {
        self.count += 1;
        self.sum += number;
        self.min = Some(self.min.map_or(number, |min| min.min(number)));
        self.max = Some(self.max.map_or(number, |max| max.max(number)));
        if number > 0.0 {
            *self.places.entry(place(number)).or_default() += 1;
        } else {
            self.not_positive += 1;
        }
    }

    /// The mean, when there is a number.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Bins from the smallest number to the largest, empty ones between them included.
    pub fn bins(&self) -> Vec<Bin> {
        let (Some((first, _)), Some((last, _))) =
            (self.places.first_key_value(), self.places.last_key_value())
        else {
            return Vec::new();
        };
        let bin = |place: i32| {
            let count = self.places.get(&place).copied().unwrap_or(0);
            Bin { from: bound(place), to: bound(place + 1), count }
        };
        (*first..=*last).map(bin).collect()
    }
}

/// The place of the bin that holds a number above zero.
fn place(number: f64) -> i32 {
    let mut place = (number.log10() * STEPS.len() as f64).floor() as i32;
    while bound(place) > number {
        place -= 1;
    }
    while bound(place + 1) <= number {
        place += 1;
    }
    place
}

/// Where a bin begins: the nearest number to what people write, because both sides of the division are exact.
fn bound(place: i32) -> f64 {
    let steps = STEPS.len() as i32;
    let (step, decade) = (STEPS[place.rem_euclid(steps) as usize], place.div_euclid(steps));
    if decade < 0 { step / 10_f64.powi(-decade) } else { step * 10_f64.powi(decade) }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written {
            count: usize,
            not_positive: usize,
            min: Option<f64>,
            max: Option<f64>,
            mean: Option<f64>,
            bins: Vec<Bin>,
        }
        let Self { count, not_positive, min, max, .. } = *self;
        Written { count, not_positive, min, max, mean: self.mean(), bins: self.bins() }
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bin_that_it_begins() {
        let mut histogram = Histogram::default();
        for number in [0.2, 0.5, 1.0, 1.99, 2.0, 1000.0, 0.0, -3.0] {
            histogram.add(number);
        }
        let bins = histogram.bins();
        let found: Vec<(f64, f64, usize)> =
            bins.iter().map(|bin| (bin.from, bin.to, bin.count)).filter(|bin| bin.2 > 0).collect();
        assert_eq!(
            found,
            [(0.2, 0.5, 1), (0.5, 1.0, 1), (1.0, 2.0, 2), (2.0, 5.0, 1), (1000.0, 2000.0, 1)]
        );
        assert_eq!(bins.len(), 12, "empty bins between others are there");
        assert_eq!((histogram.count, histogram.not_positive), (8, 2));
        assert_eq!((histogram.min, histogram.max), (Some(-3.0), Some(1000.0)));
    }

    #[test]
    fn every_number_is_in_the_bin_around_it() {
        for exponent in -300..300 {
            for factor in [1.0, 1.7, 2.0, 4.999, 5.0, 9.999] {
                let number = factor * 10_f64.powi(exponent);
                let place = place(number);
                assert!(bound(place) <= number && number < bound(place + 1), "{number}");
            }
        }
    }

    #[test]
    fn no_numbers_have_neither_mean_nor_bins() {
        assert_eq!(Histogram::default().mean(), None);
        assert_eq!(Histogram::default().bins(), []);
    }
}
