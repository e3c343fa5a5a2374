//! Columns of what rows before a row held: lags and rolling statistics of numbers, by time and within groups.
//!
//! They are pandas' `groupby(group)[column].shift(lag)` and `.shift(1).rolling(window, min_periods)`: a window ends with the row before, so no
//! row sees itself or one that comes later. A row looks at all rows before it, whatever their side: test rows at the end of the training rows,
//! as an answer in use looks at what was known before it.
//!
//! A model keeps the last rows of each group ([`History`]), so that rows to answer have something before them; where a caller's own rows go
//! back further, those are looked at. Where nothing is known the value is missing.

use crate::conform::{Notation, Wanted, conform};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array};
use cupola_task::{Column, Columns, Field, Kind, Range, Role, Schema, Setting, Settings, Value};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A window or a lag goes back so many rows at most.
const ROWS_MAX: i64 = 1000;
/// A model keeps so many cells of history at most: the groups whose last rows are the newest come first.
const HISTORY_CELLS_MAX: usize = 200_000;
/// So many columns are made at most.
const COLUMNS_MAX: usize = 2_000;

/// What a recipe may say in `[data.lag]`.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "columns",
        alias: &["column"],
        default: "[]",
        range: Range::List(&Range::Text),
        doc: "Columns of numbers whose earlier values become inputs: inputs, targets, or ignored columns, which are not known in time. None named: the targets that are numbers.",
    },
    Setting {
        name: "lags",
        alias: &["lag"],
        default: "[]",
        range: Range::List(&Range::Integer { min: 1, max: ROWS_MAX }),
        doc: "How many rows back: 1 is the row before, as pandas' shift(1). A column COLUMN_lag_N each.",
    },
    Setting {
        name: "windows",
        alias: &["window"],
        default: "[]",
        range: Range::List(&Range::Integer { min: 2, max: ROWS_MAX }),
        doc: "Statistics over so many rows before the row, as pandas' shift(1).rolling(N). A column COLUMN_rolling_STATISTIC_N each.",
    },
    Setting {
        name: "statistics",
        alias: &["statistic"],
        default: "[mean]",
        range: Range::List(&Range::Choice(&["mean", "std", "min", "max"])),
        doc: "What windows tell: mean, standard deviation (of a sample), smallest, largest.",
    },
    Setting {
        name: "min_periods",
        alias: &["min_samples"],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 1, max: ROWS_MAX }]),
        doc: "How many values a window must hold, else it says nothing. auto: as many as it is long.",
    },
    Setting {
        name: "time",
        alias: &["order"],
        default: "\"\"",
        range: Range::Text,
        doc: "The column that orders rows: dates or numbers. Empty: the one of data.split.by=time.",
    },
    Setting {
        name: "group",
        alias: &["by"],
        default: "\"\"",
        range: Range::Text,
        doc: "The column whose rows are a series of their own, as a shop or a sensor. Empty: all rows are one series.",
    },
    Setting {
        name: "history",
        alias: &[],
        default: "true",
        range: Range::Flag,
        doc: "Whether the model file keeps the last rows of each series (time, group and the columns), as many as the longest lag or window, so that new rows have something before them. golden=off keeps none.",
    },
];

/// What a window tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Statistic {
    Mean,
    Std,
    Min,
    Max,
}

impl Statistic {
    fn open(word: &str) -> Statistic {
        match word {
            "std" => Statistic::Std,
            "min" => Statistic::Min,
            "max" => Statistic::Max,
            _ => Statistic::Mean,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Statistic::Mean => "mean",
            Statistic::Std => "std",
            Statistic::Min => "min",
            Statistic::Max => "max",
        }
    }

    /// Of the values that are there.
    fn of(self, values: &[f64]) -> f64 {
        let mean = || values.iter().sum::<f64>() / values.len() as f64;
        match self {
            Statistic::Mean => mean(),
            Statistic::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
            Statistic::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Statistic::Std if values.len() < 2 => f64::NAN,
            Statistic::Std => {
                let mean = mean();
                (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
            }
        }
    }
}

/// What is made of a column: the value so many rows before, or a statistic over so many rows before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Look {
    Lag(usize),
    Rolling(Statistic, usize),
}

