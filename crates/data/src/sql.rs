//! Rows that a query makes of tables (the crate `query`).
//!
//! Tables come from the readers of this crate, so that what is broken is refused with its place. In a query, a column of which every value is an
//! amount is a `DOUBLE`, one of dates in one format a `TIMESTAMP`, everything else a `VARCHAR`. No file is opened but those that the caller names.

use crate::formats::normal::check_schema;
use crate::formats::{BATCH, Chunk, Content, Markers, Pending, Rows, guarded};
use crate::read::{Query, ReadOptions, Skipped};
use crate::{Error, Result};
use cupola_query::Answer;
use cupola_task::{Column, Columns};

/// For messages.
const NAME: &str = "data.sql";

struct QueryRows {
    answer: Answer,
    pending: Pending,
    markers: Markers,
    content: Content,
    skipped: Skipped,
    warnings: Vec<String>,
}

/// Reads the tables and begins to answer the query.
pub(crate) fn open(query: &Query, options: &ReadOptions) -> Result<Box<dyn Rows>> {
    let (mut skipped, mut warnings, mut hasher, mut bytes) = (Skipped::default(), Vec::new(), blake3::Hasher::new(), 0);
    hasher.update(&(query.sql.len() as u64).to_le_bytes()).update(query.sql.as_bytes());
    let mut tables = Vec::with_capacity(query.tables.len());
    for (name, input) in &query.tables {
        // What is said about the format is said about the data.
        let format = options.format.clone().filter(|_| name == Query::DATA);
        let raw = crate::read(input, &ReadOptions { format, ..options.clone() })?;
        tables.push((name.as_str(), crate::write::batch(&seen(&raw.columns))?));
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(raw.hash.as_bytes());
        bytes += raw.bytes;
        skipped.extend(&raw.skipped);
        warnings.extend(raw.warnings);
    }
    let answer = guarded(NAME, || Answer::begin(&query.sql, tables, BATCH).map_err(failed))?;
    let schema = answer.schema();
    let hint = "name columns with `as`, join by using (...), and leave out lists and structures";
    check_schema(NAME, &schema).map_err(|error| error.with_hint(hint))?;
    let content = Content { hash: hasher.finalize().to_hex().to_string(), bytes };
    let markers = Markers::new(&options.missing_values);
    Ok(Box::new(QueryRows { answer, pending: Pending::new(schema), markers, content, skipped, warnings }))
}

/// A table's columns as a query sees them.
fn seen(columns: &Columns) -> Columns {
    let plain = |column: &Column| column.array().map_or_else(|| column.clone(), |array| Column::Array(crate::infer::plain(array)));
    Columns::new(columns.iter().map(|(name, column)| (name.clone(), plain(column))).collect())
}

fn failed(error: cupola_query::Error) -> Error {
    match error {
        cupola_query::Error::Query { found, hint } => Error::setting(NAME, found, "a query that can be answered").with_hint(hint),
        cupola_query::Error::System(text) => Error::reading(NAME, std::io::Error::other(text)),
    }
}

