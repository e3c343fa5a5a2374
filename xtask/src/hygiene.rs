//! Marks of unfinished work, places that only one machine has, files that are too big.

use crate::{File, Finding, Tree};
use anyhow::Result;

/// Unfinished work. The words are written in two pieces, so that this file does not find itself.
const MARKS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
    concat!("dbg", "!"),
    concat!("#[", "ignore"),
    concat!("#[", "allow("),
];

/// Folders that only one machine has.
const FOLDERS: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/wo", "rk/"),
    concat!("/tm", "p/"),
    concat!("/Us", "ers/"),
    concat!("C:\\Us", "ers"),
];

/// Hosts of package registries: the project builds from any mirror.
const HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("deb", ".debian", ".org"),
];

const BLOB_BYTES_MAX: usize = 1 << 20;
const LINES_MAX: usize = 700;

/// Finds marks of unfinished work in code and scripts.
pub(crate) fn check_marks(tree: &Tree) -> Result<Vec<Finding>> {
    let why = "what is merged is finished; open work is an issue";
    Ok(tree.files().filter(|file| is_code(file)).flat_map(|file| find_in_lines(file, MARKS, has_word, why)).collect())
}

/// Finds absolute paths and registry hosts in every text.
pub(crate) fn check_places(tree: &Tree) -> Result<Vec<Finding>> {
    let texts = || tree.files().filter(|file| !file.name().ends_with(".lock") && !file.path.starts_with("data/"));
    let folders = texts().flat_map(|file| find_in_lines(file, FOLDERS, has_path, "another machine does not have that folder"));
    let hosts = texts().flat_map(|file| find_in_lines(file, HOSTS, |line, host| line.contains(host), "the project builds from any mirror"));
    Ok(folders.chain(hosts).collect())
}

/// Finds files that make a clone heavy, and sources that one has to scroll through for long.
pub(crate) fn check_sizes(tree: &Tree) -> Result<Vec<Finding>> {
    let blobs = tree.files().filter(|file| file.bytes.len() > BLOB_BYTES_MAX && !file.path.starts_with("data/")).map(|file| {
        file.finding(1, format!("{} bytes", file.bytes.len()), format!("files outside data/ hold at most {BLOB_BYTES_MAX} bytes"))
    });
    let sources = tree.files().filter(|file| file.extension() == "rs").filter_map(|file| {
        let lines = file.lines().count();
        let why = format!("sources have at most {LINES_MAX} lines; make it a folder of the same name");
        (lines > LINES_MAX).then(|| file.finding(lines, format!("{lines} lines"), why))
    });
    Ok(blobs.chain(sources).collect())
}

fn is_code(file: &File) -> bool {
    ["rs", "toml", "py", "sh"].contains(&file.extension()) || ["justfile", "run"].contains(&file.name())
}

fn find_in_lines(file: &File, words: &[&str], has: fn(&str, &str) -> bool, why: &str) -> Vec<Finding> {
    let hits = file.lines().flat_map(|(number, line)| words.iter().filter(move |word| has(line, word)).map(move |word| (number, word)));
    hits.map(|(number, word)| file.finding(number, word, why)).collect()
}

/// Whether the word stands there by itself, not inside a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let (before, after) = (line[..start].chars().next_back(), line[start + word.len()..].chars().next());
        let is_open_ended = word.ends_with(['!', '(', 'e']);
        !(word.starts_with(is_part) && before.is_some_and(is_part)) && (is_open_ended || !after.is_some_and(is_part))
    })
}

/// Whether an absolute path begins there, not the middle of a relative path or a URL.
fn has_path(line: &str, folder: &str) -> bool {
    let is_path = |c: char| c.is_alphanumeric() || "._-/*}".contains(c);
    line.match_indices(folder).any(|(start, _)| !line[..start].ends_with(is_path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_find_what_they_look_for() {
        let [todo, ignore, root, host] = [MARKS[0], MARKS[7], FOLDERS[0], HOSTS[0]];
        type Run = fn(&Tree) -> Result<Vec<Finding>>;
        for (run, path, text, lines) in [
            (check_marks as Run, "a.rs", format!("fn a() {{}}\n// {todo}: later\n#[{}]\n", &ignore[2..]), vec![2, 3]),
            (check_marks, "a.rs", format!("let x = \"{todo}S my{todo}\";"), vec![]),
            (check_marks, "a.md", format!("no {todo} in code"), vec![]),
            (check_places, "a.md", format!("see {root}x\nhttps://host{root}x\ndata{root}x"), vec![1]),
            (check_places, "a.md", format!("from {host}"), vec![1]),
            (check_places, "a.lock", format!("from {host}"), vec![]),
            (check_sizes, "a.rs", "\n".repeat(LINES_MAX + 1), vec![LINES_MAX + 1]),
            (check_sizes, "a.rs", "\n".repeat(LINES_MAX), vec![]),
            (check_sizes, "a.bin", " ".repeat(BLOB_BYTES_MAX + 1), vec![1]),
            (check_sizes, "data/a.csv", " ".repeat(BLOB_BYTES_MAX + 1), vec![]),
        ] {
            let found: Vec<usize> = run(&Tree::of(&[(path, &text)])).unwrap().iter().map(|finding| finding.line).collect();
            assert_eq!(found, lines, "{path}: {}", &text[..text.len().min(60)]);
        }
    }
}