/// Which columns are made of earlier rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lags {
    /// The columns that are looked at, with their kinds: time, group where there is one, and the numbers.
    schema: Schema,
    has_group: bool,
    looks: Vec<Look>,
    min_periods: Option<usize>,
    /// The last rows of each series.
    #[serde(default, skip_serializing_if = "History::is_empty")]
    pub history: History,
}

/// The last rows of each series, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    time: Vec<f64>,
    /// Empty where all rows are one series.
    group: Vec<Option<String>>,
    /// One list a column; none where a value is missing.
    values: Vec<Vec<Option<f64>>>,
}

impl History {
    /// Whether no row is kept.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// How many rows are kept.
    pub fn rows(&self) -> usize {
        self.time.len()
    }

    /// Of how many series.
    pub fn series(&self) -> usize {
        self.group.iter().collect::<std::collections::BTreeSet<_>>().len().max(usize::from(!self.is_empty()))
    }
}

/// The columns that were made.
pub struct Lagged {
    /// In the order of [`Lags::names`].
    pub columns: Vec<(Arc<str>, ArrayRef)>,
    /// Rows without a time: nothing comes before them.
    pub timeless: usize,
    /// Rows that have fewer rows before them than the longest lag or window.
    pub short: usize,
    /// Rows that share time and series with another.
    pub tied: usize,
}

/// Rows as they follow each other.
struct Series {
    time: Vec<Option<f64>>,
    group: Vec<Option<String>>,
    values: Vec<Vec<f64>>,
}

impl Lags {
    /// What settings ask for, none where they ask for nothing. `time` is the column that orders the split, where one does.
    ///
    /// # Errors
    /// A column that is not there or holds no numbers, or no column that orders rows.
    pub fn open(settings: &Settings, schema: &Schema, time: Option<&str>) -> Result<Option<Lags>> {
        let whole = |name: &str| -> Vec<usize> {
            let values = settings
                .list(name)
                .iter()
                .filter_map(|value| if let Value::Integer(rows) = value { usize::try_from(*rows).ok() } else { None });
            let mut values: Vec<usize> = values.collect();
            values.sort_unstable();
            values.dedup();
            values
        };
        let statistics: Vec<Statistic> = settings.texts("statistics").iter().map(|word| Statistic::open(word)).collect();
        let mut looks: Vec<Look> = whole("lags").into_iter().map(Look::Lag).collect();
        looks.extend(whole("windows").into_iter().flat_map(|rows| statistics.iter().map(move |statistic| Look::Rolling(*statistic, rows))));
        if looks.is_empty() {
            return Ok(None);
        }
        let said = Some(settings.text("time")).filter(|name| !name.is_empty());
        let Some(time) = said.or(time) else {
            let error = Error::setting("data.lag.time", "nothing", "the column that orders rows");
            return Err(error.with_hint("write data.lag.time=COLUMN, or split by time: data.split.by=time data.split.key=COLUMN"));
        };
        let time = known(schema, "time", time, |kind| matches!(kind, Kind::Number | Kind::Date), "dates or numbers")?;
        let group = Some(settings.text("group")).filter(|name| !name.is_empty());
        let group = group.map(|name| known(schema, "group", name, |kind| !matches!(kind, Kind::Image { .. }), "names")).transpose()?;
        let named = settings.texts("columns");
        let numbers = |field: &Field| field.kind == Kind::Number;
        let sources: Vec<Field> = match named.is_empty() {
            true => schema.targets().map(|(field, _)| field).filter(|field| numbers(field)).cloned().collect(),
            false => {
                named.iter().map(|name| known(schema, "columns", name, |kind| *kind == Kind::Number, "numbers")).collect::<Result<_>>()?
            }
        };
        if sources.is_empty() {
            return Err(Error::setting("data.lag.columns", "none, and no target is a number", "the names of columns of numbers"));
        }
        if sources.len() * looks.len() > COLUMNS_MAX {
            let found = format!("{} columns out of {}", sources.len() * looks.len(), sources.len());
            return Err(
                Error::setting("data.lag", found, format!("at most {COLUMNS_MAX}")).with_hint("ask for fewer lags, windows or columns")
            );
        }
        let has_group = group.is_some();
        // They are looked at whatever they are for, so that ignored columns and targets have values here.
        let input = |field: Field| Field { role: Role::Input, ..field };
        let fields: Vec<Field> = [Some(time), group].into_iter().flatten().chain(sources).map(input).collect();
        let min_periods = settings.try_integer("min_periods").and_then(|rows| usize::try_from(rows).ok());
        let lags = Lags { schema: Schema { fields }, has_group, looks, min_periods, history: History::default() };
        let taken = lags.names().find(|name| schema.field(name).is_some());
        match taken {
            Some(name) => {
                let error =
                    Error::setting("data.lag", format!("a column {name} in the table"), "a free name, since what is made is called so");
                Err(error.with_hint("rename that column"))
            }
            None => Ok(Some(lags)),
        }
    }

