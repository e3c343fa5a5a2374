//! The verbs, one file each.

mod check;
mod compare;
mod completions;
mod data;
mod doctor;
mod eval;
mod explain;
mod feedback;
mod init;
mod learning_curve;
mod log;
mod metrics;
mod model;
mod models;
mod monitor;
mod plan;
mod predict;
mod registry;
mod retrain;
mod runs;
mod schema;
mod serve;
mod train;
mod tune;
mod verify;

use crate::arguments::{Arguments, Command, ModelCommand};
use crate::memory;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_data::ReadOptions;
use cupola_task::{Setting, Value};
use cupola_train::recipe::Recipe;
use cupola_train::{Artifact, Opening, Plan};
use cupola_watch::labels::Labels;
use cupola_watch::log::LogTo;
use cupola_watch::registry::Registry;
use cupola_watch::{Durability, StoreAt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

/// Runs the command that was typed.
pub fn run(arguments: Arguments, screen: &Screen) -> Result<ExitCode> {
    match arguments.command {
        Command::Init(arguments) => init::run(&arguments, screen),
        Command::Check(arguments) => check::run(&arguments, screen),
        Command::Schema => schema::run(screen),
        Command::Train(arguments) => train::run(&arguments, screen),
        Command::Tune(arguments) => tune::run(&arguments, screen),
        Command::Plan(arguments) => plan::run(&arguments, screen),
        Command::Resume { run } => train::resume(&run, screen),
        Command::Compare { arguments } => compare::run(&arguments, screen),
        Command::LearningCurve(arguments) => learning_curve::run(&arguments, screen),
        Command::Eval(arguments) => eval::run(&arguments, screen),
        Command::Doctor(arguments) => doctor::run(&arguments, screen),
        Command::Explain(arguments) => explain::run(&arguments, screen),
        Command::Predict(arguments) => predict::run(&arguments, screen),
        Command::Verify { model } => verify::run(&model, screen),
        Command::Serve { arguments } => serve::run(&arguments, screen),
        Command::Feedback { file, pairs } => feedback::run(&file, &pairs, screen),
        Command::Log { command } => log::run(command, screen),
        Command::Monitor(arguments) => monitor::run(&arguments, screen),
        Command::Retrain(arguments) => retrain::run(&arguments, screen),
        Command::Backtest(arguments) => retrain::compare(&arguments, screen),
        Command::Registry { command } => registry::run(command, screen),
        Command::Data { command } => data::run(&command, screen),
        Command::Runs { command } => runs::run(command, screen),
        Command::Models { name } => models::run(name.as_deref(), screen),
        Command::Model { command: ModelCommand::Show { named, pairs } } => model::show(&named, &pairs, screen),
        Command::Metrics => metrics::run(screen),
        Command::Completions { shell } => completions::run(shell),
    }
}

/// The folder that holds run folders.
fn runs_folder() -> PathBuf {
    std::env::var_os("CUPOLA_HOME").map_or_else(|| PathBuf::from("runs"), |home| PathBuf::from(home).join("runs"))
}

/// The folder of deployed models.
fn deploy_folder() -> PathBuf {
    std::env::var_os("CUPOLA_HOME").map_or_else(|| PathBuf::from("deploy"), |home| PathBuf::from(home).join("deploy"))
}

/// The registry of that folder, in the store that `CUPOLA_STORE` names, or in a file of its own.
fn open_registry() -> Result<Registry> {
    let store = store_at();
    Registry::open(&deploy_folder(), store.as_ref()).context("failed to open the registry")
}

/// A store that several machines share, when the environment names one.
fn store_at() -> Option<StoreAt> {
    std::env::var("CUPOLA_STORE").ok().filter(|text| !text.is_empty()).map(|text| StoreAt::parse(&text))
}

/// Microseconds since 1970.
fn now_us() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// The labels beside a registry.
fn open_labels(registry: &Registry) -> Result<Labels> {
    let at = store_at().unwrap_or_else(|| Registry::store(registry.root()));
    Labels::open(&at, Durability::Power).context("failed to open the labels")
}

/// The prediction log of a model, in its own place unless a folder is named.
fn log_folder(name: &str, folder: Option<PathBuf>) -> PathBuf {
    let to = folder.map_or(LogTo::Own, LogTo::Folder);
    to.folder(&deploy_folder(), name).expect("a log that is somewhere has a folder")
}

/// The values of `key=value` words by the names of `keys`.
fn named<const N: usize>(pairs: &[String], keys: [&str; N], example: &str) -> Result<[Option<String>; N]> {
    let mut values = [const { None }; N];
    for pair in pairs {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = keys.iter().position(|known| *known == key).ok_or_else(|| {
            let error = cupola_train::Error::recipe("command line", format!("found {pair:?}, wanted {}=...", keys.join("=... or ")));
            error.with_hint(example)
        })?;
        values[place] = Some(value.to_owned());
    }
    Ok(values)
}

/// A recipe from what was typed: a recipe file or a data file first, then key=value.
fn recipe(arguments: &[String], tiny: bool) -> Result<Recipe> {
    let mut recipe = Recipe::default();
    let (mut paths, pairs) = paths_and_pairs(arguments);
    if let Some((first, rest)) = paths.split_first().filter(|(first, _)| is_recipe(first)) {
        recipe = Recipe::open(Path::new(first)).context("failed to read the recipe")?;
        paths = rest;
    }
    if !paths.is_empty() {
        let value = match paths {
            [path] => Value::Text(path.clone()),
            paths => Value::List(paths.iter().cloned().map(Value::Text).collect()),
        };
        recipe.set(vec!["data".into(), "train".into()], value, cupola_train::recipe::Origin::Flag, "command line");
    }
    if tiny {
        recipe.shrink();
    }
    for pair in pairs {
        recipe.argue(pair).context("failed to read the command line")?;
    }
    Ok(recipe)
}

/// The paths that come first, and what follows them.
fn paths_and_pairs(arguments: &[String]) -> (&[String], &[String]) {
    let is_path = |word: &String| !word.contains('=') || cupola_data::remote::is_url(word) || Path::new(word).exists();
    arguments.split_at(arguments.iter().position(|word| !is_path(word)).unwrap_or(arguments.len()))
}

fn is_recipe(word: &str) -> bool {
    Path::new(word).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"))
}

/// Opens the model file behind a path, a run folder or a run's name.
fn open(named: &Path) -> Result<(PathBuf, Artifact)> {
    let path = cupola_train::runs::model_file(&runs_folder(), named).context("failed to find the model")?;
    let began = Instant::now();
    let opening = Opening { clock: &|| began.elapsed(), replay: Opening::REPLAY };
    let artifact = Artifact::open(&path, opening).context("failed to open the model")?;
    Ok((path, artifact))
}

/// Sizes the pool that all parallel loops of this process use.
fn use_threads(threads: Option<usize>) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.unwrap_or(cores);
    // The pool can be built once a process; a second command in one process keeps the first one's.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    threads
}

