//! A table of an SQLite database (<https://www.sqlite.org/fileformat2.html>), read by SQLite itself from a copy in memory, so that nothing is
//! written beside the file. Which table: the only one, or the one that `data.sheet` names. Views are queries of whoever made the file, and may never
//! end: they are not run.
//!
//! A column of numbers is `Float64`; in one that also holds texts, numbers are their digits. Blobs are refused.

use super::cell::{Cell, Cells, full};
use super::{FormatDef, Listed, Markers, Open, Rows, check_names, guarded, no_rows};
use crate::read::{Lines, Places, ReadOptions, Skipped};
use crate::source::Store;
use crate::{Error, Result};
use cupola_task::{Column, Columns};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, MAIN_DB};
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "sqlite",
    extensions: &["sqlite", "sqlite3", "db", "db3"],
    doc: "a table of an SQLite database; the only one, or data.sheet",
    sniff: |head| head.starts_with(b"SQLite format 3\0"),
    open: Open::Random(open),
};

/// Where the header says that changes may stand in a file beside, the write-ahead log.
const WAL_MARKS: std::ops::Range<usize> = 18..20;

/// The header says how many pages there are; SQLite itself takes pages that are cut off for empty ones.
fn check_size(name: &str, bytes: &[u8]) -> Result<()> {
    let word = |at: usize| bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    let page = bytes.get(16..18).map_or(0, |bytes| u64::from(bytes[0]) << 8 | u64::from(bytes[1]));
    let (page, pages) = (if page == 1 { 65_536 } else { page }, u64::from(word(28)));
    // Programs older than 2010 leave the count as it was: then both counters differ.
    let is_kept = word(24) == word(92) && pages > 0;
    if bytes.len() < 100 || is_kept && page * pages != bytes.len() as u64 {
        let found = format!("{} bytes for {pages} pages of {page}", bytes.len());
        return Err(Error::refused(name, found, "a whole SQLite database").with_hint("copy the file again"));
    }
    Ok(())
}

fn open(store: Store, name: Arc<str>, options: &ReadOptions) -> super::Opened {
    // Names of columns that are no text make `rusqlite` panic.
    guarded(&name, || table(store, &name, options)).map(|table| Box::new(table) as Box<dyn Rows>)
}

fn table(store: Store, name: &Arc<str>, options: &ReadOptions) -> Result<Listed> {
    let mut bytes = store.into_bytes(name)?.to_vec();
    check_size(name, &bytes)?;
    if bytes.get(WAL_MARKS).is_some_and(|marks| marks.contains(&2)) {
        let beside = PathBuf::from(format!("{name}-wal"));
        if beside.metadata().is_ok_and(|data| data.len() > 0) {
            let found = format!("changes that stand in {} alone", beside.display());
            let hint = format!("sqlite3 {name} \"pragma wal_checkpoint(truncate)\"");
            return Err(Error::refused(name, found, "a database whose log was written back").with_hint(hint));
        }
        // SQLite opens no copy in memory that is said to have a log.
        bytes[WAL_MARKS].fill(1);
    }
    let failed = |error: rusqlite::Error| {
        Error::refused(name, format!("a database that cannot be read ({error})"), "a whole SQLite database")
            .with_hint("copy the file again")
    };
    let mut database = Connection::open_in_memory().map_err(failed)?;
    let size = bytes.len();
    database.deserialize_read_exact(MAIN_DB, Cursor::new(bytes), size, true).map_err(failed)?;
    database.execute_batch("pragma trusted_schema = off; pragma cell_size_check = on").map_err(failed)?;
    let tables: Vec<String> = database
        .prepare("select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\' order by name")
        .and_then(|mut names| names.query_map([], |row| row.get(0))?.collect())
        .map_err(failed)?;
    let table = match (&options.sheet, tables.as_slice()) {
        (Some(asked), tables) => super::chosen(name, "table", asked, tables)?,
        (None, [table]) => table.clone(),
        (None, []) => return Err(Error::refused(name, "a database without a table", "a table")),
        (None, tables) => {
            let error = Error::refused(name, format!("{} tables", tables.len()), "one table");
            return Err(error.with_hint(format!("name it: data.sheet={} ({})", tables[0], tables.join(", "))));
        }
    };
    let place: Arc<str> = format!("{name} table {table}").into();
    let quoted = table.replace('"', "\"\"");
    let mut statement = database.prepare(&format!("select * from \"{quoted}\"")).map_err(failed)?;
    let names: Vec<Arc<str>> = statement.column_names().into_iter().map(Arc::from).collect();
    check_names(&place, names.iter().map(|name| &**name))?;
    let markers = Markers::new(&options.missing_values);
    let mut columns: Vec<Cells> = names.iter().map(|_| Cells::new()).collect();
    let mut rows = statement.query([]).map_err(failed)?;
    // Columns that are computed can be larger than the file.
    let (mut count, mut left) = (0, options.max_bytes);
    while let Some(row) = rows.next().map_err(failed)? {
        for (at, column) in columns.iter_mut().enumerate() {
            let wrong = |found: &str| Error::column(&names[at], format!("{place} row {}", count + 1), found, "a number or a text");
            let cell = match row.get_ref(at).map_err(failed)? {
                ValueRef::Null => Cell::Missing,
                ValueRef::Integer(number) => Cell::whole(number),
                ValueRef::Real(number) => Cell::Number(number),
                ValueRef::Text(text) => {
                    let text = std::str::from_utf8(text).map_err(|_| wrong("a text that is not UTF-8"))?;
                    Cell::Text(text.to_owned())
                }
                ValueRef::Blob(_) => return Err(wrong("a blob").with_hint("copy the table without the column")),
            };
            let size = if let Cell::Text(text) = &cell { text.len() as u64 } else { 8 };
            left = left.checked_sub(size).ok_or_else(|| {
                let error = Error::refused(&*place, format!("more than {} bytes", options.max_bytes), "content within data.max_bytes");
                error.with_hint("raise data.max_bytes, or give a part of the table")
            })?;
            if !column.push(cell.unless_marked(&markers)) {
                return Err(full(&names[at], format!("{place} row {}", count + 1)));
            }
        }
        count += 1;
    }
    if count == 0 {
        return Err(no_rows(&place, &Skipped::default()));
    }
    let columns = names.into_iter().zip(&mut columns).map(|(name, column)| (name, Column::Array(column.finish(count)))).collect();
    Ok(Listed::new(Columns::new(columns), Places::new(place, Lines::rows_from(0))))
}

