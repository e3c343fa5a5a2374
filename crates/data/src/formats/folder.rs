//! Files that make one table together: those of a folder, or one file with what stands beside it.

use crate::read::{Input, ReadOptions};
use crate::source::{self, Opened, Plain, Store};
use crate::{Error, Result, remote};
use bytes::Bytes;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One level of a folder, in order of names; hidden files are left out. When one file was named, that file alone.
pub(crate) struct Folder {
    /// For messages.
    pub(crate) name: Arc<str>,
    /// The files in it.
    pub(crate) files: Vec<Entry>,
    /// The folders in it.
    pub(crate) folders: Vec<(String, PathBuf)>,
    /// Where it lies; nowhere when it is bytes in memory.
    root: Option<PathBuf>,
    /// Whether one file was named.
    pub(crate) is_one_file: bool,
    /// Whether its files were chosen, by a pattern or a list.
    pub(crate) is_choice: bool,
}

/// A file of a folder.
#[derive(Clone)]
pub(crate) struct Entry {
    /// Its name in the folder.
    pub(crate) name: String,
    input: Input,
}

/// What all files were that a table was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// BLAKE3 over names and hashes of the files, in order of names.
    pub(crate) hash: String,
    /// Their bytes as they came.
    pub(crate) bytes: u64,
}

/// Files that were read whole: name, hash and bytes.
#[derive(Default)]
pub(crate) struct Contents(Vec<(String, String, u64)>);

impl Folder {
    /// One level of the folder at a path.
    pub(crate) fn open(path: &Path) -> Result<Folder> {
        let refused = |source| Error::Unreadable { place: path.display().to_string(), source, hint: None };
        let mut folder = Folder {
            name: path.display().to_string().into(),
            files: vec![],
            folders: vec![],
            root: Some(path.to_owned()),
            is_one_file: false,
            is_choice: false,
        };
        for entry in fs::read_dir(path).map_err(refused)? {
            let entry = entry.map_err(refused)?;
            let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            // Where a link leads nowhere there is no file; what cannot be read is an error once it is asked for.
            let is_folder = match fs::metadata(&path) {
                Ok(data) => data.is_dir(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(_) => false,
            };
            match is_folder {
                _ if name.starts_with('.') => {}
                true => folder.folders.push((name, path)),
                false => folder.files.push(Entry { name, input: Input::Path(path) }),
            }
        }
        folder.files.sort_by(|one, other| one.name.cmp(&other.name));
        folder.folders.sort();
        Ok(folder)
    }

    /// The files that a pattern means: `shard-{000..009}.tar`, `{a,b}.tar`, `shard-*.tar`, `shard-00?.tar`.
    pub(crate) fn matching(path: &Path) -> Result<Folder> {
        let pattern = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut folder = Folder::open(parent)?.chosen(&pattern, &|missing| parent.join(missing).display().to_string())?;
        folder.name = path.display().to_string().into();
        Ok(folder)
    }

    /// The objects in a folder on a server, or of a pattern there. What is a folder there is not told from what begins alike: none is shown.
    pub(crate) fn objects(url: &str) -> Result<Folder> {
        let listed = remote::list(url, remote::granted(url)?)?;
        let files = listed.into_iter().map(|(name, url)| Entry { name, input: Input::Url(url) }).collect();
        let folder = Folder { name: url.into(), files, folders: vec![], root: None, is_one_file: false, is_choice: false };
        let (parent, pattern) = url.rsplit_once('/').unwrap_or(("", url));
        match pattern.is_empty() {
            true => Ok(folder),
            false => folder.chosen(pattern, &|missing| format!("{parent}/{missing}")),
        }
    }

    /// The files of a folder that a pattern means; `place` is where one would be that is not there.
    fn chosen(self, pattern: &str, place: &dyn Fn(&str) -> String) -> Result<Folder> {
        let mut folder = self;
        let patterns = expand(pattern);
        if let Some(missing) = patterns.iter().find(|pattern| !folder.files.iter().any(|entry| matches(pattern, &entry.name))) {
            let error = Error::refused(place(missing), "no such file", "a file");
            return Err(error.with_hint(format!("{pattern} stands for {}", counted_files(patterns.len()))));
        }
        folder.files.retain(|entry| patterns.iter().any(|pattern| matches(pattern, &entry.name)));
        folder.folders.clear();
        folder.is_choice = true;
        Ok(folder)
    }

    /// Files, and those of patterns, in that order.
    pub(crate) fn list(paths: &[PathBuf]) -> Result<Folder> {
        let mut files = Vec::new();
        for path in paths {
            match is_pattern(path) && !path.exists() {
                true if path.to_str().is_some_and(remote::is_url) => files.extend(Folder::objects(&path.to_string_lossy())?.files),
                true => files.extend(Folder::matching(path)?.files),
                false => {
                    let url = path.to_str().filter(|text| remote::is_url(text));
                    files.extend(Folder::around(&url.map_or_else(|| Input::Path(path.clone()), Input::parse)).files);
                }
            }
        }
        let name = Input::Paths(paths.to_vec()).name().into();
        Ok(Folder { name, files, folders: vec![], root: None, is_one_file: false, is_choice: true })
    }

    /// A file that was named by itself.
    pub(crate) fn around(input: &Input) -> Folder {
        let (name, root) = match input {
            Input::Path(path) => (path.file_name().map(|name| name.to_string_lossy().into_owned()), path.parent().map(Path::to_owned)),
            Input::Url(url) => (url.rsplit('/').next().map(str::to_owned), None),
            _ => (None, None),
        };
        let entry = Entry { name: name.unwrap_or_else(|| input.name()), input: input.clone() };
        Folder { name: input.name().into(), files: vec![entry], folders: vec![], root, is_one_file: true, is_choice: true }
    }

    /// The file of that name in the folder, or beside the file that was named.
    pub(crate) fn find(&self, name: &str) -> Option<Entry> {
        if let Some(entry) = self.files.iter().find(|entry| entry.name == name) {
            return Some(entry.clone());
        }
        let path = self.root.as_ref().filter(|_| self.is_one_file)?.join(name);
        path.is_file().then(|| Entry { name: name.to_owned(), input: Input::Path(path) })
    }
}

impl Entry {
    /// Where it lies, for messages.
    pub(crate) fn place(&self) -> Arc<str> {
        self.input.name().into()
    }

