//! Rows that a query makes of tables, by DataFusion (<https://datafusion.apache.org>, its SQL reference).
//!
//! Tables come from the readers of this crate, so that what is broken is refused with its place. In a query, a column of which every value is an
//! amount is a `DOUBLE`, one of dates in one format a `TIMESTAMP`, everything else a `VARCHAR`. Names are taken as they are written, capitals
//! included; a name with other characters than letters, digits and `_` stands in double quotes.
//!
//! One thread answers, so that rows come in the same order each time; what differs from run to run (`random`, `now` and the like) is no function
//! here. Nothing but reading can be asked for: no file is written and none is opened but those that the caller names.

use crate::formats::normal::check_schema;
use crate::formats::{BATCH, Chunk, Content, Markers, Pending, Rows, guarded};
use crate::read::{Query, ReadOptions, Skipped};
use crate::{Error, Result};
use cupola_task::{Column, Columns};
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::Volatility;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::sqlparser::parser::ParserError;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// For messages.
const NAME: &str = "data.sql";

struct QueryRows {
    runtime: Runtime,
    batches: SendableRecordBatchStream,
    pending: Pending,
    markers: Markers,
    content: Content,
    skipped: Skipped,
    warnings: Vec<String>,
}

/// Reads the tables and begins to answer the query.
pub(crate) fn open(query: &Query, options: &ReadOptions) -> Result<Box<dyn Rows>> {
    let config = SessionConfig::new().with_target_partitions(1).with_batch_size(BATCH);
    let config = config.set_bool("datafusion.sql_parser.enable_ident_normalization", false);
    let context = SessionContext::new_with_config(config);
    for name in unsteady(&context) {
        context.deregister_udf(&name);
    }
    let (mut skipped, mut warnings, mut hasher, mut bytes) = (Skipped::default(), Vec::new(), blake3::Hasher::new(), 0);
    hasher.update(&(query.sql.len() as u64).to_le_bytes()).update(query.sql.as_bytes());
    for (name, input) in &query.tables {
        // What is said about the format is said about the data.
        let format = options.format.clone().filter(|_| name == Query::DATA);
        let raw = crate::read(input, &ReadOptions { format, ..options.clone() })?;
        let batch = crate::write::batch(&seen(&raw.columns))?;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(|error| failed(&error))?;
        context.register_table(TableReference::bare(name.as_str()), Arc::new(table)).map_err(|error| failed(&error))?;
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(raw.hash.as_bytes());
        bytes += raw.bytes;
        skipped.extend(&raw.skipped);
        warnings.extend(raw.warnings);
    }
    let runtime = Builder::new_current_thread().build().map_err(|error| Error::reading(NAME, error))?;
    let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let begin = async {
        let frame = context.sql_with_options(&query.sql, reads).await?;
        frame.execute_stream().await
    };
    let batches = guarded(NAME, || runtime.block_on(begin).map_err(|error| failed(&error)))?;
    let schema = batches.schema();
    let hint = "name columns with `as`, join by using (...), and leave out lists and structures";
    check_schema(NAME, &schema).map_err(|error| error.with_hint(hint))?;
    let content = Content { hash: hasher.finalize().to_hex().to_string(), bytes };
    let markers = Markers::new(&options.missing_values);
    Ok(Box::new(QueryRows { runtime, batches, pending: Pending::new(schema), markers, content, skipped, warnings }))
}

/// Functions whose value may be another one in the next run.
fn unsteady(context: &SessionContext) -> Vec<String> {
    let functions = context.state().scalar_functions().clone();
    let mut names: Vec<String> = functions
        .iter()
        .filter(|(_, function)| function.signature().volatility != Volatility::Immutable)
        .map(|(name, _)| name.clone())
        .collect();
    names.sort();
    names
}

/// A table's columns as a query sees them.
fn seen(columns: &Columns) -> Columns {
    let plain = |column: &Column| column.array().map_or_else(|| column.clone(), |array| Column::Array(crate::infer::plain(array)));
    Columns::new(columns.iter().map(|(name, column)| (name.clone(), plain(column))).collect())
}

/// DataFusion's words without its names for stages and catalogues.
fn said(error: &DataFusionError) -> String {
    if let DataFusionError::SQL(parsing, _) = error.find_root()
        && let ParserError::TokenizerError(text) | ParserError::ParserError(text) = &**parsing
    {
        return text.clone();
    }
    let text = error.strip_backtrace();
    let stages = ["Error during planning: ", "Schema error: ", "Arrow error: ", "Execution error: ", "This feature is not implemented: "];
    let text = stages.iter().find_map(|stage| text.strip_prefix(stage)).unwrap_or(&text);
    // Which function is nearest to an unknown one differs from run to run.
    let text = text.split_once("\nDid you mean").map_or(text, |(said, _)| said);
    text.trim_end_matches('.').replace("datafusion.public.", "").replace('\n', " ")
}

/// What DataFusion says, as far as a user can act on it.
fn failed(error: &DataFusionError) -> Error {
    let text = said(error);
    let hint = match error.find_root() {
        _ if text.contains("Invalid function") => {
            "functions: https://datafusion.apache.org/user-guide/sql; random, now and others that differ from run to run are left out"
        }
        DataFusionError::SchemaError(..) => {
            "names are taken as they are written; those with other characters than letters, digits and _ stand in double quotes"
        }
        DataFusionError::Plan(_) if text.contains("not found") => "tables are `data`, and those of [data.tables]",
        _ => "queries: https://datafusion.apache.org/user-guide/sql",
    };
    Error::setting(NAME, text, "a query that can be answered").with_hint(hint)
}

impl Rows for QueryRows {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        while self.pending.rows() < rows {
            let next = || {
                let batch = std::future::poll_fn(|context| self.batches.as_mut().poll_next(context));
                self.runtime.block_on(batch).transpose().map_err(|error| failed(&error))
            };
            match guarded(NAME, next)? {
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
    fn functions_that_differ_from_run_to_run_are_known() {
        expect!["current_date current_time current_timestamp file_row_index input_file_name now rand random today uuid"]
            .assert_eq(&unsteady(&SessionContext::new()).join(" "));
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
