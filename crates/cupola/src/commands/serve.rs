//! `cupola serve`: models that answer over HTTP until they are told to stop.

use super::{deploy_folder, now_us, open_registry, runs_folder, store_at, use_threads};
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_serve::{ServeOptions, Source, World};
use cupola_task::{Event, Settings, Value};
use cupola_watch::log::{LOG, LogOptions};
use cupola_watch::registry::Registry;
use serde_json::json;
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
        let (begin, begun) = std::sync::mpsc::channel::<()>();
        let ready = move |address: std::net::SocketAddr| {
            screen.object(&json!({ "event": "ready", "address": address.to_string(), "models": names }));
            let at = format!("{scheme}://{address}");
            screen.text(&format!("serving {} on {at}\n  try it   {at}/\n  docs     {at}/docs\n  metrics  {at}/metrics", names.join(", ")));
            drop(begin);
        };
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let serving = cupola_serve::serve(services, options, world(tell), stop, ready);
        let (began, screen) = (Instant::now(), screen.another());
        // Whoever does not read what is printed stops this thread alone. Whoever does reads first that the server is ready, unless it never is.
        std::thread::spawn(move || {
            let _ = begun.recv();
            while let Some(event) = told.blocking_recv() {
                screen.event(&event, began.elapsed());
            }
        });
        serving.await.context("failed to serve")
    });
    // A prediction that outlasts the drain must not hold the process.
    if let Some(child) = training().as_mut() {
        // It is over already, or ends here.
        let _ = child.kill();
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    served?;
    screen.note("stopped; every request under way was answered");
    Ok(ExitCode::SUCCESS)
}

/// `http=..`, `serve.http=..`; `log.sample=..`, and `log=on` for `log.to=on`; `monitor.window=..`.
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
    let (monitor, serve): (Vec<_>, Vec<_>) = serve.into_iter().partition(|(key, _)| key.starts_with("monitor."));
    let monitor = monitor.into_iter().map(|(key, value)| (key.trim_start_matches("monitor.").to_owned(), value)).collect();
    let serve = Settings::check("serve", cupola_serve::SETTINGS, serve.iter().map(|(key, value)| (*key, value)))
        .context("failed to read the command line")?;
    ServeOptions::from_settings(&serve, log, monitor).context("failed to read the command line")
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
    let part = |part: Option<&OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let stem = part(path.file_stem()).unwrap_or_default();
    let folder = part(path.parent().and_then(Path::file_name));
    let name = if stem == "model" { folder.unwrap_or(stem) } else { stem };
    Ok((name, Source::File(path)))
}

/// The training that is under way, to be ended with the server.
static TRAINING: Mutex<Option<Child>> = Mutex::new(None);

/// Lets another process, which gives way to this one, make the next step of a model's retraining: what it takes is not taken from requests, and
/// what breaks it breaks no answer.
fn retrain(name: &str, log: Option<&Path>) -> Result<Option<String>, String> {
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut words = vec![OsStr::new("--json"), "retrain".as_ref(), name.as_ref()];
    words.extend(log.into_iter().flat_map(|folder| ["--folder".as_ref(), folder.as_os_str()]));
    let mut child = Command::new("nice").args(["-n", "10"]).arg(&exe).args(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    if child.is_err() {
        child = Command::new(&exe).args(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    }
    let mut child = child.map_err(|error| error.to_string())?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    *training() = Some(child);
    let read = |pipe: Option<Box<dyn Read + Send>>| {
        let mut text = String::new();
        // A child that writes something else than text has said nothing.
        let _ = pipe.map(|mut pipe| pipe.read_to_string(&mut text));
        text
    };
    let errors = std::thread::spawn(move || read(err.map(|pipe| Box::new(pipe) as _)));
    let said = read(out.map(|pipe| Box::new(pipe) as _));
    let errors = errors.join().unwrap_or_default();
    // Nobody waits for it while it runs, so that it can be ended.
    let ended = training().take().map(|mut child| child.wait());
    let last =
        said.lines().rev().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find(|line| line["said"].is_string());
    match last {
        Some(line) if line["event"] == "idle" => Ok(None),
        Some(line) => Ok(line["said"].as_str().map(str::to_owned)),
        None => {
            let first =
                errors.lines().chain(said.lines().rev()).find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned();
            Err(format!("{first} ({})", ended.and_then(Result::ok).map_or_else(|| "ended".to_owned(), |status| status.to_string())))
        }
    }
}

fn training() -> MutexGuard<'static, Option<Child>> {
    TRAINING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This process's clock, and a name that no other process has: when it began, and its number.
fn world(tell: UnboundedSender<Event>) -> World {
    let instance = format!("{:x}-{:x}-", now_us(), std::process::id());
    let tell = move |event| {
        // At the very end nobody listens any more.
        let _ = tell.send(event);
    };
    World {
        instance,
        now_us: Arc::new(now_us),
        tell: Arc::new(tell),
        retrain: Some(Arc::new(retrain)),
        deploy: deploy_folder(),
        store: store_at(),
    }
}
