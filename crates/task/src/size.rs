//! Sizes as recipes write them.

/// Bytes, or a number with `K`, `M`, `G` or `T`, powers of 1,024; `B` and `iB` may follow. At least one byte and at most 2^53.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).len());
    let power = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 1,
        "M" | "MB" | "MIB" => 2,
        "G" | "GB" | "GIB" => 3,
        "T" | "TB" | "TIB" => 4,
        _ => return None,
    };
    let bytes = number.trim().parse::<f64>().ok()? * 1024_f64.powi(power);
    (1.0..=9_007_199_254_740_992.0).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("2G", 2 << 30), ("64 MiB", 64 << 20), ("1.5k", 1536), ("100", 100), ("3tb", 3 << 40), ("7B", 7)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "G", "-1G", "5 X", "0", "NaN", "inf", "1e99"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
