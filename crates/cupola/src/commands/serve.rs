//! `cupola serve`: models that answer over HTTP until they are told to stop.

use super::{deploy_folder, now_us, open_registry, runs_folder, store_at, use_threads};
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_serve::{ServeOptions, Source, World};
use cupola_task::{Event, Settings, Value};
use cupola_watch::log::{LOG, LogOptions};
use cupola_watch::registry::Registry;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

pub fn run(arguments: &[String], screen: &Screen) -> Result<ExitCode> {
    let threads = use_threads(None);
    let (named, pairs): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|word| !word.contains('=') || Path::new(word).exists());
    let options = options(&pairs)?;
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let has_registry = store_at().is_some() || Registry::is_in(&deploy_folder());
    let registry = has_registry.then(open_registry).transpose()?.map(Arc::new);
    let services = named.iter().map(|named| service(named, registry.as_ref())).collect::<Result<Vec<_>>>()?;
    if services.is_empty() {
        return Err(cupola_train::Error::recipe("command line", "no model to serve").with_hint("cupola serve runs/latest").into());
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().context("failed to start the server")?;
    let served = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
        let stop = async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        };
        let names: Vec<String> = services.iter().map(|(name, _)| name.clone()).collect();
        let ready = |address: std::net::SocketAddr| {
            screen.object(&json!({ "event": "ready", "address": address.to_string(), "models": names }));
            let at = format!("{scheme}://{address}");
            screen.text(&format!("serving {} on {at}\n  try it   {at}/\n  docs     {at}/docs\n  metrics  {at}/metrics", names.join(", ")));
        };
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let serving = cupola_serve::serve(services, options, world(tell), stop, ready);
        let began = Instant::now();
        let telling = async {
            while let Some(event) = told.recv().await {
                screen.event(&event, began.elapsed());
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            served = serving => served.context("failed to serve"),
            () = telling => unreachable!("it never ends"),
        }
    });
    // A prediction that outlasts the drain must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served?;
    screen.note("stopped; every request under way was answered");
    Ok(ExitCode::SUCCESS)
}

/// `http=..`, `serve.http=..`; `log.sample=..`, and `log=on` for `log.to=on`.
fn options(pairs: &[&String]) -> Result<ServeOptions> {
    let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
    let given = pairs.map(|(key, value)| match key.trim_start_matches("serve.") {
        "log" => ("log.to", Value::parse(value)),
        key => (key, Value::parse(value)),
    });
    let (log, serve): (Vec<_>, Vec<_>) = given.partition(|(key, _)| key.starts_with("log."));
    let log = Settings::check("log", LOG, log.iter().map(|(key, value)| (key.trim_start_matches("log."), value)))
        .context("failed to read the command line")?;
    let log = LogOptions::from_settings(&log).context("failed to read the command line")?;
    let serve = Settings::check("serve", cupola_serve::SETTINGS, serve.iter().map(|(key, value)| (*key, value)))
        .context("failed to read the command line")?;
    ServeOptions::from_settings(&serve, log).context("failed to read the command line")
}

/// A name of the registry; else a model file under its own name, or under that of its run.
fn service(named: &str, registry: Option<&Arc<Registry>>) -> Result<(String, Source)> {
    if let Some(registry) = registry
        && registry.names().context("failed to read the registry")?.iter().any(|name| name == named)
    {
        return Ok((named.to_owned(), Source::Registry(registry.clone())));
    }
    let path = cupola_train::runs::model_file(&runs_folder(), Path::new(named)).context("failed to find the model")?;
    // Without links: `latest` is to stay the run that it was when the server began.
    let path = std::fs::canonicalize(&path).unwrap_or(path);
    let part = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let stem = part(path.file_stem()).unwrap_or_default();
    let folder = part(path.parent().and_then(Path::file_name));
    let name = if stem == "model" { folder.unwrap_or(stem) } else { stem };
    Ok((name, Source::File(path)))
}

/// This process's clock, and a name that no other process has: when it began, and its number.
fn world(tell: UnboundedSender<Event>) -> World {
    let instance = format!("{:x}-{:x}-", now_us(), std::process::id());
    let tell = move |event| {
        // At the very end nobody listens any more.
        let _ = tell.send(event);
    };
    World { instance, now_us: Arc::new(now_us), tell: Arc::new(tell), deploy: deploy_folder(), store: store_at() }
}