impl Rows for QueryRows {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        while self.pending.rows() < rows {
            match guarded(NAME, || self.answer.next().transpose().map_err(failed))? {
                Some(batch) => self.pending.push(batch),
                None => break,
            }
        }
        match self.pending.take(rows, &NAME.into(), &self.markers)? {
            None if self.pending.rows_given() == 0 => {
                Err(Error::refused(NAME, "a query without a row", "at least one row").with_hint("look at what `where` and `join` leave"))
            }
            chunk => Ok(chunk),
        }
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn content(&self) -> Option<&Content> {
        Some(&self.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::shown;
    use crate::{Input, read, stream};
    use cupola_task::Fault;
    use expect_test::expect;
    use std::sync::Arc;

    fn table(name: &str, text: &str) -> (String, Input) {
        (name.to_owned(), Input::Bytes { name: format!("{name}.csv"), bytes: text.to_owned().into() })
    }

    fn query(sql: &str) -> Input {
        let tables = vec![
            table("data", "id,City,born,note,hours-per-week\n1,Bern,2001-02-03,x,40\n2,Rome,1999-12-31,?,\n3,Bern,2005-06-07,z,7.5\n"),
            table("Cities", "City,people\nRome,2.8\nBern,0.1\n"),
        ];
        Input::Query(Arc::new(Query { sql: sql.to_owned(), tables }))
    }

    fn told(sql: &str) -> String {
        match read(&query(sql), &ReadOptions::default()) {
            Ok(raw) => {
                let names: Vec<&str> = raw.columns.names().collect();
                format!("{}\n{}", names.join("|"), shown(&raw.columns).join("\n"))
            }
            Err(error) => format!("{error}\n  hint: {}", error.hint().unwrap_or_default()),
        }
    }

    #[test]
    fn queries_join_compute_and_look_back() {
        let sql = "select id, people, extract(year from born) as year, note is null as silent, \"hours-per-week\" / 2 as half,
            lag(id) over (partition by City order by born) as before from data join Cities using (City) order by id";
        expect![[r#"
            id|people|year|silent|half|before
            1.0|0.1|2001.0|false|20.0|.
            2.0|2.8|1999.0|true|.|.
            3.0|0.1|2005.0|false|3.75|1.0"#]]
        .assert_eq(&told(sql));
        expect![[r#"
            City|rows
            Bern|2.0
            Rome|1.0"#]]
        .assert_eq(&told("SELECT City, COUNT(*) AS rows FROM data GROUP BY City ORDER BY City"));
    }

    #[test]
    fn what_cannot_be_asked_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.csv").display().to_string();
        let asked = [
            "select idd from data",
            "select id from other",
            "select id frm data",
            "select * from data join Cities on data.City = Cities.City",
            "select random() as r from data",
            "select id from data where id > 9",
            "select array_agg(id) as all from data",
            "select id / 0, 1 / 0 from data",
            &format!("copy data to '{file}'"),
            "create table t as select 1",
            &format!("select * from '{file}'"),
            "select 1; select 2",
            "",
        ];
        let lines: Vec<String> = asked.iter().map(|sql| format!("{sql}\n  {}", told(sql))).collect();
        expect![[r#"
            select idd from data
              setting data.sql: found No field named idd. Did you mean 'data.id'? Valid fields are data.id, data."City", data.born, data.note, data."hours-per-week", wanted a query that can be answered
              hint: names are taken as they are written; those with other characters than letters, digits and _ stand in double quotes
            select id from other
              setting data.sql: found table 'other' not found, wanted a query that can be answered
              hint: tables are `data`, and those of [data.tables]
            select id frm data
              setting data.sql: found Expected: end of statement, found: data at Line: 1, Column: 15, wanted a query that can be answered
              hint: queries: https://datafusion.apache.org/user-guide/sql
            select * from data join Cities on data.City = Cities.City
              data.sql: found two columns of the name City, wanted names that differ
              hint: name columns with `as`, join by using (...), and leave out lists and structures
            select random() as r from data
              setting data.sql: found Invalid function 'random', wanted a query that can be answered
              hint: functions: https://datafusion.apache.org/user-guide/sql; random, now and others that differ from run to run are left out
            select id from data where id > 9
              data.sql: found a query without a row, wanted at least one row
              hint: look at what `where` and `join` leave
            select array_agg(id) as all from data
              data.sql: column all: found the type List(Float64), wanted numbers, texts, flags, dates or times
              hint: name columns with `as`, join by using (...), and leave out lists and structures
            select id / 0, 1 / 0 from data
              setting data.sql: found Divide by zero error, wanted a query that can be answered
              hint: queries: https://datafusion.apache.org/user-guide/sql
            copy data to 'out.csv'
              setting data.sql: found DML not supported: COPY, wanted a query that can be answered
              hint: queries: https://datafusion.apache.org/user-guide/sql
            create table t as select 1
              setting data.sql: found DDL not supported: CreateMemoryTable, wanted a query that can be answered
              hint: queries: https://datafusion.apache.org/user-guide/sql
            select * from 'out.csv'
              setting data.sql: found table 'out.csv' not found, wanted a query that can be answered
              hint: tables are `data`, and those of [data.tables]
            select 1; select 2
              setting data.sql: found The context currently only supports a single SQL statement, wanted a query that can be answered
              hint: queries: https://datafusion.apache.org/user-guide/sql

              setting data.sql: found No SQL statements were provided in the query string, wanted a query that can be answered
              hint: queries: https://datafusion.apache.org/user-guide/sql"#]].assert_eq(&lines.join("\n").replace(&file, "out.csv"));
        assert!(!std::path::Path::new(&file).exists());
    }

    #[test]
    fn the_same_query_gives_the_same_rows_and_hash() {
        let sql = "select City, avg(id) as mean from data group by City";
        let [one, two] = [0, 1].map(|_| read(&query(sql), &ReadOptions::default()).unwrap());
        assert_eq!((shown(&one.columns), &one.hash, one.place(1)), (shown(&two.columns), &two.hash, "data.sql row 2".to_owned()));
        assert_ne!(one.hash, read(&query("select 1 as x"), &ReadOptions::default()).unwrap().hash);
        let chunks: Vec<usize> =
            stream(&query("select id from data"), &ReadOptions::default(), 2).unwrap().map(|chunk| chunk.unwrap().columns.rows()).collect();
        assert_eq!(chunks, [2, 1]);
    }
}