    /// Opens it, unpacked. `contents` takes part when it is to be read whole and hashed.
    pub(crate) fn open(&self, options: &ReadOptions, contents: Option<&mut Contents>) -> Result<Opened> {
        let opened = source::open(&self.input, options, contents.is_some())?;
        if let Some(contents) = contents {
            contents.add(&self.name, &source::hash(opened.memory.as_ref()), opened.bytes);
        }
        Ok(opened)
    }

    /// What it is.
    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    /// Its path, unless it is bytes in memory.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.input {
            Input::Path(path) => Some(path),
            _ => None,
        }
    }

    /// Its bytes as they are.
    pub(crate) fn read(&self, bytes_max: u64) -> Result<Bytes> {
        let place = self.place();
        let unreadable = |source| Error::Unreadable { place: place.to_string(), source, hint: None };
        let path = match &self.input {
            Input::Bytes { bytes, .. } => return Ok(bytes.clone()),
            Input::Path(path) => path,
            _ => return Err(Error::refused(place, "a pipe", "a file")),
        };
        let file = fs::File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        if size > bytes_max {
            return Err(Error::refused(place, format!("{size} bytes"), "a file within data.max_bytes"));
        }
        let mut bytes = Vec::with_capacity(size as usize + 1);
        file.take(bytes_max).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(bytes.into())
    }

    /// Its content in any order, unpacked. A file that is not packed stays where it is, and is hashed there.
    pub(crate) fn open_store(&self, options: &ReadOptions, contents: Option<&mut Contents>) -> Result<Store> {
        let place = self.place();
        let Opened { plain, bytes, .. } = source::open(&self.input, options, false)?;
        match (plain, contents) {
            (Plain::File(file), contents) => {
                if let Some(contents) = contents {
                    let mut hasher = blake3::Hasher::new();
                    let reader = self.path().map(fs::File::open).transpose().map_err(|error| Error::reading(&place, error))?;
                    reader.map(|file| hasher.update_reader(file)).transpose().map_err(|error| Error::reading(&place, error))?;
                    contents.add(&self.name, hasher.finalize().to_hex().as_str(), bytes);
                }
                Ok(Store::File(file))
            }
            (plain, None) => plain.into_store(&place),
            (_, Some(contents)) => self.open(options, Some(contents))?.plain.into_store(&place),
        }
    }

    /// Its first bytes, unpacked.
    pub(crate) fn head(&self, options: &ReadOptions) -> Result<Vec<u8>> {
        source::open(&self.input, options, false)?.plain.head(&self.place())
    }
}

