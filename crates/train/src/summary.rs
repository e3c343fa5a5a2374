//! The facts of a finished run, gathered for its report, its lock and its folder.

use crate::fit::Fit;
use crate::journal::Journal;
use crate::load::Loaded;
use crate::networks::Trained;
use crate::plan::LABELS;
use crate::recipe::{self, Origin, Recipe};
use crate::report::{self, OutputFile, Report, SettingSource, SplitRows, Step, TargetReport};
use crate::runs::write_file;
use crate::training::{Divided, TargetFit};
use crate::{Artifact, Choice, Pipeline, Plan, Result, auto, gates, records, runs};
use cupola_data::leaks::{Finding, Severity};
use cupola_data::{Input, split};
use cupola_task::{Answer, Field, Kind, Role, Side, Task, Value};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// A target's results once its pipeline has gone into the model file.
pub(crate) struct Target {
    pub field: Field,
    pub task: Task,
    pub resolved: Vec<(String, Value, String)>,
    pub described: Vec<(std::sync::Arc<str>, String)>,
    pub prepared: Vec<(String, String)>,
    pub board: Option<auto::Board>,
    pub measured: TargetReport,
    /// How a network's training went.
    pub trained: Option<Trained>,
}

/// Everything a report is made of.
pub(crate) struct Facts<'a> {
    pub plan: &'a Plan,
    pub journal: &'a Journal<'a>,
    pub folder: &'a Path,
    pub divided: &'a Divided,
    pub artifact: &'a Artifact,
    pub targets: Vec<Target>,
    /// What was measured about lists of labels.
    pub labels: Vec<report::LabelsReport>,
    pub hash: &'a str,
    pub binary: &'a str,
    /// How long single rows take, when a gate asks.
    pub latency_ms: Option<f64>,
    /// How the settings were searched, where they were.
    pub tuning: Option<report::Tuning>,
}

impl Target {
    /// Takes the pipeline out.
    pub fn take(target: TargetFit) -> (Pipeline, Target) {
        let TargetFit { field, task, fit, board, measured, .. } = target;
        let Fit { pipeline, resolved, described, prepared, trained, .. } = fit;
        (pipeline, Target { field, task, resolved, described, prepared, board, measured, trained })
    }
}

/// A readable name for the run folder: the recipe's, or data and model.
pub(crate) fn label(plan: &Plan) -> String {
    if !plan.name.is_empty() {
        return plan.name.clone();
    }
    let model = match &plan.model {
        Choice::Auto => "auto",
        Choice::Named(def, _) => def.name,
    };
    let name = match &plan.train {
        Input::Query(query) => query.tables.first().map_or_else(String::new, |(_, data)| data.name()),
        input => input.name(),
    };
    // Of a database the table names the run, not who asks it and how.
    let (place, query) = name.split_once('?').filter(|_| cupola_data::remote::is_url(&name)).unwrap_or((&name, ""));
    let table = query.split('&').find_map(|pair| pair.strip_prefix("table="));
    let stem = table.map(Into::into).or_else(|| Path::new(place).file_name().map(|stem| stem.to_string_lossy())).unwrap_or("data".into());
    let stem: String =
        stem.split('.').next().unwrap_or("data").chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).take(60).collect();
    let stem = stem.trim_matches(['-', '_']);
    format!("{}-{model}", if stem.is_empty() { "data" } else { stem })
}

/// What the baseline says, as a phrase.
pub(crate) fn baseline_phrase(answer: Option<&Answer>) -> String {
    match answer {
        Some(Answer::Scores { classes, values }) => match classes.chosen(values).next() {
            Some(class) => format!("always {}", classes[class]),
            None => String::new(),
        },
        Some(Answer::Numbers { values, .. }) => values.first().map_or(String::new(), |value| format!("always the mean, {}", short(*value))),
        _ => String::new(),
    }
}

fn short(value: f64) -> String {
    let digits = (4 - value.abs().max(1e-9).log10().floor() as i32).clamp(0, 9);
    format!("{value:.*}", digits as usize)
}

