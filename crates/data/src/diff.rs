//! What differs between two versions of a table: `cupola data diff`.
//!
//! With a key rows are the same that have the same key, and cells are compared; without one rows are compared by what stands in them, whatever their
//! order, and a changed row is one that went and one that came. Cells are equal as they are where categories are: `3` and `3.0`, a day in a text and the
//! same day as a date.

use crate::as_read::AsRead;
use crate::cells::Fingerprint;
use crate::conform::{category_text, number_text};
use crate::{Error, Raw, Result, date};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef};
use cupola_task::{Column, Columns, Range, Setting, Settings, nearest};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// What may be said about `data diff`.
pub const DIFF: &[Setting] = &[
    Setting {
        name: "key",
        alias: &["on"],
        default: "[]",
        range: Range::List(&Range::Text),
        doc: "columns that name a row; without them rows are compared by all that stands in them",
    },
    Setting {
        name: "tolerance",
        alias: &["atol"],
        default: "0.0",
        range: Range::Real { min: 0.0, max: f64::MAX },
        doc: "by how much numbers of rows with the same key may differ and be equal",
    },
    Setting {
        name: "listed",
        alias: &[],
        default: "20",
        range: Range::Integer { min: 0, max: 100_000 },
        doc: "rows and cells that are listed at most of each sort; all are counted",
    },
];

/// What differs.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Diff {
    /// The tables' names.
    pub names: [String; 2],
    /// Their rows.
    pub rows: [u64; 2],
    /// Columns of the second alone.
    pub columns_added: Vec<Arc<str>>,
    /// Columns of the first alone.
    pub columns_removed: Vec<Arc<str>>,
    /// Whether the columns that both have stand in another order.
    pub is_reordered: bool,
    /// The key, when there is one.
    pub key: Vec<String>,
    /// Rows of the second alone.
    pub rows_added: u64,
    /// Rows of the first alone.
    pub rows_removed: u64,
    /// Rows with the same key and other cells.
    pub rows_changed: u64,
    /// Rows that are the same.
    pub rows_same: u64,
    /// Columns that both have.
    pub columns: Vec<ColumnDiff>,
    /// Where rows stand that came.
    pub added: Vec<String>,
    /// Where rows stood that went.
    pub removed: Vec<String>,
    /// Cells that changed.
    pub changes: Vec<Change>,
}

/// A column of both tables.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ColumnDiff {
    /// Its name.
    pub name: Arc<str>,
    /// Cells of rows with the same key that changed; none without a key.
    pub changed: Option<u64>,
    /// Cells that are missing in each.
    pub missing: [u64; 2],
}

/// A cell that changed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    /// The row's key.
    pub key: Vec<String>,
    /// Where the row stands in each table.
    pub places: [String; 2],
    /// The column.
    pub column: Arc<str>,
    /// What stood there; none where nothing did.
    pub before: Option<String>,
    /// What stands there now.
    pub after: Option<String>,
}

impl Diff {
    /// Whether the tables hold the same.
    pub fn is_equal(&self) -> bool {
        let rows = self.rows_added + self.rows_removed + self.rows_changed;
        rows == 0 && self.columns_added.is_empty() && self.columns_removed.is_empty()
    }
}

/// A column of both tables.
struct Both<'a> {
    name: &'a Arc<str>,
    arrays: [&'a ArrayRef; 2],
    /// Whether one of them holds dates, so that texts of the other are read as such.
    are_dates: bool,
}

impl Both<'_> {
    fn cell(&self, table: usize, row: usize) -> AsRead<'_> {
        let array = self.arrays[table];
        let date = array.as_string_opt::<i32>().filter(|texts| self.are_dates && texts.is_valid(row)).map(|texts| texts.value(row).trim());
        match (date, AsRead::of(array, row)) {
            (Some(date), _) => date::parse_known(date, None).map_or(AsRead::Text(date), AsRead::Moment),
            (None, AsRead::Text(text)) => AsRead::Text(category_text(text)),
            (None, cell) => cell,
        }
    }
}

