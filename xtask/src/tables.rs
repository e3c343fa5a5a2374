//! The tables in the documents that come from the code, between `<!-- models:begin -->` and `<!-- models:end -->`.

use crate::registry::{Entry, Registry, registries};
use crate::{File, Finding, Tree};
use anyhow::{Context, Result, ensure};
use cupola_task::Setting;
use std::fmt::Write;
use std::path::Path;

/// What a document shows between two markers.
struct Block {
    name: &'static str,
    text: String,
}

/// Finds tables that are not what the code says, and tables that no document shows.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let blocks = blocks();
    let mut findings = Vec::new();
    for file in documents(tree) {
        findings.extend(check_document(file, &blocks)?);
    }
    let is_shown = |block: &Block| documents(tree).any(|file| file.text().is_some_and(|text| text.contains(&begin(block.name))));
    findings.extend(blocks.iter().filter(|block| !is_shown(block)).map(|block| Finding {
        path: "docs/reference.md".to_owned(),
        line: 1,
        what: format!("no table of {}", block.name),
        why: format!("put {} and {} into a document", begin(block.name), end(block.name)),
    }));
    Ok(findings)
}

/// Rewrites the tables of every document below a folder and names the documents that changed.
///
/// # Errors
/// When a document cannot be read or written, or begins a table without ending it.
pub fn write_tables(root: &Path) -> Result<Vec<String>> {
    let (tree, blocks) = (Tree::open(root)?, blocks());
    let mut written = Vec::new();
    for file in documents(&tree) {
        let text = file.text().unwrap_or_default();
        let renewed = renew(text, &blocks).with_context(|| format!("renew {}", file.path))?;
        if renewed != text {
            std::fs::write(root.join(&file.path), renewed).with_context(|| format!("write {}", file.path))?;
            written.push(file.path.clone());
        }
    }
    Ok(written)
}

fn blocks() -> Vec<Block> {
    let registries = registries();
    let lists = registries.iter().map(|registry| Block { name: registry.name, text: registry_text(registry) });
    lists.chain([Block { name: "recipe", text: recipe_text() }]).collect()
}

fn documents(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.files().filter(|file| file.extension() == "md")
}

fn check_document(file: &File, blocks: &[Block]) -> Result<Option<Finding>> {
    let text = file.text().unwrap_or_default();
    let renewed = renew(text, blocks).with_context(|| format!("read {}", file.path))?;
    let differs = text.lines().zip(renewed.lines()).position(|(old, new)| old != new);
    let line = differs.unwrap_or_else(|| text.lines().count().min(renewed.lines().count())) + 1;
    Ok((renewed != text).then(|| file.finding(line, "a table is out of date", "run `cargo run --release -p xtask -- docs`")))
}

/// The text with every table made anew.
fn renew(text: &str, blocks: &[Block]) -> Result<String> {
    let mut renewed = text.to_owned();
    for block in blocks {
        let (begin, end) = (begin(block.name), end(block.name));
        let Some(start) = renewed.find(&begin).map(|at| at + begin.len()) else { continue };
        let length = renewed[start..].find(&end).with_context(|| format!("{begin} has no {end}"))?;
        ensure!(!renewed[start + length..].contains(&begin), "{begin} stands there twice");
        renewed.replace_range(start..start + length, &format!("\n{}", block.text));
    }
    Ok(renewed)
}

fn begin(name: &str) -> String {
    format!("<!-- {name}:begin -->")
}

fn end(name: &str) -> String {
    format!("<!-- {name}:end -->")
}

/// All entries in one table, then the settings of each that has some.
fn registry_text(registry: &Registry) -> String {
    let mut text = format!("| name | {} | what it is |\n|---|---|---|\n", registry.kinds);
    for entry in &registry.entries {
        let _ = writeln!(text, "| `{}` | {} | {} |", entry.name, entry.kinds.join(", "), cell(entry.doc));
    }
    for Entry { name, settings, .. } in registry.entries.iter().filter(|entry| !entry.settings.is_empty()) {
        let _ = write!(text, "\n### Settings of `{name}`\n\n{}", settings_text(settings));
    }
    text
}

/// The keys of every table of a recipe but `[model]` and `[augment]`, whose keys have lists of their own.
fn recipe_text() -> String {
    const TABLES: [&[&str]; 14] = [
        &[],
        &["data"],
        &["data", "split"],
        &["data", "images"],
        &["data", "clean"],
        &["data", "lag"],
        &["inputs", "NAME"],
        &["outputs", "NAME"],
        &["train"],
        &["save"],
        &["decision"],
        &["eval"],
        &["tune"],
        &["curve"],
    ];
    let mut text = String::new();
    for table in TABLES {
        let title = if table.is_empty() { "Above all tables".to_owned() } else { format!("`[{}]`", table.join(".")) };
        let _ = write!(text, "\n### {title}\n\n{}", settings_text(&cupola_train::recipe::lists(table).concat()));
    }
    text
}

fn settings_text(settings: &[Setting]) -> String {
    let mut text = "| setting | also called | default | takes | what it does |\n|---|---|---|---|---|\n".to_owned();
    for setting in settings {
        let alias: Vec<String> = setting.alias.iter().map(|name| format!("`{name}`")).collect();
        let (range, default) = (cell(&setting.range.to_string()), cell(setting.default));
        let _ = writeln!(text, "| `{}` | {} | `{default}` | {range} | {} |", setting.name, alias.join(", "), cell(setting.doc));
    }
    text
}

/// Text that cannot end its table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Range;

    const SETTINGS: &[Setting] =
        &[Setting { name: "depth", alias: &["max_depth"], default: "6", range: Range::Choice(&["1", "6"]), doc: "How deep." }];

    fn models() -> Block {
        let entry = Entry { name: "tree", doc: "A tree.", kinds: vec!["classify".to_owned(), "regress".to_owned()], settings: SETTINGS };
        let registry = Registry { name: "models", kinds: "learns", folder: "", slice: "", entries: vec![entry], has_families: false };
        Block { name: "models", text: registry_text(&registry) }
    }

    #[test]
    fn renew_replaces_what_stands_between_the_markers() {
        let text = "before\n<!-- models:begin -->\nold\n<!-- models:end -->\nafter\n";
        let renewed = renew(text, &[models()]).unwrap();
        let table = "| name | learns | what it is |\n|---|---|---|\n| `tree` | classify, regress | A tree. |\n\n### Settings of `tree`\n\n\
            | setting | also called | default | takes | what it does |\n|---|---|---|---|---|\n\
            | `depth` | `max_depth` | `6` | 1\\|6 | How deep. |\n";
        assert_eq!(renewed, format!("before\n<!-- models:begin -->\n{table}<!-- models:end -->\nafter\n"));
        assert_eq!(renew(&renewed, &[models()]).unwrap(), renewed);
        assert!(renew("<!-- models:begin -->\n", &[models()]).is_err());
    }

    #[test]
    fn check_document_names_the_first_line_that_differs() {
        let tree = Tree::of(&[("a.md", "x\n<!-- models:begin -->\nold\n<!-- models:end -->\n"), ("b.md", "no table")]);
        let found: Vec<_> = documents(&tree).map(|file| check_document(file, &[models()]).unwrap().map(|finding| finding.line)).collect();
        assert_eq!(found, [Some(3), None]);
    }
}
