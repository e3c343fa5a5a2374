//! Rows in a JSON body become typed columns on the way in, without a tree of values between: what a body can make us
//! hold is a small multiple of its size, and a wrong cell is told with its column and row.

use crate::extent::check_values;
use crate::pictures;
use crate::problem::{NO_COLUMN, Problem};
use arrow_array::builder::{BinaryBuilder, Float64Builder, StringBuilder};
use arrow_array::{Array, ArrayRef, StringArray};
use cupola_data::Notation;
use cupola_task::{Column, Columns, Kind, Schema, nearest};
use cupola_train::Made;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Values beside the cells: names, types, shapes.
const DESCRIPTION_MAX: usize = 10_000;

/// What a model may be asked with.
pub(crate) struct Inputs {
    pub(crate) columns: Vec<Input>,
    place: HashMap<Arc<str>, usize>,
    /// Targets, keys and ignored columns: they may stand in a row and are not looked at.
    others: HashSet<Arc<str>>,
    /// Columns that are made of rows before a row where they do not come with it, and what says which those are.
    made: Vec<Arc<str>>,
    order: Vec<Arc<str>>,
    /// Texts that stand for a missing value, as when training data is read.
    missing: HashSet<String>,
}

/// One input column.
pub(crate) struct Input {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    known: HashSet<Arc<str>>,
    /// Whether a row may come without it: what is made of rows before it, and what only that is made of.
    pub(crate) is_optional: bool,
}

/// A category that training did not see.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Unseen {
    pub(crate) column: Arc<str>,
    /// Counted from 1.
    pub(crate) row: usize,
    pub(crate) value: String,
}

impl Inputs {
    /// # Errors
    /// When an input is none that can be sent as a cell.
    pub(crate) fn new(raw: &Schema, notation: &Notation, made: &Made) -> Result<Inputs, String> {
        let fits = |kind: &Kind| matches!(kind, Kind::Number | Kind::Category { .. } | Kind::Text | Kind::Date | Kind::Image { .. });
        if let Some(field) = raw.inputs().find(|field| !fits(&field.kind)) {
            return Err(format!(
                "found the input {} of kind {}, wanted numbers, categories, dates, texts and images",
                field.name,
                field.kind.word()
            ));
        }
        let columns: Vec<Input> = raw
            .inputs()
            .map(|field| Input {
                name: field.name.clone(),
                kind: field.kind.clone(),
                known: field.kind.classes().into_iter().flat_map(|classes| classes.iter().cloned()).collect(),
                is_optional: made.makes(&field.name),
            })
            .collect();
        // What rows before a row are known by; a target's value may come with the rows that go before the one to answer.
        let looked_at = made.lags.iter().flat_map(|lags| lags.fields());
        let more: Vec<Input> = looked_at
            .filter(|field| !columns.iter().any(|input| input.name == field.name))
            .map(|field| Input { name: field.name.clone(), kind: field.kind.clone(), known: HashSet::new(), is_optional: true })
            .collect();
        let columns: Vec<Input> = columns.into_iter().chain(more).collect();
        Ok(Inputs {
            made: made.lags.iter().flat_map(|lags| lags.names()).collect(),
            order: made.lags.iter().flat_map(|lags| lags.order()).map(|field| field.name.clone()).collect(),
            place: columns.iter().enumerate().map(|(place, input)| (input.name.clone(), place)).collect(),
            others: raw
                .fields
                .iter()
                .map(|field| field.name.clone())
                .filter(|name| !columns.iter().any(|input| input.name == *name))
                .chain(made.labels.iter().map(|labels| labels.column.clone()))
                .collect(),
            missing: notation.missing_values.iter().map(|word| word.trim().to_owned()).collect(),
            columns,
        })
    }

    /// The rows of a JSON body: `{"rows": [{...}]}`, `[{...}]` or one `{...}`.
    pub(crate) fn read_json(&self, body: &[u8], max_rows: usize) -> Result<Columns, Problem> {
        check_values(body, self.values_max(max_rows))?;
        let mut table = Table::new(self, max_rows);
        let mut parser = serde_json::Deserializer::from_slice(body);
        let parsed = BodySeed(&mut table).deserialize(&mut parser).and_then(|()| parser.end());
        match (table.problem.take(), parsed) {
            (Some(problem), _) => Err(problem),
            (None, Err(error)) if error.is_data() => Err(Problem::bad(format!("JSON of another shape: {error}")).with_hint(SHAPE)),
            (None, Err(error)) => Err(Problem::bad(format!("malformed JSON: {error}")).with_hint(SHAPE)),
            (None, Ok(())) if table.rows == 0 => Err(Problem::bad("found no row, wanted at least one").with_hint(SHAPE)),
            (None, Ok(())) => Ok(table.finish()),
        }
    }

