//! The shared store.

use super::{Row, StoreAt, Value};
use crate::{Error, Result};
use bytes::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, NoTls};
use std::error::Error as StdError;

pub(super) struct Postgresql {
    url: String,
    /// None once a connection broke: the next call makes another.
    client: Option<Client>,
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(number) => number.to_sql(kind, out),
            Value::Text(text) => text.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        <i64 as ToSql>::accepts(kind) || <String as ToSql>::accepts(kind)
    }

    to_sql_checked!();
}

impl Postgresql {
    pub(super) fn open(url: &str) -> Result<Postgresql> {
        let mut postgresql = Postgresql { url: url.to_owned(), client: None };
        postgresql.call(|_| Ok(()))?;
        Ok(postgresql)
    }

    fn client(&mut self) -> Result<&mut Client, postgres::Error> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.client = Some(Client::connect(&self.url, NoTls)?);
        }
        Ok(self.client.as_mut().expect("a client was made above"))
    }

    /// Calls the server; a connection that broke is left, so that the next call makes another.
    fn call<T: Send>(&mut self, call: impl FnOnce(&mut Client) -> Result<T, postgres::Error> + Send) -> Result<T> {
        // The client waits on a runtime of its own, which a thread of another runtime must not enter.
        let called = std::thread::scope(|scope| {
            let called = scope.spawn(|| {
                let called = self.client().and_then(call);
                self.client = self.client.take().filter(|client| !client.is_closed());
                called
            });
            called.join().expect("the client does not panic")
        });
        called.map_err(|error| fault(&self.url, &error))
    }

    pub(super) fn run(&mut self, statements: &str) -> Result<()> {
        self.call(|client| client.batch_execute(statements))
    }

    pub(super) fn execute(&mut self, statement: &str, values: &[Value]) -> Result<u64> {
        self.call(|client| client.execute(statement, &parameters(values)))
    }

    pub(super) fn query(&mut self, statement: &str, values: &[Value]) -> Result<Vec<Row>> {
        let rows = self.call(|client| client.query(statement, &parameters(values)))?;
        Ok(rows.iter().map(|row| (0..row.len()).map(|place| cell(row, place)).collect()).collect())
    }
}

impl Drop for Postgresql {
    /// The client says goodbye, and waits for that, too.
    fn drop(&mut self) {
        let client = self.client.take();
        std::thread::scope(|scope| drop(scope.spawn(|| drop(client)).join()));
    }
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as _).collect()
}

fn cell(row: &postgres::Row, place: usize) -> Value {
    if *row.columns()[place].type_() == Type::INT8 {
        row.try_get::<_, Option<i64>>(place).ok().flatten().into()
    } else {
        row.try_get::<_, Option<&str>>(place).ok().flatten().into()
    }
}

fn fault(url: &str, error: &postgres::Error) -> Error {
    let reason = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let cause = error.source().filter(|_| error.as_db_error().is_none()).map(|cause| format!(": {cause}")).unwrap_or_default();
    Error::Store { action: format!("use store {}", StoreAt::Url(url.to_owned()).place()), reason: format!("{reason}{cause}") }
}
