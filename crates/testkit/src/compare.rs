//! The distance between a result and its golden.

/// How far a result is from what was expected.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// Largest absolute difference of an element.
    pub max_abs: f64,
    /// `max_abs` over the largest absolute value expected: relative to the stage's own scale.
    pub relative: f64,
    /// Where the largest difference is.
    pub index: usize,
}

/// Compares elements; lengths that differ, or a NaN, are an infinite difference.
pub fn compare(got: &[f32], expected: &[f32]) -> Difference {
    if got.len() != expected.len() {
        let index = got.len().min(expected.len());
        return Difference { max_abs: f64::INFINITY, relative: f64::INFINITY, index };
    }
    let mut difference = Difference { max_abs: 0.0, relative: 0.0, index: 0 };
    let mut scale = f64::MIN_POSITIVE;
    for (index, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let distance = (f64::from(got) - f64::from(expected)).abs();
        let distance = if distance.is_nan() { f64::INFINITY } else { distance };
        scale = scale.max(f64::from(expected).abs());
        if distance > difference.max_abs {
            difference = Difference { max_abs: distance, relative: 0.0, index };
        }
    }
    difference.relative = difference.max_abs / scale;
    difference
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_undefined_element_is_infinitely_far() {
        assert!(compare(&[1.0], &[1.0, 2.0]).relative.is_infinite());
        assert!(compare(&[f32::NAN], &[1.0]).relative.is_infinite());
        let difference = compare(&[1.0, 4.5], &[1.0, 5.0]);
        assert_eq!((difference.index, difference.max_abs), (1, 0.5));
        assert!((difference.relative - 0.1).abs() < 1e-12);
    }
}
