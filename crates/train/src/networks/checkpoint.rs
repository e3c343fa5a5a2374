//! Checkpoints in a run folder: each one file, written beside its place, synced and renamed; a torn or foreign one is passed over.
//!
//! ```text
//! ckpt/TARGET/step-00001200.ckpt    a state, and which other files it builds on
//! ckpt/TARGET/step-00000938.ckpt    the epoch it goes back to should it diverge
//! ckpt/TARGET/best-00000938.ckpt    the weights of the best epoch
//! ```
//! The container is that of model files: parts with a checksum over all of them.

use crate::artifact::{pack_parts, unpack_parts};
use crate::{Error, Result};
use cupola_task::Parts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of one target's checkpoints.
pub(crate) struct Checkpoints {
    folder: PathBuf,
    /// What the present training is: checkpoints of another one are foreign.
    identity: String,
}

/// What a checkpoint says about itself and the files it builds on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The recipe and the data it belongs to.
    pub identity: String,
    /// Settings that were found before the first step: dotted key, value as recipe text, reason.
    pub resolved: Vec<[String; 3]>,
    /// The state to go back to: the step, and the hash of its file. None when it is the state itself.
    pub retreat: Option<Link>,
    /// The best epoch's weights.
    pub best: Option<Link>,
}

/// Another file of the folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Its name.
    pub file: String,
    /// The hash of its content.
    pub hash: String,
}

/// An opened checkpoint.
pub(crate) struct Opened {
    pub name: String,
    pub head: Head,
    pub state: Parts,
    pub retreat: Option<Parts>,
    pub best: Option<Parts>,
}

const HEAD: &str = "head.json";
const ENDING: &str = ".ckpt";

impl Checkpoints {
    /// The checkpoints of a training in a run folder. `identity` names recipe and data.
    pub fn new(run: &Path, target: &str, identity: String) -> Checkpoints {
        // A column's name may hold anything; its hash tells apart what looks the same as a file name.
        let plain: String = target.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(40).collect();
        let hash = blake3::hash(target.as_bytes()).to_hex();
        let name = if plain == target { plain } else { format!("{plain}-{}", &hash[..8]) };
        Checkpoints { folder: run.join("ckpt").join(name), identity }
    }

    /// Writes a state, and the states it builds on where they are not there yet; then removes what no longer serves.
    ///
    /// # Errors
    /// When a file cannot be written. What was there stays.
    pub fn write(
        &self,
        step: u64,
        resolved: &[[String; 3]],
        state: Parts,
        retreat: Option<(u64, &Parts)>,
        best: Option<(u64, &Parts)>,
    ) -> Result<()> {
        let mut head = Head { identity: self.identity.clone(), resolved: resolved.to_vec(), retreat: None, best: None };
        if let Some((step, parts)) = best {
            head.best = Some(self.put("best", step, &head, parts)?);
        }
        if let Some((step, parts)) = retreat {
            let own = Head { retreat: None, ..head.clone() };
            head.retreat = Some(self.put("step", step, &own, parts)?);
        }
        let written = self.put("step", step, &head, &state)?;
        self.sweep(&[Some(&written), head.retreat.as_ref(), head.best.as_ref()]);
        Ok(())
    }

    fn put(&self, kind: &str, step: u64, head: &Head, parts: &Parts) -> Result<Link> {
        let file = format!("{kind}-{step:08}{ENDING}");
        let mut parts = parts.clone();
        // The best weights stand for themselves: they are the same file whatever state refers to them.
        let head = if kind == "best" { Head { resolved: vec![], best: None, retreat: None, ..head.clone() } } else { head.clone() };
        parts.0.insert(HEAD.to_owned(), serde_json::to_vec(&head).expect("a head is plain data"));
        let (bytes, hash) = pack_parts(&parts)?;
        let path = self.folder.join(&file);
        let is_there = fs::read(&path).is_ok_and(|old| old == bytes);
        if !is_there {
            crate::runs::write_file(&path, &bytes)?;
        }
        Ok(Link { file, hash })
    }

    /// Keeps the files named, and of the others the newest that could serve should the last one be damaged.
    fn sweep(&self, named: &[Option<&Link>]) {
        let mut wanted: BTreeSet<String> = named.iter().flatten().map(|link| link.file.clone()).collect();
        let names = self.names();
        if let Some(previous) = names.iter().rev().find(|name| name.starts_with("step-") && !wanted.contains(*name)) {
            if let Ok((head, _)) = self.parts(previous, None) {
                wanted.extend([head.retreat, head.best].into_iter().flatten().map(|link| link.file));
            }
            wanted.insert(previous.clone());
        }
        for name in names.iter().filter(|name| !wanted.contains(*name)) {
            let _ = fs::remove_file(self.folder.join(name));
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().filter_map(std::result::Result::ok);
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| name.ends_with(ENDING));
        names.sort();
        names
    }

