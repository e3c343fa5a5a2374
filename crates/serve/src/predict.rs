//! `POST /predict`: rows in, predictions out.

use crate::answers::{Answer, Explanations, Rows, UNSEEN_LISTED, to_csv};
use crate::ask::{Answered, ask};
use crate::call::Call;
use crate::extent::check_lines;
use crate::problem::Problem;
use crate::rows::Inputs;
use crate::{form, pictures};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cupola_data::{Input, ReadOptions};
use cupola_task::Columns;

/// What a body is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Json,
    Csv,
    Tsv,
    /// A form with files.
    Multipart,
}

pub(crate) async fn predict(mut call: Call) -> Result<Response, Problem> {
    let (sent_as, answered_as) = forms(&call.headers)?;
    if call.explains && answered_as != Form::Json {
        return Err(Problem::bad("explanations are no table").with_hint("say accept: application/json"));
    }
    let boundary = (sent_as == Form::Multipart).then(|| form::boundary(&call.headers)).transpose()?;
    let max_rows = call.app.options.max_rows;
    let body = call.rows().await?;
    let (bytes, headers) = (body.len(), call.headers.clone());
    let read = move |inputs: &Inputs| {
        let columns = match (sent_as, boundary) {
            (Form::Multipart, Some(boundary)) => form::read(&headers, &boundary, body)?.columns(inputs, max_rows),
            (Form::Json, _) => inputs.read_json(&body, max_rows),
            _ => from_csv(inputs, body, sent_as, max_rows),
        };
        Ok((columns?, ()))
    };
    ask(call, bytes, read, move |answered| Ok(write(answered, answered_as))).await
}

fn write(answered: Answered<()>, form: Form) -> Response {
    let (model, unseen) = (&answered.model, &answered.unseen[..answered.unseen.len().min(UNSEEN_LISTED)]);
    let mark = answered.mark();
    let (content_type, bytes) = match form {
        Form::Json => {
            let (hash, version) = (model.artifact.hash(), &*model.version);
            let predictions = Rows::new(&model.artifact, &answered.predictions);
            let is_one = model.artifact.pipelines().len() == 1;
            let explanations = answered.explained.map(|rows| rows.into_iter().map(|targets| Explanations { targets, is_one }).collect());
            let (name, logged) = (&*model.name, answered.logged);
            let body = Answer { model: name, version, hash, id: &answered.id, logged, predictions, explanations, unseen };
            ("application/json", serde_json::to_vec(&body).expect("names, numbers and texts are JSON"))
        }
        _ => ("text/csv; charset=utf-8", to_csv(&model.artifact, &answered.predictions)),
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
    check_lines(&body, delimiter, max_rows)?;
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
