//! What can go wrong between a file and a table, with its place and, where the user can act, a hint.

use cupola_task::{Exit, Fault};
use std::fmt::Display;

/// A fault of this crate. Texts are lower-case fragments that follow "failed to".
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// Content of a file or table does not fit.
    #[error("{place}: found {found}, wanted {wanted}")]
    Refused {
        /// File and line, row or byte: as exact as known.
        place: String,
        /// What stood there.
        found: String,
        /// What would have been right.
        wanted: String,
        /// What to do, when there is something to do.
        hint: Option<String>,
    },
    /// A value of a column does not fit the column's type.
    #[error("{place}: column {column}: found {found}, wanted {wanted}")]
    Column {
        /// The column's name.
        column: String,
        /// File and line, or row.
        place: String,
        /// The value.
        found: String,
        /// What would have been right.
        wanted: String,
        /// What to do, when there is something to do.
        hint: Option<String>,
    },
    /// A recipe key has a value that cannot hold.
    #[error("setting {name}: found {found}, wanted {wanted}")]
    Setting {
        /// Dotted path of the key.
        name: String,
        /// What was written.
        found: String,
        /// Range or names allowed.
        wanted: String,
        /// What to do, when there is something to do.
        hint: Option<String>,
    },
    /// An input file cannot be opened or read.
    #[error("{place}: {source}")]
    Unreadable {
        /// The path.
        place: String,
        /// The system's own word.
        source: std::io::Error,
        /// What to do, when there is something to do.
        hint: Option<String>,
    },
    /// An output file or pipe cannot be written.
    #[error("{action}: {source}")]
    Write {
        /// What was tried, path included.
        action: String,
        /// The system's own word.
        source: std::io::Error,
    },
    /// A fault that came through a seam.
    #[error(transparent)]
    Seam(#[from] cupola_task::Error),
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Refused`] without a hint.
    pub fn refused(place: impl Display, found: impl Display, wanted: impl Display) -> Self {
        Error::Refused { place: place.to_string(), found: found.to_string(), wanted: wanted.to_string(), hint: None }
    }

    /// An [`Error::Column`] without a hint.
    pub fn column(column: impl Display, place: impl Display, found: impl Display, wanted: impl Display) -> Self {
        Error::Column {
            column: column.to_string(),
            place: place.to_string(),
            found: found.to_string(),
            wanted: wanted.to_string(),
            hint: None,
        }
    }

    /// An [`Error::Setting`] without a hint.
    pub fn setting(name: impl Display, found: impl Display, wanted: impl Display) -> Self {
        Error::Setting { name: name.to_string(), found: found.to_string(), wanted: wanted.to_string(), hint: None }
    }

    /// The same error with a hint, where the variant can carry one.
    #[must_use]
    pub fn with_hint(mut self, text: impl Display) -> Self {
        match &mut self {
            Error::Refused { hint, .. } | Error::Column { hint, .. } | Error::Setting { hint, .. } | Error::Unreadable { hint, .. } => {
                *hint = Some(text.to_string());
            }
            Error::Write { .. } | Error::Seam(_) => {}
        }
        self
    }
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Refused { .. } | Error::Column { .. } | Error::Unreadable { .. } => Exit::Data,
            Error::Setting { .. } => Exit::Usage,
            Error::Write { .. } => Exit::Failure,
            Error::Seam(error) => error.exit(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Refused { hint, .. } | Error::Column { hint, .. } | Error::Setting { hint, .. } | Error::Unreadable { hint, .. } => {
                hint.clone()
            }
            Error::Write { .. } => None,
            Error::Seam(error) => error.hint(),
        }
    }
}

impl From<Error> for cupola_task::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Seam(error) => error,
            error => cupola_task::Error::other(error),
        }
    }
}
