//! `POST /predict`: rows in, predictions out.

use crate::answers::{Answered, Rows, UNSEEN_LISTED, to_csv};
use crate::app::{App, Deadline, Model};
use crate::problem::Problem;
use crate::rows::{Inputs, Unseen};
use crate::{form, pictures, reader};
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cupola_data::{Input, ReadOptions};
use cupola_task::{Columns, Kind, Predictions};
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
    Extension(deadline): Extension<Deadline>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let model = app.model(None)?;
    answer(app, model, deadline, &headers, body).await
}

pub(crate) async fn predict_named(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Extension(deadline): Extension<Deadline>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let model = app.model(Some(&name))?;
    answer(app, model, deadline, &headers, body).await
}

async fn answer(app: Arc<App>, model: Arc<Model>, deadline: Deadline, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    let (asked, answered) = forms(headers)?;
    let body = reader::read(headers, body, app.options.max_body_bytes, deadline.0).await?;
    let sent = match asked {
        Form::Multipart => Sent::Form(form::read(headers, body).await?),
        _ => Sent::Bytes(body),
    };
    let limit = app.options.max_rows;
    let read = move |inputs: &Inputs| {
        let columns = match sent {
            Sent::Form(form) => form.columns(inputs, limit),
            Sent::Bytes(body) if asked == Form::Json => inputs.read_json(&body, limit),
            Sent::Bytes(body) => from_csv(inputs, body, asked, limit),
        };
        Ok((columns?, ()))
    };
    let write = move |model: &Model, predictions, unseen: &[Unseen], ()| Ok(write(model, predictions, unseen, answered));
    let content_type = if answered == Form::Json { "application/json" } else { "text/csv; charset=utf-8" };
    let bytes = ask(&app, &model, deadline, read, write).await?;
    Ok(([(header::CONTENT_TYPE, content_type)], bytes).into_response())
}

/// A body as it came.
enum Sent {
    Bytes(Vec<u8>),
    Form(form::Form),
}

/// Reads a request's rows, asks a model, counts what it was asked, and writes the answer. Small requests wait for others where the model
/// answers in batches. What `read` gives beside the rows goes to `write`.
pub(crate) async fn ask<R: Send + 'static, T: Send + 'static>(
    app: &Arc<App>,
    model: &Arc<Model>,
    deadline: Deadline,
    read: impl FnOnce(&Inputs) -> Result<(Columns, R), Problem> + Send + 'static,
    write: impl FnOnce(&Model, Predictions, &[Unseen], R) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let work = {
        let (app, model) = (app.clone(), model.clone());
        move || {
            let (columns, rest) = read(&model.inputs)?;
            let columns = conformed(&model, &columns)?;
            let unseen = count(&app, &model, &columns);
            if model.batcher.as_ref().is_some_and(|batcher| batcher.takes(columns.rows())) {
                return Ok(Step::Gather { columns, unseen, rest, write });
            }
            let predictions = model.artifact.answer(&columns).map_err(|error| Problem::fault(&error))?;
            write(&model, predictions, &unseen, rest).map(Step::Done)
        }
    };
    match (app.desk.run(deadline.0, work).await?, &model.batcher) {
        (Step::Gather { columns, unseen, rest, write }, Some(batcher)) => {
            write(model, batcher.ask(app, model, columns, deadline.0).await?, &unseen, rest)
        }
        (Step::Gather { .. }, None) => unreachable!("only a model with a batcher gathers"),
        (Step::Done(done), _) => Ok(done),
    }
}

/// How far a request has come on its worker.
enum Step<T, R, W> {
    Done(T),
    Gather { columns: Columns, unseen: Vec<Unseen>, rest: R, write: W },
}

/// The model's inputs, typed.
fn conformed(model: &Model, columns: &Columns) -> Result<Columns, Problem> {
    let columns = model.artifact.conform(columns, &|row| format!("row {}", row + 1)).map_err(|error| misfit(&model.inputs, error))?;
    Ok(columns.select(|name| model.inputs.input(name).is_some()))
}

fn count(app: &App, model: &Model, columns: &Columns) -> Vec<Unseen> {
    let unseen = model.inputs.unseen(columns);
    app.metrics.rows(columns.rows());
    for run in unseen.chunk_by(|a, b| a.column == b.column) {
        app.metrics.unseen(&model.name, &run[0].column, run.len() as u64);
    }
    unseen
}

/// A cell that does not fit its column, with column and row where the crate below names them.
fn misfit(inputs: &Inputs, error: cupola_train::Error) -> Problem {
    match error {
        // Its hint is for whoever trains: recipe keys are no use to a client.
        cupola_train::Error::Read(cupola_data::Error::Column { column, place, found, wanted, .. }) => {
            let row = place.strip_prefix("row ").and_then(|row| row.parse().ok());
            let is_image = inputs.input(&column).is_some_and(|input| matches!(input.kind, Kind::Image { .. }));
            let unknown = "send nothing (null in JSON, an empty cell in CSV) where the value is not known";
            Problem::misfit(&column, row, found, wanted).with_hint(if is_image { pictures::HINT } else { unknown })
        }
        error => Problem::fault(&error),
    }
}

fn write(model: &Model, predictions: Predictions, unseen: &[Unseen], form: Form) -> Vec<u8> {
    if form != Form::Json {
        return to_csv(&predictions);
    }
    let unseen = &unseen[..unseen.len().min(UNSEEN_LISTED)];
    let answered = Answered { model: &model.name, hash: model.artifact.hash(), predictions: Rows::new(predictions), unseen };
    serde_json::to_vec(&answered).expect("names, numbers and texts are JSON")
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
