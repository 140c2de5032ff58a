//! A reward as a probability, for protocols that ask for one.

/// Logistic function, exact on both tails.
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// The reward itself, or its sigmoid rounded to f32.
pub fn activate(reward: f32, use_activation: bool) -> f32 {
    if use_activation { sigmoid(f64::from(reward)) as f32 } else { reward }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activation_lies_between_zero_and_one_and_can_be_left_out() {
        assert_eq!(activate(0.0, true).to_bits(), 0.5_f32.to_bits());
        assert_eq!(activate(1.0, true).to_bits(), 0.731_058_6_f32.to_bits());
        assert!(activate(-80.0, true) > 0.0 && activate(-80.0, true) < 1e-30);
        assert_eq!(activate(-7.25, false).to_bits(), (-7.25_f32).to_bits());
    }
}
