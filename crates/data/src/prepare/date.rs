//! Dates as numbers: the parts of the calendar that vary in training rows, and the days since 1970.

use super::choice::Choice;
use super::number::NumberStep;
use arrow_array::{ArrayRef, TimestampMicrosecondArray};
use chrono::{DateTime, Datelike, Timelike};
use cupola_task::{Kind, Result, Value};
use serde::{Deserialize, Serialize};

/// What is done to one column of dates.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DateStep {
    parts: Vec<(Part, NumberStep)>,
}

/// A part of a point in time (UTC).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Year,
    Month,
    Day,
    /// Monday is 0.
    Weekday,
    Hour,
    Minute,
    /// Since 1970, with the day's fraction.
    Days,
    /// Of 1 for a round of the twelve months.
    MonthSin,
    MonthCos,
    WeekdaySin,
    WeekdayCos,
    /// With the hour's fraction.
    HourSin,
    HourCos,
    /// Day of the year, of 365.2425 days.
    YeardaySin,
    YeardayCos,
}

const PARTS: [(Part, &str); 15] = [
    (Part::Year, "year"),
    (Part::Month, "month"),
    (Part::Day, "day"),
    (Part::Weekday, "weekday"),
    (Part::Hour, "hour"),
    (Part::Minute, "minute"),
    (Part::Days, "days"),
    (Part::MonthSin, "month_sin"),
    (Part::MonthCos, "month_cos"),
    (Part::WeekdaySin, "weekday_sin"),
    (Part::WeekdayCos, "weekday_cos"),
    (Part::HourSin, "hour_sin"),
    (Part::HourCos, "hour_cos"),
    (Part::YeardaySin, "yearday_sin"),
    (Part::YeardayCos, "yearday_cos"),
];
/// The mean year of the calendar.
const YEAR_DAYS: f64 = 365.2425;

impl Part {
    fn word(self) -> &'static str {
        PARTS.iter().find(|(part, _)| *part == self).map_or("", |(_, word)| word)
    }

    /// Whether it belongs to dates that go round in circles, to those that do not, or to both.
    fn is_of(self, cyclic: bool) -> bool {
        match self {
            Part::Year | Part::Days => true,
            Part::Month | Part::Day | Part::Weekday | Part::Hour | Part::Minute => !cyclic,
            _ => cyclic,
        }
    }

    /// The part of a time in microseconds; NaN where it is missing or beyond the calendar.
    fn of(self, micros: Option<i64>) -> f64 {
        let Some((micros, time)) = micros.and_then(|micros| Some((micros, DateTime::from_timestamp_micros(micros)?))) else {
            return f64::NAN;
        };
        match self {
            Part::Year => f64::from(time.year()),
            Part::Month => f64::from(time.month()),
            Part::Day => f64::from(time.day()),
            Part::Weekday => f64::from(time.weekday().num_days_from_monday()),
            Part::Hour => f64::from(time.hour()),
            Part::Minute => f64::from(time.minute()),
            Part::Days => micros as f64 / 86_400e6,
            Part::MonthSin => round(f64::from(time.month0()), 12.0).sin(),
            Part::MonthCos => round(f64::from(time.month0()), 12.0).cos(),
            Part::WeekdaySin => round(f64::from(time.weekday().num_days_from_monday()), 7.0).sin(),
            Part::WeekdayCos => round(f64::from(time.weekday().num_days_from_monday()), 7.0).cos(),
            Part::HourSin => round(f64::from(time.num_seconds_from_midnight()), 86_400.0).sin(),
            Part::HourCos => round(f64::from(time.num_seconds_from_midnight()), 86_400.0).cos(),
            Part::YeardaySin => round(f64::from(time.ordinal0()), YEAR_DAYS).sin(),
            Part::YeardayCos => round(f64::from(time.ordinal0()), YEAR_DAYS).cos(),
        }
    }

    fn values(self, array: &TimestampMicrosecondArray) -> Vec<f64> {
        array.iter().map(|micros| self.of(micros)).collect()
    }
}

/// The angle of a place in a round.
fn round(place: f64, whole: f64) -> f64 {
    std::f64::consts::TAU * place / whole
}

impl DateStep {
    /// Learns from training dates. Of the parts' indicators of missing cells only one is kept.
    pub fn fit(array: &TimestampMicrosecondArray, choice: &Choice) -> Result<DateStep> {
        let mut parts: Vec<(Part, NumberStep)> = Vec::new();
        for (part, _) in PARTS.into_iter().filter(|(part, _)| part.is_of(choice.cyclic)) {
            let values = part.values(array);
            let mut present = values.iter().filter(|value| !value.is_nan());
            let varies = present.next().is_some_and(|first| present.any(|value| value != first));
            let mut step = NumberStep::fit_part(&values, choice)?;
            step.indicator &= parts.is_empty();
            if varies {
                parts.push((part, step));
            }
        }
        Ok(DateStep { parts })
    }

    /// Makes ready for use what was read from outside.
    pub fn open(&mut self) -> bool {
        self.parts.len() <= PARTS.len() && self.parts.iter_mut().all(|(_, step)| step.open())
    }

    /// Whether every value it gives is finite.
    pub fn is_finite(&self) -> bool {
        self.parts.iter().all(|(_, step)| step.fills())
    }

    /// Suffixes and kinds of the prepared columns.
    pub fn outputs(&self) -> Vec<(String, Kind)> {
        let names = |(part, step): &(Part, NumberStep)| {
            let part = part.word();
            super::step::number_outputs(step).into_iter().map(move |(suffix, kind)| match suffix.as_str() {
                "" => (format!(".{part}"), kind),
                _ => (suffix, kind),
            })
        };
        self.parts.iter().flat_map(names).collect()
    }

    /// The prepared columns.
    pub fn apply(&self, array: &TimestampMicrosecondArray) -> Vec<ArrayRef> {
        self.parts.iter().flat_map(|(part, step)| super::step::apply_number(step, &part.values(array), None)).collect()
    }

    /// What it does, as a sentence's end.
    pub fn describe(&self) -> String {
        let words: Vec<&str> = self.parts.iter().map(|(part, _)| part.word()).collect();
        match self.parts.first() {
            None => "left out: training rows have one date at most".into(),
            Some((_, step)) => format!("as {}; {}", words.join(", "), step.describe()),
        }
    }

    /// The settings that lead here without `auto`.
    pub fn resolved(&self) -> Vec<(&'static str, Value)> {
        let mut settings = self.parts.first().map(|(_, step)| step.resolved()).unwrap_or_default();
        let is_cyclic = self.parts.iter().any(|(part, _)| !part.is_of(false));
        settings.extend(is_cyclic.then(|| ("dates", Value::Text("cyclic".into()))));
        settings
    }
}
