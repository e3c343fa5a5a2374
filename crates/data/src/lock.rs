//! A manifest of files by their content, `data.lock`, and whether it still holds: `cupola data lock`.
//!
//! Each file has its BLAKE3 hash; folders are hashed over the names and hashes of what they hold, up to one root (Merkle, "A digital signature based
//! on a conventional encryption function", 1987), so that two locks are equal when one number is. To check again, a file whose size, time of change
//! and place on the disk (inode) are as they were is taken for unchanged, as `git` and `make` do; `Trust::Nothing` reads every byte.
//!
//! The file is text: a head, then one line a file, sorted by path, so that two versions of it can be compared by eye.

use crate::{Error, Result, WholeFile};
use rayon::prelude::*;
use serde::Serialize;
use std::fmt::Write as _;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The first line of a lock.
const HEAD: &str = "cupola data lock 1";
/// Bytes of the longest path; Windows has none that are longer, nor has any other system.
const PATH_MAX: usize = 1 << 15;
/// Bytes that are read at once.
const BUFFER: usize = 1 << 16;

/// What is believed without reading a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// Its size, time of change and inode.
    Stamp,
    /// Nothing: all is read.
    Nothing,
}

/// A file of a lock.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    path: String,
    hash: blake3::Hash,
    stamp: Stamp,
}

/// What a file system says about a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    size: u64,
    /// Nanoseconds since 1970.
    changed: u128,
    inode: u64,
}

/// Files with their hashes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lock {
    /// What was locked, relative to the lock's folder.
    paths: Vec<String>,
    /// In the order of their paths.
    entries: Vec<Entry>,
    root: String,
}

/// What a lock is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Locked {
    /// The hash over all.
    pub root: String,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What is not as it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Checked {
    /// The root that the lock has.
    pub root: String,
    /// Files of the lock.
    pub files: u64,
    /// Files that were read, because their stamp is another or none is believed.
    pub read: u64,
    /// Files with another content.
    pub changed: Vec<String>,
    /// Files that are new.
    pub added: Vec<String>,
    /// Files that are gone.
    pub removed: Vec<String>,
}

impl Checked {
    /// Whether all is as it was.
    pub fn holds(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }
}

impl Lock {
    /// Reads all files below the paths. `base` is the folder that the lock is to lie in; paths are kept relative to it. The lock itself is left out.
    ///
    /// # Errors
    /// A path that is not there, not below `base`, or cannot be read; a name that is no text or holds a line break.
    pub fn take(base: &Path, paths: &[PathBuf], own: &Path) -> Result<Lock> {
        let paths: Vec<String> = paths.iter().map(|path| relative(base, path)).collect::<Result<_>>()?;
        let found = list(base, &paths, own)?;
        let hashed = |(path, stamp): (String, Stamp)| {
            let hash = hash(&base.join(&path))?;
            Ok(Entry { path, hash, stamp })
        };
        let entries: Vec<Entry> = found.into_par_iter().map(hashed).collect::<Result<_>>()?;
        Ok(Lock { paths, root: root(&entries), entries })
    }

    /// What it is about.
    pub fn told(&self) -> Locked {
        Locked { root: self.root.clone(), files: self.entries.len() as u64, bytes: self.entries.iter().map(|entry| entry.stamp.size).sum() }
    }

