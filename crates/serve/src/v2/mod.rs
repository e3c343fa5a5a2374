//! The Open Inference Protocol, version 2, over REST: one tensor per named column, with the binary tensor extension.
//! Source: the protocol's `inference_rest.yaml` and the extension's description at github.com/kserve/open-inference-protocol
//! and github.com/triton-inference-server/server (`extension_binary_data.md`).

mod outputs;
mod request;

use crate::app::{App, Deadline, Model};
use crate::predict::ask;
use crate::problem::Problem;
use crate::reader;
use crate::rows::{Input, Inputs, Unseen};
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cupola_task::{Kind, Predictions};
use outputs::Output;
use request::InferRequest;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Says where the JSON of a body ends and raw tensors begin.
const JSON_LENGTH: &str = "inference-header-content-length";

/// A model file is one version; a new one is a new file.
const VERSION: &str = "1";

#[derive(Deserialize)]
pub(crate) struct Which {
    model: String,
    version: Option<String>,
}

impl Which {
    fn find(&self, app: &App) -> Result<Arc<Model>, Problem> {
        match self.version.as_deref() {
            None | Some(VERSION) => app.model(Some(&self.model)),
            Some(version) => {
                let version = crate::problem::shorten(version);
                Err(Problem::new(StatusCode::NOT_FOUND, format!("no version {version} of {}, only {VERSION}", self.model)))
            }
        }
    }
}

pub(crate) async fn server() -> Response {
    Json(json!({"name": "cupola", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"]})).into_response()
}

pub(crate) async fn health(State(app): State<Arc<App>>) -> Response {
    let is_ready = !app.is_draining();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"live": true, "ready": is_ready}))).into_response()
}

pub(crate) async fn model_ready(State(app): State<Arc<App>>, Path(which): Path<Which>) -> Result<Response, Problem> {
    let model = which.find(&app)?;
    let is_ready = !app.is_draining();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(json!({"name": model.name, "ready": is_ready}))).into_response())
}

pub(crate) async fn describe(State(app): State<Arc<App>>, Path(which): Path<Which>) -> Result<Response, Problem> {
    let model = which.find(&app)?;
    let datatype = |input: &Input| if input.kind == Kind::Number { "FP64" } else { "BYTES" };
    let input = |input: &Input| json!({"name": input.name, "datatype": datatype(input), "shape": [-1]});
    let inputs: Vec<_> = model.inputs.columns.iter().map(input).collect();
    let outputs: Vec<_> = outputs::outputs(&model.sample).iter().map(Output::describe).collect();
    let body = json!({"name": model.name, "versions": [VERSION], "platform": "cupola", "inputs": inputs, "outputs": outputs});
    Ok(Json(body).into_response())
}

pub(crate) async fn infer(
    State(app): State<Arc<App>>,
    Path(which): Path<Which>,
    Extension(deadline): Extension<Deadline>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let model = which.find(&app)?;
    let body = reader::read(&headers, body, app.options.max_body_bytes, deadline.0).await?;
    let json_length = json_length(&headers, body.len())?;
    let max_rows = app.options.max_rows;
    let read = move |inputs: &Inputs| {
        let (json, binary) = body.split_at(json_length);
        let mut request = InferRequest::parse(json)?;
        Ok((request.columns(inputs, binary, max_rows)?, request))
    };
    let write = |model: &Model, predictions: Predictions, unseen: &[Unseen], request: InferRequest| {
        let chosen = request.choose(outputs::outputs(&predictions))?;
        Ok(outputs::write(&model.name, request.id.as_deref(), unseen.len(), chosen))
    };
    // The protocol knows no 422.
    let (json_length, bytes) = ask(&app, &model, deadline, read, write).await.map_err(Problem::misfit_as_bad)?;
    let is_binary = json_length < bytes.len();
    let mut response = Response::new(Body::from(bytes));
    let content_type = if is_binary { "application/octet-stream" } else { "application/json" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if is_binary {
        response.headers_mut().insert(JSON_LENGTH, HeaderValue::from(json_length));
    }
    Ok(response)
}

fn json_length(headers: &HeaderMap, body: usize) -> Result<usize, Problem> {
    let Some(text) = headers.get(JSON_LENGTH) else { return Ok(body) };
    let length = text.to_str().ok().and_then(|text| text.parse().ok());
    length
        .filter(|length| *length <= body)
        .ok_or_else(|| Problem::bad(format!("{JSON_LENGTH}: found {text:?}, wanted at most the body's {body} bytes")))
}
