//! The one number that, dividing every margin, makes them say best how often the model is right.
//!
//! It says how a model is off; it changes no reward and no accuracy.

use serde::{Deserialize, Serialize};

use super::bins::calibration_of;
use super::{Judged, finite};

/// Halvings of the range that holds the solution: more than the bits of a double.
const NUM_HALVINGS: usize = 64;

/// Doublings or halvings of 1 that find the range, nearly to the ends of what a double can be.
const MAX_DOUBLINGS: i32 = 1000;

/// The temperature T that minimizes the mean of −log σ(margin / T) over the pairs with finite rewards.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// T. Above 1 the margins are too large for how often the model is right.
    pub value: f64,
    /// Expected calibration error of σ(margin / T).
    pub expected_error: f64,
    /// Mean of −log σ(margin / T).
    pub negative_log_likelihood: f64,
    /// The same with T = 1.
    pub negative_log_likelihood_before: f64,
}

/// Fits the temperature to the pairs that it is judged on. `None` where there is no best one: without any mistake margins can
/// never be too large, and with a mean that is not positive they can never be too small.
///
/// # Source
/// Temperature scaling: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks" (2017), section 4.2.
pub fn fitted_temperature(pairs: &[Judged]) -> Option<Temperature> {
    let margins: Vec<f64> = finite(pairs).map(Judged::margin).collect();
    let scale = best_scale(&margins)?;
    let scaled = || margins.iter().map(|margin| margin * scale);
    Some(Temperature {
        value: 1.0 / scale,
        expected_error: calibration_of(scaled()).expected_error,
        negative_log_likelihood: negative_log_likelihood(scaled()),
        negative_log_likelihood_before: negative_log_likelihood(margins.iter().copied()),
    })
}

/// The factor 1/T. The mean of −log σ(s·m) is convex in s, so the zero of its slope is the only minimum.
fn best_scale(margins: &[f64]) -> Option<f64> {
    let has_mistake = margins.iter().any(|&margin| margin < 0.0);
    if !has_mistake || margins.iter().sum::<f64>() <= 0.0 {
        return None;
    }
    // Falls as s rises: from half the sum of all margins at 0 towards the sum of the negative ones.
    let descent = |scale: f64| -> f64 {
        margins.iter().map(|margin| margin / (1.0 + (scale * margin).exp())).sum()
    };
    let rises = |&scale: &f64| descent(scale) > 0.0;
    let mut powers = (0..MAX_DOUBLINGS).map(|i| 2f64.powi(i));
    let (mut low, mut high) = if rises(&1.0) {
        let high = powers.find(|scale| !rises(scale))?;
        (high / 2.0, high)
    } else {
        let low = powers.map(f64::recip).find(rises)?;
        (low, low * 2.0)
    };
    for _ in 0..NUM_HALVINGS {
        let middle = f64::midpoint(low, high);
        if rises(&middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(f64::midpoint(low, high))
}

/// Mean of log(1 + e^−m), without overflow.
fn negative_log_likelihood(margins: impl Iterator<Item = f64>) -> f64 {
    let loss = |margin: f64| (-margin.abs()).exp().ln_1p() + (-margin).max(0.0);
    super::mean(margins.map(loss)).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::pair;
    use super::*;

    fn fitted(margins: &[f32]) -> Option<Temperature> {
        let pairs: Vec<Judged> = margins.iter().map(|&margin| pair("x", margin, 0.0)).collect();
        fitted_temperature(&pairs)
    }

    #[test]
    fn three_of_four_right_at_one_margin_give_that_margin_over_ln_3() {
        let result = fitted(&[2.0, 2.0, 2.0, -2.0]).expect("there is a mistake");
        assert!((result.value - 2.0 / 3f64.ln()).abs() < 1e-12, "{result:?}");
        assert!(result.expected_error < 1e-12, "{result:?}");
        let entropy = -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        assert!((result.negative_log_likelihood - entropy).abs() < 1e-12, "{result:?}");
        assert!(result.negative_log_likelihood_before > entropy);
    }

    #[test]
    fn no_other_temperature_fits_better() {
        let margins: Vec<f32> = (0..300u16).map(|i| f32::from(i * 89 % 101) * 0.3 - 7.0).collect();
        let result = fitted(&margins).expect("most are right, some are not");
        for factor in [0.5, 0.99, 1.01, 2.0] {
            let scaled = margins.iter().map(|&m| f64::from(m) / (result.value * factor));
            assert!(negative_log_likelihood(scaled) > result.negative_log_likelihood);
        }
    }

    #[test]
    fn margins_of_any_size_have_their_temperature() {
        for size in [1e-30f32, 1e-3, 1e3, 1e30] {
            let result = fitted(&[size, size, size, -size]).expect("there is a mistake");
            let expected = f64::from(size) / 3f64.ln();
            assert!((result.value / expected - 1.0).abs() < 1e-9, "{size}: {result:?}");
        }
    }

    #[test]
    fn all_right_or_no_better_than_a_coin_has_no_temperature() {
        assert_eq!(fitted(&[1.0, 2.0, 0.0]), None);
        assert_eq!(fitted(&[1.0, -1.0]), None);
        assert_eq!(fitted(&[1.0, -5.0]), None);
        assert_eq!(fitted(&[]), None);
        assert_eq!(fitted(&[f32::NAN, 1.0]), None);
    }
}