fn stir(print: &mut Fingerprint, cell: AsRead<'_>) {
    match cell {
        AsRead::Missing => print.stir(0),
        AsRead::Number(number) => {
            print.stir(1);
            print.stir(number.to_bits());
        }
        AsRead::Moment(moment) => {
            print.stir(2);
            print.stir(moment as u64);
        }
        AsRead::Text(text) => {
            print.stir(3 + text.len() as u64);
            print.stir_bytes(text.as_bytes());
        }
    }
}

fn told(cell: AsRead<'_>) -> Option<String> {
    match cell {
        AsRead::Missing => None,
        AsRead::Number(number) => Some(number_text(number)),
        AsRead::Moment(moment) => Some(date::iso(moment)),
        AsRead::Text(text) => Some(text.to_owned()),
    }
}

fn are_equal(one: AsRead<'_>, other: AsRead<'_>, tolerance: f64) -> bool {
    match (one, other) {
        (AsRead::Number(one), AsRead::Number(other)) => one == other || (one - other).abs() <= tolerance,
        (one, other) => one == other,
    }
}

/// Compares two tables.
///
/// # Errors
/// When a column of the key is not in both, is missing in a row, or a key stands twice in a table; when columns hold pictures.
pub fn diff(first: &Raw, second: &Raw, settings: &Settings) -> Result<Diff> {
    let key = settings.texts("key");
    let (tolerance, listed) = (settings.real("tolerance"), settings.integer("listed") as usize);
    let both = both(&first.columns, &second.columns)?;
    let alone = |one: &Columns, other: &Columns| -> Vec<Arc<str>> {
        one.iter().map(|(name, _)| name.clone()).filter(|name| other.get(name).is_none()).collect()
    };
    let order = |columns: &Columns| both.iter().map(|column| columns.names().position(|name| *name == **column.name)).collect::<Vec<_>>();
    let places = order(&second.columns);
    let missing = |column: &Both<'_>| [0, 1].map(|table| column.arrays[table].null_count() as u64);
    let mut diff = Diff {
        names: [first.name.clone(), second.name.clone()],
        rows: [first.columns.rows() as u64, second.columns.rows() as u64],
        columns_added: alone(&second.columns, &first.columns),
        columns_removed: alone(&first.columns, &second.columns),
        is_reordered: !places.is_sorted(),
        key: key.clone(),
        rows_added: 0,
        rows_removed: 0,
        rows_changed: 0,
        rows_same: 0,
        columns: both.iter().map(|column| ColumnDiff { name: column.name.clone(), changed: None, missing: missing(column) }).collect(),
        added: vec![],
        removed: vec![],
        changes: vec![],
    };
    match key.is_empty() {
        true => by_content(&mut diff, &both, [first, second], listed),
        false => by_key(&mut diff, &both, [first, second], &key, tolerance, listed)?,
    }
    Ok(diff)
}

fn both<'a>(first: &'a Columns, second: &'a Columns) -> Result<Vec<Both<'a>>> {
    let mut both = Vec::new();
    for (name, column) in first.iter() {
        let Some(other) = second.get(name) else { continue };
        let (Column::Array(one), Column::Array(other)) = (column, other) else {
            let error = Error::column(name, "table", "pictures", "numbers, texts or dates");
            return Err(error.with_hint("folders of pictures are compared by `cupola data lock --check`"));
        };
        let is_date = |array: &ArrayRef| array.as_primitive_opt::<TimestampMicrosecondType>().is_some();
        both.push(Both { name, arrays: [one, other], are_dates: is_date(one) || is_date(other) });
    }
    Ok(both)
}

