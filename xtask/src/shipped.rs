//! The data that ships: every file has its origin written down.

use crate::{Finding, Tree};
use anyhow::Result;
use std::collections::BTreeSet;

const SOURCES: &str = "data/SOURCE.md";

/// Holds the files below `data/` against the first column of the tables in `data/SOURCE.md`, both ways.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let named: Vec<(usize, &str)> = tree.file(SOURCES).into_iter().flat_map(|file| file.lines()).filter_map(first_name).collect();
    let known: BTreeSet<&str> = named.iter().map(|(_, name)| *name).collect();
    let files = tree.under("data/").filter(|file| file.path != SOURCES);
    let unnamed = files.filter(|file| !known.contains(&file.path["data/".len()..]));
    let unnamed = unnamed.map(|file| file.finding(1, "no origin", format!("{SOURCES} says where every file is from, and its licence")));
    let gone = named.iter().filter(|(_, name)| tree.file(&format!("data/{name}")).is_none());
    let gone = gone.map(|(line, name)| Finding {
        path: SOURCES.to_owned(),
        line: *line,
        what: format!("no file {name}"),
        why: "the table lists what is there".to_owned(),
    });
    Ok(unnamed.chain(gone).collect())
}

/// The name between backticks that begins a table row.
fn first_name((number, line): (usize, &str)) -> Option<(usize, &str)> {
    let rest = line.strip_prefix("| `")?;
    rest.split_once('`').map(|(name, _)| (number, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_finds_files_without_origin_and_origins_without_file() {
        let sources = "| file | from |\n|---|---|\n| `a.csv` | here |\n| `gone.csv` | there |\n";
        let tree = Tree::of(&[("data/SOURCE.md", sources), ("data/a.csv", ""), ("data/tiny/b.csv", "")]);
        let found: Vec<(String, usize)> = check(&tree).unwrap().into_iter().map(|finding| (finding.path, finding.line)).collect();
        assert_eq!(found, [("data/tiny/b.csv".to_owned(), 1), (SOURCES.to_owned(), 4)]);
    }
}
