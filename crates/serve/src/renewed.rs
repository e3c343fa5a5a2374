//! What is read from files and read again when they change: tokens, a certificate with its key. A new one that is broken leaves the old one.

use crate::service::{FileStamp, file_stamp};
use crate::{Error, Result};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A secret of more bytes is none.
const BYTES_MAX: u64 = 1 << 20;

type Stamps = Vec<Option<FileStamp>>;

/// A value made of files.
pub(crate) struct Renewed<T> {
    paths: Vec<PathBuf>,
    read: fn(&[PathBuf]) -> Result<T>,
    value: RwLock<Arc<T>>,
    looks: Mutex<Looks>,
    done: AtomicU64,
    failed: AtomicU64,
}

struct Looks {
    /// What the files looked like when they were last read, and at the last look.
    read: Stamps,
    seen: Stamps,
}

impl<T> Renewed<T> {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) fn open(paths: Vec<PathBuf>, read: fn(&[PathBuf]) -> Result<T>) -> Result<Renewed<T>> {
        // The stamps come first: what changes between them and reading is read again.
        let stamps = stamps(&paths);
        let value = RwLock::new(Arc::new(read(&paths)?));
        let looks = Mutex::new(Looks { read: stamps.clone(), seen: stamps });
        Ok(Renewed { paths, read, value, looks, done: AtomicU64::new(0), failed: AtomicU64::new(0) })
    }

    pub(crate) fn current(&self) -> Arc<T> {
        self.value.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often it was renewed, and how often that failed.
    pub(crate) fn counts(&self) -> [u64; 2] {
        [self.done.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed)]
    }

    /// Reads the files again if they have changed and then stayed the same from one look to the next: a certificate comes before its key.
    /// Says what it did, if anything. Blocks.
    pub(crate) fn refresh(&self) -> Option<Result<()>> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let found = stamps(&self.paths);
        if found == looks.read {
            looks.seen = found;
            return None;
        }
        if found != looks.seen {
            looks.seen = found;
            return None;
        }
        looks.read = found;
        let outcome = (self.read)(&self.paths).map(|value| *self.value.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value));
        let count = if outcome.is_ok() { &self.done } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
        Some(outcome)
    }
}

fn stamps(paths: &[PathBuf]) -> Stamps {
    paths.iter().map(|path| file_stamp(path)).collect()
}

/// The content of a file that holds a secret.
///
/// # Errors
/// When it cannot be read, or is too large to be one.
pub(crate) fn secret(path: &Path) -> Result<Vec<u8>> {
    let wrong = |source| cupola_task::Error::io(format!("read {}", path.display()), source);
    let size = std::fs::metadata(path).map_err(wrong)?.len();
    if size > BYTES_MAX {
        return Err(Error::secret(path.display(), format!("{size} bytes"), format!("at most {BYTES_MAX}")));
    }
    Ok(std::fs::read(path).map_err(wrong)?)
}

/// What is to be said of a secret that every user of this machine can read.
pub(crate) fn exposed(path: &Path) -> Option<String> {
    let about = std::fs::metadata(path).ok()?;
    is_exposed(&about).then(|| format!("every user of this machine can read {}: chmod o-rwx {}", path.display(), path.display()))
}

#[cfg(unix)]
fn is_exposed(about: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o004 != 0
}

#[cfg(not(unix))]
fn is_exposed(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_leaves_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let write = |text: &str| {
            let fresh = folder.path().join("fresh");
            std::fs::write(&fresh, text).unwrap();
            std::fs::rename(&fresh, &path).unwrap();
        };
        fn read(paths: &[PathBuf]) -> Result<String> {
            let text = String::from_utf8(secret(&paths[0])?).unwrap();
            if text == "broken" { Err(Error::secret("it", "it", "another")) } else { Ok(text) }
        }
        assert!(Renewed::open(vec![path.clone()], read).is_err());
        write("one");
        let renewed = Renewed::open(vec![path.clone()], read).unwrap();
        assert!(renewed.refresh().is_none());
        write("two");
        assert!(renewed.refresh().is_none(), "it may still be written");
        assert!(renewed.refresh().unwrap().is_ok());
        assert_eq!((renewed.current().as_str(), renewed.counts()), ("two", [1, 0]));
        write("broken");
        assert!(renewed.refresh().is_none());
        assert!(renewed.refresh().unwrap().is_err());
        assert!(renewed.refresh().is_none(), "it is said once");
        std::fs::remove_file(&path).unwrap();
        assert!(renewed.refresh().is_none());
        assert!(renewed.refresh().unwrap().is_err());
        assert_eq!((renewed.current().as_str(), renewed.counts()), ("two", [1, 2]));
        write("three");
        assert!(renewed.refresh().is_none());
        assert!(renewed.refresh().unwrap().is_ok());
        assert_eq!((renewed.current().as_str(), renewed.counts()), ("three", [2, 2]));
    }
}
