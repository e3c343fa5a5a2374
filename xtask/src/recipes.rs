//! The recipes that users copy: each can be read, says what it shows, and can be run short on data that ships.

use crate::{File, Finding, Tree};
use anyhow::Result;
use toml::{Table, Value};

/// What `just data` fetches is no part of the tree.
const FETCHED: &str = "data/full/";

/// Reads every recipe. Whether its keys are known is `cupola check`'s to say; `.ci/run` runs it.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    Ok(tree.under("recipes/").filter(|file| file.extension() == "toml").flat_map(|file| check_recipe(tree, file)).collect())
}

fn check_recipe(tree: &Tree, file: &File) -> Vec<Finding> {
    let text = file.text().unwrap_or_default();
    let recipe: Table = match text.parse() {
        Ok(recipe) => recipe,
        Err(error) => return vec![file.finding(1, error.to_string().trim().replace('\n', " "), "a recipe is TOML")],
    };
    let mut findings = Vec::new();
    if !text.starts_with("# ") {
        findings.push(file.finding(1, "no first comment", "a recipe begins by saying what it shows"));
    }
    match recipe.get("tiny").and_then(Value::as_table) {
        Some(tiny) if !tiny.is_empty() => {}
        _ => findings.push(file.finding(text.lines().count(), "no [tiny] table", "`--tiny` runs every recipe short")),
    }
    let missing = data_paths(&recipe).into_iter().filter(|path| !path.starts_with(FETCHED) && !tree.has(path));
    findings.extend(missing.map(|path| file.finding(line_of(file, &path), format!("no file {path}"), "a recipe reads data that ships")));
    findings
}

/// The files that `train` and `test` name, at any depth and with dotted keys.
fn data_paths(table: &Table) -> Vec<String> {
    let of = |(key, value): (&String, &Value)| match value {
        Value::Table(inner) => data_paths(inner),
        Value::String(path) if matches!(key.rsplit('.').next(), Some("train" | "test")) => vec![path.clone()],
        _ => Vec::new(),
    };
    table.iter().flat_map(of).collect()
}

fn line_of(file: &File, word: &str) -> usize {
    file.lines().find(|(_, line)| line.contains(word)).map_or(1, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_finds_what_a_recipe_lacks() {
        let good = "# Shows it.\ntarget = \"y\"\n[data]\ntrain = \"data/a.csv\"\n[tiny]\ndata.train = \"data/a.csv\"\n";
        for (text, found) in [
            (good.to_owned(), vec![]),
            (good.replace("# Shows it.\n", ""), vec!["1: no first comment"]),
            (good.replace("[tiny]\ndata.train", "[more]\nother"), vec!["6: no [tiny] table"]),
            (good.replacen("data/a.csv", "data/b.csv", 1), vec!["4: no file data/b.csv"]),
            (good.replacen("data/a.csv", "data/full/b.csv", 1), vec![]),
            (good.replace("data.train = \"data/a.csv\"", "\"data.test\" = \"data/b.csv\""), vec!["6: no file data/b.csv"]),
            ("# x\ny = ".to_owned(), vec!["1: TOML parse error"]),
        ] {
            let findings = check(&Tree::of(&[("recipes/a.toml", &text), ("data/a.csv", "x")])).unwrap();
            let shown: Vec<String> = findings.iter().map(Finding::to_string).collect();
            assert_eq!(shown.len(), found.len(), "{text}: {shown:?}");
            assert!(
                shown.iter().zip(found).all(|(shown, found)| shown.starts_with(&format!("recipes/a.toml:{found}"))),
                "{text}: {shown:?}"
            );
        }
    }
}
