//! What a server holds, its routes, and what happens around every request: id, deadline, measure, panic guard.

use crate::auth::{Gate, Peer};
use crate::batcher::Batcher;
use crate::desk::Desk;
use crate::feedback::{self, Feedback};
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::renewed::exposed;
use crate::service::{Model, Service, Source};
use crate::tls::Tls;
use crate::{Error, Result, ServeOptions, World, admin, pages, predict, v2};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cupola_task::{Event, nearest};
use cupola_watch::log::Logger;
use serde_json::json;
use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use tokio::time::Instant;

pub(crate) struct App {
    pub(crate) services: Vec<Arc<Service>>,
    pub(crate) options: ServeOptions,
    pub(crate) world: World,
    pub(crate) desk: Desk,
    /// Where challengers answer in the shadow: one at a time.
    pub(crate) shadows: Desk,
    pub(crate) feedback: Feedback,
    pub(crate) metrics: Metrics,
    /// Who may ask what; without one everybody may everything.
    pub(crate) gate: Option<Gate>,
    pub(crate) tls: Option<Tls>,
    is_draining: AtomicBool,
    requests: AtomicU64,
    /// Known once the server listens.
    pub(crate) address: OnceLock<SocketAddr>,
}

/// How many answers in the shadow may wait; more are left out.
const SHADOWS_WAITING: usize = 64;

/// What is known of a request from its head.
#[derive(Clone)]
pub(crate) struct Asked {
    /// The client's own id, or one that no other request of this or another process has.
    pub(crate) id: Arc<str>,
    pub(crate) begin: Instant,
    /// By when it must be answered.
    pub(crate) deadline: Instant,
    /// Whose rows they are, when the client says so in `x-key`.
    pub(crate) key: Option<Arc<str>>,
    /// Whose token it carries, where tokens are asked for.
    pub(crate) by: Option<Arc<str>>,
}

/// The routes as 404 and `/docs` list them.
pub(crate) const ROUTES: &[(&str, &str, &str)] = &[
    ("GET", "/", "a page to try the model by hand"),
    ("POST", "/predict", "rows in, predictions out: JSON, CSV, or a form with files"),
    ("POST", "/models/{model}/predict", "the same for one of several models; also under /versions/{version}"),
    ("GET", "/docs", "how to ask, for people"),
    ("GET", "/openapi.json", "how to ask, for programs"),
    ("GET", "/health", "whether the server is up and which models it serves"),
    ("GET", "/metrics", "measures for Prometheus"),
    ("POST", "/feedback", "what turned out to be true of answers, by their ids"),
    ("POST", "/models/{model}/feedback", "the same for one of several models"),
    ("GET", "/admin/models/{model}", "versions, aliases and decisions of a model of the registry"),
    ("POST", "/admin/models/{model}/promote", "makes the challenger, or the version that is named, the champion"),
    ("POST", "/admin/models/{model}/rollback", "goes back to the champion before"),
    ("POST", "/admin/models/{model}/alias", "points an alias to a version, or takes it away"),
    ("GET", "/monitor", "traffic, alarms, quality, drift, versions and decisions, for people"),
    ("GET", "/models/{model}/monitor", "alarms, quality and drift, for programs"),
    ("GET", "/v2", "Open Inference Protocol: the server"),
    ("GET", "/v2/health/live", "Open Inference Protocol: is it up"),
    ("GET", "/v2/health/ready", "Open Inference Protocol: may it be asked"),
    ("GET", "/v2/models/{model}", "Open Inference Protocol: inputs and outputs of a model; also under /versions/{version}"),
    ("GET", "/v2/models/{model}/ready", "Open Inference Protocol: may the model be asked; also under /versions/{version}"),
    ("POST", "/v2/models/{model}/infer", "Open Inference Protocol: tensors in, tensors out; also under /versions/{version}"),
];