/// A finding as one sentence with its rows' places and its remedy.
pub(crate) fn leak_sentence(finding: &Finding, loaded: &Loaded) -> String {
    let place = |row: usize| if finding.in_test_file { loaded.test_place(row) } else { loaded.place(row) };
    let rows: Vec<String> = finding.rows.iter().take(3).map(|&row| place(row as usize)).collect();
    let rows = if rows.is_empty() { String::new() } else { format!(" (for example {})", rows.join(", ")) };
    format!("{}{rows}: {}", finding.sentence.trim_end_matches('.'), finding.remedy)
}

/// Writes everything but the model into the run folder, and gives the report.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(facts: &Facts<'_>) -> Result<Report> {
    let resolved = resolved_recipe(facts);
    let mut report = report(facts, &resolved);
    write_records(facts, &resolved)?;
    for plot in report::plots(&report) {
        write_file(&facts.folder.join("plots").join(format!("{}.svg", plot.name)), plot.file().as_bytes())?;
    }
    report.files = files(facts.folder);
    report.timings = facts.journal.timings();
    let json = serde_json::to_vec_pretty(&report).expect("a report is plain data");
    write_file(&facts.folder.join("report.json"), &json)?;
    write_file(&facts.folder.join("report.html"), report::html(&report).as_bytes())?;
    write_file(&facts.folder.join("card.md"), report::card(&report).as_bytes())?;
    report.files = files(facts.folder);
    Ok(report)
}

fn files(folder: &Path) -> Vec<OutputFile> {
    let what = [
        (runs::MODEL_FILE, "the model: preparation, model, scores and golden rows in one file"),
        ("report.html", "the report, one page"),
        ("report.json", "the same for programs"),
        ("card.md", "the model card"),
        ("results.csv", "every measure of every side"),
        ("eval/predictions.parquet", "the test rows with their answers"),
        ("run.toml", "the resolved recipe: train it again and get the same model"),
        ("run.lock", "hashes of data, split, recipe, program and model"),
        ("tune/trials.sqlite", "every trial of the search"),
        ("events.jsonl", "what happened, in order"),
    ];
    let file = |(name, what): (&str, &str)| {
        let path = folder.join(name);
        let bytes = std::fs::metadata(&path).ok().map(|metadata| metadata.len());
        bytes.map(|bytes| OutputFile { path: path.display().to_string(), what: what.to_owned(), bytes: Some(bytes) })
    };
    what.into_iter().filter_map(file).collect()
}

fn write_records(facts: &Facts<'_>, resolved: &(Recipe, BTreeMap<String, String>)) -> Result<()> {
    let folder = facts.folder;
    let head = "The resolved recipe of this run. `cupola train` on this file gives the same model again.\nThe comment on each line says where its value comes from.";
    let text = recipe::write(&resolved.0, head, &resolved.1);
    write_file(&folder.join("run.toml"), text.as_bytes())?;
    let pretty = |value: &serde_json::Value| serde_json::to_vec_pretty(value).expect("records are plain data");
    let split = serde_json::to_value(facts.divided.cut.record(&facts.divided.split)).expect("records are plain data");
    let lock = json!({
        "cupola": env!("CARGO_PKG_VERSION"),
        "binary": facts.binary,
        "seed": facts.plan.seed,
        "data": facts.divided.loaded.files.iter().map(|file| json!({ "path": file.path, "purpose": file.purpose, "rows": file.rows_read, "hash": file.hash })).collect::<Vec<_>>(),
        "split": split,
        "recipe": recipe_hash(&resolved.0),
        "model": facts.hash,
    });
    write_file(&folder.join("run.lock"), &pretty(&lock))?;
    write_file(&folder.join("data/split.json"), &pretty(&split))?;
    let sides = split::record_columns(&facts.divided.keys, &facts.divided.cut.sides);
    records::write_table(&folder.join("data/sides.parquet"), &sides)?;
    write_file(&folder.join("data/profile.json"), &pretty(facts.artifact.profile()))?;
    let leaks = serde_json::to_value(facts.divided.findings.iter().map(finding).collect::<Vec<_>>()).expect("records are plain data");
    write_file(&folder.join("data/leaks.json"), &pretty(&leaks))?;
    let prepared = facts.targets.iter().flat_map(|target| {
        target.described.iter().map(|(column, what)| json!({ "target": &*target.field.name, "column": &**column, "preparation": what }))
    });
    write_file(&folder.join("data/preparation.json"), &pretty(&prepared.collect()))?;
    let boards: Vec<_> = facts
        .targets
        .iter()
        .filter_map(|target| Some(json!({ "target": &*target.field.name, "board": target.board.as_ref()?.leaderboard() })))
        .collect();
    if !boards.is_empty() {
        write_file(&folder.join("leaderboard.json"), &pretty(&json!(boards)))?;
    }
    let lists = facts.labels.iter().map(|list| (list.name.as_str(), &list.scores[..]));
    let all = lists.chain(facts.targets.iter().map(|target| (&*target.field.name, &target.measured.scores[..])));
    records::write_results(folder, &all.collect::<Vec<_>>())?;
    let test: Vec<_> =
        facts.targets.iter().map(|target| json!({ "target": &*target.field.name, "scores": target.measured.scores })).collect();
    write_file(&folder.join("eval/test.json"), &pretty(&json!(test)))
}