    /// Holds the names of as-read columns against the schema.
    pub(crate) fn check_names(&self, columns: &Columns) -> Result<(), Problem> {
        if let Some(name) = columns.names().find(|name| !self.is_known(name)) {
            return Err(self.unknown(name, None));
        }
        match self.columns.iter().find(|input| !input.is_optional && columns.get(&input.name).is_none()) {
            Some(input) => Err(missing(&input.name, None)),
            None => Ok(()),
        }
    }

    /// Categories that training did not see; columns that are not text have none.
    pub(crate) fn unseen(&self, columns: &Columns) -> Vec<Unseen> {
        let mut found = Vec::new();
        // A column whose classes are hashed knows none by name.
        for input in self.columns.iter().filter(|input| matches!(input.kind, Kind::Category { .. }) && !input.known.is_empty()) {
            let texts = columns.get(&input.name).and_then(Column::array).and_then(|array| array.as_any().downcast_ref::<StringArray>());
            for (row, value) in texts.into_iter().flat_map(|texts| texts.iter().enumerate()) {
                if let Some(value) = value.filter(|value| !input.known.contains(*value)) {
                    found.push(Unseen { column: input.name.clone(), row: row + 1, value: crate::problem::shorten(value) });
                }
            }
        }
        found
    }

    pub(crate) fn input(&self, name: &str) -> Option<&Input> {
        self.place.get(name).map(|&place| &self.columns[place])
    }

    /// Whether the name is an input's, or one that may be sent and is not looked at.
    pub(crate) fn is_known(&self, name: &str) -> bool {
        self.place.contains_key(name) || self.others.contains(name)
    }

    /// How many values a request of so many rows can hold beside what describes it; pictures may come as pixels, each a value.
    pub(crate) fn values_max(&self, max_rows: usize) -> usize {
        let columns = self.columns.len() + self.others.len();
        if self.has_images() { usize::MAX } else { columns.saturating_mul(max_rows).saturating_mul(2).saturating_add(DESCRIPTION_MAX) }
    }

    /// The columns without those that may stay away and of which no row has a value.
    ///
    /// # Errors
    /// When something is to be made of rows before a row, and nothing says which those are.
    pub(crate) fn sent(&self, columns: &Columns) -> Result<Columns, Problem> {
        let is_empty = |name: &str| columns.get(name).and_then(Column::array).is_some_and(|array| array.null_count() == array.len());
        let sent = columns.select(|name| !(self.input(name).is_some_and(|input| input.is_optional) && is_empty(name)));
        let lacks = |names: &[Arc<str>]| names.iter().find(|name| sent.get(name).is_none()).cloned();
        match (lacks(&self.made), lacks(&self.order)) {
            (Some(made), Some(name)) => {
                let hint = format!("the model looks at rows before each row, so it must know their order; or send {made} and the like");
                Err(missing(&name, None).with_hint(hint))
            }
            _ => Ok(sent),
        }
    }

    /// Whether an input holds images.
    pub(crate) fn has_images(&self) -> bool {
        self.columns.iter().any(|input| matches!(input.kind, Kind::Image { .. }))
    }

    pub(crate) fn missing_values(&self) -> Vec<String> {
        self.missing.iter().cloned().collect()
    }

    pub(crate) fn is_missing(&self, text: &str) -> bool {
        text.is_empty() || self.missing.contains(text.trim())
    }

    pub(crate) fn unknown(&self, name: &str, row: Option<usize>) -> Problem {
        let problem = Problem::misfit(name, row, "a column that the model does not know", "its inputs");
        let names = || self.columns.iter().map(|input| &*input.name);
        match nearest(name, names()) {
            Some(near) => problem.with_hint(format!("did you mean {near}?")),
            None => problem.with_hint(format!("its inputs are: {}", names().collect::<Vec<_>>().join(", "))),
        }
    }
}

pub(crate) fn missing(name: &str, row: Option<usize>) -> Problem {
    Problem::misfit(name, row, NO_COLUMN, "a value").with_hint("send null where the value is not known")
}

impl Input {
    pub(crate) fn wanted(&self) -> &'static str {
        match self.kind {
            Kind::Number => "a number or null",
            Kind::Date => "a date as text, or null",
            Kind::Image { .. } => pictures::WANTED,
            _ => "a text or null",
        }
    }
}

const SHAPE: &str = r#"send {"rows": [{"column": value, ...}, ...]}; /docs shows an example"#;

enum Cells {
    Numbers(Float64Builder),
    Texts(StringBuilder),
    Pictures(BinaryBuilder),
}

/// Columns begin with room for so many rows, and so many bytes a text. Most requests have one row, and what is allocated is kept as long as the row
/// is: Arrow's own beginning, room for 1,024, made a row of Adult 90 KB.
const ROWS: usize = 1;
const TEXT: usize = 16;