impl App {
    pub(crate) fn new(services: Vec<(String, Source)>, options: ServeOptions, world: World) -> Result<App> {
        if services.is_empty() {
            return Err(Error::Models("found none, wanted at least one".to_owned()));
        }
        let mut names = HashSet::new();
        if let Some((name, _)) = services.iter().find(|(name, _)| !names.insert(name.clone())) {
            return Err(Error::Models(format!("found {name} twice, wanted a name for each")));
        }
        let open = |(name, source): (String, Source)| Service::new(name, source, &options, &world).map(Arc::new);
        let secrets = options.tokens.iter().chain(options.tls.as_ref().map(|files| &files.key));
        secrets.filter_map(|path| exposed(path)).for_each(|text| (world.tell)(Event::Warning { text }));
        Ok(App {
            gate: options.tokens.as_deref().map(Gate::open).transpose()?,
            tls: options.tls.as_ref().map(Tls::open).transpose()?,
            services: services.into_iter().map(open).collect::<Result<_>>()?,
            desk: Desk::new(options.workers, options.queue.unwrap_or(ServeOptions::QUEUE)),
            shadows: Desk::new(1, SHADOWS_WAITING),
            feedback: Feedback::new(world.labels(), options.log.durability),
            metrics: Metrics::default(),
            is_draining: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            address: OnceLock::new(),
            options,
            world,
        })
    }

    /// Each service's champion.
    pub(crate) fn champions(&self) -> Vec<Arc<Model>> {
        self.services.iter().map(|service| service.champion()).collect()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        *self.address.get().unwrap_or(&self.options.http)
    }

    /// Where the examples of the docs send their requests.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    pub(crate) fn begin_drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// The service of that name; the first one when none is named.
    pub(crate) fn service(&self, name: Option<&str>) -> Result<Arc<Service>, Problem> {
        let Some(name) = name else { return Ok(self.services[0].clone()) };
        let names = || self.services.iter().map(|service| &*service.name);
        self.services.iter().find(|service| *service.name == *name).cloned().ok_or_else(|| {
            let hint = match nearest(name, names()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("served are: {}", names().collect::<Vec<_>>().join(", ")),
            };
            Problem::new(StatusCode::NOT_FOUND, format!("no model {}", crate::problem::shorten(name))).with_hint(hint)
        })
    }
}

pub(crate) fn router(app: Arc<App>) -> Router {
    let mut router = Router::new()
        .route("/", get(pages::try_page))
        .route("/docs", get(pages::docs))
        .route("/openapi.json", get(pages::openapi))
        .route("/assets/page.css", get(pages::style))
        .route("/assets/page.js", get(pages::script))
        .route("/assets/monitor.js", get(pages::monitor_script))
        .route("/monitor", get(pages::monitor))
        .route("/models/{model}/monitor", get(pages::monitor_json))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/predict", post(predict::predict))
        .route("/models/{model}/predict", post(predict::predict))
        .route("/models/{model}/versions/{version}/predict", post(predict::predict))
        .route("/feedback", post(feedback::feedback))
        .route("/models/{model}/feedback", post(feedback::feedback))
        .route("/v2/models/{model}/feedback", post(feedback::feedback))
        .merge(admin(app.clone()))
        .route("/v2", get(v2::server))
        .route("/v2/", get(v2::server))
        .route("/v2/health/live", get(v2::health))
        .route("/v2/health/ready", get(v2::health));
    for at in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
        router = router
            .route(at, get(v2::describe))
            .route(&format!("{at}/ready"), get(v2::model_ready))
            .route(&format!("{at}/infer"), post(v2::infer));
    }
    router.fallback(unknown).method_not_allowed_fallback(wrong_method).layer(from_fn_with_state(app.clone(), around)).with_state(app)
}

fn admin(app: Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/admin/models/{model}", get(admin::describe))
        .route("/admin/models/{model}/promote", post(admin::promote))
        .route("/admin/models/{model}/rollback", post(admin::rollback))
        .route("/admin/models/{model}/alias", post(admin::alias))
        .route_layer(from_fn_with_state(app, admin::guard))
}

async fn health(State(app): State<Arc<App>>) -> Response {
    let status = if app.is_draining() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let models: Vec<_> = app.services.iter().map(|service| about(service)).collect();
    let word = if app.is_draining() { "stopping" } else { "ok" };
    (status, Json(json!({"status": word, "version": env!("CARGO_PKG_VERSION"), "models": models}))).into_response()
}

