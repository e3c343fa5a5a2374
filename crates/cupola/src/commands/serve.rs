//! `cupola serve`: models that answer over HTTP until they are told to stop.

use super::{open, use_threads};
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_serve::ServeOptions;
use cupola_task::{Settings, Value};
use cupola_train::Artifact;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

pub fn run(arguments: &[String], screen: &Screen) -> Result<ExitCode> {
    let threads = use_threads(None);
    let (named, pairs): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|word| !word.contains('=') || Path::new(word).exists());
    let options = options(&pairs)?;
    let models = named.iter().map(|named| model(named)).collect::<Result<Vec<_>>>()?;
    if models.is_empty() {
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
        let names: Vec<String> = models.iter().map(|(name, _)| name.clone()).collect();
        let ready = |address: std::net::SocketAddr| {
            screen.object(&json!({ "event": "ready", "address": address.to_string(), "models": names }));
            screen.text(&format!("serving {} on http://{address}\n  try it   http://{address}/\n  docs     http://{address}/docs\n  metrics  http://{address}/metrics", names.join(", ")));
        };
        cupola_serve::serve(models, options, stop, ready).await.context("failed to serve")
    });
    // A prediction that outlasts the drain must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served?;
    screen.note("stopped; every request under way was answered");
    Ok(ExitCode::SUCCESS)
}

fn options(pairs: &[&String]) -> Result<ServeOptions> {
    let given: Vec<(String, Value)> = pairs
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.trim_start_matches("serve.").to_owned(), Value::parse(value)))
        .collect();
    let settings = Settings::check("serve", cupola_serve::SETTINGS, given.iter().map(|(key, value)| (key.as_str(), value)))
        .context("failed to read the command line")?;
    ServeOptions::from_settings(&settings).context("failed to read the command line")
}

/// A model under the name of its file, or of its run.
fn model(named: &str) -> Result<(String, Arc<Artifact>)> {
    let (path, artifact) = open(Path::new(named))?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = std::fs::canonicalize(&path).ok().and_then(|path| Some(path.parent()?.file_name()?.to_string_lossy().into_owned()));
    let name = if stem == "model" { folder.unwrap_or(stem) } else { stem };
    Ok((name, Arc::new(artifact)))
}
