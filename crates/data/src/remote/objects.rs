//! Objects as files of this machine: each is streamed into a folder of copies once, and again when its tag (ETag) at the server is another one.

use super::requests::Server;
use super::{Access, Scheme};
use crate::read::ReadOptions;
use crate::{Error, Result};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Letters of a tag that may stand in a file's name. Objects with other tags are fetched each time.
const TAG_MAX: usize = 120;

/// Bucket and key.
fn parts(url: &str) -> (&str, &str) {
    let rest = Scheme::of(url).map_or(url, |(_, rest)| rest);
    rest.split_once('/').unwrap_or((rest, ""))
}

/// The copy of an object, fetched when there is none or the object has changed since.
pub(crate) fn fetch(url: &str, access: &Access, options: &ReadOptions) -> Result<PathBuf> {
    if Scheme::of(url).is_some_and(|(scheme, _)| scheme != Scheme::S3) {
        let error = Error::refused(url, "a table of a database among files", "files and objects");
        return Err(error.with_hint("name the table alone, and further ones in [data.tables], for data.sql"));
    }
    let (bucket, key) = parts(url);
    let server = Server::open(url, bucket, access)?;
    let folder = access.cache.join("s3");
    let unwritable = |source| Error::Write { action: format!("keep a copy of {url} in {}", folder.display()), source };
    fs::create_dir_all(&folder).map_err(unwritable)?;
    let stem = blake3::hash(format!("{}\n{key}", server.base()).as_bytes()).to_hex()[..32].to_owned();
    let known = copies(&folder, &stem);
    let tag = known.first().and_then(|path| path.file_name()?.to_str()?.strip_prefix(&stem)?.strip_prefix('-').map(str::to_owned));
    let tag = tag.filter(|tag| is_plain(tag));
    let Some(answer) = server.get(url, key, tag.as_deref())? else {
        return Ok(known.into_iter().next().expect("only a known object is not sent again"));
    };
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let tag = header("etag").map(|tag| tag.trim_matches('"').to_owned()).filter(|tag| is_plain(tag));
    let length = header("content-length").and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > options.max_bytes) {
        let found = format!("an object of {} bytes", length.unwrap_or_default());
        return Err(Error::refused(url, found, "content within data.max_bytes").with_hint("raise data.max_bytes, or name a part of it"));
    }
    let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(unwritable)?;
    let mut body = answer.into_body().into_reader().take(options.max_bytes.saturating_add(1));
    let written = io::copy(&mut body, &mut file).map_err(|error| broken(url, &error))?;
    if written > options.max_bytes {
        let found = format!("an object of more than {} bytes", options.max_bytes);
        return Err(Error::refused(url, found, "content within data.max_bytes").with_hint("raise data.max_bytes, or name a part of it"));
    }
    if length.is_some_and(|length| length != written) {
        return Err(broken(url, &io::Error::from(io::ErrorKind::UnexpectedEof)));
    }
    let path = folder.join(format!("{stem}-{}", tag.unwrap_or_else(|| ".untagged".to_owned())));
    file.persist(&path).map_err(|error| unwritable(error.error))?;
    // What nobody will ask for again. A reader that has one of them open keeps it.
    known.iter().filter(|old| **old != path).for_each(|old| drop(fs::remove_file(old)));
    Ok(path)
}

fn broken(url: &str, error: &io::Error) -> Error {
    Error::refused(url, format!("an object that broke off on its way ({error})"), "all of it").with_hint("try again")
}

/// Copies of an object, those with a tag first.
fn copies(folder: &Path, stem: &str) -> Vec<PathBuf> {
    let is_copy = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(stem));
    let mut copies: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).filter(is_copy).collect();
    copies.sort_by_key(|path| (path.to_string_lossy().ends_with(".untagged"), path.clone()));
    copies
}

fn is_plain(tag: &str) -> bool {
    !tag.is_empty() && tag.len() <= TAG_MAX && tag.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
}

/// Names and URLs of the objects in a folder (what ends in `/`), or of those whose names begin as a pattern does.
pub(crate) fn list(url: &str, access: &Access) -> Result<Vec<(String, String)>> {
    let (bucket, key) = parts(url);
    let folder = &key[..key.rfind('/').map_or(0, |end| end + 1)];
    let begins = key[..key.find(['*', '?', '{']).unwrap_or(key.len())].to_owned();
    let objects = Server::open(url, bucket, access)?.list(url, &begins)?;
    let mut files: Vec<(String, String)> = objects
        .into_iter()
        .filter_map(|object| {
            let name = object.key.strip_prefix(folder)?.to_owned();
            (!name.is_empty() && !name.starts_with('.')).then(|| (name, format!("s3://{bucket}/{}", object.key)))
        })
        .collect();
    files.sort();
    Ok(files)
}
