//! Queries over tables in memory, by DataFusion (<https://datafusion.apache.org>, its SQL reference).
//!
//! A crate of its own because most of DataFusion is compiled where it is called: the crate of the readers would take minutes to build otherwise.
//!
//! Names are taken as they are written, capitals included; a name with other characters than letters, digits and `_` stands in double quotes.
//! One thread answers, so that rows come in the same order each time; what differs from run to run (`random`, `now` and the like) is no function
//! here. Nothing but reading can be asked for: no file is written and none is opened.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
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

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The query cannot be answered.
    #[error("{found}")]
    Query {
        /// What is wrong with it.
        found: String,
        /// What would help.
        hint: &'static str,
    },
    /// There is no thread to answer on.
    #[error("{0}")]
    System(String),
}

/// What a query gives, batch after batch.
pub struct Answer {
    runtime: Runtime,
    batches: SendableRecordBatchStream,
}

impl Answer {
    /// Begins to answer `sql` over the named tables, in batches of about `rows` rows.
    ///
    /// # Errors
    ///
    /// The query cannot be answered, or asks for more than reading.
    pub fn begin(sql: &str, tables: Vec<(&str, RecordBatch)>, rows: usize) -> Result<Self, Error> {
        let config = SessionConfig::new().with_target_partitions(1).with_batch_size(rows);
        let config = config.set_bool("datafusion.sql_parser.enable_ident_normalization", false);
        let context = SessionContext::new_with_config(config);
        for name in unsteady(&context) {
            context.deregister_udf(&name);
        }
        for (name, batch) in tables {
            let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(|error| failed(&error))?;
            context.register_table(TableReference::bare(name), Arc::new(table)).map_err(|error| failed(&error))?;
        }
        let runtime = Builder::new_current_thread().build().map_err(|error| Error::System(error.to_string()))?;
        let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let begin = async { context.sql_with_options(sql, reads).await?.execute_stream().await };
        let batches = runtime.block_on(begin).map_err(|error| failed(&error))?;
        Ok(Self { runtime, batches })
    }

    /// The columns of each batch.
    pub fn schema(&self) -> SchemaRef {
        self.batches.schema()
    }
}

impl Iterator for Answer {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = std::future::poll_fn(|context| self.batches.as_mut().poll_next(context));
        self.runtime.block_on(batch).map(|batch| batch.map_err(|error| failed(&error)))
    }
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
    let found = said(error);
    let hint = match error.find_root() {
        _ if found.contains("Invalid function") => {
            "functions: https://datafusion.apache.org/user-guide/sql; random, now and others that differ from run to run are left out"
        }
        DataFusionError::SchemaError(..) => {
            "names are taken as they are written; those with other characters than letters, digits and _ stand in double quotes"
        }
        DataFusionError::Plan(_) if found.contains("not found") => "tables are `data`, and those of [data.tables]",
        _ => "queries: https://datafusion.apache.org/user-guide/sql",
    };
    Error::Query { found, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn functions_that_differ_from_run_to_run_are_known() {
        expect!["current_date current_time current_timestamp file_row_index input_file_name now rand random today uuid"]
            .assert_eq(&unsteady(&SessionContext::new()).join(" "));
    }
}
