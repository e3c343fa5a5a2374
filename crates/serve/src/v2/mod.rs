//! The Open Inference Protocol, version 2, over REST: one tensor per named column, with the binary tensor extension.
//! Source: the protocol's `inference_rest.yaml` and the extension's description at github.com/kserve/open-inference-protocol
//! and github.com/triton-inference-server/server (`extension_binary_data.md`).

mod outputs;
mod request;

use crate::app::App;
use crate::ask::{Answered, ask, unknown_version};
use crate::call::Call;
use crate::extent::check_values;
use crate::problem::Problem;
use crate::rows::{Input, Inputs};
use crate::service::Model;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cupola_task::Kind;
use outputs::Output;
use request::InferRequest;
use serde_json::json;
use std::sync::Arc;

/// Says where the JSON of a body ends and raw tensors begin.
const JSON_LENGTH: &str = "inference-header-content-length";

/// The model that is described, or tells whether it is ready.
fn find(call: &Call) -> Result<Arc<Model>, Problem> {
    let lineup = call.service.lineup();
    match call.version.as_deref() {
        None => Ok(lineup.champion.clone()),
        Some(version) => lineup.version(version).cloned().ok_or_else(|| unknown_version(&lineup, version)),
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

pub(crate) async fn model_ready(call: Call) -> Result<Response, Problem> {
    let model = find(&call)?;
    let is_ready = !call.app.is_draining();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(json!({"name": model.name, "ready": is_ready}))).into_response())
}

pub(crate) async fn describe(call: Call) -> Result<Response, Problem> {
    let model = find(&call)?;
    let datatype = |input: &Input| if input.kind == Kind::Number { "FP64" } else { "BYTES" };
    let input = |input: &Input| json!({"name": input.name, "datatype": datatype(input), "shape": [-1]});
    let inputs: Vec<_> = model.inputs.columns.iter().map(input).collect();
    let outputs: Vec<_> = outputs::outputs(&model.sample).iter().map(Output::describe).collect();
    let lineup = call.service.lineup();
    let versions: Vec<&str> = lineup.models().map(|(_, model)| &*model.version).collect();
    let body = json!({"name": model.name, "versions": versions, "platform": "cupola", "inputs": inputs, "outputs": outputs});
    Ok(Json(body).into_response())
}

pub(crate) async fn infer(mut call: Call) -> Result<Response, Problem> {
    let max_rows = call.app.options.max_rows;
    let body = call.rows().await?;
    let json_length = json_length(&call.headers, body.len())?;
    let bytes = body.len();
    let read = move |inputs: &Inputs| {
        let (json, binary) = body.split_at(json_length);
        check_values(json, inputs.values_max(max_rows))?;
        let mut request = InferRequest::parse(json)?;
        Ok((request.columns(inputs, binary, max_rows)?, request))
    };
    let write = |answered: Answered<InferRequest>| {
        let chosen = answered.rest.choose(outputs::outputs(&answered.predictions))?;
        let mark = answered.mark();
        Ok((mark, outputs::write(&answered, chosen)))
    };
    // The protocol knows no 422.
    let (mark, (json_length, bytes)) = ask(call, bytes, read, write).await.map_err(Problem::misfit_as_bad)?;
    let is_binary = json_length < bytes.len();
    let mut response = (mark, Body::from(bytes)).into_response();
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
