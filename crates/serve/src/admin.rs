//! `/admin`: which versions a name has, and which of them answers. What is changed here holds for every server of the registry; this one has
//! exchanged its models when it answers.

use crate::app::{App, Asked};
use crate::problem::Problem;
use crate::reader;
use crate::service::{Service, Which};
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use cupola_watch::registry::{CHALLENGER, Registry};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Largest body here.
const BODY_MAX: usize = 64 << 10;
/// Most decisions that are listed.
const DECISIONS_MAX: usize = 1000;

/// What a change is to be.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// A number or an alias; the challenger when nothing is said.
    version: Option<String>,
    /// The alias to move, or to take away when no version is named.
    alias: Option<String>,
    /// What is kept with the decision.
    why: Option<String>,
}

pub(crate) async fn describe(State(app): State<Arc<App>>, Path(which): Path<Which>) -> Result<Response, Problem> {
    let (_, registry, name) = find(&app, &which)?;
    let about = work(move || {
        let versions: Vec<Value> = registry
            .versions(&name)?
            .iter()
            .map(|version| {
                json!({"version": version.number, "hash": version.hash, "parent": version.parent, "origin": version.origin,
                       "facts": version.facts, "added_us": version.added_us})
            })
            .collect();
        let aliases: serde_json::Map<String, Value> =
            registry.aliases(&name)?.into_iter().map(|(alias, number)| (alias, number.into())).collect();
        let decisions = registry.decisions(&name)?;
        let decisions = &decisions[decisions.len().saturating_sub(DECISIONS_MAX)..];
        Ok(json!({"model": name, "versions": versions, "aliases": aliases, "decisions": decisions}))
    });
    Ok(Json(about.await?).into_response())
}

pub(crate) async fn promote(
    State(app): State<Arc<App>>,
    Path(which): Path<Which>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let change = read(&headers, body, &asked).await?;
    decide(app, which, move |registry, name, at_us| {
        let version = registry.find(name, change.version.as_deref().unwrap_or(CHALLENGER))?;
        Ok(json!(registry.promote(name, version.number, at_us, &why(&change))?))
    })
    .await
}

pub(crate) async fn rollback(
    State(app): State<Arc<App>>,
    Path(which): Path<Which>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let change = read(&headers, body, &asked).await?;
    decide(app, which, move |registry, name, at_us| Ok(json!(registry.rollback(name, at_us, &why(&change))?))).await
}

pub(crate) async fn alias(
    State(app): State<Arc<App>>,
    Path(which): Path<Which>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let change = read(&headers, body, &asked).await?;
    let alias = change.alias.clone().ok_or_else(|| Problem::bad("found no alias, wanted one").with_hint(SHAPE))?;
    decide(app, which, move |registry, name, at_us| {
        let decision = match &change.version {
            Some(version) => registry.alias(name, &alias, registry.find(name, version)?.number, at_us, &why(&change))?,
            None => registry.unalias(name, &alias, at_us, &why(&change))?,
        };
        Ok(json!(decision))
    })
    .await
}

const SHAPE: &str = r#"send {"version": "2", "alias": "challenger", "why": "..."}; each may be left out where it is not needed"#;

async fn read(headers: &HeaderMap, body: Body, asked: &Asked) -> Result<Change, Problem> {
    let bytes = reader::read(headers, body, BODY_MAX, asked.deadline).await?;
    if bytes.is_empty() {
        return Ok(Change::default());
    }
    serde_json::from_slice(&bytes).map_err(|error| Problem::bad(format!("malformed JSON: {error}")).with_hint(SHAPE))
}

fn why(change: &Change) -> Value {
    json!({"by": "http", "why": change.why.as_deref().unwrap_or_default()})
}

/// Changes the registry and exchanges the models at once.
async fn decide(
    app: Arc<App>,
    which: Which,
    change: impl FnOnce(&Registry, &str, i64) -> cupola_watch::Result<Value> + Send + 'static,
) -> Result<Response, Problem> {
    let (service, registry, name) = find(&app, &which)?;
    let (looked, served) = (app.clone(), service.clone());
    let decision = work(move || {
        let decision = change(&registry, &name, (looked.world.now_us)())?;
        served.refresh(&looked.options);
        Ok(decision)
    });
    let decision = decision.await?;
    let champion = service.champion();
    let served = json!({"version": champion.version, "hash": champion.artifact.hash(), "fault": service.reloads().fault});
    Ok(Json(json!({"decision": decision, "champion": served})).into_response())
}

fn find(app: &App, which: &Which) -> Result<(Arc<Service>, Arc<Registry>, String), Problem> {
    let service = app.service(Some(&which.model))?;
    let registry = service.registry().cloned().ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, format!("{} is served from a file, not from the registry", service.name))
            .with_hint("`cupola registry add RUN` adds it; then serve it by its name")
    })?;
    let name = service.name.to_string();
    Ok((service, registry, name))
}

/// Asks the registry on a thread that may block.
async fn work<T: Send + 'static>(work: impl FnOnce() -> cupola_watch::Result<T> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| Problem::panicked())?;
    done.map_err(|error| match error {
        cupola_watch::Error::Refused { .. } => Problem::fault(&error),
        error => Problem::away(&error),
    })
}
