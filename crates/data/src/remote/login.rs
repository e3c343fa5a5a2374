//! From a URL to a connection with a database of PostgreSQL. What the URL leaves open is said by the variables of libpq
//! (<https://www.postgresql.org/docs/current/libpq-envars.html>) and its file of passwords.

use super::passwords::{self, Login};
use super::tls::{Tls, Trust};
use super::{Access, address};
use crate::{Error, Result};
use percent_encoding::percent_decode_str;
use postgres::config::{Host, SslMode};
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};
use std::error::Error as _;
use std::time::Duration;

/// How long a server may take to answer, unless the URL or `PGCONNECT_TIMEOUT` says otherwise.
const CONNECT: Duration = Duration::from_secs(10);

/// How a connection is kept from those who listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Secrecy {
    /// Not at all.
    Disable,
    /// Encrypted where the server can.
    Prefer,
    /// Encrypted.
    Require,
    /// Encrypted, and the server is who it should be.
    Verify,
}

/// What a URL asks for.
pub(super) struct Asked {
    pub config: Config,
    /// The table that `?table=` names.
    pub table: Option<String>,
    pub secrecy: Secrecy,
    /// The file of authorities that `sslrootcert` names.
    pub roots: Option<String>,
}

/// Reads a URL that holds no password.
pub(super) fn asked(url: &str, access: &Access) -> Result<Asked> {
    let (plain, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut table, mut secrecy, mut roots) =
        (None, access.variable("PGSSLMODE").map(str::to_owned), access.variable("PGSSLROOTCERT").map(str::to_owned));
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
        match key {
            "table" => table = Some(value),
            "sslmode" => secrecy = Some(value),
            "sslrootcert" => roots = Some(value),
            _ => rest.push(pair),
        }
    }
    let plain = if rest.is_empty() { plain.to_owned() } else { format!("{plain}?{}", rest.join("&")) };
    let config: Config = plain.parse().map_err(|error: postgres::Error| {
        let error = Error::refused(url, reason(&error), "a URL of PostgreSQL");
        error.with_hint("postgres://USER@HOST:PORT/DATABASE?table=TABLE; signs such as / @ : ? in a name are written %2F %40 %3A %3F")
    })?;
    let secrecy = match secrecy.as_deref() {
        None | Some("prefer" | "allow") => Secrecy::Prefer,
        Some("disable") => Secrecy::Disable,
        Some("require") => Secrecy::Require,
        Some("verify-full" | "verify-ca") => Secrecy::Verify,
        Some(other) => {
            return Err(Error::refused(url, format!("sslmode={other}"), "disable, prefer, require or verify-full"));
        }
    };
    let config = filled(config, url, access).map_err(|found| Error::refused(url, found, "a number"))?;
    Ok(Asked { config, table, secrecy, roots })
}

/// A configuration with what the surroundings say.
fn filled(mut config: Config, url: &str, access: &Access) -> Result<Config, String> {
    let number = |name: &str| match access.variable(name) {
        Some(text) => text.trim().parse::<u16>().map(Some).map_err(|_| format!("{name}={text}")),
        None => Ok(None),
    };
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        config.host(access.variable("PGHOST").unwrap_or("localhost"));
    }
    // A host in the URL without a port has the usual one: `PGPORT` says that of `PGHOST`.
    if config.get_ports().is_empty() {
        config.port(number("PGPORT")?.unwrap_or(5432));
    }
    if config.get_user().is_none()
        && let Some(user) = access.variable("PGUSER").or_else(|| access.variable("USER"))
    {
        config.user(user);
    }
    if config.get_dbname().is_none()
        && let Some(database) = access.variable("PGDATABASE")
    {
        config.dbname(database);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(
            number("PGCONNECT_TIMEOUT")?.filter(|seconds| *seconds > 0).map_or(CONNECT, |seconds| Duration::from_secs(seconds.into())),
        );
    }
    if config.get_application_name().is_none() {
        config.application_name("cupola");
    }
    let own = address::password(url).or_else(|| access.variable("PGPASSWORD").map(str::to_owned));
    if let Some(password) = own.or_else(|| passwords::find(&access.passwords, &login(&config))) {
        config.password(password);
    }
    Ok(config)
}

fn login(config: &Config) -> Login<'_> {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.as_str(),
        // The file of passwords calls the folder of local connections so.
        Some(Host::Unix(_)) | None => "localhost",
    };
    let user = config.get_user().unwrap_or_default();
    Login { host, port: config.get_ports().first().copied().unwrap_or(5432), database: config.get_dbname().unwrap_or(user), user }
}

/// Connects. Calls block: the client waits on a runtime of its own.
pub(super) fn connect(asked: &Asked, place: &str) -> Result<Client> {
    let roots = asked.roots.as_deref().filter(|_| asked.secrecy == Secrecy::Verify);
    let unreadable = |path: &str, source| Error::Unreadable { place: path.to_owned(), source, hint: Some("sslrootcert names it".into()) };
    let roots = roots.map(|path| std::fs::read(path).map_err(|source| unreadable(path, source))).transpose()?;
    let trust = match (asked.secrecy, &roots) {
        (Secrecy::Verify, Some(file)) => Trust::Own(file),
        (Secrecy::Verify, None) => Trust::Known,
        _ => Trust::Anybody,
    };
    let tls = Tls::new(&trust).map_err(|found| Error::refused(place, found, "authorities that TLS can use"))?;
    let mut config = asked.config.clone();
    let client = match asked.secrecy {
        Secrecy::Disable => config.ssl_mode(SslMode::Disable).connect(NoTls),
        Secrecy::Prefer => config.ssl_mode(SslMode::Prefer).connect(tls),
        Secrecy::Require | Secrecy::Verify => config.ssl_mode(SslMode::Require).connect(tls),
    };
    client.map_err(|error| fault(place, &error))
}

/// What the server or the way to it says.
fn reason(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(told) => told.message().to_owned(),
        None => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(inner) = cause {
                let inner_text = inner.to_string();
                if !text.contains(&inner_text) {
                    text = format!("{text}: {inner_text}");
                }
                cause = inner.source();
            }
            text
        }
    }
}

/// An error of the database, with what can be done about it.
pub(super) fn fault(place: &str, error: &postgres::Error) -> Error {
    let (reason, state) = (reason(error), error.code());
    let is_secret =
        state.is_some_and(|state| *state == SqlState::INVALID_PASSWORD || *state == SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    let refused = Error::refused(place, &reason, "a table that can be read");
    match state {
        _ if is_secret || reason.contains("password missing") => {
            refused.with_hint("the password comes from the URL, from PGPASSWORD or from ~/.pgpass; the user from the URL or PGUSER")
        }
        Some(state) if *state == SqlState::UNDEFINED_DATABASE => {
            refused.with_hint("the database's name stands behind the host: postgres://USER@HOST/DATABASE; `psql -l` lists them")
        }
        Some(state) if *state == SqlState::INSUFFICIENT_PRIVILEGE => refused.with_hint("grant the user select on the table"),
        Some(_) => refused,
        None if reason.contains("timed out") => {
            refused.with_hint("is the host right, and does a firewall let it through? connect_timeout=SECONDS in the URL waits longer")
        }
        None if reason.contains("does not support TLS") => refused.with_hint("this server does not encrypt: sslmode=disable in the URL"),
        None if reason.contains("TLS") || reason.contains("certificate") => refused
            .with_hint("sslmode=require encrypts without asking who answers; sslrootcert=FILE in the URL names the authorities to believe"),
        None => refused.with_hint("is the server running, and do host and port hold? postgres://USER@HOST:PORT/DATABASE"),
    }
}
