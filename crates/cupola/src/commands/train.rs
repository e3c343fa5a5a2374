//! `cupola train`: from a table or a recipe to a run folder with a measured model.

use super::{recipe, runs_folder, use_memory, use_threads};
use crate::arguments::RecipeArguments;
use crate::memory;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_data::Input;
use cupola_task::{Event, Exit, Flow, Local, Needs, Run, Start};
use cupola_train::{Choice, Outcome, Plan};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Set by the first Ctrl-C or SIGTERM.
static STOP: AtomicBool = AtomicBool::new(false);

pub fn run(arguments: &RecipeArguments, screen: &Screen) -> Result<ExitCode> {
    let plan = Plan::check(recipe(&arguments.arguments, arguments.tiny)?).context("failed to check the recipe")?;
    watched(&plan, screen, "failed to train", |run| cupola_train::train(&plan, run, &runs_folder(), &program_hash()))
}

/// Goes on with a run that was cut off.
pub fn resume(named: &str, screen: &Screen) -> Result<ExitCode> {
    let folder = Path::new(named);
    let folder = match folder.is_dir() {
        true => folder.to_owned(),
        false => cupola_train::runs::find(&runs_folder(), named.trim_start_matches("runs/")).context("failed to find the run")?.path,
    };
    let plan = cupola_train::plan_of(&folder).context("failed to go on with the run")?;
    watched(&plan, screen, "failed to go on with the run", |run| cupola_train::resume(&plan, run, &folder, &program_hash()))
}

/// Runs a training that shows itself on the screen and hears Ctrl-C, and tells how it ended.
pub(super) fn watched(
    plan: &Plan,
    screen: &Screen,
    failed: &'static str,
    train: impl FnOnce(&Run<'_>) -> cupola_train::Result<Outcome>,
) -> Result<ExitCode> {
    let outcome = with_run(plan, screen, train)?.context(failed)?;
    screen.finish();
    screen.object(&serde_json::json!({ "event": "end", "run": outcome.folder, "hash": outcome.hash, "interrupted": outcome.interrupted, "report": outcome.report }));
    screen.text(&cupola_train::report::terminal(&outcome.report, screen.width(), screen.paint()));
    if outcome.interrupted {
        screen.note("interrupted: the best model so far is saved");
        return Ok(ExitCode::from(Exit::Interrupted as u8));
    }
    match outcome.failed_gates.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(cupola_train::Error::Gate(outcome.failed_gates.join("; ")).into()),
    }
}

/// Bytes on the disk that training may take where nothing fits into memory. A CSV file of 200 MB, mostly numbers, took 4.9 times its size for `gbdt` and
/// 11.2 times for `logistic`, which makes all of it numbers, categories included.
fn disk_needed(plan: &Plan) -> u64 {
    let bytes = plan.train.file_bytes() + plan.test.as_ref().map_or(0, Input::file_bytes);
    let times = match &plan.model {
        Choice::Named(def, _) if def.needs == Needs::Native => 5,
        _ => 12,
    };
    bytes.saturating_mul(times)
}

/// Does something with a run that shows itself on the screen and hears Ctrl-C.
pub(super) fn with_run<T>(plan: &Plan, screen: &Screen, work: impl FnOnce(&Run<'_>) -> T) -> Result<T> {
    use_memory(&plan.read, disk_needed(plan))?;
    with_seed(plan.seed, plan.threads, screen, work)
}

/// The same for what has no plan.
pub(super) fn with_seed<T>(seed: u64, threads: Option<usize>, screen: &Screen, work: impl FnOnce(&Run<'_>) -> T) -> Result<T> {
    let began = Instant::now();
    listen_for_stop()?;
    let threads = use_threads(threads);
    let events = |event: &Event| {
        screen.event(event, began.elapsed());
        if STOP.load(Ordering::Relaxed) { Flow::Stop } else { Flow::Go }
    };
    Ok(work(&Run {
        seed,
        threads,
        folder: None,
        clock: &|| began.elapsed(),
        until: None,
        memory_max: None,
        memory: &peak_memory,
        collective: &Local,
        start: Start::Cold,
        events: &events,
    }))
}

/// The most memory this process has used so far, in bytes, where the system tells.
pub(super) fn peak_memory() -> Option<u64> {
    memory::told("VmHWM")
}

/// BLAKE3 of this program, for `run.lock`; empty where the system does not tell.
pub(super) fn program_hash() -> String {
    let hash = || {
        let mut hash = blake3::Hasher::new();
        hash.update_reader(std::fs::File::open(std::env::current_exe()?)?)?;
        std::io::Result::Ok(hash.finalize().to_hex().to_string())
    };
    hash().unwrap_or_default()
}

/// The first signal asks the run to stop and save; the second one ends the process at once.
fn listen_for_stop() -> Result<()> {
    let heard = || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(Exit::Interrupted as u8));
        }
    };
    ctrlc::set_handler(heard).context("failed to listen for Ctrl-C")
}
