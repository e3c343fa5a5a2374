//! Dates and times in text.

use arrow_array::StringArray;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};

/// Ways to write a day, in the notation of `strftime`; those with the year first come first.
const DAYS: &[&str] = &[
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
    "%d-%B-%Y",
    "%d-%B-%y",
    "%d %B %Y",
    "%B %d, %Y",
    "%B %d %Y",
];

/// What may follow the day.
const TIMES: &[&str] = &[
    "",
    "T%H:%M:%S%.f",
    " %H:%M:%S%.f",
    "T%H:%M",
    " %H:%M",
    " %I:%M:%S %p",
    " %I:%M %p",
    "T%H:%M:%S%.f%#z",
    " %H:%M:%S%.f%#z",
    " %H:%M:%S%.f %#z",
    "T%H:%M%#z",
];

/// A day without separators, which is taken for a number unless the recipe says it is a date.
const COMPACT: &str = "%Y%m%d";

/// What a column's texts say about their format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Guess {
    /// This one fits all values.
    Format(String),
    /// Both fit all values and disagree.
    Ambiguous(String, String),
    /// None fits all values; the row is where the last one failed.
    None(usize),
}

/// Microseconds since 1970 in UTC, for years 1000 to 9999. A time without a zone is UTC.
pub(crate) fn parse(text: &str, format: &str) -> Option<i64> {
    if format == DAYS[0]
        && let Some(micros) = iso_day(text.as_bytes())
    {
        return Some(micros);
    }
    let text = text.trim();
    let moment = if format.contains("%#z") {
        DateTime::parse_from_str(text, format).ok()?.naive_utc()
    } else if format.contains("%H") || format.contains("%I") {
        NaiveDateTime::parse_from_str(text, format).ok()?
    } else {
        NaiveDate::parse_from_str(text, format).ok()?.and_hms_opt(0, 0, 0)?
    };
    (1000..=9999).contains(&moment.year()).then(|| moment.and_utc().timestamp_micros())
}

/// As [`parse`] for a day like `2021-12-31` and nothing else, without reading the format: most dates are written so.
fn iso_day(text: &[u8]) -> Option<i64> {
    let &[b'1'..=b'9', _, _, _, b'-', _, _, b'-', _, _] = text else { return None };
    let number =
        |digits: &[u8]| digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| 10 * number + u32::from(digit - b'0')));
    let day = NaiveDate::from_ymd_opt(number(&text[..4])? as i32, number(&text[5..7])?, number(&text[8..])?)?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros())
}

/// As [`parse`], in the given format or else in one of those with the year first, which mean the same everywhere.
pub(crate) fn parse_known(text: &str, format: Option<&str>) -> Option<i64> {
    let known = format.and_then(|format| parse(text, format));
    known.or_else(|| TIMES.iter().find_map(|time| parse(text, &format!("{}{time}", DAYS[0]))))
}

/// ISO 8601, without the parts that are zero.
pub(crate) fn iso(micros: i64) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(moment) if micros.rem_euclid(86_400_000_000) == 0 => moment.format("%Y-%m-%d").to_string(),
        Some(moment) => moment.format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
        None => micros.to_string(),
    }
}

/// Finds the format that fits all values; `compact` allows days without separators.
pub(crate) fn guess(texts: &StringArray, compact: bool) -> Guess {
    let mut values = texts.iter().enumerate().filter_map(|(row, text)| text.map(|text| (row, text)));
    let Some((first_row, first)) = values.next() else { return Guess::None(0) };
    let all = DAYS.iter().flat_map(|day| TIMES.iter().map(move |time| format!("{day}{time}")));
    let all = all.chain(compact.then(|| COMPACT.to_owned()));
    let mut fitting: Vec<String> =
        if looks_like_date(first) { all.filter(|format| parse(first, format).is_some()).collect() } else { Vec::new() };
    if fitting.is_empty() {
        return Guess::None(first_row);
    }
    for (row, text) in values {
        fitting.retain(|format| parse(text, format).is_some());
        if fitting.is_empty() {
            return Guess::None(row);
        }
    }
    let rival = fitting[1..].iter().find(|rival| texts.iter().flatten().any(|text| parse(text, rival) != parse(text, &fitting[0])));
    match rival {
        Some(rival) => Guess::Ambiguous(fitting[0].clone(), rival.clone()),
        None => Guess::Format(fitting.swap_remove(0)),
    }
}

fn looks_like_date(text: &str) -> bool {
    let text = text.trim();
    (6..=40).contains(&text.len()) && text.bytes().filter(u8::is_ascii_digit).count() >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guess_takes_one_meaning_or_none() {
        for (texts, expected) in [
            (&["2021-01-05", "2021-12-31"][..], Guess::Format("%Y-%m-%d".into())),
            (&["2021-01-05T10:00:00Z", "2021-01-05T10:00:00.5+02:00"], Guess::Format("%Y-%m-%dT%H:%M:%S%.f%#z".into())),
            (&["05/01/2021", "31/12/2021"], Guess::Format("%d/%m/%Y".into())),
            (&["05/01/2021", "12/31/2021"], Guess::Format("%m/%d/%Y".into())),
            (&["01/01/2021", "02/02/2021"], Guess::Format("%d/%m/%Y".into())),
            (&["05/01/2021", "04/12/2021"], Guess::Ambiguous("%d/%m/%Y".into(), "%m/%d/%Y".into())),
            (&["5 September 2021 ", "5 Sep 2021"], Guess::Format("%d %B %Y".into())),
            (&["2021-01-05", "soon"], Guess::None(1)),
            (&["20210105"], Guess::None(0)),
        ] {
            assert_eq!(guess(&StringArray::from(texts.to_vec()), false), expected, "{texts:?}");
        }
        assert_eq!(guess(&StringArray::from(vec!["20210105"]), true), Guess::Format("%Y%m%d".into()));
    }

    #[test]
    fn days_are_read_quickly_as_by_their_format() {
        let slow = |text: &str| {
            let day = NaiveDate::parse_from_str(text, DAYS[0]).ok()?;
            (1000..=9999).contains(&day.year()).then(|| day.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp_micros())
        };
        for year in [999, 1000, 1900, 1970, 2000, 2023, 2024, 9999, 10_000] {
            for (month, day) in (0..=13).flat_map(|month| (0..=32).map(move |day| (month, day))) {
                let text = format!("{year:04}-{month:02}-{day:02}");
                assert_eq!(parse(&text, DAYS[0]), slow(&text), "{text}");
            }
        }
        for text in ["2021-1-05", "2021-01-5x", "+021-01-05", "2021-01-05 ", "20a1-01-05", "2021-0:-05"] {
            assert_eq!(parse(text, DAYS[0]), slow(text.trim()), "{text}");
        }
    }

    #[test]
    fn iso_is_read_back() {
        for text in ["2021-01-05", "1969-12-31T23:59:59.999999", "2021-01-05T10:00:00"] {
            assert_eq!(iso(parse_known(text, None).unwrap()), text);
        }
        assert_eq!(parse_known("2021-01-05T10:00:00+02:00", None), parse_known("2021-01-05 08:00", None));
    }
}
