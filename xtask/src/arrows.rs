//! The arrows between crates, as ARCHITECTURE.md draws them. Cargo refuses a cycle; it does not refuse a new arrow.

use crate::{File, Finding, Tree};
use anyhow::{Context, Result};
use toml::{Table, Value};

/// Each crate and the crates of ours it may depend on. A crate that is not here has to be drawn first.
const ALLOWED: &[(&str, &[&str])] = &[
    ("cupola-task", &[]),
    ("cupola-data", &["cupola-task", "cupola-query"]),
    ("cupola-query", &[]),
    ("cupola-classic", &["cupola-task", "cupola-kernels"]),
    ("cupola-kernels", &[]),
    ("cupola-nets", &["cupola-task", "cupola-kernels"]),
    ("cupola-metrics", &["cupola-task"]),
    ("cupola-watch", &["cupola-task", "cupola-data", "cupola-metrics"]),
    ("cupola-train", &["cupola-task", "cupola-data", "cupola-classic", "cupola-nets", "cupola-metrics", "cupola-watch"]),
    ("cupola-serve", &["cupola-task", "cupola-data", "cupola-metrics", "cupola-train", "cupola-watch"]),
    ("cupola", &["cupola-task", "cupola-data", "cupola-classic", "cupola-metrics", "cupola-watch", "cupola-train", "cupola-serve"]),
    ("xtask", &["cupola-task", "cupola-data", "cupola-classic", "cupola-nets", "cupola-metrics", "cupola-watch", "cupola-train"]),
];

/// The crates that may name the gradient engine, once they exist.
const ENGINE_USERS: &[&str] = &["cupola-nets", "cupola-reinforce", "cupola-train"];

/// Reads every `Cargo.toml` below `crates/` and `xtask/` and holds its dependencies against the picture.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let manifests = tree.under("crates/").chain(tree.under("xtask/")).filter(|file| file.name() == "Cargo.toml");
    let mut findings = Vec::new();
    for file in manifests {
        findings.extend(check_manifest(file).with_context(|| format!("read {}", file.path))?);
    }
    Ok(findings)
}

fn check_manifest(file: &File) -> Result<Vec<Finding>> {
    let manifest: Table = file.text().context("it is not text")?.parse()?;
    let package = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str).context("it names no package")?;
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package) else {
        let why = "draw it in ARCHITECTURE.md and add it to xtask/src/arrows.rs";
        return Ok(vec![file.finding(line_of(file, package), format!("crate {package} is not in the picture"), why)]);
    };
    let dependencies = dependencies(&manifest);
    Ok(dependencies.iter().filter_map(|name| check_arrow(file, package, allowed, name)).collect())
}

fn check_arrow(file: &File, package: &str, allowed: &[&str], dependency: &str) -> Option<Finding> {
    let is_ours = ALLOWED.iter().any(|(name, _)| *name == dependency) || dependency.starts_with("cupola");
    let is_engine = dependency == "burn" || dependency.starts_with("burn-");
    let why = if is_ours && !allowed.contains(&dependency) {
        format!("{package} may depend on: {}", if allowed.is_empty() { "nothing of ours".to_owned() } else { allowed.join(", ") })
    } else if is_engine && !ENGINE_USERS.contains(&package) {
        format!("only {} may name the gradient engine", ENGINE_USERS.join(", "))
    } else {
        return None;
    };
    Some(file.finding(line_of(file, dependency), format!("arrow {package} -> {dependency}"), why))
}

/// The packages of every dependency table: normal, dev, build, and those for one platform. A renamed one counts under its real name.
fn dependencies(manifest: &Table) -> Vec<String> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values).filter_map(Value::as_table);
    std::iter::once(manifest)
        .chain(platforms)
        .flat_map(|table| KINDS.iter().filter_map(|kind| table.get(*kind)?.as_table()))
        .flatten()
        .map(|(name, value)| value.get("package").and_then(Value::as_str).unwrap_or(name).to_owned())
        .collect()
}

fn line_of(file: &File, word: &str) -> usize {
    let names = |line: &str| line.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).any(|part| part == word);
    file.lines().filter(|(_, line)| names(line)).map(|(number, _)| number).last().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_finds_arrows_that_are_not_drawn() {
        let manifest = |name: &str, rest: &str| format!("[package]\nname = \"{name}\"\n{rest}");
        for (name, rest, found) in [
            ("cupola-data", "[dependencies]\ncupola-task.workspace = true\n", None),
            ("cupola-train", "[dependencies]\nburn = \"0.22\"\n", None),
            ("cupola-data", "[dependencies]\ncupola-classic.workspace = true\n", Some("4: arrow cupola-data -> cupola-classic")),
            ("cupola-task", "[dev-dependencies]\ncupola-data = { path = \"../data\" }\n", Some("4: arrow cupola-task -> cupola-data")),
            ("cupola-metrics", "[dependencies]\nother = { package = \"cupola-data\" }\n", Some("4: arrow cupola-metrics -> cupola-data")),
            ("cupola-classic", "[target.'cfg(unix)'.dependencies]\nburn-core = \"1\"\n", Some("4: arrow cupola-classic -> burn-core")),
            ("cupola-new", "", Some("2: crate cupola-new is not in the picture")),
        ] {
            let findings = check(&Tree::of(&[("crates/x/Cargo.toml", &manifest(name, rest))])).unwrap();
            let shown: Vec<String> = findings.iter().map(Finding::to_string).collect();
            let is_expected = match found {
                None => shown.is_empty(),
                Some(text) => shown.len() == 1 && shown[0].starts_with(&format!("crates/x/Cargo.toml:{text}: ")),
            };
            assert!(is_expected, "{name} {rest}: {shown:?}");
        }
    }
}
