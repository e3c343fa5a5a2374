//! Where the registry and labels are kept: SQLite in a file of its own, or PostgreSQL by its URL when a team shares it. One schema, one set
//! of statements; a change is one transaction.
//!
//! Calls block: a server asks from threads that may. A store that is away is an error of the call, and the next call tries again.

mod postgresql;
mod sqlite;

use crate::{Error, Result};
use postgresql::Postgresql;
use sqlite::Sqlite;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAt {
    /// A file of SQLite, made when it is not there.
    File(PathBuf),
    /// A database of PostgreSQL: `postgres://user:password@host/database`. Connections are plain: keep it inside a trusted network.
    Url(String),
}

/// What a commit outlives. A server of PostgreSQL decides by itself (`synchronous_commit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// The end of the process, also a sudden one.
    #[default]
    Process,
    /// The loss of power too: a commit waits for the disk.
    Power,
}

/// A value in a statement or a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Text(String),
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Integer(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

impl Value {
    pub(crate) fn integer(&self) -> Option<i64> {
        if let Value::Integer(number) = self { Some(*number) } else { None }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }
}

/// A result's row.
pub(crate) type Row = Vec<Value>;

/// The tables. What is counted by itself is written in each database's own way.
const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS cupola (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS versions (name TEXT NOT NULL, number BIGINT NOT NULL, hash TEXT NOT NULL, parent BIGINT, origin TEXT NOT NULL, \
     recipe TEXT NOT NULL, facts TEXT NOT NULL, added_us BIGINT NOT NULL, PRIMARY KEY (name, number))",
    "CREATE TABLE IF NOT EXISTS aliases (name TEXT NOT NULL, alias TEXT NOT NULL, number BIGINT NOT NULL, since_us BIGINT NOT NULL, \
     PRIMARY KEY (name, alias))",
    "CREATE TABLE IF NOT EXISTS decisions (seq {counted}, name TEXT NOT NULL, at_us BIGINT NOT NULL, kind TEXT NOT NULL, alias TEXT, \
     number BIGINT, before BIGINT, facts TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS decisions_by_name ON decisions (name, seq)",
    "CREATE TABLE IF NOT EXISTS labels (seq {counted}, name TEXT NOT NULL, id TEXT NOT NULL, target TEXT NOT NULL, label TEXT NOT NULL, \
     at_us BIGINT NOT NULL, received_us BIGINT NOT NULL, source TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS labels_by_id ON labels (name, id)",
    "CREATE INDEX IF NOT EXISTS labels_by_time ON labels (name, received_us)",
];

/// The version of the tables.
const VERSION: &str = "1";

enum Backend {
    Sqlite(Sqlite),
    Postgresql(Box<Postgresql>),
}

/// One connection to a store, used by one caller at a time.
pub struct Store {
    backend: Mutex<Backend>,
}

/// A transaction under way.
pub(crate) struct Transaction<'a>(&'a mut Backend);

impl Store {
    /// Opens a store and makes its tables when they are not there.
    ///
    /// # Errors
    /// When the file or the server cannot be reached, is no store of ours, or a newer one.
    pub fn open(at: &StoreAt, durability: Durability) -> Result<Store> {
        let backend = match at {
            StoreAt::File(path) => Backend::Sqlite(Sqlite::open(path, durability)?),
            StoreAt::Url(url) => Backend::Postgresql(Box::new(Postgresql::open(url)?)),
        };
        let store = Store { backend: Mutex::new(backend) };
        store.prepare(&at.place())?;
        Ok(store)
    }

    fn prepare(&self, place: &str) -> Result<()> {
        self.transaction(|transaction| {
            for statement in SCHEMA {
                transaction.execute(&statement.replace("{counted}", transaction.counted()), &[])?;
            }
            transaction
                .execute("INSERT INTO cupola (key, value) VALUES ('version', $1) ON CONFLICT (key) DO NOTHING", &[VERSION.into()])?;
            let rows = transaction.query("SELECT value FROM cupola WHERE key = 'version'", &[])?;
            match rows.first().and_then(|row| row[0].text()) {
                Some(VERSION) => Ok(()),
                found => Err(Error::refused(format!("{place}: version"), found.unwrap_or("none"), VERSION)
                    .with_hint("a newer cupola made this store: upgrade this one")),
            }
        })
    }

    /// All of `change` or nothing of it.
    pub(crate) fn transaction<T>(&self, change: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut backend = self.backend.lock().unwrap_or_else(PoisonError::into_inner);
        let mut transaction = Transaction(&mut backend);
        transaction.run(transaction.begin())?;
        match change(&mut transaction) {
            Ok(value) => transaction.run("COMMIT").map(|()| value),
            Err(error) => {
                // A connection that is lost has rolled back by itself.
                let _ = transaction.run("ROLLBACK");
                Err(error)
            }
        }
    }

