//! Times as people and programs write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat};

/// Microseconds since 1970 of a time as RFC 3339 writes it; without an offset it is UTC, and a date alone is its midnight.
pub fn moment(text: &str) -> Option<i64> {
    let text = text.trim();
    let with_offset = DateTime::parse_from_rfc3339(text).map(|at| at.timestamp_micros());
    let naive = |format: &str| NaiveDateTime::parse_from_str(text, format).map(|at| at.and_utc().timestamp_micros());
    let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0).map(|at| at.and_utc().timestamp_micros());
    with_offset.or_else(|_| naive("%Y-%m-%dT%H:%M:%S%.f")).or_else(|_| naive("%Y-%m-%d %H:%M:%S%.f")).ok().or_else(date)
}

/// The same back, in UTC and whole seconds.
pub fn write_moment(at_us: i64) -> String {
    DateTime::from_timestamp_micros(at_us).map_or_else(String::new, |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (text, wanted) in [
            ("1970-01-02", Some(86_400_000_000)),
            ("1970-01-01T00:00:01Z", Some(1_000_000)),
            ("1970-01-01T01:00:01+01:00", Some(1_000_000)),
            ("1970-01-01 00:00:00.5", Some(500_000)),
            ("yesterday", None),
        ] {
            assert_eq!(moment(text), wanted, "{text}");
        }
        assert_eq!(write_moment(86_400_000_000), "1970-01-02T00:00:00Z");
    }
}