    /// Whether settings ask for any column.
    pub fn are_asked(settings: &Settings) -> bool {
        !settings.list("lags").is_empty() || !settings.list("windows").is_empty()
    }

    /// Whether settings ask for a column of that name.
    pub fn may_make(settings: &Settings, name: &str) -> bool {
        let ends = |head: &str, rows: &Value| name.strip_suffix(&format!("{head}{rows}")).is_some_and(|column| !column.is_empty());
        let statistics = settings.texts("statistics");
        let rolling = |rows: &Value| statistics.iter().any(|statistic| ends(&format!("_rolling_{statistic}_"), rows));
        settings.list("lags").iter().any(|rows| ends("_lag_", rows)) || settings.list("windows").iter().any(rolling)
    }

    /// The numbers that are looked at.
    pub fn sources(&self) -> impl Iterator<Item = &Field> {
        self.schema.fields.iter().skip(1 + usize::from(self.has_group))
    }

    /// The column that orders rows.
    pub fn time(&self) -> &Field {
        &self.schema.fields[0]
    }

    /// The columns that say which rows come before a row: time, and group where there is one.
    pub fn order(&self) -> &[Field] {
        &self.schema.fields[..1 + usize::from(self.has_group)]
    }

    /// The columns that are looked at: time, group, numbers.
    pub fn fields(&self) -> &[Field] {
        &self.schema.fields
    }

    /// The columns that are made, each with what it is.
    pub fn described(&self) -> impl Iterator<Item = (Arc<str>, String)> {
        let within = if self.has_group { format!(" within {}", self.schema.fields[1].name) } else { String::new() };
        let order = format!("by {}{within}", self.time().name);
        self.sources().flat_map(move |field| {
            let order = order.clone();
            self.looks.iter().map(move |look| match look {
                Look::Lag(rows) => (format!("{}_lag_{rows}", field.name).into(), format!("{} {rows} rows before, {order}", field.name)),
                Look::Rolling(statistic, rows) => (
                    format!("{}_rolling_{}_{rows}", field.name, statistic.word()).into(),
                    format!("{} of {} over {rows} rows before, {order}", statistic.word(), field.name),
                ),
            })
        })
    }

    /// The names of the columns that are made.
    pub fn names(&self) -> impl Iterator<Item = Arc<str>> {
        self.described().map(|(name, _)| name)
    }

    /// How many rows back the longest look goes.
    pub fn reach(&self) -> usize {
        self.looks
            .iter()
            .map(|look| match look {
                Look::Lag(rows) | Look::Rolling(_, rows) => *rows,
            })
            .max()
            .unwrap_or(0)
    }

