//! Pages for people and the description for programs. Everything a page needs comes from this server.

mod openapi;
mod page;

use crate::app::App;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Json, extract::rejection::QueryRejection};
use maud::Markup;
use serde::Deserialize;
use std::sync::Arc;

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
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page.css")).into_response()
}

pub(crate) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page.js")).into_response()
}

fn html(markup: Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, markup.into_string()).into_response()
}