/// BLAKE3 of keys and values, whatever their order in the file or their comments.
fn recipe_hash(recipe: &Recipe) -> String {
    let lines: Vec<String> = recipe.iter().map(|(path, entry)| format!("{}={}\n", path.join("."), entry.value)).collect();
    blake3::hash(lines.concat().as_bytes()).to_hex().to_string()
}

/// Every key with the value that held, and reasons by dotted key.
fn resolved_recipe(facts: &Facts<'_>) -> (Recipe, BTreeMap<String, String>) {
    let plan = facts.plan;
    let mut recipe = plan.recipe.clone();
    let mut notes = BTreeMap::new();
    if plan.targets.is_empty() {
        let targets = facts.targets.iter().map(|target| Value::Text(target.field.name.to_string())).collect();
        recipe.set(owned(&["target"]), Value::List(targets), Origin::Inferred, "inferred");
        notes.insert("target".into(), "as the data is laid out".into());
    }
    // What networks are told, and how images are changed, stands in the recipe of a run only where there is one.
    let networks: &[&[&str]] = if facts.targets.iter().any(|target| target.trained.is_some()) { &[&["train"], &["save"]] } else { &[] };
    let has_images = facts.divided.loaded.schema().inputs().any(|field| matches!(field.kind, Kind::Image { .. }));
    let images: &[&[&str]] = if has_images { &[&["data", "images"], &["augment"]] } else { &[] };
    let tables: [&[&str]; 6] = [&[], &["data"], &["data", "split"], &["data", "clean"], &["decision"], &["eval"]];
    let lags: &[&[&str]] = if facts.artifact.made().lags.is_some() { &[&["data", "lag"]] } else { &[] };
    for table in tables.into_iter().chain(lags.iter().copied()).chain(images.iter().copied()).chain(networks.iter().copied()) {
        for setting in recipe::lists(table).into_iter().flatten() {
            let path: Vec<&str> = table.iter().copied().chain([setting.name]).collect();
            if recipe.entry(&path).is_none() {
                recipe.set(owned(&path), setting.default_value(), Origin::Default, "default");
            }
        }
    }
    // A time limit has done its work: what it settled stands in the model's settings.
    if recipe.entry(&["time"]).is_some_and(|entry| entry.value != Value::Text("auto".into())) {
        recipe.set(owned(&["time"]), Value::Text("auto".into()), Origin::Auto, "auto");
        notes.insert("time".into(), "the limit has settled what it had to".into());
    }
    for labels in &facts.artifact.made().labels {
        for (key, value) in [("type", LABELS), ("separator", labels.form.word())] {
            let path = ["outputs", &labels.column, key];
            if recipe.entry(&path).is_none() {
                recipe.set(owned(&path), Value::Text(value.to_owned()), Origin::Inferred, "inferred");
                let reason = facts.divided.loaded.making.reasons.get(&labels.column);
                notes.insert(path.join("."), reason.cloned().unwrap_or_default());
            }
        }
    }
    for column in facts.divided.loaded.columns.iter().filter(|column| !facts.artifact.made().makes(&column.name)) {
        let table = match column.role.as_str() {
            "target" => "outputs",
            _ => "inputs",
        };
        let path = [table, &column.name, "type"];
        let is_typed = matches!(column.kind.as_str(), "number" | "category" | "binary" | "date" | "text" | "id" | "image" | "constant");
        if recipe.entry(&path).is_none() && is_typed && matches!(column.role.as_str(), "target" | "input" | "ignored") {
            recipe.set(owned(&path), Value::Text(column.kind.clone()), Origin::Inferred, "inferred");
            notes.insert(path.join("."), column.reason.clone());
        }
    }
    let is_one = facts.targets.len() == 1;
    for (target, pipeline) in facts.targets.iter().zip(facts.artifact.pipelines()) {
        resolve_model(&mut recipe, &mut notes, target, pipeline, is_one);
    }
    for target in &facts.targets {
        resolve_training(&mut recipe, &mut notes, target);
    }
    for (key, value) in agreed(&facts.targets) {
        let path = recipe::split_path(key);
        let path_words: Vec<&str> = path.iter().map(String::as_str).collect();
        let is_open = recipe.entry(&path_words).is_none_or(|entry| entry.value == Value::Text("auto".into()));
        if is_open {
            recipe.set(path, Value::parse(value), Origin::Auto, "auto");
        }
    }
    (recipe, notes)
}

