//! ImageNet's files beside the pictures: what its classes are called, and of which class its validation pictures are.
//!
//! | file | what |
//! |---|---|
//! | `LOC_synset_mapping.txt`, `synset_words.txt` | a line a class: `n01440764 tench, Tinca tinca` |
//! | `words.txt` (Tiny ImageNet) | the same with a tab |
//! | `imagenet_class_index.json` | `{"0": ["n01440764", "tench"], ...}` |
//! | `LOC_val_solution.csv` | `ILSVRC2012_val_00048981,n03995372 85 1 499 272` below a header |
//! | `val_annotations.txt` (Tiny ImageNet) | `val_0.JPEG`, the class and a box, with tabs between |

use crate::formats::folder::{Contents, Folder};
use crate::read::ReadOptions;
use crate::{Error, Result};
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

/// Files that give names, in the order in which they are looked for.
const NAMES: [&str; 4] = ["LOC_synset_mapping.txt", "synset_words.txt", "imagenet_class_index.json", "words.txt"];
/// Files that give classes to pictures.
const ANSWERS: [&str; 2] = ["LOC_val_solution.csv", "val_annotations.txt"];
/// More than any of them has.
const BYTES_MAX: u64 = 64 << 20;

/// Names of classes by the names of their folders.
#[derive(Default)]
pub(super) struct Names(HashMap<String, String>);

impl Names {
    /// The names of classes that folders stand for; a name that two classes share gets the folder's name behind it.
    pub(super) fn of(&self, folders: &[Arc<str>]) -> Vec<Arc<str>> {
        let name = |folder: &Arc<str>| self.0.get(&**folder).cloned().unwrap_or_else(|| folder.to_string());
        let mut counts: HashMap<String, u32> = HashMap::new();
        folders.iter().for_each(|folder| *counts.entry(name(folder)).or_default() += 1);
        let unique = |folder: &Arc<str>| match name(folder) {
            name if counts[&name] == 1 => name,
            name => format!("{name} ({folder})"),
        };
        folders.iter().map(|folder| unique(folder).into()).collect()
    }
}

/// The names that a file beside or above the pictures gives, where folders are called as ImageNet's are.
pub(super) fn names(folder: &Folder, options: &ReadOptions, contents: Option<&mut Contents>) -> Result<Names> {
    let Some((name, place, text)) = beside(folder, &NAMES, options, contents)? else { return Ok(Names::default()) };
    if name.ends_with(".json") {
        let index: HashMap<String, [String; 2]> = serde_json::from_str(&text)
            .map_err(|error| Error::refused(&place, error, "an index of classes, as {\"0\": [\"n01440764\", \"tench\"]}"))?;
        return Ok(Names(index.into_values().map(|[folder, name]| (folder, name.replace('_', " "))).collect()));
    }
    let pair = |line: &str| {
        let (folder, name) = line.trim().split_once([' ', '\t'])?;
        is_synset(folder).then(|| (folder.to_owned(), name.trim().to_owned()))
    };
    Ok(Names(text.lines().filter_map(pair).collect()))
}

/// The classes that a file gives to the pictures of one side, by the pictures' names without ending. A side that has folders of classes
/// needs none.
pub(super) fn answers(
    root: &Folder,
    side: &Folder,
    options: &ReadOptions,
    mut contents: Option<&mut Contents>,
) -> Result<HashMap<String, String>> {
    if side.folders.iter().any(|(name, _)| is_synset(name)) {
        return Ok(HashMap::new());
    }
    let own = beside(side, &ANSWERS[1..], options, contents.as_deref_mut())?;
    let found = match own {
        Some(own) => Some(own),
        None if side.name.to_lowercase().contains("val") => beside(root, &ANSWERS, options, contents)?,
        None => None,
    };
    let Some((_, _, text)) = found else { return Ok(HashMap::new()) };
    let pair = |line: &str| {
        let mut words = line.split([',', '\t', ' ']);
        let (picture, class) = (words.next()?, words.next()?);
        is_synset(class).then(|| (picture.rsplit_once('.').map_or(picture, |(stem, _)| stem).to_owned(), class.to_owned()))
    };
    Ok(text.lines().filter_map(pair).collect())
}

/// `n01440764`: a number in WordNet.
fn is_synset(word: &str) -> bool {
    word.len() == 9 && word.starts_with('n') && word[1..].bytes().all(|byte| byte.is_ascii_digit())
}

/// The first file of those names in the folder: name, place and text.
fn beside(
    folder: &Folder,
    names: &[&'static str],
    options: &ReadOptions,
    contents: Option<&mut Contents>,
) -> Result<Option<(&'static str, Arc<str>, String)>> {
    let Some((name, entry)) = names.iter().find_map(|name| Some((*name, folder.find(name)?))) else { return Ok(None) };
    let place = entry.place();
    let mut text = String::new();
    let reader = entry.open(options, contents)?.plain.into_read();
    reader.take(BYTES_MAX).read_to_string(&mut text).map_err(|error| Error::reading(&place, error))?;
    Ok(Some((name, place, text)))
}