    /// Holds the files against the lock. Stamps of files that were read and found unchanged are renewed in it, and it says whether there were any.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn check(&mut self, base: &Path, own: &Path, trust: Trust) -> Result<(Checked, bool)> {
        let paths: Vec<String> = self.paths.iter().filter(|path| base.join(path).symlink_metadata().is_ok()).cloned().collect();
        let found = list(base, &paths, own)?;
        let (same, mut added, removed) = matched(&self.entries, found);
        // Only files whose stamp is another are read, unless nothing is believed.
        let suspects: Vec<(usize, Stamp)> =
            same.into_iter().filter(|(at, stamp)| trust == Trust::Nothing || self.entries[*at].stamp != *stamp).collect();
        let is_same = |(at, stamp): &(usize, Stamp)| -> Result<bool> {
            let known = &self.entries[*at];
            // Another size is another content.
            Ok(known.stamp.size == stamp.size && hash(&base.join(&known.path))? == known.hash)
        };
        let judged: Vec<bool> = suspects.par_iter().map(is_same).collect::<Result<_>>()?;
        let (mut changed, mut is_renewed) = (vec![], false);
        let read = suspects.len() as u64;
        for ((at, stamp), is_same) in suspects.into_iter().zip(judged) {
            let entry = &mut self.entries[at];
            match is_same {
                true => {
                    is_renewed |= entry.stamp != stamp;
                    entry.stamp = stamp;
                }
                false => changed.push(entry.path.clone()),
            }
        }
        changed.sort_unstable();
        added.sort_unstable();
        Ok((Checked { root: self.root.clone(), files: self.entries.len() as u64, read, changed, added, removed }, is_renewed))
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut text = format!("{HEAD}\nroot {}\n", self.root);
        for path in &self.paths {
            writeln!(text, "of {path}").expect("a string takes any text");
        }
        for Entry { path, hash, stamp } in &self.entries {
            writeln!(text, "{hash} {} {} {} {path}", stamp.size, stamp.changed, stamp.inode).expect("a string takes any text");
        }
        let mut file = WholeFile::create(path)?;
        file.write_all(text.as_bytes()).map_err(|source| Error::Write { action: format!("write {}", path.display()), source })?;
        file.commit()
    }

    /// Reads what [`Lock::save`] wrote.
    ///
    /// # Errors
    /// A file that cannot be read or is no lock; a line that is none of one, with its number; entries that do not make the root.
    pub fn open(path: &Path) -> Result<Lock> {
        let place = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| {
            let hint = (source.kind() == io::ErrorKind::NotFound).then(|| "`cupola data lock PATH..` writes it".to_owned());
            Error::Unreadable { place: place.clone(), source, hint }
        })?;
        let mut lines = text.lines().zip(1..);
        if lines.next().map(|(line, _)| line) != Some(HEAD) {
            return Err(Error::refused(&place, "another first line", HEAD).with_hint("name a file that `cupola data lock` wrote"));
        }
        let mut lock = Lock { paths: vec![], entries: vec![], root: String::new() };
        for (line, number) in lines {
            let is_read = match line.split_once(' ') {
                Some(("root", root)) => {
                    root.clone_into(&mut lock.root);
                    true
                }
                Some(("of", path)) if is_below(path) => {
                    lock.paths.push(path.to_owned());
                    true
                }
                _ => match entry(line) {
                    Some(entry) if lock.entries.last().is_none_or(|last| last.path < entry.path) => {
                        lock.entries.push(entry);
                        true
                    }
                    _ => false,
                },
            };
            if !is_read {
                return Err(Error::refused(format!("{place}:{number}"), "another line", "hash, size, time, inode and path"));
            }
        }
        match root(&lock.entries) == lock.root {
            true => Ok(lock),
            false => Err(Error::refused(&place, "files that do not make its root", "a lock as it was written")
                .with_hint("it was edited, or cut off: write it again with `cupola data lock`")),
        }
    }

    /// What was locked.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }
}

fn entry(line: &str) -> Option<Entry> {
    let mut parts = line.splitn(5, ' ');
    let hash = blake3::Hash::from_hex(parts.next()?).ok()?;
    let stamp = Stamp { size: parts.next()?.parse().ok()?, changed: parts.next()?.parse().ok()?, inode: parts.next()?.parse().ok()? };
    let path = parts.next().filter(|path| is_below(path))?;
    Some(Entry { path: path.to_owned(), hash, stamp })
}

/// Whether a path of a lock stays in the lock's folder, and is one that a system can have.
fn is_below(path: &str) -> bool {
    (1..=PATH_MAX).contains(&path.len()) && !Path::new(path).is_absolute() && path.split('/').all(|part| part != "..")
}

