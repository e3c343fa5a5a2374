//! Pages for people and the description for programs. Everything a page needs comes from this server.

mod monitor;
mod openapi;
mod page;

pub(crate) use page::frame;

use crate::app::App;
use crate::call::Call;
use crate::problem::Problem;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Json, extract::rejection::QueryRejection};
use maud::Markup;
use serde::Deserialize;
use std::sync::Arc;

/// How pages look.
pub(crate) const STYLE: &str = include_str!("page.css");

/// Nothing from elsewhere, nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Default, Deserialize)]
pub(crate) struct Choice {
    model: Option<String>,
}

pub(crate) async fn try_page(State(app): State<Arc<App>>, choice: Result<Query<Choice>, QueryRejection>) -> Response {
    let name = choice.map(|Query(choice)| choice.model).unwrap_or_default();
    match app.service(name.as_deref()) {
        Ok(service) => html(page::try_page(&app, &service.champion())),
        Err(problem) => problem.into_response(),
    }
}

pub(crate) async fn docs(State(app): State<Arc<App>>) -> Response {
    html(page::docs(&app))
}

pub(crate) async fn openapi(State(app): State<Arc<App>>) -> Response {
    Json(openapi::openapi(&app)).into_response()
}

pub(crate) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

pub(crate) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page.js")).into_response()
}

pub(crate) async fn monitor_script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("monitor.js")).into_response()
}

pub(crate) async fn monitor(State(app): State<Arc<App>>, choice: Result<Query<Choice>, QueryRejection>) -> Response {
    let name = choice.map(|Query(choice)| choice.model).unwrap_or_default();
    let service = match app.service(name.as_deref()) {
        Ok(service) => service,
        Err(problem) => return problem.into_response(),
    };
    // The registry may be on another machine, and the monitor may be counting.
    match tokio::task::spawn_blocking(move || monitor::page(&app, &service)).await {
        Ok(page) => html(page),
        Err(_) => Problem::panicked().into_response(),
    }
}

pub(crate) async fn monitor_json(call: Call) -> Result<Response, Problem> {
    let found = tokio::task::spawn_blocking(move || monitor::json(&call.service)).await.map_err(|_| Problem::panicked())?;
    Ok(Json(found?).into_response())
}

fn html(markup: Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, markup.into_string()).into_response()
}