impl Contents {
    /// Takes a file in.
    pub(crate) fn add(&mut self, name: &str, hash: &str, bytes: u64) {
        self.0.push((name.to_owned(), hash.to_owned(), bytes));
    }

    /// All files as one.
    pub(crate) fn content(&mut self) -> Content {
        self.0.sort();
        let mut hasher = blake3::Hasher::new();
        for (name, hash, _) in &self.0 {
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(hash.as_bytes());
        }
        Content { hash: hasher.finalize().to_hex().to_string(), bytes: self.0.iter().map(|(_, _, bytes)| bytes).sum() }
    }
}

/// Whether a path may be a pattern for several files.
pub(crate) fn is_pattern(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(['*', '?', '{']))
}

/// The most files that braces may stand for.
const EXPANDED_MAX: usize = 100_000;

/// What braces stand for: each of a list, or each number of a range with as many digits as its ends have.
fn expand(pattern: &str) -> Vec<String> {
    let parts = pattern.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (inside, after))) = parts else { return vec![pattern.to_owned()] };
    let words: Vec<String> = match inside.split_once("..").map(|(first, last)| (first, first.parse::<u64>(), last.parse::<u64>())) {
        Some((first, Ok(start), Ok(end))) => {
            (start..=end).take(EXPANDED_MAX).map(|n| format!("{n:0width$}", width = first.len())).collect()
        }
        _ => inside.split(',').map(str::to_owned).collect(),
    };
    let rest = expand(after);
    words.iter().flat_map(|word| rest.iter().map(move |rest| format!("{before}{word}{rest}"))).take(EXPANDED_MAX).collect()
}

/// Whether a name fits a pattern, where `*` stands for any letters and `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // The last star, and the letter up to which it has taken so far.
    let (mut at, mut letter, mut star) = (0, 0, None);
    while letter < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, letter));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == name[letter] => {
                at += 1;
                letter += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    (at, letter) = (place + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&left| left == '*')
}

fn counted_files(files: usize) -> String {
    if files == 1 { "one file".to_owned() } else { format!("{files} files") }
}

/// The error for a folder that no format knows.
pub(crate) fn unknown(folder: &Folder) -> Error {
    let named = |names: Vec<&str>| match names.len() {
        0..4 => names.join(", "),
        count => format!("{} and {} more", names[..3].join(", "), count - 3),
    };
    let files: Vec<&str> = folder.files.iter().map(|entry| entry.name.as_str()).collect();
    let folders: Vec<&str> = folder.folders.iter().map(|(name, _)| name.as_str()).collect();
    let found = match (files.len(), folders.len()) {
        (0, 0) => "an empty folder".to_owned(),
        (0, _) => format!("a folder of folders ({}) without images", named(folders)),
        (_, 0) => format!("a folder of other files ({})", named(files)),
        _ => format!("a folder of other files ({}) and folders ({})", named(files), named(folders)),
    };
    let wanted = super::FORMATS.iter().filter(|format| format.is_folder()).map(|format| format.name).collect::<Vec<_>>();
    Error::refused(&folder.name, found, format!("a folder that is laid out as one of {}", wanted.join(", ")))
        .with_hint("files of a table end in csv, parquet and the like, or are named; pictures lie in a folder for each class")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_files() {
        assert_eq!(expand("a-{008..010}.tar"), ["a-008.tar", "a-009.tar", "a-010.tar"]);
        assert_eq!(expand("{a,b}{1..2}"), ["a1", "a2", "b1", "b2"]);
        assert_eq!(expand("a{b"), ["a{b"]);
        for (pattern, name, fits) in [
            ("a*.tar", "a-1.tar", true),
            ("a*.tar", "b.tar", false),
            ("a?.tar", "a1.tar", true),
            ("*1*2", "a1b122", true),
            ("a*", "a", true),
            ("a?", "a", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