    pub(crate) fn query(&self, statement: &str, values: &[Value]) -> Result<Vec<Row>> {
        let mut backend = self.backend.lock().unwrap_or_else(PoisonError::into_inner);
        Transaction(&mut backend).query(statement, values)
    }
}

impl Transaction<'_> {
    /// Readers go on; a second writer waits.
    fn begin(&self) -> &'static str {
        match self.0 {
            Backend::Sqlite(_) => "BEGIN IMMEDIATE",
            // One lock for all that is ours: changes are rare, and a version's number must be given once.
            Backend::Postgresql(_) => "BEGIN; SELECT pg_advisory_xact_lock(72657600)",
        }
    }

    fn counted(&self) -> &'static str {
        match self.0 {
            Backend::Sqlite(_) => "INTEGER PRIMARY KEY AUTOINCREMENT",
            Backend::Postgresql(_) => "BIGSERIAL PRIMARY KEY",
        }
    }

    fn run(&mut self, statements: &str) -> Result<()> {
        match self.0 {
            Backend::Sqlite(sqlite) => sqlite.run(statements),
            Backend::Postgresql(postgresql) => postgresql.run(statements),
        }
    }

    /// Runs a statement whose parameters `$1`, `$2`, ... stand in that order; gives how many rows it changed.
    pub(crate) fn execute(&mut self, statement: &str, values: &[Value]) -> Result<u64> {
        match self.0 {
            Backend::Sqlite(sqlite) => sqlite.execute(statement, values),
            Backend::Postgresql(postgresql) => postgresql.execute(statement, values),
        }
    }

    pub(crate) fn query(&mut self, statement: &str, values: &[Value]) -> Result<Vec<Row>> {
        match self.0 {
            Backend::Sqlite(sqlite) => sqlite.query(statement, values),
            Backend::Postgresql(postgresql) => postgresql.query(statement, values),
        }
    }
}

impl StoreAt {
    /// A URL, or a file's path.
    pub fn parse(text: &str) -> StoreAt {
        match text.starts_with("postgres://") || text.starts_with("postgresql://") {
            true => StoreAt::Url(text.to_owned()),
            false => StoreAt::File(Path::new(text).to_owned()),
        }
    }

    /// How errors name it: a URL without its password.
    pub fn place(&self) -> String {
        match self {
            StoreAt::File(path) => path.display().to_string(),
            StoreAt::Url(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
                let after = rest.rsplit_once('@').map_or(rest, |(_, after)| after);
                format!("{scheme}://{}", after.split('?').next().unwrap_or_default())
            }
        }
    }
}

/// A file of SQLite in a folder that goes away with the test, and, where `CUPOLA_TEST_POSTGRES` names one, an empty schema of a PostgreSQL.
#[cfg(test)]
pub(crate) fn fixtures() -> Vec<(tempfile::TempDir, StoreAt)> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = tempfile::tempdir().unwrap();
    let file = StoreAt::File(folder.path().join("store.sqlite"));
    let mut fixtures = vec![(folder, file)];
    if let Ok(url) = std::env::var("CUPOLA_TEST_POSTGRES") {
        let schema = format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
        client.batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")).unwrap();
        fixtures.push((tempfile::tempdir().unwrap(), StoreAt::Url(format!("{url}?options=-csearch_path%3D{schema}"))));
    }
    fixtures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_whole_or_nothing() {
        for (_folder, at) in fixtures() {
            let store = Store::open(&at, Durability::Power).unwrap();
            let insert = "INSERT INTO labels (name, id, target, label, at_us, received_us, source) VALUES ($1, $2, $3, $4, $5, $6, $7)";
            let row = |id: &str| -> Vec<Value> { vec!["m".into(), id.into(), "y".into(), "1".into(), 5.into(), 6.into(), "http".into()] };
            store.transaction(|transaction| transaction.execute(insert, &row("a"))).unwrap();
            let failed: Result<()> = store.transaction(|transaction| {
                transaction.execute(insert, &row("b"))?;
                Err(Error::refused("test", "an error", "none"))
            });
            assert!(failed.is_err());
            let again = Store::open(&at, Durability::Process).unwrap();
            let rows = again.query("SELECT id, at_us, label FROM labels WHERE name = $1 ORDER BY seq", &["m".into()]).unwrap();
            assert_eq!(rows, [["a".into(), 5.into(), Value::from("1")]]);
        }
    }

    #[test]
    fn a_file_that_is_no_store_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        std::fs::write(&path, "not a database, and longer than a header of SQLite would have to be to look like one").unwrap();
        let error = Store::open(&StoreAt::File(path), Durability::Process).err().unwrap();
        assert!(error.to_string().contains("not a database"), "{error}");
        let secret = StoreAt::parse("postgres://me:secret@db:5432/cupola?x=1");
        assert_eq!(secret.place(), "postgres://db:5432/cupola");
    }
}
