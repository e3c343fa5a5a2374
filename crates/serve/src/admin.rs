//! `/admin`: which versions a name has, and which of them answers. What is changed here holds for every server of the registry; this one has
//! exchanged its models when it answers.

use crate::app::App;
use crate::auth::is_of_own_page;
use crate::call::Call;
use crate::problem::Problem;
use crate::service::Service;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cupola_watch::registry::{CHALLENGER, Decision, Registry};
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
    /// The alias to move, or to take away when no version is named; the challenger's when nothing is said.
    alias: Option<String>,
    /// What is kept with the decision.
    why: Option<String>,
    /// Whose token asked for it.
    #[serde(skip)]
    by: Option<Arc<str>>,
}

/// Whoever may ask a model may not exchange it: where no tokens say who may, these pages answer on the machine of the server alone, and no page
/// of another server that somebody there looks at.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Result<Response, Problem> {
    if let Some(message) = trespass(&app, request.headers()) {
        let hint = "pass tokens=FILE; or `cupola registry` does the same on the machine of the server";
        return Err(Problem::new(StatusCode::FORBIDDEN, message).with_hint(hint));
    }
    Ok(next.run(request).await)
}

fn trespass(app: &App, headers: &HeaderMap) -> Option<&'static str> {
    if app.gate.is_some() {
        return None;
    }
    if !app.address().ip().is_loopback() {
        return Some("without tokens models are administered from the machine of the server alone");
    }
    let is_own = !headers.contains_key(header::ORIGIN) || is_of_own_page(headers);
    (!is_own).then_some("models are not administered from pages of other servers")
}

pub(crate) async fn describe(call: Call) -> Result<Response, Problem> {
    let registry = registry(&call.service)?;
    let name = call.service.name.clone();
    let about = work(move || {
        let versions = registry.versions(&name)?;
        let aliases: serde_json::Map<String, Value> =
            registry.aliases(&name)?.into_iter().map(|(alias, number)| (alias, number.into())).collect();
        let decisions = registry.decisions(&name)?;
        let decisions = &decisions[decisions.len().saturating_sub(DECISIONS_MAX)..];
        Ok(json!({"model": name, "versions": versions, "aliases": aliases, "decisions": decisions}))
    });
    Ok(Json(about.await?).into_response())
}

pub(crate) async fn promote(call: Call) -> Result<Response, Problem> {
    decide(call, |registry, name, change, at_us| {
        let version = registry.find(name, change.version.as_deref().unwrap_or(CHALLENGER))?;
        registry.promote(name, version.number, at_us, &change.facts())
    })
    .await
}

pub(crate) async fn rollback(call: Call) -> Result<Response, Problem> {
    decide(call, |registry, name, change, at_us| registry.rollback(name, at_us, &change.facts())).await
}

pub(crate) async fn alias(call: Call) -> Result<Response, Problem> {
    decide(call, |registry, name, change, at_us| {
        let alias = change.alias.as_deref().unwrap_or(CHALLENGER);
        match &change.version {
            Some(version) => registry.alias(name, alias, registry.find(name, version)?.number, at_us, &change.facts()),
            None => registry.unalias(name, alias, at_us, &change.facts()),
        }
    })
    .await
}

const SHAPE: &str = r#"send {"version": "2", "alias": "challenger", "why": "..."}; each may be left out where it is not needed"#;

impl Change {
    async fn read(call: &mut Call) -> Result<Change, Problem> {
        let bytes = call.body(BODY_MAX).await?;
        let said = if bytes.is_empty() { Ok(Change::default()) } else { serde_json::from_slice(&bytes) };
        let said = said.map_err(|error| Problem::bad(format!("malformed JSON: {error}")).with_hint(SHAPE))?;
        Ok(Change { by: call.asked.by.clone(), ..said })
    }

    /// What is kept with the decision.
    fn facts(&self) -> Value {
        json!({"by": self.by.as_deref().unwrap_or("http"), "why": self.why.as_deref().unwrap_or_default()})
    }
}

/// Changes the registry and exchanges the models at once.
async fn decide(
    mut call: Call,
    change: impl FnOnce(&Registry, &str, &Change, i64) -> cupola_watch::Result<Decision> + Send + 'static,
) -> Result<Response, Problem> {
    let said = Change::read(&mut call).await?;
    let registry = registry(&call.service)?;
    let (app, service) = (call.app, call.service.clone());
    let decision = work(move || {
        let decision = change(&registry, &service.name, &said, (app.world.now_us)())?;
        service.refresh(&app.options);
        Ok(decision)
    });
    let decision = decision.await?;
    let champion = call.service.champion();
    let served = json!({"version": champion.version, "hash": champion.artifact.hash(), "fault": call.service.reloads().fault});
    Ok(Json(json!({"decision": decision, "champion": served})).into_response())
}

fn registry(service: &Service) -> Result<Arc<Registry>, Problem> {
    service.registry().cloned().ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, format!("{} is served from a file, not from the registry", service.name))
            .with_hint("`cupola registry add RUN` adds it; then serve it by its name")
    })
}

/// Asks the registry on a thread that may block.
async fn work<T: Send + 'static>(work: impl FnOnce() -> cupola_watch::Result<T> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| Problem::panicked())?;
    done.map_err(|error| match error {
        cupola_watch::Error::Refused { .. } => Problem::fault(&error),
        error => Problem::away(&error),
    })
}
