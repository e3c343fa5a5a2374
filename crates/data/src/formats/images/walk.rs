//! Which pictures a folder holds, and which class and side each is of.

use super::is_named;
use super::names;
use crate::formats::folder::{Contents, Entry, Folder};
use crate::formats::webdataset::Shard;
use crate::read::ReadOptions;
use crate::{Error, Result};
use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folders below folders, at most.
const DEPTH_MAX: usize = 16;

/// Where a picture's bytes are.
pub(in crate::formats) enum Picture {
    /// A file of its own.
    File(Entry),
    /// A part of an archive.
    Part {
        /// The archive.
        shard: Arc<Shard>,
        /// Its first byte.
        start: u64,
        /// Its bytes.
        size: u64,
    },
}

/// A picture.
pub(in crate::formats) struct Item {
    pub(in crate::formats) picture: Picture,
    /// Where it stands, for messages.
    pub(in crate::formats) place: Arc<str>,
    /// Its name in the whole folder.
    pub(in crate::formats) name: String,
    /// Its class, by number.
    pub(in crate::formats) class: Option<usize>,
    pub(in crate::formats) side: Option<&'static str>,
}

/// All pictures of a folder, in order.
#[derive(Default)]
pub(in crate::formats) struct Listing {
    pub(in crate::formats) items: Vec<Item>,
    pub(in crate::formats) classes: Vec<Arc<str>>,
    /// Whether there are several sides.
    pub(in crate::formats) has_sides: bool,
    pub(in crate::formats) warnings: Vec<String>,
}

impl Listing {
    /// Pictures with the names of their classes, which get numbers in order of their names.
    pub(in crate::formats) fn of(rows: Vec<(Item, Option<String>)>) -> Listing {
        let named: BTreeSet<&String> = rows.iter().filter_map(|(_, class)| class.as_ref()).collect();
        let classes: Vec<Arc<str>> = named.into_iter().map(|name| name.as_str().into()).collect();
        let number = |class: String| classes.binary_search_by(|known| (**known).cmp(class.as_str())).ok();
        let items: Vec<Item> = rows.into_iter().map(|(item, class)| Item { class: class.and_then(number), ..item }).collect();
        let has_sides = items.iter().map(|item| item.side).collect::<HashSet<_>>().len() > 1;
        Listing { items, classes, has_sides, warnings: vec![] }
    }
}

/// What is found on the way.
#[derive(Default)]
struct Found {
    files: Vec<(String, Entry)>,
    /// Files that are no pictures.
    others: u64,
    /// Pictures beside the folders of classes.
    outside: u64,
    /// Links that lead back to where they lie in.
    loops: Vec<String>,
}

/// Whether there is a picture: in the folder or, the first of each, in the folders below.
pub(super) fn has_picture(folder: &Folder) -> Result<bool> {
    let mut next = vec![(folder.files.clone(), folder.folders.clone(), 0)];
    while let Some((files, folders, depth)) = next.pop() {
        if files.iter().any(is_picture) {
            return Ok(true);
        }
        for (_, path) in folders.iter().rev().filter(|_| depth < 3) {
            let below = Folder::open(path)?;
            next.push((below.files, below.folders, depth + 1));
        }
    }
    Ok(false)
}

/// By its name, or else by its first bytes.
fn is_picture(entry: &Entry) -> bool {
    if is_named(&entry.name) {
        return true;
    }
    let mut head = Vec::new();
    let read = entry.path().and_then(|path| File::open(path).ok()).map(|file| file.take(64).read_to_end(&mut head));
    matches!(read, Some(Ok(_))) && super::super::is_picture(&head)
}

/// The side that a folder's name means.
pub(in crate::formats) fn side_of(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "train" | "training" => Some("train"),
        "val" | "valid" | "validation" | "dev" => Some("valid"),
        "test" | "testing" => Some("test"),
        _ => None,
    }
}

/// Lists a folder. Where it is to be learned from, every class must have a picture.
pub(super) fn list(folder: &Folder, options: &ReadOptions, mut contents: Option<&mut Contents>) -> Result<Listing> {
    let (mut found, mut warnings) = (Found::default(), Vec::new());
    let sides = sides(folder)?;
    let must_be_full = contents.is_some();
    let mut rows: Vec<(Item, Option<String>)> = Vec::new();
    if sides.is_empty() {
        rows = side(folder, "", must_be_full, &mut found)?;
    }
    for (side_name, name, path) in &sides {
        let below = Folder::open(path)?;
        let answers = names::answers(folder, &below, options, contents.as_deref_mut())?;
        let mut own = side(&below, &format!("{name}/"), must_be_full && answers.is_empty(), &mut found)?;
        for (item, class) in &mut own {
            item.side = Some(side_name);
            // Where a file tells the classes, the folders do not.
            if !answers.is_empty() {
                *class = answers.get(stem(item.name.rsplit('/').next().unwrap_or_default())).cloned();
            }
        }
        let before = own.len();
        own.retain(|(_, class)| class.is_some());
        if own.len() < before {
            warnings.push(format!("{} in {} without a class left out", counted(before - own.len()), below.name));
        }
        rows.extend(own);
    }
    let strangers = folder.folders.iter().map(|(name, _)| name.as_str()).filter(|name| !sides.is_empty() && side_of(name).is_none());
    let strangers: Vec<&str> = strangers.collect();
    if !strangers.is_empty() {
        warnings.push(format!("folders beside train left out: {}", strangers.join(", ")));
    }
    warnings.extend(found.warnings());
    if rows.is_empty() {
        return Err(crate::formats::folder::unknown(folder));
    }
    let mut listing = Listing::of(rows);
    listing.classes = names::names(folder, options, contents)?.of(&listing.classes);
    listing.warnings = warnings;
    Ok(listing)
}