/// Files of the lock that are there, with their stamps; files that are new; files that are gone. Both lists are in the order of paths.
fn matched(entries: &[Entry], found: Vec<(String, Stamp)>) -> (Vec<(usize, Stamp)>, Vec<String>, Vec<String>) {
    let (mut same, mut added, mut removed, mut at) = (Vec::with_capacity(entries.len()), vec![], vec![], 0);
    for (path, stamp) in found {
        while entries.get(at).is_some_and(|entry| entry.path < path) {
            removed.push(entries[at].path.clone());
            at += 1;
        }
        match entries.get(at).filter(|entry| entry.path == path) {
            Some(_) => {
                same.push((at, stamp));
                at += 1;
            }
            None => added.push(path),
        }
    }
    removed.extend(entries[at..].iter().map(|entry| entry.path.clone()));
    (same, added, removed)
}

/// The path below the base, with `/` between its parts; `.` for the base itself.
fn relative(base: &Path, path: &Path) -> Result<String> {
    let unreadable = |path: &Path, source| Error::Unreadable { place: path.display().to_string(), source, hint: None };
    let whole = path.canonicalize().map_err(|source| unreadable(path, source))?;
    let base = base.canonicalize().map_err(|source| unreadable(base, source))?;
    let Ok(below) = whole.strip_prefix(&base) else {
        let error = Error::refused(path.display(), "a path outside of the lock's folder", format!("one below {}", base.display()));
        return Err(error.with_hint("write the lock into a folder above both (-o FOLDER/data.lock)"));
    };
    Ok(if below.as_os_str().is_empty() { ".".to_owned() } else { text(below)? })
}

fn text(path: &Path) -> Result<String> {
    let text = path.to_str().filter(|text| !text.contains(['\n', '\r']));
    let text = text.ok_or_else(|| Error::refused(path.display(), "a name that is no text of one line", "another name"))?;
    Ok(if std::path::MAIN_SEPARATOR == '/' { text.to_owned() } else { text.replace(std::path::MAIN_SEPARATOR, "/") })
}

/// All files below the paths with their stamps. Links are followed where they name files, not where they name folders.
fn list(base: &Path, paths: &[String], own: &Path) -> Result<Vec<(String, Stamp)>> {
    let own = own.canonicalize().ok();
    let is_own =
        |path: &Path| own.is_some() && path.file_name() == own.as_ref().and_then(|own| own.file_name()) && path.canonicalize().ok() == own;
    let mut found = Vec::new();
    let mut folders = Vec::new();
    for path in paths {
        let whole = if path == "." { base.to_owned() } else { base.join(path) };
        let metadata =
            fs::metadata(&whole).map_err(|source| Error::Unreadable { place: whole.display().to_string(), source, hint: None })?;
        match metadata.is_dir() {
            true => folders.push((whole, if path == "." { String::new() } else { path.clone() })),
            false if is_own(&whole) => {}
            false => found.push((path.clone(), stamp(&metadata))),
        }
    }
    // Level by level, so that all folders of a level are listed at once.
    while !folders.is_empty() {
        let listed: Vec<Listed> = folders.par_iter().map(|(folder, name)| list_one(folder, name, &is_own)).collect::<Result<_>>()?;
        folders = Vec::new();
        for (files, below) in listed {
            found.extend(files);
            folders.extend(below);
        }
    }
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    found.dedup_by(|a, b| a.0 == b.0);
    Ok(found)
}

type Listed = (Vec<(String, Stamp)>, Vec<(PathBuf, String)>);