    /// What rows before each of the given rows held. Columns are as they were read, in any order; a number that is not there is not known.
    ///
    /// # Errors
    /// When there is no time or group, or a cell is not of its kind.
    pub fn apply(&self, columns: &Columns, notation: &Notation, place: &(dyn Fn(usize) -> String + Sync)) -> Result<Lagged> {
        let given = self.series(columns, notation, place)?;
        let rows = given.time.len();
        let history = self.history.rows();
        let mut order: BTreeMap<&Option<String>, Vec<usize>> = BTreeMap::new();
        let single = None;
        for row in (0..rows).filter(|row| given.time[*row].is_some()) {
            order.entry(if self.has_group { &given.group[row] } else { &single }).or_default().push(row);
        }
        let time = |row: &usize| given.time[*row].unwrap_or_default();
        order.values_mut().for_each(|own| own.sort_by(|a, b| time(a).total_cmp(&time(b))));
        let tied = order.values().map(|own| own.windows(2).filter(|pair| time(&pair[0]) == time(&pair[1])).count()).sum();
        let mut before: HashMap<&Option<String>, Vec<usize>> = HashMap::new();
        (0..history).for_each(|row| before.entry(if self.has_group { &self.history.group[row] } else { &single }).or_default().push(row));
        // Kept rows stand before the first of the given ones, and no others: who gives the rows again looks at what is given.
        let chains: Vec<(Vec<usize>, Vec<usize>)> = order
            .into_iter()
            .map(|(group, own)| {
                let first = own.first().map_or(f64::NEG_INFINITY, time);
                let kept = before.get(group).into_iter().flatten().copied().filter(|row| self.history.time[*row] < first).collect();
                (kept, own)
            })
            .collect();
        let reach = self.reach();
        let short = chains.iter().map(|(kept, own)| reach.saturating_sub(kept.len()).min(own.len())).sum();
        let looks: Vec<(usize, Look)> =
            (0..self.sources().count()).flat_map(|source| self.looks.iter().map(move |look| (source, *look))).collect();
        let arrays: Vec<ArrayRef> = looks.par_iter().map(|(source, look)| self.column(&given, &chains, *source, *look)).collect();
        let timeless = given.time.iter().filter(|time| time.is_none()).count();
        Ok(Lagged { columns: self.names().zip(arrays).collect(), timeless, short, tied })
    }

    fn column(&self, given: &Series, chains: &[(Vec<usize>, Vec<usize>)], source: usize, look: Look) -> ArrayRef {
        let mut made = vec![f64::NAN; given.time.len()];
        let mut present = Vec::new();
        for (kept, own) in chains {
            let earlier = kept.iter().map(|row| self.history.values[source][*row].unwrap_or(f64::NAN));
            let values: Vec<f64> = earlier.chain(own.iter().map(|row| given.values[source][*row])).collect();
            for (place, row) in own.iter().enumerate() {
                let at = kept.len() + place;
                made[*row] = match look {
                    Look::Lag(rows) => at.checked_sub(rows).map_or(f64::NAN, |at| values[at]),
                    Look::Rolling(statistic, rows) => {
                        present.clear();
                        present.extend(values[at.saturating_sub(rows)..at].iter().copied().filter(|value| !value.is_nan()));
                        let wanted = self.min_periods.unwrap_or(rows).min(rows);
                        if present.len() < wanted.max(1) { f64::NAN } else { statistic.of(&present) }
                    }
                };
            }
        }
        Arc::new(made.into_iter().map(|value| Some(value).filter(|value| !value.is_nan())).collect::<Float64Array>())
    }