impl Found {
    fn warnings(&self) -> Vec<String> {
        let files = if self.others == 1 { "1 file that is".to_owned() } else { format!("{} files that are", self.others) };
        let others = (self.others > 0).then(|| format!("{files} no picture left out"));
        let outside = (self.outside > 0).then(|| format!("{} outside the folders of classes left out", counted(self.outside as usize)));
        others
            .into_iter()
            .chain(outside)
            .chain(self.loops.iter().map(|path| format!("{path} leads back to a folder above it and is left out")))
            .collect()
    }
}

fn counted(images: usize) -> String {
    if images == 1 { "1 image".to_owned() } else { format!("{images} images") }
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The folders that are sides: when `train` is one, and holds folders as a class does not.
fn sides(folder: &Folder) -> Result<Vec<(&'static str, String, PathBuf)>> {
    let named = |(name, path): &(String, PathBuf)| Some((side_of(name)?, name.clone(), path.clone()));
    let mut sides: Vec<(&'static str, String, PathBuf)> = folder.folders.iter().filter_map(named).collect();
    let Some((_, _, train)) = sides.iter().find(|(side, ..)| *side == "train") else { return Ok(vec![]) };
    if Folder::open(train)?.folders.is_empty() {
        return Ok(vec![]);
    }
    sides.sort_by_key(|(side, ..)| ["train", "valid", "test"].iter().position(|known| known == side));
    if let Some(pair) = sides.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let error = Error::refused(&folder.name, format!("the folders {} and {}", pair[0].1, pair[1].1), "one folder for each side");
        return Err(error.with_hint("put them together, or rename one"));
    }
    Ok(sides)
}

/// The pictures of a side: in folders of classes, or without a class where there are none.
fn side(folder: &Folder, prefix: &str, must_be_full: bool, found: &mut Found) -> Result<Vec<(Item, Option<String>)>> {
    let item = |name: String, entry: Entry| Item { place: entry.place(), picture: Picture::File(entry), name, class: None, side: None };
    let (pictures, others): (Vec<&Entry>, Vec<&Entry>) = folder.files.iter().partition(|entry| is_picture(entry));
    if folder.folders.is_empty() {
        found.others += others.len() as u64;
        return Ok(pictures.into_iter().map(|entry| (item(format!("{prefix}{}", entry.name), entry.clone()), None)).collect());
    }
    // Pictures beside folders of classes have no class; files of words and lists stand there by custom.
    found.outside += pictures.len() as u64;
    let mut all = Vec::new();
    for (class, path) in &folder.folders {
        if !is_utf8(path) {
            let error = Error::refused(path.display(), "a name that is not UTF-8", "the name of a class");
            return Err(error.with_hint("rename the folder"));
        }
        let before = found.files.len();
        gather(path, &format!("{prefix}{class}/"), &mut vec![], found)?;
        if found.files.len() == before && must_be_full {
            let error = Error::refused(path.display(), "a folder without a picture", "pictures of the class that it names");
            return Err(error.with_hint("fill it or remove it"));
        }
        all.extend(found.files.drain(before..).map(|(name, entry)| (item(name, entry), Some(class.clone()))));
    }
    Ok(all)
}

fn is_utf8(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_str().is_some())
}

/// All pictures below a folder. `above` are the folders it lies in, as they are once links are followed.
fn gather(path: &Path, prefix: &str, above: &mut Vec<PathBuf>, found: &mut Found) -> Result<()> {
    let real = path.canonicalize().map_err(|source| Error::Unreadable { place: path.display().to_string(), source, hint: None })?;
    if above.contains(&real) || above.len() == DEPTH_MAX {
        found.loops.push(path.display().to_string());
        return Ok(());
    }
    let folder = Folder::open(path)?;
    for entry in folder.files {
        match is_picture(&entry) {
            true => found.files.push((format!("{prefix}{}", entry.name), entry)),
            false => found.others += 1,
        }
    }
    above.push(real);
    for (name, path) in folder.folders {
        gather(&path, &format!("{prefix}{name}/"), above, found)?;
    }
    above.pop();
    Ok(())
}
