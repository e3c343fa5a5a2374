//! Why a server cannot start or go on. What is wrong with a request is a [`Problem`](crate::problem::Problem).

use cupola_task::{Exit, Fault};
use std::fmt::Display;
use std::net::SocketAddr;

/// A fault of this crate. Texts are fragments that follow "failed to".
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The address is none.
    #[error("setting serve.http: found {found:?}, wanted an address with a port, as 127.0.0.1:8000")]
    Address {
        /// What was written.
        found: String,
    },
    /// The address can be reached from other machines, and nobody said that this is wanted.
    #[error("serve on {address}: other machines can reach this address, and there is {missing}")]
    Open {
        /// The address.
        address: SocketAddr,
        /// What would guard it.
        missing: &'static str,
    },
    /// A file of tokens, or a certificate with its key, is none. What stands in it is not repeated.
    #[error("read {place}: found {found}, wanted {wanted}")]
    Secret {
        /// File, and line where there are lines.
        place: String,
        /// What stood there, in other words.
        found: String,
        /// What would have been right.
        wanted: String,
    },
    /// There is nothing to serve, or one name for two models.
    #[error("serve models: {0}")]
    Models(String),
    /// A name of the registry has no champion.
    #[error("serve {name}: the registry has no champion of that name")]
    NoChampion {
        /// The name.
        name: String,
    },
    /// A model file that holds nothing to hold its answers against.
    #[error("watch the model: its file holds nothing that answers could be held against")]
    Unwatched,
    /// The operating system refused to listen.
    #[error("listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's own word.
        source: std::io::Error,
    },
    /// A model file does not open.
    #[error(transparent)]
    Model(#[from] cupola_train::Error),
    /// The registry or the log is away.
    #[error(transparent)]
    Watch(#[from] cupola_watch::Error),
    /// A table cannot be read or written.
    #[error(transparent)]
    Data(#[from] cupola_data::Error),
    /// A fault at a seam.
    #[error(transparent)]
    Task(#[from] cupola_task::Error),
}

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Secret`].
    pub(crate) fn secret(place: impl Display, found: impl Display, wanted: impl Display) -> Error {
        Error::Secret { place: place.to_string(), found: found.to_string(), wanted: wanted.to_string() }
    }
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Address { .. }
            | Error::Open { .. }
            | Error::Models(_)
            | Error::NoChampion { .. }
            | Error::Secret { .. }
            | Error::Unwatched => Exit::Usage,
            Error::Listen { .. } => Exit::Failure,
            Error::Model(error) => error.exit(),
            Error::Watch(error) => error.exit(),
            Error::Data(error) => error.exit(),
            Error::Task(error) => error.exit(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Open { address, .. } => Some(format!(
                "pass tls_cert=FILE tls_key=FILE tokens=FILE; or serve on 127.0.0.1:{} behind a proxy; or pass \
                 insecure=true if everyone who reaches it may ask and listen",
                address.port()
            )),
            Error::Listen { source, address } if source.kind() == std::io::ErrorKind::AddrInUse => {
                Some(format!("another program listens on port {}: stop it, or pass http=127.0.0.1:0 for a free one", address.port()))
            }
            Error::NoChampion { name } => {
                Some(format!("`cupola registry add RUN name={name}` adds a model; the first one is the champion"))
            }
            Error::Unwatched => Some("train it again: model files keep a reference since format version 2".to_owned()),
            Error::Model(error) => error.hint(),
            Error::Watch(error) => error.hint(),
            Error::Data(error) => error.hint(),
            Error::Task(error) => error.hint(),
            _ => None,
        }
    }
}
