//! Our own accept loop: `axum::serve` sets no timer, so that slow clients could hold it.

use crate::app::{self, App};
use crate::connection::{Limits, Timed};
use crate::{Error, Result, ServeOptions, Source, World};
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

/// A full table of open files must not spin the loop.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves models by name until `shutdown` is ready, then finishes what is under way. `ready` hears the address once it listens.
///
/// Needs a Tokio runtime with time and net. A prediction that outlasts `drain` still occupies a blocking thread when this returns:
/// shut the runtime down with a timeout.
///
/// # Errors
/// When there is no model or a name comes twice, the address is open to others without `insecure`, or the system does not let us listen.
pub async fn serve(
    services: Vec<(String, Source)>,
    options: ServeOptions,
    world: World,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    let address = options.http;
    if !address.ip().is_loopback() && !options.insecure {
        return Err(Error::Open { address });
    }
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
    let permits = Arc::new(Semaphore::new(app.options.max_connections));
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, permit) = tokio::select! {
            next = next(&listener, &permits) => next,
            () = &mut shutdown => break,
        };
        converse(stream, permit, &app, router.clone(), &graceful);
    }
    drop(listener);
    app.begin_drain();
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

/// Looks from time to time whether a service's models have changed.
async fn refresh(app: Arc<App>) {
    loop {
        tokio::time::sleep(app.options.refresh).await;
        let looked = app.clone();
        // A panic in a model that is tried leaves the others serving.
        let _ = tokio::task::spawn_blocking(move || looked.services.iter().for_each(|service| service.refresh(&looked.options))).await;
    }
}

async fn next(listener: &TcpListener, permits: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn converse(stream: TcpStream, permit: OwnedSemaphorePermit, app: &App, router: Router, graceful: &GracefulShutdown) {
    // Small answers must not wait for the client's next acknowledgement; where the system refuses, they wait.
    let _ = stream.set_nodelay(true);
    let limits = Limits { header: app.options.header_timeout, idle: app.options.idle_timeout };
    let (stream, phase) = Timed::new(stream, limits);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (busy, router) = (phase.begin(), router.clone());
        async move {
            let answer = router.oneshot(request.map(Body::new)).await;
            drop(busy);
            answer
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .half_close(true)
        .max_headers(100)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        // A connection that breaks is the client's affair: there is nobody to tell.
        let _ = connection.await;
        drop(permit);
    });
}
