//! Axes: a range, round numbers on it, and where a number lies.
//!
//! An axis knows no pixels beyond the two ends it is drawn between.

use crate::number;

/// How the numbers of an axis are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As they are.
    Plain,
    /// As percentages.
    Percent,
}

/// Range of numbers with its round numbers.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Smallest number shown.
    pub low: f64,
    /// Largest number shown.
    pub high: f64,
    /// Name and unit.
    pub label: String,
    step: f64,
    unit: Unit,
}

impl Axis {
    /// An axis over `low..=high`, extended to round numbers, with about `num_ticks` of them.
    pub fn round(label: &str, (low, high): (f64, f64), num_ticks: usize) -> Self {
        let (low, high) = opened(low, high);
        let step = round_step((high - low) / num_ticks as f64);
        let axis = Self::exact(label, (low, high), num_ticks);
        // A hair of tolerance, so that an end that is a round number but for rounding is not moved on.
        let (low, high) = ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step);
        Self { low, high, step, ..axis }
    }

    /// An axis over exactly `low..=high`.
    pub fn exact(label: &str, (low, high): (f64, f64), num_ticks: usize) -> Self {
        let (low, high) = opened(low, high);
        let step = round_step((high - low) / num_ticks as f64);
        Self { low, high, label: label.to_owned(), step, unit: Unit::Plain }
    }

    /// The same axis for whole numbers: no tick lies between two of them.
    #[must_use]
    pub fn whole(self) -> Self {
        Self { step: self.step.max(1.0), ..self }
    }

    /// The same axis with numbers written as percentages.
    #[must_use]
    pub fn percent(self) -> Self {
        Self { unit: Unit::Percent, ..self }
    }

    /// Round numbers on the axis with their labels.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let first = (self.low / self.step - 1e-9).ceil() as i64;
        let last = (self.high / self.step + 1e-9).floor() as i64;
        (first..=last)
            .map(|tick| {
                let number = tick as f64 * self.step;
                let label = match self.unit {
                    Unit::Plain => number::on_axis(number, self.step),
                    Unit::Percent => number::on_axis(number * 100.0, self.step * 100.0),
                };
                (number, label)
            })
            .collect()
    }

    /// Distance between two round numbers.
    pub fn step(&self) -> f64 {
        self.step
    }

    /// Where a number lies from 0 (low) to 1 (high). A number beyond an end lies on it.
    pub fn place(&self, number: f64) -> f64 {
        ((number - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// Smallest and largest of the finite numbers.
pub fn extent(numbers: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    numbers.into_iter().filter(|number| number.is_finite()).fold(None, |extent, number| {
        let (low, high) = extent.unwrap_or((number, number));
        Some((low.min(number), high.max(number)))
    })
}

/// Range of the finite numbers without the given part of them at either end.
pub fn inner_extent(numbers: impl IntoIterator<Item = f64>, part: f64) -> Option<(f64, f64)> {
    let mut sorted: Vec<f64> = numbers.into_iter().filter(|number| number.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let cut = (sorted.len() as f64 * part) as usize;
    Some((*sorted.get(cut)?, *sorted.get(sorted.len() - 1 - cut)?))
}

/// A range that is not empty.
fn opened(low: f64, high: f64) -> (f64, f64) {
    if high - low > low.abs().max(high.abs()) * 1e-9 {
        return (low, high);
    }
    let half = if low == 0.0 { 0.5 } else { low.abs() / 2.0 };
    (low - half, high + half)
}

/// Smallest of 1, 2 and 5 times a power of ten that is at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_stand_at_round_numbers() {
        let axis = Axis::round("loss", (0.13, 0.71), 4);
        assert_eq!(labels(&axis), ["0", "0.2", "0.4", "0.6", "0.8"]);
        let axis = Axis::round("learning rate", (0.0, 3e-6), 4);
        assert_eq!(labels(&axis), ["0", "1e-6", "2e-6", "3e-6"]);
        let axis = Axis::exact("step", (1.0, 1234.0), 4);
        assert_eq!(labels(&axis), ["500", "1,000"]);
        let axis = Axis::round("accuracy", (0.4, 1.0), 4).percent();
        assert_eq!(labels(&axis), ["40", "60", "80", "100"]);
        let axis = Axis::exact("step", (0.0, 2.0), 5).whole();
        assert_eq!(labels(&axis), ["0", "1", "2"]);
    }

    #[test]
    fn a_range_of_one_number_is_opened_and_numbers_beyond_lie_on_the_ends() {
        for number in [0.0, 5.0, -3.0, 1e-7] {
            let axis = Axis::round("x", (number, number), 4);
            assert!(axis.low < number && number < axis.high, "{axis:?}");
            assert!(axis.ticks().len() >= 2, "{axis:?}");
        }
        let axis = Axis::round("x", (0.0, 1.0), 4);
        for (number, place) in [(-1.0, 0.0), (0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (9.0, 1.0)] {
            assert!((axis.place(number) - place).abs() < 1e-12, "{number}");
        }
    }

    #[test]
    fn extents_pass_over_numbers_that_are_not_finite() {
        assert_eq!(extent([f64::NAN, 2.0, -1.0, f64::INFINITY]), Some((-1.0, 2.0)));
        assert_eq!(extent([f64::NAN]), None);
        assert_eq!(inner_extent((0..100).map(f64::from), 0.02), Some((2.0, 97.0)));
        assert_eq!(inner_extent([], 0.02), None);
    }
}
