//! Times as recipes write them.

use std::time::Duration;

/// Seconds, or a number with `s`, `m`, `h`, `d` or `w`; not negative and at most 1e9 seconds, some thirty years.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).len());
    let factor = match unit {
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    };
    let seconds = number.trim().parse::<f64>().ok()? * factor;
    (0.0..=1e9).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("90s", 90.0), ("0", 0.0), ("1.5h", 5400.0), (" 2 w", 1_209_600.0), ("5min", 300.0), ("7", 7.0)] {
            assert_eq!(duration(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "s", "-1d", "5 years", "1e10", "NaN", "inf"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
