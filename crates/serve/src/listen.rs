//! Our own accept loop: `axum::serve` sets no timer, so that slow clients could hold it.

use crate::app::{self, App};
use crate::auth::Peer;
use crate::connection::{Limits, Timed};
use crate::learn::is_auto;
use crate::shed::shed;
use crate::{Error, Result, ServeOptions, Source, World};
use axum::Router;
use axum::http::{HeaderValue, header};
use cupola_task::Event;
use cupola_watch::log::LogTo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

/// A full table of open files must not spin the loop.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a server that was told to stop still takes requests, each the last of its connection, while anybody is connected: a connection that
/// is closed at the moment its client sends loses a request that nobody was told of.
const FAREWELL: Duration = Duration::from_millis(300);

type Arrived = (TcpStream, SocketAddr, OwnedSemaphorePermit);

/// Serves models by name until `shutdown` is ready, then finishes what is under way. `ready` hears the address once it listens.
///
/// Needs a Tokio runtime with time and net. A prediction that outlasts `drain` still occupies a blocking thread when this returns:
/// shut the runtime down with a timeout.
///
/// # Errors
/// When there is no model or a name comes twice, the address is open to others without encryption and tokens or `insecure`, a file of tokens
/// or a certificate is none, or the system does not let us listen.
pub async fn serve(
    services: Vec<(String, Source)>,
    options: ServeOptions,
    world: World,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    let address = options.http;
    options.check_open()?;
    let app = App::new(services, options, world)?;
    let refused = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    app.address.get_or_init(|| bound);
    ready(bound);
    run(listener, app, shutdown).await;
    Ok(())
}

async fn run(listener: TcpListener, app: App, shutdown: impl Future<Output = ()>) {
    let app = Arc::new(app);
    let router = app::router(app.clone());
    let _refreshing = Ended(tokio::spawn(refresh(app.clone())));
    let _retraining = Ended(tokio::spawn(retrain(app.clone())));
    let permits = Arc::new(Semaphore::new(app.options.max_connections));
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    let greet = |(stream, peer, permit): Arrived| {
        tokio::spawn(converse(stream, peer, permit, app.clone(), router.clone(), graceful.watcher()));
    };
    loop {
        tokio::select! {
            arrived = next(&listener, &permits) => greet(arrived),
            () = &mut shutdown => break,
        }
    }
    app.begin_drain();
    let is_connected = || permits.available_permits() < app.options.max_connections;
    if is_connected() {
        let mut over = pin!(tokio::time::sleep(FAREWELL.min(app.options.drain / 4)));
        loop {
            tokio::select! {
                arrived = next(&listener, &permits) => greet(arrived),
                () = &mut over => break,
            }
        }
    }
    last(listener, &permits).into_iter().for_each(greet);
    if is_connected() {
        // A connection on which nothing was read yet is closed by what follows.
        tokio::time::sleep(PAUSE).await;
    }
    // What is not finished by then is cut off: that is what the limit is for.
    let _ = tokio::time::timeout(app.options.drain, graceful.shutdown()).await;
}

