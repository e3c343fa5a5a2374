//! What can go wrong while answers are kept and watched.

use cupola_task::{Exit, Fault};
use std::fmt::Display;

/// A fault of this crate. Texts are lower-case fragments that follow "failed to".
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// What stands in a file, a store or a setting does not fit.
    #[error("{place}: found {found}, wanted {wanted}")]
    Refused {
        /// File and line, or setting.
        place: String,
        /// What stood there.
        found: String,
        /// What would have been right.
        wanted: String,
        /// What to do, when there is something to do.
        hint: Option<String>,
    },
    /// The operating system refused.
    #[error("{action}: {source}")]
    Io {
        /// What was tried, path included.
        action: String,
        /// The system's own word.
        source: std::io::Error,
    },
    /// A store of labels refused or is away.
    #[error("{action}: {reason}")]
    Store {
        /// What was tried.
        action: String,
        /// The store's own word.
        reason: String,
    },
    /// A fault of a table.
    #[error(transparent)]
    Data(#[from] cupola_data::Error),
    /// A fault at a seam.
    #[error(transparent)]
    Task(#[from] cupola_task::Error),
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Refused`] without a hint.
    pub fn refused(place: impl Display, found: impl Display, wanted: impl Display) -> Self {
        Error::Refused { place: place.to_string(), found: found.to_string(), wanted: wanted.to_string(), hint: None }
    }

    /// An [`Error::Io`].
    pub fn io(action: impl Display, source: std::io::Error) -> Self {
        Error::Io { action: action.to_string(), source }
    }

    /// The same with advice; a fault that came through a seam keeps its own.
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Error::Refused { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Refused { .. } => Exit::Data,
            Error::Io { .. } | Error::Store { .. } => Exit::Failure,
            Error::Data(error) => error.exit(),
            Error::Task(error) => error.exit(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Refused { hint, .. } => hint.clone(),
            Error::Io { .. } | Error::Store { .. } => None,
            Error::Data(error) => error.hint(),
            Error::Task(error) => error.hint(),
        }
    }
}