/// The rows read so far.
struct Table<'a> {
    inputs: &'a Inputs,
    cells: Vec<Cells>,
    /// Which cells the present row has.
    filled: Vec<bool>,
    rows: usize,
    max_rows: usize,
    /// What stopped the parser, when it was not the syntax.
    problem: Option<Problem>,
}

impl<'a> Table<'a> {
    fn new(inputs: &'a Inputs, max_rows: usize) -> Table<'a> {
        let cells = inputs.columns.iter().map(|input| match input.kind {
            Kind::Number => Cells::Numbers(Float64Builder::with_capacity(ROWS)),
            Kind::Image { .. } => Cells::Pictures(BinaryBuilder::with_capacity(ROWS, 0)),
            _ => Cells::Texts(StringBuilder::with_capacity(ROWS, ROWS * TEXT)),
        });
        Table { cells: cells.collect(), filled: vec![false; inputs.columns.len()], inputs, rows: 0, max_rows, problem: None }
    }

    /// Keeps the problem and stops the parser.
    fn stop<E: de::Error>(&mut self, problem: Problem) -> E {
        self.problem = Some(problem);
        E::custom("stopped")
    }

    fn end_row<E: de::Error>(&mut self) -> Result<(), E> {
        let row = self.rows + 1;
        for place in (0..self.filled.len()).filter(|place| !self.filled[*place]) {
            if !self.inputs.columns[place].is_optional {
                return Err(self.stop(missing(&self.inputs.columns[place].name, Some(row))));
            }
            self.cells[place].skip();
        }
        if row > self.max_rows {
            return Err(
                self.stop(Problem::too_large(format!("found more than {} rows", self.max_rows)).with_hint("send fewer rows at once"))
            );
        }
        self.filled.fill(false);
        self.rows = row;
        Ok(())
    }

    fn finish(self) -> Columns {
        let arrays = self.cells.into_iter().map(|cells| match cells {
            Cells::Numbers(mut builder) => Arc::new(builder.finish()) as ArrayRef,
            Cells::Texts(mut builder) => Arc::new(builder.finish()) as ArrayRef,
            Cells::Pictures(mut builder) => Arc::new(builder.finish()) as ArrayRef,
        });
        Columns::new(self.inputs.columns.iter().zip(arrays).map(|(input, array)| (input.name.clone(), Column::Array(array))).collect())
    }
}

/// The whole body.
struct BodySeed<'t, 'a>(&'t mut Table<'a>);

impl<'de> DeserializeSeed<'de> for BodySeed<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BodySeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, rows: A) -> Result<(), A::Error> {
        RowsVisitor(self.0).visit_seq(rows)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let table = self.0;
        let mut has_rows = false;
        let mut has_cells = false;
        while let Some(key) = map.next_key_seed(KeySeed(table))? {
            let is_rows = key.is_rows && !has_cells && map.next_value_seed(RowsOrCell { table: &mut *table, key: &key })?;
            if !key.is_rows || has_cells {
                map.next_value_seed(CellSeed { table: &mut *table, key: &key })?;
            }
            has_rows |= is_rows;
            has_cells |= !is_rows;
        }
        match (has_rows, has_cells) {
            (true, true) => Err(table.stop(Problem::bad("found other keys beside rows").with_hint(SHAPE))),
            (true, false) => Ok(()),
            (false, _) => table.end_row(),
        }
    }
}

/// A list of rows.
struct RowsVisitor<'t, 'a>(&'t mut Table<'a>);

impl<'de> Visitor<'de> for RowsVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while rows.next_element_seed(RowSeed(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

struct RowSeed<'t, 'a>(&'t mut Table<'a>);

impl<'de> DeserializeSeed<'de> for RowSeed<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row as an object of columns and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(KeySeed(self.0))? {
            map.next_value_seed(CellSeed { table: &mut *self.0, key: &key })?;
        }
        self.0.end_row()
    }
}

/// What a key stands for.
struct Name {
    at: Place,
    is_rows: bool,
}

enum Place {
    Input(usize),
    Ignored,
    Unknown(String),
}

struct KeySeed<'t, 'a>(&'t Table<'a>);

impl<'de> DeserializeSeed<'de> for KeySeed<'_, '_> {
    type Value = Name;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Name, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_, '_> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column's name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Name, E> {
        let inputs = self.0.inputs;
        let at = match inputs.place.get(name) {
            Some(&place) => Place::Input(place),
            None if inputs.others.contains(name) => Place::Ignored,
            None => Place::Unknown(name.to_owned()),
        };
        Ok(Name { at, is_rows: name == "rows" })
    }
}