    /// The newest checkpoint that is whole and of this training, and a sentence about each that is not.
    pub fn newest(&self) -> (Option<Opened>, Vec<String>) {
        let mut refused = Vec::new();
        for name in self.names().into_iter().rev().filter(|name| name.starts_with("step-")) {
            match self.open(&name) {
                Ok(opened) => return (Some(opened), refused),
                Err(error) => refused.push(format!("checkpoint {name} is passed over: {error}")),
            }
        }
        (None, refused)
    }

    fn open(&self, name: &str) -> Result<Opened> {
        let (head, state) = self.parts(name, None)?;
        if head.identity != self.identity {
            return Err(Error::artifact(name, "a checkpoint of another recipe or other data", "one of this run"));
        }
        let linked =
            |link: &Option<Link>| link.as_ref().map(|link| self.parts(&link.file, Some(&link.hash)).map(|(_, parts)| parts)).transpose();
        Ok(Opened { name: name.to_owned(), state, retreat: linked(&head.retreat)?, best: linked(&head.best)?, head })
    }

    fn parts(&self, name: &str, wanted: Option<&str>) -> Result<(Head, Parts)> {
        // A name from a checkpoint must not lead out of the folder.
        if name.contains(['/', '\\']) {
            return Err(Error::artifact("checkpoint", format!("a link to {name}"), "a file of its folder"));
        }
        let path = self.folder.join(name);
        let bytes = fs::read(&path).map_err(|source| Error::io(format!("read {}", path.display()), source))?;
        let (mut parts, hash) = unpack_parts(name, &bytes)?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != hash) {
            return Err(Error::artifact(name, format!("content {hash}"), format!("content {wanted}")));
        }
        let head = parts.0.remove(HEAD).ok_or_else(|| Error::artifact(name, "no head", "a checkpoint"))?;
        let head =
            serde_json::from_slice(&head).map_err(|error| Error::artifact(format!("{name}: {HEAD}"), error, "a checkpoint's head"))?;
        Ok((head, parts))
    }

    /// Removes all of them.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.folder);
        // The folder above goes when no other target has checkpoints in it.
        let _ = self.folder.parent().map(fs::remove_dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Parts {
        Parts([("weights".to_owned(), text.as_bytes().to_vec())].into())
    }

    fn checkpoints(folder: &Path) -> Checkpoints {
        Checkpoints::new(folder, "label", "recipe and data".into())
    }

    #[test]
    fn the_newest_whole_one_is_opened_with_what_it_builds_on() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints(folder.path());
        assert!(checkpoints.newest().0.is_none());
        checkpoints.write(10, &[], parts("ten"), None, None).unwrap();
        checkpoints
            .write(
                20,
                &[["train.lr".into(), "0.1".into(), "range test".into()]],
                parts("twenty"),
                Some((15, &parts("fifteen"))),
                Some((15, &parts("best"))),
            )
            .unwrap();
        let (opened, refused) = checkpoints.newest();
        let opened = opened.unwrap();
        assert_eq!((opened.state, opened.retreat, opened.best), (parts("twenty"), Some(parts("fifteen")), Some(parts("best"))));
        assert_eq!((opened.head.resolved[0][1].as_str(), refused.len()), ("0.1", 0));
    }

    #[test]
    fn torn_and_foreign_ones_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints(folder.path());
        checkpoints.write(10, &[], parts("ten"), None, Some((10, &parts("best ten")))).unwrap();
        checkpoints.write(20, &[], parts("twenty"), None, Some((20, &parts("best twenty")))).unwrap();
        let torn = checkpoints.folder.join("step-00000020.ckpt");
        let bytes = fs::read(&torn).unwrap();
        for damaged in [&bytes[..bytes.len() / 2], &[], b"PK\x03\x04"] {
            fs::write(&torn, damaged).unwrap();
            let (opened, refused) = checkpoints.newest();
            assert_eq!((opened.unwrap().best, refused.len()), (Some(parts("best ten")), 1));
        }
        let other = Checkpoints::new(folder.path(), "label", "another recipe".into());
        let (opened, refused) = other.newest();
        assert!(opened.is_none() && refused.len() == 2 && refused[1].contains("another recipe"), "{refused:?}");
        checkpoints.remove();
        assert!(!folder.path().join("ckpt").exists());
    }

    #[test]
    fn only_what_serves_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints(folder.path());
        for step in 1..6 {
            checkpoints.write(step * 10, &[], parts("state"), None, Some((step * 10, &parts(&step.to_string())))).unwrap();
        }
        assert_eq!(checkpoints.names(), ["best-00000040.ckpt", "best-00000050.ckpt", "step-00000040.ckpt", "step-00000050.ckpt"]);
    }
}
