//! Run folders: one directory a run, plain files, movable, never overwritten.

use crate::{Error, Result};
use cupola_data::WholeFile;
use cupola_task::nearest;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The name of the model file in a run folder.
pub const MODEL_FILE: &str = "model.cupola";

/// How the warning of a run that was stopped begins.
pub(crate) const STOPPED: &str = "the run was stopped before its end";

/// A run as `cupola runs ls` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The folder.
    pub path: PathBuf,
    /// The folder's name.
    pub name: String,
    /// What is in `report.json`, when the run came that far.
    pub report: Option<serde_json::Value>,
    /// Whether there is a model file.
    pub has_model: bool,
    /// Bytes of all its files.
    pub bytes: u64,
}

/// Makes the next numbered folder under `root`: `0007-label`. Two processes never get the same one.
///
/// # Errors
/// When the folder cannot be written.
pub fn create(root: &Path, label: &str) -> Result<PathBuf> {
    fs::create_dir_all(root).map_err(|source| unwritable(root, source))?;
    let mut number = names(root)?.iter().filter_map(|name| number_of(name)).max().unwrap_or(0) + 1;
    loop {
        let path = root.join(format!("{number:04}-{label}"));
        // The number alone must be free too, so it is claimed by a file of its own that only one process can make.
        let claim = root.join(format!(".{number:04}"));
        match OpenOptions::new().write(true).create_new(true).open(&claim) {
            Ok(_) => {
                let is_taken = names(root)?.iter().any(|name| number_of(name) == Some(number));
                let made = if is_taken { Ok(()) } else { fs::create_dir(&path).map_err(|source| unwritable(&path, source)) };
                let _ = fs::remove_file(&claim);
                made?;
                if !is_taken {
                    return Ok(path);
                }
                number += 1;
            }
            Err(source) if source.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(unwritable(root, source)),
        }
    }
}

fn unwritable(path: &Path, source: std::io::Error) -> Error {
    Error::Runs(format!("make run folder {}: {source}", path.display()), Some("CUPOLA_HOME names the folder that holds runs/".into()))
}

fn number_of(name: &str) -> Option<u32> {
    name.split('-').next()?.parse().ok()
}

fn names(root: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(source) => return Err(Error::io(format!("read runs folder {}", root.display()), source)),
    };
    let mut names: Vec<String> = entries
        .filter_map(std::result::Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| number_of(name).is_some())
        .collect();
    names.sort_by_key(|name| (number_of(name), name.clone()));
    Ok(names)
}

/// Points `latest` at a run folder. Where links do not exist, or the place is taken by something else, it is left out.
pub fn link_latest(folder: &Path) {
    #[cfg(unix)]
    if let (Some(root), Some(name)) = (folder.parent(), folder.file_name()) {
        let beside = root.join(format!(".latest-{}", std::process::id()));
        if std::os::unix::fs::symlink(name, &beside).is_ok() && fs::rename(&beside, root.join("latest")).is_err() {
            let _ = fs::remove_file(&beside);
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
}

/// All runs under `root`, oldest first.
///
/// # Errors
/// When the folder cannot be read; a folder that is not there has no runs.
pub fn list(root: &Path) -> Result<Vec<Summary>> {
    names(root)?.into_iter().map(|name| Ok(summary(root.join(&name), name))).collect()
}

fn summary(path: PathBuf, name: String) -> Summary {
    let report = fs::read(path.join("report.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Summary { has_model: path.join(MODEL_FILE).is_file(), bytes: size(&path), report, name, path }
}

/// Bytes of all files of a folder.
pub(crate) fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(std::result::Result::ok);
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The run of that name, number or `latest`.
///
/// # Errors
/// When there is none, with the nearest.
pub fn find(root: &Path, wanted: &str) -> Result<Summary> {
    let names = names(root)?;
    let latest = fs::read_link(root.join("latest")).ok().and_then(|target| target.into_os_string().into_string().ok());
    let found = match wanted {
        "latest" => names.iter().find(|name| latest.as_ref() == Some(*name)).or(names.last()),
        wanted => names.iter().find(|name| *name == wanted || number_of(name).is_some_and(|number| wanted.parse() == Ok(number))),
    };
    match found {
        Some(name) => Ok(summary(root.join(name), name.clone())),
        None => {
            let near = nearest(wanted, names.iter().map(String::as_str));
            let hint = near.map_or_else(|| "`cupola runs ls` lists them".to_owned(), |near| format!("did you mean {near}?"));
            Err(Error::Runs(format!("no run {wanted} in {}", root.display()), Some(hint)))
        }
    }
}

/// Removes a run and all its files.
///
/// # Errors
/// When there is no such run, or a file cannot be removed.
pub fn remove(root: &Path, wanted: &str) -> Result<Summary> {
    let run = find(root, wanted)?;
    fs::remove_dir_all(&run.path).map_err(|source| Error::io(format!("remove {}", run.path.display()), source))?;
    if fs::read_link(root.join("latest")).is_ok_and(|target| target == Path::new(&run.name)) {
        let _ = fs::remove_file(root.join("latest"));
        if let Some(last) = names(root)?.last() {
            link_latest(&root.join(last));
        }
    }
    Ok(run)
}

/// The model file behind what a user named: the file itself, a run folder, or a run of `root`.
///
/// # Errors
/// When there is neither.
pub fn model_file(root: &Path, named: &Path) -> Result<PathBuf> {
    if named.is_file() {
        return Ok(named.to_owned());
    }
    if named.is_dir() {
        let file = named.join(MODEL_FILE);
        return match file.is_file() {
            true => Ok(file),
            false => Err(hollow(named)),
        };
    }
    let missing = || {
        Error::Runs(
            format!("no model file or run {}", named.display()),
            Some("`cupola runs ls` lists runs; a model file ends in .cupola".into()),
        )
    };
    let run = named.to_str().and_then(|name| find(root, name.trim_start_matches("runs/")).ok()).ok_or_else(missing)?;
    match run.has_model {
        true => Ok(run.path.join(MODEL_FILE)),
        false => Err(hollow(&run.path)),
    }
}

fn hollow(folder: &Path) -> Error {
    Error::Runs(format!("{} holds no {MODEL_FILE}", folder.display()), Some("the run may have stopped before a model was saved".into()))
}

/// Writes a file so that a crash or a full disk leaves either the old one or the new one: beside, fsync, rename, fsync of the folder.
///
/// # Errors
/// When the system refuses; nothing is left beside.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|source| Error::io(format!("make folder {}", folder.display()), source))?;
    let mut file = WholeFile::create(path)?;
    file.write_all(bytes).map_err(|source| Error::io(format!("write {}", path.display()), source))?;
    Ok(file.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_numbered_found_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let first = create(root, "iris-tree").unwrap();
        let second = create(root, "iris-gbdt").unwrap();
        link_latest(&second);
        assert!(first.ends_with("0001-iris-tree") && second.ends_with("0002-iris-gbdt"));
        assert_eq!(find(root, "2").unwrap().path, second);
        assert_eq!(find(root, "latest").unwrap().path, second);
        assert!(find(root, "0002-iris-gbtd").unwrap_err().to_string().contains("no run 0002-iris-gbtd"));
        remove(root, "latest").unwrap();
        assert_eq!(list(root).unwrap().len(), 1);
        assert_eq!(fs::read_link(root.join("latest")).unwrap(), Path::new("0001-iris-tree"));
        assert!(create(root, "again").unwrap().ends_with("0002-again"));
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        write_file(&path, b"old").unwrap();
        let inside_a_file = path.join("b");
        assert!(write_file(&inside_a_file, b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