/// A fingerprint of those columns of each row.
fn prints(both: &[&Both<'_>], table: usize, rows: usize) -> Vec<u128> {
    let print = |row: usize| {
        let mut print = Fingerprint::EMPTY;
        both.iter().for_each(|column| stir(&mut print, column.cell(table, row)));
        print.value()
    };
    (0..rows).into_par_iter().map(print).collect()
}

fn by_content(diff: &mut Diff, both: &[Both<'_>], tables: [&Raw; 2], listed: usize) {
    let columns: Vec<&Both<'_>> = both.iter().collect();
    let own = [0, 1].map(|table| prints(&columns, table, tables[table].columns.rows()));
    let mut left: HashMap<u128, i64> = HashMap::new();
    own[0].iter().for_each(|print| *left.entry(*print).or_insert(0) += 1);
    for (row, print) in own[1].iter().enumerate() {
        match left.get_mut(print).filter(|count| **count > 0) {
            Some(count) => {
                *count -= 1;
                diff.rows_same += 1;
            }
            None => {
                diff.rows_added += 1;
                if diff.added.len() < listed {
                    diff.added.push(tables[1].place(row));
                }
            }
        }
    }
    // Of equal rows the last ones are those that went.
    let mut gone = Vec::new();
    for (row, print) in own[0].iter().enumerate().rev() {
        if let Some(count) = left.get_mut(print).filter(|count| **count > 0) {
            *count -= 1;
            gone.push(row);
        }
    }
    diff.rows_removed = gone.len() as u64;
    diff.removed = gone.iter().rev().take(listed).map(|row| tables[0].place(*row)).collect();
}

fn by_key(diff: &mut Diff, both: &[Both<'_>], tables: [&Raw; 2], key: &[String], tolerance: f64, listed: usize) -> Result<()> {
    let columns: Vec<&Both<'_>> = key.iter().map(|name| key_column(both, name, tables)).collect::<Result<_>>()?;
    let keys = [0, 1].map(|table| prints(&columns, table, tables[table].columns.rows()));
    let mut known = [HashMap::new(), HashMap::new()];
    for table in 0..2 {
        for (row, print) in keys[table].iter().enumerate() {
            if let Some(missing) = columns.iter().find(|column| column.cell(table, row) == AsRead::Missing) {
                return Err(Error::column(missing.name, tables[table].place(row), "nothing", "a value of the key in every row"));
            }
            match known[table].entry(*print) {
                Entry::Vacant(entry) => drop(entry.insert(row)),
                Entry::Occupied(entry) => {
                    let error = Error::column(
                        key.join(", "),
                        tables[table].place(row),
                        format!("the key of {}", tables[table].place(*entry.get())),
                        "a key of its own",
                    );
                    return Err(error.with_hint(
                        "name more columns that tell rows apart: key=[a, b]; or none, to compare rows by all that stands in them",
                    ));
                }
            }
        }
    }
    let values: Vec<(usize, &Both<'_>)> =
        both.iter().enumerate().filter(|(_, column)| !key.iter().any(|name| **name == **column.name)).collect();
    let mut changed = vec![0u64; both.len()];
    for (row, print) in keys[1].iter().enumerate() {
        let Some(&old) = known[0].get(print) else {
            diff.rows_added += 1;
            if diff.added.len() < listed {
                diff.added.push(tables[1].place(row));
            }
            continue;
        };
        let mut is_same = true;
        for &(at, column) in &values {
            let (before, after) = (column.cell(0, old), column.cell(1, row));
            if are_equal(before, after, tolerance) {
                continue;
            }
            is_same = false;
            changed[at] += 1;
            if diff.changes.len() < listed {
                diff.changes.push(Change {
                    key: columns.iter().filter_map(|column| told(column.cell(1, row))).collect(),
                    places: [tables[0].place(old), tables[1].place(row)],
                    column: column.name.clone(),
                    before: told(before),
                    after: told(after),
                });
            }
        }
        diff.rows_same += u64::from(is_same);
        diff.rows_changed += u64::from(!is_same);
    }
    for (row, _) in keys[0].iter().enumerate().filter(|(_, print)| !known[1].contains_key(*print)) {
        diff.rows_removed += 1;
        if diff.removed.len() < listed {
            diff.removed.push(tables[0].place(row));
        }
    }
    diff.columns.iter_mut().zip(changed).for_each(|(column, count)| column.changed = Some(count));
    Ok(())
}

fn key_column<'a, 'b>(both: &'a [Both<'b>], name: &str, tables: [&Raw; 2]) -> Result<&'a Both<'b>> {
    both.iter().find(|column| **column.name == *name).ok_or_else(|| {
        let error = Error::setting("key", format!("{name}, which is not in both tables"), "a column of both");
        let near = nearest(name, both.iter().map(|column| &**column.name)).map(|near| format!("did you mean {near}?"));
        error.with_hint(near.unwrap_or_else(|| format!("{} and {} have in common: {}", tables[0].name, tables[1].name, names(both))))
    })
}

fn names(both: &[Both<'_>]) -> String {
    let names: Vec<&str> = both.iter().take(20).map(|column| &**column.name).collect();
    if names.is_empty() { "no column".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Input, ReadOptions, read};
    use cupola_task::{Fault, Value};

    fn table(name: &str, text: &str) -> Raw {
        read(&Input::Bytes { name: name.into(), bytes: text.to_owned().into() }, &ReadOptions::default()).unwrap()
    }

    fn compare(first: &str, second: &str, given: &[(&str, &str)]) -> Result<Diff> {
        let given: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
        let settings = Settings::check("diff", DIFF, given.iter().map(|(name, value)| (*name, value)))?;
        diff(&table("a.csv", first), &table("b.csv", second), &settings)
    }

    const FIRST: &str = "id,x,city\n1,1.0,Oslo\n2,2.5,Rome\n3,,Oslo\n3x,4,Cairo\n";

    #[test]
    fn tables_are_equal_as_their_cells_are() {
        let same = "city,id,x\nCairo,3x,4.0\nRome,2,2.50\nOslo,3,NA\nOslo,1,1\n";
        for given in [&[][..], &[("key", "id")]] {
            let diff = compare(FIRST, same, given).unwrap();
            assert!(diff.is_equal() && diff.is_reordered && diff.rows_same == 4, "{diff:?}");
        }
    }

    #[test]
    fn rows_and_cells_that_differ_are_named() {
        let second = "id,x,city,new\n2,2.5,Roma,1\n1,1.001,Oslo,1\n4,9,Oslo,1\n3,3,Oslo,1\n";
        let by_key = compare(FIRST, second, &[("key", "id"), ("tolerance", "0.01")]).unwrap();
        expect_test::expect![[r#"{"names":["a.csv","b.csv"],"rows":[4,4],"columns_added":["new"],"columns_removed":[],"is_reordered":false,"key":["id"],"rows_added":1,"rows_removed":1,"rows_changed":2,"rows_same":1,"columns":[{"name":"id","changed":0,"missing":[0,0]},{"name":"x","changed":1,"missing":[1,0]},{"name":"city","changed":1,"missing":[0,0]}],"added":["b.csv:4"],"removed":["a.csv:5"],"changes":[{"key":["2"],"places":["a.csv:3","b.csv:2"],"column":"city","before":"Rome","after":"Roma"},{"key":["3"],"places":["a.csv:4","b.csv:5"],"column":"x","before":null,"after":"3"}]}"#]].assert_eq(&serde_json::to_string(&by_key).unwrap());
        let by_content = compare(FIRST, second, &[]).unwrap();
        assert_eq!((by_content.rows_added, by_content.rows_removed, by_content.rows_same), (4, 4, 0));
        let twice = compare("x\n1\n1\n1\n2\n", "x\n1\n2\n2\n", &[]).unwrap();
        assert_eq!(
            (twice.rows_added, twice.rows_removed, twice.rows_same, twice.removed),
            (1, 2, 2, vec!["a.csv:3".to_owned(), "a.csv:4".to_owned()])
        );
    }

    #[test]
    fn keys_that_do_not_name_rows_are_refused() {
        let mut found = String::new();
        for (second, key) in [("id,x,city\n1,1,a\n1,2,b\n", "id"), ("id,x,city\n,1,a\n", "id"), (FIRST, "ids")] {
            let error = compare(FIRST, second, &[("key", key)]).unwrap_err();
            found += &format!("{error}; {}\n", error.hint().unwrap_or_default());
        }
        expect_test::expect![[r#"
            b.csv:3: column id: found the key of b.csv:2, wanted a key of its own; name more columns that tell rows apart: key=[a, b]; or none, to compare rows by all that stands in them
            b.csv:2: column id: found nothing, wanted a value of the key in every row; 
            setting key: found ids, which is not in both tables, wanted a column of both; did you mean id?
        "#]]
        .assert_eq(&found);
    }
}
