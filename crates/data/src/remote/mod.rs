//! Tables on other machines: a table of a PostgreSQL by `postgres://USER@HOST/DATABASE`, objects of S3 and of what speaks like it by
//! `s3://BUCKET/KEY`.
//!
//! A password may stand in a URL as it is typed; it is taken out before the URL is kept anywhere, so that recipes, reports, run folders and
//! messages cannot repeat it. Who asks, and everything else that the environment says, is what the program grants.

mod address;
mod login;
mod objects;
mod passwords;
mod postgresql;
mod requests;
mod tls;

#[cfg(test)]
mod tests;

pub(crate) use address::{Scheme, foreign};
pub use address::{is_url, without_password};
pub(crate) use objects::{fetch, list};
pub(crate) use postgresql::open as open_table;

use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::SystemTime;

/// What it takes to ask other machines, all of it from the program's surroundings.
#[derive(Clone)]
pub struct Access {
    /// Variables of the environment, by their names: those of libpq (`PG...`, and `USER`) and of the AWS command line (`AWS_...`).
    pub variables: BTreeMap<String, String>,
    /// What stands in the file of passwords, `~/.pgpass` or the one that `PGPASSFILE` names.
    pub passwords: String,
    /// Where copies of objects are kept.
    pub cache: PathBuf,
    /// What time it is: requests are signed with it.
    pub now: fn() -> SystemTime,
}

/// It is the process that has surroundings, as it has one pool of threads: whoever owns it grants once, and every read that follows, from whatever
/// recipe it comes, may ask.
static ACCESS: OnceLock<Access> = OnceLock::new();

/// Lets this process read tables on other machines; what was granted first stays.
pub fn grant(access: Access) {
    let _ = ACCESS.set(access);
}

/// What was granted.
pub(crate) fn granted(url: &str) -> Result<&'static Access> {
    ACCESS.get().ok_or_else(|| {
        let error = Error::refused(url, "a table on another machine", "a file of this one");
        error.with_hint("this program has not granted access to other machines: cupola_data::grant")
    })
}

impl Access {
    /// A variable that is there and not empty.
    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }
}
