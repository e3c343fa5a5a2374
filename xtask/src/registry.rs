//! The registries of the crates, as one list: an entry is one file.

use crate::{File, Finding, Tree};
use anyhow::Result;
use cupola_task::{Setting, Task};

/// One registry: what its entries are called, and where their files lie.
pub(crate) struct Registry {
    /// Its name in the documents: `models`.
    pub name: &'static str,
    /// What its entries' kinds are called: `learns`.
    pub kinds: &'static str,
    /// Where an entry's file lies, at any depth.
    pub folder: &'static str,
    /// Whether a file may hold a family of entries, each by its name in quotes, beside entries with files of their own.
    pub has_families: bool,
    /// The name of the slice.
    pub slice: &'static str,
    /// What is in it, in its order.
    pub entries: Vec<Entry>,
}

/// What the documents say about an entry.
pub(crate) struct Entry {
    pub name: &'static str,
    pub doc: &'static str,
    /// What it can learn, measures or is known by: tasks or file endings.
    pub kinds: Vec<String>,
    pub settings: &'static [Setting],
}

/// All registries.
pub(crate) fn registries() -> [Registry; 5] {
    let models = cupola_classic::MODELS
        .iter()
        .map(|model| Entry { name: model.name, doc: model.doc, kinds: words(model.tasks), settings: model.settings })
        .collect();
    let networks = cupola_nets::MODELS
        .iter()
        .map(|model| Entry { name: model.name, doc: model.doc, kinds: words(model.tasks), settings: model.settings })
        .collect();
    let metrics = cupola_metrics::METRICS
        .iter()
        .map(|metric| Entry { name: metric.name, doc: metric.doc, kinds: words(metric.tasks), settings: metric.settings })
        .collect();
    let formats = cupola_data::FORMATS
        .iter()
        .map(|format| Entry {
            name: format.name,
            doc: format.doc,
            kinds: format.extensions.iter().map(|ending| format!(".{ending}")).collect(),
            settings: &[],
        })
        .collect();
    let augmentations = cupola_data::augment::OPERATIONS
        .iter()
        .map(|operation| Entry {
            name: operation.name,
            doc: operation.doc,
            kinds: operation.settings.iter().map(|setting| format!("`{}`", setting.name)).collect(),
            settings: operation.settings,
        })
        .collect();
    let registry = |name, kinds, folder, slice, entries| Registry { name, kinds, folder, slice, entries, has_families: name == "networks" };
    [
        registry("models", "learns", "crates/classic/src/", "MODELS", models),
        registry("networks", "learns", "crates/nets/src/", "MODELS", networks),
        registry("metrics", "measures", "crates/metrics/src/", "METRICS", metrics),
        registry("formats", "endings", "crates/data/src/formats/", "FORMATS", formats),
        registry("augmentations", "keys", "crates/data/src/augment/", "OPERATIONS", augmentations),
    ]
}

/// The words that recipes use for tasks.
fn words(tasks: &[Task]) -> Vec<String> {
    tasks.iter().map(|task| format!("{task:?}").to_lowercase()).collect()
}

/// Holds every entry against the tree: `name.rs`, or a folder of that name.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    Ok(registries().iter().flat_map(|registry| check_registry(tree, registry)).collect())
}

fn check_registry(tree: &Tree, registry: &Registry) -> Vec<Finding> {
    let (path, line) = place(tree, registry);
    let finding = |what: String, why: String| Finding { path: path.clone(), line, what, why };
    let has_file = |name: &str| {
        let ends = [format!("/{name}.rs"), format!("/{name}/mod.rs")];
        let quoted = format!("\"{name}\"");
        let is_of_it = |file: &File| {
            ends.iter().any(|end| file.path.ends_with(end.as_str()))
                || (registry.has_families && file.lines().any(|(_, line)| line.contains(&quoted)))
        };
        tree.under(registry.folder).any(is_of_it)
    };
    let without_file =
        registry.entries.iter().filter(|entry| !has_file(entry.name)).map(|entry| {
            finding(format!("{} has no file", entry.name), format!("one entry, one file: {}{}.rs", registry.folder, entry.name))
        });
    let twice =
        registry.entries.iter().enumerate().filter(|(place, entry)| registry.entries[..*place].iter().any(|e| e.name == entry.name));
    let twice = twice.map(|(_, entry)| finding(format!("{} is there twice", entry.name), "names are unique".to_owned()));
    let without_doc = registry.entries.iter().filter(|entry| entry.doc.trim().is_empty());
    let without_doc = without_doc.map(|entry| finding(format!("{} says nothing", entry.name), "an entry has one sentence".to_owned()));
    without_file.chain(twice).chain(without_doc).collect()
}

/// Where the slice is written.
fn place(tree: &Tree, registry: &Registry) -> (String, usize) {
    let start = format!("pub const {}:", registry.slice);
    let lines = tree.under(registry.folder).flat_map(|file| file.lines().map(move |(number, line)| (file, number, line)));
    lines
        .filter(|(.., line)| line.starts_with(&start))
        .map(|(file, number, _)| (file.path.clone(), number))
        .next()
        .unwrap_or((registry.folder.to_owned(), 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_registry_finds_entries_without_file_doc_or_name_of_their_own() {
        let entry = |name, doc| Entry { name, doc, kinds: vec![], settings: &[] };
        let entries = vec![entry("tree", "A tree."), entry("forest", "Trees."), entry("svm", " "), entry("tree", "A tree.")];
        let registry = Registry { name: "models", kinds: "learns", folder: "m/src/", slice: "MODELS", entries, has_families: false };
        let list = ("m/src/lib.rs", "//! Models.\npub const MODELS: &[Def] = &[];");
        let tree = Tree::of(&[list, ("m/src/tree.rs", ""), ("m/src/wood/forest/mod.rs", "")]);
        let findings = check_registry(&tree, &registry);
        assert!(findings.iter().all(|finding| finding.to_string().starts_with("m/src/lib.rs:2: ")), "{findings:?}");
        let found: Vec<String> = findings.into_iter().map(|finding| finding.what).collect();
        assert_eq!(found, ["svm has no file", "tree is there twice", "svm says nothing"]);
    }
}
