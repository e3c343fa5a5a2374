//! What can go wrong between a recipe and a model file.

use cupola_task::{Exit, Fault};
use std::fmt::Display;

/// A fault of this crate. Texts are fragments that follow "failed to".
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The recipe or the command line is wrong.
    #[error("{place}: {message}")]
    Recipe {
        /// `recipe.toml:12` or `command line`.
        place: String,
        /// What is wrong, with what was wanted.
        message: String,
        /// The nearest key, or a remedy.
        hint: Option<String>,
    },
    /// The data cannot serve the recipe.
    #[error("{0}")]
    Data(String, Option<String>),
    /// The leak gate closed.
    #[error("leak check stops the run: {0}")]
    Leaks(String),
    /// A quality gate closed.
    #[error("quality gate: {0}")]
    Gate(String),
    /// A model file is not one, is damaged, or is of another version.
    #[error("{place}: {message}")]
    Artifact {
        /// The file.
        place: String,
        /// What was found and wanted.
        message: String,
        /// A remedy.
        hint: Option<String>,
    },
    /// A run that is asked for does not exist, or cannot be made.
    #[error("{0}")]
    Runs(String, Option<String>),
    /// A fault at a seam.
    #[error(transparent)]
    Task(#[from] cupola_task::Error),
    /// A fault of the data crate.
    #[error(transparent)]
    Read(#[from] cupola_data::Error),
    /// A fault of the watch crate.
    #[error(transparent)]
    Watch(Box<cupola_watch::Error>),
    /// The operating system refused.
    #[error("{action}: {source}")]
    Io {
        /// What was tried, path included.
        action: String,
        /// The system's own word.
        source: std::io::Error,
    },
}

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<cupola_watch::Error> for Error {
    fn from(error: cupola_watch::Error) -> Self {
        Error::Watch(Box::new(error))
    }
}

impl Error {
    /// An [`Error::Io`] that says what was tried.
    pub fn io(action: impl Display, source: std::io::Error) -> Self {
        Error::Io { action: action.to_string(), source }
    }

    /// An [`Error::Recipe`] without a hint.
    pub fn recipe(place: impl Display, message: impl Display) -> Self {
        Error::Recipe { place: place.to_string(), message: message.to_string(), hint: None }
    }

    /// An [`Error::Artifact`] without a hint.
    pub fn artifact(place: impl Display, found: impl Display, wanted: impl Display) -> Self {
        Error::Artifact { place: place.to_string(), message: format!("found {found}, wanted {wanted}"), hint: None }
    }

    /// The same error with a hint, where the variant can carry one.
    #[must_use]
    pub fn with_hint(mut self, text: impl Display) -> Self {
        match &mut self {
            Error::Recipe { hint, .. } | Error::Artifact { hint, .. } | Error::Data(_, hint) | Error::Runs(_, hint) => {
                *hint = Some(text.to_string());
            }
            Error::Leaks(_) | Error::Gate(_) | Error::Task(_) | Error::Read(_) | Error::Watch(_) | Error::Io { .. } => {}
        }
        self
    }
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Recipe { .. } => Exit::Usage,
            Error::Data(..) | Error::Leaks(_) => Exit::Data,
            Error::Gate(_) => Exit::Quality,
            Error::Artifact { .. } | Error::Runs(..) | Error::Io { .. } => Exit::Failure,
            Error::Task(error) => error.exit(),
            Error::Read(error) => error.exit(),
            Error::Watch(error) => error.exit(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Recipe { hint, .. } | Error::Artifact { hint, .. } | Error::Data(_, hint) | Error::Runs(_, hint) => hint.clone(),
            Error::Leaks(_) => Some("mend the data as each finding says, or pass leaks=warn to go on anyway".into()),
            Error::Task(error) => error.hint(),
            Error::Read(error) => error.hint(),
            Error::Watch(error) => error.hint(),
            Error::Gate(_) | Error::Io { .. } => None,
        }
    }
}
