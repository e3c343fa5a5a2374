//! Numbers as people read them: as many digits as the interval supports, and "undefined" for what has no value.

use super::report::Measure;

/// What stands for a number that has no value.
pub(super) const UNDEFINED: &str = "undefined";

/// Decimals that show an interval with two figures of its half width; four figures of the value where no interval is known.
pub(super) fn decimals(measure: Measure) -> usize {
    let half_width = (measure.high - measure.low) / 2.0;
    let wanted = match half_width.is_finite() && half_width > 0.0 {
        true => 1.0 - half_width.log10().floor(),
        false if measure.value.is_finite() && measure.value != 0.0 => 3.0 - measure.value.abs().log10().floor(),
        false => 4.0,
    };
    wanted.clamp(0.0, 6.0) as usize
}

/// A number with that many decimals; in powers of ten where it would be too long or all zeros.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    let size = value.abs();
    if !value.is_finite() {
        UNDEFINED.to_owned()
    } else if size >= 1e9 || (size > 0.0 && size < 0.5e-6) {
        format!("{value:.3e}")
    } else {
        let text = format!("{value:.decimals$}");
        // A small negative number rounds to "-0.00", which says nothing.
        match text.strip_prefix('-') {
            Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.to_owned(),
            Some(rest) => format!("-{}", grouped(rest)),
            None => grouped(&text),
        }
    }
}

/// Blanks that do not break between groups of three digits, from 10 000 on.
fn grouped(text: &str) -> String {
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    match whole.parse() {
        Ok(whole) if whole >= 10_000 => count(whole) + rest,
        _ => text.to_owned(),
    }
}

/// A number with as many decimals as it needs to be read: four digits that count.
pub fn short(value: f64) -> String {
    match value.is_finite() {
        true => fixed(value, (3 - value.abs().max(1e-9).log10().floor() as i32).clamp(0, 6) as usize).replace('\u{a0}', " "),
        false => "undefined".to_owned(),
    }
}

/// A number by itself: four figures.
pub(super) fn plain(value: f64) -> String {
    fixed(value, decimals(Measure::exact(value)))
}

/// A number with its sign.
pub(super) fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    match value > 0.0 {
        true => format!("+{text}"),
        false => text,
    }
}

/// The interval alone: `0.912 to 0.934`; empty where none is known.
pub(super) fn interval(measure: Measure, decimals: usize) -> String {
    match measure.has_interval() {
        true => format!("{} to {}", fixed(measure.low, decimals), fixed(measure.high, decimals)),
        false => String::new(),
    }
}

/// The interval of a difference, with signs: `+0.012 to +0.034`.
pub(super) fn signed_interval(measure: Measure, decimals: usize) -> String {
    match measure.has_interval() {
        true => format!("{} to {}", signed(measure.low, decimals), signed(measure.high, decimals)),
        false => String::new(),
    }
}

/// The number with its interval in brackets: `0.923 (0.912 to 0.934)`.
pub(super) fn with_interval(measure: Measure) -> String {
    let decimals = decimals(measure);
    match measure.is_defined() && measure.has_interval() {
        true => format!("{} ({})", fixed(measure.value, decimals), interval(measure, decimals)),
        false => fixed(measure.value, decimals),
    }
}

/// Decimals for values that spread around a mean.
pub(super) fn decimals_of_spread(mean: f64, deviation: f64) -> usize {
    decimals(Measure::new(mean, mean - deviation, mean + deviation))
}

/// A whole number in groups of three: `16 281`. The blanks do not break.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// A count that may be a sum of weights.
pub(super) fn amount(value: f64) -> String {
    match value.is_finite() && value >= 0.0 && value.fract() == 0.0 && value < 1e15 {
        true => count(value as u64),
        false => plain(value),
    }
}

/// A share as a percentage: `24 %`, `0.3 %`.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0 + 0.0; // an empty sum is -0, and -0 + 0 is 0
    match value.abs() {
        _ if !value.is_finite() => UNDEFINED.to_owned(),
        size if size.fract() == 0.0 || (9.95..=90.05).contains(&size) => format!("{value:.0}\u{a0}%"),
        size if size < 0.1 => format!("{value:.2}\u{a0}%"),
        _ => format!("{value:.1}\u{a0}%"),
    }
}

/// A duration: `320 ms`, `4.2 s`, `3 min 20 s`, `2 h 05 min`.
pub(super) fn seconds(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match seconds {
        _ if !seconds.is_finite() => UNDEFINED.to_owned(),
        s if s < 0.9995 => format!("{:.0}\u{a0}ms", s.max(0.0) * 1e3),
        s if s < 99.95 => format!("{s:.1}\u{a0}s"),
        s if s < 3600.0 => format!("{}\u{a0}min {:02}\u{a0}s", whole / 60, whole % 60),
        _ => format!("{}\u{a0}h {:02}\u{a0}min", whole / 3600, whole % 3600 / 60),
    }
}

/// A size: `512 B`, `1.3 MB`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes}\u{a0}B");
    }
    let mut value = bytes as f64 / 1e3;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    format!("{value:.*}\u{a0}{}", usize::from(value < 9.95), UNITS[unit])
}

/// Wilson's 95 % interval of a share seen in `rows` rows; undefined where the share is.
pub(super) fn wilson(share: f64, rows: f64) -> [f64; 2] {
    if share.is_nan() { [f64::NAN; 2] } else { cupola_metrics::wilson(share, rows, 0.95) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_the_interval() {
        for (value, low, high, wanted) in [
            (0.927_12, 0.922_9, 0.931_2, "0.9271 (0.9229 to 0.9312)"),
            (0.9, 0.7, 1.0, "0.90 (0.70 to 1.00)"),
            (-51_234.6, -53_000.9, -49_000.2, "-51 235 (-53 001 to -49 000)"),
            (0.5, f64::NAN, f64::NAN, "0.5000"),
            (f64::NAN, 0.0, 1.0, "undefined"),
            (-0.001, -0.2, 0.2, "0.00 (-0.20 to 0.20)"),
            (3e12, f64::NAN, f64::NAN, "3.000e12"),
        ] {
            assert_eq!(with_interval(Measure::new(value, low, high)).replace('\u{a0}', " "), wanted);
        }
        assert_eq!([signed(0.25, 2), signed(-0.25, 2), signed(0.0, 1)], ["+0.25", "-0.25", "0.0"]);
    }

    #[test]
    fn units_are_chosen() {
        let text = [count(1_234_567), percent(0.2408), percent(0.001), seconds(0.32), seconds(200.0), seconds(7500.0), bytes(1_340_000)];
        assert_eq!(text.map(|t| t.replace('\u{a0}', " ")), ["1 234 567", "24 %", "0.1 %", "320 ms", "3 min 20 s", "2 h 05 min", "1.3 MB"]);
    }

    #[test]
    fn a_share_that_is_undefined_has_no_interval() {
        assert!(wilson(f64::NAN, 10.0).iter().chain(&wilson(0.5, 0.0)).all(|end| end.is_nan()));
    }
}
