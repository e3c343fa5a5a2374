//! What can go wrong at a seam, and how a fault tells people where it is and what to do.

use std::fmt::{Debug, Display};

/// The process exit code that a fault leads to. The codes are an interface; `cupola --help` lists them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Something failed that the user may not be able to mend: a disk, a bug, a port in use.
    Failure = 1,
    /// The command line or the recipe is wrong.
    Usage = 2,
    /// The data is wrong, or the leak gate closed.
    Data = 3,
    /// A quality gate closed.
    Quality = 4,
    /// Time or memory ran out.
    Budget = 5,
    /// Stopped on request; what was learned so far is saved.
    Interrupted = 130,
}

/// What every library error of Cupola offers beside its text: an exit code and, where the user can act, a hint.
pub trait Fault: std::error::Error + Send + Sync + 'static {
    /// The exit code of a command that fails with this.
    fn exit(&self) -> Exit;
    /// What the user can do about it, as one sentence without a final full stop.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// An error at a seam. Texts are lower-case fragments that follow "failed to".
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// A value from outside (a row, a request, a file's content) does not fit.
    #[error("{place}: found {found}, wanted {wanted}")]
    Input {
        /// File, line, column, row: as exact as known.
        place: String,
        /// What stood there.
        found: String,
        /// What would have been right.
        wanted: String,
        /// What to do, when there is something to do.
        hint: Option<String>,
    },
    /// A name or value in the recipe or on the command line is wrong.
    #[error("setting {name}: found {found}, wanted {wanted}")]
    Setting {
        /// Dotted path of the key.
        name: String,
        /// What was written.
        found: String,
        /// Range or names allowed.
        wanted: String,
        /// The nearest name, or a remedy.
        hint: Option<String>,
    },
    /// The model cannot do what is asked of it.
    #[error("{what} is not supported by {by}")]
    Unsupported {
        /// What was asked.
        what: String,
        /// Who cannot do it.
        by: String,
        /// Who can.
        hint: Option<String>,
    },
    /// An event sink answered [`Flow::Stop`](crate::Flow::Stop) before anything useful was learned.
    #[error("interrupted")]
    Interrupted,
    /// Time or memory would not suffice.
    #[error("{what}: needs {needs}, has {has}")]
    Budget {
        /// The resource.
        what: String,
        /// How much is needed.
        needs: String,
        /// How much there is.
        has: String,
    },
    /// The operating system refused.
    #[error("{action}: {source}")]
    Io {
        /// What was tried, path included.
        action: String,
        /// The system's own word.
        source: std::io::Error,
    },
    /// A fault of another crate, carried through a seam.
    #[error("{0}")]
    Other(Box<dyn Fault>),
}

/// The result of a seam.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Input`] without a hint.
    pub fn input(place: impl Display, found: impl Display, wanted: impl Display) -> Self {
        Error::Input { place: place.to_string(), found: found.to_string(), wanted: wanted.to_string(), hint: None }
    }

    /// An [`Error::Setting`] without a hint.
    pub fn setting(name: impl Display, found: impl Display, wanted: impl Display) -> Self {
        Error::Setting { name: name.to_string(), found: found.to_string(), wanted: wanted.to_string(), hint: None }
    }

    /// An [`Error::Io`] that says what was tried.
    pub fn io(action: impl Display, source: std::io::Error) -> Self {
        Error::Io { action: action.to_string(), source }
    }

    /// Carries another crate's fault through a seam.
    pub fn other(fault: impl Fault) -> Self {
        Error::Other(Box::new(fault))
    }

    /// The same error with a hint, where the variant can carry one.
    #[must_use]
    pub fn with_hint(mut self, text: impl Display) -> Self {
        match &mut self {
            Error::Input { hint, .. } | Error::Setting { hint, .. } | Error::Unsupported { hint, .. } => *hint = Some(text.to_string()),
            Error::Interrupted | Error::Budget { .. } | Error::Io { .. } | Error::Other(_) => {}
        }
        self
    }
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Input { .. } => Exit::Data,
            Error::Setting { .. } | Error::Unsupported { .. } => Exit::Usage,
            Error::Interrupted => Exit::Interrupted,
            Error::Budget { .. } => Exit::Budget,
            Error::Io { .. } => Exit::Failure,
            Error::Other(fault) => fault.exit(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Input { hint, .. } | Error::Setting { hint, .. } | Error::Unsupported { hint, .. } => hint.clone(),
            Error::Other(fault) => fault.hint(),
            Error::Interrupted | Error::Budget { .. } | Error::Io { .. } => None,
        }
    }
}

/// The known name nearest to what was typed, when it is near enough to be a slip (Damerau-Levenshtein distance of at
/// most a third of its length).
///
/// ```
/// assert_eq!(cupola_task::nearest("learning_rte", ["learning_rate", "num_leaves"]), Some("learning_rate"));
/// assert_eq!(cupola_task::nearest("banana", ["learning_rate"]), None);
/// ```
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&typed.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}
