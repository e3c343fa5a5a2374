//! The project's files in memory, and what a check says about one of them.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// One file of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Relative to the root, with `/` between folders.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// All files that are not ignored, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    files: Vec<File>,
}

/// Something that a check does not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file's path.
    pub path: String,
    /// Its line, from 1.
    pub line: usize,
    /// What stands there.
    pub what: String,
    /// Why that is not accepted, and what would be.
    pub why: String,
}

/// The root of the project this program was built from.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the project").to_owned()
}

impl File {
    /// The content as text; nothing when it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    /// Lines with their numbers, from 1; none when the file is not text.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text().unwrap_or_default().lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The name's end after the last dot; empty when there is none.
    pub fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// A finding in this file.
    pub fn finding(&self, line: usize, what: impl fmt::Display, why: impl fmt::Display) -> Finding {
        Finding { path: self.path.clone(), line, what: what.to_string(), why: why.to_string() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.what, self.why)
    }
}

impl Tree {
    /// Reads the tree below a folder, without version control's own files and without what the root's `.gitignore` names.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub fn open(root: &Path) -> Result<Tree> {
        let ignored = Ignored::parse(&std::fs::read_to_string(root.join(".gitignore")).unwrap_or_default());
        let mut files = Vec::new();
        walk(root, "", &ignored, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Tree { files })
    }

    /// A tree made of paths and texts.
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let mut files: Vec<File> =
            files.iter().map(|(path, text)| File { path: (*path).to_owned(), bytes: text.as_bytes().to_vec() }).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Tree { files }
    }

    /// All files, by path.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// The files whose path begins so.
    pub fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.starts_with(prefix))
    }

    /// The file at that path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().map(|place| &self.files[place])
    }

    /// Whether a file or a folder has that path.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.file(path).is_some() || self.under(&format!("{path}/")).next().is_some()
    }
}

/// The forms of `.gitignore` that this project uses: a folder or file by name at any depth, and `*.extension`.
struct Ignored {
    names: BTreeSet<String>,
    endings: Vec<String>,
}

impl Ignored {
    fn parse(text: &str) -> Ignored {
        let mut ignored = Ignored { names: BTreeSet::from([".git".to_owned()]), endings: Vec::new() };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix('*') {
                Some(ending) => ignored.endings.push(ending.to_owned()),
                None => drop(ignored.names.insert(line.trim_matches('/').to_owned())),
            }
        }
        ignored
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name) || self.endings.iter().any(|ending| name.ends_with(ending.as_str()))
    }
}

fn walk(folder: &Path, prefix: &str, ignored: &Ignored, files: &mut Vec<File>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("read folder {}", folder.display()))? {
        let entry = entry.with_context(|| format!("read folder {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let (path, kind) = (format!("{prefix}{name}"), entry.file_type().with_context(|| format!("look at {prefix}{name}"))?);
        if ignored.has(&name) || kind.is_symlink() {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), ignored, files)?;
        } else {
            let bytes = std::fs::read(entry.path()).with_context(|| format!("read {path}"))?;
            files.push(File { path, bytes });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_sees_this_file_and_nothing_ignored() {
        let tree = Tree::open(&root()).unwrap();
        assert!(tree.has("xtask/src/tree.rs") && tree.has("crates/task/") && !tree.has("crates/nowhere"));
        assert!(tree.files().all(|file| !file.path.starts_with("target/") && !file.path.starts_with(".git/")));
    }

    #[test]
    fn ignored_knows_names_and_endings() {
        let ignored = Ignored::parse("# what is built\ntarget/\n*.profraw\n");
        for (name, expected) in [("target", true), ("a.profraw", true), (".git", true), ("targets", false), ("src", false)] {
            assert_eq!(ignored.has(name), expected, "{name}");
        }
    }
}