/// Under the key `rows`: a list of rows (true), or the cell of a column of that name (false).
struct RowsOrCell<'t, 'a, 'k> {
    table: &'t mut Table<'a>,
    key: &'k Name,
}

impl<'de> DeserializeSeed<'de> for RowsOrCell<'_, '_, '_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl RowsOrCell<'_, '_, '_> {
    fn cell<E: de::Error>(self, visit: impl FnOnce(CellSeed<'_, '_, '_>) -> Result<(), E>) -> Result<bool, E> {
        visit(CellSeed { table: self.table, key: self.key }).map(|()| false)
    }
}

impl<'de> Visitor<'de> for RowsOrCell<'_, '_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, rows: A) -> Result<bool, A::Error> {
        RowsVisitor(self.table).visit_seq(rows).map(|()| true)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<bool, A::Error> {
        self.cell(|cell| cell.visit_map(map))
    }

    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        self.cell(|cell| cell.visit_unit())
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<bool, E> {
        self.cell(|cell| cell.visit_bool(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<bool, E> {
        self.cell(|cell| cell.visit_i64(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<bool, E> {
        self.cell(|cell| cell.visit_u64(number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<bool, E> {
        self.cell(|cell| cell.visit_f64(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<bool, E> {
        self.cell(|cell| cell.visit_str(text))
    }
}

/// One value, which goes into its column.
struct CellSeed<'t, 'a, 'k> {
    table: &'t mut Table<'a>,
    key: &'k Name,
}

/// A value as JSON writes it.
#[derive(Clone, Copy)]
enum Value<'a> {
    Null,
    Flag(bool),
    Number(f64),
    Whole(i128),
    Text(&'a str),
    Nested(&'static str),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Whole(number) => write!(f, "{number}"),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Nested(what) => f.write_str(what),
        }
    }
}

impl CellSeed<'_, '_, '_> {
    fn put<E: de::Error>(self, value: Value<'_>) -> Result<(), E> {
        let CellSeed { table, key } = self;
        let row = table.rows + 1;
        let place = match &key.at {
            Place::Input(place) => *place,
            Place::Ignored => return Ok(()),
            Place::Unknown(name) => return Err(table.stop(table.inputs.unknown(name, Some(row)))),
        };
        let input = &table.inputs.columns[place];
        if table.filled[place] {
            return Err(table.stop(Problem::misfit(&input.name, Some(row), "the column twice", "each column once")));
        }
        table.filled[place] = true;
        if let (Cells::Pictures(cells), Value::Text(text)) = (&mut table.cells[place], value) {
            return match pictures::decode(text) {
                Ok(bytes) => {
                    cells.append_value(bytes);
                    Ok(())
                }
                Err(found) => Err(table.stop(Problem::misfit(&input.name, Some(row), found, input.wanted()).with_hint(pictures::HINT))),
            };
        }
        if let Err(value) = table.cells[place].push(value, input, table.inputs) {
            let problem = Problem::misfit(&input.name, Some(row), value, input.wanted());
            let is_quoted = input.kind == Kind::Number && matches!(value, Value::Text(text) if text.trim().parse::<f64>().is_ok());
            return Err(table.stop(if is_quoted { problem.with_hint("write numbers without quotes") } else { problem }));
        }
        Ok(())
    }
}

impl Cells {
    /// A cell that did not come.
    fn skip(&mut self) {
        match self {
            Cells::Numbers(cells) => cells.append_null(),
            Cells::Texts(cells) => cells.append_null(),
            Cells::Pictures(cells) => cells.append_null(),
        }
    }

    /// Takes a value that fits its column, and hands back one that does not.
    fn push<'v>(&mut self, value: Value<'v>, input: &Input, inputs: &Inputs) -> Result<(), Value<'v>> {
        let is_missing = matches!(value, Value::Null) || matches!(value, Value::Text(text) if inputs.is_missing(text));
        match (self, value) {
            (Cells::Numbers(cells), _) if is_missing => cells.append_null(),
            (Cells::Texts(cells), _) if is_missing => cells.append_null(),
            (Cells::Numbers(cells), Value::Number(number)) => cells.append_value(number),
            (Cells::Numbers(cells), Value::Whole(number)) => cells.append_value(number as f64),
            (Cells::Texts(cells), Value::Text(text)) => cells.append_value(text),
            (Cells::Texts(cells), Value::Flag(_) | Value::Whole(_) | Value::Number(_)) if input.kind != Kind::Date => {
                cells.append_value(value.to_string());
            }
            _ => return Err(value),
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for CellSeed<'_, '_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.put(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<(), E> {
        self.put(Value::Flag(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.put(Value::Whole(number.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        self.put(Value::Whole(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        self.put(Value::Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.put(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.put(Value::Nested("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.put(Value::Nested("an object"))
    }
}
