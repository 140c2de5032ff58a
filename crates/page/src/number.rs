//! Numbers as people read them. Figures for machines stand in files beside the pages and are never shortened.

/// A count with commas between thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A fraction as a percentage with one decimal.
pub fn percent(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}

/// A number with about three significant digits.
pub fn short(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        number.to_string()
    } else if size == 0.0 {
        "0".to_owned()
    } else if size < 1e-3 {
        with_minus(format!("{number:.2e}"))
    } else {
        let decimals = match size {
            1000.0.. => return signed_count(number),
            100.0.. => 0,
            10.0.. => 1,
            1.0.. => 2,
            _ => 3,
        };
        with_minus(format!("{number:.decimals$}"))
    }
}

/// A number with all decimals that a step of an axis needs.
pub fn on_axis(number: f64, step: f64) -> String {
    let exponent = step.log10().floor();
    if number.abs() < step / 2.0 {
        "0".to_owned()
    } else if step < 1e-3 {
        let digits = (number.abs().log10().floor() - exponent).max(0.0) as usize;
        with_minus(format!("{number:.digits$e}"))
    } else if step < 1.0 {
        let decimals = -exponent as usize;
        with_minus(format!("{number:.decimals$}"))
    } else {
        signed_count(number)
    }
}

fn signed_count(number: f64) -> String {
    let sign = if number.round() < 0.0 { "−" } else { "" };
    format!("{sign}{}", count(number.abs().round() as u64))
}

/// Replaces the hyphen before a number by a minus sign; the one of an exponent stays.
fn with_minus(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted() {
        let texts = [0, 999, 1000, 1_234_567].map(count);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn numbers_keep_about_three_digits() {
        let texts = [0.0, 3e-6, -0.123_46, 1.234_5, -12.345, 123.45, 12_345.6, f64::NAN].map(short);
        assert_eq!(texts, ["0", "3.00e-6", "−0.123", "1.23", "−12.3", "123", "12,346", "NaN"]);
    }

    #[test]
    fn labels_have_the_decimals_of_their_step() {
        assert_eq!(on_axis(0.3, 0.1), "0.3");
        assert_eq!(on_axis(-1.0, 0.5), "−1.0");
        assert_eq!(on_axis(3.0 * 5e-7, 5e-7), "1.5e-6");
        assert_eq!(on_axis(5e-7, 5e-7), "5e-7");
        assert_eq!(on_axis(1e-17, 0.2), "0");
        assert_eq!(on_axis(2000.0, 500.0), "2,000");
        assert_eq!(on_axis(0.15, 0.05), "0.15");
    }
}
