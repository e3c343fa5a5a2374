//! A request to a service as its handler takes it: from the path which service and version, from the head what is known, and the body to read.

use crate::app::{App, Asked};
use crate::problem::Problem;
use crate::reader::{self, Pace};
use crate::service::Service;
use axum::RequestExt;
use axum::body::Body;
use axum::extract::{FromRequest, RawPathParams, Request};
use axum::http::HeaderMap;
use std::sync::Arc;

pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    /// The one of the path's `{model}`; the first one where the path names none.
    pub(crate) service: Arc<Service>,
    /// The path's `{version}`: a number or an alias.
    pub(crate) version: Option<String>,
    pub(crate) asked: Asked,
    pub(crate) headers: HeaderMap,
    /// Whether it is to be said what made the answers: `explain=true` behind the path.
    pub(crate) explains: bool,
    body: Body,
}

impl FromRequest<Arc<App>> for Call {
    type Rejection = Problem;

    /// # Errors
    /// 404 when no such service is there.
    async fn from_request(mut request: Request, app: &Arc<App>) -> Result<Call, Problem> {
        let parameters = request.extract_parts::<RawPathParams>().await.map_err(|_| Problem::bad("the path is not UTF-8"))?;
        let named = |wanted: &str| parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned());
        let service = app.service(named("model").as_deref())?;
        let asked = request.extensions().get::<Asked>().expect("what stands around every request knows its head").clone();
        let (parts, body) = request.into_parts();
        let explains = parts.uri.path().ends_with("/predict") && explains(parts.uri.query().unwrap_or_default())?;
        Ok(Call { app: app.clone(), service, version: named("version"), asked, headers: parts.headers, explains, body })
    }
}

/// What a query says about explanations. Other keys are not looked at, as proxies add some.
fn explains(query: &str) -> Result<bool, Problem> {
    let values: Vec<&str> =
        query.split('&').filter_map(|pair| pair.strip_prefix("explain=").or((pair == "explain").then_some("true"))).collect();
    match values[..] {
        [] | ["false"] => Ok(false),
        ["true"] => Ok(true),
        _ => Err(Problem::bad("explain: found another value, wanted true or false, once").with_hint("POST /predict?explain=true")),
    }
}

impl Call {
    /// Reads the body of a request for an answer, once.
    ///
    /// # Errors
    /// As [`reader::read`].
    pub(crate) async fn rows(&mut self) -> Result<Vec<u8>, Problem> {
        self.body(self.app.options.max_body_bytes).await
    }

    /// Reads the body, once.
    ///
    /// # Errors
    /// As [`reader::read`].
    pub(crate) async fn body(&mut self, limit: usize) -> Result<Vec<u8>, Problem> {
        let pace = Pace { grace: self.app.options.header_timeout, deadline: self.asked.deadline };
        reader::read(&self.headers, std::mem::take(&mut self.body), limit, pace).await
    }
}
