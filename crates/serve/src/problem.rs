//! What is wrong with a request, as the client is told: JSON with column, row, found, wanted and a hint.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cupola_task::Fault;
use serde::Serialize;
use std::fmt::Display;

/// Longest piece of the client's own text that an answer repeats.
const QUOTE_MAX: usize = 80;

/// What is found where a column is not there.
pub(crate) const NO_COLUMN: &str = "no such column";

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    message: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<Box<str>>,
    /// Counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<Box<str>>,
    #[serde(skip)]
    retry_after: bool,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, message: impl Display) -> Problem {
        Problem {
            status,
            message: message.to_string().into(),
            column: None,
            row: None,
            found: None,
            wanted: None,
            hint: None,
            retry_after: false,
        }
    }

    /// The request cannot be understood.
    pub(crate) fn bad(message: impl Display) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, message)
    }

    /// The request is understood, and a value in it does not fit the model.
    pub(crate) fn misfit(column: &str, row: Option<usize>, found: impl Display, wanted: impl Display) -> Problem {
        let (found, wanted) = (shorten(&found.to_string()), wanted.to_string());
        let place = row.map_or_else(|| format!("column {column}"), |row| format!("column {column} in row {row}"));
        let message = format!("{place}: found {found}, wanted {wanted}");
        let (column, found, wanted) = (Some(shorten(column).into()), Some(found.into()), Some(wanted.into()));
        Problem { column, row, found, wanted, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message) }
    }

    /// The column that does not fit, and whether it is not there at all.
    pub(crate) fn column(&self) -> Option<(&str, bool)> {
        self.column.as_deref().map(|column| (column, self.found.as_deref() == Some(NO_COLUMN)))
    }

    /// What a crate below says about the client's rows.
    pub(crate) fn fault(fault: &impl Fault) -> Problem {
        Problem { hint: fault.hint().map(Into::into), ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, fault) }
    }

    pub(crate) fn too_large(message: impl Display) -> Problem {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub(crate) fn queue_full() -> Problem {
        Problem { retry_after: true, ..Problem::new(StatusCode::TOO_MANY_REQUESTS, "the queue is full: come back in a second") }
    }

    pub(crate) fn overloaded() -> Problem {
        Problem { retry_after: true, ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no worker was free in time") }
    }

    /// Somebody tries tokens.
    pub(crate) fn guessing() -> Problem {
        let message = "this address has presented too many tokens that are not known: come back in a second";
        Problem { retry_after: true, ..Problem::new(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// A store is away: what was sent is not kept, and may be sent again.
    pub(crate) fn away(error: &impl Fault) -> Problem {
        let hint = error.hint().unwrap_or_else(|| "nothing of it was kept: send it again later".to_owned());
        Problem { retry_after: true, ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, error).with_hint(hint) }
    }

    pub(crate) fn late() -> Problem {
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "the answer was not ready in time").with_hint("send fewer rows at once")
    }

    pub(crate) fn panicked() -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the prediction failed inside the server: this is our mistake, not yours")
    }

    #[must_use]
    pub(crate) fn with_hint(self, hint: impl Display) -> Problem {
        Problem { hint: Some(hint.to_string().into()), ..self }
    }

    #[must_use]
    pub(crate) fn with_status(self, status: StatusCode) -> Problem {
        Problem { status, ..self }
    }

    /// The same, where a value that does not fit counts as malformed.
    #[must_use]
    pub(crate) fn misfit_as_bad(self) -> Problem {
        let is_misfit = self.status == StatusCode::UNPROCESSABLE_ENTITY;
        if is_misfit { self.with_status(StatusCode::BAD_REQUEST) } else { self }
    }

    /// The body: an object under `error`, or, in the Open Inference Protocol, a text.
    fn body(&self, request_id: &str, is_protocol: bool) -> Vec<u8> {
        let json = if is_protocol {
            let hint = self.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            serde_json::json!({ "error": format!("{}{hint}", self.message) })
        } else {
            serde_json::json!({ "error": self, "request_id": request_id })
        };
        json.to_string().into_bytes()
    }

    /// Status and headers.
    fn head(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        if self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // The second is for browsers, which ask for a password.
            for scheme in ["Bearer realm=\"cupola\"", "Basic realm=\"cupola\""] {
                response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
            }
        }
        response
    }

    /// Writes the body into a response that has the head.
    pub(crate) fn write(&self, response: &mut Response, request_id: &str, is_protocol: bool) {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = Body::from(self.body(request_id, is_protocol));
    }

    /// The whole answer, for a request whose id is known.
    pub(crate) fn answer(&self, request_id: &str, is_protocol: bool) -> Response {
        let mut response = self.head();
        self.write(&mut response, request_id, is_protocol);
        response
    }
}

/// The client's own text, cut to a length that is fit to repeat.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(QUOTE_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl IntoResponse for Problem {
    /// The body comes later, with the request's id: see [`Problem::write`].
    fn into_response(self) -> Response {
        let mut response = self.head();
        response.extensions_mut().insert(self);
        response
    }
}