/// What `auto` became in the preparation, where the pipelines of all targets agree. Where they do not, as when a linear model
/// scales a column and trees leave it as it is, `auto` stays in the recipe: what it becomes follows from each model.
fn agreed(targets: &[Target]) -> impl Iterator<Item = &(String, String)> {
    let (first, rest) = targets.split_first().expect("a run has a target");
    first.prepared.iter().filter(|pair| rest.iter().all(|target| target.prepared.contains(pair)))
}

fn resolve_model(recipe: &mut Recipe, notes: &mut BTreeMap<String, String>, target: &Target, pipeline: &Pipeline, is_one: bool) {
    let name = target.field.name.to_string();
    let table: Vec<&str> = if is_one { vec!["model"] } else { vec!["outputs", &name, "model"] };
    let path = |last: &str| -> Vec<String> { table.iter().copied().chain([last]).map(str::to_owned).collect() };
    let is_said = recipe
        .entry(&table.iter().copied().chain(["name"]).collect::<Vec<_>>())
        .is_some_and(|entry| entry.value != Value::Text("auto".into()));
    if !is_said {
        recipe.set(path("name"), Value::Text(pipeline.model.name.to_owned()), Origin::Auto, "auto");
        notes.insert(path("name").join("."), "the best of the leaderboard".into());
    }
    for (setting, value) in pipeline.settings.iter() {
        let resolved = target.resolved.iter().find(|(name, _, _)| name == setting);
        let whole: Vec<&str> = table.iter().copied().chain([setting]).collect();
        match (resolved, recipe.entry(&whole).is_some()) {
            (Some((_, _, reason)), _) => {
                recipe.set(path(setting), value.clone(), Origin::Auto, "auto");
                notes.insert(path(setting).join("."), reason.clone());
            }
            (None, false) => recipe.set(path(setting), value.clone(), if is_said { Origin::Default } else { Origin::Auto }, "default"),
            (None, true) => {}
        }
    }
}

/// What a network's training found out, or where it was cut short.
fn resolve_training(recipe: &mut Recipe, notes: &mut BTreeMap<String, String>, target: &Target) {
    let resolved = target.trained.as_ref().map_or(&[][..], |trained| &trained.resolved);
    for [key, value, reason] in resolved {
        recipe.set(recipe::split_path(key), Value::parse(value), Origin::Auto, "auto");
        notes.insert(key.clone(), reason.clone());
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|&segment| segment.to_owned()).collect()
}

fn finding(finding: &Finding) -> report::Finding {
    report::Finding {
        check: finding.check.clone(),
        severity: match finding.severity {
            Severity::Stop => report::Severity::Stop,
            Severity::Warn => report::Severity::Warn,
            Severity::Note => report::Severity::Note,
        },
        column: finding.column.clone(),
        rows: finding.rows.clone(),
        rows_total: finding.rows.len() as u64,
        sentence: finding.sentence.clone(),
        remedy: finding.remedy.clone(),
    }
}

