//! In a build without the feature `sql` a query is refused.

use crate::formats::Rows;
use crate::read::{Query, ReadOptions};
use crate::{Error, Result};

pub(crate) fn open(_: &Query, _: &ReadOptions) -> Result<Box<dyn Rows>> {
    let error = Error::setting("data.sql", "a query", "no query: this program was built without SQL");
    Err(error.with_hint("build it with the feature sql, which is on by default"))
}