/// A task that ends when this is dropped.
struct Ended(tokio::task::JoinHandle<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Looks from time to time whether a service's models, the tokens or the certificate have changed.
async fn refresh(app: Arc<App>) {
    loop {
        tokio::time::sleep(app.options.refresh).await;
        let looked = app.clone();
        // A panic in a model that is tried leaves the others serving.
        let _ = tokio::task::spawn_blocking(move || {
            renew(&looked);
            looked.services.iter().for_each(|service| service.refresh(&looked.options));
        })
        .await;
    }
}

/// Looks from time to time whether models that are to be trained again by themselves are due.
async fn retrain(app: Arc<App>) {
    let (Some(every), Some(step)) = (app.options.retrain, app.world.retrain.clone()) else { return };
    let mut told = String::new();
    loop {
        tokio::time::sleep(every).await;
        for service in &app.services {
            let Some(registry) = service.registry().cloned() else { continue };
            let folder = match &app.options.log.to {
                LogTo::Off => continue,
                LogTo::Own => None,
                LogTo::Folder(folder) => Some(folder.clone()),
            };
            let (step, name) = (step.clone(), service.name.clone());
            let made = tokio::task::spawn_blocking(move || match is_auto(&registry, &name) {
                Ok(true) => step(&name, folder.as_deref()),
                Ok(false) => Ok(None),
                Err(error) => Err(error.to_string()),
            });
            let event = match made.await {
                Ok(Ok(None)) => continue,
                Ok(Ok(Some(text))) => Event::Note { text },
                Ok(Err(text)) => Event::Warning { text: format!("{}: not retrained: {text}", service.name) },
                Err(_) => return,
            };
            // What stays wrong is said once.
            if let Event::Note { text } | Event::Warning { text } = &event
                && *text != told
            {
                told.clone_from(text);
                (app.world.tell)(event);
            }
        }
    }
}

/// Reads tokens and certificate again, and says how that went. What is broken leaves what was there.
fn renew(app: &App) {
    let tell = |what: &str, outcome: Result<()>| {
        (app.world.tell)(match outcome {
            Ok(()) => Event::Note { text: format!("{what} renewed") },
            Err(error) => Event::Warning { text: format!("{what} not renewed, the old stay: failed to {error}") },
        });
    };
    app.gate.iter().filter_map(|gate| gate.refresh()).for_each(|outcome| tell("tokens", outcome));
    app.tls.iter().filter_map(|tls| tls.refresh()).for_each(|outcome| tell("certificate and key", outcome));
}

async fn next(listener: &TcpListener, permits: &Arc<Semaphore>) -> Arrived {
    let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Those who have connected and were not taken yet: they would be reset. Nobody is listened to any more.
fn last(listener: TcpListener, permits: &Arc<Semaphore>) -> Vec<Arrived> {
    let Ok(listener) = listener.into_std() else { return vec![] };
    let taken = std::iter::from_fn(|| {
        let permit = permits.clone().try_acquire_owned().ok()?;
        let (stream, peer) = listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer, permit))
    });
    taken.collect()
}

async fn converse(stream: TcpStream, peer: SocketAddr, _permit: OwnedSemaphorePermit, app: Arc<App>, router: Router, watcher: Watcher) {
    // Small answers must not wait for the client's next acknowledgement; where the system refuses, they wait.
    let _ = stream.set_nodelay(true);
    let peer = Peer(peer.ip());
    let Some(tls) = &app.tls else { return talk(stream, peer, app, router, watcher).await };
    // Who does not shake hands in time, or not as it should be done, is the client's affair: there is nobody to tell.
    if let Ok(Ok(stream)) = tokio::time::timeout(app.options.header_timeout, tls.acceptor().accept(stream)).await {
        talk(stream, peer, app.clone(), router, watcher).await;
    }
}

/// Answers a connection's requests until it ends.
async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, peer: Peer, app: Arc<App>, router: Router, watcher: Watcher) {
    let limits = Limits { header: app.options.header_timeout, idle: app.options.idle_timeout };
    let (stream, phase) = Timed::new(stream, limits);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let (busy, router, app) = (phase.begin(), router.clone(), app.clone());
        async move {
            let mut answer = if let Some(refusal) = shed(&app, &request) {
                drop(busy.watch(request.into_body()));
                Ok(refusal)
            } else {
                request.extensions_mut().insert(peer);
                router.oneshot(request.map(|body| busy.watch(body))).await
            };
            if let Ok(answer) = &mut answer
                && (busy.is_spent() || app.is_draining())
            {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            answer
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .half_close(true)
        .max_headers(100)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service);
    // A connection that breaks is the client's affair, too.
    let _ = watcher.watch(connection).await;
}
