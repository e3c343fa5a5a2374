//! Writes a resolved recipe as `run.toml`: every key, its value and where the value comes from.

use super::Recipe;
use cupola_task::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A resolved recipe as TOML text that [`Recipe::parse`] reads back to the same keys and values. Each line names the
/// origin of its value in a comment; `notes` adds a reason by dotted key.
pub fn write(recipe: &Recipe, head: &str, notes: &BTreeMap<String, String>) -> String {
    let mut tables: BTreeMap<Vec<&str>, Vec<String>> = BTreeMap::new();
    for (path, entry) in recipe.iter() {
        let (last, prefix) = path.split_last().expect("a path has a segment");
        let note = notes.get(&path.join(".")).map_or(String::new(), |note| format!(": {}", note.replace(['\n', '\r'], " ")));
        let line = format!("{} = {} # {}{note}\n", quoted(last), toml_text(&entry.value), entry.origin);
        tables.entry(prefix.iter().map(String::as_str).collect()).or_default().push(line);
    }
    let mut text: String = head.lines().map(|line| format!("# {line}\n")).collect();
    for (table, lines) in tables {
        if !table.is_empty() {
            let name: Vec<String> = table.iter().map(|segment| quoted(segment)).collect();
            writeln!(text, "\n[{}]", name.join(".")).expect("writing to a string cannot fail");
        }
        text.extend(lines);
    }
    text
}

fn toml_text(value: &Value) -> String {
    match value {
        Value::Text(text) => toml::Value::String(text.clone()).to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        plain => plain.to_string(),
    }
}

fn quoted(segment: &str) -> String {
    let is_bare = !segment.is_empty() && segment.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { segment.to_owned() } else { toml::Value::String(segment.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Origin;

    #[test]
    fn write_and_parse_are_inverse() {
        let mut recipe = Recipe::default();
        for (path, value) in [
            (vec!["seed"], Value::Integer(7)),
            (vec!["inputs", "a.b \"c\"", "type"], Value::Text("number".into())),
            (vec!["outputs", "größe", "positive"], Value::Text("<=50K\t\\\u{1}".into())),
            (vec!["data", "split", "ratio"], Value::List(vec![Value::Real(0.8), Value::Real(0.2)])),
        ] {
            recipe.set(path.into_iter().map(str::to_owned).collect(), value, Origin::File, "x");
        }
        let text = write(&recipe, "a head", &BTreeMap::from([("seed".to_owned(), "why\nnot".to_owned())]));
        assert!(text.contains("seed = 7 # file: why not\n"), "{text}");
        let again = Recipe::parse("x", &text).unwrap();
        let values = |recipe: &Recipe| recipe.iter().map(|(path, entry)| (path.to_vec(), entry.value.clone())).collect::<Vec<_>>();
        assert_eq!(values(&again), values(&recipe));
    }
}
