//! The days between every two dates of a row: how long after an order came the delivery.

use super::choice::Choice;
use super::number::NumberStep;
use super::step::apply_number;
use crate::cells::Cells;
use arrow_array::{ArrayRef, TimestampMicrosecondArray};
use cupola_task::{Columns, Error, Field, Kind, Result, Schema};
use serde::{Deserialize, Serialize};

/// No more differences are made.
const DIFFERENCES_MAX: usize = 64;
const DAY_MICROS: f64 = 86_400e6;

/// The days from one date to another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Difference {
    /// Places among the inputs; the second comes later in the table.
    pub from: usize,
    pub to: usize,
    step: NumberStep,
}

impl Difference {
    /// Makes ready for use what was read from outside.
    pub fn open(&mut self, kinds: &[Kind]) -> bool {
        let is_date = |place: usize| kinds.get(place) == Some(&Kind::Date);
        is_date(self.from) && is_date(self.to) && self.from != self.to && !self.step.indicator && self.step.open()
    }

    /// Whether every value it gives is finite.
    pub fn is_finite(&self) -> bool {
        self.step.fills()
    }

    /// The prepared column.
    pub fn apply(&self, from: &TimestampMicrosecondArray, to: &TimestampMicrosecondArray) -> ArrayRef {
        apply_number(&self.step, &days(from, to), None).swap_remove(0)
    }
}

/// Learns from training dates; `choice` says what is asked for a column of that name. Differences that do not vary are left out.
///
/// # Errors
/// When there are too many dates, or a setting does not suit numbers.
pub(crate) fn fit(schema: &Schema, raw: &Columns, choice: impl Fn(String) -> Choice) -> Result<Vec<Difference>> {
    let dates: Vec<(usize, &Field)> = schema.inputs().enumerate().filter(|(_, field)| field.kind == Kind::Date).collect();
    let pairs = dates.len() * dates.len().saturating_sub(1) / 2;
    if pairs > DIFFERENCES_MAX {
        let found = format!("true for {} dates, which makes {pairs} differences", dates.len());
        return Err(Error::setting("data.clean.differences", found, format!("at most {DIFFERENCES_MAX}")));
    }
    let mut differences = Vec::new();
    for (place, (from, first)) in dates.iter().enumerate() {
        for (to, second) in &dates[place + 1..] {
            let values = days(date(first, raw)?, date(second, raw)?);
            let mut present = values.iter().filter(|value| !value.is_nan());
            if !present.next().is_some_and(|first| present.any(|value| value != first)) {
                continue;
            }
            let mut step = NumberStep::fit_part(&values, &choice(name(&first.name, &second.name)))?;
            // The dates have marks of their own where they are missing.
            step.indicator = false;
            differences.push(Difference { from: *from, to: *to, step });
        }
    }
    Ok(differences)
}

/// What the days from one date to another are called.
pub(crate) fn name(from: &str, to: &str) -> String {
    format!("{to}-{from}.days")
}

/// The cells of a date column.
pub(crate) fn date<'r>(field: &Field, raw: &'r Columns) -> Result<&'r TimestampMicrosecondArray> {
    let missing = || Error::input("columns", format!("no column {}", field.name), format!("a column {} (date)", field.name));
    match Cells::open(field, raw.get(&field.name).ok_or_else(missing)?)? {
        Cells::Dates(array) => Ok(array),
        _ => Err(missing()),
    }
}

fn days(from: &TimestampMicrosecondArray, to: &TimestampMicrosecondArray) -> Vec<f64> {
    // Of dates at opposite ends of what a cell can hold, too.
    let between = |(from, to): (Option<i64>, Option<i64>)| Some((i128::from(to?) - i128::from(from?)) as f64 / DAY_MICROS);
    from.iter().zip(to).map(|pair| between(pair).unwrap_or(f64::NAN)).collect()
}