fn about(service: &Service) -> serde_json::Value {
    let lineup = service.lineup();
    let mut about = json!({"name": service.name, "hash": lineup.champion.artifact.hash(), "version": lineup.champion.version});
    if let Some(challenger) = &lineup.challenger {
        about["challenger"] = json!({"hash": challenger.artifact.hash(), "version": challenger.version});
    }
    if let Some(fault) = service.reloads().fault {
        about["reload_fault"] = fault.into();
    }
    if let Some(fault) = service.log.as_ref().and_then(Logger::fault) {
        about["log_fault"] = fault.into();
    }
    if let Some(monitor) = &service.monitor {
        about["alarms"] = monitor.told().raised.clone().into();
        let notes = monitor.notes();
        if !notes.is_empty() {
            about["monitor_notes"] = notes.into();
        }
    }
    about
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let gathered: usize = app.champions().iter().filter_map(|model| model.batcher.as_ref()).map(Batcher::waiting).sum();
    let tokens = app.gate.as_ref().map(|gate| ("tokens", gate.counts()));
    let secrets: Vec<_> = tokens.into_iter().chain(app.tls.as_ref().map(|tls| ("tls", tls.counts()))).collect();
    let text = app.metrics.text(&app.services, app.desk.waiting() + gathered, &secrets);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn unknown(request: Request) -> Problem {
    let path = request.uri().path();
    let routes: Vec<String> = ROUTES.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let hint = match nearest(path, ROUTES.iter().map(|(_, path, _)| *path)) {
        Some(near) => format!("did you mean {near}? "),
        None => String::new(),
    };
    let message = format!("no page {}", crate::problem::shorten(path));
    Problem::new(StatusCode::NOT_FOUND, message).with_hint(format!("{hint}there are: {}", routes.join(", ")))
}

async fn wrong_method(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    let other = if method == Method::POST { "GET" } else { "POST" };
    let message = format!("{} cannot be asked with {}", crate::problem::shorten(path), crate::problem::shorten(method.as_str()));
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, message).with_hint(format!("ask it with {other}; /docs shows how"))
}

/// Around every request.
async fn around(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let id = request_id(&app, &request);
    let key = plain_header(&request, "x-key").map(Arc::from);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let is_protocol = request.uri().path().starts_with("/v2");
    let answer = match passes(&app, &request, route.as_ref()) {
        Ok(by) => {
            let asked = Asked { id: id.as_str().into(), begin, deadline: begin + app.options.request_timeout, key, by };
            request.extensions_mut().insert(asked);
            guarded(next.run(request)).await.unwrap_or_else(|| Problem::panicked().into_response())
        }
        Err(problem) => problem.into_response(),
    };
    let response = signed(finish(answer, &id, is_protocol), &id);
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    app.metrics.request(route, response.status().as_u16(), begin.elapsed());
    response
}

/// An answer with the headers that each has.
pub(crate) fn signed(mut answer: Response, id: &str) -> Response {
    if let Ok(id) = HeaderValue::from_str(id) {
        answer.headers_mut().insert("x-request-id", id);
    }
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// A handler's answer; none when it panicked, which costs this request alone.
async fn guarded<T>(handler: impl Future<Output = T>) -> Option<T> {
    let mut handler = pin!(handler);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context))) {
        Ok(polled) => polled.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// Whose token the request carries, where tokens are asked for.
fn passes(app: &App, request: &Request, route: Option<&MatchedPath>) -> Result<Option<Arc<str>>, Problem> {
    let Some(gate) = &app.gate else { return Ok(None) };
    gate.check(request.method(), request.headers(), request.extensions().get::<Peer>().copied(), route.map(MatchedPath::as_str))
}

/// The client's own id when it is short and plain, else a number behind what no other process has.
pub(crate) fn request_id<B>(app: &App, request: &axum::http::Request<B>) -> String {
    let number = app.requests.fetch_add(1, Ordering::Relaxed) + 1;
    plain_header(request, "x-request-id").map_or_else(|| format!("{}{number}", app.world.instance), str::to_owned)
}

/// A header's value when it is short and plain.
fn plain_header<'a, B>(request: &'a axum::http::Request<B>, name: &str) -> Option<&'a str> {
    let value = request.headers().get(name).and_then(|value| value.to_str().ok());
    value.filter(|value| !value.is_empty() && value.len() <= 128 && value.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// Writes the body of a refusal, also of one that comes from below us: a path that is not UTF-8, for example.
fn finish(mut response: Response, id: &str, is_protocol: bool) -> Response {
    let status = response.status();
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if status.is_success() || status.is_redirection() || is_json => return response,
        None => Problem::new(status, status.canonical_reason().unwrap_or("refused").to_lowercase()),
    };
    problem.write(&mut response, id, is_protocol);
    response
}
