//! A table or view of a PostgreSQL database, named as a table of any database: the only one, or the one that `data.sheet`, or `?table=` in the URL,
//! names. It is read through a cursor inside one read-only transaction, so that its rows are those of one moment and need no more memory than a
//! piece of them.
//!
//! Rows come in the order of the primary key. Without one they come as the server keeps them, which is said: a database has no order, and what is
//! learned may depend on it.

use super::Access;
use super::login::{Asked, asked, connect, fault};
use crate::formats::cell::{Cell, Cells, full};
use crate::formats::{Chunk, Content, Markers, Rows, check_names, chosen};
use crate::read::{Lines, ReadOptions, Skipped};
use crate::{Error, Result};
use cupola_task::{Column, Columns};
use postgres::types::{FromSql, Kind, Type, accepts};
use postgres::{Client, Row};
use std::error::Error as StdError;
use std::sync::Arc;

/// Rows that are fetched at once.
const FETCH: usize = 8192;
/// From 1970 to 2000, where the server's time begins, in microseconds.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// What is read at one moment, alike in every run: nothing that the reader's or the server's settings could change.
const BEGIN: &str = "begin isolation level repeatable read read only; \
     set local synchronize_seqscans = off; set local max_parallel_workers_per_gather = 0; set local cursor_tuple_fraction = 1; \
     set local timezone = 'UTC'; set local datestyle = 'ISO'; set local intervalstyle = 'postgres'; set local extra_float_digits = 1";

/// Tables and views that a user made, each with its number, its name, its name for statements, and whether it is a view.
const TABLES: &str = "select c.oid, n.nspname::text, c.relname::text, \
     case when pg_catalog.pg_table_is_visible(c.oid) then c.relname else n.nspname || '.' || c.relname end::text, \
     pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) \
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition \
     and n.nspname <> 'information_schema' and n.nspname !~ '^pg_' order by 4, 2";

/// The columns of a table's primary key, in its order.
const KEY: &str = "select pg_catalog.quote_ident(a.attname) from pg_catalog.pg_index i \
     join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey) \
     where i.indrelid = $1 and i.indisprimary order by pg_catalog.array_position(i.indkey::int2[], a.attnum)";

/// As what a column's values come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wire {
    Real,
    Whole,
    /// Digits, as text: a `f64` may not hold them.
    Decimal,
    Moment,
    Text,
}

/// Microseconds from 2000 on; the least and the greatest stand for what is infinite.
struct Micros(i64);

impl FromSql<'_> for Micros {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Micros, Box<dyn StdError + Sync + Send>> {
        Ok(Micros(i64::from_be_bytes(raw.try_into()?)))
    }

    accepts!(TIMESTAMP);
}

struct TableRows {
    place: Arc<str>,
    session: Session,
    names: Vec<Arc<str>>,
    wires: Vec<Wire>,
    markers: Markers,
    given: u64,
    is_ended: bool,
    hasher: blake3::Hasher,
    bytes: u64,
    bytes_max: u64,
    content: Option<Content>,
    skipped: Skipped,
    warnings: Vec<String>,
}

/// A connection. The client waits on a runtime of its own, which a thread of another runtime must not enter: each call has a thread.
struct Session(Option<Client>);

impl Session {
    fn open(asked: &Asked, place: &str) -> Result<Session> {
        let client = std::thread::scope(|scope| scope.spawn(|| connect(asked, place)).join()).expect("a connection does not panic");
        client.map(|client| Session(Some(client)))
    }

    fn call<T: Send>(&mut self, place: &str, call: impl FnOnce(&mut Client) -> Result<T, postgres::Error> + Send) -> Result<T> {
        let client = self.0.as_mut().expect("a session has its client until it ends");
        let called = std::thread::scope(|scope| scope.spawn(|| call(client)).join()).expect("the client does not panic");
        called.map_err(|error| fault(place, &error))
    }
}

impl Drop for Session {
    /// The client says goodbye, and waits for that, too.
    fn drop(&mut self) {
        let client = self.0.take();
        std::thread::scope(|scope| drop(scope.spawn(|| drop(client)).join()));
    }
}

/// A table that was found.
struct Found {
    oid: u32,
    name: String,
    quoted: String,
}