#[cfg(test)]
mod tests {
    use crate::formats::tests::{options, shown};
    use crate::{Input, read};
    use cupola_task::Fault;
    use expect_test::expect;
    use std::path::Path;

    fn told(file: &Path, table: &str) -> String {
        let said = match read(&Input::Path(file.to_owned()), &options(&[("sheet", table)])) {
            Ok(raw) => format!("{} {} {}", raw.columns.names().collect::<Vec<_>>().join("|"), shown(&raw.columns).join(" "), raw.place(1)),
            Err(error) => format!("{error}; {}", error.hint().unwrap_or_default()),
        };
        said.replace(&file.display().to_string(), "tables.sqlite")
    }

    #[test]
    fn a_table_is_read_and_the_others_are_named() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tables.sqlite");
        let tables = ["a table", "seen", "blobs", "bare", "sen", "\"\"", "x\\\" union select 1 --"];
        expect![[r#"
            id|mixed|wide 1.0|2|9007199254740993 2.0|x|. .|2.5|-1 tables.sqlite table a table row 2
            tables.sqlite: found no table seen, wanted a table of the file, as data.sheet says; there are: a table, bare, blobs
            tables.sqlite table blobs row 1: column b: found a blob, wanted a number or a text; copy the table without the column
            tables.sqlite table bare: found a header and no row, wanted at least one row; if the first line is data, set data.header=false
            tables.sqlite: found no table sen, wanted a table of the file, as data.sheet says; there are: a table, bare, blobs
            tables.sqlite: found 3 tables, wanted one table; name it: data.sheet=a table (a table, bare, blobs)
            tables.sqlite: found no table x\" union select 1 --, wanted a table of the file, as data.sheet says; there are: a table, bare, blobs"#]].assert_eq(&tables.map(|table| told(&file, table)).join("\n"));
    }

    #[test]
    fn a_log_beside_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wal.sqlite");
        let database = rusqlite::Connection::open(&file).unwrap();
        database.execute_batch("pragma journal_mode = wal; create table t (x); insert into t values (1), (2)").unwrap();
        assert!(told(&file, "t").contains("wanted a database whose log was written back; sqlite3"), "{}", told(&file, "t"));
        database.execute_batch("pragma wal_checkpoint(truncate)").unwrap();
        let computed = folder.path().join("computed.sqlite");
        let other = rusqlite::Connection::open(&computed).unwrap();
        other.execute_batch("create table t (n, x text as (printf('%.*c', n, 'x'))); insert into t (n) values (3000000)").unwrap();
        let error = read(&Input::Path(computed), &options(&[("max_bytes", "1000000")])).unwrap_err();
        assert!(error.to_string().contains("found more than 1000000 bytes"), "{error}");
        assert_eq!(told(&file, "t"), "x 1.0 2.0 tables.sqlite table t row 2");
    }
}
