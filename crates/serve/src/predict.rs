//! `POST /predict`: rows in, predictions out.

use crate::answers::{Answer, Rows, UNSEEN_LISTED, to_csv};
use crate::app::{App, Asked};
use crate::ask::{Answered, ask};
use crate::problem::Problem;
use crate::rows::Inputs;
use crate::service::{Service, Which};
use crate::{form, pictures, reader};
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cupola_data::{Input, ReadOptions};
use cupola_task::Columns;
use std::sync::Arc;

/// What a body is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Json,
    Csv,
    Tsv,
    /// A form with files.
    Multipart,
}

pub(crate) async fn predict(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    answer(&app, (&app.service(None)?, None), asked, &headers, body).await
}

pub(crate) async fn predict_named(
    State(app): State<Arc<App>>,
    Path(which): Path<Which>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    answer(&app, (&app.service(Some(&which.model))?, which.version.as_deref()), asked, &headers, body).await
}

async fn answer(
    app: &Arc<App>,
    which: (&Arc<Service>, Option<&str>),
    asked: Asked,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (sent_as, answered_as) = forms(headers)?;
    let body = reader::read(headers, body, app.options.max_body_bytes, asked.deadline).await?;
    let bytes = body.len();
    let sent = match sent_as {
        Form::Multipart => Sent::Form(form::read(headers, body).await?),
        _ => Sent::Bytes(body),
    };
    let limit = app.options.max_rows;
    let read = move |inputs: &Inputs| {
        let columns = match sent {
            Sent::Form(form) => form.columns(inputs, limit),
            Sent::Bytes(body) if sent_as == Form::Json => inputs.read_json(&body, limit),
            Sent::Bytes(body) => from_csv(inputs, body, sent_as, limit),
        };
        Ok((columns?, ()))
    };
    ask(app, which, asked, bytes, read, move |answered| Ok(write(answered, answered_as))).await
}

/// A body as it came.
enum Sent {
    Bytes(Vec<u8>),
    Form(form::Form),
}

fn write(answered: Answered<()>, form: Form) -> Response {
    let (model, unseen) = (&answered.model, &answered.unseen[..answered.unseen.len().min(UNSEEN_LISTED)]);
    let mark = answered.mark();
    let (content_type, bytes) = match form {
        Form::Json => {
            let (hash, version) = (model.artifact.hash(), &*model.version);
            let predictions = Rows::new(answered.predictions);
            let body = Answer { model: &model.name, version, hash, id: &answered.id, logged: answered.logged, predictions, unseen };
            ("application/json", serde_json::to_vec(&body).expect("names, numbers and texts are JSON"))
        }
        _ => ("text/csv; charset=utf-8", to_csv(&answered.predictions)),
    };
    (mark, [(header::CONTENT_TYPE, content_type)], bytes).into_response()
}

/// What comes and what is wanted back: the same, unless `Accept` says otherwise.
fn forms(headers: &HeaderMap) -> Result<(Form, Form), Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let asked = match media.as_str() {
        "text/csv" | "application/csv" => Form::Csv,
        "text/tab-separated-values" => Form::Tsv,
        "multipart/form-data" => Form::Multipart,
        // `curl --data` says that it sends a form when nothing else is said.
        "" | "application/json" | "text/json" | "text/plain" | "application/x-www-form-urlencoded" => Form::Json,
        other => {
            let message = format!("content-type {:?} is not supported", crate::problem::shorten(other));
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
                .with_hint("send application/json, text/csv or multipart/form-data"));
        }
    };
    let accept = text(header::ACCEPT);
    let answered = match (accept.contains("text/csv"), accept.contains("application/json")) {
        (true, false) => Form::Csv,
        (false, true) => Form::Json,
        _ if matches!(asked, Form::Json | Form::Multipart) => Form::Json,
        _ => Form::Csv,
    };
    Ok((asked, answered))
}

const CSV: &str = "send a line of column names and a line for each row; quote fields that hold the delimiter";

fn from_csv(inputs: &Inputs, body: Vec<u8>, form: Form, max_rows: usize) -> Result<Columns, Problem> {
    let (format, delimiter) = if form == Form::Tsv { ("tsv", b'\t') } else { ("csv", b',') };
    let options = ReadOptions {
        format: Some(format.to_owned()),
        delimiter: Some(delimiter),
        max_bytes: body.len().max(1) as u64,
        missing_values: inputs.missing_values(),
        ..ReadOptions::default()
    };
    let input = Input::Bytes { name: "body".to_owned(), bytes: body.into() };
    let raw = cupola_data::read(&input, &options).map_err(|error| Problem::bad(error).with_hint(CSV))?;
    if raw.columns.rows() > max_rows {
        return Err(Problem::too_large(format!("found {} rows, wanted at most {max_rows}", raw.columns.rows()))
            .with_hint("send fewer rows at once"));
    }
    inputs.check_names(&raw.columns)?;
    pictures::decoded(inputs, raw.columns)
}