    fn series(&self, columns: &Columns, notation: &Notation, place: &(dyn Fn(usize) -> String + Sync)) -> Result<Series> {
        if let Some(field) = self.order().iter().find(|field| columns.get(&field.name).is_none()) {
            let error =
                Error::refused("columns", format!("no column {}", field.name), format!("a column {} ({})", field.name, field.kind.word()));
            let names: Vec<Arc<str>> = self.names().take(3).collect();
            return Err(error.with_hint(format!(
                "the model looks at rows before each row, so it must know their order; or give {} yourself",
                names.join(", ")
            )));
        }
        let fields = self.schema.fields.iter().filter(|field| columns.get(&field.name).is_some()).cloned().collect();
        let typed = conform(columns, &Schema { fields }, notation, place, Wanted::All)?.columns;
        let rows = typed.rows();
        let text = |array: &ArrayRef, row: usize| {
            (array.is_valid(row)).then(|| arrow_cast::display::array_value_to_string(array, row).unwrap_or_default())
        };
        let group = match self.has_group {
            true => {
                let array = typed.array(&self.schema.fields[1].name)?;
                (0..rows).map(|row| text(array, row)).collect()
            }
            false => vec![],
        };
        let numbers = |field: &Field| -> Result<Vec<f64>> {
            let Some(array) = typed.get(&field.name).and_then(Column::array) else { return Ok(vec![f64::NAN; rows]) };
            Ok(floats(array).into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
        };
        Ok(Series { time: floats(typed.array(&self.time().name)?), group, values: self.sources().map(numbers).collect::<Result<_>>()? })
    }

    /// Keeps the last rows of each series, of rows that may continue what is kept already. Gives how many series found no room.
    ///
    /// # Errors
    /// As [`Lags::apply`].
    pub fn remember(&mut self, columns: &Columns, notation: &Notation, place: &(dyn Fn(usize) -> String + Sync)) -> Result<usize> {
        let given = self.series(columns, notation, place)?;
        type Rows = Vec<(f64, Vec<Option<f64>>)>;
        let mut series: BTreeMap<Option<String>, Rows> = BTreeMap::new();
        let old = std::mem::take(&mut self.history);
        for row in 0..old.rows() {
            let group = if self.has_group { old.group[row].clone() } else { None };
            series.entry(group).or_default().push((old.time[row], old.values.iter().map(|column| column[row]).collect()));
        }
        for (row, time) in given.time.iter().enumerate() {
            let Some(time) = time else { continue };
            let group = if self.has_group { given.group[row].clone() } else { None };
            let values = given.values.iter().map(|column| Some(column[row]).filter(|value| !value.is_nan())).collect();
            series.entry(group).or_default().push((*time, values));
        }
        let reach = self.reach();
        let mut kept: Vec<(Option<String>, Rows)> = series.into_iter().collect();
        for (_, rows) in &mut kept {
            rows.sort_by(|a, b| a.0.total_cmp(&b.0));
            rows.drain(..rows.len().saturating_sub(reach));
        }
        let newest = |rows: &Rows| rows.last().map_or(f64::NEG_INFINITY, |row| row.0);
        kept.sort_by(|a, b| newest(&b.1).total_cmp(&newest(&a.1)).then_with(|| a.0.cmp(&b.0)));
        let room = HISTORY_CELLS_MAX / self.schema.fields.len().max(1);
        let mut total = 0;
        let fits = kept.iter().take_while(|(_, rows)| {
            total += rows.len();
            total <= room
        });
        let fits = fits.count();
        let lost = kept.len() - fits;
        kept.truncate(fits);
        self.history.values = vec![Vec::new(); self.sources().count()];
        for (group, rows) in kept {
            for (time, values) in rows {
                self.history.time.push(time);
                if self.has_group {
                    self.history.group.push(group.clone());
                }
                self.history.values.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
            }
        }
        Ok(lost)
    }

    /// Whether what was read from outside is whole.
    pub fn is_sound(&self) -> bool {
        let rows = self.history.rows();
        let columns = self.sources().count();
        let history = self.history.is_empty()
            || self.history.values.len() == columns
                && self.history.values.iter().all(|column| column.len() == rows)
                && (!self.has_group || self.history.group.len() == rows);
        history && columns > 0 && self.looks.iter().all(|look| matches!(look, Look::Lag(1..=1000) | Look::Rolling(_, 1..=1000)))
    }
}

fn floats(array: &ArrayRef) -> Vec<Option<f64>> {
    if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
        return numbers.iter().collect();
    }
    // Microseconds are whole up to the year 2255 there, and only their order counts.
    let times = array.as_primitive_opt::<TimestampMicrosecondType>();
    times.map_or_else(|| vec![None; array.len()], |times| times.iter().map(|time| time.map(|time| time as f64)).collect())
}

fn known(schema: &Schema, key: &str, name: &str, suits: impl Fn(&Kind) -> bool, wanted: &str) -> Result<Field> {
    let setting = format!("data.lag.{key}");
    let Some(field) = schema.field(name) else {
        let error = Error::setting(setting, format!("{name}, which is no column"), "a column of the table");
        return Err(match cupola_task::nearest(name, schema.names()) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error,
        });
    };
    if !suits(&field.kind) {
        return Err(Error::setting(setting, format!("{name}, a column of kind {}", field.kind.word()), format!("a column of {wanted}")));
    }
    Ok(field.clone())
}

#[cfg(test)]
mod tests;