/// Begins to read the table that a URL and the options name.
pub(crate) fn open(url: &str, access: &Access, options: &ReadOptions) -> Result<Box<dyn Rows>> {
    let asked = asked(url, access)?;
    let mut session = Session::open(&asked, url)?;
    session.call(url, |client| client.batch_execute(BEGIN))?;
    let table = find(url, &mut session, asked.table.as_deref().or(options.sheet.as_deref()))?;
    let place: Arc<str> = format!("{} table {}", url.split('?').next().unwrap_or(url), table.name).into();
    let (names, selected, wires) = columns(&place, &mut session, &table)?;
    let key = session.call(&place, |client| client.query(KEY, &[&table.oid]))?;
    let key: Vec<String> = key.iter().map(|row| row.get(0)).collect();
    let order = if key.is_empty() { String::new() } else { format!(" order by {}", key.join(", ")) };
    let cursor = format!("declare cupola no scroll cursor for select {} from {}{order}", selected.join(", "), table.quoted);
    session.call(&place, |client| client.batch_execute(&cursor))?;
    let mut hasher = blake3::Hasher::new();
    for name in &names {
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
    }
    let unordered = format!("{place} has no primary key: its rows come in the order in which the server keeps them, which may change");
    Ok(Box::new(TableRows {
        session,
        names,
        wires,
        markers: Markers::new(&options.missing_values),
        given: 0,
        is_ended: false,
        hasher,
        bytes: 0,
        bytes_max: options.max_bytes,
        content: None,
        skipped: Skipped::default(),
        warnings: if key.is_empty() { vec![unordered] } else { vec![] },
        place,
    }))
}

/// The table that is asked for, or the only one.
fn find(url: &str, session: &mut Session, asked: Option<&str>) -> Result<Found> {
    let rows = session.call(url, |client| client.query(TABLES, &[]))?;
    let mut tables: Vec<Found> = rows.iter().map(|row| Found { oid: row.get(0), name: row.get(3), quoted: row.get(4) }).collect();
    let full: Vec<String> = rows.iter().map(|row| format!("{}.{}", row.get::<_, &str>(1), row.get::<_, &str>(2))).collect();
    let names: Vec<String> = tables.iter().map(|table| table.name.clone()).collect();
    let place = match asked {
        Some(asked) => match full.iter().position(|name| name == asked) {
            Some(place) => place,
            None => {
                let name = chosen(url, "table", asked, &names)?;
                names.iter().position(|known| *known == name).expect("a chosen name is one of them")
            }
        },
        None if names.len() == 1 => 0,
        None => {
            let found = if names.is_empty() { "no table that this user may see".to_owned() } else { format!("{} tables", names.len()) };
            let error = Error::refused(url, found, "one table");
            return Err(match names.first() {
                Some(first) => error.with_hint(format!("name it: data.sheet={first} ({})", names.join(", "))),
                None => error,
            });
        }
    };
    Ok(tables.swap_remove(place))
}

/// Names of the columns, what is selected of each, and as what it comes.
type Selected = (Vec<Arc<str>>, Vec<String>, Vec<Wire>);

fn columns(place: &str, session: &mut Session, table: &Found) -> Result<Selected> {
    let statement = session.call(place, |client| client.prepare(&format!("select * from {}", table.quoted)))?;
    check_names(place, statement.columns().iter().map(|column| column.name()))?;
    if statement.columns().is_empty() {
        return Err(Error::refused(place, "no column", "at least one column"));
    }
    let (mut names, mut selected, mut wires) = (Vec::new(), Vec::new(), Vec::new());
    for column in statement.columns() {
        let (wire, cast) = wire(column.type_()).ok_or_else(|| {
            let error =
                Error::column(column.name(), place, format!("the type {}", column.type_()), "numbers, texts, flags, dates or times");
            error.with_hint("read a view without the column, or with what you need of it")
        })?;
        let quoted = format!("\"{}\"", column.name().replace('"', "\"\""));
        selected.push(cast.replace('$', &quoted));
        names.push(Arc::from(column.name()));
        wires.push(wire);
    }
    Ok((names, selected, wires))
}

/// As what values of a type come, and how a statement asks for them, with `$` for the column. Nothing for what is no single value.
fn wire(data_type: &Type) -> Option<(Wire, &'static str)> {
    match data_type.kind() {
        Kind::Domain(inner) => return wire(inner),
        Kind::Enum(_) => return Some((Wire::Text, "$::text")),
        Kind::Simple => {}
        _ => return None,
    }
    Some(match *data_type {
        Type::FLOAT4 | Type::FLOAT8 => (Wire::Real, "$::float8"),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => (Wire::Whole, "$::int8"),
        Type::NUMERIC => (Wire::Decimal, "$::text"),
        Type::DATE | Type::TIMESTAMP => (Wire::Moment, "$::timestamp"),
        Type::TIMESTAMPTZ => (Wire::Moment, "$ at time zone 'UTC'"),
        Type::BYTEA | Type::POINT | Type::LINE | Type::LSEG | Type::BOX | Type::PATH | Type::POLYGON | Type::CIRCLE => return None,
        Type::TS_VECTOR | Type::TSQUERY | Type::RECORD => return None,
        _ => (Wire::Text, "$::text"),
    })
}

