//! `cupola registry`: which models are deployed, which of them answers, and why.

use super::{aligned, named, now_us, open, open_registry};
use crate::arguments::RegistryCommand;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_train::recipe::Recipe;
use cupola_watch::registry::{CHALLENGER, CHAMPION, Decision, NewVersion, Registry, Version};
use cupola_watch::write_moment;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

pub fn run(command: RegistryCommand, screen: &Screen) -> Result<ExitCode> {
    let registry = open_registry()?;
    match command {
        RegistryCommand::Add { model, pairs } => add(&registry, &model, &pairs, screen)?,
        RegistryCommand::Ls { name } => list(&registry, name.as_deref(), screen)?,
        RegistryCommand::Alias { name, alias, version, why } => {
            let decision = match version {
                Some(version) => {
                    let number = registry.find(&name, &version).context("failed to find the version")?.number;
                    registry.alias(&name, &alias, number, now_us(), &reason(why.as_deref()))
                }
                None => registry.unalias(&name, &alias, now_us(), &reason(why.as_deref())),
            };
            tell(&decision.context("failed to move the alias")?, screen);
        }
        RegistryCommand::Promote { name, version, why } => {
            let version = registry.find(&name, version.as_deref().unwrap_or(CHALLENGER)).context("failed to find the version")?;
            let decision = registry.promote(&name, version.number, now_us(), &reason(why.as_deref()));
            tell(&decision.context("failed to promote")?, screen);
        }
        RegistryCommand::Rollback { name, why } => {
            let decision = registry.rollback(&name, now_us(), &reason(why.as_deref()));
            tell(&decision.context("failed to roll back")?, screen);
        }
        RegistryCommand::Log { name } => log(&registry, &name, screen)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn reason(why: Option<&str>) -> Value {
    json!({ "by": "command line", "why": why.unwrap_or_default() })
}

fn add(registry: &Registry, model: &Path, pairs: &[String], screen: &Screen) -> Result<()> {
    let (file, artifact) = open(model)?;
    let file = std::fs::canonicalize(&file).unwrap_or(file);
    let folder = file.parent().unwrap_or(Path::new("."));
    let is_run = folder.join("run.toml").is_file();
    let run = folder.file_name().filter(|_| is_run).map(|name| name.to_string_lossy().into_owned());
    let [name, alias] = named(pairs, ["name", "alias"], "cupola registry add runs/latest name=adult alias=challenger")?;
    // `0007-adult-gbdt` is the model `adult-gbdt`.
    let label = run.as_deref().map(|run| run.split_once('-').map_or(run, |(_, label)| label).to_owned());
    let stem = || file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.or(label).unwrap_or_else(stem);
    let read = |what: &str| std::fs::read_to_string(folder.join(what)).ok().filter(|_| is_run);
    let lock: Value = read("run.lock").and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let scores: Vec<Value> =
        artifact.scores().iter().map(|score| json!({ "target": score.target, "name": score.name, "value": score.value })).collect();
    let new = NewVersion {
        hash: artifact.hash().to_owned(),
        parent: None,
        origin: "train".into(),
        recipe: recipe(folder, is_run)?,
        facts: json!({ "run": run, "lock": lock, "scores": scores }),
        sides: Some(folder.join("data/sides.parquet")).filter(|_| is_run),
    };
    let version = registry.add(&name, &file, &new, now_us()).context("failed to add the model")?;
    if let Some(alias) = &alias {
        registry.alias(&name, alias, version.number, now_us(), &reason(None)).context("failed to set the alias")?;
    }
    let aliases = aliases(registry, &name, version.number)?;
    screen.object(&json!({ "name": name, "version": version.number, "hash": version.hash, "aliases": aliases }));
    let said = if aliases.is_empty() { String::new() } else { format!(", the {}", aliases.join(" and the ")) };
    screen.text(&format!("{name} version {}{said}\n  serve it   cupola serve {name}", version.number));
    Ok(())
}

/// The run's recipe, with its files where they are found from anywhere.
fn recipe(folder: &Path, is_run: bool) -> Result<String> {
    if !is_run {
        return Ok(String::new());
    }
    let mut recipe = Recipe::open(&folder.join("run.toml")).context("failed to read the run's recipe")?;
    let names_files = |path: &[String]| match path {
        [data, key] => data == "data" && (key == "train" || key == "test"),
        [data, tables, _] => data == "data" && tables == "tables",
        _ => false,
    };
    let named: Vec<_> = recipe.iter().filter(|(path, _)| names_files(path)).map(|(path, entry)| (path.to_vec(), entry.clone())).collect();
    for (path, entry) in named {
        recipe.set(path, found_from_anywhere(&entry.value), entry.origin, "registry");
    }
    Ok(cupola_train::recipe::write(&recipe, "The recipe of this version.", &Default::default()))
}

/// Paths from the root on; a pattern's folder so.
fn found_from_anywhere(value: &cupola_task::Value) -> cupola_task::Value {
    use cupola_task::Value;
    let absolute = |text: &str| match std::path::absolute(text) {
        Ok(path) if !text.is_empty() && text != "-" => path.display().to_string(),
        _ => text.to_owned(),
    };
    match value {
        Value::Text(text) => Value::Text(absolute(text)),
        Value::List(items) => Value::List(items.iter().map(found_from_anywhere).collect()),
        other => other.clone(),
    }
}

fn aliases(registry: &Registry, name: &str, number: i64) -> Result<Vec<String>> {
    let all = registry.aliases(name).context("failed to read the registry")?;
    Ok(all.into_iter().filter(|(_, behind)| *behind == number).map(|(alias, _)| alias).collect())
}

fn list(registry: &Registry, name: Option<&str>, screen: &Screen) -> Result<()> {
    let names = match name {
        Some(name) => {
            registry.find(name, CHAMPION).context("failed to find the model")?;
            vec![name.to_owned()]
        }
        None => registry.names().context("failed to read the registry")?,
    };
    let mut rows = Vec::new();
    for name in &names {
        for version in registry.versions(name).context("failed to read the registry")? {
            let aliases = aliases(registry, name, version.number)?;
            screen.object(&json!({ "name": name, "version": version.number, "hash": version.hash, "parent": version.parent,
                "origin": version.origin, "aliases": aliases, "added": write_moment(version.added_us), "facts": version.facts }));
            rows.push(row(name, &version, &aliases));
        }
    }
    match rows.is_empty() {
        true => screen.text(&format!("no models in {}; `cupola registry add RUN` adds one", registry.root().display())),
        false => screen.text(&aligned(&["model", "version", "alias", "measure", "test", "origin", "run", "added", "hash"], &rows)),
    }
    Ok(())
}

fn row(name: &str, version: &Version, aliases: &[String]) -> Vec<String> {
    let score = &version.facts["scores"][0];
    let value = score["value"].as_f64().map_or(String::new(), |value| format!("{value:.4}"));
    let origin = version.parent.map_or_else(|| version.origin.clone(), |parent| format!("{} of {parent}", version.origin));
    vec![
        name.to_owned(),
        version.number.to_string(),
        aliases.join(", "),
        score["name"].as_str().unwrap_or_default().to_owned(),
        value,
        origin,
        version.facts["run"].as_str().unwrap_or_default().to_owned(),
        write_moment(version.added_us),
        version.hash.chars().take(12).collect(),
    ]
}

fn tell(decision: &Decision, screen: &Screen) {
    screen.object(&json!(decision));
    screen.text(&sentence(decision));
}

fn sentence(decision: &Decision) -> String {
    let number = |number: Option<i64>| number.map_or("none".to_owned(), |number| format!("version {number}"));
    match &decision.alias {
        Some(alias) => format!("{}: {alias} is {}, was {}", decision.name, number(decision.number), number(decision.before)),
        None => format!("{}: {} {}", decision.name, decision.kind, number(decision.number)),
    }
}

fn log(registry: &Registry, name: &str, screen: &Screen) -> Result<()> {
    registry.find(name, CHAMPION).context("failed to find the model")?;
    let decisions = registry.decisions(name).context("failed to read the registry")?;
    let optional = |number: Option<i64>| number.map_or(String::new(), |number| number.to_string());
    let rows: Vec<Vec<String>> = decisions
        .iter()
        .map(|decision| {
            vec![
                write_moment(decision.at_us),
                decision.kind.clone(),
                decision.alias.clone().unwrap_or_default(),
                optional(decision.before),
                optional(decision.number),
                why(&decision.facts),
            ]
        })
        .collect();
    decisions.iter().for_each(|decision| screen.object(&json!(decision)));
    screen.text(&aligned(&["when", "what", "alias", "from", "to", "why"], &rows));
    Ok(())
}

/// The reason in words, when there is one.
fn why(facts: &Value) -> String {
    facts["why"].as_str().unwrap_or_default().to_owned()
}
