//! The embedded store.

use super::{Durability, Row, Value};
use crate::{Error, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ToSql, params_from_iter};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a call waits for another process's change.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Sqlite {
    connection: Connection,
    path: PathBuf,
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Value::Null => rusqlite::types::Null.to_sql(),
            Value::Integer(number) => number.to_sql(),
            Value::Text(text) => text.to_sql(),
        }
    }
}

impl Sqlite {
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Sqlite> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|source| Error::io(format!("make folder {}", folder.display()), source))?;
        }
        let fault = |error: rusqlite::Error| fault(path, &error);
        let connection = Connection::open(path).map_err(fault)?;
        connection.busy_timeout(PATIENCE).map_err(fault)?;
        // With a log written ahead, readers never wait for a writer. Synchronous means that a commit is on the disk, not only with the system.
        let synchronous = if durability == Durability::Power { "FULL" } else { "NORMAL" };
        connection.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}")).map_err(fault)?;
        Ok(Sqlite { connection, path: path.to_owned() })
    }

    pub(super) fn run(&mut self, statements: &str) -> Result<()> {
        self.connection.execute_batch(statements).map_err(|error| fault(&self.path, &error))
    }

    pub(super) fn execute(&mut self, statement: &str, values: &[Value]) -> Result<u64> {
        let mut prepared = self.connection.prepare_cached(statement).map_err(|error| fault(&self.path, &error))?;
        let changed = prepared.execute(params_from_iter(values)).map_err(|error| fault(&self.path, &error))?;
        Ok(changed as u64)
    }

    pub(super) fn query(&mut self, statement: &str, values: &[Value]) -> Result<Vec<Row>> {
        let read = || {
            let mut prepared = self.connection.prepare_cached(statement)?;
            let width = prepared.column_count();
            let rows = prepared.query_map(params_from_iter(values), |row| {
                (0..width)
                    .map(|place| {
                        Ok(match row.get_ref(place)? {
                            ValueRef::Integer(number) => Value::Integer(number),
                            ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                            ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Value::Null,
                        })
                    })
                    .collect()
            })?;
            rows.collect::<rusqlite::Result<Vec<Row>>>()
        };
        read().map_err(|error| fault(&self.path, &error))
    }
}

fn fault(path: &Path, error: &rusqlite::Error) -> Error {
    Error::Store { action: format!("use store {}", path.display()), reason: error.to_string() }
}