/// Digits as a number, where a `f64` holds them.
fn decimal(text: &str) -> Cell {
    let is_whole = !text.contains(['.', 'e', 'E']);
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(whole), _) => Cell::whole(whole),
        (_, Ok(number)) if !is_whole || !number.is_finite() => Cell::Number(number),
        _ => Cell::Text(text.to_owned()),
    }
}

impl TableRows {
    fn cell(&self, row: &Row, at: usize, number: u64) -> Result<Cell> {
        let place = || format!("{} row {number}", self.place);
        let wrong = |error: &postgres::Error| Error::column(&self.names[at], place(), error, "a value of the column's type");
        Ok(match self.wires[at] {
            Wire::Real => row.try_get::<_, Option<f64>>(at).map_err(|error| wrong(&error))?.map(Cell::Number),
            Wire::Whole => row.try_get::<_, Option<i64>>(at).map_err(|error| wrong(&error))?.map(Cell::whole),
            Wire::Decimal => row.try_get::<_, Option<&str>>(at).map_err(|error| wrong(&error))?.map(decimal),
            Wire::Text => row.try_get::<_, Option<String>>(at).map_err(|error| wrong(&error))?.map(Cell::Text),
            Wire::Moment => match row.try_get::<_, Option<Micros>>(at).map_err(|error| wrong(&error))? {
                None => None,
                Some(Micros(micros)) => {
                    Some(Cell::Moment(micros.checked_add(EPOCH_MICROS).filter(|_| micros != i64::MIN).ok_or_else(|| {
                        let error = Error::column(&self.names[at], place(), "infinity", "a date");
                        error.with_hint("read a view that says null there: nullif(COLUMN, 'infinity')")
                    })?))
                }
            },
        }
        .unwrap_or(Cell::Missing))
    }

    /// Counts a cell's bytes, and takes it into the hash.
    fn count(&mut self, cell: &Cell) -> Result<()> {
        let mut take = |tag: u8, bytes: &[u8]| {
            self.hasher.update(&[tag]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
            self.bytes += bytes.len() as u64;
        };
        match cell {
            Cell::Missing => take(0, &[]),
            Cell::Number(number) => take(1, &number.to_le_bytes()),
            Cell::Moment(micros) => take(2, &micros.to_le_bytes()),
            Cell::Text(text) => take(3, text.as_bytes()),
        }
        if self.bytes <= self.bytes_max {
            return Ok(());
        }
        let error = Error::refused(&self.place, format!("more than {} bytes", self.bytes_max), "content within data.max_bytes");
        Err(error.with_hint("raise data.max_bytes, or read a view of a part of the table"))
    }

    /// At most so many more rows.
    fn fetch(&mut self, rows: usize) -> Result<Vec<Row>> {
        let statement = format!("fetch forward {rows} from cupola");
        let rows_there = self.session.call(&self.place, |client| client.query(&statement, &[]))?;
        if rows_there.len() < rows {
            self.is_ended = true;
        }
        Ok(rows_there)
    }
}

impl Rows for TableRows {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        let (first, mut count) = (self.given, 0);
        let mut columns: Vec<Cells> = self.names.iter().map(|_| Cells::new()).collect();
        while count < rows && !self.is_ended {
            for row in self.fetch((rows - count).min(FETCH))? {
                count += 1;
                for (at, column) in columns.iter_mut().enumerate() {
                    let cell = self.cell(&row, at, first + count as u64)?;
                    self.count(&cell)?;
                    if !column.push(cell.unless_marked(&self.markers)) {
                        return Err(full(&self.names[at], format!("{} row {}", self.place, first + count as u64)));
                    }
                }
            }
        }
        self.given += count as u64;
        if self.is_ended {
            self.content = Some(Content { hash: self.hasher.finalize().to_hex().to_string(), bytes: self.bytes });
        }
        match (count, first) {
            (0, 0) => Err(Error::refused(&self.place, "a table without a row", "at least one row")),
            (0, _) => Ok(None),
            _ => {
                let arrays = columns.iter_mut().map(|column| Column::Array(column.finish(count)));
                let columns = Columns::new(self.names.iter().cloned().zip(arrays).collect());
                Ok(Some(Chunk::new(columns, self.place.clone(), Lines::rows_from(first))))
            }
        }
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }
}