/// Threads and memory as the recipe says.
fn use_machine(plan: &Plan) -> Result<()> {
    use_threads(plan.threads);
    use_memory(&plan.read, 0)
}

/// Keeps this process below the ceiling that the recipe sets, if any, with a file in the folder of runs for what is larger; it may need so many bytes.
fn use_memory(options: &ReadOptions, needs: u64) -> Result<()> {
    let Some(ceiling) = options.max_memory else { return Ok(()) };
    let folder = runs_folder();
    let began = std::fs::create_dir_all(&folder).and_then(|()| memory::begin(ceiling, &folder));
    began.with_context(|| format!("failed to keep data.max_memory: no file for what is larger can be had in {}", folder.display()))?;
    match memory::room(&folder) {
        Some(room) if needs > room => {
            let what = format!("a file in {} for what is larger than data.max_memory", folder.display());
            let megabytes = |bytes: u64| format!("{} MB", bytes.div_ceil(1_000_000));
            let error = cupola_task::Error::Budget { what, needs: format!("up to {}", megabytes(needs)), has: megabytes(room) };
            Err(cupola_train::Error::from(error).into())
        }
        _ => Ok(()),
    }
}

/// `1 row`, `2 rows`.
fn rows(count: u64) -> String {
    counted(count, "row")
}

/// `1 pair`, `2 pairs`.
fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A measure's value with four decimals.
fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:.4}") } else { "undefined".to_owned() }
}

/// Whether a key is one of these settings, by its name or an alias.
fn is_among(settings: &[Setting], key: &str) -> bool {
    settings.iter().any(|setting| setting.name == key || setting.alias.contains(&key))
}

/// Rows of cells as a table with aligned columns; numbers to the right.
fn aligned(head: &[&str], rows: &[Vec<String>]) -> String {
    let is_number = |text: &String| text.trim_end_matches(['%', ' ']).parse::<f64>().is_ok();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).chain([head[column].chars().count()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let right: Vec<bool> = (0..head.len())
        .map(|column| !rows.is_empty() && rows.iter().all(|row| row[column].is_empty() || is_number(&row[column])))
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<String> = cells
            .enumerate()
            .map(|(column, cell)| match right[column] {
                true => format!("{cell:>width$}", width = widths[column]),
                false => format!("{cell:<width$}", width = widths[column]),
            })
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut head.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}