fn list_one(folder: &Path, name: &str, is_own: &(impl Fn(&Path) -> bool + Sync)) -> Result<Listed> {
    let unreadable = |source| Error::Unreadable { place: folder.display().to_string(), source, hint: None };
    let entries: Vec<fs::DirEntry> = fs::read_dir(folder).map_err(unreadable)?.collect::<io::Result<_>>().map_err(unreadable)?;
    let look = |entry: &fs::DirEntry| -> Result<Option<(String, Option<Stamp>)>> {
        let own = text(Path::new(&entry.file_name()))?;
        let path = if name.is_empty() { own } else { format!("{name}/{own}") };
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            return Ok(Some((path, None)));
        }
        let metadata = match kind.is_symlink() {
            // A link into nowhere, or to a folder, holds no data of its own.
            true => fs::metadata(entry.path()).ok().filter(Metadata::is_file),
            false => Some(entry.metadata().map_err(unreadable)?).filter(Metadata::is_file),
        };
        Ok(metadata.filter(|_| !is_own(&entry.path())).map(|metadata| (path, Some(stamp(&metadata)))))
    };
    let looked: Vec<Option<(String, Option<Stamp>)>> = entries.par_iter().with_min_len(64).map(look).collect::<Result<_>>()?;
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for (entry, (path, stamp)) in entries.iter().zip(looked).filter_map(|(entry, looked)| Some((entry, looked?))) {
        match stamp {
            Some(stamp) => files.push((path, stamp)),
            None => folders.push((entry.path(), path)),
        }
    }
    Ok((files, folders))
}

fn stamp(metadata: &Metadata) -> Stamp {
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_nanos());
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Stamp { size: metadata.len(), changed, inode }
}

fn hash(path: &Path) -> Result<blake3::Hash> {
    let unreadable = |source| Error::Unreadable { place: path.display().to_string(), source, hint: None };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize()),
            Ok(count) => drop(hasher.update(&buffer[..count])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(unreadable(source)),
        }
    }
}

/// A folder that is looked at: its path with the `/` behind it, and what it holds so far.
type Folder<'a> = (&'a str, blake3::Hasher);

/// The hash of the top folder. A folder's is that of the names, sorts and hashes of what it holds, in the order of paths.
fn root(entries: &[Entry]) -> String {
    // From the top down. There is no recursion, since a lock that somebody made up may go deeper than a stack.
    let mut above: Vec<Folder> = Vec::new();
    let mut last: Folder = ("", blake3::Hasher::new());
    for entry in entries {
        // What lies in one folder stands together, since all of it begins alike.
        while !entry.path.starts_with(last.0) {
            last = close(above.pop().expect("every path lies in the top folder"), last);
        }
        while let Some(length) = entry.path[last.0.len()..].find('/') {
            let below = (&entry.path[..=last.0.len() + length], blake3::Hasher::new());
            above.push(std::mem::replace(&mut last, below));
        }
        hold(&mut last.1, b"f", &entry.path[last.0.len()..], entry.hash);
    }
    while let Some(folder) = above.pop() {
        last = close(folder, last);
    }
    last.1.finalize().to_hex().to_string()
}

/// The folder with one below it that is complete.
fn close<'a>(mut folder: Folder<'a>, below: Folder<'a>) -> Folder<'a> {
    let name = &below.0[folder.0.len()..below.0.len() - 1];
    hold(&mut folder.1, b"d", name, below.1.finalize());
    folder
}