fn report(facts: &Facts<'_>, (recipe, notes): &(Recipe, BTreeMap<String, String>)) -> Report {
    let divided = facts.divided;
    let name = facts.folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let models: Vec<&str> = facts.artifact.pipelines().iter().map(|pipeline| pipeline.model.name).collect();
    let counts = divided.cut.counts;
    let test_rows = divided.loaded.test.as_ref().map_or(counts[2], cupola_task::Dataset::len);
    let folder = facts.folder.display().to_string();
    Report {
        name,
        cupola: env!("CARGO_PKG_VERSION").to_owned(),
        model: models.join(", "),
        model_path: facts.folder.join(runs::MODEL_FILE).display().to_string(),
        statement: report::Statement::default(),
        data: report::DataSummary {
            files: divided.loaded.files.clone(),
            split: split_phrase(facts.plan, divided),
            rows: SplitRows {
                train: counts[0],
                valid: counts[1],
                test: test_rows,
                out: crate::training::count(&divided.cut.sides, Side::Out),
            },
            columns: prepared_columns(facts),
            made: divided.loaded.making.told.clone(),
        },
        findings: divided.findings.iter().map(finding).collect(),
        leaderboard: facts.targets.iter().find_map(|target| target.board.as_ref().map(auto::Board::leaderboard)),
        targets: facts.targets.iter().map(|target| target.measured.clone()).collect(),
        labels: facts.labels.clone(),
        gates: gates::judge(&facts.plan.gates, &facts.targets.iter().map(|target| &target.measured).collect::<Vec<_>>(), facts.latency_ms),
        timings: vec![],
        warnings: facts.journal.warnings(),
        settings: sources(recipe, notes),
        files: vec![],
        next: vec![
            Step { command: format!("cupola serve {folder}"), purpose: "answer over HTTP, with a page to try the model".into() },
            Step { command: format!("cupola predict {folder} DATA"), purpose: "answer the rows of a file".into() },
        ],
        reproduce: vec![
            Step { command: format!("cupola train {folder}/run.toml"), purpose: "train the same model again".into() },
            Step {
                command: format!("cupola verify {folder}"),
                purpose: "prove that the file answers as it did when it was written".into(),
            },
        ],
        example: example(facts.artifact),
        tuning: facts.tuning.clone(),
    }
}

/// The columns with what preparation does with them: once where it does the same for all targets, else for each.
fn prepared_columns(facts: &Facts<'_>) -> Vec<report::ColumnSummary> {
    let how = |name: &str| {
        let mut ways: Vec<(&str, &str)> = Vec::new();
        for target in &facts.targets {
            let own = target.described.iter().find(|(column, _)| **column == *name).map(|(_, what)| (&*target.field.name, what.as_str()));
            ways.extend(own);
        }
        match &ways[..] {
            [] => None,
            [(_, first), rest @ ..] if rest.iter().all(|(_, what)| what == first) => Some((*first).to_owned()),
            ways => Some(ways.iter().map(|(target, what)| format!("for {target}: {what}")).collect::<Vec<_>>().join("; ")),
        }
    };
    let columns = facts.divided.loaded.columns.iter();
    columns.map(|column| report::ColumnSummary { prepared: how(&column.name), ..column.clone() }).collect()
}

fn split_phrase(plan: &Plan, divided: &Divided) -> String {
    let cut = &divided.cut;
    let key = cut.key.as_ref().map_or(String::new(), |key| format!(" of {key}"));
    let test = if plan.test.is_some() { "; the test rows are a file of their own" } else { "" };
    format!("{}{key} ({}){test}", cut.by.word(), cut.reason)
}

fn sources(recipe: &Recipe, notes: &BTreeMap<String, String>) -> Vec<SettingSource> {
    let source = |(path, entry): (&[String], &recipe::Entry)| {
        let key = path.join(".");
        let origin = match entry.origin {
            Origin::Default => report::Origin::Default,
            Origin::Inferred => report::Origin::Inferred,
            Origin::Auto => report::Origin::Auto,
            Origin::File | Origin::Tiny => report::Origin::File,
            Origin::Flag => report::Origin::Flag,
        };
        SettingSource { value: entry.value.to_string(), origin, reason: notes.get(&key).cloned(), key }
    };
    recipe.iter().map(source).collect()
}

/// The first golden row as JSON, when there is one.
fn example(artifact: &Artifact) -> Option<serde_json::Map<String, serde_json::Value>> {
    let golden = artifact.golden();
    if golden.rows() == 0 {
        return None;
    }
    let inputs = artifact.raw().fields.iter().filter(|field| field.role == Role::Input);
    inputs.map(|field| Some((field.name.to_string(), crate::answers::cell(golden.array(&field.name).ok()?, 0)))).collect()
}