fn hold(hasher: &mut blake3::Hasher, sort: &[u8], name: &str, hash: blake3::Hash) {
    hasher.update(sort).update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(hash.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Fault;

    fn put(base: &Path, path: &str, text: &str) {
        let whole = base.join(path);
        fs::create_dir_all(whole.parent().unwrap()).unwrap();
        fs::write(whole, text).unwrap();
    }

    #[test]
    fn what_changed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        for (path, text) in [("a/one.csv", "x\n1\n"), ("a/b/two.csv", "x\n2\n"), ("a b.csv", "x\n"), ("c.csv", "")] {
            put(base, path, text);
        }
        let own = base.join("data.lock");
        let lock = Lock::take(base, &[base.to_owned()], &own).unwrap();
        lock.save(&own).unwrap();
        let mut opened = Lock::open(&own).unwrap();
        assert_eq!((opened.clone(), opened.told().files, opened.told().bytes), (lock.clone(), 4, 10));
        let (checked, is_renewed) = opened.check(base, &own, Trust::Stamp).unwrap();
        assert!(checked.holds() && checked.read == 0 && !is_renewed, "{checked:?}");
        assert_eq!(opened.check(base, &own, Trust::Nothing).unwrap().0.read, 4);
        // The same bytes written again are no change, whatever their time.
        put(base, "c.csv", "");
        let (checked, _) = opened.check(base, &own, Trust::Stamp).unwrap();
        assert!(checked.holds(), "{checked:?}");
        put(base, "a/one.csv", "x\n9\n");
        put(base, "a/new.csv", "x\n");
        fs::remove_file(base.join("a b.csv")).unwrap();
        let (checked, _) = opened.check(base, &own, Trust::Nothing).unwrap();
        assert_eq!(
            (checked.changed, checked.added, checked.removed),
            (vec!["a/one.csv".to_owned()], vec!["a/new.csv".to_owned()], vec!["a b.csv".to_owned()])
        );
        fs::remove_dir_all(base.join("a")).unwrap();
        assert_eq!(opened.check(base, &own, Trust::Stamp).unwrap().0.removed.len(), 3);
    }

    #[test]
    fn the_root_goes_by_names_and_content_alone() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for (at, folder) in folders.iter().enumerate() {
            let mut files = [("d/x", "1"), ("d/y", "2"), ("e", "3")];
            files.rotate_left(at);
            files.iter().for_each(|(path, text)| put(folder.path(), path, text));
        }
        fs::rename(folders[2].path().join("e"), folders[2].path().join("f")).unwrap();
        let root = |at: usize| Lock::take(folders[at].path(), &[folders[at].path().to_owned()], Path::new("none")).unwrap().told().root;
        assert_eq!(root(0), root(1));
        assert_ne!(root(0), root(2));
    }

    #[test]
    fn folders_may_lie_deep() {
        let stamp = Stamp { size: 0, changed: 0, inode: 0 };
        let entry = |path: String| Entry { path, hash: blake3::hash(b""), stamp };
        let deep = "a/".repeat(PATH_MAX / 2 - 1);
        let root = root(&[entry(format!("{deep}x")), entry(format!("{deep}y")), entry("b".into())]);
        assert_eq!(root.len(), 64);
    }

    #[test]
    fn what_is_no_lock_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.lock");
        put(folder.path(), "a", "1");
        Lock::take(folder.path(), &[folder.path().to_owned()], &path).unwrap().save(&path).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let mut found = String::new();
        let deep = good.replace(" a\n", &format!(" {}a\n", "a/".repeat(PATH_MAX)));
        let outside = good.replace("of .\n", "of /\n");
        for text in [String::new(), good.replace(" a\n", " ../a\n"), good.replace(" a\n", " b\n"), format!("{good}junk\n"), deep, outside] {
            fs::write(&path, text).unwrap();
            let error = Lock::open(&path).unwrap_err();
            writeln!(
                found,
                "{}; {}",
                error.to_string().replace(&folder.path().display().to_string(), "DESK"),
                error.hint().unwrap_or_default()
            )
            .unwrap();
        }
        expect_test::expect![[r#"
            DESK/data.lock: found another first line, wanted cupola data lock 1; name a file that `cupola data lock` wrote
            DESK/data.lock:4: found another line, wanted hash, size, time, inode and path; 
            DESK/data.lock: found files that do not make its root, wanted a lock as it was written; it was edited, or cut off: write it again with `cupola data lock`
            DESK/data.lock:5: found another line, wanted hash, size, time, inode and path; 
            DESK/data.lock:4: found another line, wanted hash, size, time, inode and path; 
            DESK/data.lock:3: found another line, wanted hash, size, time, inode and path; 
        "#]]
        .assert_eq(&found);
    }
}
